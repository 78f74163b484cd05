//! Parses filter expressions. Any text results in an expression or in an error that points at a
//! column.
//!
//! ```text
//! any       = all { ("or" | "|" | "+") all }
//! all       = operand { ("and" | "&" | "-") operand }
//! operand   = ("not" | "!") operand | "(" any ")" | "all()" | "none()" | field "(" pattern ")"
//! field     = "test" | "module" | "package" | "binary" | "cap"
//! pattern   = "=" text | "~" text | "#" glob | "/" regex "/" | text
//! ```

use super::expression::{Expression, Field, Predicate};
use super::pattern::{self, Pattern};
use crate::base::exit::{Exit, Stop};
use crate::base::failure_kind::FailureKind;
use crate::base::limits::{FILTER_DEPTH_MAX, FILTER_LEN_MAX, FILTER_SHOWN_LEN_MAX, REGEX_PARTS_MAX};

/// Reads all of `text`.
pub(super) fn expression(text: &str) -> Result<Expression, Stop> {
    let mut parser = Parser {
        text: text.chars().collect(),
        at: 0,
        depth: 0,
        regex_parts: 0,
    };
    parser.whole().map_err(|fault| fault.stop(&parser.text))
}

struct Parser {
    text: Vec<char>,
    at: usize,
    depth: usize,
    /// Regular expressions and their groups so far.
    regex_parts: usize,
}

/// Where the text is invalid, and what was expected there.
struct Fault {
    at: usize,
    expected: String,
}

type Parsed<T> = Result<T, Fault>;

impl Parser {
    fn whole(&mut self) -> Parsed<Expression> {
        let len = self.text.len();
        if len > FILTER_LEN_MAX {
            let expected = format!("at most {FILTER_LEN_MAX} characters instead of {len}");
            return Err(self.expected_at(FILTER_LEN_MAX, &expected));
        }
        let expression = self.any()?;
        self.skip_space();
        match self.peek() {
            None => Ok(expression),
            Some(_) => Err(self.expected("`and`, `or`, `-` or the end")),
        }
    }

    fn any(&mut self) -> Parsed<Expression> {
        let mut operands = vec![self.all()?];
        while self.takes_operator(&["or", "||", "|", "+"]) {
            operands.push(self.all()?);
        }
        Ok(one_or(operands, Expression::Or))
    }

    fn all(&mut self) -> Parsed<Expression> {
        let mut operands = vec![self.operand()?];
        loop {
            if self.takes_operator(&["and", "&&", "&"]) {
                operands.push(self.operand()?);
            } else if self.takes_operator(&["-"]) {
                operands.push(Expression::Not(Box::new(self.operand()?)));
            } else {
                return Ok(one_or(operands, Expression::And));
            }
        }
    }

    fn operand(&mut self) -> Parsed<Expression> {
        self.depth += 1;
        if self.depth > FILTER_DEPTH_MAX {
            return Err(self.expected(&format!("at most {FILTER_DEPTH_MAX} levels of `(` and `not`")));
        }
        let operand = if self.takes_operator(&["not", "!"]) {
            Expression::Not(Box::new(self.operand()?))
        } else if self.takes('(') {
            let inner = self.any()?;
            self.must_take(')', "`and`, `or`, `-` or `)`")?;
            inner
        } else {
            self.predicate()?
        };
        self.depth -= 1;
        Ok(operand)
    }

    fn predicate(&mut self) -> Parsed<Expression> {
        self.skip_space();
        let start = self.at;
        let word = self.word();
        let field = Field::WORDS.iter().find(|(known, _)| *known == word);
        match (word.as_str(), field) {
            (_, Some((_, field))) => {
                self.must_take('(', &format!("`(` after `{word}`"))?;
                let pattern = self.pattern(*field)?;
                self.must_take(')', "`)` after the pattern")?;
                Ok(Expression::Is(Predicate {
                    field: *field,
                    pattern,
                }))
            }
            ("all", None) => self.empty_parentheses(Expression::All),
            ("none", None) => self.empty_parentheses(Expression::None),
            _ => Err(self.expected_at(
                start,
                "`test(…)`, `module(…)`, `package(…)`, `binary(…)`, `cap(…)`, `all()`, `none()`, `not` or `(`",
            )),
        }
    }

    fn empty_parentheses(&mut self, expression: Expression) -> Parsed<Expression> {
        self.must_take('(', "`()`")?;
        self.must_take(')', "`)`, because these parentheses are empty")?;
        Ok(expression)
    }

    fn pattern(&mut self, field: Field) -> Parsed<Pattern> {
        if self.takes('/') {
            return self.regex();
        }
        let sigil = ['=', '~', '#'].into_iter().find(|sigil| self.takes(*sigil));
        self.skip_space();
        let start = self.at;
        let text = self.text_of_pattern();
        if text.is_empty() {
            return Err(self.expected_at(start, "a pattern"));
        }
        let plain = || text.iter().map(|(one, _)| *one).collect();
        match (sigil, field) {
            (Some('='), _) => Ok(Pattern::Equal(plain())),
            (Some('~'), _) | (None, Field::Test) => Ok(Pattern::Contains(plain())),
            (None, Field::Module) => Ok(Pattern::Within(plain())),
            (Some(_), _) | (None, Field::Package | Field::Binary | Field::Cap) => pattern::glob(&text)
                .map(Pattern::Glob)
                .map_err(|expected| self.expected(expected)),
        }
    }

    /// Up to the closing `)`, each character with whether a backslash preceded it, without
    /// surrounding spaces.
    fn text_of_pattern(&mut self) -> Vec<(char, bool)> {
        let mut text = Vec::new();
        while let Some(one) = self.peek().filter(|one| *one != ')') {
            self.at += 1;
            match (one, self.peek()) {
                ('\\', Some(escaped)) => {
                    self.at += 1;
                    text.push((escaped, true));
                }
                _ => text.push((one, false)),
            }
        }
        while text
            .pop_if(|(one, escaped)| one.is_whitespace() && !*escaped)
            .is_some()
        {}
        text
    }

    fn regex(&mut self) -> Parsed<Pattern> {
        let start = self.at;
        let mut source = String::new();
        loop {
            let Some(one) = self.peek() else {
                return Err(self.expected("`/` after the regular expression"));
            };
            self.at += 1;
            match (one, self.peek()) {
                ('/', _) => break,
                ('\\', Some('/')) => {
                    self.at += 1;
                    source.push('/');
                }
                ('\\', Some(escaped)) => {
                    self.at += 1;
                    source.extend(['\\', escaped]);
                }
                _ => source.push(one),
            }
        }
        let regex = pattern::regex(&source).map_err(|expected| self.expected_at(start, &expected))?;
        // The whole expression counts as a group.
        self.regex_parts += regex.captures_len();
        match self.regex_parts > REGEX_PARTS_MAX {
            true => Err(self.expected_at(
                start,
                &format!("at most {REGEX_PARTS_MAX} regular expressions and groups in them"),
            )),
            false => Ok(Pattern::Regex(regex)),
        }
    }

    fn peek(&self) -> Option<char> {
        self.text.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
    }

    /// Letters from here on.
    fn word(&mut self) -> String {
        let rest = self.text.iter().skip(self.at);
        let word: String = rest
            .take_while(|one| one.is_alphanumeric() || **one == '_')
            .collect();
        self.at += word.chars().count();
        word
    }

    fn takes(&mut self, wanted: char) -> bool {
        self.skip_space();
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    fn must_take(&mut self, wanted: char, expected: &str) -> Parsed<()> {
        match self.takes(wanted) {
            true => Ok(()),
            false => Err(self.expected(expected)),
        }
    }

    /// Takes one of these operators; an operator that is a word must be a whole word.
    fn takes_operator(&mut self, operators: &[&str]) -> bool {
        self.skip_space();
        let start = self.at;
        let word = self.word();
        if operators.contains(&word.as_str()) {
            return true;
        }
        self.at = start;
        let is_next = |operator: &&&str| {
            word.is_empty()
                && operator
                    .chars()
                    .eq(self.text.iter().skip(start).take(operator.len()).copied())
        };
        let found = operators.iter().find(is_next);
        self.at += found.map_or(0, |operator| operator.len());
        found.is_some()
    }

    fn expected(&self, what: &str) -> Fault {
        self.expected_at(self.at, what)
    }

    fn expected_at(&self, at: usize, what: &str) -> Fault {
        Fault {
            at,
            expected: what.to_owned(),
        }
    }
}

fn one_or(mut operands: Vec<Expression>, many: fn(Vec<Expression>) -> Expression) -> Expression {
    match operands.pop() {
        Some(only) if operands.is_empty() => only,
        last => {
            operands.extend(last);
            many(operands)
        }
    }
}

impl Fault {
    fn stop(&self, text: &[char]) -> Stop {
        let from = self.at.saturating_sub(FILTER_SHOWN_LEN_MAX);
        let shown = text.iter().skip(from).take(2 * FILTER_SHOWN_LEN_MAX);
        let shown: String = shown
            .map(|one| {
                if crate::base::text::steers(*one) {
                    ' '
                } else {
                    *one
                }
            })
            .collect();
        let caret = " ".repeat(self.at - from);
        let hint = "hint: for example `test(fetch) and not module(relay::limits)`; quote it for the shell";
        let Fault { at, expected } = self;
        let column = at + 1;
        Stop::new(
            Exit::BadFilter,
            FailureKind::Filter,
            format!(
                "could not parse the filter expression: expected {expected} at column {column}\n  {shown}\n  {caret}^\n{hint}"
            ),
        )
    }
}

#[cfg(test)]
mod tests;
