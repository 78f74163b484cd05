//! The keeper of the tests, as the runner sees it: a separate process that owns every process that
//! a test starts.
//!
//! The runner decides what to start and when to end it, and reads the output. The keeper and its
//! supervisors do the rest, and make sure that nothing remains when the runner is killed. Linux
//! only.

mod bounded;
mod build_guard;
mod forensics;
mod free_space;
mod keeper;
mod kept_files;
mod leftovers;
mod namespaces;
mod network;
mod processes;
mod refusals;
mod rehearsal;
mod rescue;
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
pub(crate) use keeper::run_if_asked;
pub(crate) use network::Loopback;
pub(crate) use sockets::listens;
pub(crate) use wire::{Instruction, Order, Reply};

use crate::base::clock;
use crate::base::fuse_connections;
use crate::base::limits::{KEEPER_END_TIMEOUT, KEEPER_HELLO_TIMEOUT, KEEPER_LOOK_INTERVAL};
use crate::base::this_program;
use crate::report::data::Leak;
use crate::sandbox::isolation::{Isolation, Level, Network};
use wire::Hello;

/// A running keeper.
#[derive(Debug)]
pub(crate) struct Keeper {
    socket: UnixStream,
    process: Child,
    /// Supervisors that wait for another order for the same network.
    idle: Mutex<Vec<(Network, Control)>>,
    /// The directory that contains all scratch directories.
    pub(crate) scratch: PathBuf,
    pub(crate) level: Level,
    /// A restriction that a person may not expect, and its reason: there is no box, or tests in the
    /// box share a process namespace.
    pub(crate) why: Option<String>,
    /// Whether each loopback address works for the processes that it starts, with the reason if
    /// not.
    pub(crate) loopback: Loopback,
}

/// A process that the keeper owns, with its output and its control.
#[derive(Debug)]
pub(crate) struct OwnedProcess {
    pub(crate) stdout: pipe::Receiver,
    pub(crate) stderr: pipe::Receiver,
    pub(crate) control: Control,
}

/// The connection to a supervisor.
#[derive(Debug)]
pub(crate) struct Control {
    lines: tokio::io::Lines<tokio::io::BufReader<tokio::net::UnixStream>>,
    /// Whether anything was sent since its order. The supervisor may read that only after the end
    /// of its test.
    was_instructed: bool,
}

impl Keeper {
    /// Starts the best keeper that `isolation` allows and this machine supports. Scratch
    /// directories will be created in `scratch`.
    ///
    /// # Errors
    /// When there is none: the box is required and unavailable, or not even a process can be
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

    /// Makes it start a process; `frame` is the [order](Order::frame), for this network.
    ///
    /// # Errors
    /// When the keeper is gone, or no descriptors are left.
    pub(crate) async fn launch(&self, frame: &[u8], network: Network) -> io::Result<OwnedProcess> {
        let (stdout, their_stdout) = io::pipe()?;
        let (stderr, their_stderr) = io::pipe()?;
        let streams = [their_stdout.as_fd(), their_stderr.as_fd()];
        let control = match self.reuse(frame, streams, network).await {
            Some(control) => control,
            None => self.new_supervisor(frame, streams)?,
        };
        Ok(OwnedProcess {
            stdout: pipe::Receiver::from_owned_fd(OwnedFd::from(stdout))?,
            stderr: pipe::Receiver::from_owned_fd(OwnedFd::from(stderr))?,
            control,
        })
    }

    /// Gives the order to a waiting supervisor in that network, if there is one.
    async fn reuse(&self, frame: &[u8], streams: [BorrowedFd<'_>; 2], network: Network) -> Option<Control> {
        loop {
            let mut control = self.take_idle(network)?;
            // A supervisor that does not accept it is gone, and has not started anything.
            if control.order(frame, streams).await.is_ok() {
                return Some(control);
            }
        }
    }

    /// Makes the keeper create a supervisor for the order.
    fn new_supervisor(&self, frame: &[u8], [stdout, stderr]: [BorrowedFd<'_>; 2]) -> io::Result<Control> {
        let (control, theirs) = UnixStream::pair()?;
        wire::send(&self.socket, frame, &[stdout, stderr, theirs.as_fd()])?;
        control.set_nonblocking(true)?;
        let stream = tokio::net::UnixStream::from_std(control)?;
        Ok(Control {
            lines: tokio::io::BufReader::new(stream).lines(),
            was_instructed: false,
        })
    }

    /// Keeps the connection to a supervisor that waits for another order for this network. A
    /// network of a test's own ends with that test.
    pub(crate) fn rest(&self, control: Control, network: Network) {
        if !control.was_instructed && network != Network::Own {
            self.idle().push((network, control));
        }
    }

    fn take_idle(&self, network: Network) -> Option<Control> {
        let mut idle = self.idle();
        let place = idle.iter().rposition(|(known, _)| *known == network)?;
        Some(idle.swap_remove(place).1)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<(Network, Control)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops all tests that it started, or lets them continue.
    ///
    /// # Errors
    /// When the keeper is gone or does not answer.
    pub(crate) fn instruct_all(&self, instruction: Instruction) -> io::Result<()> {
        wire::instruct_all(&self.socket, instruction)
    }

    /// Makes it end processes that lost their supervisor; `scratch` is the scratch directory of
    /// their test. Returns the leaks that it found.
    ///
    /// # Errors
    /// When the keeper is gone or does not answer.
    pub(crate) fn end_lost(&self, scratch: &Path) -> io::Result<Vec<Leak>> {
        wire::end_lost(&self.socket, scratch)
    }

    /// Dismisses it after everything that it started has ended.
    pub(crate) fn dismiss(self) -> Dismissed {
        let Keeper {
            socket,
            process,
            idle,
            scratch,
            ..
        } = self;
        drop((socket, idle));
        Dismissed { process, scratch }
    }
}

/// A keeper that exits.
#[derive(Debug)]
pub(crate) struct Dismissed {
    process: Child,
    scratch: PathBuf,
}

impl Dismissed {
    /// Returns when it is gone, or after a time limit.
    pub(crate) async fn gone(mut self) {
        if !has_ended(&mut self.process)
            .await
            .is_some_and(|status| status.success())
        {
            // It was killed, or a test that it cannot end keeps it alive. This run ends normally,
            // so no later run will look for its leftovers.
            fuse_connections::abort_all_below(&self.scratch);
            has_ended(&mut self.process).await;
        }
    }
}

/// Waits for the keeper to exit. `None` if it takes too long.
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
    let (socket, theirs) = UnixStream::pair().context("could not create a pair of sockets")?;
    let mut process = ourselves(keeper::ARGUMENT)
        .arg(level.name())
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::null())
        .process_group(0)
        .spawn()
        .context("could not start the keeper of the tests")?;
    // Not an argument: every user can read those, and create the directory first. If the keeper is
    // gone, the next read reports it.
    keeper::send_scratch(&socket, scratch).ok();
    match receive(&socket) {
        Ok(Hello::Ready { loopback, shared }) => Ok(Keeper {
            socket,
            process,
            idle: Mutex::default(),
            scratch: scratch.to_owned(),
            level,
            why: why.or_else(|| Some(format!("tests share a process namespace: {}", shared?))),
            loopback,
        }),
        Ok(Hello::Refused(reason)) => {
            process.wait().ok();
            Err(anyhow::anyhow!(reason))
        }
        Err(error) => {
            process.kill().ok();
            process.wait().ok();
            Err(error).context("the keeper of the tests did not become ready")
        }
    }
}

/// The running program, started as the helper that `argument` names.
fn ourselves(argument: &str) -> Command {
    let mut command = this_program::command();
    command.arg0("cargo-universe").arg(argument);
    command
}

fn receive(socket: &UnixStream) -> io::Result<Hello> {
    socket.set_read_timeout(Some(KEEPER_HELLO_TIMEOUT))?;
    let mut line = String::new();
    BufReader::new(socket).read_line(&mut line)?;
    Ok(serde_json::from_str(&line)?)
}

impl Control {
    /// Sends the supervisor a message. If it is gone, the next read reports that.
    pub(crate) async fn instruct(&mut self, instruction: Instruction) {
        self.was_instructed = true;
        self.stream().write_all(&[instruction as u8]).await.ok();
    }

    /// Gives an order to a waiting supervisor.
    async fn order(&mut self, frame: &[u8], streams: [BorrowedFd<'_>; 2]) -> io::Result<()> {
        // There is room for it: no other message is in transit.
        wire::send_len(self.stream().as_fd(), frame.len(), &streams)?;
        self.stream().write_all(frame).await
    }

    fn stream(&mut self) -> &mut tokio::net::UnixStream {
        self.lines.get_mut().get_mut()
    }

    /// The supervisor's next message; `None` when it is gone. Cancel safe.
    pub(crate) async fn receive(&mut self) -> Option<Reply> {
        let line = self.lines.next_line().await.ok()??;
        serde_json::from_str(&line).ok()
    }
}
