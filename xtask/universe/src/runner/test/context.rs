//! The context of a run of the tests, from its start to its end: its directories, its report, the
//! exit code, and the final lines.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::Args;
use super::debugger;
use crate::base::clock;
use crate::base::exit::{Exit, Stop};
use crate::base::failure_kind::FailureKind;
use crate::base::invocation::Invocation;
use crate::base::text::{counted, plain_line, word_of_shell};
use crate::report::data::{Failure, Outcome, Report};
use crate::report::events::{Events, Properties};
use crate::report::junit;
use crate::report::places::Places;
use crate::report::slowest;
use crate::runner::console::{Console, Summary, took};
use crate::runner::discover::Discovered;
use crate::runner::execution::{Dropped, Ending, Leaving, Owner, Ran, Settings, Setups, Stage};
use crate::runner::github;
use crate::runner::outputs::elsewhere;
use crate::runner::planning::Understood;
use crate::runner::rundir::{RUN_ID, RunDir};
use crate::runner::suspension::Pauses;
use crate::runner::versions::Versions;
use crate::sandbox::isolation::{Level, Network};
use crate::select::plan::Plan;
use crate::select::schedule::NoTests;
use crate::select::subset::Subset;
use crate::workspace::fuse_mode::FuseMode;
use crate::workspace::metadata::Workspace;
use crate::workspace::repository;

/// A run from its start on: everything that is known before probing and building.
#[derive(Debug)]
pub(super) struct Run<'a> {
    pub(super) args: &'a Args,
    pub(super) workspace: Workspace,
    /// The seed of the order, if it is random.
    pub(super) seed: Option<u64>,
    pub(super) settings: Settings,
    versions: Versions,
    places: Places,
    /// The isolation of the tests, once it is known.
    isolation: OnceCell<(Level, String)>,
    directory: Arc<RunDir>,
    console: Arc<Console>,
    pub(super) events: Arc<Events>,
    started: SystemTime,
    start: Instant,
}

/// How this run uses the machine.
#[derive(Debug)]
pub(super) struct Resources {
    /// With limits that are extended for this machine.
    pub(super) settings: Settings,
    pub(super) owner: Arc<Owner>,
    pub(super) pauses: Pauses,
}

/// A run that reached its tests.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) ran: Ran,
    /// Required capabilities that are missing, each with its reason.
    pub(super) missing: BTreeMap<String, String>,
    /// How many tests have yet to pass: they failed last time or never ran, and were not selected
    /// now.
    pub(super) outstanding: usize,
    pub(super) found: Discovered,
    /// The owner of the tests. It exits while the reports are written.
    pub(super) leaving: Leaving,
}

impl<'a> Run<'a> {
    /// Starts the clock and the events.
    pub(super) fn begin(
        args: &'a Args,
        settings: Settings,
        workspace: Workspace,
        directory: RunDir,
    ) -> Result<Run<'a>, Stop> {
        let console = match (args.outputs.events_take_stdout(), &args.debugger) {
            (true, _) => Console::beside_stdout(),
            (false, None) => Console::new(),
            (false, Some(_)) => Console::without_status(),
        };
        let console = console.at(args.outputs.status_level);
        let start = clock::now();
        let run = Run {
            args,
            seed: args.seed(),
            versions: Versions::ask(&workspace.root),
            places: places(&workspace),
            isolation: OnceCell::new(),
            workspace,
            settings,
            directory: Arc::new(directory),
            console: Arc::new(console),
            events: Arc::new(Events::new(start)),
            started: clock::wall(),
            start,
        };
        let begun = args.outputs.begin(&run.directory, &run.events);
        begun.map_err(|error| Stop::new(Exit::ReportFailed, FailureKind::Report, format!("{error:#}")))?;
        run.events
            .run_started(&run.nothing_yet(), std::env::args().skip(1).collect());
        Ok(run)
    }

    /// The report before anything was done.
    fn nothing_yet(&self) -> Report {
        Report {
            name: self.workspace.name(),
            run_id: self.directory.id.clone(),
            started: self.started,
            elapsed: Duration::ZERO,
            properties: self.basics(),
            phases: Vec::new(),
            suites: Vec::new(),
            setup_failure: None,
            compile_errors: Vec::new(),
            failed_runs: Vec::new(),
            places: self.places.clone(),
        }
    }

    /// The owner of the tests' processes. Prints a line if the isolation is weaker than requested.
    pub(super) fn owner(&self) -> Result<Owner, Stop> {
        let scratch = self.directory.scratch_root();
        let owner = match self.args.debugger {
            Some(_) => Owner::in_foreground(scratch)?,
            None => Owner::choose(self.args.limits_and_leaks.isolate, scratch)?,
        };
        self.directory.scratch_is_made()?;
        let level = owner.level().name();
        let text = match owner.why() {
            Some(why) => format!("{level}; {why}"),
            None => level.to_owned(),
        };
        if owner.why().is_some() {
            self.console.line(&format!("isolation: {text}"));
        }
        self.isolation.set((owner.level(), text)).ok();
        Ok(owner)
    }

    /// The results of earlier runs. Those that this run needs before its tests start are read
    /// during the build.
    pub(super) fn subset(&self) -> Subset {
        let subset = self.args.schedule.subset.subset(&self.workspace.target_directory);
        let forecast = self.console.is_live().then(|| Arc::clone(&subset.history));
        for history in subset.needed().into_iter().chain(forecast) {
            tokio::task::spawn_blocking(move || history.tests().len());
        }
        subset
    }

    /// The settings for this machine. Prints a line if it is slow.
    pub(super) fn stretched(&self, factor: f64) -> Settings {
        if factor > 1.0 {
            let line = format!(
                "this machine is running {factor}× slower than usual; all time limits are extended to match"
            );
            self.console.line(&line);
        }
        self.settings.stretched(factor)
    }

    /// Warnings about filters that match no test, and about doc tests that run as one. Filters of
    /// the workspace may be about packages that were not built.
    pub(super) fn idle(&self, understood: &Understood, found: &Discovered) -> Vec<String> {
        let tests = found.subjects();
        let words = understood.filter.unmatched(&tests).into_iter();
        let words = words.map(|word| format!("no test matches `{word}`"));
        let overrides = match found.is_all {
            true => [
                understood.rules.unmatched(&tests),
                understood.scripts.unmatched(&tests),
            ]
            .concat(),
            false => Vec::new(),
        };
        let merged = found.merged_doc_tests();
        let merged = merged.map(|library| {
            format!("the doc tests of `{library}` run as one test: rustdoc can't run each of them alone")
        });
        words.chain(overrides).chain(merged).collect()
    }

    /// Prints what is about to run.
    pub(super) fn announce(&self, plan: &Plan, found: &Discovered, warnings: &[String]) {
        for warning in warnings {
            self.console.line(&format!("warning: {}", plain_line(warning)));
        }
        if !found.features.is_empty() {
            let fuse = found.capabilities.lookup("fuse");
            let evidence = fuse
                .map(|fuse| format!(" (fuse: {})", fuse.evidence))
                .unwrap_or_default();
            self.console
                .line(&format!("features: {}{evidence}", found.features.join(", ")));
        }
        self.networks(plan)
            .iter()
            .for_each(|line| self.console.line(line));
        if let Some(line) = self.args.profile.line() {
            self.console.line(&line);
        }
        let omitted = plan.omitted.words();
        if !omitted.is_empty() {
            self.console.line(&omitted);
        }
        let (count, jobs) = (plan.order.len(), self.settings.jobs);
        if let Some(line) = self.args.fewer_jobs(jobs) {
            self.console.line(&line);
        }
        let order = self
            .seed
            .map(|seed| format!(", in the random order of seed {seed}"))
            .unwrap_or_default();
        let shard = self.args.schedule.subset.shard;
        let shard = shard.map(|shard| format!(", shard {shard}")).unwrap_or_default();
        self.console.line(&format!(
            "running {count} of {}{shard}, {jobs} at a time{}{order}{}",
            counted(plan.tests.len(), "test", "tests"),
            self.place(),
            self.args.schedule.repeat.words()
        ));
    }

    /// What the isolation of this run cannot give to tests.
    fn networks(&self, plan: &Plan) -> Option<String> {
        let (level, _) = self.isolation.get().filter(|(level, _)| *level != Level::Box)?;
        let wants_own = |number: &&usize| plan.treatment(**number).network == Some(Network::Own);
        let count = plan.order.iter().filter(wants_own).count();
        let tests = counted(count, "test has", "tests have");
        let level = level.name();
        (count > 0).then(|| {
            format!("isolation: {tests} `network = \"own\"`, but no network without the box (`{level}`)")
        })
    }

    /// Where the tests run.
    fn place(&self) -> &'static str {
        match self.isolation.get() {
            Some((Level::Box, _)) => " in the box",
            Some((Level::Tree | Level::Group, _)) | None => "",
        }
    }

    /// Everything that the tests of this run share.
    pub(super) fn stage(&self, plan: Plan, found: &Discovered, resources: Resources) -> Arc<Stage> {
        let mut environment = found.environment.clone();
        environment.set(RUN_ID, &self.directory.id);
        environment.set("XTASK_TEST_CAPS", held(found).join(","));
        if let Some(seed) = self.seed {
            environment.set("XTASK_TEST_SEED", seed.to_string());
        }
        environment.debug_by(
            self.args
                .debugger
                .clone()
                .map(debugger::words)
                .unwrap_or_default(),
        );
        self.events
            .described(self.properties(Some(found), &self.versions.known()));
        Arc::new(Stage {
            setups: Setups::new(plan.scripts.clone()),
            plan,
            environment,
            directory: Arc::clone(&self.directory),
            owner: resources.owner,
            pauses: resources.pauses,
            console: Arc::clone(&self.console),
            events: Arc::clone(&self.events),
            settings: resources.settings,
            root: self.workspace.root.clone(),
            origin: self.workspace.origin(),
        })
    }

    /// The whole run as data.
    pub(super) fn report(&self, ended: &Result<Finished, Stop>) -> Report {
        let (suites, setup_failure) = match ended {
            Ok(finished) => (finished.ran.suites.clone(), self.setup_failure(finished)),
            Err(stop) if self.is_content_with(stop) => (Vec::new(), None),
            Err(stop) => (
                Vec::new(),
                Some(failure(stop.kind.clone(), &stop.message, &stop.detail)),
            ),
        };
        let elapsed = clock::now() - self.start;
        let finished = ended.as_ref().ok();
        let found = finished.map(|finished| &finished.found);
        let mut properties = self.properties(found, &self.versions.properties());
        properties.extend(finished.iter().flat_map(|finished| finished.ran.scripts.clone()));
        Report {
            elapsed,
            properties,
            phases: self.events.phases(elapsed),
            suites,
            setup_failure,
            compile_errors: ended
                .as_ref()
                .err()
                .map_or_else(Vec::new, |stop| stop.compile_errors.clone()),
            ..self.nothing_yet()
        }
    }

    /// Everything that describes the run.
    fn properties(&self, found: Option<&Discovered>, versions: &[(String, String)]) -> Properties {
        let mut properties = self.basics();
        properties.extend_from_slice(versions);
        let mut add = |name: &str, value: String| properties.push((name.to_owned(), value));
        if let Some((_, text)) = self.isolation.get() {
            add("isolation", text.clone());
        }
        if let Some(found) = found {
            add("features", found.features.join(","));
            add("capabilities", held(found).join(","));
        }
        properties
    }

    /// The properties that are known from the start.
    fn basics(&self) -> Properties {
        let shard = self.args.schedule.subset.shard;
        let properties = [
            ("run_id", self.directory.id.clone()),
            ("cached", "false".to_owned()),
            ("os", std::env::consts::OS.to_owned()),
            ("arch", std::env::consts::ARCH.to_owned()),
            ("profile", self.args.profile.name().to_owned()),
            ("cargo_profile", self.args.build.profile_of_cargo().to_owned()),
            ("jobs", self.settings.jobs.to_string()),
            (
                "seed",
                self.seed
                    .map_or_else(|| "none".to_owned(), |seed| seed.to_string()),
            ),
            (
                "shard",
                shard.map_or_else(|| "none".to_owned(), |shard| shard.to_string()),
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
            Err(stop) if stop.exit == Exit::NoTests => return self.args.schedule.no_tests.exit(),
            Err(stop) => return stop.exit,
        };
        let skips = self.args.schedule.too_many_skips(&report.suites);
        match finished.ran.ending {
            Ending::Interrupted(request) => request.exit(),
            Ending::TimedOut => Exit::RunTimedOut,
            Ending::Complete if any_failed(report, &finished.missing) || skips.is_some() => Exit::TestsFailed,
            Ending::Complete if !finished.missing.is_empty() => Exit::CapabilityMissing,
            Ending::Complete if finished.outstanding > 0 => Exit::Outstanding,
            Ending::Complete => Exit::Success,
        }
    }

    /// Why the run as a whole has failed, whatever its tests' results are.
    fn setup_failure(&self, finished: &Finished) -> Option<Failure> {
        match finished.ran.ending {
            Ending::Interrupted(request) => {
                let message = format!("the run was interrupted by {}", request.name());
                Some(failure(FailureKind::Interrupted, &message, ""))
            }
            Ending::TimedOut => Some(failure(
                FailureKind::RunTimeout,
                "the run reached its time limit",
                "",
            )),
            Ending::Complete => match finished.missing.iter().next() {
                None => self.args.schedule.too_many_skips(&finished.ran.suites),
                Some((name, reason)) => {
                    let message = format!("`{name}` is required and missing: {reason}");
                    Some(failure(FailureKind::Capability(name.clone()), &message, ""))
                }
            },
        }
    }

    /// Whether a run without tests was declared a success.
    fn is_content_with(&self, stop: &Stop) -> bool {
        stop.exit == Exit::NoTests && self.args.schedule.no_tests == NoTests::Pass
    }

    /// Adds the results to the history. What a person did in a debugger is no result.
    pub(super) fn remember(&self, report: &Report) {
        if self.args.debugger.is_some() {
            return;
        }
        let place = self.args.schedule.subset.place(&self.workspace.target_directory);
        if let Err(error) = place.add(report) {
            self.console.line(&format!("warning: {error:#}"));
        }
    }

    /// Ends the events and writes the reports, JUnit first.
    pub(super) fn publish(&self, exit: Exit, report: &Report) -> Result<(), Stop> {
        self.events.run_ended(exit, report);
        if let Some(trouble) = self.events.trouble() {
            self.console
                .line(&format!("warning: could not write all events: {trouble}"));
        }
        let published = std::thread::scope(|scope| {
            let outputs = self.args.outputs.render(scope, report);
            let xml = junit::to_xml(report, self.args.junit_dialect)?;
            let also = elsewhere(self.args.junit.as_deref());
            self.directory.publish(&xml, also)?;
            self.args.outputs.write(outputs, &self.directory)?;
            github::write(report, &self.console)
        });
        published.map_err(|error| {
            self.console.line(&format!("error: {error:#}"));
            Stop::new(Exit::ReportFailed, FailureKind::Report, format!("{error:#}"))
        })
    }

    /// Prints how the run went.
    pub(super) fn summarise(&self, ended: &Result<Finished, Stop>, report: &Report) {
        let slowest = slowest::to_text(report, self.args.outputs.durations);
        let mut notes: Vec<String> = slowest.lines().map(str::to_owned).collect();
        match ended {
            Ok(finished) => notes.extend(finished.notes()),
            Err(stop) if self.is_content_with(stop) => notes.push(stop.message.clone()),
            Err(_) => {}
        }
        let published = &self.directory.published;
        notes.extend(
            published
                .is_file()
                .then(|| format!("report: {}", published.display())),
        );
        notes.push(took(report));
        let rerun = self.rerun();
        Summary { report, notes, rerun }.print(&self.console);
    }

    /// Fails if the console could not show everything.
    pub(super) fn all_shown(&self) -> Result<(), Stop> {
        self.console.all_shown()
    }

    /// The command that reruns a test of this run; `None` if it cannot be typed.
    fn rerun(&self) -> Option<String> {
        let build = &self.args.build;
        let fuse = match build.fuse.mode {
            FuseMode::Auto => None,
            mode => Some(format!("--fuse={}", mode.word())),
        };
        let words = build.words()?.into_iter().chain(fuse);
        let words = words.chain(self.args.archive.words()?);
        let words = words.chain(self.args.limits_and_leaks.words());
        let words = words.chain(self.args.ignored().word());
        let words: Option<Vec<String>> = words.map(|word| word_of_shell(&word)).collect();
        Some(
            format!("{} {}", Invocation::current().with("test"), words?.join(" "))
                .trim_end()
                .to_owned(),
        )
    }
}

impl Finished {
    /// Notes about the run as a whole, one line each.
    fn notes(&self) -> Vec<String> {
        let (dropped, outstanding) = (self.ran.dropped, self.outstanding);
        let notes = [
            (dropped != Dropped::default()).then(|| {
                let Dropped { passed, failed } = dropped;
                format!("the report leaves out other rounds: {passed} passed, {failed} failed")
            }),
            match outstanding {
                0 => None,
                1 => {
                    Some("1 other test has yet to pass: it failed when it last ran, or never ran".to_owned())
                }
                _ => Some(format!(
                    "{outstanding} other tests have yet to pass: they failed when they last ran, or never ran"
                )),
            },
        ];
        notes.into_iter().flatten().collect()
    }
}

/// Whether a test failed for another reason than a required capability.
fn any_failed(report: &Report, missing: &BTreeMap<String, String>) -> bool {
    let counts = |failure: &Failure| !matches!(&failure.kind, FailureKind::Capability(name) if missing.contains_key(name));
    report
        .suites
        .iter()
        .flat_map(|suite| &suite.cases)
        .any(|case| match &case.outcome {
            Outcome::Failed(failure) | Outcome::Errored(failure) => counts(failure),
            Outcome::Passed | Outcome::Skipped(_) => false,
        })
}

/// Where the workspace is, and what readers of the report take its paths as relative to.
fn places(workspace: &Workspace) -> Places {
    let variable = |name: &str| std::env::var_os(name);
    let repository = repository::root(&workspace.root, variable);
    let attachments = repository::attachments_root(variable);
    Places::new(&repository, &workspace.root, attachments.as_deref())
}

fn held(found: &Discovered) -> Vec<&str> {
    found
        .capabilities
        .iter()
        .filter(|capability| capability.available)
        .map(|capability| capability.name.as_ref())
        .collect()
}

fn failure(kind: FailureKind, message: &str, detail: &str) -> Failure {
    Failure {
        kind,
        message: message.to_owned(),
        detail: detail.to_owned(),
    }
}
