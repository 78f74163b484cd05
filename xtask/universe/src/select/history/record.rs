//! One line of the history: the result of one test in one run, all its rounds and attempts
//! together.

use crate::base::failure_kind::FailureKind;
use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::report::data::{Case, Outcome, Report};

/// The version of the lines that are written; lines of other versions are skipped.
const VERSION: u32 = 1;

/// [`VERSION`] in a line. A line with another one is not a record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub(crate) struct Version;

impl TryFrom<u32> for Version {
    type Error = String;

    fn try_from(version: u32) -> Result<Version, String> {
        match version {
            VERSION => Ok(Version),
            other => Err(format!("version {other} is unknown")),
        }
    }
}

impl From<Version> for u32 {
    fn from(Version: Version) -> u32 {
        VERSION
    }
}

/// The result of a test in a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    #[serde(rename = "v")]
    pub(crate) version: Version,
    /// The id of the run; later runs have greater ones.
    pub(crate) run: String,
    /// When it began, in milliseconds since 1970: several runs may have begun in one second. 0 in
    /// older lines.
    #[serde(default)]
    pub(crate) started_ms: u64,
    /// The id of the test.
    pub(crate) test: String,
    pub(crate) verdict: Verdict,
    /// The greatest number of attempts that any round took.
    pub(crate) attempts: u32,
    pub(crate) rounds: u32,
    /// How long a round took, on average, in milliseconds.
    pub(crate) ms: u64,
}

/// How a test ended, the worst of all rounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    Passed,
    /// It passed after it had failed.
    Flaky,
    Failed,
}

impl Record {
    /// When the run began, `20261126-020115`.
    pub(super) fn second(&self) -> &str {
        self.run.rsplit_once('-').map_or(&self.run, |(second, _)| second)
    }

    /// The line, without its end.
    pub(super) fn to_line(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }

    /// Parses a line; `None` if it is incomplete or of an unknown version.
    pub(super) fn from_line(line: &str) -> Option<Record> {
        serde_json::from_str(line).ok()
    }
}

/// The records of a run, without tests that did not finish on their own.
pub(super) fn records(report: &Report) -> Vec<Record> {
    let started = report.started.duration_since(UNIX_EPOCH).unwrap_or_default();
    let started_ms = u64::try_from(started.as_millis()).unwrap_or(u64::MAX);
    let mut rounds: BTreeMap<&str, Vec<(&Case, Verdict)>> = BTreeMap::new();
    for case in report.suites.iter().flat_map(|suite| &suite.cases) {
        if let Some(verdict) = verdict(case) {
            rounds.entry(&case.id).or_default().push((case, verdict));
        }
    }
    let record = |(test, rounds): (&str, Vec<(&Case, Verdict)>)| {
        let count = u32::try_from(rounds.len()).unwrap_or(u32::MAX).max(1);
        let elapsed: Duration = rounds.iter().map(|(case, _)| case.elapsed).sum();
        let attempts = rounds.iter().map(|(case, _)| case.earlier.len() + 1).max();
        let verdict = rounds
            .iter()
            .map(|(_, verdict)| *verdict)
            .max()
            .unwrap_or(Verdict::Passed);
        Record {
            version: Version,
            run: report.run_id.clone(),
            started_ms,
            test: test.to_owned(),
            verdict,
            attempts: attempts.and_then(|count| u32::try_from(count).ok()).unwrap_or(1),
            rounds: count,
            ms: u64::try_from((elapsed / count).as_millis()).unwrap_or(u64::MAX),
        }
    };
    rounds.into_iter().map(record).collect()
}

fn verdict(case: &Case) -> Option<Verdict> {
    match &case.outcome {
        Outcome::Skipped(_) => None,
        Outcome::Failed(failure) | Outcome::Errored(failure) => {
            let says_nothing = failure.is_of_the_run()
                || matches!(
                    failure.kind,
                    FailureKind::Exec | FailureKind::Lost | FailureKind::Capability(_)
                );
            (!says_nothing).then_some(if failure.kind == FailureKind::Flaky {
                Verdict::Flaky
            } else {
                Verdict::Failed
            })
        }
        Outcome::Passed if !case.earlier.is_empty() => Some(Verdict::Flaky),
        Outcome::Passed => Some(Verdict::Passed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::data::{Failure, Skip, Suite};
    use crate::report::kinds::SkipKind;
    use crate::report::places::Places;
    use std::time::SystemTime;

    fn case(id: &str, outcome: Outcome, ms: u64) -> Case {
        Case {
            elapsed: Duration::from_millis(ms),
            ..Case::new(id.to_owned(), "c".to_owned(), "n".to_owned(), outcome)
        }
    }

    fn failed(kind: &str) -> Outcome {
        Outcome::Failed(Failure {
            kind: kind.into(),
            message: String::new(),
            detail: String::new(),
        })
    }

    fn report(cases: Vec<Case>) -> Report {
        let (started, elapsed) = (SystemTime::UNIX_EPOCH, Duration::ZERO);
        Report {
            name: String::new(),
            run_id: "r".to_owned(),
            started,
            elapsed,
            properties: vec![],
            phases: vec![],
            suites: vec![Suite {
                name: "s".to_owned(),
                started,
                elapsed,
                cases,
            }],
            setup_failure: None,
            compile_errors: vec![],
            failed_runs: vec![],
            places: Places::default(),
        }
    }

    #[test]
    fn the_rounds_of_a_test_are_one_record_and_the_worst_of_them_counts() {
        let records = records(&report(vec![
            case("a", Outcome::Passed, 10),
            case("a", failed("panic"), 30),
        ]));
        assert_eq!(records.len(), 1);
        assert_eq!(
            (records[0].verdict, records[0].rounds, records[0].ms),
            (Verdict::Failed, 2, 20)
        );
    }

    #[test]
    fn a_result_that_says_nothing_about_a_test_is_not_recorded() {
        let skip = Skip {
            kind: SkipKind::Ignored,
            reason: String::new(),
        };
        let outcomes = [
            Outcome::Skipped(skip),
            failed("interrupted"),
            failed("run-timeout"),
            failed("capability:fuse"),
        ];
        let cases = outcomes
            .into_iter()
            .map(|outcome| case("a", outcome, 1))
            .collect();
        assert_eq!(records(&report(cases)), []);
    }

    #[test]
    fn a_written_line_is_read_again_and_others_are_skipped() {
        let record = &records(&report(vec![case("a", Outcome::Passed, 10)]))[0];
        let line = record.to_line().unwrap();
        assert_eq!(
            line,
            r#"{"v":1,"run":"r","started_ms":0,"test":"a","verdict":"passed","attempts":1,"rounds":1,"ms":10}"#
        );
        assert_eq!(Record::from_line(&line).as_ref(), Some(record));
        let older = line.replace(r#""started_ms":0,"#, "");
        assert_eq!(Record::from_line(&older).as_ref(), Some(record));
        for other in ["", "{", &line[..40], &line.replace("\"v\":1", "\"v\":2"), "[1]"] {
            assert_eq!(Record::from_line(other), None, "{other}");
        }
    }
}
