//! Another mount name space: a copy of all mounts, as containers and services have it.

#![expect(unsafe_code, reason = "a name space is entered through C")]

use std::io;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use rustix::thread::{UnshareFlags, unshare_unsafe};

/// A thread that has mounts of its own until this is dropped. Takes root.
#[derive(Debug)]
pub struct MountNamespace {
    /// `None` once it is to end.
    alive: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl MountNamespace {
    /// Copies the mounts of this moment.
    ///
    /// # Errors
    /// Those of unshare(2).
    pub fn new() -> io::Result<MountNamespace> {
        let (alive, ending) = channel::<()>();
        let (sender, entered) = channel();
        let thread = std::thread::spawn(move || {
            // SAFETY: a thread that has other mounts shares its memory and its descriptors as
            // before.
            let unshared = unsafe { unshare_unsafe(UnshareFlags::NEWNS) };
            let is_entered = unshared.is_ok();
            if sender.send(unshared).is_ok() && is_entered {
                // Ends when the sender is dropped.
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
            // It can't panic.
            let _joined = thread.join();
        }
    }
}
