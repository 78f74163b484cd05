//! The directory under test: a plain one, or a mount that a child process keeps mounted during the
//! check.
//!
//! The child is the `mountpoint` binary of the tests package. It prints `mounted …` when both peers
//! have mounted, and unmounts when its standard input closes. After [`TestDirectory::close`]
//! nothing is mounted, whatever the child did.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;

use super::check::FileSystemKind;
use crate::chores::limits::{GROUND_MESSAGE_LEN_MAX, MOUNT_TIMEOUT, UNMOUNT_TIMEOUT};
use cargo_universe::base::clock;
use cargo_universe::base::limits::GRACE;
use cargo_universe::base::mounts;
use cargo_universe::base::os::{self, Kill};
use cargo_universe::runner::execution::process::{self, Halt};
use cargo_universe::workspace::cargo;

/// The beginning of the line that reports the mounts.
const READY: &str = "mounted";

/// A directory for a check.
#[derive(Debug)]
pub(super) struct TestDirectory {
    /// Empty at first.
    pub(super) directory: PathBuf,
    scratch: PathBuf,
    mount: Option<Child>,
}

/// What a mount needs.
#[derive(Debug)]
pub(super) struct Mounting<'a> {
    /// The binary; without it only a plain directory is possible.
    pub(super) program: Option<&'a Path>,
    /// Arguments for it, besides those about where and how to mount.
    pub(super) arguments: &'a [&'a str],
    /// Receives its output.
    pub(super) log: &'a Path,
    /// Variables for it, as (name, value).
    pub(super) variables: &'a [(&'a str, &'a str)],
}

impl TestDirectory {
    /// Creates the directory below `scratch` and, unless it is a plain one, mounts on it. On an
    /// error nothing is left mounted.
    pub(super) async fn open(
        kind: FileSystemKind,
        scratch: &Path,
        mounting: &Mounting<'_>,
        halt: &mut watch::Receiver<Halt>,
    ) -> Result<TestDirectory, String> {
        let passthrough = match kind {
            FileSystemKind::Plain => return TestDirectory::plain(scratch),
            FileSystemKind::Served => "off",
            FileSystemKind::Passthrough => "on",
        };
        let (backing, mount) = (scratch.join("backing"), scratch.join("mount"));
        let command = mounting.command(&backing, &mount, passthrough)?;
        let mut directory = TestDirectory {
            directory: mount.join("alice"),
            scratch: scratch.to_owned(),
            mount: None,
        };
        let ready = directory.start(command, halt).await;
        if let Err(cause) = ready {
            // The first error matters, not those that follow from it.
            directory.close().await.ok();
            return Err(format!("{cause}; {}", mounting.last_words()));
        }
        Ok(directory)
    }

    fn plain(scratch: &Path) -> Result<TestDirectory, String> {
        let directory = scratch.join("plain");
        std::fs::create_dir(&directory).map_err(|error| format!("could not create a directory: {error}"))?;
        Ok(TestDirectory {
            directory,
            scratch: scratch.to_owned(),
            mount: None,
        })
    }

    /// Starts the child and waits until it has mounted.
    async fn start(&mut self, mut command: Command, halt: &mut watch::Receiver<Halt>) -> Result<(), String> {
        let child = command
            .spawn()
            .map_err(|error| format!("`mountpoint` did not start: {error}"))?;
        let child = self.mount.insert(child);
        let Some(stdout) = child.stdout.take() else {
            return Err("`mountpoint` has no output".to_owned());
        };
        let mut lines = BufReader::new(stdout).lines();
        tokio::select! {
            line = lines.next_line() => match line {
                Ok(Some(line)) if line.starts_with(READY) => Ok(()),
                Ok(Some(line)) => Err(format!("`mountpoint` printed `{line}` instead of `{READY}…`")),
                Ok(None) | Err(_) => Err("`mountpoint` ended before it had mounted".to_owned()),
            },
            () = clock::after(MOUNT_TIMEOUT) => {
                Err(format!("`mountpoint` had not mounted after {} s", MOUNT_TIMEOUT.as_secs()))
            }
            _ = process::halted(halt) => Err("interrupted".to_owned()),
        }
    }

    /// Unmounts. An error reports a problem on the way; nothing is mounted afterwards in any case.
    pub(super) async fn close(self) -> Result<(), String> {
        let ended = match self.mount {
            Some(child) => end(child).await,
            None => Ok(()),
        };
        let left = mounts::detach_below(&self.scratch);
        match (ended, left) {
            (Err(cause), _) => Err(cause),
            (Ok(()), 0) => Ok(()),
            (Ok(()), count) => Err(format!("`mountpoint` left {count} file systems mounted")),
        }
    }
}

impl Mounting<'_> {
    fn command(&self, backing: &Path, mount: &Path, passthrough: &str) -> Result<Command, String> {
        let log = || {
            std::fs::create_dir(backing)?;
            std::fs::create_dir(mount)?;
            File::create(self.log)
        };
        let log = log().map_err(|error| format!("could not prepare the mount: {error}"))?;
        let mut command = Command::new(self.program.ok_or("`mountpoint` was not built")?);
        command
            .arg("--backing")
            .arg(backing)
            .args(["--passthrough", passthrough])
            .args(self.arguments)
            .arg(mount);
        for name in cargo::variables_of_cargo_run() {
            command.env_remove(name);
        }
        command.envs(self.variables.iter().copied());
        // It exits when its standard input closes.
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true);
        os::own_group(&mut command);
        Ok(command)
    }

    fn last_words(&self) -> String {
        let text = std::fs::read(self.log).unwrap_or_default();
        let text = cargo_universe::base::text::report_text(&text);
        let last = text.lines().rev().map(str::trim).find(|line| !line.is_empty());
        let last: String = last
            .unwrap_or("it printed nothing")
            .chars()
            .take(GROUND_MESSAGE_LEN_MAX)
            .collect();
        format!("its last line: {last}")
    }
}

/// Closes its input, waits, and kills its whole group if that is not enough.
async fn end(mut child: Child) -> Result<(), String> {
    let group = child.id();
    drop(child.stdin.take());
    let ended = tokio::select! {
        status = child.wait() => match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("`mountpoint` ended with {status}")),
            Err(error) => Err(format!("could not wait for `mountpoint`: {error}")),
        },
        () = clock::after(UNMOUNT_TIMEOUT) => {
            Err(format!("`mountpoint` had not unmounted {} s after the request", UNMOUNT_TIMEOUT.as_secs()))
        }
    };
    os::kill_group(group, Kill::Gently);
    tokio::select! {
        _ = child.wait() => {}
        () = clock::after(GRACE) => {}
    }
    os::kill_group(group, Kill::Now);
    child.kill().await.ok();
    ended
}
