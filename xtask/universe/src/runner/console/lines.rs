//! The wording of single lines of results.

use crate::base::failure_kind::FailureKind;
use std::time::Duration;

use super::{Paint, Style};
use crate::base::text::plain_line;
use crate::report::data::Outcome;

/// `PASS [   0.012s] acme-tests::suite relay::fetch`
pub(super) fn result_line(
    paint: Paint,
    suite: &str,
    name: &str,
    outcome: &Outcome,
    elapsed: Duration,
) -> String {
    let (suite, name) = (plain_line(suite), plain_line(name));
    let (word, style) = match outcome {
        Outcome::Passed => ("PASS", Style::Good),
        outcome if outcome.is_interrupted() => ("INTR", Style::Interrupted),
        Outcome::Failed(_) => ("FAIL", Style::Bad),
        Outcome::Errored(failure) if failure.kind == FailureKind::Timeout => ("TIME", Style::Bad),
        Outcome::Errored(_) => ("DIED", Style::Bad),
        Outcome::Skipped(_) => ("SKIP", Style::Skipped),
    };
    let line = format!(
        "{} [{:>8.3}s] {suite} {name}",
        paint.on(style, word),
        elapsed.as_secs_f64()
    );
    match outcome {
        Outcome::Passed | Outcome::Failed(_) | Outcome::Errored(_) => line,
        Outcome::Skipped(skip) => {
            format!(
                "{} [ {:>8}] {suite} {name}: {}",
                paint.on(style, word),
                "",
                plain_line(&skip.reason)
            )
        }
    }
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
pub(super) fn slow_line(paint: Paint, suite: &str, name: &str, passed: Duration) -> String {
    let word = paint.on(Style::Skipped, "SLOW");
    format!("{word} [>{:>7.3}s] {suite} {name}", passed.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::failure_kind::FailureKind;
    use crate::base::text::steers;
    use crate::report::data::{Failure, Skip};
    use crate::report::kinds::SkipKind;

    #[test]
    fn a_name_cannot_reorder_its_line() {
        let name = "a\u{202e}b\x1b]0;x\x07";
        let line = result_line(Paint::Plain, name, name, &Outcome::Passed, Duration::ZERO);
        assert!(
            !line.contains(steers) && line.ends_with("a\\u{202e}b\\u{1b}]0;x\\u{7}"),
            "{line}"
        );
    }

    #[test]
    fn a_slow_test_is_reported_in_the_columns_of_the_results() {
        let line = slow_line(Paint::Plain, "p::suite", "a::b", Duration::from_secs(5));
        assert_eq!(line, "SLOW [>  5.000s] p::suite a::b");
    }

    #[test]
    fn lines_name_outcome_time_and_test() {
        let line = |outcome| {
            result_line(
                Paint::Plain,
                "p::suite",
                "a::b",
                &outcome,
                Duration::from_millis(1234),
            )
        };
        assert_eq!(line(Outcome::Passed), "PASS [   1.234s] p::suite a::b");
        let skip = Skip {
            kind: SkipKind::Ignored,
            reason: "slow one".into(),
        };
        assert_eq!(
            line(Outcome::Skipped(skip)),
            "SKIP [         ] p::suite a::b: slow one"
        );
        let interrupted = Failure {
            kind: FailureKind::Interrupted,
            message: "was killed".into(),
            detail: String::new(),
        };
        assert_eq!(
            line(Outcome::Errored(interrupted)),
            "INTR [   1.234s] p::suite a::b"
        );
    }
}
