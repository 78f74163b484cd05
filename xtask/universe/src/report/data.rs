//! What a run was and what became of each test: plain data that every output is a function of.
//!
//! Nothing here reads a clock, a file or the environment. The runner fills it in; `junit`,
//! `markdown`, `timeline` and the console print it; `events` writes it down piece by piece and puts
//! it together again. `wire` decides its form in JSON.

pub(crate) mod wire;

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::kinds::{LeakKind, SkipKind};
use crate::base::failure_kind::FailureKind;
use crate::base::limits::LEAKS_OF_A_KIND_MAX;

/// One run of `test`, whole or cut short.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// What the project is called.
    pub name: String,
    /// Unique per run; also the name of the run's directory.
    pub run_id: String,
    /// When the run started, by the wall clock.
    #[serde(with = "wire::time", rename = "started_ns")]
    pub started: SystemTime,
    /// From the start of the run to its end, build included.
    #[serde(with = "wire::duration", rename = "elapsed_ns")]
    pub elapsed: Duration,
    /// What describes the run as a whole, as (name, value): versions, features, capabilities, seed,
    /// `cached=false`, ...
    pub properties: Vec<(String, String)>,
    /// What the runner itself did, in order, from the start of the run: probing, building, listing,
    /// running.
    pub phases: Vec<Phase>,
    /// One per test binary, in the order they were listed.
    pub suites: Vec<Suite>,
    /// Why no test ran, where the run failed before (the build, the listing, a missing capability)
    /// or was interrupted.
    pub setup_failure: Option<Failure>,
}

/// A part of the run that is not a test.
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
    /// All cases, in order.
    pub(crate) fn cases(&self) -> impl Iterator<Item = &Case> {
        self.suites.iter().flat_map(|suite| &suite.cases)
    }
}

impl Suite {
    /// Its time is that of its tests, from the first start to the last end; nothing changes where
    /// none of them ran.
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
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Case {
    /// `package::binary$module::test`, as filters take it; equal for every round of the same test.
    pub id: String,
    /// Which run of this test it is, from 1: more than one where tests are repeated.
    pub round: u32,
    /// Dotted and unique together with `name`: `acme_tests.suite.relay`.
    pub classname: String,
    /// The name of the function.
    pub name: String,
    /// Of the source, relative to the workspace root, with `/`.
    #[serde(
        default,
        serialize_with = "wire::paths::one",
        skip_serializing_if = "Option::is_none"
    )]
    pub file: Option<PathBuf>,
    /// Of the failure where there is one, of the function otherwise; from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// When it started, by the wall clock; `None` if it never did.
    #[serde(
        default,
        with = "wire::maybe_time",
        rename = "started_ns",
        skip_serializing_if = "Option::is_none"
    )]
    pub started: Option<SystemTime>,
    /// How long it ran; zero if it never did.
    #[serde(with = "wire::duration", rename = "elapsed_ns")]
    pub elapsed: Duration,
    /// What became of it.
    pub outcome: Outcome,
    /// What it wrote to standard output, raw bytes, possibly cut in the middle by the runner.
    #[serde(default, with = "wire::output", skip_serializing_if = "Vec::is_empty")]
    pub stdout: Vec<u8>,
    /// What it wrote to standard error, raw bytes, possibly cut in the middle by the runner.
    #[serde(default, with = "wire::output", skip_serializing_if = "Vec::is_empty")]
    pub stderr: Vec<u8>,
    /// The slot in which it ran, from 0; `None` if it never did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<usize>,
    /// Attempts before the last one, all of which failed. With some of them and a success the test
    /// is flaky.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<Attempt>,
    /// What it left behind; all of it was cleaned up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leaks: Vec<Leak>,
    /// Files that belong to it: its log, forensics. Absolute paths.
    #[serde(
        default,
        serialize_with = "wire::paths::all",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub attachments: Vec<PathBuf>,
    /// Whether it ran for longer than a test should.
    #[serde(default)]
    pub slow: bool,
}

impl Case {
    /// What a person calls a test: its id, and the round where it is not the first.
    pub(crate) fn title(&self) -> String {
        match self.round {
            1 => self.id.clone(),
            round => format!("{}#{round}", self.id),
        }
    }

    /// What it is known by in a run: the id of the test, and the round.
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

    /// Whether it passed in the end, and not at once.
    pub(crate) fn is_flaky(&self) -> bool {
        matches!(self.outcome, Outcome::Passed) && !self.earlier.is_empty()
    }

    /// `module::function`, as libtest names it.
    pub(crate) fn path(&self) -> &str {
        self.id
            .split_once('$')
            .map_or(self.name.as_str(), |(_, path)| path)
    }

    /// Where it stands or failed: `tests/suite/relay.rs:12`, with `/` everywhere.
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

    /// The same, to add to it.
    pub(crate) fn failure_mut(&mut self) -> Option<&mut Failure> {
        match &mut self.outcome {
            Outcome::Failed(failure) | Outcome::Errored(failure) => Some(failure),
            Outcome::Passed | Outcome::Skipped(_) => None,
        }
    }
}

/// An attempt at a test that failed and was followed by another one.
#[derive(Debug, Clone, Serialize, Deserialize)]
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

/// What a case amounts to when another attempt follows it.
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
    /// A thing of this kind, with its evidence.
    pub(crate) fn new(kind: LeakKind, what: impl Into<String>) -> Leak {
        Leak {
            kind,
            what: what.into(),
        }
    }

    /// Things of this kind: at most [`LEAKS_OF_A_KIND_MAX`] of them, and how many more there are.
    pub(crate) fn told(kind: &LeakKind, all: Vec<String>) -> Vec<Leak> {
        let more = all.len().saturating_sub(LEAKS_OF_A_KIND_MAX);
        let told = all.into_iter().take(LEAKS_OF_A_KIND_MAX);
        let rest = (more > 0).then(|| format!("and {more} more"));
        told.chain(rest)
            .map(|what| Leak::new(kind.clone(), what))
            .collect()
    }
}

/// Something that a test left behind when it had ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leak {
    /// What kind of thing.
    pub kind: LeakKind,
    /// The evidence, in one line: a command line with its listening sockets, a path, an address.
    pub what: String,
}

/// What became of a test.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "kebab-case")]
pub enum Outcome {
    /// It ran and succeeded.
    Passed,
    /// It ran and an assertion did not hold.
    Failed(Failure),
    /// It did not come to an orderly end: timeout, signal, could not be started.
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

    /// Whether it was ended with the run, so that nobody knows what would have become of it.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.failure().is_some_and(Failure::is_of_the_run)
    }
}

/// Why a test failed, or why a run could not start.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Failure {
    /// The kind, as CI systems group by it.
    pub kind: FailureKind,
    /// One line for a person.
    pub message: String,
    /// The rest: location and the end of the output.
    pub detail: String,
}

impl Failure {
    /// Whether the end of the run was the end of the test: a signal, or the run's own limit.
    pub(crate) fn is_of_the_run(&self) -> bool {
        self.kind.is_of_the_run()
    }
}

/// Why a test did not run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Skip {
    /// The kind.
    pub kind: SkipKind,
    /// One line for a person, with the probe's own reason where a capability is missing.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaks_up_to_the_limit_are_reported_one_by_one_and_the_others_counted() {
        let reported = |count: usize| {
            let all = (1..=count).map(|number| number.to_string()).collect();
            let leaks = Leak::told(&LeakKind::Process, all);
            (leaks.len(), leaks.last().map(|leak| leak.what.clone()))
        };
        let most = LEAKS_OF_A_KIND_MAX;
        assert_eq!(reported(most), (most, Some(most.to_string())));
        assert_eq!(reported(most + 1), (most + 1, Some("and 1 more".to_owned())));
    }
}
