//! Restores a report from events: completely for a run that ended, and as far as known for a run
//! that was killed.
//!
//! A test that started and did not end is reported as interrupted. Unknown types and fields, and an
//! incomplete last line, are skipped.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, bail};
use serde::Deserialize;

use super::line::{self, Event, Line, VERSION};
use crate::base::compile_error::CompileError;
use crate::base::failure_kind::FailureKind;
use crate::base::limits::EVENTS_LEN_MAX;
use crate::base::regular_file;
use crate::report::data::{Attempt, Case, Failure, Outcome, Phase, Report, Suite};
use crate::report::places::Places;

/// The report of the run with its events in this file.
///
/// # Errors
/// When the file cannot be read, or contains something else.
pub(crate) fn read(path: &Path) -> anyhow::Result<Report> {
    let bytes = regular_file::read(path, EVENTS_LEN_MAX).map_err(|why| {
        let hint = "hint: `test` writes the events of its latest run, `--events PATH` those of any run";
        anyhow::anyhow!("could not read events from `{}`: {why}\n{hint}", path.display())
    })?;
    replay(&bytes).with_context(|| format!("could not parse the events in `{}`", path.display()))
}

/// The report that these lines describe.
///
/// # Errors
/// When a line other than the last one is not an event, or has a later version.
pub(super) fn replay(bytes: &[u8]) -> anyhow::Result<Report> {
    let mut replay = Replay::default();
    let lines: Vec<&[u8]> = bytes.split_inclusive(|&byte| byte == b'\n').collect();
    for (index, line) in lines.iter().enumerate() {
        let is_torn = !line.ends_with(b"\n");
        match parse(line) {
            Ok(line) => replay.take(line),
            Err(_) if is_torn => break,
            Err(error) => return Err(error.context(format!("line {} is not an event", index + 1))),
        }
    }
    replay.into_report()
}

#[derive(Deserialize)]
#[serde(expecting = "an object that says its version, as in `{\"v\":1,…}`")]
struct Versioned {
    v: u32,
}

fn parse(bytes: &[u8]) -> anyhow::Result<Line<'static>> {
    let Versioned { v } = serde_json::from_slice(bytes)?;
    if v > VERSION {
        bail!("its version is {v}; this program reads versions up to {VERSION}");
    }
    Ok(serde_json::from_slice(bytes)?)
}

/// The state so far.
#[derive(Debug, Default)]
struct Replay {
    run: Option<(String, String, SystemTime)>,
    paths: Places,
    properties: Vec<(String, String)>,
    phases: Vec<(String, Duration)>,
    /// What ran before tests, beside the phases.
    scripts: Vec<Phase>,
    /// The position of each test, by id: in the order of their first events.
    places: BTreeMap<String, usize>,
    tests: BTreeMap<(usize, u32), Progress>,
    suites: BTreeMap<String, (SystemTime, Duration)>,
    end: Option<(Duration, Option<Failure>)>,
    compile_errors: Vec<CompileError>,
    last: Duration,
}

/// One test in one round.
#[derive(Debug, Default)]
struct Progress {
    suite: String,
    /// The result if no further event follows.
    planned: Option<Case>,
    started: Option<Started>,
    finished: BTreeMap<u32, Case>,
}

/// The latest attempt that began.
#[derive(Debug)]
struct Started {
    attempt: u32,
    slot: usize,
    after: Duration,
}

impl Replay {
    fn take(&mut self, line: Line<'static>) {
        self.last = self.last.max(line.after);
        match line.event {
            Event::RunStart {
                name,
                run_id,
                started,
                properties,
                places,
                args: _,
            } => {
                self.run = Some((name, run_id, started));
                (self.properties, self.paths) = (properties, places);
            }
            Event::Properties { properties } => self.properties = properties,
            Event::Phase { name } => self.phases.push((name.into_owned(), line.after)),
            Event::Script { name, elapsed, .. } => self.scripts.push(Phase {
                name: name.into_owned(),
                after: line.after.saturating_sub(elapsed),
                elapsed,
            }),
            Event::Discovered { suite, case } => {
                let progress = self.progress(&case.id, case.round);
                (progress.suite, progress.planned) = (suite.into_owned(), Some(case.into_owned()));
            }
            Event::Start {
                id,
                round,
                attempt,
                slot,
            } => {
                self.progress(&id, round).started = Some(Started {
                    attempt,
                    slot,
                    after: line.after,
                });
            }
            Event::Finish { suite, attempt, case } => {
                let progress = self.progress(&case.id, case.round);
                progress.suite = suite.into_owned();
                progress.finished.insert(attempt, case.into_owned());
            }
            Event::Suite {
                name,
                started,
                elapsed,
            } => drop(self.suites.insert(name.into_owned(), (started, elapsed))),
            Event::RunEnd {
                elapsed,
                setup_failure,
                compile_errors,
                ..
            } => (self.end, self.compile_errors) = (Some((elapsed, setup_failure)), compile_errors),
            Event::Slow { .. } | Event::Leak { .. } | Event::Unknown => {}
        }
    }

    fn progress(&mut self, id: &str, round: u32) -> &mut Progress {
        let count = self.places.len();
        let place = *self.places.entry(id.to_owned()).or_insert(count);
        let planned = self.tests.get(&(place, 1)).filter(|_| round > 1);
        let inherited = planned.map(|first| (first.suite.clone(), first.planned.clone()));
        self.tests.entry((place, round)).or_insert_with(|| {
            let (suite, planned) = inherited.unwrap_or_default();
            let planned = planned.map(|case| Case { round, ..case });
            Progress {
                suite,
                planned,
                ..Progress::default()
            }
        })
    }

    fn into_report(self) -> anyhow::Result<Report> {
        let Some((name, run_id, started)) = self.run else {
            bail!("there is no `run-start`");
        };
        let (elapsed, setup_failure) = self.end.unwrap_or_else(|| (self.last, Some(killed())));
        let mut suites: Vec<Suite> = Vec::new();
        for progress in self.tests.into_values() {
            let name = progress.suite.clone();
            let Some(case) = progress.into_case(started, elapsed) else {
                continue;
            };
            match suites.iter_mut().find(|suite| suite.name == name) {
                Some(suite) => suite.cases.push(case),
                None => suites.push(Suite {
                    name,
                    started,
                    elapsed: Duration::ZERO,
                    cases: vec![case],
                }),
            }
        }
        for suite in &mut suites {
            match self.suites.get(&suite.name) {
                Some(&times) => (suite.started, suite.elapsed) = times,
                None => suite.set_times(),
            }
        }
        Ok(Report {
            name,
            run_id,
            started,
            elapsed,
            properties: self.properties,
            phases: [line::phases(self.phases, elapsed), self.scripts].concat(),
            suites,
            setup_failure,
            compile_errors: self.compile_errors,
            failed_runs: Vec::new(),
            places: self.paths,
        })
    }
}

impl Progress {
    /// The test's result, in a run that started at this time and ended after this duration.
    fn into_case(mut self, run_started: SystemTime, run_elapsed: Duration) -> Option<Case> {
        let unfinished = self.started.take().filter(|started| {
            let last = self.finished.last_key_value();
            last.is_none_or(|(&attempt, _)| attempt < started.attempt)
        });
        if let (Some(started), Some(planned)) = (unfinished, &self.planned) {
            let case = interrupted(planned, &started, run_started, run_elapsed);
            self.finished.insert(started.attempt, case);
        }
        let Some((_, last)) = self.finished.pop_last() else {
            return self.planned;
        };
        Some(match last.earlier.is_empty() {
            true => Case {
                earlier: self.finished.into_values().map(Attempt::from).collect(),
                ..last
            },
            false => last,
        })
    }
}

fn interrupted(planned: &Case, started: &Started, run_started: SystemTime, run_elapsed: Duration) -> Case {
    let failure = Failure {
        kind: FailureKind::Interrupted,
        message: "was running when the run was killed".to_owned(),
        detail: String::new(),
    };
    Case {
        started: Some(run_started + started.after),
        elapsed: run_elapsed.saturating_sub(started.after),
        outcome: Outcome::Errored(failure),
        slot: Some(started.slot),
        ..planned.clone()
    }
}

fn killed() -> Failure {
    Failure {
        kind: FailureKind::Interrupted,
        message: "the run was killed: its events have no end".to_owned(),
        detail: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_one_byte_too_many_is_not_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(EVENTS_LEN_MAX + 1).unwrap();
        let why = read(file.path()).unwrap_err().to_string();
        assert!(why.contains("it has more than 4096 MiB"), "{why}");
    }
}
