//! The leftovers of a finished test: recorded as evidence, then removed.
//!
//! A process that is still a descendant of the supervisor is a leak of exactly this test, whatever
//! it did to its session, environment or standard streams. There is no fixed wait: a process that
//! is already exiting, or that the test's end woke and that has not run yet, gets the time that it
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

/// Collects children that have exited. Returns whether others remain.
pub(super) fn reap() -> bool {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some(_)) | Err(rustix::io::Errno::INTR) => {}
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
}

/// The processes that the test left behind, with the sockets on which they listen. `runner` is the
/// connection to the runner; when that is closed, no process is waited for.
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
    // Their command lines cannot be read, but their existence is known.
    leaks.unwrap_or_else(|| {
        Leak::list(
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
    // A process that has exited meanwhile is not a leak.
    for process in left.iter().filter(|process| Process::look(process.pid).is_some()) {
        let command = process.command();
        let held: BTreeSet<u64> = processes::socket_inodes(process.pid).into_iter().collect();
        let own = listeners.iter().filter(|listener| held.contains(&listener.inode));
        sockets.extend(own.map(|listener| format!("{} of `{command}` (pid {})", listener.name, process.pid)));
        commands.push(format!("`{command}` (pid {})", process.pid));
    }
    sockets.sort();
    sockets.dedup();
    Leak::list(&LeakKind::Process, commands)
        .into_iter()
        .chain(Leak::list(&LeakKind::Socket, sockets))
        .collect()
}

/// Waits until each descendant has exited or is idle. Aborts a mount of the test for which one
/// waits. `None` if there are none left.
fn idle_descendants(runner: BorrowedFd<'_>, rescue: &mut Rescue) -> Option<Vec<Process>> {
    let (start, mut before, mut looks) = (clock::now(), Vec::new(), 0);
    let mut used_at_first = None;
    loop {
        if !reap() {
            return None;
        }
        let left = processes::descendants(std::process::id());
        let now: Vec<Activity> = left.iter().map(Activity::of).collect();
        // There are children: if none is found, one is being replaced by another right now.
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

/// Ends all descendants. It stops them first, so that none of them escapes by forking.
pub(super) fn kill_all(group: Option<Pid>, rescue: &mut Rescue) {
    kill_all_until(clock::now() + KILL_TIME_MAX, group, rescue);
}

/// The same, but at most for this long; at least one round.
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

/// Detaches the mounts that are not in the kernel's earlier table `before`, and returns them.
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
    Leak::list(&LeakKind::Mount, left)
}

/// Removes a test's directory. If it cannot be removed, that is a leak, whatever else is reported.
pub(super) fn remove(scratch: &Path) -> Vec<Leak> {
    match removal::remove(scratch) {
        Ok(()) => Vec::new(),
        Err(why) => vec![Leak::new(
            LeakKind::File,
            format!("`{}` could not be removed: {why}", scratch.display()),
        )],
    }
}

/// The lines as leaks of shared memory.
pub(super) fn memory_left(found: Vec<String>) -> Vec<Leak> {
    Leak::list(&LeakKind::SharedMemory, found)
}

fn is_over(start: Instant, limit: Duration) -> bool {
    clock::now() - start > limit
}

/// Waits; this process has nothing else to do meanwhile.
pub(super) fn pause(duration: Duration) {
    poll(&mut [], Some(&timeout(duration))).ok();
}

/// The same, but returns early when the runner closes the connection. Returns whether it did.
fn is_gone_after(duration: Duration, runner: BorrowedFd<'_>) -> bool {
    // The close is reported without being requested; messages can wait.
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
