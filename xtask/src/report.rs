//! What a run was and what became of each test: plain data that every output is a function of.
//!
//! Nothing here reads a clock, a file or the environment. The runner fills it in; `junit` and the terminal print it.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use serde::Serialize;

/// One run of `cargo xtask test`, whole or cut short.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Report {
    /// Unique per run; also the name of the run's directory.
    pub(crate) run_id: String,
    /// When the run started, by the wall clock.
    pub(crate) started: SystemTime,
    /// From the start of the run to its end, build included.
    pub(crate) elapsed: Duration,
    /// What describes the run as a whole, as (name, value): versions, features, capabilities, seed, `cached=false`, ...
    pub(crate) properties: Vec<(String, String)>,
    /// One per test binary, in the order they were listed.
    pub(crate) suites: Vec<Suite>,
    /// Why no test ran, where the run failed before (the build, the listing, a missing capability) or was interrupted.
    pub(crate) setup_failure: Option<Failure>,
}

/// The tests of one test binary.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Suite {
    /// `package::target`, for example `tandem-tests::suite`.
    pub(crate) name: String,
    /// When its first test started.
    pub(crate) started: SystemTime,
    /// From its first test's start to its last test's end.
    pub(crate) elapsed: Duration,
    /// In the order in which they were listed.
    pub(crate) cases: Vec<Case>,
}

/// One test and its outcome.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Case {
    /// Dotted and unique together with `name`: `tandem_tests.suite.relay`.
    pub(crate) classname: String,
    /// The name of the function.
    pub(crate) name: String,
    /// Of the source, relative to the workspace root, with `/`.
    pub(crate) file: Option<PathBuf>,
    /// Of the failure where there is one, of the function otherwise; from 1.
    pub(crate) line: Option<u32>,
    /// When it started, by the wall clock; `None` if it never did.
    pub(crate) started: Option<SystemTime>,
    /// How long it ran; zero if it never did.
    pub(crate) elapsed: Duration,
    /// What became of it.
    pub(crate) outcome: Outcome,
    /// What it wrote to standard output, raw bytes, possibly cut in the middle by the runner.
    pub(crate) stdout: Vec<u8>,
    /// What it wrote to standard error, raw bytes, possibly cut in the middle by the runner.
    pub(crate) stderr: Vec<u8>,
}

/// What became of a test.
#[derive(Debug, Clone, Serialize)]
pub(crate) enum Outcome {
    /// It ran and succeeded.
    Passed,
    /// It ran and an assertion did not hold.
    Failed(Failure),
    /// It did not come to an orderly end: timeout, signal, could not be started.
    Errored(Failure),
    /// It did not run.
    Skipped(Skip),
}

/// Why a test failed, or why a run could not start.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Failure {
    /// The kind, as CI systems group by it: `panic`, `exit`, `timeout`, `signal:SIGABRT`, `exec`, `build`, `interrupted`.
    pub(crate) kind: String,
    /// One line for a person.
    pub(crate) message: String,
    /// The rest: location and the end of the output.
    pub(crate) detail: String,
}

/// Why a test did not run.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Skip {
    /// The kind: `capability:fuse`, `ignored`, `interrupted`.
    pub(crate) kind: String,
    /// One line for a person, with the probe's own reason where a capability is missing.
    pub(crate) reason: String,
}
