//! This workspace's own suite under `cargo test` and `cargo nextest run`: both must pass on it and
//! run every test without needs, `cargo test` also the doc tests.
//!
//! The expected outcomes come from our list, so that nothing runs a third time: a runner that does
//! not know the capabilities ignores tests with needs.

use std::process::{ExitStatus, Output};
use std::time::Duration;

use anyhow::bail;

use super::outcomes::{Listed, Outcomes};
use super::{DOC_TESTS, Place, WITHOUT_DOC_TESTS, captured, cargo_command, listed, timed};
use crate::chores::limits::OUTPUT_LINES_MAX;
use cargo_universe::runner::console::Console;
use cargo_universe::workspace::metadata::Workspace;

/// Another runner.
struct Runner {
    name: &'static str,
    arguments: &'static [&'static str],
    /// The option of our list for the tests that it runs.
    listed: &'static str,
    /// The output stream that shows the outcome of each test.
    outcomes: fn(&Output, &[Listed]) -> Outcomes,
}

const CARGO_TEST: Runner = Runner {
    name: "cargo test",
    arguments: &["test", "--no-fail-fast", "--lib", "--bins", "--tests"],
    listed: WITHOUT_DOC_TESTS,
    outcomes: Outcomes::of_cargo,
};

const CARGO_DOC_TEST: Runner = Runner {
    name: "cargo test --doc",
    arguments: &["test", "--no-fail-fast", "--doc"],
    listed: DOC_TESTS,
    outcomes: Outcomes::of_cargo,
};

const NEXTEST: Runner = Runner {
    name: "cargo nextest run",
    arguments: &[
        "nextest",
        "run",
        "--no-fail-fast",
        "--color=never",
        "--status-level=all",
        "--final-status-level=none",
        "--failure-output=immediate",
        "--lib",
        "--bins",
        "--tests",
    ],
    listed: WITHOUT_DOC_TESTS,
    outcomes: |output, _| Outcomes::of_nextest(output),
};

/// Runs them, built with these features, given as `package/feature`; nextest only if it is
/// installed.
///
/// # Errors
/// When one of them fails, or does not run the tests that it should.
pub(crate) fn check(workspace: &Workspace, features: &[String]) -> anyhow::Result<()> {
    let console = Console::new();
    let mut wrong = Vec::new();
    for runner in [CARGO_TEST, CARGO_DOC_TEST] {
        wrong.extend(runs(&runner, workspace, features)?.show(&console));
    }
    let mut asked = cargo_command();
    asked.args(["nextest", "--version"]);
    if captured(asked, place(workspace)).is_ok_and(|output| output.status.success()) {
        wrong.extend(runs(&NEXTEST, workspace, features)?.show(&console));
    } else {
        console.line(&format!("{}: skipped, it is not installed", NEXTEST.name));
    }
    if wrong.is_empty() {
        return Ok(());
    }
    bail!("{}", wrong.join("\n"))
}

fn place(workspace: &Workspace) -> Place<'_> {
    Place {
        directory: &workspace.root,
        target: &workspace.target_directory,
        features: None,
    }
}

/// The result of one runner.
struct Ran {
    name: &'static str,
    status: ExitStatus,
    elapsed: Duration,
    test_count: usize,
    differences: Vec<String>,
    /// The end of its output.
    end: String,
}

fn runs(runner: &Runner, workspace: &Workspace, features: &[String]) -> anyhow::Result<Ran> {
    let listed = listed(place(workspace), runner.listed)?;
    let mut command = cargo_command();
    command.args(runner.arguments);
    command.args(["--workspace", concat!("--exclude=", env!("CARGO_PKG_NAME"))]);
    command.args(features.iter().map(|feature| format!("--features={feature}")));
    let (output, elapsed) = timed(|| captured(command, place(workspace)))?;
    let theirs = (runner.outcomes)(&output, &listed);
    Ok(Ran {
        name: runner.name,
        status: output.status,
        elapsed,
        test_count: listed.len(),
        differences: theirs.differences(&Outcomes::expected(&listed), [runner.name, "the list"]),
        end: end(&output),
    })
}

impl Ran {
    /// Prints the result, with the differences if there are any.
    fn show(self, console: &Console) -> Vec<String> {
        let (name, count, seconds) = (self.name, self.test_count, self.elapsed.as_secs_f64());
        if self.status.success() && self.differences.is_empty() {
            console.line(&format!("{name}: the same {count} tests, in {seconds:.1} s"));
            return Vec::new();
        }
        console.line(&self.end);
        let headline = format!("{name} ended with {}", self.status);
        std::iter::once(headline).chain(self.differences).collect()
    }
}

fn end(output: &Output) -> String {
    let text = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let lines: Vec<&str> = text.iter().flat_map(|text| text.lines()).collect();
    let skipped = lines.len().saturating_sub(OUTPUT_LINES_MAX);
    lines.get(skipped..).unwrap_or_default().join("\n")
}
