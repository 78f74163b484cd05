//! `cfg(…)` as a key of cargo's configuration: whether it holds for a platform.
//!
//! The language is that of the attribute: names, `name = "value"`, `all`, `any`, `not`, `true`,
//! `false`.

use std::collections::BTreeSet;

use crate::base::limits::CFG_DEPTH_MAX;

/// Whether `key` is an expression that holds where `facts` are true: the lines that `rustc --print
/// cfg` prints. False for a key that is no such expression.
pub(super) fn holds(key: &str, facts: &BTreeSet<String>) -> bool {
    let inner = key.strip_prefix("cfg(").and_then(|rest| rest.strip_suffix(')'));
    let Some(text) = inner else { return false };
    let mut reader = Reader { rest: text, facts };
    let value = reader.expression(0);
    value == Some(true) && reader.is_at_its_end()
}

struct Reader<'a> {
    rest: &'a str,
    facts: &'a BTreeSet<String>,
}

/// Each method consumes what it reads, and returns `None` where the text is something else.
impl<'a> Reader<'a> {
    fn expression(&mut self, depth: usize) -> Option<bool> {
        let name = self.name()?;
        if self.takes("(") {
            return (depth < CFG_DEPTH_MAX).then(|| self.combined(name, depth + 1))?;
        }
        if self.takes("=") {
            let value = self.text()?;
            return Some(self.facts.contains(&format!("{name}=\"{value}\"")));
        }
        match name {
            "true" => Some(true),
            "false" => Some(false),
            name => Some(self.facts.contains(name)),
        }
    }

    /// What is between the parentheses of `name(…)`.
    fn combined(&mut self, name: &str, depth: usize) -> Option<bool> {
        let mut values = Vec::new();
        while !self.takes(")") {
            values.push(self.expression(depth)?);
            if !self.takes(",") {
                self.takes(")").then_some(())?;
                break;
            }
        }
        match (name, values.as_slice()) {
            ("all", values) => Some(values.iter().all(|value| *value)),
            ("any", values) => Some(values.iter().any(|value| *value)),
            ("not", [value]) => Some(!value),
            _ => None,
        }
    }

    fn name(&mut self) -> Option<&'a str> {
        self.rest = self.rest.trim_start();
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        let end = self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest;
        (!name.is_empty()).then_some(name)
    }

    fn text(&mut self) -> Option<&'a str> {
        self.takes("\"").then_some(())?;
        let (text, rest) = self.rest.split_once('"')?;
        self.rest = rest;
        Some(text)
    }

    fn takes(&mut self, token: &str) -> bool {
        let rest = self.rest.trim_start().strip_prefix(token);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn is_at_its_end(&self) -> bool {
        self.rest.trim().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds_on_linux(key: &str) -> bool {
        let facts = ["unix", "target_os=\"linux\"", "target_pointer_width=\"64\""];
        holds(key, &facts.map(str::to_owned).into())
    }

    #[test]
    fn an_expression_holds_where_its_facts_are_true() {
        for key in [
            "cfg(unix)",
            "cfg( target_os = \"linux\" )",
            "cfg(all(unix, not(windows), any(windows, target_os=\"linux\"),))",
            "cfg(all())",
            "cfg(true)",
            "cfg(not(false))",
        ] {
            assert!(holds_on_linux(key), "{key}");
        }
        for key in [
            "cfg(windows)",
            "cfg(any())",
            "cfg(not(unix))",
            "cfg(target_os = \"macos\")",
        ] {
            assert!(!holds_on_linux(key), "{key}");
        }
    }

    #[test]
    fn what_is_no_expression_holds_nowhere() {
        for key in [
            "",
            "unix",
            "x86_64-unknown-linux-gnu",
            "cfg()",
            "cfg(unix",
            "cfg(unix unix)",
            "cfg(not(unix, unix))",
            "cfg(not())",
            "cfg(none(windows))",
            "cfg(all(unix)",
            "cfg(target_os = linux)",
            "cfg(target_os = \"linux)",
            "cfg(all(unix,,unix))",
        ] {
            assert!(!holds_on_linux(key), "{key}");
        }
    }

    #[test]
    fn an_expression_may_be_nested_up_to_the_limit() {
        let nested = |depth: usize| format!("cfg({}unix{})", "all(".repeat(depth), ")".repeat(depth));
        assert!(holds_on_linux(&nested(CFG_DEPTH_MAX)));
        assert!(!holds_on_linux(&nested(CFG_DEPTH_MAX + 1)));
    }
}
