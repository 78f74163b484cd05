//! `cargo xtask bench`: measurements beside their budgets and beside those of other programs, in
//! one run.
//!
//! A binary of the tests package measures mounts and prints lines of JSON. This module adds the
//! build, the time limit, the other programs, and the table. `runner` measures the runner,
//! `transfer` the command `tandem`.

mod measurement;
mod others;
mod runner;
mod source;
mod table;
#[cfg(unix)]
mod transfer;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use tokio::process::Command;
use tokio::sync::watch;

use crate::chores::limits::MOUNT_BENCH_TIMEOUT;
use cargo_universe::base::exit::{Exit, Stop};
use cargo_universe::base::failure_kind::FailureKind;
use cargo_universe::base::interrupt::{Interrupts, Request};
use cargo_universe::base::limits::GRACE;
use cargo_universe::base::os;
use cargo_universe::base::os::TEMPORARY;
use cargo_universe::base::runtime;
use cargo_universe::base::text::report_text;
use cargo_universe::machine::capability::Capabilities;
use cargo_universe::runner::binary;
use cargo_universe::runner::capabilities;
use cargo_universe::runner::console::Console;
use cargo_universe::runner::execution::capture::{Capture, Echo};
use cargo_universe::runner::execution::process::{self, End, Ended, Halt, Watch};
use cargo_universe::runner::rundir::{RUN_ID, RunDir};
use cargo_universe::runner::suspension::Pauses;
use cargo_universe::sandbox::removal;
use cargo_universe::workspace::cargo::{self, BuildArgs};
use cargo_universe::workspace::fuse_mode::FuseMode;
use cargo_universe::workspace::metadata::Workspace;
use measurement::Measurement;
use source::Source;
use table::Served;

/// The directory below `target/xtask`.
const KIND: &str = "bench";

/// The amount that the binary moves by default.
const OTHERS_MIB: u32 = 1024;

/// Measure, and print each figure beside its budget
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What to measure; without it, list the choices
    #[arg(value_enum)]
    bench: Option<Bench>,
    /// The size in MiB of the file that sshfs and rclone copy
    #[arg(long, value_name = "MIB", default_value_t = OTHERS_MIB,
        value_parser = clap::value_parser!(u32).range(1..))]
    others_mib: u32,
    /// Skip sshfs and rclone, even if they are installed
    #[arg(long)]
    alone: bool,
    /// Use the workspace of this Cargo.toml instead of the one around the current directory
    #[arg(long, value_name = "PATH")]
    manifest_path: Option<PathBuf>,
    #[command(flatten)]
    runner: runner::RunnerArgs,
    #[cfg(unix)]
    #[command(flatten)]
    transfer: transfer::TransferArgs,
    /// Further arguments of the measuring binary; `-- --help` shows them
    #[arg(last = true)]
    rest: Vec<String>,
}

/// The available measurements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Bench {
    /// Reading and writing through a mount, beside the same on the bare disk
    Mount,
    /// The cost of running tests, beside nextest and `cargo test`
    Runner,
    /// Moving files with `tandem`, beside rsync and `cp`
    #[cfg(unix)]
    Transfer,
}

/// The binary of the tests package that measures mounts.
const BINARY: &str = "mount_bench";

/// Measures, or lists the available measurements. A missed budget is reported but is not a failure,
/// because machines differ.
///
/// # Errors
/// When the binary cannot be built, fails, or prints no measurement.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let Some(bench) = args.bench else {
        list();
        return Ok(Exit::Success.into());
    };
    let workspace = Workspace::load(args.manifest_path.as_deref())?;
    match bench {
        Bench::Mount => Ok(runtime::block_on(story(args, &workspace))??.into()),
        Bench::Runner => runner::run(&args.runner, &workspace).map(|()| Exit::Success.into()),
        #[cfg(unix)]
        Bench::Transfer => transfer::run(&args.transfer, &workspace).map(|()| Exit::Success.into()),
    }
}

fn list() {
    let console = Console::new();
    for bench in <Bench as clap::ValueEnum>::value_variants() {
        let value = clap::ValueEnum::to_possible_value(bench);
        let help = value.as_ref().and_then(clap::builder::PossibleValue::get_help);
        let name = value.as_ref().map_or("", |value| value.get_name());
        console.line(&format!("{name:<8} {}", help.cloned().unwrap_or_default()));
    }
}

async fn story(args: &Args, workspace: &Workspace) -> Result<Exit, Stop> {
    let console = Arc::new(Console::new());
    let mut interrupts = Interrupts::listen()?;
    let executable = build(workspace, &mut interrupts).await?;
    let directory = RunDir::create(&workspace.target_directory, KIND)?;
    let scratch = directory.scratch("0").map_err(anyhow::Error::from)?;
    let trial = Trial {
        args,
        executable: &executable,
        directory: &directory,
        scratch: &scratch,
        console: &console,
    };
    let measurements = trial.measure(interrupts).await;
    // If something cannot be removed, a later run removes it.
    removal::remove(&scratch).ok();
    console.line("");
    let served = args.served(&capabilities::tried(workspace, FuseMode::Auto).await?);
    table::table(&measurements?, served)
        .iter()
        .for_each(|line| console.line(line));
    Ok(Exit::Success)
}

impl Args {
    fn served(&self, capabilities: &Capabilities) -> Served {
        let is_root = capabilities.lookup("root").is_some_and(|root| root.available);
        match is_root && !self.rest.iter().any(|word| word == "--no-passthrough") {
            true => Served::ByPassthrough,
            false => Served::FromPages,
        }
    }
}

async fn build(workspace: &Workspace, interrupts: &mut Interrupts) -> Result<PathBuf, Stop> {
    let capabilities = capabilities::tried(workspace, FuseMode::On).await?;
    let args = BuildArgs::optimised();
    let mut built = binary::build(workspace, &capabilities, &[BINARY], &args, interrupts).await?;
    built.remove(BINARY).ok_or_else(|| {
        Stop::new(
            Exit::BuildFailed,
            FailureKind::Build,
            format!("cargo built no `{BINARY}`"),
        )
    })
}

/// One run of a binary that measures.
struct Trial<'a> {
    args: &'a Args,
    executable: &'a Path,
    directory: &'a RunDir,
    /// On the measured disk.
    scratch: &'a Path,
    console: &'a Arc<Console>,
}

impl Trial<'_> {
    /// Measures the other programs first, then runs the binary.
    async fn measure(&self, interrupts: Interrupts) -> Result<Vec<Measurement>, Stop> {
        let compared = self.compare().await?;
        let echo = Echo {
            console: Arc::clone(self.console),
            name: BINARY.to_owned(),
        };
        let capture = Capture::new(&self.directory.log("0"), Some(echo));
        let mark = self.directory.mark("0");
        let (ended, interrupted) = attended(self.command(), capture, mark, interrupts).await;
        match interrupted {
            Some(request) => Err(request.stop()),
            None => Ok(measured(&ended)?.into_iter().chain(compared).collect()),
        }
    }

    /// The measurements of the other programs; their files are removed before the binary starts.
    async fn compare(&self) -> anyhow::Result<Vec<Measurement>> {
        if self.args.alone || !others::any_installed() {
            return Ok(vec![]);
        }
        let directory = self.scratch.join("compared");
        std::fs::create_dir(&directory).context("could not create a directory")?;
        let source = Source {
            directory: &directory,
            mib: self.args.others_mib,
        };
        source.write()?;
        let (measurements, notes) = others::measure(self.scratch, &source).await;
        notes.iter().for_each(|note| self.console.line(note));
        std::fs::remove_dir_all(&directory).context("could not remove the compared files")?;
        Ok(measurements)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(self.executable);
        command.args(&self.args.rest).env(RUN_ID, &self.directory.id);
        for name in cargo::variables_of_cargo_run() {
            command.env_remove(name);
        }
        for name in TEMPORARY {
            command.env(name, self.scratch);
        }
        command
    }
}

/// Runs it to its end; a signal ends it early.
async fn attended(
    mut command: Command,
    capture: Capture,
    mark: String,
    mut interrupts: Interrupts,
) -> (Ended, Option<Request>) {
    os::adopt_orphans();
    if let Some((name, value)) = mark.split_once('=') {
        command.env(name, value);
    }
    let (sender, halt) = watch::channel(Halt::No);
    let timeout = MOUNT_BENCH_TIMEOUT;
    let mut work = std::pin::pin!(process::run(
        command,
        capture,
        Watch {
            timeout,
            grace: GRACE,
            pauses: Pauses::none(),
            halt,
            mark
        }
    ));
    let mut interrupted = None;
    loop {
        tokio::select! {
            ended = &mut work => return (ended, interrupted),
            request = interrupts.next() => {
                interrupted = Some(request);
                sender.send_replace(request.into());
            }
        }
    }
}

/// Its measurements, if it succeeded.
fn measured(ended: &Ended) -> Result<Vec<Measurement>, Stop> {
    let name = BINARY;
    let stop = |message: String| {
        let mut stop = Stop::new(Exit::TestsFailed, FailureKind::Bench, message);
        stop.detail = report_text(&ended.stderr);
        stop
    };
    match &ended.end {
        End::Exited(status) if status.success() => {}
        End::Exited(status) => return Err(stop(format!("`{name}` ended with {status}"))),
        End::NotStarted(error) => return Err(stop(format!("`{name}` did not start: {error}"))),
        End::TimedOut => {
            return Err(stop(format!(
                "`{name}` did not end within {} s",
                MOUNT_BENCH_TIMEOUT.as_secs()
            )));
        }
        End::Halted(_) | End::TooManyProcesses(_) | End::Lost => {
            return Err(stop(format!("`{name}` was interrupted")));
        }
    }
    let measurements = measurement::parse(&String::from_utf8_lossy(&ended.stdout));
    if measurements.is_empty() {
        return Err(stop(format!("`{name}` printed no measurement")));
    }
    Ok(measurements)
}
