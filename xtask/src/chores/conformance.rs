//! `cargo xtask conformance`: long checks of a mount by external programs; not part of `test`.
//!
//! [`story`] is the order of events. `check` defines the checks and `ground` the file systems;
//! `stage` runs one check from start to end.

mod check;
mod directory;
mod expected;
mod fsx;
mod install;
mod pjdfstest;
mod stage;

use std::path::PathBuf;
use std::process::ExitCode;

use cargo_universe::base::clock;
use cargo_universe::base::exit::{Exit, Stop};
use cargo_universe::base::failure_kind::FailureKind;
use cargo_universe::base::interrupt::{Interrupts, Request};
use cargo_universe::base::runtime;
use cargo_universe::machine::capability::Capabilities;
use cargo_universe::report::data::{Case, Failure, Report, Suite};
use cargo_universe::report::junit::{self, Dialect};
use cargo_universe::report::places::Places;
use cargo_universe::runner::binary;
use cargo_universe::runner::capabilities;
use cargo_universe::runner::console::{Console, Summary};
use cargo_universe::runner::rundir::RunDir;
use cargo_universe::select::filter::{Filter, Match, Subject};
use cargo_universe::select::shuffle;
use cargo_universe::workspace::cargo::BuildArgs;
use cargo_universe::workspace::fuse_mode::FuseMode;
use cargo_universe::workspace::metadata::Workspace;
use check::{On, Trial};
use stage::Stage;

/// The directory below `target/xtask`.
const KIND: &str = "conformance";

/// The binary of the tests package that mounts two connected peers.
const MOUNTPOINT: &str = "mountpoint";

/// Run fsx and pjdfstest on a mount: the checks that take too long for `test`
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only checks whose id contains one of these; a whole id selects that check
    names: Vec<String>,
    /// Where to check: `plain`, a plain directory, tests the checks themselves
    #[arg(long, value_name = "WHERE", value_enum, default_value_t)]
    on: On,
    /// Repeat the random operations of this seed; without it, a new one is printed
    #[arg(long, value_name = "SEED")]
    seed: Option<u64>,
    /// Only print the checks, and what each needs
    #[arg(long)]
    list: bool,
    /// Only build the tools, below target/xtask/tools
    #[arg(long, conflicts_with_all = ["list", "names"])]
    install: bool,
    /// Use the workspace of this Cargo.toml instead of the one around the current directory
    #[arg(long, value_name = "PATH")]
    manifest_path: Option<PathBuf>,
}

/// Runs the checks, or installs what they need. The exit code says how it went.
///
/// # Errors
/// When there is no workspace, it cannot be built, or there is no temporary directory.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let workspace = Workspace::load(args.manifest_path.as_deref())?;
    if args.install {
        return install::run(&workspace);
    }
    Ok(runtime::block_on(story(args, &workspace))??.into())
}

async fn story(args: &Args, workspace: &Workspace) -> Result<Exit, Stop> {
    let console = Console::new();
    let trials = selected(args)?;
    if args.list {
        trials.iter().for_each(|trial| console.line(&trial.line()));
        return Ok(Exit::Success);
    }
    let mut interrupts = Interrupts::listen()?;
    let (started, start) = (clock::wall(), clock::now());
    let directory = RunDir::create(&workspace.target_directory, KIND)?;
    directory.let_others_pass().map_err(anyhow::Error::from)?;
    let (capabilities, mountpoint) = prepare(args, workspace, &mut interrupts).await?;
    let seed = args.seed.unwrap_or_else(shuffle::fresh_seed);
    console.line(&format!(
        "running {} checks; the seed of random operations is {seed}",
        trials.len()
    ));
    let stage = Stage {
        directory: &directory,
        console: &console,
        capabilities: &capabilities,
        mountpoint: mountpoint.as_deref(),
        tools: &workspace.tools(),
        seed,
    };
    let (cases, interrupted) = stage.make(&trials, interrupts).await;
    let report = Report {
        name: workspace.name(),
        run_id: directory.id.clone(),
        started,
        elapsed: clock::now() - start,
        properties: vec![("seed".to_owned(), seed.to_string())],
        phases: Vec::new(),
        suites: vec![suite(started, cases)],
        setup_failure: interrupted.map(interruption),
        compile_errors: Vec::new(),
        failed_runs: Vec::new(),
        places: Places::default(),
    };
    directory.publish(&junit::to_xml(&report, Dialect::default())?, None)?;
    summary(&report, &directory, args.on).print(&console);
    Ok(exit(&report, interrupted))
}

fn selected(args: &Args) -> Result<Vec<Trial>, Stop> {
    let filter = Filter::parse(&args.names, Match::Substring)?;
    let trials = check::trials(args.on);
    let names: Vec<String> = trials.iter().map(Trial::name).collect();
    let subjects: Vec<Subject<'_>> = names.iter().map(|name| check::subject(name)).collect();
    match filter.unmatched(&subjects).first() {
        Some(word) => {
            let hint = "hint: `cargo xtask conformance --list` lists all checks";
            let message = format!("no check matches `{word}`\n{hint}");
            Err(Stop::new(Exit::NoTests, FailureKind::NoTests, message))
        }
        None => Ok(trials
            .into_iter()
            .filter(|trial| filter.selects(&check::subject(&trial.name())))
            .collect()),
    }
}

/// Checks the capabilities of this machine, and builds the binary that mounts, unless only a plain
/// directory is used.
async fn prepare(
    args: &Args,
    workspace: &Workspace,
    interrupts: &mut Interrupts,
) -> Result<(Capabilities, Option<PathBuf>), Stop> {
    let mut capabilities = capabilities::tried(workspace, FuseMode::Auto).await?;
    if args.on == On::Plain {
        return Ok((capabilities, None));
    }
    let build = BuildArgs::optimised();
    let probe = workspace.config.probe.as_ref();
    let probe = probe.map(|probe| probe.binary.as_str());
    let names: Vec<&str> = [MOUNTPOINT].into_iter().chain(probe).collect();
    let mut built = binary::build(workspace, &capabilities, &names, &build, interrupts).await?;
    capabilities.confirm(probe.and_then(|probe| built.get(probe)).map(PathBuf::as_path));
    Ok((capabilities, built.remove(MOUNTPOINT)))
}

fn suite(started: std::time::SystemTime, cases: Vec<Case>) -> Suite {
    Suite {
        name: check::SUITE.to_owned(),
        started,
        elapsed: cases.iter().map(|case| case.elapsed).sum(),
        cases,
    }
}

fn summary<'a>(report: &'a Report, directory: &RunDir, on: On) -> Summary<'a> {
    let on = match on {
        On::Mount => "",
        On::Plain => " --on plain",
    };
    Summary {
        report,
        notes: vec![format!("logs: {}", directory.path.join("logs").display())],
        rerun: Some(format!("cargo xtask conformance{on}")),
    }
}

fn interruption(request: Request) -> Failure {
    Failure {
        kind: FailureKind::Interrupted,
        message: format!("the run was interrupted by {}", request.name()),
        detail: String::new(),
    }
}

fn exit(report: &Report, interrupted: Option<Request>) -> Exit {
    let failed = |case: &Case| case.failure().is_some();
    match interrupted {
        Some(request) => request.exit(),
        None if report.suites.iter().flat_map(|suite| &suite.cases).any(failed) => Exit::TestsFailed,
        None => Exit::Success,
    }
}
