//! Mounting as people see it: [`Peer::mount`] gives a [`Mount`], and [`Peer::file_system`] what a
//! mount shows.

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

    /// Mounts the share on the folder `at`. It can be used when this returns. What a killed process
    /// left mounted there is taken away first.
    ///
    /// # Errors
    /// [`MountError`] names the cause: the device, the mount point, the program, the store.
    #[cfg(all(unix, feature = "fuse"))]
    pub async fn mount(&self, at: impl AsRef<Path>, options: MountOptions) -> Result<Mount, MountError> {
        self.mounts.mount(at.as_ref(), options).await
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
