//! Which tests a person asked for: substrings, exact ids, or everything.

use crate::exit::{Exit, Stop};

/// The words of a command line that select tests.
#[derive(Debug, clap::Args)]
pub(crate) struct FilterArgs {
    /// Select tests whose id `package::binary$module::test` contains one of these; a whole id selects that test
    pub(crate) filters: Vec<String>,
    /// Take the filters as whole names `module::test` instead of parts
    #[arg(long)]
    exact: bool,
}

impl FilterArgs {
    /// Understands them.
    pub(crate) fn parse(&self) -> Result<Filter, Stop> {
        Filter::parse(
            &self.filters,
            if self.exact {
                Match::Exact
            } else {
                Match::Substring
            },
        )
    }
}

/// The filters of one command line; a test is selected if any of them matches.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    patterns: Vec<Pattern>,
}

#[derive(Debug, PartialEq, Eq)]
enum Pattern {
    /// Somewhere in `package::binary$module::test`.
    Substring(String),
    /// The id `package::binary$module::test`, whole.
    Id(String),
    /// The part after the `$`, whole.
    Name(String),
}

/// How plain words on the command line are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Match {
    /// As parts of a test's id.
    Substring,
    /// As whole names.
    Exact,
}

impl Filter {
    /// Understands the words of a command line. A word with a `$` is always a whole id.
    pub(crate) fn parse(words: &[String], how: Match) -> Result<Filter, Stop> {
        let patterns = words
            .iter()
            .map(|word| Pattern::parse(word, how))
            .collect::<Result<_, _>>()?;
        Ok(Filter { patterns })
    }

    /// Whether `id`, a `package::binary$module::test`, is selected.
    pub(crate) fn selects(&self, id: &str) -> bool {
        self.patterns.is_empty() || self.patterns.iter().any(|pattern| pattern.matches(id))
    }

    /// The words that match none of `ids`, as they were typed.
    pub(crate) fn unmatched<'a>(&'a self, ids: &[String]) -> Vec<&'a str> {
        let idle = |pattern: &&Pattern| !ids.iter().any(|id| pattern.matches(id));
        self.patterns.iter().filter(idle).map(Pattern::word).collect()
    }
}

impl Pattern {
    fn parse(word: &str, how: Match) -> Result<Pattern, Stop> {
        let bad = |why: &str| {
            let hint = "hint: give a part of a test's name, or a whole id as `cargo xtask list` prints it";
            Stop::new(
                Exit::BadFilter,
                "filter",
                format!("could not understand the filter `{word}`: {why}\n{hint}"),
            )
        };
        if word.trim().is_empty() {
            return Err(bad("it is empty"));
        }
        let parts: Vec<&str> = word.split('$').collect();
        match (parts.as_slice(), how) {
            ([_], Match::Substring) => Ok(Pattern::Substring(word.to_owned())),
            ([_], Match::Exact) => Ok(Pattern::Name(word.to_owned())),
            ([binary, name], _) if binary.contains("::") && !name.is_empty() => {
                Ok(Pattern::Id(word.to_owned()))
            }
            _ => Err(bad(
                "`$` stands once, between `package::binary` and the test's name",
            )),
        }
    }

    fn matches(&self, id: &str) -> bool {
        match self {
            Pattern::Substring(part) => id.contains(part.as_str()),
            Pattern::Id(whole) => id == whole,
            Pattern::Name(name) => id.split_once('$').is_some_and(|(_, test)| test == name),
        }
    }

    fn word(&self) -> &str {
        match self {
            Pattern::Substring(word) | Pattern::Id(word) | Pattern::Name(word) => word,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDS: [&str; 3] = [
        "t::suite$relay::fetch",
        "t::suite$relay::fetch_unknown",
        "r::r$store::fetch",
    ];

    fn selected(words: &[&str], how: Match) -> Vec<&'static str> {
        let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        let filter = Filter::parse(&words, how).unwrap();
        IDS.into_iter().filter(|id| filter.selects(id)).collect()
    }

    #[test]
    fn no_filter_selects_everything() {
        assert_eq!(selected(&[], Match::Substring), IDS);
    }

    #[test]
    fn substrings_select_what_any_of_them_matches() {
        assert_eq!(
            selected(&["unknown", "store"], Match::Substring),
            [IDS[1], IDS[2]]
        );
        assert_eq!(selected(&["t::suite"], Match::Substring), [IDS[0], IDS[1]]);
    }

    #[test]
    fn an_id_and_an_exact_name_select_only_themselves() {
        assert_eq!(selected(&["t::suite$relay::fetch"], Match::Substring), [IDS[0]]);
        assert_eq!(selected(&["relay::fetch"], Match::Exact), [IDS[0]]);
        assert_eq!(selected(&["fetch"], Match::Exact), [""; 0]);
    }

    #[test]
    fn what_is_not_a_filter_is_refused_with_its_own_code() {
        for word in ["", "  ", "$name", "suite$name", "t::suite$", "a::b$c$d"] {
            let stop = Filter::parse(&[word.to_owned()], Match::Substring).unwrap_err();
            assert_eq!(stop.exit, Exit::BadFilter, "{word:?}");
            assert!(stop.message.contains("hint: "));
        }
    }

    #[test]
    fn a_word_without_any_match_is_named() {
        let words = ["fetch".to_owned(), "fecth".to_owned()];
        let filter = Filter::parse(&words, Match::Substring).unwrap();
        assert_eq!(filter.unmatched(&IDS.map(str::to_owned)), ["fecth"]);
    }
}
