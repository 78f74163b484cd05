//! Mounting as people see it: [`Peer::mount`] gives a [`Mount`], and the mount is gone when that is
//! unmounted or dropped.
//!
//! All mounts of a peer look at one [`MountedShare`], which is made with the first of them.

use std::path::Path;
#[cfg(unix)]
use std::sync::Arc;

#[cfg(unix)]
use super::filesystem::FileSystem;
use super::mount_error::MountError;
use super::options::MountOptions;
#[cfg(unix)]
use super::share::MountedShare;
use crate::peer::Peer;

#[cfg(all(unix, feature = "fuse"))]
pub(crate) use super::guard::Mounted;

/// A mount of a peer's share. It ends with [`Mount::unmount`], or when it is dropped, or when its
/// peer is closed or dropped. Whoever still uses it after [`Mount::unmount`] is served until the
/// peer ends; in the other cases they get errors a moment later, so that a process that uses its
/// own mount can end.
#[derive(Debug)]
pub struct Mount {
    #[cfg(all(unix, feature = "fuse"))]
    mounted: Arc<Mounted>,
    #[cfg(not(all(unix, feature = "fuse")))]
    never: std::convert::Infallible,
}

impl Peer {
    /// The share as a file system that is mounted nowhere. Any number of them see the same files.
    ///
    /// # Errors
    /// [`MountError::NoStore`] for a peer without a store.
    #[cfg(unix)]
    pub fn file_system(&self) -> Result<FileSystem, MountError> {
        if self.shared().depot.is_none() {
            return Err(MountError::NoStore);
        }
        if self.shared().cancel.is_cancelled() {
            return Err(MountError::Closed);
        }
        let mut share = self.mounted();
        let share = share.get_or_insert_with(|| {
            let share = Arc::new(MountedShare::new(self.shared().clone()));
            self.shared().set_mounted(&share);
            share
        });
        Ok(FileSystem::new(share.clone()))
    }

    /// Mounts the share on the folder `at`. It can be used when this returns. What a killed process
    /// left mounted there is taken away first.
    ///
    /// # Errors
    /// [`MountError`] names the cause: the device, the mount point, the program, the store.
    #[cfg(all(unix, feature = "fuse"))]
    pub async fn mount(&self, at: impl AsRef<Path>, options: MountOptions) -> Result<Mount, MountError> {
        let fs = self.file_system()?.with_links(options.links);
        let at = at.as_ref().to_owned();
        let mounting = move || {
            let share = fs.share().clone();
            let mounted = Arc::new(Mounted::new(fs, &at, &options)?);
            share.remember_mount(&mounted);
            Ok(Mount { mounted })
        };
        // Fails only when it panicked.
        let mounted = tokio::task::spawn_blocking(mounting).await;
        mounted.map_err(|_| MountError::Closed)?
    }

    /// Mounts the share on the folder `at`; not in this build.
    ///
    /// # Errors
    /// [`MountError::NoBackend`].
    #[cfg(not(all(unix, feature = "fuse")))]
    #[expect(clippy::unused_async, reason = "the same call in every build")]
    pub async fn mount(&self, _at: impl AsRef<Path>, _options: MountOptions) -> Result<Mount, MountError> {
        Err(MountError::NoBackend)
    }
}

#[cfg(unix)]
impl Peer {
    /// Ends what is mounted still, and what file systems do not know of: from now on nobody is
    /// told.
    pub(crate) async fn unmount_all(&self) {
        let share = self.mounted().take();
        #[cfg(all(unix, feature = "fuse"))]
        if let Some(share) = share {
            let unmounting = move || share.unmount_all();
            // Fails only when it panicked.
            drop(tokio::task::spawn_blocking(unmounting).await);
        }
        #[cfg(not(all(unix, feature = "fuse")))]
        drop(share);
    }

    /// The same for a peer that was not closed.
    pub(crate) fn drop_mounts(&mut self) {
        let share = self.mounted().take();
        #[cfg(all(unix, feature = "fuse"))]
        if let Some(share) = &share {
            share.unmount_all();
        }
        drop(share);
    }
}

#[cfg(all(unix, feature = "fuse"))]
impl Mount {
    /// The mount point, absolute and without links.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.mounted.path()
    }

    /// Unmounts, and returns when the kernel has let go. Files that are still open are shared as
    /// they are.
    ///
    /// Whoever has something open is served on. That must not be this process itself: where this is
    /// neither root nor has the kernel's files about connections (a user namespace in a container),
    /// it can't be cut off later, and an ending process waits for it. [`Mount::end`] cuts it off
    /// everywhere.
    ///
    /// # Errors
    /// [`MountError::Busy`] when something was open there still; the mount point is free all the
    /// same.
    pub async fn unmount(self) -> Result<(), MountError> {
        // Fails only when it panicked.
        let outcome = tokio::task::spawn_blocking(move || self.mounted.unmount()).await;
        outcome.map_err(|_| MountError::Closed)?
    }

    /// As [`Mount::unmount`], but whoever uses the mount a moment later still gets errors.
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
        // The safety net: whoever cares about the result has called `unmount`.
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
