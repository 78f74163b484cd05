//! The changes from one run to another: tests that newly fail, no longer fail, are new, gone,
//! slower or faster. Also whether the later run failed as a whole; without that, "nothing fails"
//! would be misleading.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use crate::base::limits::NOISE_MAX;
use crate::report::data::{Case, Outcome, Report};

/// The tests that changed, by the kind of change, each list in the order of the later run.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Diff {
    /// Why the later run failed as a whole or did not finish. Then a missing test means nothing.
    after_failed: Vec<String>,
    /// Failed in the later run and not in the earlier one, including new tests.
    newly_failing: Vec<String>,
    fixed: Vec<String>,
    still_failing: Vec<String>,
    new: Vec<String>,
    removed: Vec<String>,
    /// Ran in the earlier run but not in the later one, with the reason.
    no_longer_run: Vec<String>,
    /// Ended together with the later run, which shows nothing about them.
    interrupted: Vec<String>,
    slower: Vec<String>,
    faster: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    Passed,
    Failed,
    Skipped,
    Interrupted,
}

/// Compares. Lists times that differ by more than `ratio`.
pub(crate) fn diff(before: &Report, after: &Report, ratio: f64) -> Diff {
    let old: BTreeMap<(&str, u32), &Case> = before.cases().map(|case| (case.key(), case)).collect();
    let why = after.setup_failure.iter();
    let mut diff = Diff {
        after_failed: why
            .map(|failure| format!("{}: {}", failure.kind, failure.message))
            .collect(),
        ..Diff::default()
    };
    for case in after.cases() {
        match old.get(&case.key()) {
            Some(known) => diff.compare(known, case, ratio),
            None => diff.add(case),
        }
    }
    let new: BTreeMap<(&str, u32), &Case> = after.cases().map(|case| (case.key(), case)).collect();
    let removed = before.cases().filter(|case| !new.contains_key(&case.key()));
    diff.removed.extend(removed.map(name));
    diff
}

impl Diff {
    fn add(&mut self, case: &Case) {
        self.new.push(name(case));
        match standing(case) {
            Standing::Failed => self.newly_failing.push(with_reason(case)),
            Standing::Interrupted => self.interrupted.push(with_reason(case)),
            Standing::Passed | Standing::Skipped => {}
        }
    }

    fn compare(&mut self, before: &Case, after: &Case, ratio: f64) {
        match (standing(before), standing(after)) {
            (Standing::Failed, Standing::Failed) => self.still_failing.push(with_reason(after)),
            (_, Standing::Failed) => self.newly_failing.push(with_reason(after)),
            (_, Standing::Interrupted) => self.interrupted.push(with_reason(after)),
            (Standing::Failed, Standing::Passed) => self.fixed.push(name(after)),
            (Standing::Passed | Standing::Failed, Standing::Skipped) => {
                self.no_longer_run.push(with_reason(after))
            }
            (Standing::Passed, Standing::Passed) => self.time(before, after, ratio),
            (Standing::Skipped | Standing::Interrupted, Standing::Passed | Standing::Skipped) => {}
        }
    }

    fn time(&mut self, before: &Case, after: &Case, ratio: f64) {
        let (old, new) = (before.elapsed, after.elapsed);
        let line = format!(
            "{} ({:.3} s, was {:.3} s)",
            name(after),
            new.as_secs_f64(),
            old.as_secs_f64()
        );
        let exceeds = |long: Duration, short: Duration| {
            long >= NOISE_MAX && long.as_secs_f64() > short.as_secs_f64() * ratio
        };
        if exceeds(new, old) {
            self.slower.push(line);
        } else if exceeds(old, new) {
            self.faster.push(line);
        }
    }

    /// Whether the later run shows a failure that the earlier one does not.
    pub(crate) fn is_for_the_worse(&self) -> bool {
        !self.newly_failing.is_empty() || !self.after_failed.is_empty()
    }

    /// One section for each kind of change that occurs.
    pub(crate) fn to_text(&self) -> String {
        let sections = [
            ("the later run failed", &self.after_failed),
            ("newly failing", &self.newly_failing),
            ("fixed", &self.fixed),
            ("still failing", &self.still_failing),
            ("no longer run", &self.no_longer_run),
            ("interrupted", &self.interrupted),
            ("new", &self.new),
            ("removed", &self.removed),
            ("slower", &self.slower),
            ("faster", &self.faster),
        ];
        let mut text = String::new();
        for (title, lines) in sections.iter().filter(|(_, lines)| !lines.is_empty()) {
            // Writing to a string cannot fail.
            writeln!(text, "{title} ({}):", lines.len()).ok();
            for line in *lines {
                writeln!(text, "  {}", crate::base::text::plain_line(line)).ok();
            }
        }
        if text.is_empty() {
            text.push_str("no difference\n");
        }
        text
    }
}

fn standing(case: &Case) -> Standing {
    match case.outcome {
        _ if case.outcome.is_interrupted() => Standing::Interrupted,
        Outcome::Passed => Standing::Passed,
        Outcome::Failed(_) | Outcome::Errored(_) => Standing::Failed,
        Outcome::Skipped(_) => Standing::Skipped,
    }
}

fn name(case: &Case) -> String {
    case.title()
}

/// With the reason.
fn with_reason(case: &Case) -> String {
    let reason = match &case.outcome {
        Outcome::Failed(failure) | Outcome::Errored(failure) => &failure.message,
        Outcome::Skipped(skip) => &skip.reason,
        Outcome::Passed => return name(case),
    };
    format!("{}: {reason}", name(case))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::examples::{case, failed, interrupted, report, skipped};

    fn timed(name: &str, ms: u64) -> Case {
        Case {
            elapsed: Duration::from_millis(ms),
            ..case(name, Outcome::Passed)
        }
    }

    #[test]
    fn every_kind_of_change_is_listed_and_unchanged_tests_are_not() {
        let before = report(
            "1",
            vec![
                case("breaks", Outcome::Passed),
                case("heals", failed("no")),
                case("stays_broken", failed("no")),
                case("stays", Outcome::Passed),
                case("hides", failed("no")),
                case("goes", Outcome::Passed),
            ],
        );
        let after = report(
            "2",
            vec![
                case("breaks", failed("left: 1\nright: 2")),
                case("heals", Outcome::Passed),
                case("stays_broken", failed("no")),
                case("stays", Outcome::Passed),
                case("hides", skipped("ignored now")),
                case("comes", failed("new")),
            ],
        );
        let expected = "newly failing (2):\n  p::suite$m::breaks: left: 1 right: 2\n  p::suite$m::comes: new\n\
            fixed (1):\n  p::suite$m::heals\nstill failing (1):\n  p::suite$m::stays_broken: no\n\
            no longer run (1):\n  p::suite$m::hides: ignored now\nnew (1):\n  p::suite$m::comes\n\
            removed (1):\n  p::suite$m::goes\n";
        assert_eq!(diff(&before, &after, 1.5).to_text(), expected);
        assert_eq!(diff(&before, &before, 1.5).newly_failing, [""; 0]);
    }

    #[test]
    fn an_interrupted_test_is_not_a_failure_and_cures_none() {
        let interrupted = |name: &str| case(name, interrupted());
        let passed = |name: &str| case(name, Outcome::Passed);
        let before = report(
            "1",
            vec![
                passed("a"),
                case("b", failed("no")),
                interrupted("c"),
                interrupted("d"),
            ],
        );
        let after = ["a", "b", "e"]
            .map(interrupted)
            .into_iter()
            .chain([passed("c"), case("d", failed("no"))]);
        let diff = diff(&before, &report("2", after.collect()), 1.5);
        let of = |name: &str| format!("p::suite$m::{name}: was killed");
        assert_eq!(diff.interrupted, ["a", "b", "e"].map(of));
        assert_eq!(
            (diff.newly_failing, diff.fixed),
            (vec!["p::suite$m::d: no".to_owned()], vec![])
        );
    }

    #[test]
    fn times_are_listed_beyond_the_ratio_and_above_the_noise() {
        let before = report(
            "1",
            vec![timed("a", 100), timed("b", 100), timed("c", 1), timed("d", 300)],
        );
        let after = report(
            "2",
            vec![timed("a", 150), timed("b", 151), timed("c", 49), timed("d", 100)],
        );
        let Diff { slower, faster, .. } = diff(&before, &after, 1.5);
        assert_eq!(slower, ["p::suite$m::b (0.151 s, was 0.100 s)"]);
        assert_eq!(faster, ["p::suite$m::d (0.100 s, was 0.300 s)"]);
    }

    #[test]
    fn a_failure_of_the_later_run_as_a_whole_is_listed_first() {
        let before = report("1", vec![case("a", Outcome::Passed)]);
        let mut after = before.clone();
        after.setup_failure = failed("could not compile\n`p`").failure().cloned();
        assert_eq!(
            diff(&before, &after, 1.5).to_text(),
            "the later run failed (1):\n  panic: could not compile `p`\n"
        );
        assert!(diff(&before, &after, 1.5).is_for_the_worse());
        assert_eq!(diff(&after, &before, 1.5).to_text(), "no difference\n");
    }

    #[test]
    fn without_a_difference_it_says_so() {
        let same = report("1", vec![case("a", Outcome::Passed)]);
        assert_eq!(diff(&same, &same, 1.5).to_text(), "no difference\n");
    }
}
