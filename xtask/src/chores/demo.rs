//! `cargo xtask demo`: builds the binary `demo` of the tests package and replaces this process with
//! it. It shows, and does not measure, so it is built as the tests are, which takes less time.
//!
//! The binary decides what the demo does; xtask depends neither on the peer nor on the relay.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::Context;

use cargo_universe::runner::binary;
use cargo_universe::runner::capabilities::detect_for;
use cargo_universe::workspace::cargo;
use cargo_universe::workspace::fuse_mode::{FuseArgs, FuseMode};
use cargo_universe::workspace::metadata::Workspace;

const BINARY: &str = "demo";

/// Let a real relay and two real peers exchange a folder, and check every byte
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder to share [default: the sources of this repository]
    path: Option<PathBuf>,
    /// Keep the directories of both peers and print where they are
    #[arg(long)]
    keep: bool,
    /// Keep the mount until Ctrl-C, so that you can explore it
    #[arg(long)]
    hold: bool,
    /// Whether to mount bob's side
    #[command(flatten)]
    fuse: FuseArgs,
    /// Further arguments of the demo; `-- --help` shows them
    #[arg(last = true)]
    rest: Vec<String>,
}

/// Builds and runs the demo. The exit code is the demo's.
///
/// # Errors
/// When the demo cannot be built or started.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let workspace = Workspace::load(None)?;
    let capabilities = detect_for(&workspace, args.fuse.mode)?;
    let executable = binary::like_tests(&workspace, &capabilities, BINARY)?;
    let mut command = Command::new(&executable);
    command.args(args.of_the_demo());
    for name in cargo::variables_of_cargo_run() {
        command.env_remove(name);
    }
    become_it(command, &executable)
}

impl Args {
    fn of_the_demo(&self) -> Vec<OsString> {
        let path = self.path.iter().map(|path| path.clone().into_os_string());
        let switches = [(self.keep, "--keep"), (self.hold, "--hold")].into_iter();
        let switches = switches.filter(|(on, _)| *on).map(|(_, flag)| flag.into());
        // Passed only if given: the behaviour of `auto` is the demo's own default.
        let fuse = match self.fuse.mode {
            FuseMode::Auto => vec![],
            mode => vec!["--fuse".into(), mode.word().into()],
        };
        let rest = self.rest.iter().map(OsString::from);
        path.chain(switches).chain(fuse).chain(rest).collect()
    }
}

/// Replaces this process, so that signals reach the demo directly.
#[cfg(unix)]
fn become_it(mut command: Command, executable: &Path) -> anyhow::Result<ExitCode> {
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

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn handed_on(words: &[&str]) -> Vec<OsString> {
        let words = ["demo"].iter().chain(words);
        Line::parse_from(words).args.of_the_demo()
    }

    #[test]
    fn options_of_the_demo_are_passed_on() {
        assert_eq!(handed_on(&["--fuse", "auto"]), [""; 0]);
        assert_eq!(handed_on(&["--hold", "src"]), ["src", "--hold"]);
        assert_eq!(
            handed_on(&["--keep", "--fuse", "off", "--", "--help"]),
            ["--keep", "--fuse", "off", "--help"]
        );
    }
}
