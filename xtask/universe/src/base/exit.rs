//! Every exit code, and the error that carries one out of a subcommand.
//!
//! A number is that of cargo-nextest where cargo-nextest has one, so that scripts need no change.

use crate::base::compile_error::CompileError;
use crate::base::failure_kind::FailureKind;
use std::fmt;
use std::process::ExitCode;

/// How a subcommand ended, as an exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Everything that was requested succeeded.
    Success = 0,
    /// The command line is invalid (clap's own code).
    Usage = 2,
    /// The filters selected no test.
    NoTests = 4,
    /// All rerun tests passed; other tests have yet to pass and did not run.
    Outstanding = 5,
    /// A filter is invalid.
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
    /// The report or the requested output could not be written; everything else succeeded.
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
    /// The exit code if `other` happens at the end. An earlier failure keeps its code.
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
    /// The problem and what to do about it, for a person.
    pub(crate) message: String,
    /// The output of a program that we ran; may be empty.
    pub detail: String,
    /// What the compiler reported, where it was a build.
    pub(crate) compile_errors: Vec<CompileError>,
}

impl Stop {
    /// A stop without the output of another program.
    pub fn new(exit: Exit, kind: FailureKind, message: impl Into<String>) -> Self {
        Stop {
            exit,
            kind,
            message: message.into(),
            detail: String::new(),
            compile_errors: Vec::new(),
        }
    }

    /// The same stop with a last line that says what a person can do.
    pub(crate) fn with_hint(mut self, hint: &str) -> Self {
        self.message.push_str("\nhint: ");
        self.message.push_str(hint);
        self
    }

    /// The same stop at the end of a run that would otherwise exit with `exit`.
    pub(crate) fn after(self, exit: Exit) -> Self {
        let exit = exit.or(self.exit);
        Stop { exit, ..self }
    }
}

// The only hand-written error type. A crate that derives these lines would have to be built before
// everything else.
impl std::error::Error for Stop {}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// The setup problem, with all its causes.
impl From<anyhow::Error> for Stop {
    fn from(error: anyhow::Error) -> Self {
        Stop::new(Exit::SetupFailed, FailureKind::Setup, format!("{error:#}"))
    }
}
