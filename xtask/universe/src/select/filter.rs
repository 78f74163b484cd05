//! Which tests a person selected: by words, by expressions, or all of them; without those to skip.
//!
//! A pure function of a test's names and needs. `word` handles words, `expression` the language of
//! expressions.

mod expression;
mod parse;
mod pattern;
mod subject;
mod word;

use crate::base::exit::Stop;
pub(crate) use expression::Expression;
pub(crate) use pattern::Glob;
pub use subject::Subject;
pub use word::Match;
use word::Word;

/// The part of a command line that selects tests.
#[derive(Debug, clap::Args)]
pub struct FilterArgs {
    /// Select the tests whose id `package::binary$module::test` contains one of these words; a
    /// whole id selects that test. After `--`, options of libtest are options of the runner
    pub(crate) filters: Vec<String>,
    /// Narrow the selection by an expression: `test(PATTERN)`, `module(..)`, `package(..)`,
    /// `binary(..)`, `cap(..)`, `all()`, `none()`, `and`, `or`, `not`; a PATTERN is text, `=text`,
    /// `~text`, `#glob` or `/regex/`
    #[arg(long = "filterset", short = 'E', value_name = "EXPR")]
    filterset: Vec<String>,
    /// Exclude the tests whose id contains this word
    #[arg(long, value_name = "WORD")]
    skip: Vec<String>,
    /// Match words against whole names `module::test` instead of parts
    #[arg(long)]
    exact: bool,
}

impl FilterArgs {
    /// Parses them.
    pub fn parse(&self) -> Result<Filter, Stop> {
        let how = if self.exact {
            Match::Exact
        } else {
            Match::Substring
        };
        Ok(Filter {
            words: words(&self.filters, how)?,
            expressions: self
                .filterset
                .iter()
                .map(|text| Ok((text.clone(), Expression::parse(text)?)))
                .collect::<Result<_, Stop>>()?,
            skipped: words(&self.skip, how)?,
        })
    }
}

/// The filters of one command line. A test is selected if any of the words (if there are any) and
/// any of the expressions (if there are any) select it, and it is not among those to skip.
#[derive(Debug, Default)]
pub struct Filter {
    words: Vec<Word>,
    /// Each with its original text.
    expressions: Vec<(String, Expression)>,
    skipped: Vec<Word>,
}

impl Filter {
    /// Of plain words only.
    pub fn parse(texts: &[String], how: Match) -> Result<Filter, Stop> {
        Ok(Filter {
            words: words(texts, how)?,
            ..Filter::default()
        })
    }

    /// Whether this test is selected.
    pub fn selects(&self, test: &Subject<'_>) -> bool {
        let named = self.words.is_empty() || self.words.iter().any(|word| word.selects(test));
        let meant = || self.expressions.is_empty() || self.expressions.iter().any(|(_, e)| e.selects(test));
        named && meant() && !self.skipped.iter().any(|word| word.selects(test))
    }

    /// Whether it may select a doc test, whatever doc tests there are.
    pub(crate) fn may_select_doc_tests(&self) -> bool {
        self.words.is_empty() || self.words.iter().any(Word::may_select_doc_tests)
    }

    /// The words and expressions that select none of `tests`, as they were typed.
    pub fn unmatched(&self, tests: &[Subject<'_>]) -> Vec<&str> {
        let idle_words = self
            .words
            .iter()
            .filter(|word| !tests.iter().any(|test| word.selects(test)));
        let idle_expressions = self
            .expressions
            .iter()
            .filter(|(_, expression)| !tests.iter().any(|test| expression.selects(test)));
        idle_words
            .map(Word::text)
            .chain(idle_expressions.map(|(text, _)| text.as_str()))
            .collect()
    }
}

fn words(texts: &[String], how: Match) -> Result<Vec<Word>, Stop> {
    texts.iter().map(|text| Word::parse(text, how)).collect()
}

#[cfg(test)]
mod tests {
    use super::subject::subject;
    use super::*;
    use clap::{Args as _, FromArgMatches as _};

    fn subjects() -> [Subject<'static>; 3] {
        [
            subject("t", "suite", "relay::fetch"),
            subject("t", "suite", "relay::fetch_unknown"),
            subject("r", "r", "store::fetch"),
        ]
    }

    fn filter(line: &[&str]) -> Filter {
        let command = FilterArgs::augment_args(clap::Command::new("test").no_binary_name(true));
        let matches = command.try_get_matches_from(line).unwrap();
        FilterArgs::from_arg_matches(&matches).unwrap().parse().unwrap()
    }

    /// The numbers of the subjects that these arguments select.
    fn selected(line: &[&str]) -> Vec<usize> {
        let (filter, subjects) = (filter(line), subjects());
        (0..subjects.len())
            .filter(|&number| filter.selects(&subjects[number]))
            .collect()
    }

    #[test]
    fn no_filter_selects_everything() {
        assert_eq!(selected(&[]), [0, 1, 2]);
    }

    #[test]
    fn words_select_what_any_of_them_matches() {
        assert_eq!(selected(&["unknown", "store"]), [1, 2]);
        assert_eq!(selected(&["t::suite"]), [0, 1]);
    }

    #[test]
    fn an_id_and_an_exact_name_select_only_themselves() {
        assert_eq!(selected(&["t::suite$relay::fetch"]), [0]);
        assert_eq!(selected(&["relay::fetch", "--exact"]), [0]);
        assert_eq!(selected(&["fetch", "--exact"]), [0; 0]);
    }

    #[test]
    fn expressions_are_alternatives_and_narrow_down_what_words_select() {
        assert_eq!(selected(&["-E", "test(unknown)", "-E", "package(r)"]), [1, 2]);
        assert_eq!(
            selected(&["relay", "-E", "test(unknown)", "-E", "package(r)"]),
            [1]
        );
    }

    #[test]
    fn a_test_that_the_skip_option_excludes_is_not_selected() {
        assert_eq!(selected(&["--skip", "store", "--skip", "unknown"]), [0]);
        assert_eq!(selected(&["--skip", "relay::fetch", "--exact"]), [1, 2]);
    }

    #[test]
    fn filters_that_match_no_test_are_named() {
        let line = ["fetch", "fecth", "-E", "test(x)", "-E", "all()"];
        assert_eq!(filter(&line).unmatched(&subjects()), ["fecth", "test(x)"]);
    }
}
