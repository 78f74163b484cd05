//! One test process, from its start to the end of everything it started.
//!
//! The test leads its own process group. However it ends, afterwards no process of that group and
//! (on Linux) no orphan with its mark is alive.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::process::{ExitStatus, Output, Stdio};
use std::time::{Duration, Instant, SystemTime};

use tokio::io::AsyncRead;
use tokio::process::{Child, Command};
use tokio::sync::watch;

use super::capture::Capture;
use crate::base::clock;
use crate::base::interrupt::Request;
use crate::base::limits::{DRAIN_TIMEOUT, ORPHAN_INTERVAL, ORPHAN_ROUNDS_MAX};
use crate::base::os::{self, Kill};
use crate::report::data::Leak;
use crate::report::kinds::LeakKind;
use crate::report::shortage::Shortage;
use crate::runner::suspension::Pauses;

/// Whether the whole run should end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Halt {
    /// It continues.
    No,
    /// A signal with this name requested it.
    Interrupted(&'static str),
    /// The run reached its time limit.
    RunTimeout,
    /// A second signal: no grace.
    AtOnce(&'static str),
}

impl From<Request> for Halt {
    /// The first signal requests the end, every further one forces it.
    fn from(request: Request) -> Halt {
        match request.count {
            0 | 1 => Halt::Interrupted(request.name()),
            _ => Halt::AtOnce(request.name()),
        }
    }
}

/// How a test process ended.
#[derive(Debug)]
pub enum End {
    /// It exited.
    Exited(ExitStatus),
    /// It was never started.
    NotStarted(std::io::Error),
    /// Its owner was killed, which ended it, too.
    Lost,
    /// It was killed at its time limit.
    TimedOut,
    /// It was killed because it had this many processes.
    TooManyProcesses(usize),
    /// It was killed because the run was halted.
    Halted(Halt),
}

/// A test process after its end.
#[derive(Debug)]
pub struct Ended {
    /// The way it ended.
    pub end: End,
    pub(crate) started: SystemTime,
    /// How long it ran.
    pub elapsed: Duration,
    /// Its standard output, possibly with the middle left out.
    pub stdout: Vec<u8>,
    /// The same of standard error.
    pub stderr: Vec<u8>,
    /// Leftovers, as far as the owner looks for them; all are gone now.
    pub(crate) leaks: Vec<Leak>,
    /// A full file system at its end, as far as the owner looks for that.
    pub(crate) shortage: Option<Shortage>,
    /// The addresses that refused a connection in a network of the box while it ran, if it failed.
    pub(crate) refused: Vec<SocketAddr>,
    /// Files about its end.
    pub(crate) attachments: Vec<PathBuf>,
}

impl Ended {
    /// One that was never started.
    pub(super) fn not_started(error: std::io::Error) -> Ended {
        Ended {
            started: clock::wall(),
            ..Ended::silent(End::NotStarted(error))
        }
    }

    /// One of which nothing else is known.
    pub(super) fn silent(end: End) -> Ended {
        Ended {
            end,
            started: SystemTime::UNIX_EPOCH,
            elapsed: Duration::ZERO,
            stdout: Vec::new(),
            stderr: Vec::new(),
            leaks: Vec::new(),
            shortage: None,
            refused: Vec::new(),
            attachments: Vec::new(),
        }
    }
}

impl Ended {
    /// What it wrote until its end, which had this limit.
    ///
    /// # Errors
    /// Why it did not come to its end, for a person.
    pub(super) fn into_output(self, limit: Duration) -> Result<Output, String> {
        let (stdout, stderr) = (self.stdout, self.stderr);
        match self.end {
            End::Exited(status) => Ok(Output {
                status,
                stdout,
                stderr,
            }),
            End::NotStarted(error) => Err(format!("it could not be started: {error}")),
            End::TimedOut => Err(format!(
                "no answer within {} s; it was ended with all that it had started",
                limit.as_secs_f32()
            )),
            End::Lost => Err("its supervisor was killed".to_owned()),
            End::Halted(_) => Err("the run was ended".to_owned()),
            End::TooManyProcesses(count) => Err(format!("it was ended when it had {count} processes")),
        }
    }
}

/// The limits of a test, and its mark.
#[derive(Debug)]
pub struct Watch {
    /// Time limit.
    pub timeout: Duration,
    /// Grace between asking it to end and killing it.
    pub grace: Duration,
    /// Time that does not count.
    pub pauses: Pauses,
    /// Whether the run should end.
    pub halt: watch::Receiver<Halt>,
    /// `NAME=value` in the environment of the test and of everything it starts.
    pub mark: String,
}

/// Runs `command` to its end.
pub async fn run(mut command: Command, mut capture: Capture, mut watch: Watch) -> Ended {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    os::own_group(&mut command);
    let (started, start) = (clock::wall(), clock::now());
    let (mut elapsed, mut leaks) = (Duration::ZERO, Vec::new());
    let end = match command.spawn() {
        Ok(mut child) => {
            let streams = child.stdout.take().zip(child.stderr.take());
            let mut reading = Reading::of(streams, &mut capture);
            let group = child.id();
            let end = attend(&mut child, &mut reading, &mut watch, start).await;
            elapsed = clock::now() - start;
            // First those that can still be recognised: a dying process no longer can, and its
            // children are not yet ours.
            leaks = sweep(|pid| os::environment_contains(pid, &watch.mark)).await;
            os::kill_group(group, Kill::Now);
            reading.finish(DRAIN_TIMEOUT).await;
            end
        }
        Err(error) => End::NotStarted(error),
    };
    let (stdout, stderr) = (capture.stdout.into_bytes(), capture.stderr.into_bytes());
    Ended {
        end,
        started,
        elapsed,
        stdout,
        stderr,
        leaks,
        shortage: None,
        refused: Vec::new(),
        attachments: Vec::new(),
    }
}

/// Runs a command to its end and returns the beginning and the end of what it wrote; `label` is a
/// name that nothing else that runs has.
pub(super) async fn output(mut command: Command, label: &str, limit: Duration) -> Result<Output, String> {
    let (name, value) = ("XTASK_ASKED", format!("{}/{label}", std::process::id()));
    command.env(name, &value);
    os::adopt_orphans();
    let (_never, halt) = watch::channel(Halt::No);
    let watch = Watch {
        timeout: limit,
        grace: crate::base::limits::QUESTION_GRACE,
        pauses: Pauses::none(),
        halt,
        mark: format!("{name}={value}"),
    };
    run(command, Capture::brief(), watch).await.into_output(limit)
}

/// Waits for the child; kills its process tree when its time or that of the run is over.
async fn attend(child: &mut Child, reading: &mut Reading<'_>, watch: &mut Watch, start: Instant) -> End {
    let group = child.id();
    let end = tokio::select! {
        status = child.wait() => status.map_or_else(End::NotStarted, End::Exited),
        never = reading.go_on() => match never {},
        () = watch.pauses.passed(start, watch.timeout) => End::TimedOut,
        halt = halted(&mut watch.halt) => End::Halted(halt),
    };
    if !matches!(end, End::Exited(_) | End::Halted(Halt::AtOnce(_))) {
        kill_tree(group, Kill::Gently);
        tokio::select! {
            _ = child.wait() => {}
            never = reading.go_on() => match never {},
            () = clock::after(watch.grace) => {}
            () = insisted(&mut watch.halt) => {}
        }
    }
    if !matches!(end, End::Exited(_)) {
        kill_tree(group, Kill::Now);
        // Without process groups, tokio kills the child itself.
        child.kill().await.ok();
    }
    end
}

/// Returns when the run should end. Cancel safe.
pub async fn halted(halt: &mut watch::Receiver<Halt>) -> Halt {
    let halted = halt.wait_for(|halt| *halt != Halt::No).await.map(|halt| *halt);
    // The sender lives as long as the run.
    halted.unwrap_or(Halt::RunTimeout)
}

/// Returns when the run should end without grace. Cancel safe.
pub(super) async fn insisted(halt: &mut watch::Receiver<Halt>) {
    halt.wait_for(|halt| matches!(halt, Halt::AtOnce(_))).await.ok();
}

/// Kills the group, and processes that left the group but still have a parent in the tree.
fn kill_tree(leader: Option<os::Pid>, how: Kill) {
    let strayed = leader.map(os::descendants).unwrap_or_default();
    os::kill_group(leader, how);
    strayed.into_iter().for_each(|pid| os::kill(pid, how));
}

/// Kills those of our children that `is_orphan` selects, and all their descendants, until there are
/// none. Returns them as leaks. It must not select a child that other code waits for.
pub(super) async fn sweep(is_orphan: impl Fn(os::Pid) -> bool) -> Vec<Leak> {
    let mut leaks = Vec::new();
    children_begin().await;
    for _ in 0..ORPHAN_ROUNDS_MAX {
        let children = os::children(std::process::id()).into_iter();
        let orphans: Vec<os::Pid> = children
            .filter(|pid| is_orphan(*pid) && !os::reap(*pid))
            .collect();
        if orphans.is_empty() {
            break;
        }
        leaks.extend(kill_all(&orphans).await);
    }
    leaks
}

/// Waits until all our children have begun their programs, so that they can be recognised. Those of
/// another user may always look as if they had not.
async fn children_begin() {
    for _ in 0..ORPHAN_ROUNDS_MAX {
        let children = os::children(std::process::id());
        if !children.iter().any(|pid| os::is_between_programs(*pid)) {
            return;
        }
        clock::after(ORPHAN_INTERVAL).await;
    }
}

/// Kills these orphans with all their descendants and waits until they are gone. Returns them as
/// leaks.
async fn kill_all(orphans: &[os::Pid]) -> Vec<Leak> {
    let below: Vec<os::Pid> = orphans.iter().flat_map(|pid| os::descendants(*pid)).collect();
    let all = || orphans.iter().chain(&below);
    let leaks = all().map(|pid| leak(*pid)).collect();
    all().for_each(|pid| os::kill(*pid, Kill::Now));
    let mut left = orphans.to_vec();
    for _ in 0..ORPHAN_ROUNDS_MAX {
        left.retain(|pid| !os::reap(*pid));
        if left.is_empty() {
            break;
        }
        clock::after(ORPHAN_INTERVAL).await;
    }
    leaks
}

fn leak(pid: os::Pid) -> Leak {
    Leak::new(
        LeakKind::Process,
        format!("`{}` (pid {pid})", os::command_line(pid)),
    )
}

/// The capture in progress. Survives being dropped from a `select!`, because the future stays here.
pub(super) struct Reading<'a> {
    future: Option<Pin<Box<dyn Future<Output = ()> + Send + 'a>>>,
}

impl<'a> Reading<'a> {
    /// Of these two streams, standard output and standard error, if they exist.
    pub(super) fn of<O, E>(streams: Option<(O, E)>, capture: &'a mut Capture) -> Reading<'a>
    where
        O: AsyncRead + Unpin + Send + 'a,
        E: AsyncRead + Unpin + Send + 'a,
    {
        let Some((stdout, stderr)) = streams else {
            return Reading { future: None };
        };
        Reading {
            future: Some(Box::pin(capture.read(stdout, stderr))),
        }
    }

    /// Reads while waiting for something else.
    #[cfg(target_os = "linux")]
    pub(super) async fn during<T>(&mut self, other: impl Future<Output = T>) -> T {
        tokio::select! {
            value = other => value,
            never = self.go_on() => match never {},
        }
    }

    /// Reads for as long as it is polled; never returns.
    pub(super) async fn go_on(&mut self) -> Infallible {
        self.exhaust().await;
        std::future::pending().await
    }

    /// Reads to the end, but not longer than `limit`.
    pub(super) async fn finish(&mut self, limit: Duration) {
        tokio::select! {
            () = self.exhaust() => {}
            () = clock::after(limit) => {}
        }
    }

    async fn exhaust(&mut self) {
        if let Some(future) = self.future.as_mut() {
            future.await;
            self.future = None;
        }
    }
}
