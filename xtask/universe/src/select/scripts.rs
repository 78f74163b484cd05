//! Setup scripts: what runs once before the first test that needs it, from the list `scripts` in
//! the table of the workspace.
//!
//! ```toml
//! [[workspace.metadata.universe.scripts]]
//! name = "database"
//! filter = "module(db)"
//! command = ["./start-database.sh"]
//! ```
//!
//! Only reads the list and says which tests need which script.

use std::time::Duration;

use serde_json::Value;

use crate::base::exit::Stop;
use crate::base::limits::{SCRIPT_TIMEOUT, SCRIPT_TIMEOUT_MAX};
use crate::select::filter::{Expression, Subject};
use crate::select::plan::Test;
use crate::workspace::config::{Entry, Wrong, is_plain_name};
use crate::workspace::metadata::Workspace;

const HOME: &str = "scripts";

const KEYS: [&str; 4] = ["name", "filter", "command", "timeout"];

/// A setup script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Script {
    /// Unique in its workspace.
    pub(crate) name: String,
    /// The program and its arguments.
    pub(crate) command: Vec<String>,
    /// How long it may take to set up what it sets up.
    pub(crate) timeout: Duration,
}

/// All scripts of a workspace, in the order in which they run where a test needs several.
#[derive(Debug, Default)]
pub(crate) struct Scripts {
    table: String,
    list: Vec<(Script, Filter)>,
}

#[derive(Debug)]
struct Filter {
    text: String,
    expression: Expression,
}

impl Scripts {
    /// Those of a workspace.
    ///
    /// # Errors
    /// When a key is unknown, missing or has a value of another kind, or a name is used twice; the
    /// message names file and key.
    pub(crate) fn of(workspace: &Workspace) -> Result<Scripts, Stop> {
        let home = &workspace.config.home;
        let list = read(&workspace.config.scripts);
        let list = list.map_err(|wrong| home.misunderstood(&wrong.key, &wrong.why))?;
        let table = home.table.clone();
        Ok(Scripts { table, list })
    }

    /// The scripts themselves.
    pub(crate) fn all(&self) -> Vec<Script> {
        self.list.iter().map(|(script, _)| script.clone()).collect()
    }

    /// The numbers of the scripts that this test needs.
    pub(crate) fn needed_by(&self, test: &Test) -> Vec<usize> {
        let subject = test.subject();
        let numbered = self.list.iter().enumerate();
        let needed = numbered.filter(|(_, (_, filter))| filter.expression.selects(&subject));
        needed.map(|(number, _)| number).collect()
    }

    /// A sentence about each script that none of `tests` needs.
    pub(crate) fn unmatched(&self, tests: &[Subject<'_>]) -> Vec<String> {
        let idle = self
            .list
            .iter()
            .enumerate()
            .filter(|(_, (_, filter))| !tests.iter().any(|test| filter.expression.selects(test)));
        idle.map(|(number, (_, filter))| {
            let (text, table) = (&filter.text, &self.table);
            format!("no test matches `{text}`, which is `{table}.{HOME}[{number}].filter`")
        })
        .collect()
    }

    /// `script database, script certificates`: what runs before a test; empty if nothing does.
    pub(crate) fn words(&self, test: &Test) -> String {
        let names = self
            .needed_by(test)
            .into_iter()
            .filter_map(|number| self.list.get(number));
        let words = names.map(|(script, _)| format!("script {}", script.name));
        words.collect::<Vec<_>>().join(", ")
    }
}

fn read(list: &Value) -> Result<Vec<(Script, Filter)>, Wrong> {
    let mut scripts: Vec<(Script, Filter)> = Vec::new();
    if list.is_null() {
        return Ok(scripts);
    }
    for entry in Entry::new(HOME, list).list(HOME)? {
        let (script, filter) = one(&entry)?;
        if scripts.iter().any(|(other, _)| other.name == script.name) {
            let why = format!("there is another script `{}`", script.name);
            return Err(Wrong::new(format!("{}.name", entry.path), why));
        }
        scripts.push((script, filter));
    }
    Ok(scripts)
}

fn one(entry: &Entry<'_>) -> Result<(Script, Filter), Wrong> {
    let (mut name, mut filter, mut command, mut timeout) = (None, None, None, SCRIPT_TIMEOUT);
    for (key, value) in entry.table()? {
        match key {
            "name" => name = Some(self::name(&value)?),
            "filter" => filter = Some(self::filter(&value)?),
            "command" => command = Some(value.command()?),
            "timeout" => timeout = value.duration_up_to(SCRIPT_TIMEOUT_MAX)?,
            _ => return Err(value.unknown("a script", &KEYS)),
        }
    }
    let script = Script {
        name: name.ok_or_else(|| entry.missing("name"))?,
        command: command.ok_or_else(|| entry.missing("command"))?,
        timeout,
    };
    Ok((script, filter.ok_or_else(|| entry.missing("filter"))?))
}

fn name(value: &Entry<'_>) -> Result<String, Wrong> {
    let name = value.text("a name")?;
    match is_plain_name(&name) {
        true => Ok(name),
        false => Err(value.wrong("the name of a script consists of letters, digits, `-`, `_`, `.` and `+`")),
    }
}

fn filter(value: &Entry<'_>) -> Result<Filter, Wrong> {
    let text = value.text("a filter expression")?;
    let expression = Expression::parse(&text).map_err(|stop| value.wrong(stop.message))?;
    Ok(Filter { text, expression })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::select::plan::plain_tests;
    use serde_json::json;

    #[test]
    fn a_test_needs_each_script_whose_filter_selects_it() {
        let list = read(&json!([
            {"name": "db", "filter": "test(=a)", "command": ["./db", "up"], "timeout": "5s"},
            {"name": "certs", "filter": "all()", "command": ["certs"]},
            {"name": "gone", "filter": "module(gone)", "command": ["x"]},
        ]))
        .unwrap();
        let table = "t".to_owned();
        let scripts = Scripts { table, list };
        let tests = plain_tests(&["a", "b"]);
        assert_eq!(
            (scripts.needed_by(&tests[0]), scripts.needed_by(&tests[1])),
            (vec![0, 1], vec![1])
        );
        assert_eq!(scripts.words(&tests[0]), "script db, script certs");
        assert_eq!(
            (scripts.all()[0].timeout, scripts.all()[1].timeout),
            (Duration::from_secs(5), SCRIPT_TIMEOUT)
        );
        let subjects: Vec<_> = tests.iter().map(Test::subject).collect();
        assert_eq!(
            scripts.unmatched(&subjects),
            ["no test matches `module(gone)`, which is `t.scripts[2].filter`"]
        );
    }

    #[test]
    fn what_is_invalid_is_named_by_its_key() {
        let good = json!({"name": "db", "filter": "all()", "command": ["x"]});
        let with = |key: &str, value: Value| {
            let mut script = good.clone();
            script[key] = value;
            script
        };
        let without = |key: &str| {
            let mut script = good.clone();
            script.as_object_mut().unwrap().remove(key);
            script
        };
        for (list, key) in [
            (json!({}), "scripts"),
            (json!([3]), "scripts[0]"),
            (json!([without("name")]), "scripts[0].name"),
            (json!([without("filter")]), "scripts[0].filter"),
            (json!([without("command")]), "scripts[0].command"),
            (json!([with("name", json!("a b"))]), "scripts[0].name"),
            (json!([with("filter", json!("and and"))]), "scripts[0].filter"),
            (json!([with("command", json!("x"))]), "scripts[0].command"),
            (json!([with("timeout", json!("3601s"))]), "scripts[0].timeout"),
            (json!([with("comand", json!(["x"]))]), "scripts[0].comand"),
            (json!([good, good]), "scripts[1].name"),
        ] {
            assert_eq!(read(&list).unwrap_err().key, key, "{list}");
        }
        assert!(read(&json!([with("timeout", json!("3600s"))])).is_ok());
    }
}
