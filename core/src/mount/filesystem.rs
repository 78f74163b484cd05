//! A share as a file system, without a kernel. Mounts and tests call it.
//!
//! Inode based, as FUSE is. One value is one viewer; any number of them, mounted or not, see the
//! same share and the same open files. Every call blocks until it is done. The docs of a call that
//! may take long say so; it has a twin `…_or_later` that does not wait: its
//! [`Answer`](super::answer) is the result, or a job for another thread. Names, files, folders and
//! attributes have a file each.

mod closing;
mod files;
mod folders;
mod known;
mod meta;
mod names;
mod opening;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockWriteGuard};

use super::attributes::{Handle, Inode, OpenMode};
use super::fs_error::FsError;
use super::open_file::OpenFile;
use super::options::Links;
use super::share_view::ShareView;
#[cfg(feature = "fuse")]
use super::viewers::Stale;
use super::viewers::ViewerId;
use folders::FolderStream;
use known::Known;

pub use files::{Span, Whence};
pub use folders::{FolderItem, Room};
pub use meta::Statistics;
pub use names::Renaming;
pub use opening::{Io, IoWish, Opened};

/// See the head of this file.
#[derive(Debug)]
pub struct FileSystem {
    view: Arc<ShareView>,
    viewer: ViewerId,
    next_handle: AtomicU64,
    open: RwLock<HashMap<Handle, OpenHandle>>,
    folders: Mutex<HashMap<Handle, FolderStream>>,
    /// The inodes that this viewer was shown and has not forgotten.
    known: Mutex<Known>,
    links: Links,
}

/// One handle of an open file.
#[derive(Debug, Clone)]
struct OpenHandle {
    inode: Inode,
    file: Arc<OpenFile>,
    mode: OpenMode,
    io: Io,
}

impl FileSystem {
    pub(crate) fn new(view: Arc<ShareView>) -> Self {
        Self {
            viewer: view.viewers.add(),
            view,
            next_handle: AtomicU64::new(1),
            open: RwLock::default(),
            folders: Mutex::default(),
            known: Mutex::default(),
            links: Links::default(),
        }
    }

    /// Whether links that lead out of the share can be read.
    #[must_use]
    pub fn with_links(mut self, links: Links) -> Self {
        self.links = links;
        self
    }

    /// Returns a channel on which changes by others arrive from now on.
    #[cfg(feature = "fuse")]
    pub(super) fn listen(&self) -> std::sync::mpsc::Receiver<Stale> {
        self.view.viewers.listen(self.viewer)
    }

    /// Stops reporting changes to this viewer.
    pub(super) fn stop_listening(&self) {
        self.view.viewers.leave(self.viewer);
    }

    /// The view of the share that it shows.
    #[cfg(any(feature = "fuse", test))]
    pub(super) fn view(&self) -> &Arc<ShareView> {
        &self.view
    }

    /// Wall time in nanoseconds since 1970.
    #[cfg(feature = "fuse")]
    pub(super) fn now_ns(&self) -> i64 {
        self.view.now_ns()
    }

    /// The runtime of its peer.
    #[cfg(feature = "fuse")]
    pub(super) fn runtime(&self) -> &crate::runtime::Runtime {
        &self.view.share.runtime
    }

    fn new_handle(&self) -> Handle {
        Handle(self.next_handle.fetch_add(1, Ordering::Relaxed))
    }

    fn handle(&self, handle: Handle) -> Result<OpenHandle, FsError> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        open.get(&handle).cloned().ok_or(FsError::BadHandle)
    }

    fn handles_mut(&self) -> RwLockWriteGuard<'_, HashMap<Handle, OpenHandle>> {
        self.open.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for FileSystem {
    /// A kernel that has ended a mount does not send the forgets for it.
    fn drop(&mut self) {
        self.stop_listening();
        let open: Vec<_> = self.handles_mut().drain().collect();
        for (_, handle) in open {
            if let Err(error) = self.view.let_go(&handle, self.viewer) {
                tracing::warn!(%error, "could not share a file that was open when its mount ended");
            }
        }
        let known = std::mem::take(&mut *self.known());
        let mut nodes = self.view.nodes();
        for (inode, count) in known.lookup_counts() {
            nodes.forget(inode, count);
        }
    }
}
