//! The file systems that show one share, and their mounts. A [`Mount`] is gone when it is unmounted
//! or dropped.
//!
//! All of them look at one [`ShareView`], which is made with the first of them.

use std::path::Path;
#[cfg(unix)]
use std::sync::{Arc, Mutex, PoisonError};

#[cfg(unix)]
use super::filesystem::FileSystem;
#[cfg(all(unix, feature = "fuse"))]
use super::guard::Mounted;
#[cfg(all(unix, feature = "fuse"))]
use super::live::LiveMounts;
use super::mount_error::MountError;
#[cfg(all(unix, feature = "fuse"))]
use super::options::MountOptions;
#[cfg(unix)]
use super::share_view::ShareView;
#[cfg(unix)]
use crate::share::{Observer, Share};

/// A mount of a peer's share. It ends with [`Mount::unmount`], or when it is dropped, or when its
/// peer is closed or dropped. A process that still uses it after [`Mount::unmount`] is served until
/// the peer ends; in the other cases it gets errors a moment later, so that a process that uses its
/// own mount can end.
#[derive(Debug)]
pub struct Mount {
    #[cfg(all(unix, feature = "fuse"))]
    mounted: Arc<Mounted>,
    #[cfg(not(all(unix, feature = "fuse")))]
    never: std::convert::Infallible,
}

/// The file systems and mounts of one share.
#[cfg(unix)]
#[derive(Debug)]
pub(crate) struct Mounts {
    share: Arc<Share>,
    /// Made with the first file system.
    view: Mutex<Option<Arc<ShareView>>>,
    #[cfg(feature = "fuse")]
    live: Arc<LiveMounts>,
}

#[cfg(unix)]
impl Mounts {
    /// Nothing shows `share` yet.
    pub(crate) fn new(share: Arc<Share>) -> Self {
        Self {
            share,
            view: Mutex::default(),
            #[cfg(feature = "fuse")]
            live: Arc::default(),
        }
    }

    /// A file system that is mounted nowhere.
    pub(crate) fn file_system(&self) -> Result<FileSystem, MountError> {
        if self.share.peer_store.is_none() {
            return Err(MountError::NoStore);
        }
        if self.share.runtime.cancel.is_cancelled() {
            return Err(MountError::Closed);
        }
        let mut view = self.view.lock().unwrap_or_else(PoisonError::into_inner);
        let view = view.get_or_insert_with(|| {
            let view = Arc::new(ShareView::new(self.share.clone()));
            let observer: Arc<dyn Observer> = view.clone();
            self.share.observe(Arc::downgrade(&observer));
            view
        });
        Ok(FileSystem::new(view.clone()))
    }

    /// Mounts the share on the folder `at`.
    #[cfg(feature = "fuse")]
    pub(crate) async fn mount(&self, at: &Path, options: MountOptions) -> Result<Mount, MountError> {
        let fs = self.file_system()?.with_links(options.links);
        let (at, live) = (at.to_owned(), self.live.clone());
        let mounting = move || {
            let mounted = Arc::new(Mounted::new(fs, &at, (&options, &live))?);
            live.note_mount(&mounted);
            Ok(Mount { mounted })
        };
        // Fails only when it panicked.
        let mounted = tokio::task::spawn_blocking(mounting).await;
        mounted.map_err(|_| MountError::Closed)?
    }

    /// Ends the remaining mounts. No file system of this share is notified of changes from now on.
    pub(crate) async fn end(&self) {
        drop(self.take_view());
        #[cfg(feature = "fuse")]
        {
            let live = self.live.clone();
            // Fails only when it panicked.
            drop(tokio::task::spawn_blocking(move || live.end()).await);
        }
    }

    /// As [`Mounts::end`], for a peer that is dropped: waits.
    pub(crate) fn end_now(&self) {
        drop(self.take_view());
        #[cfg(feature = "fuse")]
        self.live.end();
    }

    fn take_view(&self) -> Option<Arc<ShareView>> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[cfg(all(unix, feature = "fuse"))]
impl Mount {
    /// The mount point, absolute and without links.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.mounted.path()
    }

    /// Unmounts, and returns when the mount is gone from the kernel's table. Files that are still
    /// open are shared as they are.
    ///
    /// A process that has something open is still served. It must not be this process itself:
    /// without root and without the kernel's files about connections (a user namespace in a
    /// container), it can't be cut off later, and an exiting process waits for itself.
    /// [`Mount::end`] cuts it off everywhere.
    ///
    /// # Errors
    /// [`MountError::Busy`] when a process had something open there; the mount point is free all
    /// the same.
    pub async fn unmount(self) -> Result<(), MountError> {
        // Fails only when it panicked.
        let outcome = tokio::task::spawn_blocking(move || self.mounted.unmount()).await;
        outcome.map_err(|_| MountError::Closed)?
    }

    /// As [`Mount::unmount`], but a process that still uses the mount a moment later gets errors.
    ///
    /// # Errors
    /// The same; the mount is gone after [`MountError::Busy`].
    pub async fn end(self) -> Result<(), MountError> {
        // Fails only when it panicked.
        let outcome = tokio::task::spawn_blocking(move || self.mounted.finish()).await;
        outcome.map_err(|_| MountError::Closed)?
    }
}

#[cfg(all(unix, feature = "fuse"))]
impl Drop for Mount {
    fn drop(&mut self) {
        // The safety net: a caller that needs the result has called `unmount`.
        if let Err(error) = self.mounted.finish() {
            tracing::warn!(%error, "a mount did not end well");
        }
    }
}

#[cfg(not(all(unix, feature = "fuse")))]
impl Mount {
    /// The mount point.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self.never {}
    }

    /// Unmounts.
    ///
    /// # Errors
    /// None: there is no such mount.
    #[expect(clippy::unused_async, reason = "the same call in every build")]
    pub async fn unmount(self) -> Result<(), MountError> {
        match self.never {}
    }

    /// Unmounts for good.
    ///
    /// # Errors
    /// None: there is no such mount.
    #[expect(clippy::unused_async, reason = "the same call in every build")]
    pub async fn end(self) -> Result<(), MountError> {
        match self.never {}
    }
}
