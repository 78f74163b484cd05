//! Plain words on the command line: a part of a test's id, a whole id, or (with `--exact`) a whole
//! name.

use super::Subject;
use crate::base::exit::{Exit, Stop};
use crate::base::failure_kind::FailureKind;
use crate::base::invocation::Invocation;

/// One parsed word.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// A part of `package::binary$module::test`.
    Substring(String),
    /// The id `package::binary$module::test`, whole.
    Id(String),
    /// The part after the `$`, whole.
    Name(String),
}

/// How plain words are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Match {
    /// As parts of a test's id.
    Substring,
    /// As whole names.
    Exact,
}

impl Word {
    /// Parses a word. One with a `$` is always a whole id.
    pub(super) fn parse(word: &str, how: Match) -> Result<Word, Stop> {
        if word.trim().is_empty() {
            return Err(bad(word, "it is empty"));
        }
        let parts: Vec<&str> = word.split('$').collect();
        match (parts.as_slice(), how) {
            ([_], Match::Substring) => Ok(Word::Substring(word.to_owned())),
            ([_], Match::Exact) => Ok(Word::Name(word.to_owned())),
            ([binary, name], _) if binary.contains("::") && !name.is_empty() => Ok(Word::Id(word.to_owned())),
            _ => Err(bad(
                word,
                "`$` must appear exactly once, between `package::binary` and the test's name",
            )),
        }
    }

    pub(super) fn selects(&self, test: &Subject<'_>) -> bool {
        match self {
            Word::Substring(part) => test.id().contains(part.as_str()),
            Word::Id(whole) => test.id() == *whole,
            Word::Name(name) => test.name == name,
        }
    }

    /// Whether it may select a doc test, whatever doc tests there are.
    pub(super) fn may_select_doc_tests(&self) -> bool {
        match self {
            Word::Substring(_) => true,
            Word::Id(id) => id.contains("::doc/"),
            Word::Name(name) => name.ends_with(')'),
        }
    }

    /// As it was typed.
    pub(super) fn text(&self) -> &str {
        match self {
            Word::Substring(text) | Word::Id(text) | Word::Name(text) => text,
        }
    }
}

fn bad(word: &str, why: &str) -> Stop {
    let list = Invocation::current().with("list");
    let hint = format!("hint: give a part of a test's name, or a whole id as `{list}` prints it");
    Stop::new(
        Exit::BadFilter,
        FailureKind::Filter,
        format!("invalid filter `{word}`: {why}\n{hint}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_name_that_is_none_of_a_doc_test_selects_none() {
        for (word, how, expected) in [
            ("p::suite$a::b", Match::Substring, false),
            ("a::b", Match::Exact, false),
            ("a::b", Match::Substring, true),
            ("p::doc/p$src/lib.rs - a (line 3)", Match::Substring, true),
            ("src/lib.rs - a (line 3)", Match::Exact, true),
        ] {
            assert_eq!(
                Word::parse(word, how).unwrap().may_select_doc_tests(),
                expected,
                "{word}"
            );
        }
    }

    #[test]
    fn an_invalid_filter_is_refused_with_its_own_exit_code() {
        for word in ["", "  ", "$name", "suite$name", "t::suite$", "a::b$c$d"] {
            let stop = Word::parse(word, Match::Substring).unwrap_err();
            assert_eq!(stop.exit, Exit::BadFilter, "{word:?}");
            assert!(stop.message.contains("hint: "));
        }
    }
}
