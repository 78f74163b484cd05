//! The viewers of a share that get news of changes: every mount, because its kernel remembers
//! things.
//!
//! Owns the list of viewers. What a viewer does with the news is its own business; telling never
//! waits for it.
//!
//! The mounts of one peer share their open files, but the kernel learns what was written through
//! another mount only when that is published.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
#[cfg(feature = "fuse")]
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Mutex, PoisonError};

use super::attributes::Inode;
use crate::catalog::Name;

/// Names one viewer of a share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ViewerId(u64);

/// Something that a kernel should not believe any more.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Stale {
    /// What is called so in that folder, or that there is nothing of that name.
    Name {
        /// The folder.
        folder: Inode,
        /// The name.
        name: Name,
    },
    /// The attributes of an inode, and its content.
    Content {
        /// Of which.
        inode: Inode,
    },
    /// The attributes of an inode.
    Attributes {
        /// Of which.
        inode: Inode,
    },
}

/// All viewers of one share.
#[derive(Debug, Default)]
pub(super) struct Viewers {
    next: AtomicU64,
    listening: Mutex<Vec<(ViewerId, Sender<Stale>)>>,
}

impl Viewers {
    /// A name for a viewer, which hears nothing yet.
    pub(super) fn add(&self) -> ViewerId {
        ViewerId(self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// From now on the viewer hears what the others do.
    #[cfg(feature = "fuse")]
    pub(super) fn listen(&self, viewer: ViewerId) -> Receiver<Stale> {
        let (sender, receiver) = channel();
        self.lock().push((viewer, sender));
        receiver
    }

    /// The viewer gets no more news, and the thread that waits for them wakes up.
    pub(super) fn leave(&self, viewer: ViewerId) {
        self.lock().retain(|(listening, _)| *listening != viewer);
    }

    /// Whether anybody but `by` listens.
    pub(super) fn has_listeners(&self, by: Option<ViewerId>) -> bool {
        self.lock().iter().any(|(listening, _)| Some(*listening) != by)
    }

    /// Informs all viewers but the one that made the change.
    pub(super) fn report(&self, by: Option<ViewerId>, stale: &Stale) {
        for (listening, sender) in self.lock().iter() {
            if Some(*listening) != by {
                // Fails when it is about to leave.
                drop(sender.send(stale.clone()));
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(ViewerId, Sender<Stale>)>> {
        self.listening.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
