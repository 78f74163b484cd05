//! The compared runners: how to start each, and where it reports the time of its tests.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, ensure};

use super::figures::{self, Sample};
use cargo_universe::base::clock;
use cargo_universe::report::events;
use cargo_universe::runner::rundir::PUBLISHED;

/// A runner with the relevant options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Contender {
    /// This one, in the best isolation that the machine supports.
    Box,
    /// This one, without namespaces.
    Process,
    /// This one as other projects have it, `cargo universe`, which no `cargo run` starts.
    Universe,
    /// If it is installed.
    Nextest,
    /// The runner of an earlier checkout, otherwise like `Box`.
    Before,
    /// One process for all tests of a binary.
    CargoTest,
}

/// The common suite and its directories.
#[derive(Debug)]
pub(super) struct Directories {
    /// The root of this workspace, in which `cargo xtask` is started.
    pub(super) workspace: PathBuf,
    /// Its target directory, where cargo finds this program.
    pub(super) target: PathBuf,
    /// The directory of the suite; it has its own target directory.
    pub(super) suite: PathBuf,
    /// The root of an earlier checkout.
    pub(super) before: Option<PathBuf>,
    pub(super) jobs: usize,
    /// Where cargo looks for its subcommands.
    pub(super) path: OsString,
}

/// The PATH of this process, after the directory in which cargo builds the programs of this
/// workspace.
pub(super) fn path(target: &Path) -> anyhow::Result<OsString> {
    let inherited = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::iter::once(target.join("debug")).chain(std::env::split_paths(&inherited));
    std::env::join_paths(directories).context("could not extend PATH")
}

impl Contender {
    pub(super) const ALL: [Contender; 6] = [
        Contender::Box,
        Contender::Universe,
        Contender::Nextest,
        Contender::Before,
        Contender::Process,
        Contender::CargoTest,
    ];

    /// Its name in the table.
    pub(super) fn name(self) -> &'static str {
        match self {
            Contender::Box => figures::OURS,
            Contender::Process => "xtask test --isolate process",
            Contender::Universe => figures::UNIVERSE,
            Contender::Nextest => figures::NEXTEST,
            Contender::Before => figures::BEFORE,
            Contender::CargoTest => "cargo test",
        }
    }

    /// Runs the suite once.
    pub(super) fn run(self, ground: &Directories) -> anyhow::Result<Sample> {
        let mut command = self.command(ground);
        let (started, start) = (clock::wall(), clock::now());
        let output = command.output().context("could not start cargo")?;
        let whole = clock::now() - start;
        ensure!(
            output.status.success(),
            "{} failed on the suite ({}):\n{}{}",
            self.name(),
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        let times = self.times(ground, &output, started);
        times
            .map(|(first, phase)| Sample { first, phase, whole })
            .with_context(|| format!("{} does not say how long its tests took", self.name()))
    }

    /// The time from the start to the first test, if reported, and the running time of the tests.
    fn times(
        self,
        ground: &Directories,
        output: &Output,
        started: SystemTime,
    ) -> Option<(Option<Duration>, Duration)> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match self {
            Contender::Box | Contender::Universe | Contender::Process | Contender::Before => {
                let report = ground.suite.join("target").join(PUBLISHED);
                let lines = std::fs::read_to_string(report.with_file_name(events::FILE_NAME)).ok()?;
                let times = figures::of_events(&lines)?;
                let first = times.first_start.duration_since(started).ok()?;
                Some((Some(first), times.phase))
            }
            Contender::Nextest => Some((None, figures::of_nextest(&text(&output.stderr))?)),
            Contender::CargoTest => Some((None, figures::of_cargo_test(&text(&output.stdout))?)),
        }
    }

    fn command(self, ground: &Directories) -> Command {
        let jobs = ground.jobs.to_string();
        let manifest = ground.suite.join("Cargo.toml");
        let mut command = cargo(ground);
        match self {
            Contender::Box | Contender::Process | Contender::Before => {
                // As people start it, through cargo, which first checks whether anything has to be
                // built.
                command.args(["run", "--package", "xtask", "--bin", "xtask", "--target-dir"]);
                match ground.before.as_ref().filter(|_| self == Contender::Before) {
                    Some(before) => command.current_dir(before).arg(before.join("target")),
                    None => command.arg(&ground.target),
                };
                command.args(["--", "test", "--jobs", &jobs]);
                command.args([
                    "--isolate",
                    if self == Contender::Process {
                        "process"
                    } else {
                        "auto"
                    },
                ]);
                command.arg("--manifest-path").arg(manifest);
            }
            Contender::Universe => {
                command.args(["universe", "test", "--jobs", &jobs]);
                command.arg("--manifest-path").arg(manifest);
            }
            Contender::Nextest => {
                command.args(["nextest", "run", "--no-fail-fast", "--test-threads", &jobs]);
                command.arg("--manifest-path").arg(manifest);
            }
            Contender::CargoTest => {
                command.args(["test", "--no-fail-fast", "--lib", "--bins", "--tests"]);
                command.arg("--manifest-path").arg(manifest);
                command.args(["--", "--test-threads", &jobs]);
            }
        }
        command
    }
}

/// Whether `cargo nextest` is installed.
pub(super) fn has_nextest(ground: &Directories) -> bool {
    let output = cargo(ground).args(["nextest", "--version"]).output();
    output.is_ok_and(|output| output.status.success())
}

/// Builds `cargo universe` where [`cargo`] finds it.
pub(super) fn build_universe(ground: &Directories) -> anyhow::Result<()> {
    let mut command = cargo(ground);
    command.args(["build", "--quiet", "--package", "cargo-universe", "--target-dir"]);
    let status = command.arg(&ground.target).status();
    let status = status.context("could not start cargo")?;
    ensure!(status.success(), "`cargo universe` could not be built ({status})");
    Ok(())
}

/// Cargo, with the programs of this workspace among its subcommands.
fn cargo(ground: &Directories) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for name in cargo_universe::workspace::cargo::variables_of_cargo_run() {
        command.env_remove(name);
    }
    command
        .current_dir(&ground.workspace)
        .env("CARGO_TARGET_DIR", ground.suite.join("target"))
        .env("PATH", &ground.path)
        .stdin(Stdio::null());
    command
}
