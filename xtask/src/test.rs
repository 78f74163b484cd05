//! `cargo xtask test`: find out what this machine can do, build once, run every test in a process of its own, report.
//!
//! [`story`] is the order of events; from the moment the run has a directory, whatever happens ends in a report.

mod finish;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use crate::cargo::BuildArgs;
use crate::clock::parse_duration;
use crate::discover::{self, standings};
use crate::exit::{Exit, Stop};
use crate::filter::FilterArgs;
use crate::interrupt::Interrupts;
use crate::junit::Dialect;
use crate::plan::{Ignored, Plan, Required, Wishes};
use crate::reports::OutputArgs;
use crate::run::{self, OnFailure, Output, Settings};
use crate::rundir::RunDir;
use crate::runtime;
use crate::workspace::Workspace;
use finish::{Finished, Run};

/// Build the workspace and run its tests, each in a process of its own
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    /// Also run tests that are ignored for another reason than a missing capability
    #[arg(long)]
    pub(crate) run_ignored: bool,
    /// Fail (exit code 107) unless these capabilities are there; `all` stands for whatever the selected tests need
    #[arg(
        long,
        value_name = "CAPABILITY",
        value_delimiter = ',',
        env = "XTASK_TEST_REQUIRE"
    )]
    pub(crate) require: Vec<String>,

    /// Run so many tests at a time [default: twice the number of processors]
    #[arg(long, short, value_name = "N", env = "XTASK_TEST_JOBS", help_heading = "Run")]
    pub(crate) jobs: Option<NonZeroUsize>,
    /// End a test that takes longer, with all it started
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse_duration, env = "XTASK_TEST_TIMEOUT", help_heading = "Run")]
    pub(crate) timeout: Duration,
    /// End the run when the tests together take longer; building does not count
    #[arg(long, value_name = "TIME", default_value = "180s", value_parser = parse_duration, env = "XTASK_TEST_GLOBAL_TIMEOUT", help_heading = "Run")]
    pub(crate) global_timeout: Duration,
    /// Start no further test after the first failure
    #[arg(long, overrides_with = "no_fail_fast", help_heading = "Run")]
    pub(crate) fail_fast: bool,
    /// Run everything, whatever fails (the default)
    #[arg(long, overrides_with = "fail_fast", help_heading = "Run")]
    pub(crate) no_fail_fast: bool,
    /// Run in random order; the seed is printed and gives the same order again
    #[arg(long, value_name = "SEED", num_args = 0..=1, require_equals = true, help_heading = "Run")]
    pub(crate) shuffle: Option<Option<u64>>,
    /// Show what tests write while they run
    #[arg(long, alias = "nocapture", help_heading = "Run")]
    pub(crate) no_capture: bool,

    /// Write the JUnit report to this file, too
    #[arg(long, value_name = "PATH", env = "XTASK_TEST_JUNIT", help_heading = "Report")]
    pub(crate) junit: Option<PathBuf>,
    /// What the report may contain
    #[arg(
        long,
        value_name = "DIALECT",
        value_enum,
        default_value_t,
        env = "XTASK_TEST_JUNIT_DIALECT",
        help_heading = "Report"
    )]
    pub(crate) junit_dialect: Dialect,
    #[command(flatten)]
    pub(crate) outputs: OutputArgs,

    #[command(flatten)]
    pub(crate) build: BuildArgs,
}

/// Runs the tests. The exit code says how it went.
///
/// # Errors
/// When there is not even a report: there is no workspace or no temporary directory.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    Ok(runtime::block_on(story(args))??.into())
}

async fn story(args: &Args) -> Result<Exit, Stop> {
    let interrupts = Interrupts::listen()?;
    let workspace = Workspace::load(args.build.manifest_path.as_deref())?;
    let directory = RunDir::create(&workspace.target_directory, "test")?;
    let run = Run::begin(args, workspace, directory)?;
    let ended = tests(&run, interrupts).await;
    let report = run.report(&ended);
    let exit = run.exit(&ended, &report);
    let published = run.publish(exit, &report);
    run.summarise(&ended, &report);
    Ok(published.map_or_else(|stop| stop.exit, |()| exit))
}

/// The part of the story that may stop anywhere.
async fn tests(run: &Run<'_>, mut interrupts: Interrupts) -> Result<Finished, Stop> {
    let filter = run.args.filter.parse()?;
    run.events.phase("probe");
    let capabilities = run.workspace.detect(run.args.build.fuse);
    let required = Required::parse(&run.args.required(), &standings(&capabilities))?;
    let found = discover::discover(
        &run.workspace,
        capabilities,
        &run.args.build,
        (&mut interrupts, &run.events),
    )
    .await?;
    let standings = standings(&found.capabilities);
    let unmatched = filter.unmatched(&found.ids());
    let wishes = Wishes {
        required,
        ignored: run.args.ignored(),
        seed: run.seed,
    };
    let plan = Plan::make(found.tests.clone(), &filter, &standings, &wishes)?;
    let missing = plan.missing(&standings, &wishes.required);
    run.announce(&plan, &found, &unmatched);
    let ran = run::run(&run.stage(plan, &found), interrupts).await;
    Ok(Finished { ran, missing, found })
}

impl Args {
    /// The capabilities that are required, by name or by `--fuse on`.
    fn required(&self) -> Vec<String> {
        let by_fuse = self.build.fuse.required().iter().map(|&name| name.to_owned());
        self.require.iter().cloned().chain(by_fuse).collect()
    }

    fn ignored(&self) -> Ignored {
        if self.run_ignored {
            Ignored::Run
        } else {
            Ignored::Skip
        }
    }

    fn settings(&self) -> Settings {
        Settings {
            jobs: self.jobs.map_or_else(default_jobs, NonZeroUsize::get),
            timeout: self.timeout,
            run_timeout: self.global_timeout,
            on_failure: if self.fail_fast {
                OnFailure::Stop
            } else {
                OnFailure::GoOn
            },
            output: if self.no_capture {
                Output::Show
            } else {
                Output::Keep
            },
        }
    }
}

/// Integration tests wait more than they compute.
fn default_jobs() -> usize {
    2 * std::thread::available_parallelism().map_or(1, NonZeroUsize::get)
}
