//! The wording of single lines of results.

use std::time::Duration;

use super::fit::{columns, cut_end, cut_name};
use super::{Paint, StatusLevel, Style};
use crate::base::failure_kind::FailureKind;
use crate::base::text::plain_line;
use crate::report::data::{Case, Failure, Outcome};

/// A line about one test, before it is fitted to a terminal.
#[derive(Debug)]
pub(super) struct Line {
    paint: Paint,
    style: Style,
    word: &'static str,
    /// `[   0.012s]`
    time: String,
    suite: String,
    name: String,
    /// Why the test did not run.
    reason: Option<String>,
}

impl Line {
    /// The line in at most `room` columns, or unchanged. It always keeps its outcome and its time,
    /// then the test's own name, then as much of the rest as there is room for. A reason for which
    /// there is no room follows as a whole, in a line of its own.
    pub(super) fn fitting(&self, room: Option<usize>) -> String {
        let Line { suite, name, .. } = self;
        let beginning = format!("{} {} ", self.paint.on(self.style, self.word), self.time);
        let reason = self
            .reason
            .as_ref()
            .map_or_else(String::new, |reason| format!(": {reason}"));
        let whole = format!("{suite} {name}{reason}");
        let room = room.map(|room| room.saturating_sub(self.word.len() + self.time.len() + 2));
        match (room, &self.reason) {
            (None, _) => format!("{beginning}{whole}"),
            (Some(room), _) if columns(&whole) <= room => format!("{beginning}{whole}"),
            (Some(room), None) => format!("{beginning}{}", cut_name(suite, name, room)),
            (Some(room), Some(reason)) => {
                format!("{beginning}{}\n  {reason}", cut_name(suite, name, room))
            }
        }
    }
}

/// `PASS [   0.012s] acme-tests::suite relay::fetch`
pub(super) fn result_line(paint: Paint, suite: &str, name: &str, case: &Case) -> Line {
    let (word, style) = word(&case.outcome);
    let reason = match &case.outcome {
        Outcome::Skipped(skip) => Some(plain_line(&skip.reason)),
        Outcome::Passed | Outcome::Failed(_) | Outcome::Errored(_) => None,
    };
    let time = match reason {
        Some(_) => format!("[ {:>8}]", ""),
        None => format!("[{:>8.3}s]", case.elapsed.as_secs_f64()),
    };
    Line {
        paint,
        style,
        word,
        time,
        suite: plain_line(suite),
        name: plain_line(name),
        reason,
    }
}

/// The outcome in four letters. What the runner could not do is a `FAIL`: the test did not die.
fn word(outcome: &Outcome) -> (&'static str, Style) {
    match outcome {
        Outcome::Passed => ("PASS", Style::Good),
        Outcome::Skipped(_) => ("SKIP", Style::Skipped),
        outcome if outcome.is_interrupted() => ("INTR", Style::Interrupted),
        Outcome::Failed(_) => ("FAIL", Style::Bad),
        Outcome::Errored(failure) => match &failure.kind {
            FailureKind::Timeout => ("TIME", Style::Bad),
            FailureKind::Leak => ("LEAK", Style::Bad),
            kind if kind.is_of_the_test() => ("DIED", Style::Bad),
            FailureKind::Lost => ("DIED", Style::Bad),
            _ => ("FAIL", Style::Bad),
        },
    }
}

/// The level at which a test has a line when it ends.
pub(super) fn level(case: &Case) -> StatusLevel {
    match case.failure() {
        Some(_) => StatusLevel::Fail,
        None if case.slow => StatusLevel::Slow,
        None => StatusLevel::Pass,
    }
}

/// Why a test failed and where, in lines of at most `room` columns; empty if it did not fail.
pub(super) fn reasons(case: &Case, room: usize) -> Vec<String> {
    let Some(failure) = case.failure() else {
        return Vec::new();
    };
    let place = place(case).map(|place| cut_end(&place, room));
    std::iter::once(cut_end(&headline(failure), room))
        .chain(place)
        .collect()
}

/// `  panic: assertion failed`
pub(super) fn headline(failure: &Failure) -> String {
    format!("  {}: {}", failure.kind, plain_line(&failure.message))
}

/// `  at tests/suite/relay.rs:12`
pub(super) fn place(case: &Case) -> Option<String> {
    let place = case.place().filter(|_| case.line.is_some());
    place.map(|place| format!("  at {}", plain_line(&place)))
}

/// `INIT [   1.203s] script database`, or `FAIL` and why
pub(super) fn script_line(paint: Paint, title: &str, elapsed: Duration, why: Option<&str>) -> String {
    let (word, why) = match why {
        None => (paint.on(Style::Good, "INIT"), String::new()),
        Some(why) => (paint.on(Style::Bad, "FAIL"), format!(": {why}")),
    };
    let title = plain_line(&format!("{title}{why}"));
    format!("{word} [{:>8.3}s] {title}", elapsed.as_secs_f64())
}

/// `SLOW [>  5.000s] acme-tests::suite relay::fetch`, for a test that is still running
pub(super) fn slow_line(paint: Paint, suite: &str, name: &str, passed: Duration) -> Line {
    Line {
        paint,
        style: Style::Skipped,
        word: "SLOW",
        time: format!("[>{:>7.3}s]", passed.as_secs_f64()),
        suite: plain_line(suite),
        name: plain_line(name),
        reason: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::text::steers;
    use crate::report::data::{Leak, Skip};
    use crate::report::examples;
    use crate::report::kinds::{LeakKind, SkipKind};

    fn line(outcome: Outcome) -> Line {
        let case = Case {
            elapsed: Duration::from_millis(1234),
            ..examples::case("b", outcome)
        };
        result_line(Paint::Plain, "p::suite", "a::b", &case)
    }

    fn errored(kind: FailureKind) -> Outcome {
        Outcome::Errored(Failure {
            kind,
            message: "why".into(),
            detail: String::new(),
        })
    }

    fn skipped() -> Outcome {
        Outcome::Skipped(Skip {
            kind: SkipKind::Ignored,
            reason: "slow one".into(),
        })
    }

    #[test]
    fn a_name_cannot_reorder_its_line() {
        let name = "a\u{202e}b\x1b]0;x\x07";
        let case = examples::case("b", Outcome::Passed);
        let line = result_line(Paint::Plain, name, name, &case).fitting(None);
        assert!(
            !line.contains(steers) && line.ends_with("a\\u{202e}b\\u{1b}]0;x\\u{7}"),
            "{line}"
        );
    }

    #[test]
    fn a_slow_test_is_reported_in_the_columns_of_the_results() {
        let line = slow_line(Paint::Plain, "p::suite", "a::b", Duration::from_secs(5));
        assert_eq!(line.fitting(None), "SLOW [>  5.000s] p::suite a::b");
    }

    #[test]
    fn lines_name_outcome_time_and_test() {
        let line = |outcome| line(outcome).fitting(None);
        assert_eq!(line(Outcome::Passed), "PASS [   1.234s] p::suite a::b");
        assert_eq!(line(skipped()), "SKIP [         ] p::suite a::b: slow one");
    }

    #[test]
    fn the_word_is_what_happened_to_the_test() {
        let words = [
            (FailureKind::Interrupted, "INTR"),
            (FailureKind::RunTimeout, "INTR"),
            (FailureKind::Timeout, "TIME"),
            (FailureKind::Leak, "LEAK"),
            (FailureKind::Signal("SIGKILL".into()), "DIED"),
            (FailureKind::Processes, "DIED"),
            (FailureKind::Lost, "DIED"),
            (FailureKind::Exec, "FAIL"),
            (FailureKind::Script, "FAIL"),
            (FailureKind::Capability("fuse".into()), "FAIL"),
        ];
        for (kind, expected) in words {
            assert_eq!(word(&errored(kind.clone())).0, expected, "{kind}");
        }
    }

    #[test]
    fn a_line_fits_and_keeps_the_tests_own_name_longer_than_the_rest() {
        let whole = line(Outcome::Passed).fitting(None);
        assert_eq!(line(Outcome::Passed).fitting(Some(80)), whole);
        for room in 0..60 {
            let shown = line(Outcome::Passed).fitting(Some(room));
            assert!(
                columns(&shown) <= room.max("PASS [   1.234s] ".len()),
                "{room}: {shown}"
            );
            assert!(room < 20 || shown.ends_with('b'), "{room}: {shown}");
        }
    }

    #[test]
    fn the_reason_of_a_skipped_test_is_never_cut() {
        let whole = "SKIP [         ] p::suite a::b: slow one";
        assert_eq!(line(skipped()).fitting(Some(whole.len())), whole);
        let shown = line(skipped()).fitting(Some(whole.len() - 1));
        assert_eq!(shown, "SKIP [         ] p::suite a::b\n  slow one");
        let shown = line(skipped()).fitting(Some(26));
        assert_eq!(shown, "SKIP [         ] p::s…::b\n  slow one");
    }

    #[test]
    fn a_failure_is_always_shown_a_slow_test_at_its_level_and_others_when_all_are() {
        let slow = Case {
            slow: true,
            ..examples::case("a", Outcome::Passed)
        };
        let leak = Case {
            leaks: vec![Leak::new(LeakKind::Process, "sleep")],
            ..examples::case("a", errored(FailureKind::Leak))
        };
        let levels = [leak, slow, examples::case("a", skipped())].map(|case| level(&case));
        assert_eq!(levels, [StatusLevel::Fail, StatusLevel::Slow, StatusLevel::Pass]);
        assert!(levels.is_sorted());
    }

    #[test]
    fn the_reason_of_a_failure_is_in_lines_that_fit() {
        let case = Case {
            file: Some("tests/a.rs".into()),
            line: Some(7),
            ..examples::case("a", examples::failed(&"no ".repeat(90)))
        };
        let lines = reasons(&case, 20);
        assert_eq!(lines, ["  panic: no no no …", "  at tests/a.rs:7"]);
        assert!(reasons(&examples::case("a", Outcome::Passed), 20).is_empty());
    }
}
