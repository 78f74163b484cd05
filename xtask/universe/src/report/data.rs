//! A run and the result of each test: plain data. Every output is a function of it.
//!
//! Nothing here reads a clock, a file or the environment. The runner fills it in. `junit`,
//! `markdown`, `timeline` and the console print it; `events` writes it piece by piece and restores
//! it. `wire` defines its form in JSON.

pub(crate) mod wire;

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::kinds::{LeakKind, SkipKind};
use super::places::Places;
use crate::base::compile_error::CompileError;
use crate::base::failure_kind::FailureKind;
use crate::base::limits::LEAKS_OF_A_KIND_MAX;

/// One run of `test`, complete or cut short.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// The name of the project.
    pub name: String,
    /// Unique per run; also the name of the run's directory.
    pub run_id: String,
    /// When the run started, by the wall clock.
    #[serde(with = "wire::time", rename = "started_ns")]
    pub started: SystemTime,
    /// From the start of the run to its end, build included.
    #[serde(with = "wire::duration", rename = "elapsed_ns")]
    pub elapsed: Duration,
    /// Properties of the run as a whole, as (name, value): versions, features, capabilities, seed,
    /// `cached=false`, ...
    pub properties: Vec<(String, String)>,
    /// The runner's own phases, in order, from the start of the run: probing, building, listing,
    /// running.
    pub phases: Vec<Phase>,
    /// One per test binary, in the order they were listed.
    pub suites: Vec<Suite>,
    /// Why no test ran, if the run failed earlier (the build, the listing, a missing capability) or
    /// was interrupted.
    pub setup_failure: Option<Failure>,
    /// What the compiler reported of a build that failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub compile_errors: Vec<CompileError>,
    /// The runs that failed as a whole, in the report of several runs; `setup_failure` is all of
    /// them in one.
    #[serde(skip)]
    pub failed_runs: Vec<FailedRun>,
    /// What its paths are relative to.
    #[serde(default)]
    pub places: Places,
}

/// A run that failed as a whole, as a part of the report of several runs.
#[derive(Debug, Clone)]
pub struct FailedRun {
    /// Its label, if it has one.
    pub(crate) label: Option<String>,
    /// What tells it from the others, for a person.
    pub(crate) title: String,
    /// As [`Report::setup_failure`].
    pub(crate) failure: Failure,
    /// As [`Report::compile_errors`].
    pub(crate) compile_errors: Vec<CompileError>,
}

/// A part of the run besides the tests.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Phase {
    /// `probe`, `build`, `list`, `tests`.
    pub name: String,
    /// From the start of the run to the beginning of this phase.
    #[serde(with = "wire::duration", rename = "after_ns")]
    pub after: Duration,
    /// How long it took.
    #[serde(with = "wire::duration", rename = "elapsed_ns")]
    pub elapsed: Duration,
}

/// The tests of one test binary.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Suite {
    /// `package::target`, for example `acme-tests::suite`.
    pub name: String,
    /// When its first test started.
    #[serde(with = "wire::time", rename = "started_ns")]
    pub started: SystemTime,
    /// From its first test's start to its last test's end.
    #[serde(with = "wire::duration", rename = "elapsed_ns")]
    pub elapsed: Duration,
    /// In the order in which they were listed.
    pub cases: Vec<Case>,
}

impl Report {
    /// The value of a property.
    pub(crate) fn property(&self, name: &str) -> Option<&str> {
        let property = self.properties.iter().find(|(known, _)| known == name);
        property.map(|(_, value)| value.as_str())
    }

    /// All cases, in order.
    pub(crate) fn cases(&self) -> impl Iterator<Item = &Case> {
        self.suites.iter().flat_map(|suite| &suite.cases)
    }
}

impl Suite {
    /// Sets its time to that of its tests, from the first start to the last end; no change if none
    /// of them ran.
    pub(crate) fn set_times(&mut self) {
        let spans = || self.cases.iter().flat_map(Case::spans);
        let first = spans().map(|(start, _)| start).min();
        let last = spans().map(|(_, end)| end).max();
        if let (Some(first), Some(last)) = (first, last) {
            (self.started, self.elapsed) = (first, last.duration_since(first).unwrap_or_default());
        }
    }
}

/// One test and its outcome.
#[derive(Debug, Clone, Hash, Serialize, Deserialize)]
pub struct Case {
    /// `package::binary$module::test`, as filters accept it; equal for every round of the same
    /// test.
    pub id: String,
    /// The round, from 1: more than 1 if tests are repeated.
    pub round: u32,
    /// Dotted and unique together with `name`: `acme_tests.suite.relay`.
    pub classname: String,
    /// The name of the function.
    pub name: String,
    /// The source file, relative to the workspace root, with `/`. A test that a macro generates has
    /// the file of its binary.
    #[serde(
        default,
        serialize_with = "wire::paths::one",
        skip_serializing_if = "Option::is_none"
    )]
    pub file: Option<PathBuf>,
    /// The line of the failure if there is one, otherwise of the function; from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// When it started, by the wall clock; `None` if it did not start.
    #[serde(
        default,
        with = "wire::maybe_time",
        rename = "started_ns",
        skip_serializing_if = "Option::is_none"
    )]
    pub started: Option<SystemTime>,
    /// How long it ran; zero if it did not start.
    #[serde(with = "wire::duration", rename = "elapsed_ns")]
    pub elapsed: Duration,
    /// Its result.
    pub outcome: Outcome,
    /// What it wrote to standard output, raw bytes, possibly cut in the middle by the runner.
    #[serde(default, with = "wire::output", skip_serializing_if = "Vec::is_empty")]
    pub stdout: Vec<u8>,
    /// What it wrote to standard error, raw bytes, possibly cut in the middle by the runner.
    #[serde(default, with = "wire::output", skip_serializing_if = "Vec::is_empty")]
    pub stderr: Vec<u8>,
    /// The slot in which it ran, from 0; `None` if it did not start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<usize>,
    /// Attempts before the last one; all of them failed. If the last one passed, the test is flaky.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<Attempt>,
    /// Its leftovers; all of them were removed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leaks: Vec<Leak>,
    /// Files that belong to it: its log, forensics. Absolute paths.
    #[serde(
        default,
        serialize_with = "wire::paths::all",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub attachments: Vec<PathBuf>,
    /// Whether it ran for longer than its slow limit.
    #[serde(default)]
    pub slow: bool,
}

impl Case {
    /// The name for people: its id, and the round if it is not the first.
    pub(crate) fn title(&self) -> String {
        match self.round {
            1 => self.id.clone(),
            round => format!("{}#{round}", self.id),
        }
    }

    /// Its key in a run: the id of the test, and the round.
    pub(crate) fn key(&self) -> (&str, u32) {
        (&self.id, self.round)
    }

    /// A case that has not run.
    pub fn new(id: String, classname: String, name: String, outcome: Outcome) -> Case {
        Case {
            id,
            round: 1,
            classname,
            name,
            file: None,
            line: None,
            started: None,
            elapsed: Duration::ZERO,
            outcome,
            stdout: Vec::new(),
            stderr: Vec::new(),
            slot: None,
            earlier: Vec::new(),
            leaks: Vec::new(),
            attachments: Vec::new(),
            slow: false,
        }
    }

    /// Beginning and end of every attempt.
    fn spans(&self) -> impl Iterator<Item = (SystemTime, SystemTime)> {
        let earlier = self
            .earlier
            .iter()
            .map(|attempt| (attempt.started, attempt.elapsed));
        let last = self.started.map(|started| (started, self.elapsed));
        earlier
            .chain(last)
            .map(|(started, elapsed)| (started, started + elapsed))
    }

    /// Whether it passed after an earlier failure.
    pub(crate) fn is_flaky(&self) -> bool {
        matches!(self.outcome, Outcome::Passed) && !self.earlier.is_empty()
    }

    /// `module::function`, as libtest names it.
    pub(crate) fn path(&self) -> &str {
        self.id
            .split_once('$')
            .map_or(self.name.as_str(), |(_, path)| path)
    }

    /// Its location, or that of its failure: `tests/suite/relay.rs:12`, with `/` on every system.
    pub(crate) fn place(&self) -> Option<String> {
        let file = self.file.as_ref()?.to_string_lossy().replace('\\', "/");
        Some(
            self.line
                .map_or_else(|| file.clone(), |line| format!("{file}:{line}")),
        )
    }

    /// Why it failed, if it did.
    pub fn failure(&self) -> Option<&Failure> {
        self.outcome.failure()
    }

    /// The same, mutable.
    pub(crate) fn failure_mut(&mut self) -> Option<&mut Failure> {
        match &mut self.outcome {
            Outcome::Failed(failure) | Outcome::Errored(failure) => Some(failure),
            Outcome::Passed | Outcome::Skipped(_) => None,
        }
    }
}

/// A failed attempt at a test that another one followed.
#[derive(Debug, Clone, Hash, Serialize, Deserialize)]
pub struct Attempt {
    /// When it started, by the wall clock.
    #[serde(with = "wire::time", rename = "started_ns")]
    pub started: SystemTime,
    /// How long it ran.
    #[serde(with = "wire::duration", rename = "elapsed_ns")]
    pub elapsed: Duration,
    /// The slot in which it ran, from 0.
    pub slot: usize,
    /// `Failed` or `Errored`.
    pub outcome: Outcome,
    /// As [`Case::stdout`].
    #[serde(default, with = "wire::output", skip_serializing_if = "Vec::is_empty")]
    pub stdout: Vec<u8>,
    /// As [`Case::stderr`].
    #[serde(default, with = "wire::output", skip_serializing_if = "Vec::is_empty")]
    pub stderr: Vec<u8>,
    /// As [`Case::leaks`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leaks: Vec<Leak>,
}

/// A case as an earlier attempt, when another attempt follows it.
impl From<Case> for Attempt {
    fn from(case: Case) -> Attempt {
        Attempt {
            started: case.started.unwrap_or(SystemTime::UNIX_EPOCH),
            elapsed: case.elapsed,
            slot: case.slot.unwrap_or_default(),
            outcome: case.outcome,
            stdout: case.stdout,
            stderr: case.stderr,
            leaks: case.leaks,
        }
    }
}

impl Leak {
    /// A leak of this kind, with its evidence.
    pub(crate) fn new(kind: LeakKind, what: impl Into<String>) -> Leak {
        Leak {
            kind,
            what: what.into(),
        }
    }

    /// Leaks of this kind: at most [`LEAKS_OF_A_KIND_MAX`] of them, and the number of the others.
    pub(crate) fn list(kind: &LeakKind, all: Vec<String>) -> Vec<Leak> {
        let more = all.len().saturating_sub(LEAKS_OF_A_KIND_MAX);
        let listed = all.into_iter().take(LEAKS_OF_A_KIND_MAX);
        let rest = (more > 0).then(|| format!("and {more} more"));
        listed
            .chain(rest)
            .map(|what| Leak::new(kind.clone(), what))
            .collect()
    }
}

/// Something that a test left behind when it ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Leak {
    /// The kind.
    pub kind: LeakKind,
    /// The evidence, in one line: a command line with its listening sockets, a path, an address.
    pub what: String,
}

/// The result of a test.
#[derive(Debug, Clone, Hash, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "kebab-case")]
pub enum Outcome {
    /// It ran and succeeded.
    Passed,
    /// It ran and an assertion failed.
    Failed(Failure),
    /// It did not finish normally: timeout, signal, could not be started.
    Errored(Failure),
    /// It did not run.
    Skipped(Skip),
}

impl Outcome {
    /// Why it is a failure, if it is one.
    pub(crate) fn failure(&self) -> Option<&Failure> {
        match self {
            Outcome::Failed(failure) | Outcome::Errored(failure) => Some(failure),
            Outcome::Passed | Outcome::Skipped(_) => None,
        }
    }

    /// Whether it was ended together with the run, so that its own result is unknown.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.failure().is_some_and(Failure::is_of_the_run)
    }
}

/// Why a test failed, or why a run could not start.
#[derive(Debug, Clone, Hash, Serialize, Deserialize)]
pub struct Failure {
    /// The kind, by which CI systems group.
    pub kind: FailureKind,
    /// One line for a person.
    pub message: String,
    /// The rest: location and the end of the output.
    pub detail: String,
}

impl Failure {
    /// Whether the test ended because the run ended: by a signal, or at the run's time limit.
    pub(crate) fn is_of_the_run(&self) -> bool {
        self.kind.is_of_the_run()
    }

    /// Message and detail, or one of them where it contains the other: the message of a panic is
    /// the lines of its detail joined.
    pub(crate) fn text(&self) -> String {
        match self.detail.trim() {
            detail if self.message.contains(detail) => self.message.clone(),
            detail if self.is_said_in(detail) => detail.to_owned(),
            detail => format!("{}\n\n{detail}", self.message),
        }
    }

    /// Whether this text has the message, perhaps in several lines.
    pub(crate) fn is_said_in(&self, text: &str) -> bool {
        joined_lines(text).contains(self.message.trim_end_matches('…'))
    }
}

/// A text as one line, as it is in the message of a failure.
pub(crate) fn joined_lines(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("; ")
}

/// Why a test did not run.
#[derive(Debug, Clone, Hash, Serialize, Deserialize)]
pub struct Skip {
    /// The kind.
    pub kind: SkipKind,
    /// One line for a person; for a missing capability, with the probe's reason.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_a_failure_has_its_message_once() {
        let text = |message: &str, detail: &str| {
            let (message, detail) = (message.to_owned(), detail.to_owned());
            let kind = FailureKind::Panic;
            Failure {
                kind,
                message,
                detail,
            }
            .text()
        };
        let panic = "panicked at a.rs:1\nassertion failed\n  left: 1";
        assert_eq!(text("assertion failed; left: 1", panic), panic);
        assert_eq!(text("assertion fai…", panic), panic);
        assert_eq!(
            text("libtest's note", panic),
            format!("libtest's note\n\n{panic}")
        );
        assert_eq!(text("alone", " \n"), "alone");
        assert_eq!(text("left behind: a", "a"), "left behind: a");
    }

    #[test]
    fn leaks_up_to_the_limit_are_reported_one_by_one_and_the_others_counted() {
        let reported = |count: usize| {
            let all = (1..=count).map(|number| number.to_string()).collect();
            let leaks = Leak::list(&LeakKind::Process, all);
            (leaks.len(), leaks.last().map(|leak| leak.what.clone()))
        };
        let most = LEAKS_OF_A_KIND_MAX;
        assert_eq!(reported(most), (most, Some(most.to_string())));
        assert_eq!(reported(most + 1), (most + 1, Some("and 1 more".to_owned())));
    }
}
