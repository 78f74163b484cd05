//! A separate process with two mounts, for tests of what happens when it exits or is killed.
//!
//! The process is the binary `mountpoint`; this is the test's side. A process that still runs is
//! killed when this is dropped.

use std::panic::Location;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::failure::{OrFail, fail};
use crate::wait::complete_program;

/// The running process.
#[derive(Debug)]
pub struct Mountpoint {
    child: Child,
    /// Where alice's share is mounted.
    pub alice: PathBuf,
    /// Where bob's share is mounted.
    pub bob: PathBuf,
}

impl Mountpoint {
    /// Starts `program`, the path of the binary `mountpoint`, on `directory`; returns when both
    /// mounts are ready.
    #[track_caller]
    pub fn start<'a>(program: &'a str, directory: &'a Path) -> impl Future<Output = Mountpoint> + use<'a> {
        Mountpoint::start_with(program, directory, &[])
    }

    /// The same, with further arguments of the binary.
    #[track_caller]
    pub fn start_with<'a>(
        program: &'a str,
        directory: &'a Path,
        arguments: &'a [&str],
    ) -> impl Future<Output = Mountpoint> + use<'a> {
        let at = Location::caller();
        async move {
            let mut command = Command::new(program);
            command
                .arg(directory)
                .args(arguments)
                // A killed process leaves its files. Here they are removed together with the mount
                // points.
                .env("TMPDIR", directory)
                .kill_on_drop(true)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped());
            let mut child = command.spawn().or_fail(at, format_args!("start `{program}`"));
            let Some(output) = child.stdout.take() else {
                fail(at, "its standard output is not a pipe");
            };
            let mut line = String::new();
            let mut output = BufReader::new(output);
            let reading = output.read_line(&mut line);
            let told = complete_program(at, "a line from `mountpoint`", reading).await;
            told.or_fail(at, "read from `mountpoint`");
            let mut words = line.trim_end().split('\t').skip(1).map(PathBuf::from);
            let (Some(alice), Some(bob)) = (words.next(), words.next()) else {
                fail(
                    at,
                    format_args!("`mountpoint` did not mount; it printed {line:?}"),
                );
            };
            Mountpoint { child, alice, bob }
        }
    }

    /// Kills the process with SIGKILL, and waits until it is gone.
    #[track_caller]
    pub fn kill(&mut self) -> impl Future<Output = ()> + use<'_> {
        let at = Location::caller();
        async move {
            let killed = complete_program(at, "the end of a killed process", self.child.kill()).await;
            killed.or_fail(at, "kill `mountpoint`");
        }
    }

    /// Closes its standard input, and waits until it has exited with 0.
    #[track_caller]
    pub fn end(&mut self) -> impl Future<Output = ()> + use<'_> {
        let at = Location::caller();
        async move {
            // `wait` closes standard input.
            let ended = complete_program(at, "the end of `mountpoint`", self.child.wait()).await;
            let status = ended.or_fail(at, "wait for `mountpoint`");
            if !status.success() {
                fail(at, format_args!("`mountpoint` exited with {status}"));
            }
        }
    }
}
