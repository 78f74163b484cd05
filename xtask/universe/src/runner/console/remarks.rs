//! Remarks at the end of a run about tests that passed: flaky ones, slow ones, and those that left
//! something behind.

use super::{Paint, Style};
use crate::base::limits::CONSOLE_LEAKS_MAX;
use crate::base::text::plain_line;
use crate::report::data::{Case, Report};

/// One line for each remark, by kind.
pub(super) fn remarks(report: &Report, paint: Paint) -> Vec<String> {
    let mark = |word, rest: String| format!("{} {rest}", paint.on(Style::Skipped, word));
    let slow = report.cases().filter(|case| case.slow).map(|case| {
        let elapsed = case.elapsed.as_secs_f64();
        mark("SLOW", format!("{} took {elapsed:.3} s", name(case)))
    });
    let flaky = report.cases().filter(|case| case.is_flaky());
    let flaky = flaky.map(|case| mark("FLKY", flaky_line(case)));
    let leaks = report.cases().flat_map(leak_lines).map(|line| mark("LEAK", line));
    slow.chain(flaky).chain(leaks).collect()
}

fn name(case: &Case) -> String {
    let round = match case.round {
        1 => String::new(),
        round => format!("#{round}"),
    };
    format!("{}{round}", plain_line(&case.id).replacen('$', " ", 1))
}

/// With the reason of the first failure.
fn flaky_line(case: &Case) -> String {
    let before = case.earlier.first().and_then(|attempt| attempt.outcome.failure());
    let why = before
        .map(|failure| format!("; at first {}: {}", failure.kind, plain_line(&failure.message)))
        .unwrap_or_default();
    format!("{} passed on attempt {}{why}", name(case), case.earlier.len() + 1)
}

fn leak_lines(case: &Case) -> impl Iterator<Item = String> {
    let shown = case.leaks.iter().take(CONSOLE_LEAKS_MAX);
    let line = |leak: &crate::report::data::Leak| {
        format!(
            "{} left behind: {}: {}",
            name(case),
            leak.kind,
            plain_line(&leak.what)
        )
    };
    let more = case.leaks.len().saturating_sub(CONSOLE_LEAKS_MAX);
    let more = (more > 0).then(|| format!("{} left behind {more} more", name(case)));
    shown.map(line).chain(more).collect::<Vec<_>>().into_iter()
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
        let lines = remarks(
            &report("1", vec![flaky, leaky, case("fine", Outcome::Passed)]),
            Paint::Plain,
        );
        assert_eq!(lines.len(), 2 + CONSOLE_LEAKS_MAX + 1);
        assert_eq!(lines[0], "SLOW p::suite m::flaky took 0.010 s");
        assert_eq!(
            lines[1],
            "FLKY p::suite m::flaky passed on attempt 2; at first panic: no"
        );
        assert_eq!(
            lines[2],
            "LEAK p::suite m::leaky#2 left behind: process: sleep 5 forged line"
        );
        assert_eq!(lines[12], "LEAK p::suite m::leaky#2 left behind 2 more");
    }
}
