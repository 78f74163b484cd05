//! The lines of `events.ndjson`, version 1.
//!
//! Each line is an object with `v`, `type`, and `after_ns`, the time from the start of the run. New
//! types and fields may be added without a new version; readers skip unknown ones. A field never
//! changes its meaning.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::base::compile_error::CompileError;
use crate::base::disarm::disarmed_json;
use crate::report::data::{Case, Failure, Leak, Phase, wire};
use crate::report::places::Places;

/// The version of the format. This program cannot read a higher one.
pub(super) const VERSION: u32 = 1;

/// As [`crate::report::data::Report::properties`].
pub(crate) type Properties = Vec<(String, String)>;

/// One line.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Line<'a> {
    pub(super) v: u32,
    #[serde(with = "wire::duration", rename = "after_ns")]
    pub(super) after: Duration,
    #[serde(flatten)]
    pub(super) event: Event<'a>,
}

/// What happened.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub(super) enum Event<'a> {
    /// Always the first one.
    RunStart {
        /// The name of the project.
        #[serde(default)]
        name: String,
        run_id: String,
        #[serde(with = "wire::time", rename = "started_ns")]
        started: SystemTime,
        /// The command line, without the name of the program.
        args: Vec<String>,
        properties: Properties,
        #[serde(default)]
        places: Places,
    },
    /// More about the run is known; replaces the earlier properties.
    Properties { properties: Properties },
    /// A phase begins: `probe`, `build`, `list`, `tests`. The previous one ends.
    Phase { name: Cow<'a, str> },
    /// A script that runs before tests has ended, as a phase of its own beside the others.
    Script {
        name: Cow<'a, str>,
        #[serde(with = "wire::duration", rename = "elapsed_ns")]
        elapsed: Duration,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<Cow<'a, Failure>>,
    },
    /// A test is selected. The case is its result if no further event follows.
    Discovered {
        suite: Cow<'a, str>,
        case: Cow<'a, Case>,
    },
    /// An attempt begins.
    Start {
        id: Cow<'a, str>,
        round: u32,
        attempt: u32,
        slot: usize,
    },
    /// An attempt is slow: it has exceeded this running time, suspensions not counted, which is its
    /// limit or a multiple of it. Its `finish` has the final running time.
    Slow {
        id: Cow<'a, str>,
        round: u32,
        attempt: u32,
        #[serde(with = "wire::duration", rename = "passed_ns")]
        passed: Duration,
    },
    /// A test left something behind. Its `finish` contains that, too; this event is for readers
    /// that watch only for leaks.
    Leak {
        id: Cow<'a, str>,
        round: u32,
        #[serde(flatten)]
        leak: Leak,
    },
    /// An attempt ended. If there are several for one attempt, the last one counts.
    Finish {
        suite: Cow<'a, str>,
        attempt: u32,
        case: Cow<'a, Case>,
    },
    /// The tests of a suite ended.
    Suite {
        name: Cow<'a, str>,
        #[serde(with = "wire::time", rename = "started_ns")]
        started: SystemTime,
        #[serde(with = "wire::duration", rename = "elapsed_ns")]
        elapsed: Duration,
    },
    /// Always the last one; a run without it was killed.
    RunEnd {
        exit: u8,
        #[serde(with = "wire::duration", rename = "elapsed_ns")]
        elapsed: Duration,
        passed: usize,
        failed: usize,
        skipped: usize,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        setup_failure: Option<Failure>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        compile_errors: Vec<CompileError>,
    },
    /// The same event at a later time.
    #[serde(other)]
    Unknown,
}

impl<'a> Line<'a> {
    /// A line of this version.
    pub(super) fn new(after: Duration, event: Event<'a>) -> Line<'a> {
        Line {
            v: VERSION,
            after,
            event,
        }
    }

    /// With its line end; JSON escapes every other one.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let json = serde_json::to_string(self).unwrap_or_default();
        let mut line = disarmed_json(&json);
        line.push('\n');
        line.into_bytes()
    }
}

impl<'a> From<&'a Case> for Cow<'a, Case> {
    fn from(case: &'a Case) -> Self {
        Cow::Borrowed(case)
    }
}

impl From<Case> for Cow<'_, Case> {
    fn from(case: Case) -> Self {
        Cow::Owned(case)
    }
}

/// Phases of which only the starts are known: each ends where the next one begins, and the last one
/// at `end`.
pub(super) fn phases(begun: Vec<(String, Duration)>, end: Duration) -> Vec<Phase> {
    let ends: Vec<Duration> = begun
        .iter()
        .skip(1)
        .map(|&(_, after)| after)
        .chain([end])
        .collect();
    let phase = |((name, after), end): ((String, Duration), Duration)| Phase {
        name,
        after,
        elapsed: end.saturating_sub(after),
    };
    begun.into_iter().zip(ends).map(phase).collect()
}
