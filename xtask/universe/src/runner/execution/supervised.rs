//! A test that the keeper owns, from the order to start it until its files are cleaned up.
//!
//! Decides when the test must end; the supervisor ends it with everything it started.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::capture::Capture;
use super::owner::{Fate, Question, Settled};
use super::process::{End, Ended, Halt, Reading, Watch, halted, insisted};
use crate::base::clock;
use crate::base::fuse_connections::{self, OwnershipProof};
use crate::base::limits::{
    DRAIN_TIMEOUT, EXAMINE_TIMEOUT, PROBE_TIMEOUT, QUESTION_GRACE, SETTLE_TIMEOUT, TREE_END_TIMEOUT,
};
use crate::base::os::{self, TEMPORARY};
use crate::base::procfs;
use crate::report::data::Leak;
use crate::report::kinds::LeakKind;
use crate::runner::suspension::Pauses;
use crate::sandbox::isolation::{Level, Network};
use crate::sandbox::linux::{Control, Instruction, Keeper, Order, Reply};

/// Runs one order to its end. Without a returned control there is nothing to clean up, or no
/// supervisor to do it.
pub(super) async fn run(
    keeper: &Keeper,
    order: &Order,
    mut capture: Capture,
    mut watch: Watch,
) -> (Ended, Option<Control>) {
    let (started, start) = (clock::wall(), clock::now());
    let frame = match order.frame() {
        Ok(frame) => frame,
        Err(error) => return (Ended::not_started(error), None),
    };
    let ward = match keeper.launch(&frame, order.network).await {
        Ok(ward) => ward,
        Err(error) => return (Ended::not_started(gone(&error)), None),
    };
    let mut control = ward.control;
    let mut reading = Reading::of(Some((ward.stdout, ward.stderr)), &mut capture);
    let (end, reply) = attend(&mut control, &mut reading, &mut watch, start).await;
    let (reply, resists) = match reply {
        Ok(reply) => (reply, None),
        Err(resists) => (None, Some(resists)),
    };
    reading.finish(DRAIN_TIMEOUT).await;
    drop(reading);
    let mut ended = Ended {
        end: End::Lost,
        started,
        elapsed: clock::now() - start,
        stdout: capture.stdout.into_bytes(),
        stderr: capture.stderr.into_bytes(),
        leaks: Vec::new(),
        shortage: None,
        refused: Vec::new(),
        attachments: existing(order.forensics.clone()),
    };
    let listens = apply(&mut ended, reply);
    if let Some(end) = end {
        ended.end = end;
        // The test had no time to clean up, so its leaks are not reported: the timeout is, and the
        // forensics show what it was doing. A process that could not even be killed is reported.
        ended.leaks.retain(|leak| leak.kind == LeakKind::Stuck);
        ended.leaks.extend(resists);
    }
    match listens {
        Listens::ForFate => (ended, Some(control)),
        Listens::ForOrders => {
            keeper.rest(control, order.network);
            (ended, None)
        }
        Listens::Gone => {
            ended.leaks.extend(abandon(keeper, order));
            (ended, None)
        }
        Listens::Done => (ended, None),
    }
}

/// The test has no supervisor any more: the keeper ends it. Returns the stuck threads as leaks.
fn abandon(keeper: &Keeper, order: &Order) -> Vec<Leak> {
    let stuck = keeper.end_lost(&order.scratch).unwrap_or_else(|_| {
        end_without_keeper(&order.scratch);
        Vec::new()
    });
    if keeper.level == Level::Tree {
        super::owner::settle(&order.scratch, Fate::Discard);
    }
    stuck
}

/// Ends a test, given by its scratch directory, that has lost the keeper too. Aborts its FUSE
/// connections first: a killed test may wait for one of them.
fn end_without_keeper(scratch: &Path) {
    let [variable, ..] = TEMPORARY;
    let mark = format!("{variable}={}", scratch.display());
    let processes = os::all_with(&mark).into_iter().map(procfs::directory);
    let processes: Vec<PathBuf> = processes.collect();
    fuse_connections::abort_all(OwnershipProof::Below(scratch.to_owned()), &processes);
    os::kill_all_with(&mark);
}

/// What a supervisor waits for after the end of its test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listens {
    /// The decision about the test's files.
    ForFate,
    /// Another order: the test left nothing behind.
    ForOrders,
    /// Nothing: it started nothing, and has sent its last message.
    Done,
    /// Nothing: it is gone, and the processes it started may still exist.
    Gone,
}

fn gone(error: &io::Error) -> io::Error {
    io::Error::new(
        error.kind(),
        format!("the keeper of the tests does not answer: {error}"),
    )
}

fn existing(file: PathBuf) -> Vec<PathBuf> {
    file.exists().then_some(file).into_iter().collect()
}

/// Copies the supervisor's report of the end into `ended`.
fn apply(ended: &mut Ended, reply: Option<Reply>) -> Listens {
    match reply {
        Some(Reply::Ended {
            status,
            elapsed_us,
            leaks,
            processes,
            shortage,
            refused,
            clean,
        }) => {
            ended.elapsed = Duration::from_micros(elapsed_us);
            (ended.leaks, ended.shortage, ended.refused) = (leaks, shortage, refused);
            ended.end = match processes {
                Some(count) => End::TooManyProcesses(count),
                None => End::Exited(ExitStatus::from_raw(status)),
            };
            match clean {
                true => Listens::ForOrders,
                false => Listens::ForFate,
            }
        }
        Some(Reply::NotStarted(reason)) => {
            ended.end = End::NotStarted(io::Error::other(reason));
            Listens::Done
        }
        Some(Reply::Examined | Reply::Settled { .. }) | None => Listens::Gone,
    }
}

/// Waits for the end of the test, or ends it when its time or that of the run is over, and returns
/// the reason. If the supervisor reported no end, the test may still run: that is a leak.
async fn attend(
    control: &mut Control,
    reading: &mut Reading<'_>,
    watch: &mut Watch,
    start: Instant,
) -> (Option<End>, Result<Option<Reply>, Leak>) {
    let end = tokio::select! {
        biased;
        reply = end_of(control) => return (None, Ok(reply)),
        never = reading.go_on() => match never {},
        () = watch.pauses.passed(start, watch.timeout) => End::TimedOut,
        halt = halted(&mut watch.halt) => End::Halted(halt),
    };
    if matches!(end, End::TimedOut) {
        control.instruct(Instruction::Examine).await;
        if let Some(reply) = reading
            .during(within(EXAMINE_TIMEOUT, control.receive()))
            .await
            .flatten()
            && reply != Reply::Examined
        {
            return (Some(end), Ok(Some(reply)));
        }
    }
    if !matches!(end, End::Halted(Halt::AtOnce(_))) {
        control.instruct(Instruction::Terminate).await;
        let grace = async {
            tokio::select! {
                biased;
                reply = end_of(control) => reply,
                () = clock::after(watch.grace) => None,
                () = insisted(&mut watch.halt) => None,
            }
        };
        if let Some(reply) = reading.during(grace).await {
            return (Some(end), Ok(Some(reply)));
        }
    }
    control.instruct(Instruction::Kill).await;
    let reply = reading.during(within(TREE_END_TIMEOUT, end_of(control))).await;
    (Some(end), reply.ok_or_else(resists))
}

/// The leak of a test that does not end although it was killed, where no cause could be found and
/// removed: it may wait for a disk.
fn resists() -> Leak {
    let limit = TREE_END_TIMEOUT.as_secs();
    Leak::new(
        LeakKind::Process,
        format!(
            "it was killed and has not ended within {limit} s, so it was given up. If `ps -eLo pid,wchan:20,comm` shows it in \
             `request_wait_answer`, it waits for its own mount, and writing 1 to `/sys/fs/fuse/connections/NUMBER/abort` ends it"
        ),
    )
}

/// The supervisor's report of the test's end; `None` when the supervisor is gone.
async fn end_of(control: &mut Control) -> Option<Reply> {
    loop {
        match control.receive().await? {
            Reply::Examined => {}
            reply => return Some(reply),
        }
    }
}

/// Runs the capability probe. Returns its output and its duration, or why it did not answer.
pub(super) async fn ask(keeper: &Keeper, probe: &Path) -> Result<(Vec<u8>, Duration), String> {
    let mut command = Command::new(probe);
    command.arg("fuse");
    let start = clock::now();
    let question = Question {
        label: "probe",
        limit: PROBE_TIMEOUT,
        network: Network::default(),
    };
    let output = output(keeper, (command, Capture::brief()), question).await;
    let output = output.map_err(|why| format!("the probe failed: {why}"))?;
    Ok((output.stdout, clock::now() - start))
}

/// Runs a command to its end, in a scratch directory that is called so and goes with it, and
/// returns what was captured of its output.
pub(super) async fn output(
    keeper: &Keeper,
    (mut command, capture): (Command, Capture),
    Question {
        label,
        limit,
        network,
    }: Question<'_>,
) -> Result<Output, String> {
    let scratch = keeper.scratch.join(label);
    command.envs(TEMPORARY.map(|name| (name, &scratch)));
    let order = Order {
        network,
        ..Order::of(&command, &scratch, &scratch)
    };
    let (_never, halt) = watch::channel(Halt::No);
    let watch = Watch {
        timeout: limit,
        grace: QUESTION_GRACE,
        pauses: Pauses::none(),
        halt,
        mark: String::new(),
    };
    let (ended, control) = run(keeper, &order, capture, watch).await;
    if let Some(control) = control {
        settle(control, Fate::Discard).await;
    }
    ended.into_output(limit)
}

async fn within<T>(limit: Duration, future: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        // After a long suspension, both may be ready.
        biased;
        value = future => Some(value),
        () = clock::after(limit) => None,
    }
}

/// Has the supervisor remove or keep the files of a test.
pub(super) async fn settle(mut control: Control, fate: Fate) -> Settled {
    control
        .instruct(match fate {
            Fate::Remove => Instruction::Remove,
            Fate::Preserve => Instruction::Preserve,
            Fate::Discard => Instruction::Discard,
        })
        .await;
    match within(SETTLE_TIMEOUT, control.receive()).await.flatten() {
        Some(Reply::Settled { leaks, kept }) => Settled { leaks, kept },
        reply => Settled {
            leaks: vec![Leak::new(
                LeakKind::File,
                format!("its temporary directory could not be cleaned up ({reply:?})"),
            )],
            kept: None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keeper_ends_only_the_leftovers_of_a_killed_supervisor() {
        let applied = |reply| apply(&mut Ended::not_started(io::Error::other("x")), reply);
        let ended = |clean| Reply::Ended {
            status: 0,
            elapsed_us: 1,
            leaks: Vec::new(),
            processes: None,
            shortage: None,
            refused: Vec::new(),
            clean,
        };
        assert_eq!(applied(None), Listens::Gone);
        assert_eq!(applied(Some(Reply::NotStarted("no".into()))), Listens::Done);
        assert_eq!(applied(Some(ended(false))), Listens::ForFate);
        assert_eq!(applied(Some(ended(true))), Listens::ForOrders);
    }
}
