//! The keeper of the tests, as the runner sees it: a process of its own that owns every process a
//! test starts.
//!
//! The runner says what to start and when to end it, and reads what is written; whatever else must
//! happen, happens in the keeper and its supervisors, which also see to it that nothing remains
//! when the runner is killed. Linux only.

mod bounded;
mod build_guard;
mod forensics;
mod inside;
mod keepsake;
mod namespaces;
mod processes;
mod rehearsal;
mod remains;
mod rescue;
mod room;
mod sockets;
mod supervisor;
mod sys;
mod wire;

use std::io::{self, BufRead, BufReader};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};

use anyhow::Context;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;

pub(crate) use build_guard::build_guard;
pub(crate) use inside::run_if_asked;
pub(crate) use wire::{Order, Said, Tell};

use crate::base::clock;
use crate::base::fuse_connections;
use crate::base::limits::{KEEPER_END_TIMEOUT, KEEPER_HELLO_TIMEOUT, KEEPER_LOOK_INTERVAL};
use crate::base::this_program;
use crate::report::data::Leak;
use crate::sandbox::isolation::{Isolation, Level};
use wire::Hello;

/// A keeper that takes orders.
#[derive(Debug)]
pub(crate) struct Keeper {
    socket: UnixStream,
    process: Child,
    /// Supervisors that wait for another order.
    idle: Mutex<Vec<Control>>,
    /// The directory in which all scratch directories are made.
    pub(crate) scratch: PathBuf,
    pub(crate) level: Level,
    /// What a person might have expected and does not get, and why: the box, or that tests in it
    /// share no processes.
    pub(crate) why: Option<String>,
    /// Whether each loopback address can be used by what it starts, with the reason where it
    /// cannot.
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
pub(crate) struct OwnedProcess {
    pub(crate) stdout: pipe::Receiver,
    pub(crate) stderr: pipe::Receiver,
    pub(crate) control: Control,
}

/// The line to a supervisor.
#[derive(Debug)]
pub(crate) struct Control {
    lines: tokio::io::Lines<tokio::io::BufReader<tokio::net::UnixStream>>,
    /// Whether it was told anything since its order: it may hear of it only after the end of its
    /// test.
    told: bool,
}

impl Keeper {
    /// Starts the best one that `isolation` allows and this machine gives. Scratch directories will
    /// be made in `scratch`.
    ///
    /// # Errors
    /// When there is none: the box was insisted on and cannot be had, or not even a process can be
    /// started.
    pub(crate) fn start(isolation: Isolation, scratch: &Path) -> anyhow::Result<Keeper> {
        if isolation == Isolation::Process {
            return start(Level::Tree, scratch, None);
        }
        match start(Level::Box, scratch, None) {
            Err(error) if isolation == Isolation::Auto => {
                start(Level::Tree, scratch, Some(format!("no box: {error:#}")))
            }
            started => started.context("the box is unavailable"),
        }
    }

    /// Has it start a process; `frame` is the [order](Order::frame).
    ///
    /// # Errors
    /// When the keeper is gone, or there are no more descriptors.
    pub(crate) async fn launch(&self, frame: &[u8]) -> io::Result<OwnedProcess> {
        let (stdout, their_stdout) = io::pipe()?;
        let (stderr, their_stderr) = io::pipe()?;
        let streams = [their_stdout.as_fd(), their_stderr.as_fd()];
        let control = match self.reuse(frame, streams).await {
            Some(control) => control,
            None => self.hire(frame, streams)?,
        };
        Ok(OwnedProcess {
            stdout: pipe::Receiver::from_owned_fd(OwnedFd::from(stdout))?,
            stderr: pipe::Receiver::from_owned_fd(OwnedFd::from(stderr))?,
            control,
        })
    }

    /// Gives the order to a supervisor that waits for one, if there is one.
    async fn reuse(&self, frame: &[u8], streams: [BorrowedFd<'_>; 2]) -> Option<Control> {
        loop {
            let mut control = self.idle().pop()?;
            // One that does not take it is gone; it has not started anything.
            if control.order(frame, streams).await.is_ok() {
                return Some(control);
            }
        }
    }

    /// Has a new supervisor made for the order.
    fn hire(&self, frame: &[u8], [stdout, stderr]: [BorrowedFd<'_>; 2]) -> io::Result<Control> {
        let (control, theirs) = UnixStream::pair()?;
        wire::send(&self.socket, frame, &[stdout, stderr, theirs.as_fd()])?;
        control.set_nonblocking(true)?;
        let stream = tokio::net::UnixStream::from_std(control)?;
        Ok(Control {
            lines: tokio::io::BufReader::new(stream).lines(),
            told: false,
        })
    }

    /// Takes back the line to a supervisor that waits for another order.
    pub(crate) fn rest(&self, control: Control) {
        if !control.told {
            self.idle().push(control);
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Control>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops everything that it has started, or lets it go on.
    ///
    /// # Errors
    /// When the keeper is gone or does not answer.
    pub(crate) fn tell_all(&self, tell: Tell) -> io::Result<()> {
        wire::tell_all(&self.socket, tell)
    }

    /// Has it end what has lost its supervisor; `scratch` is the scratch directory of the test that
    /// lost it. Returns the leaks that it found.
    ///
    /// # Errors
    /// When the keeper is gone or does not answer.
    pub(crate) fn end_lost(&self, scratch: &Path) -> io::Result<Vec<Leak>> {
        wire::end_lost(&self.socket, scratch)
    }

    /// Lets it go, when all that it started has ended. Returns when nothing of it is left, or it
    /// takes too long.
    pub(crate) async fn close(self) {
        let Keeper {
            socket,
            mut process,
            idle,
            scratch,
            ..
        } = self;
        drop((socket, idle));
        if !has_ended(&mut process)
            .await
            .is_some_and(|status| status.success())
        {
            // It was killed, or a test that it cannot end keeps it: no other run looks for that
            // when this one has come to its end.
            fuse_connections::abort_all_below(&scratch);
            has_ended(&mut process).await;
        }
    }
}

/// Waits for the end of the keeper. `None` if it takes too long.
async fn has_ended(process: &mut Child) -> Option<ExitStatus> {
    let deadline = clock::now() + KEEPER_END_TIMEOUT;
    while clock::now() < deadline {
        if let Some(status) = process.try_wait().ok()? {
            return Some(status);
        }
        clock::after(KEEPER_LOOK_INTERVAL).await;
    }
    None
}

fn start(level: Level, scratch: &Path, why: Option<String>) -> anyhow::Result<Keeper> {
    let (socket, theirs) = UnixStream::pair().context("no pair of sockets could be made")?;
    let mut process = ourselves(inside::ARGUMENT)
        .arg(level.name())
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::null())
        .process_group(0)
        .spawn()
        .context("the keeper of the tests could not be started")?;
    // Not an argument: every user can read those, and make the directory first. That the keeper is
    // gone is noticed by whoever listens to it.
    inside::send_scratch(&socket, scratch).ok();
    match hear(&socket) {
        Ok(Hello::Ready { ipv4, ipv6, shared }) => Ok(Keeper {
            socket,
            process,
            idle: Mutex::default(),
            scratch: scratch.to_owned(),
            level,
            why: why.or_else(|| Some(format!("tests share their processes: {}", shared?))),
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

/// The running program, as what `argument` says.
fn ourselves(argument: &str) -> Command {
    let mut command = this_program::command();
    command.arg0("cargo-universe").arg(argument);
    command
}

fn hear(socket: &UnixStream) -> io::Result<Hello> {
    socket.set_read_timeout(Some(KEEPER_HELLO_TIMEOUT))?;
    let mut line = String::new();
    BufReader::new(socket).read_line(&mut line)?;
    Ok(serde_json::from_str(&line)?)
}

impl Control {
    /// Tells the supervisor something. That it is gone is noticed by whoever listens to it.
    pub(crate) async fn tell(&mut self, tell: Tell) {
        self.told = true;
        self.stream().write_all(&[tell as u8]).await.ok();
    }

    /// Gives an order to a supervisor that waits for one.
    async fn order(&mut self, frame: &[u8], streams: [BorrowedFd<'_>; 2]) -> io::Result<()> {
        // There is room for it: nothing is on its way.
        wire::send_len(self.stream().as_fd(), frame.len(), &streams)?;
        self.stream().write_all(frame).await
    }

    fn stream(&mut self) -> &mut tokio::net::UnixStream {
        self.lines.get_mut().get_mut()
    }

    /// What the supervisor says next; `None` when it is gone. Cancel safe.
    pub(crate) async fn hear(&mut self) -> Option<Said> {
        let line = self.lines.next_line().await.ok()??;
        serde_json::from_str(&line).ok()
    }
}
