//! Makes "permission denied" testable as root, whom mode bits don't stop: a test gives that
//! privilege up for a while.
//!
//! On Linux a capability belongs to a thread and is inherited by the threads it starts, so a test
//! drops it before its universe starts any. An ordinary user has no such capability. On other
//! systems this does nothing, and such a test needs an ordinary user.

use crate::failure::Caller;

/// While this exists, the current thread and the threads that it starts obey mode bits.
#[derive(Debug)]
#[must_use = "the privileges come back when this is dropped"]
pub struct Unprivileged {
    #[cfg(target_os = "linux")]
    before: rustix::thread::CapabilitySets,
}

impl Unprivileged {
    /// Gives up the privilege to read and write files against their mode bits.
    #[track_caller]
    pub fn begin() -> Unprivileged {
        Unprivileged::begin_at(std::panic::Location::caller())
    }

    #[cfg(target_os = "linux")]
    fn begin_at(at: Caller) -> Unprivileged {
        use rustix::thread::{CapabilitySet, capabilities, set_capabilities};

        use crate::failure::OrFail;

        let before = capabilities(None).or_fail(at, "read this thread's capabilities");
        let mut less = before;
        less.effective -= CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH;
        set_capabilities(None, less).or_fail(at, "drop this thread's capabilities");
        Unprivileged { before }
    }

    #[cfg(not(target_os = "linux"))]
    fn begin_at(_at: Caller) -> Unprivileged {
        Unprivileged {}
    }
}

#[cfg(target_os = "linux")]
impl Drop for Unprivileged {
    fn drop(&mut self) {
        // The capabilities are still permitted, so this can't fail; if it did, the test is over
        // anyway.
        let _restored = rustix::thread::set_capabilities(None, self.before);
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::temp::TempRoot;

    #[test]
    fn without_privileges_mode_bits_hold_even_for_root() {
        let root = TempRoot::create().unwrap();
        let path = root.path().join("secret");
        std::fs::write(&path, b"secret").unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o000)).unwrap();
        let unprivileged = Unprivileged::begin();
        assert_eq!(
            std::fs::read(&path).unwrap_err().kind(),
            std::io::ErrorKind::PermissionDenied
        );
        drop(unprivileged);
        root.close().unwrap();
    }
}
