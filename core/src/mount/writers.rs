//! Whether another process can write to a file that we have open. A program that has mapped it into
//! memory can, long after it closed the file. Only the kernel knows that.

#![cfg_attr(
    target_os = "linux",
    expect(unsafe_code, reason = "a lease can only be had through C")
)]

use std::fs::File;

/// Which signal reports that a program opens a file of which we have a lease
/// (`asm-generic/fcntl.h`; `libc` has no name for it).
#[cfg(target_os = "linux")]
const F_SETSIG: libc::c_int = 10;

/// Whether the file is open, or mapped, somewhere else than in `file`, which is open for writing.
/// Readers may count as well. If the kernel can't answer, this is false: some file systems have no
/// leases.
///
/// The kernel grants a write lease if no other program has the file open (fcntl(2)). It is given
/// back at once: a program that opens the file meanwhile waits for that long, and the signal that
/// reports it is one that is ignored.
#[cfg(target_os = "linux")]
pub(super) fn has_other_writers(file: &File) -> bool {
    use std::os::fd::AsRawFd;

    let fd = file.as_raw_fd();
    // SAFETY: the descriptor is open for as long as `file` is borrowed, and these commands take an
    // integer.
    let command = |command, argument: libc::c_int| unsafe { libc::fcntl(fd, command, argument) };
    if command(F_SETSIG, libc::SIGURG) != 0 {
        return false;
    }
    if command(libc::F_SETLEASE, libc::F_WRLCK) == 0 {
        // It fails only if there is no lease.
        command(libc::F_SETLEASE, libc::F_UNLCK);
        return false;
    }
    std::io::Error::last_os_error().kind() == std::io::ErrorKind::WouldBlock
}

/// Only Linux writes to a file past us.
#[cfg(not(target_os = "linux"))]
pub(super) fn has_other_writers(_file: &File) -> bool {
    false
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_other_writers_for_as_long_as_it_is_open_somewhere_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let file = File::create(&path).unwrap();
        let clone = file.try_clone().unwrap();
        assert!(!has_other_writers(&file));
        let other = File::options().write(true).open(&path).unwrap();
        assert!(has_other_writers(&file));
        drop(other);
        assert!(!has_other_writers(&file));
        drop(clone);
    }
}
