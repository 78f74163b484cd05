//! Mounts that a universe owns: it unmounts them when it closes.
//!
//! Until tandem has a mount of its own there is only the probe's file system, which proves that this machine can mount.
//! Without the feature `fuse` the verb is there all the same, so that a test which needs it is listed and skipped.

use std::panic::Location;
use std::path::PathBuf;

use super::Universe;
use crate::failure::Caller;

impl Universe {
    /// Mounts a file system with one file and returns the path of that file.
    #[track_caller]
    pub fn mount_probe(&self, content: &[u8]) -> PathBuf {
        let at = Location::caller();
        self.ground(at)
            .mounts
            .mount_probe(&self.ground(at).root, content, at)
    }
}

#[cfg(feature = "fuse")]
pub(super) use with_fuse::Mounts;
#[cfg(not(feature = "fuse"))]
pub(super) use without_fuse::Mounts;

#[cfg(feature = "fuse")]
mod with_fuse {
    use std::sync::{Mutex, MutexGuard, PoisonError};

    use super::{Caller, PathBuf};
    use crate::failure::OrFail;
    use crate::probe_fs::Mounted;
    use crate::temp::TempRoot;

    /// The mounts of one universe; dropping them unmounts them too.
    #[derive(Debug, Default)]
    pub(in crate::universe) struct Mounts {
        probes: Mutex<Vec<Mounted>>,
    }

    impl Mounts {
        pub(in crate::universe) fn mount_probe(
            &self,
            root: &TempRoot,
            content: &[u8],
            at: Caller,
        ) -> PathBuf {
            let point = root
                .dir(&format!("mnt{}", self.probes().len()))
                .or_fail(at, "make a mount point");
            let mounted = Mounted::new(&point, content).or_fail(at, "mount the probe's file system");
            let file = mounted.file();
            self.probes().push(mounted);
            file
        }

        /// Unmounts everything; returns when the kernel has forgotten it.
        pub(in crate::universe) fn unmount(&self, at: Caller) {
            for probe in std::mem::take(&mut *self.probes()) {
                probe.unmount().or_fail(at, "unmount the probe's file system");
            }
        }

        fn probes(&self) -> MutexGuard<'_, Vec<Mounted>> {
            self.probes.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }
}

#[cfg(not(feature = "fuse"))]
mod without_fuse {
    use super::{Caller, PathBuf};
    use crate::failure::fail;
    use crate::temp::TempRoot;

    /// No mounts: the tests were built without a mount backend.
    #[derive(Debug, Default)]
    pub(in crate::universe) struct Mounts {}

    impl Mounts {
        pub(in crate::universe) fn mount_probe(
            &self,
            _root: &TempRoot,
            _content: &[u8],
            at: Caller,
        ) -> PathBuf {
            fail(
                at,
                "the tests were built without a mount backend\nhint: build them with `--features fuse`",
            )
        }

        pub(in crate::universe) fn unmount(&self, _at: Caller) {}
    }
}
