//! Every exit code, and the error that carries one out of a subcommand.
//!
//! The numbers are those of cargo-nextest where it has one, so that scripts need not learn new
//! ones.

use crate::base::failure_kind::FailureKind;
use std::fmt;
use std::process::ExitCode;

/// How a subcommand ended, as the shell sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All that was asked for succeeded.
    Success = 0,
    /// The command line made no sense (clap's own code).
    Usage = 2,
    /// The filters selected no test.
    NoTests = 4,
    /// What failed last time passed now; others, which did not run, have still to pass.
    Outstanding = 5,
    /// A filter could not be understood.
    BadFilter = 94,
    /// The run could not be set up: no workspace, no temporary directory, ...
    SetupFailed = 96,
    /// At least one test (or one step of `ci`) failed.
    TestsFailed = 100,
    /// The tests could not be built.
    BuildFailed = 101,
    /// A test binary could not list its tests.
    ListFailed = 104,
    /// A capability named by `--require` is missing.
    CapabilityMissing = 107,
    /// The report could not be written, or what was printed, and everything else was a success.
    ReportFailed = 110,
    /// The time limit of the whole run was reached.
    RunTimedOut = 124,
    /// SIGHUP.
    HungUp = 129,
    /// SIGINT, Ctrl-C.
    Interrupted = 130,
    /// SIGQUIT.
    Quit = 131,
    /// SIGTERM.
    Terminated = 143,
}

impl Exit {
    /// What the shell is told where something else goes wrong at the end: no failure is hidden by
    /// it.
    fn or(self, other: Exit) -> Exit {
        match self {
            Exit::Success => other,
            failure => failure,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// Why a subcommand stopped before it could do its work, with the exit code that says so.
#[derive(Debug, Clone)]
pub struct Stop {
    /// The code to exit with.
    pub(crate) exit: Exit,
    /// The kind of the failure.
    pub(crate) kind: FailureKind,
    /// What happened and what to do, for a person.
    pub(crate) message: String,
    /// What a program said that was run for us; may be empty.
    pub detail: String,
}

impl Stop {
    /// A stop without the output of another program.
    pub fn new(exit: Exit, kind: FailureKind, message: impl Into<String>) -> Self {
        Stop {
            exit,
            kind,
            message: message.into(),
            detail: String::new(),
        }
    }

    /// The same at the end of what would else have exited with `exit`.
    pub(crate) fn after(self, exit: Exit) -> Self {
        let exit = exit.or(self.exit);
        Stop { exit, ..self }
    }
}

// The only error type of its own: a crate that derives these lines is built before anything else
// can be.
impl std::error::Error for Stop {}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// What could not be set up, with all its causes.
impl From<anyhow::Error> for Stop {
    fn from(error: anyhow::Error) -> Self {
        Stop::new(Exit::SetupFailed, FailureKind::Setup, format!("{error:#}"))
    }
}
