//! The end of a run on the console: skips with their reasons, remarks, failures with all helpful
//! details, and the counts.

use crate::base::failure_kind::FailureKind;
use crate::base::limits::{CONSOLE_LINE_LEN_MAX, CONSOLE_LINES_MAX};
use std::borrow::Cow;
use std::time::Duration;

use super::backtrace::{Row, folded};
use super::lines::{headline, place, result_line};
use super::remarks::remarks;
use super::repeated::{self, Shown};
use super::{Console, StatusLevel, Style};
use crate::base::text::{counted, plain_line, plain_text, word_of_shell};
use crate::base::truncation;
use crate::report::counts::Counts;
use crate::report::data::{Case, Failure, Outcome, Report, Skip, Suite};
use crate::report::kinds::SkipKind;
use crate::runner::execution::{origin, unreached};

/// What the end of a run shows besides the report.
#[derive(Debug)]
pub struct Summary<'a> {
    /// The report to print.
    pub report: &'a Report,
    /// Notes about the run as a whole, one line each.
    pub notes: Vec<String>,
    /// The command that reruns a test when its id is appended: `cargo universe test`. `None` if it
    /// cannot be typed.
    pub rerun: Option<String>,
}

impl Summary<'_> {
    /// Prints everything; the last line is the counts and nothing else.
    pub fn print(&self, console: &Console) {
        self.print_skips(console);
        remarks(self.report, console.paint(), console.room())
            .iter()
            .for_each(|line| console.line(line));
        for shown in repeated::failures(self.cases()) {
            match shown {
                Shown::Whole(suite, case) => self.print_failure(console, suite, case),
                Shown::Others(case, rounds) => {
                    console.line(&format!("\n{}", repeated::line(case, &rounds)));
                }
            }
        }
        if let Some(failure) = &self.report.setup_failure {
            let headline = format!(
                "{}: {}",
                console.paint().on(Style::Bad, &failure.kind.name()),
                plain_text(failure.message.as_bytes())
            );
            console.line(&format!("\n{headline}"));
        }
        console.line("");
        self.notes.iter().for_each(|note| console.line(note));
        let interrupted = self.report.cases().filter(|case| case.outcome.is_interrupted());
        let interrupted = interrupted.count();
        if interrupted > 0 {
            console.line(&format!("interrupted: {interrupted} of the failed tests"));
        }
        let Counts {
            passed,
            failed,
            skipped,
        } = Counts::of(self.report);
        console.line(&format!("{passed} passed, {failed} failed, {skipped} skipped"));
    }

    fn cases(&self) -> impl Iterator<Item = (&Suite, &Case)> {
        self.report
            .suites
            .iter()
            .flat_map(|suite| suite.cases.iter().map(move |case| (suite, case)))
    }

    /// A line for each skipped test, or, below the level that shows all tests, for each reason.
    /// Tests that the run did not reach always share a line.
    fn print_skips(&self, console: &Console) {
        let mut shared: Vec<(&Skip, Vec<(&Suite, &Case)>)> = Vec::new();
        for (suite, case) in self.cases() {
            let Outcome::Skipped(skip) = &case.outcome else {
                continue;
            };
            let mut known = shared.iter_mut();
            match known.find(|(known, _)| known.reason == skip.reason && known.kind == skip.kind) {
                _ if console.shows(StatusLevel::Pass) && skip.kind != SkipKind::Interrupted => {
                    print_skip(console, suite, case);
                }
                Some((_, cases)) => cases.push((suite, case)),
                None => shared.push((skip, vec![(suite, case)])),
            }
        }
        for (skip, cases) in shared {
            let reason = plain_line(&skip.reason);
            match cases.as_slice() {
                cases if skip.kind == SkipKind::Interrupted => {
                    console.line(&format!("{} not run: {reason}", cases.len()));
                }
                [(suite, case)] => print_skip(console, suite, case),
                cases => {
                    let word = console.paint().on(Style::Skipped, "SKIP");
                    console.line(&format!("{word} {} tests: {reason}", cases.len()));
                }
            }
        }
    }

    fn print_failure(&self, console: &Console, suite: &Suite, case: &Case) {
        let (Outcome::Failed(failure) | Outcome::Errored(failure)) = &case.outcome else {
            return;
        };
        let name = path(case);
        let line = result_line(console.paint(), &suite.name, &name, case).fitting(console.room());
        console.line(&format!("\n{}", console.paint().on(Style::Bold, &line)));
        console.line(&headline(failure));
        place(case).iter().for_each(|place| console.line(place));
        detail(failure).for_each(|line| console.line(&format!("  {}", plain_line(line))));
        print_output(console, "stdout", &case.stdout);
        print_output(console, "stderr", &case.stderr);
        if let (Some(rerun), Some(id)) = (&self.rerun, selecting(case)) {
            console.line(&format!("  rerun: {rerun} {id}"));
        }
    }
}

/// The lines of a failure's detail that are not shown elsewhere: the text of a panic is in the
/// test's stderr.
fn detail(failure: &Failure) -> impl Iterator<Item = &str> {
    let added = [
        "kept: ",
        "history: ",
        "no room: ",
        unreached::BEGINNING,
        origin::BEGINNING,
    ];
    let is_added = move |line: &str| added.iter().any(|beginning| line.starts_with(beginning));
    failure
        .detail
        .lines()
        .filter(move |line| failure.kind != FailureKind::Panic || is_added(line))
}

/// `module::function`, and the round where it is not the first.
fn path(case: &Case) -> Cow<'_, str> {
    match case.round {
        1 => case.path().into(),
        round => format!("{}#{round}", case.path()).into(),
    }
}

fn print_skip(console: &Console, suite: &Suite, case: &Case) {
    let line = result_line(console.paint(), &suite.name, &path(case), case);
    console.line(&line.fitting(console.room()));
}

fn print_output(console: &Console, name: &str, bytes: &[u8]) {
    let text = plain_text(bytes);
    let text = text.trim_matches('\n');
    if text.trim().is_empty() {
        return;
    }
    console.line(&format!(
        "  {}",
        console.paint().on(Style::Faint, &format!("--- {name}"))
    ));
    for line in shown(text) {
        console.line(&format!("  {line}"));
    }
}

/// The lines of an output, with folded backtraces. Of a long one, the first and the last lines, and
/// the amount left out between them: in bytes if the runner already left out some when it read the
/// output, which it counts in bytes.
fn shown(text: &str) -> Vec<String> {
    let short =
        |rows: &[Row<'_>]| -> Vec<String> { rows.iter().map(|row| short(&row.text).into_owned()).collect() };
    let rows = folded(text);
    if rows.len() <= CONSOLE_LINES_MAX {
        return short(&rows);
    }
    let half = CONSOLE_LINES_MAX / 2;
    let parts = truncation::parts(text);
    let (before, after) = match parts.left_out {
        0 => {
            let (before, after) = rows.split_at(half);
            (before.to_vec(), after.to_vec())
        }
        _ => (folded(parts.before), folded(parts.after)),
    };
    let (head, rest) = before.split_at(half.min(before.len()));
    let (more, tail) = after.split_at(after.len().saturating_sub(half));
    let omitted = || rest.iter().chain(more);
    let left_out = match parts.left_out {
        0 => counted(omitted().map(|row| row.lines).sum(), "line", "lines"),
        bytes => format!(
            "{} bytes",
            bytes.saturating_add(omitted().map(|row| row.len as u64).sum())
        ),
    };
    [
        short(head),
        vec![format!("[... {left_out} left out ...]")],
        short(tail),
    ]
    .concat()
}

fn short(line: &str) -> Cow<'_, str> {
    match line.char_indices().nth(CONSOLE_LINE_LEN_MAX) {
        Some((end, _)) => format!("{}… ({} bytes)", line.get(..end).unwrap_or_default(), line.len()).into(),
        None => line.into(),
    }
}

/// The filter that selects this test and no other, if one exists that can be shown and typed.
fn selecting(case: &Case) -> Option<String> {
    word_of_shell(&case.id).filter(|_| !case.path().is_empty())
}

/// How long the run took, and its parts that a person can do something about.
pub(crate) fn took(report: &Report) -> String {
    let of = |name: &str| -> Duration {
        let phases = report.phases.iter().filter(|phase| phase.name == name);
        phases.map(|phase| phase.elapsed).sum()
    };
    let parts = [("build", of("build")), ("tests", of("tests"))].into_iter();
    let parts = parts.filter(|(_, elapsed)| !elapsed.is_zero());
    let parts: Vec<String> = parts
        .map(|(name, elapsed)| format!("{name} {:.2} s", elapsed.as_secs_f64()))
        .collect();
    let whole = format!("run {} took {:.2} s", report.run_id, report.elapsed.as_secs_f64());
    match parts.as_slice() {
        [] => whole,
        parts => format!("{whole}: {}", parts.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::data::Phase;
    use crate::report::examples;

    #[test]
    fn the_time_of_a_run_names_the_build_and_the_tests() {
        let mut report = examples::report("7", Vec::new());
        report.elapsed = Duration::from_millis(71_710);
        report.phases.clear();
        assert_eq!(took(&report), "run 7 took 71.71 s");
        let phase = |name: &str, ms| Phase {
            name: name.to_owned(),
            after: Duration::ZERO,
            elapsed: Duration::from_millis(ms),
        };
        report.phases = vec![phase("probe", 10), phase("build", 71_200), phase("tests", 410)];
        assert_eq!(took(&report), "run 7 took 71.71 s: build 71.20 s, tests 0.41 s");
    }

    #[test]
    fn a_case_is_named_as_libtest_names_it_and_by_its_round() {
        let mut case = examples::case("f", Outcome::Passed);
        assert_eq!(path(&case), "m::f");
        case.round = 2;
        assert_eq!(path(&case), "m::f#2");
    }

    #[test]
    fn long_output_is_shown_with_both_ends_and_the_missing_amount() {
        let lines =
            |range: std::ops::Range<u32>| -> String { range.map(|n| format!("line {n:03}\n")).collect() };
        let marks = |text: &str| {
            let shown = shown(text.trim_matches('\n'));
            let marks = shown.iter().filter(|line| line.starts_with("[...")).cloned();
            (shown.len(), marks.collect::<Vec<_>>())
        };
        assert_eq!(marks(&lines(0..60)), (60, vec![]));
        let left_out = |count| vec![format!("[... {count} left out ...]")];
        assert_eq!(marks(&lines(0..61)), (61, left_out("1 line")));
        assert_eq!(marks(&lines(0..63)), (61, left_out("3 lines")));
        let twice = format!("{}{}{}", lines(0..40), truncation::mark(1_000_000), lines(0..40));
        let expected = "[... 1000180 bytes left out ...]".to_owned();
        assert_eq!(marks(&twice), (61, vec![expected]));
    }

    #[test]
    fn a_test_that_no_filter_selects_has_no_rerun_command() {
        let selecting = |id: &str| {
            let case = Case::new(id.into(), "c".into(), "f".into(), Outcome::Passed);
            selecting(&case)
        };
        assert_eq!(selecting("p::s$m::f").as_deref(), Some("'p::s$m::f'"));
        assert_eq!(selecting("p::s$it's a b").as_deref(), Some(r"'p::s$it'\''s a b'"));
        for id in ["p::s$", "p::s$a\nb", "p::s$a\u{1b}[1mb", "p::s$a\u{202e}b"] {
            assert_eq!(selecting(id), None, "{id:?}");
        }
    }
}
