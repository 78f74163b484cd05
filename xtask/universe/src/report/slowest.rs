//! The slowest tests, all attempts together.

use std::fmt::Write as _;
use std::time::Duration;

use crate::report::data::{Case, Outcome, Report};

/// The `count` slowest tests that ran, slowest first, with their times.
pub(crate) fn slowest(report: &Report, count: usize) -> Vec<(&Case, Duration)> {
    let ran = report
        .cases()
        .filter(|case| !matches!(case.outcome, Outcome::Skipped(_)));
    let mut timed: Vec<(&Case, Duration)> = ran.map(|case| (case, total(case))).collect();
    timed.sort_by_key(|&(_, elapsed)| std::cmp::Reverse(elapsed));
    timed.truncate(count);
    timed
}

fn total(case: &Case) -> Duration {
    let earlier: Duration = case.earlier.iter().map(|attempt| attempt.elapsed).sum();
    earlier + case.elapsed
}

/// One line for each.
pub(crate) fn to_text(report: &Report, count: usize) -> String {
    let mut text = String::new();
    for (case, elapsed) in slowest(report, count) {
        let attempts = match case.earlier.len() {
            0 => String::new(),
            earlier => format!(" ({} attempts)", earlier + 1),
        };
        // Writing to a string cannot fail.
        writeln!(
            text,
            "{:>9.3}s  {}{attempts}",
            elapsed.as_secs_f64(),
            crate::base::text::plain_line(&case.title())
        )
        .ok();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::examples::{attempt, case, failed, report, skipped};

    #[test]
    fn the_slowest_come_first_with_all_attempts_and_without_tests_that_did_not_run() {
        let timed = |name, ms| Case {
            elapsed: Duration::from_millis(ms),
            ..case(name, Outcome::Passed)
        };
        let mut flaky = timed("flaky", 10);
        flaky.earlier = vec![attempt(failed("no"), Duration::from_millis(500))];
        let cases = vec![timed("a", 100), flaky, timed("b", 200), case("s", skipped("x"))];
        assert_eq!(
            to_text(&report("1", cases), 2),
            "    0.510s  p::suite$m::flaky (2 attempts)\n    0.200s  p::suite$m::b\n"
        );
    }
}
