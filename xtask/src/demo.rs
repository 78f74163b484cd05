//! `cargo xtask demo`: builds the `demo` binary of the tests package with optimisation and becomes it.
//!
//! What the demo does is that binary's business; xtask depends on neither the peer nor the relay.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::Context;

use crate::cargo::{self, BuildArgs, Selection};
use crate::interrupt::Interrupts;
use crate::runtime;
use crate::workspace::Workspace;

const PACKAGE: &str = "tandem-tests";
const BINARY: &str = "demo";

/// Let a real relay and two real peers exchange a folder, and check every byte
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder to share [default: the sources of this repository]
    path: Option<PathBuf>,
    /// Keep the directories of both peers and say where they are
    #[arg(long)]
    keep: bool,
    /// Further arguments of the demo; `-- --help` shows them
    #[arg(last = true)]
    rest: Vec<String>,
}

/// Builds and runs the demo. The exit code is the demo's.
///
/// # Errors
/// When the demo cannot be built or started.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let executable = build()?;
    let mut command = Command::new(&executable);
    command
        .args(&args.path)
        .args(args.keep.then_some("--keep"))
        .args(&args.rest);
    for name in cargo::variables_of_cargo_run() {
        command.env_remove(name);
    }
    become_it(command, &executable)
}

fn build() -> anyhow::Result<PathBuf> {
    let workspace = Workspace::load(None)?;
    let args = BuildArgs {
        release: true,
        ..BuildArgs::default()
    };
    let built = runtime::block_on(async {
        let mut interrupts = Interrupts::listen()?;
        let selection = Selection::Binary {
            package: PACKAGE,
            name: BINARY,
        };
        let build = cargo::build(&workspace, selection, &args, &mut interrupts).await?;
        anyhow::Ok(build.bins.get(BINARY).cloned())
    })?;
    built?.with_context(|| format!("cargo built no binary `{BINARY}` of `{PACKAGE}`"))
}

/// Replaces this process, so that signals reach the demo and nobody else.
#[cfg(unix)]
fn become_it(mut command: Command, executable: &Path) -> anyhow::Result<ExitCode> {
    // The build listened to signals; the demo must find them as we found them.
    crate::os::reset_signals();
    let error = std::os::unix::process::CommandExt::exec(&mut command);
    Err(error).with_context(|| format!("could not run `{}`", executable.display()))
}

#[cfg(not(unix))]
fn become_it(mut command: Command, executable: &Path) -> anyhow::Result<ExitCode> {
    let status = command
        .status()
        .with_context(|| format!("could not run `{}`", executable.display()))?;
    Ok(ExitCode::from(
        status
            .code()
            .and_then(|code| u8::try_from(code).ok())
            .unwrap_or(1),
    ))
}
