//! The verdict on a test, from how its run ended and from the events of that run. Pure.

use std::collections::BTreeMap;
use std::process::Output;
use std::time::Duration;

use serde::Deserialize;

use super::patch::TestId;
use cargo_universe::base::exit::Exit;
use cargo_universe::report::data::{Case, Outcome};

/// The result of a test on a mutation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It failed, so it detects the mutation.
    Red,
    /// It passed, so it misses the mutation.
    Green,
    /// It could not run on this machine, with the reason.
    Skipped(String),
    /// The mutation proves nothing, because it does not build or names no existing test, with the
    /// reason.
    Broken(String),
    /// Not run, with `--check`: the patch applies and the test exists.
    Sound,
}

/// A finished run of some tests.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) output: Output,
    /// The result of each test, by its id.
    cases: BTreeMap<String, Case>,
}

/// The part of an event that matters here.
#[derive(Deserialize)]
struct Event {
    case: Option<Case>,
}

impl Ran {
    /// A run with these events, one JSON object per line.
    pub(super) fn new(output: Output, events: &str) -> Ran {
        let events = events
            .lines()
            .filter_map(|line| serde_json::from_str::<Event>(line).ok());
        // The last event about a test has its result.
        let cases = events.filter_map(|event| event.case);
        Ran {
            output,
            cases: cases.map(|case| (case.id.clone(), case)).collect(),
        }
    }

    /// Whether the run ended in this way.
    pub(super) fn is(&self, exit: Exit) -> bool {
        self.output.status.code() == Some(exit as i32)
    }

    /// How many tests have a result.
    pub(super) fn count(&self) -> usize {
        self.cases.len()
    }

    /// Whether any test could not run.
    pub(super) fn has_skipped(&self) -> bool {
        let is_skipped = |case: &Case| matches!(case.outcome, Outcome::Skipped(_));
        self.cases.values().any(is_skipped)
    }

    /// How long this test ran.
    pub(super) fn elapsed(&self, test: &TestId) -> Duration {
        self.cases
            .get(&test.to_string())
            .map_or(Duration::ZERO, |case| case.elapsed)
    }

    /// The verdict on this test.
    pub(super) fn verdict(&self, test: &TestId) -> Verdict {
        if self.is(Exit::BuildFailed) {
            return Verdict::Broken(format!("it does not build: {}", self.first_error()));
        }
        let case = self.cases.get(&test.to_string());
        let has_ended = self.is(Exit::TestsFailed) || self.is(Exit::Success);
        match case.filter(|_| has_ended).map(|case| &case.outcome) {
            Some(Outcome::Failed(_) | Outcome::Errored(_)) => Verdict::Red,
            Some(Outcome::Passed) => Verdict::Green,
            Some(Outcome::Skipped(skip)) => Verdict::Skipped(skip.reason.clone()),
            None => Verdict::Broken(format!(
                "the run ended with {}: {}",
                self.output.status,
                self.first_error()
            )),
        }
    }

    fn first_error(&self) -> String {
        let text = String::from_utf8_lossy(&self.output.stderr);
        let line = text
            .lines()
            .find(|line| line.starts_with("error"))
            .or_else(|| text.lines().next_back());
        line.unwrap_or("it printed nothing").to_owned()
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    /// A run that ended so and wrote these events about the test `p::b$t`.
    fn ran(exit: Exit, outcomes: &[&str], stderr: &str) -> Ran {
        let event = |outcome: &&str| {
            format!(
                "{{\"v\":1,\"type\":\"finish\",\"case\":{{\"id\":\"p::b$t\",\"round\":1,\"classname\":\"p.b\",\
                 \"name\":\"t\",\"elapsed_ns\":5,\"outcome\":{outcome}}}}}\n"
            )
        };
        let output = Output {
            status: std::process::ExitStatus::from_raw((exit as i32) << 8),
            stdout: Vec::new(),
            stderr: stderr.into(),
        };
        let events: String = outcomes.iter().map(event).collect();
        Ran::new(output, &format!("{{\"v\":1,\"type\":\"run-start\"}}\n{events}"))
    }

    fn verdict(ran: &Ran) -> Verdict {
        ran.verdict(&test("t"))
    }

    fn test(name: &str) -> TestId {
        TestId {
            package: "p".to_owned(),
            target: "b".to_owned(),
            name: name.to_owned(),
        }
    }

    const PASSED: &str = r#"{"status":"passed"}"#;
    const FAILED: &str = r#"{"status":"failed","kind":"panic","message":"m","detail":""}"#;
    const SKIPPED: &str = r#"{"status":"skipped","kind":"needs","reason":"needs fuse: no device"}"#;

    #[test]
    fn a_failed_test_is_red_and_a_passed_one_is_green() {
        assert_eq!(verdict(&ran(Exit::TestsFailed, &[FAILED], "")), Verdict::Red);
        let ran = ran(Exit::Success, &[PASSED], "");
        assert_eq!((verdict(&ran), ran.count()), (Verdict::Green, 1));
        let other = ran.verdict(&test("other"));
        assert!(matches!(other, Verdict::Broken(_)), "{other:?}");
    }

    #[test]
    fn beside_a_failed_test_another_one_may_be_green() {
        assert_eq!(verdict(&ran(Exit::TestsFailed, &[PASSED], "")), Verdict::Green);
    }

    #[test]
    fn the_last_event_about_a_test_counts() {
        let ran = ran(Exit::TestsFailed, &[SKIPPED, FAILED], "");
        assert_eq!((verdict(&ran), ran.has_skipped()), (Verdict::Red, false));
    }

    #[test]
    fn a_skip_is_neither_red_nor_green_and_keeps_its_reason() {
        let ran = ran(Exit::Success, &[SKIPPED], "");
        assert_eq!(
            (verdict(&ran), ran.has_skipped()),
            (Verdict::Skipped("needs fuse: no device".into()), true)
        );
    }

    #[test]
    fn a_mutation_that_does_not_build_is_broken_and_not_red() {
        let stderr = "warning: x\nerror[E0308]: mismatched\n";
        assert_eq!(
            verdict(&ran(Exit::BuildFailed, &[FAILED], stderr)),
            Verdict::Broken("it does not build: error[E0308]: mismatched".into())
        );
    }

    #[test]
    fn a_run_without_the_test_or_without_an_end_is_broken() {
        for (exit, outcomes) in [
            (Exit::NoTests, &[][..]),
            (Exit::Success, &[]),
            (Exit::Interrupted, &[FAILED]),
            (Exit::RunTimedOut, &[PASSED]),
        ] {
            let verdict = verdict(&ran(exit, outcomes, ""));
            assert!(matches!(verdict, Verdict::Broken(_)), "{verdict:?}");
        }
    }
}
