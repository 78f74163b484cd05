//! The public calls for mounting: [`Peer::mount`] gives a [`Mount`], and [`Peer::file_system`] the
//! file system that a mount shows.

use std::path::Path;

use super::Peer;
#[cfg(unix)]
use crate::mount::FileSystem;
use crate::mount::{Mount, MountError, MountOptions};

impl Peer {
    /// The share as a file system that is mounted nowhere. Any number of them see the same files.
    ///
    /// # Errors
    /// [`MountError::NoStore`] for a peer without a store.
    #[cfg(unix)]
    pub fn file_system(&self) -> Result<FileSystem, MountError> {
        self.mounts.file_system()
    }

    /// Mounts the share on the folder `at`. It can be used when this returns. A mount that a killed
    /// process left there is removed first.
    ///
    /// # Errors
    /// [`MountError`] names the cause: the device, the mount point, the program, the store.
    #[cfg(all(unix, feature = "fuse"))]
    pub async fn mount(&self, at: impl AsRef<Path>, options: MountOptions) -> Result<Mount, MountError> {
        self.mounts.mount(at.as_ref(), options).await
    }

    /// Would mount the share on the folder `at`; this build can't.
    ///
    /// # Errors
    /// [`MountError::NoBackend`].
    #[cfg(not(all(unix, feature = "fuse")))]
    #[expect(clippy::unused_async, reason = "the same call in every build")]
    pub async fn mount(&self, _at: impl AsRef<Path>, _options: MountOptions) -> Result<Mount, MountError> {
        Err(MountError::NoBackend)
    }
}
