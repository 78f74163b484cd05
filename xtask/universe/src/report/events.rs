//! `events.ndjson`: the events of a run, written as they happen, one JSON object per line, each
//! with one write. The file is enough to report a run that was killed; `replay` does that.
//!
//! Owns the format and the writing. If the file cannot be written, the events are lost, never the
//! run.

mod line;
mod replay;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::base::clock;
use crate::base::exit::Exit;
use crate::base::regular_file;
use crate::report::data::{Case, Failure, Outcome, Phase, Report};
pub(crate) use line::Properties;
use line::{Event, Line};
pub(crate) use replay::read;

/// The name of the file in the directory of a run, and beside the report for the latest run.
pub const FILE_NAME: &str = "events.ndjson";

/// Where the events of a run go.
#[derive(Debug)]
pub(crate) struct Events {
    /// When the run started.
    start: Instant,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    sinks: Vec<Sink>,
    /// The first write error.
    trouble: Option<String>,
    /// A hash of each case as last written, by id and round.
    written: BTreeMap<(String, u32), u64>,
    properties: Properties,
    /// The phases so far: the name, and the time from the start of the run to the phase.
    phases: Vec<(&'static str, Duration)>,
    /// What ran before tests, as phases beside the others.
    scripts: Vec<Phase>,
}

#[derive(Debug)]
enum Sink {
    File(File),
    Stdout,
}

/// An attempt that begins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Start<'a> {
    /// As [`Case::id`].
    pub(crate) id: &'a str,
    /// As [`Case::round`].
    pub(crate) round: u32,
    /// From 1.
    pub(crate) attempt: u32,
    /// As [`Case::slot`].
    pub(crate) slot: usize,
}

/// An attempt that is slow.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slow<'a> {
    /// As [`Case::id`].
    pub(crate) id: &'a str,
    /// As [`Case::round`].
    pub(crate) round: u32,
    /// From 1.
    pub(crate) attempt: u32,
    /// The running time that it has exceeded, without suspensions.
    pub(crate) passed: Duration,
}

/// Creates a file. A device is written to directly; a pipe would block until a reader opens it.
fn create(path: &Path) -> std::io::Result<File> {
    if !regular_file::is_device(path) {
        regular_file::is_free(path)?;
    }
    File::create(path)
}

impl Events {
    /// Events of a run that started at `start`; not yet written anywhere.
    pub(crate) fn new(start: Instant) -> Events {
        Events {
            start,
            state: Mutex::default(),
        }
    }

    /// Also writes to this file, which is created anew; `-` is standard output.
    pub(crate) fn write_to(&self, path: &Path) -> anyhow::Result<()> {
        let sink = match path.as_os_str() == "-" {
            true => Sink::Stdout,
            false => {
                Sink::File(create(path).with_context(|| format!("could not create `{}`", path.display()))?)
            }
        };
        self.state().sinks.push(sink);
        Ok(())
    }

    /// The first write error, if there was one.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.state().trouble.clone()
    }

    /// The run began.
    pub(crate) fn run_started(&self, report: &Report, args: Vec<String>) {
        self.state().properties.clone_from(&report.properties);
        self.write(&Event::RunStart {
            name: report.name.clone(),
            run_id: report.run_id.clone(),
            started: report.started,
            args,
            properties: report.properties.clone(),
            places: report.places.clone(),
        });
    }

    /// The properties of the run are now these.
    pub(crate) fn described(&self, properties: Properties) {
        let mut state = self.state();
        if state.properties != properties {
            state.properties.clone_from(&properties);
            drop(state);
            self.write(&Event::Properties { properties });
        }
    }

    /// The next phase begins, and the one before ends.
    pub(crate) fn phase(&self, name: &'static str) {
        let after = self.write(&Event::Phase { name: name.into() });
        self.state().phases.push((name, after));
    }

    /// A script that runs before tests has ended now, after so long.
    pub(crate) fn script(&self, name: &str, elapsed: Duration, failure: Option<&Failure>) {
        let now = self.write(&Event::Script {
            name: name.into(),
            elapsed,
            failure: failure.map(Cow::Borrowed),
        });
        self.state().scripts.push(Phase {
            name: name.to_owned(),
            after: now.saturating_sub(elapsed),
            elapsed,
        });
    }

    /// The phases of the run; the last one ended `elapsed` after the run's start.
    pub(crate) fn phases(&self, elapsed: Duration) -> Vec<Phase> {
        let state = self.state();
        let begun = state.phases.iter().map(|&(name, after)| (name.to_owned(), after));
        [line::phases(begun.collect(), elapsed), state.scripts.clone()].concat()
    }

    /// These tests were selected, each with its suite. The result of a test that does not run is
    /// already known. For the others, the case is the result if no further event follows.
    pub(crate) fn discovered(&self, tests: Vec<(String, Case)>) {
        let mut lines = Vec::new();
        let after = clock::now() - self.start;
        let mut state = self.state();
        for (suite, case) in tests {
            state
                .written
                .insert((case.id.clone(), case.round), fingerprint(&case));
            let event = Event::Discovered {
                suite: suite.into(),
                case: case.into(),
            };
            lines.extend(Line::new(after, event).to_bytes());
        }
        state.write(&lines);
    }

    /// An attempt began.
    pub(crate) fn started(&self, start: Start<'_>) {
        let Start {
            id,
            round,
            attempt,
            slot,
        } = start;
        self.write(&Event::Start {
            id: id.into(),
            round,
            attempt,
            slot,
        });
    }

    /// An attempt is slow.
    pub(crate) fn slow(&self, slow: Slow<'_>) {
        let Slow {
            id,
            round,
            attempt,
            passed,
        } = slow;
        self.write(&Event::Slow {
            id: id.into(),
            round,
            attempt,
            passed,
        });
    }

    /// An attempt ended; `case` is the test's result if it was the last attempt.
    pub(crate) fn finished(&self, suite: &str, attempt: u32, case: &Case) {
        let key = (case.id.clone(), case.round);
        self.state().written.insert(key, fingerprint(case));
        for leak in &case.leaks {
            self.write(&Event::Leak {
                id: case.id.as_str().into(),
                round: case.round,
                leak: leak.clone(),
            });
        }
        self.write(&Event::Finish {
            suite: suite.into(),
            attempt,
            case: case.into(),
        });
    }

    /// The run ended; writes everything in `report` that was not written yet.
    pub(crate) fn run_ended(&self, exit: Exit, report: &Report) {
        self.described(report.properties.clone());
        for suite in &report.suites {
            for case in &suite.cases {
                self.correct(&suite.name, case);
            }
            self.write(&Event::Suite {
                name: suite.name.as_str().into(),
                started: suite.started,
                elapsed: suite.elapsed,
            });
        }
        let count =
            |wanted: fn(&Outcome) -> bool| report.cases().filter(|case| wanted(&case.outcome)).count();
        self.write(&Event::RunEnd {
            exit: exit as u8,
            elapsed: report.elapsed,
            passed: count(|outcome| matches!(outcome, Outcome::Passed)),
            failed: count(|outcome| matches!(outcome, Outcome::Failed(_) | Outcome::Errored(_))),
            skipped: count(|outcome| matches!(outcome, Outcome::Skipped(_))),
            setup_failure: report.setup_failure.clone(),
            compile_errors: report.compile_errors.clone(),
        });
    }

    /// Writes a case again, if it differs from the last version written.
    fn correct(&self, suite: &str, case: &Case) {
        let key = (case.id.clone(), case.round);
        let written = self.state().written.get(&key).copied();
        if written != Some(fingerprint(case)) {
            let attempt = u32::try_from(case.earlier.len())
                .unwrap_or(u32::MAX)
                .saturating_add(1);
            self.finished(suite, attempt, case);
        }
    }

    /// Returns the time of the event, from the start of the run.
    fn write(&self, event: &Event<'_>) -> Duration {
        let after = clock::now() - self.start;
        let mut state = self.state();
        if !state.sinks.is_empty() {
            state.write(&Line::new(after, event.clone()).to_bytes());
        }
        after
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// One write per sink, so that a reader finds whole lines, even during the run or after a kill.
    fn write(&mut self, lines: &[u8]) {
        for sink in &mut self.sinks {
            let written = match sink {
                Sink::File(file) => file.write_all(lines),
                Sink::Stdout => std::io::stdout().lock().write_all(lines),
            };
            if let Err(error) = written {
                self.trouble.get_or_insert_with(|| error.to_string());
            }
        }
    }
}

/// Equal for equal cases.
fn fingerprint(case: &Case) -> u64 {
    let mut hasher = DefaultHasher::new();
    case.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests;
