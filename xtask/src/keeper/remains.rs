//! What is left when a test has ended: found as evidence, then taken away.
//!
//! A process that is still parented to the supervisor is a leak of exactly this test, whatever it did to its session,
//! environment or standard streams. There is no fixed wait: whoever is ending already, or has been woken by the test's
//! end and has not come to run yet, gets the time that it needs.

use std::collections::BTreeSet;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{Timespec, poll};
use rustix::mount::{UnmountFlags, unmount};
use rustix::process::{Signal, WaitOptions, wait};

use super::bounded::bounded;
use super::processes::{self, Process};
use super::sockets;
use crate::clock;
use crate::mounts;
use crate::report::Leak;

/// Between two looks at processes that may be about to end.
const LOOK_INTERVAL: Duration = Duration::from_millis(2);

/// A process that is idle in so many looks in a row, without having used processor time, waits for something.
const IDLE_LOOKS: u32 = 3;

/// Who runs all the time gets so long to end by itself; then it is a leak that runs.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long it may take to find out who was left.
const EVIDENCE_TIMEOUT: Duration = Duration::from_secs(2);

/// Killing is repeated, as the killed may fork meanwhile; but not for ever.
const KILLS_MAX: usize = 500;

/// So many leaks of one kind are told one by one.
const TOLD_MAX: usize = 10;

fn leak(kind: &str, what: impl Into<String>) -> Leak {
    Leak {
        kind: kind.to_owned(),
        what: what.into(),
    }
}

/// At most [`TOLD_MAX`] of them, and how many more there are.
fn told(kind: &str, all: Vec<String>) -> Vec<Leak> {
    let more = all.len().saturating_sub(TOLD_MAX);
    let mut leaks: Vec<Leak> = all
        .into_iter()
        .take(TOLD_MAX)
        .map(|what| leak(kind, what))
        .collect();
    leaks.extend((more > 0).then(|| leak(kind, format!("and {more} more"))));
    leaks
}

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
pub(super) fn processes_left() -> Vec<Leak> {
    let left = idle_descendants();
    if left.is_empty() {
        return Vec::new();
    }
    let evidence = bounded(EVIDENCE_TIMEOUT, || {
        serde_json::to_vec(&evidence(&left)).unwrap_or_default()
    });
    let leaks = evidence.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    // Who they are cannot be read; that they are there is known all the same.
    leaks.unwrap_or_else(|| {
        told(
            "process",
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
    for process in left {
        let command = process.command();
        let held: BTreeSet<u64> = processes::socket_inodes(process.pid).into_iter().collect();
        let own = listeners.iter().filter(|listener| held.contains(&listener.inode));
        sockets.extend(own.map(|listener| format!("{} of `{command}` (pid {})", listener.name, process.pid)));
        commands.push(format!("`{command}` (pid {})", process.pid));
    }
    sockets.sort();
    sockets.dedup();
    told("process", commands)
        .into_iter()
        .chain(told("socket", sockets))
        .collect()
}

/// Waits until each descendant has ended or is idle.
fn idle_descendants() -> Vec<Process> {
    let (start, mut before, mut looks) = (clock::now(), Vec::new(), 0);
    loop {
        if !reap() {
            return Vec::new();
        }
        let left = processes::descendants(std::process::id());
        let unchanged = left == before && left.iter().all(Process::is_idle);
        looks = if unchanged { looks + 1 } else { 0 };
        if looks >= IDLE_LOOKS || is_over(start, PATIENCE) {
            return left;
        }
        before = left;
        pause(LOOK_INTERVAL);
    }
}

/// Sends a signal to every descendant.
pub(super) fn signal_all(signal: Signal) {
    for process in processes::descendants(std::process::id()) {
        processes::send(process.pid, signal);
    }
}

/// Ends all descendants. First they are stopped, so that none of them can fork out of it.
pub(super) fn kill_all() {
    for round in 0..KILLS_MAX {
        if !reap() {
            return;
        }
        if round < 3 {
            signal_all(Signal::STOP);
        }
        signal_all(Signal::KILL);
        pause(Duration::from_millis(1).min(LOOK_INTERVAL * u32::try_from(round).unwrap_or(1)));
    }
}

/// The mounts that are there now and were not when the kernel's table was `before`, detached.
pub(super) fn mounts_left(before: &str, scope: &Path) -> Vec<Leak> {
    let table = mounts::table();
    if table == before {
        return Vec::new();
    }
    let before: BTreeSet<PathBuf> = mounts::points(before, scope).into_iter().collect();
    let mut new: Vec<PathBuf> = mounts::points(&table, scope)
        .into_iter()
        .filter(|point| !before.contains(point))
        .collect();
    if new.is_empty() {
        return Vec::new();
    }
    // The deepest first, and the latest of those at one place.
    new.sort();
    for point in new.iter().rev() {
        if unmount(point, UnmountFlags::DETACH).is_err() {
            mounts::detach(point);
        }
    }
    told(
        "mount",
        new.iter().map(|point| point.display().to_string()).collect(),
    )
}

/// What lies in the directory, which should be empty.
pub(super) fn files_left(scratch: &Path) -> Vec<Leak> {
    let entries = std::fs::read_dir(scratch).into_iter().flatten().flatten();
    let (mut files, mut sockets) = (Vec::new(), Vec::new());
    for entry in entries {
        let is_socket = entry.file_type().is_ok_and(|kind| kind.is_socket());
        let place = if is_socket { &mut sockets } else { &mut files };
        place.push(entry.file_name().display().to_string());
    }
    files.sort();
    sockets.sort();
    told("file", files)
        .into_iter()
        .chain(told("unix-socket", sockets))
        .collect()
}

/// As leaks of shared memory.
pub(super) fn memory_left(found: Vec<String>) -> Vec<Leak> {
    told("shared-memory", found)
}

fn is_over(start: Instant, limit: Duration) -> bool {
    clock::now() - start > limit
}

/// Waits; there is nothing else to do in this process meanwhile.
fn pause(duration: Duration) {
    let timeout = Timespec {
        tv_sec: 0,
        tv_nsec: i64::from(duration.subsec_nanos()),
    };
    poll(&mut [], Some(&timeout)).ok();
}
