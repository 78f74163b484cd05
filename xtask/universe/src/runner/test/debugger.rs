//! `--debugger`: one test in the foreground, under a program that a person chooses.

use std::ffi::OsString;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use crate::base::exit::{Exit, Stop};
use crate::base::failure_kind::FailureKind;
use crate::base::limits::TESTS_NAMED_MAX;
use crate::base::program;
use crate::runner::execution::{Debugging, Settings};
use crate::sandbox::isolation::Isolation;
use crate::select::plan::{Decision, Plan};
use crate::select::repeat::{Goal, Repeat};

/// A program and its arguments, to which the command of the test is added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Debugger(Vec<OsString>);

impl FromStr for Debugger {
    type Err = String;

    fn from_str(text: &str) -> Result<Debugger, String> {
        let mut words = text.split_whitespace();
        let name = words
            .next()
            .ok_or("the value must be a program, perhaps with arguments")?;
        // The test runs in the directory of its package.
        let current = std::env::current_dir().map_err(|error| error.to_string())?;
        let program = program::within(&current, name);
        let directories = std::env::var_os("PATH").unwrap_or_default();
        if let Some(problem) = program::problem(Path::new(&program), &directories) {
            return Err(problem);
        }
        let arguments = words.map(OsString::from);
        Ok(Debugger(std::iter::once(program).chain(arguments).collect()))
    }
}

/// The program and its arguments.
pub(super) fn words(Debugger(words): Debugger) -> Vec<OsString> {
    words
}

/// The settings for a test that is debugged: once, for as long as the person likes.
///
/// # Errors
/// When the box is required, which has no terminal.
pub(super) fn settings(settings: Settings, isolation: Isolation) -> Result<Settings, Stop> {
    if isolation == Isolation::Box {
        let message = "`--debugger` needs the terminal, which tests in the box (`--isolate box`) do not have";
        return Err(Stop::new(Exit::Usage, FailureKind::Usage, message));
    }
    Ok(Settings {
        debugging: Debugging::Yes,
        run_timeout: Duration::MAX,
        repeat: Repeat {
            count: Some(1),
            copies: 1,
            stress: None,
            goal: Goal::Rounds,
            retries: 0,
            ..settings.repeat
        },
        ..settings
    })
}

/// Fails unless exactly one test runs.
///
/// # Errors
/// Which tests would run, or why the selected one would not.
pub(super) fn alone(plan: &Plan) -> Result<(), Stop> {
    let message = match plan.order.as_slice() {
        [_] => return Ok(()),
        [] => format!("`--debugger` runs one test, and none would run{}", why(plan)),
        several => format!(
            "`--debugger` runs one test, and {} would run: {}\n\
             hint: `--exact` takes a word as the whole name of a test",
            several.len(),
            names(plan, several)
        ),
    };
    Err(Stop::new(Exit::Usage, FailureKind::Usage, message))
}

/// Why the first selected test does not run.
fn why(plan: &Plan) -> String {
    let reasons = plan.tests.iter().filter_map(|(test, decision)| {
        let reason = match decision {
            Decision::Run => return None,
            Decision::Skip(skip) => &skip.reason,
            Decision::Fail(failure) | Decision::Reject(failure) => &failure.message,
        };
        Some(format!(": `{}`: {reason}", test.id()))
    });
    reasons.take(1).collect()
}

fn names(plan: &Plan, numbers: &[usize]) -> String {
    let named = numbers.iter().take(TESTS_NAMED_MAX);
    let mut names: Vec<String> = named
        .map(|number| format!("`{}`", plan.test(*number).id()))
        .collect();
    let more = numbers.len().saturating_sub(TESTS_NAMED_MAX);
    names.extend((more > 0).then(|| format!("and {more} more")));
    names.join(", ")
}
