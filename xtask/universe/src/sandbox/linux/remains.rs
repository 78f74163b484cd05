//! What is left when a test has ended: found as evidence, then taken away.
//!
//! A process that is still parented to the supervisor is a leak of exactly this test, whatever it
//! did to its session, environment or standard streams. There is no fixed wait: whoever is ending
//! already, or has been woken by the test's end and has not come to run yet, gets the time that it
//! needs.

use std::collections::BTreeSet;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Signal, WaitOptions, wait};

use super::bounded::bounded;
use super::processes::{self, Activity, Process};
use super::rescue::Rescue;
use super::{sockets, sys};
use crate::base::clock;
use crate::base::limits::{
    DETACHES_MAX, EVIDENCE_TIMEOUT, IDLE_LOOKS_MIN, KILL_ROUNDS_MAX, KILL_TIME_MAX, REMAINS_BUSY_TIME_MAX,
    REMAINS_LOOK_INTERVAL, REMAINS_WAIT_MAX, STOPS_MAX,
};
use crate::base::mounts;
use crate::base::os::Pid;
use crate::report::data::Leak;
use crate::report::kinds::LeakKind;
use crate::sandbox::removal;

/// Collects children that have ended. Returns whether there are others.
pub(super) fn reap() -> bool {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some(_)) | Err(rustix::io::Errno::INTR) => {}
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
}

/// The processes that the test left behind, with the sockets on which they listen.
/// `runner` is the line to the runner; when that is gone, no process is waited for.
pub(super) fn processes_left(runner: BorrowedFd<'_>, rescue: &mut Rescue) -> Vec<Leak> {
    let Some(left) = idle_descendants(runner, rescue) else {
        return Vec::new();
    };
    if left.is_empty() {
        return vec![Leak::new(
            LeakKind::Process,
            "processes that start each other and end, faster than they can be seen",
        )];
    }
    let evidence = bounded(EVIDENCE_TIMEOUT, || {
        serde_json::to_vec(&evidence(&left)).unwrap_or_default()
    });
    let leaks = evidence.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    // Who they are cannot be read; that they are there is known all the same.
    leaks.unwrap_or_else(|| {
        Leak::told(
            &LeakKind::Process,
            left.iter()
                .map(|process| format!("pid {}", process.pid))
                .collect(),
        )
    })
}

fn evidence(left: &[Process]) -> Vec<Leak> {
    let listeners = sockets::listeners();
    let mut sockets = Vec::new();
    let mut commands = Vec::new();
    // Whoever has ended meanwhile is none.
    for process in left.iter().filter(|process| Process::look(process.pid).is_some()) {
        let command = process.command();
        let held: BTreeSet<u64> = processes::socket_inodes(process.pid).into_iter().collect();
        let own = listeners.iter().filter(|listener| held.contains(&listener.inode));
        sockets.extend(own.map(|listener| format!("{} of `{command}` (pid {})", listener.name, process.pid)));
        commands.push(format!("`{command}` (pid {})", process.pid));
    }
    sockets.sort();
    sockets.dedup();
    Leak::told(&LeakKind::Process, commands)
        .into_iter()
        .chain(Leak::told(&LeakKind::Socket, sockets))
        .collect()
}

/// Waits until each descendant has ended or is idle; one that waits for a mount of its own is
/// helped to its end. `None` if there are none any more.
fn idle_descendants(runner: BorrowedFd<'_>, rescue: &mut Rescue) -> Option<Vec<Process>> {
    let (start, mut before, mut looks) = (clock::now(), Vec::new(), 0);
    let mut used_at_first = None;
    loop {
        if !reap() {
            return None;
        }
        let left = processes::descendants(std::process::id());
        let now: Vec<Activity> = left.iter().map(Activity::of).collect();
        // There are children: where none is found, one is being replaced by another just now.
        let is_idle = !now.is_empty() && now == before && now.iter().all(Activity::is_waiting);
        looks = if is_idle { looks + 1 } else { 0 };
        let used = sys::time_of_ended_children() + now.iter().map(Activity::used).sum::<Duration>();
        let used = used.saturating_sub(*used_at_first.get_or_insert(used));
        if looks >= IDLE_LOOKS_MIN || used > REMAINS_BUSY_TIME_MAX || is_over(start, REMAINS_WAIT_MAX) {
            return Some(left);
        }
        rescue.look(&left);
        before = now;
        if is_gone_after(REMAINS_LOOK_INTERVAL, runner) {
            return Some(left);
        }
    }
}

/// Sends a signal to every descendant; `group` is the process group that the test led.
pub(super) fn signal_all(group: Option<Pid>, signal: Signal) {
    let tree = processes::descendants(std::process::id());
    processes::send_all(&tree, group, signal);
}

/// Ends all descendants. First they are stopped, so that none of them can fork out of it.
pub(super) fn kill_all(group: Option<Pid>, rescue: &mut Rescue) {
    kill_all_until(clock::now() + KILL_TIME_MAX, group, rescue);
}

/// The same, but no longer than this; at least once.
pub(super) fn kill_all_until(deadline: Instant, group: Option<Pid>, rescue: &mut Rescue) {
    for round in 0..KILL_ROUNDS_MAX {
        if !reap() || (round > STOPS_MAX && clock::now() > deadline) {
            return;
        }
        if round < STOPS_MAX {
            signal_all(group, Signal::STOP);
        }
        let tree = processes::descendants(std::process::id());
        if round == 0 {
            rescue.see_servers(&tree);
        }
        processes::send_all(&tree, group, Signal::KILL);
        rescue.look(&tree);
        pause(if round < STOPS_MAX {
            Duration::ZERO
        } else {
            REMAINS_LOOK_INTERVAL
        });
    }
}

/// The mounts that are there now and were not when the kernel's table was `before`, detached.
pub(super) fn mounts_left(before: &str, scope: &Path, rescue: &mut Rescue) -> Vec<Leak> {
    let old: BTreeSet<&str> = before.lines().filter_map(|line| line.split(' ').next()).collect();
    let mut left: Vec<String> = Vec::new();
    for _ in 0..DETACHES_MAX {
        let table = mounts::table();
        if table == before {
            break;
        }
        let mut new = mounts::entries(&table, scope);
        new.retain(|(id, _)| !old.contains(id));
        if new.is_empty() {
            break;
        }
        rescue.end_mounts();
        for (_, point) in new.iter().rev() {
            let point_told = point.display().to_string();
            if !left.contains(&point_told) {
                left.push(point_told);
            }
            mounts::detach(point);
        }
    }
    left.sort();
    Leak::told(&LeakKind::Mount, left)
}

/// Takes a test's directory away. What cannot be taken away is a leak, whatever else is told.
pub(super) fn remove(scratch: &Path) -> Vec<Leak> {
    match removal::remove(scratch) {
        Ok(()) => Vec::new(),
        Err(why) => vec![Leak::new(
            LeakKind::File,
            format!("`{}` could not be removed: {why}", scratch.display()),
        )],
    }
}

/// As leaks of shared memory.
pub(super) fn memory_left(found: Vec<String>) -> Vec<Leak> {
    Leak::told(&LeakKind::SharedMemory, found)
}

fn is_over(start: Instant, limit: Duration) -> bool {
    clock::now() - start > limit
}

/// Waits; there is nothing else to do in this process meanwhile.
pub(super) fn pause(duration: Duration) {
    poll(&mut [], Some(&timeout(duration))).ok();
}

/// The same, but not after the runner at the other end of the line is gone. Returns whether it is.
fn is_gone_after(duration: Duration, runner: BorrowedFd<'_>) -> bool {
    // The end of the line is reported without being asked for; what it says meanwhile can wait.
    let mut line = [PollFd::from_borrowed_fd(runner, PollFlags::empty())];
    let polled = poll(&mut line, Some(&timeout(duration)));
    polled.is_ok_and(|count| count > 0)
}

/// Less than a second.
fn timeout(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: 0,
        tv_nsec: i64::from(duration.subsec_nanos()),
    }
}
