//! Remarks at the end of a run about tests: slow ones, flaky ones, and those that left something
//! behind.

use super::fit::{columns, cut_name};
use super::{Paint, Style};
use crate::base::failure_kind::FailureKind;
use crate::base::limits::CONSOLE_LEAKS_MAX;
use crate::base::text::plain_line;
use crate::report::data::{Case, Report};

/// The lines of all remarks, by kind. A line about a test is at most `room` columns wide.
pub(super) fn remarks(report: &Report, paint: Paint, room: Option<usize>) -> Vec<String> {
    let mark = |word: &str, case: &Case, rest: &str| {
        let room = room.map(|room| room.saturating_sub(word.len() + " ".len() + columns(rest)));
        format!("{} {}{rest}", paint.on(Style::Skipped, word), name(case, room))
    };
    let slow = report.cases().filter(|case| case.slow).map(|case| {
        let elapsed = case.elapsed.as_secs_f64();
        mark("SLOW", case, &format!(" took {elapsed:.3} s"))
    });
    let flaky = report.cases().filter(|case| case.is_flaky()).map(|case| {
        let passed = format!(" passed on attempt {}", case.earlier.len() + 1);
        let why = first_failure(case);
        let whole = mark(
            "FLKY",
            case,
            &format!("{passed}{}", why.replacen("\n  ", "; ", 1)),
        );
        match room.is_none_or(|room| columns(&whole) <= room) {
            true => whole,
            false => format!("{}{why}", mark("FLKY", case, &passed)),
        }
    });
    let leaks = report.cases().filter(|case| !is_shown_as_a_failure(case));
    let leaks = leaks.filter_map(|case| Some(format!("{}{}", mark("LEAK", case, ""), leak_lines(case)?)));
    slow.chain(flaky).chain(leaks).collect()
}

/// Whether the lines of a failure name the leaks of this test.
fn is_shown_as_a_failure(case: &Case) -> bool {
    case.failure()
        .is_some_and(|failure| failure.kind == FailureKind::Leak)
}

/// The test and its round, where it is not the first.
fn name(case: &Case, room: Option<usize>) -> String {
    let round = match case.round {
        1 => String::new(),
        round => format!("#{round}"),
    };
    let id = plain_line(&case.id);
    let (suite, test) = id.split_once('$').unwrap_or((&id, ""));
    let test = format!("{test}{round}");
    match room {
        Some(room) => cut_name(suite, &test, room),
        None => format!("{suite} {test}"),
    }
}

/// The reason of the first failure, in a line of its own; empty if it is unknown.
fn first_failure(case: &Case) -> String {
    let before = case.earlier.first().and_then(|attempt| attempt.outcome.failure());
    before
        .map(|failure| format!("\n  at first {}: {}", failure.kind, plain_line(&failure.message)))
        .unwrap_or_default()
}

/// A line for each leak; `None` if there is none.
fn leak_lines(case: &Case) -> Option<String> {
    let shown = case.leaks.iter().take(CONSOLE_LEAKS_MAX);
    let line = |leak: &crate::report::data::Leak| {
        format!("\n  left behind: {}: {}", leak.kind, plain_line(&leak.what))
    };
    let more = case.leaks.len().saturating_sub(CONSOLE_LEAKS_MAX);
    let more = (more > 0).then(|| format!("\n  left behind: {more} more"));
    (!case.leaks.is_empty()).then(|| shown.map(line).chain(more).collect())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::report::data::{Leak, Outcome};
    use crate::report::examples::{attempt, case, failed, report};
    use crate::report::kinds::LeakKind;

    #[test]
    fn slow_and_flaky_tests_and_leaks_have_lines_that_do_nothing_to_a_terminal() {
        let leak = |what: &str| Leak {
            kind: LeakKind::Process,
            what: what.into(),
        };
        let flaky = Case {
            earlier: vec![attempt(failed("no\x1b[2J"), Duration::from_millis(1))],
            slow: true,
            ..case("flaky", Outcome::Passed)
        };
        let leaky = Case {
            leaks: vec![leak("sleep\x1b[31m 5\nforged line"); CONSOLE_LEAKS_MAX + 2],
            round: 2,
            ..case("leaky", Outcome::Passed)
        };
        let report = report("1", vec![flaky, leaky, case("fine", Outcome::Passed)]);
        let lines = remarks(&report, Paint::Plain, None);
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[0], "SLOW p::suite m::flaky took 0.010 s");
        assert_eq!(
            lines[1],
            "FLKY p::suite m::flaky passed on attempt 2; at first panic: no"
        );
        let leaks: Vec<&str> = lines[2].lines().collect();
        assert_eq!(leaks.len(), 1 + CONSOLE_LEAKS_MAX + 1);
        assert_eq!(leaks[0], "LEAK p::suite m::leaky#2");
        assert_eq!(leaks[1], "  left behind: process: sleep 5 forged line");
        assert_eq!(leaks[11], "  left behind: 2 more");
        let narrow = remarks(&report, Paint::Plain, Some(36));
        assert_eq!(narrow[0], "SLOW p::suite m::flaky took 0.010 s");
        assert_eq!(
            narrow[1],
            "FLKY p::s…flaky passed on attempt 2\n  at first panic: no"
        );
        let narrower = remarks(&report, Paint::Plain, Some(30));
        assert_eq!(narrower[0], "SLOW p::su…flaky took 0.010 s");
    }

    #[test]
    fn leaks_that_failed_their_test_are_no_remark_beside_the_failure() {
        let leaked = Outcome::Errored(crate::report::data::Failure {
            kind: FailureKind::Leak,
            message: "left behind: process: a".into(),
            detail: String::new(),
        });
        let leaky = Case {
            leaks: vec![Leak::new(LeakKind::Process, "a")],
            ..case("leaky", leaked)
        };
        assert!(remarks(&report("1", vec![leaky]), Paint::Plain, None).is_empty());
    }
}
