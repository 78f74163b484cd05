//! The viewers of a share that are notified of changes: every mount, because its kernel caches
//! names and attributes.
//!
//! Owns the list of viewers. What a viewer does with a notification is up to the viewer; notifying
//! never waits for it.
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

/// Something in the cache of a kernel that is out of date.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Stale {
    /// The entry of that name in that folder, or that there is none.
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
    /// An id for a viewer, which is notified of nothing yet.
    pub(super) fn add(&self) -> ViewerId {
        ViewerId(self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// Notifies the viewer from now on of what the others change.
    #[cfg(feature = "fuse")]
    pub(super) fn listen(&self, viewer: ViewerId) -> Receiver<Stale> {
        let (sender, receiver) = channel();
        self.lock().push((viewer, sender));
        receiver
    }

    /// Stops notifying the viewer, and wakes up the thread that waits for its notifications.
    pub(super) fn leave(&self, viewer: ViewerId) {
        self.lock().retain(|(listening, _)| *listening != viewer);
    }

    /// Whether any viewer but `by` is notified.
    pub(super) fn has_listeners(&self, by: Option<ViewerId>) -> bool {
        self.lock().iter().any(|(listening, _)| Some(*listening) != by)
    }

    /// Notifies all viewers but the one that made the change.
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
