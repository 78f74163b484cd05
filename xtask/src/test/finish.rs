//! What a run of the tests amounts to: the report, the exit code, and the last words.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::Args;
use crate::capability::FuseMode;
use crate::clock;
use crate::console::{Console, Summary};
use crate::discover::Discovered;
use crate::events::{Events, Properties};
use crate::exit::{Exit, Stop};
use crate::junit;
use crate::plan::Plan;
use crate::report::{Failure, Outcome, Report};
use crate::reports::{Versions, slowest};
use crate::run::{Ending, Ran, Stage};
use crate::rundir::{RUN_ID, RunDir};
use crate::shuffle;
use crate::workspace::Workspace;

/// A run from its beginning on: what is known before anything was probed or built.
#[derive(Debug)]
pub(super) struct Run<'a> {
    pub(super) args: &'a Args,
    pub(super) workspace: Workspace,
    /// The seed of the order, if it is random.
    pub(super) seed: Option<u64>,
    versions: Versions,
    directory: Arc<RunDir>,
    console: Arc<Console>,
    pub(super) events: Arc<Events>,
    started: SystemTime,
    start: Instant,
}

/// A run that came to its tests.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) ran: Ran,
    /// Required capabilities that are missing, each with its reason.
    pub(super) missing: BTreeMap<String, String>,
    pub(super) found: Discovered,
}

impl<'a> Run<'a> {
    /// Starts the clock, and the events.
    pub(super) fn begin(args: &'a Args, workspace: Workspace, directory: RunDir) -> Result<Run<'a>, Stop> {
        let seed = args.shuffle.map(|seed| seed.unwrap_or_else(shuffle::fresh_seed));
        let console = match args.outputs.events_take_stdout() {
            true => Console::beside_stdout(),
            false => Console::new(),
        };
        let start = clock::now();
        let run = Run {
            args,
            versions: Versions::ask(&workspace.root),
            workspace,
            seed,
            directory: Arc::new(directory),
            console: Arc::new(console),
            events: Arc::new(Events::new(start)),
            started: clock::wall(),
            start,
        };
        let begun = args.outputs.begin(&run.directory, &run.events);
        begun.map_err(|error| Stop::new(Exit::ReportFailed, "report", format!("{error:#}")))?;
        run.events
            .run_started(&run.nothing_yet(), std::env::args().skip(1).collect());
        Ok(run)
    }

    /// The report before anything was done.
    fn nothing_yet(&self) -> Report {
        Report {
            run_id: self.directory.id.clone(),
            started: self.started,
            elapsed: Duration::ZERO,
            properties: self.basics(),
            phases: Vec::new(),
            suites: Vec::new(),
            setup_failure: None,
        }
    }

    /// Says what is about to run.
    pub(super) fn announce(&self, plan: &Plan, found: &Discovered, unmatched: &[&str]) {
        for word in unmatched {
            self.console.line(&format!("warning: no test matches `{word}`"));
        }
        if !found.features.is_empty() {
            let fuse = found.capabilities.lookup("fuse");
            let evidence = fuse
                .map(|fuse| format!(" (fuse: {})", fuse.evidence))
                .unwrap_or_default();
            self.console
                .line(&format!("features: {}{evidence}", found.features.join(", ")));
        }
        let (count, jobs) = (plan.order.len(), self.args.settings().jobs);
        let order = self
            .seed
            .map(|seed| format!(", in the random order of seed {seed}"))
            .unwrap_or_default();
        self.console.line(&format!(
            "running {count} of {} tests, {jobs} at a time{order}",
            plan.tests.len()
        ));
    }

    /// Everything that the tests of this run share.
    pub(super) fn stage(&self, plan: Plan, found: &Discovered) -> Arc<Stage> {
        let settings = self.args.settings();
        let mut environment = found.environment.clone();
        environment.set(RUN_ID, &self.directory.id);
        environment.set("XTASK_TEST_CAPS", held(found).join(","));
        if let Some(seed) = self.seed {
            environment.set("XTASK_TEST_SEED", seed.to_string());
        }
        if !self.args.no_capture {
            environment.set("NO_COLOR", "1");
        }
        self.events.described(self.properties(Some(found)));
        Arc::new(Stage {
            plan,
            environment,
            directory: Arc::clone(&self.directory),
            console: Arc::clone(&self.console),
            events: Arc::clone(&self.events),
            settings,
            root: self.workspace.root.clone(),
        })
    }

    /// The whole run as data.
    pub(super) fn report(&self, ended: &Result<Finished, Stop>) -> Report {
        let (suites, setup_failure) = match ended {
            Ok(finished) => (finished.ran.suites.clone(), finished.setup_failure()),
            Err(stop) => (Vec::new(), Some(failure(stop.kind, &stop.message, &stop.detail))),
        };
        let elapsed = clock::now() - self.start;
        Report {
            elapsed,
            properties: self.properties(ended.as_ref().ok().map(|finished| &finished.found)),
            phases: self.events.phases(elapsed),
            suites,
            setup_failure,
            ..self.nothing_yet()
        }
    }

    /// Everything that describes the run.
    fn properties(&self, found: Option<&Discovered>) -> Properties {
        let mut properties = self.basics();
        properties.extend(self.versions.told().iter().cloned());
        if let Some(found) = found {
            properties.push(("features".to_owned(), found.features.join(",")));
            properties.push(("capabilities".to_owned(), held(found).join(",")));
        }
        properties
    }

    /// What is known without asking anybody.
    fn basics(&self) -> Properties {
        let settings = self.args.settings();
        let properties = [
            ("run_id", self.directory.id.clone()),
            ("cached", "false".to_owned()),
            ("os", std::env::consts::OS.to_owned()),
            ("arch", std::env::consts::ARCH.to_owned()),
            (
                "profile",
                if self.args.build.release { "release" } else { "dev" }.to_owned(),
            ),
            ("jobs", settings.jobs.to_string()),
            (
                "seed",
                self.seed
                    .map_or_else(|| "none".to_owned(), |seed| seed.to_string()),
            ),
        ];
        properties
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }

    /// How the run went, as an exit code.
    pub(super) fn exit(&self, ended: &Result<Finished, Stop>, report: &Report) -> Exit {
        let finished = match ended {
            Ok(finished) => finished,
            Err(stop) => return stop.exit,
        };
        match finished.ran.ending {
            Ending::Interrupted(request) => request.exit(),
            Ending::TimedOut => Exit::RunTimedOut,
            Ending::Complete if any_failed(report, &finished.missing) => Exit::TestsFailed,
            Ending::Complete if !finished.missing.is_empty() => Exit::CapabilityMissing,
            Ending::Complete => Exit::Success,
        }
    }

    /// Ends the events and writes the reports, JUnit first.
    pub(super) fn publish(&self, exit: Exit, report: &Report) -> Result<(), Stop> {
        self.events.run_ended(exit, report);
        if let Some(trouble) = self.events.trouble() {
            self.console
                .line(&format!("warning: could not write all events: {trouble}"));
        }
        let xml = junit::to_xml(report, self.args.junit_dialect);
        let published = xml
            .and_then(|xml| self.directory.publish(&xml, self.args.junit.as_deref()))
            .and_then(|()| self.args.outputs.write(report, &self.directory, &self.console));
        published.map_err(|error| {
            self.console.line(&format!("error: {error:#}"));
            Stop::new(Exit::ReportFailed, "report", format!("{error:#}"))
        })
    }

    /// Says on the console how the run went.
    pub(super) fn summarise(&self, ended: &Result<Finished, Stop>, report: &Report) {
        let orphans = ended.as_ref().map_or(0, |finished| finished.ran.orphans);
        let slowest = slowest::to_text(report, self.args.outputs.durations);
        let mut notes: Vec<String> = slowest.lines().map(str::to_owned).collect();
        if orphans > 0 {
            notes.push(format!("killed {orphans} processes that tests had left behind"));
        }
        notes.push(format!("report: {}", self.directory.published.display()));
        notes.push(format!(
            "run {} took {:.2} s",
            report.run_id,
            report.elapsed.as_secs_f64()
        ));
        let rerun = self.rerun();
        Summary { report, notes, rerun }.print(&self.console);
    }

    fn rerun(&self) -> String {
        let release = if self.args.build.release { " --release" } else { "" };
        let fuse = match self.args.build.fuse {
            FuseMode::Auto => String::new(),
            mode => format!(" --fuse {}", mode.word()),
        };
        let manifest = self.args.build.manifest_path.as_ref();
        let manifest = manifest
            .map(|path| format!(" --manifest-path '{}'", path.display()))
            .unwrap_or_default();
        format!("cargo xtask test{release}{fuse}{manifest}")
    }
}

impl Finished {
    fn setup_failure(&self) -> Option<Failure> {
        match self.ran.ending {
            Ending::Interrupted(request) => {
                let message = format!("the run was interrupted by {}", request.name());
                Some(failure("interrupted", &message, ""))
            }
            Ending::TimedOut => Some(failure("timeout", "the run reached its time limit", "")),
            Ending::Complete => {
                let (name, reason) = self.missing.iter().next()?;
                let message = format!("`{name}` is required and missing: {reason}");
                Some(failure(&format!("capability:{name}"), &message, ""))
            }
        }
    }
}

/// Whether a test failed for another reason than a required capability.
fn any_failed(report: &Report, missing: &BTreeMap<String, String>) -> bool {
    let counts = |failure: &Failure| {
        let capability = failure.kind.strip_prefix("capability:");
        !capability.is_some_and(|name| missing.contains_key(name))
    };
    report
        .suites
        .iter()
        .flat_map(|suite| &suite.cases)
        .any(|case| match &case.outcome {
            Outcome::Failed(failure) | Outcome::Errored(failure) => counts(failure),
            Outcome::Passed | Outcome::Skipped(_) => false,
        })
}

fn held(found: &Discovered) -> Vec<&'static str> {
    found
        .capabilities
        .iter()
        .filter(|capability| capability.available)
        .map(|capability| capability.name)
        .collect()
}

fn failure(kind: &str, message: &str, detail: &str) -> Failure {
    Failure {
        kind: kind.to_owned(),
        message: message.to_owned(),
        detail: detail.to_owned(),
    }
}
