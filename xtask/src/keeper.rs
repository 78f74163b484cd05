//! The keeper of the tests, as the runner sees it: a process of its own that owns every process a test starts.
//!
//! The runner says what to start and when to end it, and reads what is written; whatever else must happen, happens in the
//! keeper and its supervisors, which also see to it that nothing remains when the runner is killed. Linux only.

mod bounded;
mod forensics;
mod inside;
mod keepsake;
mod namespaces;
mod processes;
mod remains;
mod sockets;
mod supervisor;
mod sys;
mod wire;

use std::io::{self, BufRead, BufReader};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;

pub(crate) use inside::run_if_asked;
pub(crate) use wire::{Order, Said, Tell};

use crate::clock;
use crate::isolation::{Isolation, Level};
use wire::Hello;

/// How long a keeper may take to be ready; it takes some milliseconds.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);

/// How long it may take to end when there is nothing left to do.
const END_TIMEOUT: Duration = Duration::from_secs(5);

/// A keeper that takes orders.
#[derive(Debug)]
pub(crate) struct Keeper {
    socket: UnixStream,
    process: Child,
    /// The directory in which all scratch directories are made.
    pub(crate) scratch: PathBuf,
    pub(crate) level: Level,
    /// Why it is not the box, if a person might have expected it.
    pub(crate) why: Option<String>,
    /// Whether each loopback address can be used by what it starts, with the reason where it cannot.
    pub(crate) loopback: Loopback,
}

/// The loopback addresses of the tests.
#[derive(Debug, Clone)]
pub(crate) struct Loopback {
    pub(crate) ipv4: Result<(), String>,
    pub(crate) ipv6: Result<(), String>,
}

/// A process that the keeper owns, and what comes of it.
#[derive(Debug)]
pub(crate) struct Ward {
    pub(crate) stdout: pipe::Receiver,
    pub(crate) stderr: pipe::Receiver,
    pub(crate) control: Control,
}

/// The line to a supervisor.
#[derive(Debug)]
pub(crate) struct Control {
    lines: tokio::io::Lines<tokio::io::BufReader<tokio::net::unix::OwnedReadHalf>>,
    tells: tokio::net::unix::OwnedWriteHalf,
}

impl Keeper {
    /// Starts the best one that `isolation` allows and this machine gives. Scratch directories will be made in `scratch`.
    ///
    /// # Errors
    /// When there is none: the box was insisted on and cannot be had, or not even a process can be started.
    pub(crate) fn start(isolation: Isolation, scratch: &Path) -> anyhow::Result<Keeper> {
        if isolation == Isolation::Process {
            return start(Level::Tree, scratch, None);
        }
        match start(Level::Box, scratch, None) {
            Err(error) if isolation == Isolation::Auto => {
                start(Level::Tree, scratch, Some(format!("{error:#}")))
            }
            started => started.context("the box cannot be had"),
        }
    }

    /// Has it start a process.
    ///
    /// # Errors
    /// When the keeper is gone, or there are no more descriptors.
    pub(crate) fn launch(&self, order: &Order) -> io::Result<Ward> {
        let (stdout, their_stdout) = io::pipe()?;
        let (stderr, their_stderr) = io::pipe()?;
        let (control, their_control) = UnixStream::pair()?;
        let theirs = [their_stdout.as_fd(), their_stderr.as_fd(), their_control.as_fd()];
        order.send(&self.socket, theirs)?;
        control.set_nonblocking(true)?;
        let (lines, tells) = tokio::net::UnixStream::from_std(control)?.into_split();
        let lines = tokio::io::BufReader::new(lines).lines();
        Ok(Ward {
            stdout: pipe::Receiver::from_owned_fd(OwnedFd::from(stdout))?,
            stderr: pipe::Receiver::from_owned_fd(OwnedFd::from(stderr))?,
            control: Control { lines, tells },
        })
    }

    /// Stops everything that it has started, or lets it go on.
    ///
    /// # Errors
    /// When the keeper is gone or does not answer.
    pub(crate) fn tell_all(&self, tell: Tell) -> io::Result<()> {
        wire::tell_all(&self.socket, tell)
    }

    /// Lets it go, when all that it started has ended. Returns when nothing of it is left, or it takes too long.
    pub(crate) async fn close(self) {
        let Keeper {
            socket, mut process, ..
        } = self;
        drop(socket);
        let deadline = clock::now() + END_TIMEOUT;
        while process.try_wait().is_ok_and(|status| status.is_none()) && clock::now() < deadline {
            clock::after(Duration::from_millis(1)).await;
        }
    }
}

fn start(level: Level, scratch: &Path, why: Option<String>) -> anyhow::Result<Keeper> {
    let (socket, theirs) = UnixStream::pair().context("no pair of sockets could be made")?;
    // Our own executable, also when its file was replaced meanwhile.
    let mut process = Command::new("/proc/self/exe")
        .arg0("xtask")
        .arg(inside::ARGUMENT)
        .arg(level.name())
        .arg(scratch)
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::null())
        .process_group(0)
        .spawn()
        .context("the keeper of the tests could not be started")?;
    match hear(&socket) {
        Ok(Hello::Ready { ipv4, ipv6 }) => Ok(Keeper {
            socket,
            process,
            scratch: scratch.to_owned(),
            level,
            why,
            loopback: Loopback { ipv4, ipv6 },
        }),
        Ok(Hello::Refused(reason)) => {
            process.wait().ok();
            Err(anyhow::anyhow!(reason))
        }
        Err(error) => {
            process.kill().ok();
            process.wait().ok();
            Err(error).context("the keeper of the tests did not come up")
        }
    }
}

fn hear(socket: &UnixStream) -> io::Result<Hello> {
    socket.set_read_timeout(Some(HELLO_TIMEOUT))?;
    let mut line = String::new();
    BufReader::new(socket).read_line(&mut line)?;
    Ok(serde_json::from_str(&line)?)
}

impl Control {
    /// Tells the supervisor something. That it is gone is noticed by whoever listens to it.
    pub(crate) async fn tell(&mut self, tell: Tell) {
        self.tells.write_all(&[tell as u8]).await.ok();
    }

    /// What the supervisor says next; `None` when it is gone. Cancel safe.
    pub(crate) async fn hear(&mut self) -> Option<Said> {
        let line = self.lines.next_line().await.ok()??;
        serde_json::from_str(&line).ok()
    }
}
