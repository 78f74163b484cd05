//! Work that may hang, done by a child that can be killed.
//!
//! Reading the command line of a process can take forever: the kernel waits for the process's
//! memory map, which a page fault on a hung file system holds. The wait ends when the reader is
//! killed.

use std::io::{Read, Write};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, kill_process, pidfd_open, waitpid};

use super::sys::{self, Fork};
use crate::base::limits::KILLED_CHILD_TIMEOUT;

/// The result of `work`; `None` if it takes longer than `limit`.
pub(super) fn bounded(limit: Duration, work: impl FnOnce() -> Vec<u8>) -> Option<Vec<u8>> {
    let (mut result, mut sender) = std::io::pipe().ok()?;
    match sys::fork().ok()? {
        Fork::Child => {
            sender.write_all(&work()).ok();
            sys::exit(0);
        }
        Fork::Parent(child) => {
            drop(sender);
            let read = read(&mut result, limit);
            kill_process(child, Signal::KILL).ok();
            collect(child);
            read
        }
    }
}

/// Waits for a killed child to exit, but not for one that cannot be killed: the caller that waits
/// for all children collects it later.
fn collect(child: Pid) {
    let Ok(pidfd) = pidfd_open(child, PidfdFlags::empty()) else {
        return;
    };
    let timeout = Timespec::try_from(KILLED_CHILD_TIMEOUT).ok();
    let ended = poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], timeout.as_ref());
    if ended.is_ok_and(|count| count > 0) {
        waitpid(Some(child), WaitOptions::empty()).ok();
    }
}

/// Reads everything up to the end, unless one part takes too long.
fn read(from: &mut std::io::PipeReader, limit: Duration) -> Option<Vec<u8>> {
    let timeout = Timespec::try_from(limit).ok()?;
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let mut events = [PollFd::new(&*from, PollFlags::IN)];
        if poll(&mut events, Some(&timeout)).ok()? == 0 {
            return None;
        }
        match from.read(&mut buffer).ok()? {
            0 => return Some(bytes),
            len => bytes.extend_from_slice(buffer.get(..len)?),
        }
    }
}
