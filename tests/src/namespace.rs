//! A second mount name space: a copy of all mounts, as containers and services have.

#![expect(unsafe_code, reason = "a name space is entered through C")]

use std::io;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use rustix::thread::{UnshareFlags, unshare_unsafe};

/// A thread that has mounts of its own until this is dropped. Needs root.
#[derive(Debug)]
pub struct MountNamespace {
    /// `None` once the thread should end.
    alive: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl MountNamespace {
    /// Copies the mounts that exist at this moment.
    ///
    /// # Errors
    /// Those of unshare(2).
    pub fn new() -> io::Result<MountNamespace> {
        let (alive, ending) = channel::<()>();
        let (sender, entered) = channel();
        let thread = std::thread::spawn(move || {
            // SAFETY: only the thread's mounts change; memory and descriptors stay shared.
            let unshared = unsafe { unshare_unsafe(UnshareFlags::NEWNS) };
            let is_entered = unshared.is_ok();
            if sender.send(unshared).is_ok() && is_entered {
                // Returns when the sender is dropped.
                let _ended = ending.recv();
            }
        });
        let entered = entered.recv().map_err(io::Error::other)?;
        entered?;
        Ok(MountNamespace {
            alive: Some(alive),
            thread: Some(thread),
        })
    }
}

impl Drop for MountNamespace {
    fn drop(&mut self) {
        self.alive = None;
        if let Some(thread) = self.thread.take() {
            // The thread can't panic.
            let _joined = thread.join();
        }
    }
}
