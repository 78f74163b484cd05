//! `cargo universe test`: checks the machine's capabilities, builds once, runs every test in a
//! process of its own, and reports.
//!
//! [`story`] is the order of events. From the moment the run has a directory, every outcome ends in
//! a report.

mod context;
mod debugger;
mod failures_max;
mod jobs;
mod no_run;
mod preparation;

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::ArgMatches;
use clap::parser::ValueSource;

use crate::base::exit::{Exit, Stop};
use crate::base::interrupt::Interrupts;
use crate::base::limits::RUN_TIMEOUT;
use crate::base::os;
use crate::base::runtime;
use crate::base::terminal::Colour;
use crate::base::text::positive;
use crate::report::junit::Dialect;
use crate::runner::archive::ArchiveArgs;
use crate::runner::discover::HeadStart;
use crate::runner::execution::{Caps, Debugging, Output, Settings};
use crate::runner::limits_and_leaks::LimitsAndLeaksArgs;
use crate::runner::list::{self, ListForm, Listing};
use crate::runner::outputs::OutputArgs;
use crate::runner::planning::{PlanRequest, Planned};
use crate::runner::profile::{self, ProfileArgs};
use crate::runner::rundir::RunDir;
use crate::select::filter::FilterArgs;
use crate::select::plan::Ignored;
use crate::select::schedule::ScheduleArgs;
use crate::select::shuffle::TestOrder;
use crate::workspace::archive;
use crate::workspace::cargo::BuildArgs;
use crate::workspace::metadata::Workspace;
use context::{Finished, Run};
use debugger::Debugger;
use failures_max::FailuresMax;
use preparation::Preparation;

/// Build the workspace and run its tests, each in its own process
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    /// Which tests.
    pub filter: FilterArgs,
    /// Also run tests that are ignored for a reason other than a missing capability; `only` runs
    /// no other tests than ignored ones
    #[arg(
        long,
        value_name = "all|only|default",
        num_args = 0..=1,
        default_missing_value = "all",
        require_equals = true
    )]
    pub(crate) run_ignored: Option<Ignored>,
    /// Fail with exit code 107 if one of these capabilities is missing; `all` means every
    /// capability that a selected test needs
    #[arg(
        long,
        value_name = "CAPABILITY",
        value_delimiter = ',',
        env = "XTASK_TEST_REQUIRE"
    )]
    pub require: Vec<String>,

    /// Run N tests concurrently [default: twice the number of processors]
    #[arg(
        long,
        short,
        alias = "test-threads",
        value_name = "N",
        value_parser = positive::<NonZeroUsize>,
        env = "XTASK_TEST_JOBS",
        help_heading = "Run"
    )]
    pub(crate) jobs: Option<NonZeroUsize>,
    /// Start no further test after the first failure
    #[arg(long, overrides_with_all = ["no_fail_fast", "max_fail"], help_heading = "Run")]
    pub(crate) fail_fast: bool,
    /// Run everything, whatever fails (the default)
    #[arg(long, overrides_with_all = ["fail_fast", "max_fail"], help_heading = "Run")]
    pub(crate) no_fail_fast: bool,
    /// Start no further test after N failures
    #[arg(
        long,
        value_name = "N|all",
        overrides_with_all = ["fail_fast", "no_fail_fast"],
        help_heading = "Run"
    )]
    pub(crate) max_fail: Option<FailuresMax>,
    /// Run the one selected test under this program, such as `gdb --args`, in the foreground and
    /// without time limits; the words are split at spaces
    #[arg(
        long,
        value_name = "COMMAND",
        conflicts_with_all = ["list", "dry_run", "no_run"],
        help_heading = "Run"
    )]
    pub(crate) debugger: Option<Debugger>,
    /// Build, print where the test binaries are, and run nothing
    #[arg(long, conflicts_with_all = ["list", "dry_run"], help_heading = "Run")]
    pub(crate) no_run: bool,
    /// Run in random order, a different one in each round; the printed seed repeats the order;
    /// `false` overrides a profile
    #[arg(
        long,
        value_name = "SEED",
        num_args = 0..=1,
        default_missing_value = "true",
        require_equals = true,
        help_heading = "Run"
    )]
    pub(crate) shuffle: Option<TestOrder>,
    /// Show the output of tests while they run
    #[arg(long, alias = "nocapture", help_heading = "Run")]
    pub(crate) no_capture: bool,
    /// Colour what the runner and cargo print
    #[arg(
        long,
        value_name = "WHEN",
        value_enum,
        default_value_t,
        help_heading = "Report"
    )]
    pub(crate) color: Colour,

    /// Also write the JUnit report to this file; `off` overrides a profile
    #[arg(
        long,
        value_name = "PATH|off",
        env = "XTASK_TEST_JUNIT",
        help_heading = "Report"
    )]
    pub(crate) junit: Option<PathBuf>,
    /// Choose the dialect of the report
    #[arg(
        long,
        value_name = "DIALECT",
        value_enum,
        default_value_t,
        env = "XTASK_TEST_JUNIT_DIALECT",
        help_heading = "Report"
    )]
    pub junit_dialect: Dialect,
    #[command(flatten)]
    pub(crate) outputs: OutputArgs,

    #[command(flatten)]
    pub(crate) limits_and_leaks: LimitsAndLeaksArgs,
    #[command(flatten)]
    pub(crate) schedule: ScheduleArgs,
    #[command(flatten)]
    /// What to build.
    pub build: BuildArgs,
    #[command(flatten)]
    pub(crate) archive: ArchiveArgs,
    #[command(flatten)]
    pub(crate) profile: ProfileArgs,
}

/// Runs the tests. The exit code says how it went. `args` were parsed from `words`.
/// # Errors
/// When there is no report at all: there is no workspace, no such profile or no temporary
/// directory.
pub fn run(args: &Args, words: &[OsString]) -> anyhow::Result<ExitCode> {
    let (args, workspace) = profile::apply(args, words)?;
    args.color.set();
    if args.no_run {
        return no_run::run(&args, &workspace);
    }
    if let Some(form) = args.preview() {
        return list::show(&args.listing(form), &workspace);
    }
    Ok(runtime::block_on(story(&args, workspace))??.into())
}

async fn story(args: &Args, workspace: Workspace) -> Result<Exit, Stop> {
    let interrupts = Interrupts::listen()?;
    let settings = args.settings()?;
    archive::sweep(&workspace.target_directory);
    let directory = RunDir::without_scratch(&workspace.target_directory, "test")?;
    let run = Run::begin(args, settings, workspace, directory)?;
    let ended = tests(&run, interrupts).await;
    let report = run.report(&ended);
    let exit = run.exit(&ended, &report);
    let published = run.publish(exit, &report);
    run.remember(&report);
    run.summarise(&ended, &report);
    let exit = published.map_or_else(|stop| stop.after(exit).exit, |()| exit);
    if let Ok(finished) = ended {
        finished.leaving.gone().await;
    }
    run.all_shown().map_err(|stop| stop.after(exit))?;
    Ok(exit)
}

/// The part of the run that may stop at any step.
async fn tests(run: &Run<'_>, mut interrupts: Interrupts) -> Result<Finished, Stop> {
    run.args.schedule.subset.check()?;
    run.events.phase("probe");
    let understood = run.args.request(run.seed).understand(&run.workspace)?;
    let begun = HeadStart::begin(&run.workspace, &run.args.build, &understood.filter)?;
    let subset = run.subset();
    let preparation = match Preparation::prepare(run) {
        Ok(preparation) => preparation,
        Err(stop) => {
            begun.end().await;
            return Err(stop);
        }
    };
    let found = preparation.discover(run, begun, &mut interrupts).await?;
    let warnings = run.idle(&understood, &found);
    let Planned {
        plan,
        options,
        missing,
    } = understood.plan(&found, subset)?;
    let interrupts = match run.args.debugger {
        Some(_) => debugger::alone(&plan).map(|()| interrupts.without_the_keyboard())?,
        None => interrupts,
    };
    run.announce(&plan, &found, &warnings);
    let outstanding = plan.outstanding;
    let (mut ran, leaving) = preparation.run(run, plan, &found, interrupts).await;
    options.subset.history.annotate(&mut ran.suites);
    Ok(Finished {
        ran,
        missing,
        outstanding,
        found,
        leaving,
    })
}

impl Args {
    /// The required capabilities, by `--require` or `--fuse on`.
    fn required(&self) -> Vec<String> {
        let by_fuse = self
            .build
            .fuse
            .mode
            .required()
            .iter()
            .map(|&name| name.to_owned());
        self.require.iter().cloned().chain(by_fuse).collect()
    }

    fn ignored(&self) -> Ignored {
        self.run_ignored.unwrap_or_default()
    }

    /// Decides between options that contradict each other. They were parsed into `matches`.
    pub(crate) fn settle(&mut self, matches: &ArgMatches) {
        self.schedule.settle(matches);
        let is_typed = |id| matches.value_source(id) == Some(ValueSource::CommandLine);
        if !is_typed("max_fail") && (is_typed("fail_fast") || is_typed("no_fail_fast")) {
            self.max_fail = None;
        }
    }

    /// How many failures end the run, if any number does. The command line may contradict a
    /// profile.
    pub(crate) fn failures_max(&self) -> Option<NonZeroUsize> {
        match self.max_fail {
            Some(FailuresMax(limit)) => limit,
            None if self.fail_fast && !self.no_fail_fast => Some(NonZeroUsize::MIN),
            None => None,
        }
    }

    /// How to run on a machine of normal speed.
    ///
    /// # Errors
    /// When there are more copies than slots.
    fn settings(&self) -> Result<Settings, Stop> {
        let jobs = jobs::bounded(self.jobs_wanted(), os::open_files_max());
        let settings = Settings {
            jobs,
            timeout: self.limits_and_leaks.timeout,
            grace: self.limits_and_leaks.grace,
            slow: self.limits_and_leaks.slow,
            run_timeout: self.run_timeout(),
            leaks: self.limits_and_leaks.leaks,
            stretch: 1.0,
            repeat: self.schedule.repeat.parse(jobs, self.fewer_jobs(jobs))?,
            failures_max: self.failures_max(),
            output: if self.no_capture {
                Output::Show
            } else {
                Output::Keep
            },
            debugging: Debugging::No,
            caps: Caps::default(),
        };
        match self.debugger {
            Some(_) => debugger::settings(settings, self.limits_and_leaks.isolate),
            None => Ok(settings),
        }
    }

    /// A default limit must not end a run that the user made long on purpose.
    fn run_timeout(&self) -> Duration {
        match self.limits_and_leaks.global_timeout {
            Some(limit) => limit,
            None if self.schedule.repeat.is_asked_for() => Duration::MAX,
            None => RUN_TIMEOUT,
        }
    }

    /// The seed of the order, if it is random.
    fn seed(&self) -> Option<u64> {
        self.shuffle.and_then(TestOrder::seed)
    }

    /// How to list the tests, if that was requested instead of a run.
    fn preview(&self) -> Option<ListForm> {
        match (self.schedule.list, self.schedule.dry_run) {
            (true, _) => Some(ListForm::Lines),
            (false, true) => Some(ListForm::Order),
            (false, false) => None,
        }
    }

    fn listing(&self, form: ListForm) -> Listing<'_> {
        Listing {
            isolation: self.limits_and_leaks.isolate,
            request: self.request(self.seed()),
            subset: &self.schedule.subset,
            form,
        }
    }

    /// What to plan, in the order of this seed.
    fn request(&self, seed: Option<u64>) -> PlanRequest<'_> {
        PlanRequest {
            filter: &self.filter,
            build: &self.build,
            required: self.required(),
            ignored: self.ignored(),
            seed,
        }
    }
}

/// Integration tests wait more than they compute.
pub fn default_jobs() -> usize {
    2 * std::thread::available_parallelism().map_or(1, NonZeroUsize::get)
}
