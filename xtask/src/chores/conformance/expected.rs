//! The table of expected failures with their reasons: parsed from TOML, compared with the results.
//!
//! ```toml
//! [[expected]]
//! reason = "there are no hard links: a catalog entry has one path"
//! tests = ["link::changed_ctime_success::regular"]
//! ```

use std::collections::BTreeMap;

use serde::Deserialize;

use super::check::Verdict;

/// Tests that do not pass, by name, each with its reason.
#[derive(Debug, Default)]
pub(super) struct Expected {
    reasons: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(default)]
    expected: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    reason: String,
    tests: Vec<String>,
}

/// The result of one test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Result {
    Passed,
    /// With its message.
    Failed(String),
    /// By the test suite itself, with its reason.
    Skipped(String),
}

impl Expected {
    /// Parses the table.
    pub(super) fn parse(text: &str) -> std::result::Result<Expected, String> {
        let table: Table = toml::from_str(text).map_err(|error| error.to_string())?;
        let mut reasons = BTreeMap::new();
        for Group { reason, tests } in table.expected {
            if reason.trim().is_empty() {
                return Err("a reason is empty".to_owned());
            }
            for test in tests {
                if let Some(other) = reasons.insert(test.clone(), reason.clone()) {
                    return Err(format!("`{test}` has two reasons: `{other}` and `{reason}`"));
                }
            }
        }
        Ok(Expected { reasons })
    }

    /// Compares `results`, by name, with the table. Every deviation is a failure, in both
    /// directions.
    pub(super) fn judge(&self, results: &BTreeMap<String, Result>) -> Verdict {
        let mut unexpected = Vec::new();
        let mut known: BTreeMap<&str, usize> = BTreeMap::new();
        let mut skipped: BTreeMap<&str, usize> = BTreeMap::new();
        let mut passed = 0;
        for (name, result) in results {
            match (result, self.reasons.get(name)) {
                (Result::Passed, None) => passed += 1,
                (Result::Failed(_), Some(reason)) => *known.entry(reason).or_default() += 1,
                (Result::Skipped(why), None) => *skipped.entry(why).or_default() += 1,
                (Result::Failed(said), None) => unexpected.push(format!("{name} failed: {said}")),
                (Result::Passed, Some(_)) => {
                    unexpected.push(format!("{name} passed: remove it from the table"));
                }
                (Result::Skipped(_), Some(_)) => {
                    unexpected.push(format!("{name} was skipped: remove it from the table"));
                }
            }
        }
        let unknown = self.reasons.keys().filter(|name| !results.contains_key(*name));
        unexpected.extend(unknown.map(|name| format!("{name} does not exist: remove it from the table")));
        let mut lines = vec![format!("{passed:>5} passed")];
        lines.extend(
            known
                .iter()
                .map(|(why, count)| format!("{count:>5} failed as expected: {why}")),
        );
        lines.extend(
            skipped
                .iter()
                .map(|(why, count)| format!("{count:>5} skipped: {why}")),
        );
        lines.extend(unexpected.iter().map(|line| format!("      unexpected: {line}")));
        let failure = (!unexpected.is_empty())
            .then(|| format!("{} of {} tests not as expected", unexpected.len(), results.len()));
        Verdict { failure, lines }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "[[expected]]\nreason = \"no links\"\ntests = [\"link::a\", \"link::b\"]\n";

    fn judge(results: &[(&str, Result)]) -> Verdict {
        let results = results
            .iter()
            .map(|(name, result)| ((*name).to_owned(), result.clone()));
        Expected::parse(TABLE).unwrap().judge(&results.collect())
    }

    fn failed() -> Result {
        Result::Failed("EPERM".to_owned())
    }

    #[test]
    fn an_expected_failure_is_not_a_failure() {
        let verdict = judge(&[
            ("link::a", failed()),
            ("link::b", failed()),
            ("open::c", Result::Passed),
            ("open::d", Result::Skipped("needs chflags".to_owned())),
        ]);
        assert_eq!(verdict.failure, None);
        assert_eq!(
            verdict.lines,
            [
                "    1 passed",
                "    2 failed as expected: no links",
                "    1 skipped: needs chflags"
            ]
        );
    }

    #[test]
    fn an_unexpected_failure_is_reported_with_its_message() {
        let verdict = judge(&[
            ("link::a", failed()),
            ("link::b", failed()),
            ("open::c", failed()),
        ]);
        assert_eq!(verdict.failure.as_deref(), Some("1 of 3 tests not as expected"));
        assert_eq!(
            verdict.lines.last().map(String::as_str),
            Some("      unexpected: open::c failed: EPERM")
        );
    }

    #[test]
    fn a_listed_test_that_passes_is_skipped_or_is_missing_is_a_failure() {
        for result in [Some(Result::Passed), Some(Result::Skipped(String::new())), None] {
            let other = ("link::b", failed());
            let results = result
                .map(|result| ("link::a", result))
                .into_iter()
                .chain([other]);
            let verdict = judge(&results.collect::<Vec<_>>());
            assert!(
                verdict.failure.is_some()
                    && verdict
                        .lines
                        .iter()
                        .any(|line| line.ends_with("remove it from the table")),
                "{verdict:?}"
            );
        }
    }

    #[test]
    fn a_table_that_contradicts_itself_is_refused() {
        let twice = format!("{TABLE}\n[[expected]]\nreason = \"other\"\ntests = [\"link::a\"]\n");
        for bad in [
            twice.as_str(),
            "[[expected]]\nreason = \" \"\ntests = []\n",
            "[[expcted]]\n",
        ] {
            assert!(Expected::parse(bad).is_err(), "{bad}");
        }
    }
}
