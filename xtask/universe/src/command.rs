//! The subcommands as one enum, and the `main` of a program that has them.

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser;

use crate::base::exit::{Exit, Stop};
use crate::base::invocation::Invocation;
use crate::base::{disarm, os, text, variables};
use crate::machine::capability;
use crate::runner::{archive, completions, doctor, init, libtest_words, list, report, sweep, test};

/// The subcommands of the runner, for flattening into those of a program.
#[derive(Debug, clap::Subcommand)]
#[expect(
    missing_docs,
    reason = "the help of each subcommand is the text of its arguments"
)]
pub enum Command {
    Test(Box<test::Args>),
    Report(report::Args),
    Sweep(sweep::Args),
    Completions(completions::Args),
    List(Box<list::Args>),
    Doctor(doctor::Args),
    Init(init::Args),
    Archive(Box<archive::Args>),
}

impl Command {
    /// Runs the subcommand. `P` is the whole command line of the program, for shell completion.
    ///
    /// # Errors
    /// When there is neither a run nor a report. The error carries the exit code.
    pub fn run<P: Parser>(self) -> anyhow::Result<ExitCode> {
        match self {
            Command::Test(args) => test::run(&args, &words_of_the_subcommand()?),
            Command::Report(args) => report::run(&args),
            Command::Sweep(args) => sweep::run(&args),
            Command::Completions(args) => completions::run(&args, P::command()),
            Command::List(args) => list::run(&args),
            Command::Doctor(args) => doctor::run(&args),
            Command::Init(args) => init::run(&args),
            Command::Archive(args) => archive::run(&args),
        }
    }
}

/// The command line after the name of the subcommand.
fn words_of_the_subcommand() -> Result<Vec<OsString>, Stop> {
    let words = libtest_words::translated(Invocation::current().words())?;
    Ok(words.into_iter().skip(2).collect())
}

/// The `main` of a program with the subcommands `P`: parses the command line, runs the subcommand,
/// prints an error, and returns the exit code. The program must call it first, because the runner's
/// helpers are the same program.
pub fn main<P: Parser>(invocation: Invocation, run: impl FnOnce(P) -> anyhow::Result<ExitCode>) -> ExitCode {
    os::reset_signals();
    #[cfg(target_os = "linux")]
    if let Some(code) = crate::sandbox::linux::run_if_asked() {
        return code;
    }
    if let Some(code) = capability::run_if_asked() {
        return code;
    }
    if let Some(code) = crate::workspace::cargo::doc_tests::run_if_asked() {
        return code;
    }
    if let Some(code) = crate::runner::execution::setup_scripts::helper::run_if_asked() {
        return code;
    }
    invocation.set();
    let words = libtest_words::translated(invocation.words()).map_err(anyhow::Error::from);
    let ended = words.and_then(|words| run(variables::parse(&words)));
    ended.unwrap_or_else(|error| {
        // If standard error is closed, there is no way to report the error.
        let message = text::plain_text(format!("error: {error:#}").as_bytes());
        writeln!(std::io::stderr(), "{}", disarm::disarmed(&message)).ok();
        error
            .downcast_ref::<Stop>()
            .map_or(Exit::SetupFailed, |stop| stop.exit)
            .into()
    })
}
