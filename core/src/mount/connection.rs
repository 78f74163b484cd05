//! The kernel's connection to one mount, and the last resort: ending it while a process still uses
//! the mount.
//!
//! A process that uses its own mount can't end while the connection lasts: closing a file of the
//! mount waits for an answer that never comes, and no signal ends that wait. Owns the proof that a
//! connection is ours: it is looked up right after mounting, and this process holds its device. Its
//! file `abort`, once open, never means another connection, and does nothing when this one has
//! ended.

use std::convert::Infallible;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use super::mount_point::{self, MountId};
use crate::limits::{ABORT_PATIENCE, UNMOUNT_PATIENCE};

/// Where the kernel's files about connections are usually mounted.
const CONTROL: &str = "/sys/fs/fuse/connections";

/// One connection. Dropping it does not end it.
#[derive(Debug)]
pub(super) struct Connection {
    path: PathBuf,
    id: Option<MountId>,
    abort: Option<File>,
    /// Nothing is ever sent; the other end is dropped when the last call was answered.
    served: Receiver<Infallible>,
}

impl Connection {
    /// The connection of what was just mounted on `path`. It lasts until the other end of `served`
    /// is dropped.
    pub(super) fn of_mount(path: &Path, served: Receiver<Infallible>) -> Self {
        let id = mount_point::uppermost_share(path).filter(|id| is_served_here(*id));
        Self {
            path: path.to_owned(),
            id,
            abort: id.and_then(|id| open_abort(id).ok()),
            served,
        }
    }

    /// Whether the connection has ended; waits for that up to `patience`.
    pub(super) fn is_over_within(&self, patience: Duration) -> bool {
        matches!(
            self.served.recv_timeout(patience),
            Err(RecvTimeoutError::Disconnected)
        )
    }

    /// Gives processes that use the mount a moment to finish, then ends the connection: every
    /// waiting call fails, and so does every later one.
    pub(super) fn end(&self) {
        if self.is_over_within(ABORT_PATIENCE) {
            return;
        }
        let path = self.path.display();
        tracing::warn!(%path, "a mount that must end is still used; processes that use it get errors from now on");
        if let Err(error) = self.abort() {
            tracing::warn!(%error, %path, "could not end the connection of a mount");
        }
        if !self.is_over_within(UNMOUNT_PATIENCE) {
            tracing::warn!(%path, "the connection of a mount did not end");
        }
    }

    /// Ends the connection at once on systems where that is possible only while it is mounted.
    pub(super) fn end_before_detaching(&self) {
        if self.abort.is_none()
            && let Err(error) = self.abort()
        {
            tracing::debug!(%error, path = %self.path.display(), "could not end the connection of a mount");
        }
    }

    fn abort(&self) -> io::Result<()> {
        match &self.abort {
            Some(file) => (&*file).write_all(b"1"),
            None if self.id.is_some() && mount_point::uppermost_share(&self.path) == self.id => {
                mount_point::force(&self.path)
            }
            None => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

/// Whether this process holds the device of that connection. Older kernels list no connection (6.18
/// does); then the table of mounts counts.
#[cfg(target_os = "linux")]
fn is_served_here(id: MountId) -> bool {
    let descriptors = std::fs::read_dir("/proc/self/fdinfo").into_iter().flatten();
    let about = descriptors.filter_map(|descriptor| std::fs::read_to_string(descriptor.ok()?.path()).ok());
    is_among(id.connection(), about)
}

/// There is no such list.
#[cfg(not(target_os = "linux"))]
fn is_served_here(_id: MountId) -> bool {
    true
}

/// Whether one of these descriptors belongs to that connection, or the kernel lists no connection
/// for any of them (proc_pid_fdinfo(5)).
#[cfg(target_os = "linux")]
fn is_among(connection: u32, about: impl Iterator<Item = String>) -> bool {
    let number = |text: String| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("fuse_connection:"))?;
        line.trim().parse::<u32>().ok()
    };
    let mut told = about.filter_map(number).peekable();
    told.peek().is_none() || told.any(|number| number == connection)
}

/// Opens the file that ends a connection when something is written to it. The owner of the mount
/// may open it.
#[cfg(target_os = "linux")]
fn open_abort(id: MountId) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags, openat};
    let name = format!("{}/abort", id.connection());
    let control = control_folder()?;
    let flags = OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    Ok(openat(control, name, flags, Mode::empty())?.into())
}

/// Only Linux has such files.
#[cfg(not(target_os = "linux"))]
fn open_abort(_id: MountId) -> io::Result<File> {
    Err(io::ErrorKind::Unsupported.into())
}

/// The kernel's folder of connections: where it is mounted, or for root a private mount of it.
#[cfg(target_os = "linux")]
fn control_folder() -> io::Result<std::os::fd::OwnedFd> {
    use rustix::fs::{Mode, OFlags, fstatfs, open};
    use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};
    /// The type of that folder in statfs(2) (linux/magic.h).
    const FUSE_CTL_SUPER_MAGIC: u32 = 0x6573_5543;

    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    if let Ok(folder) = open(CONTROL, flags, Mode::empty())
        && fstatfs(&folder)?.f_type as u32 == FUSE_CTL_SUPER_MAGIC
    {
        return Ok(folder);
    }
    let context = fsopen("fusectl", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(&context)?;
    Ok(fsmount(
        &context,
        FsMountFlags::FSMOUNT_CLOEXEC,
        MountAttrFlags::empty(),
    )?)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #[test]
    fn a_connection_whose_device_another_process_holds_is_not_ours() {
        let is_among = |connection, numbers: &[u32]| {
            let about = numbers
                .iter()
                .map(|number| format!("pos:\t0\nfuse_connection:\t{number}\n"));
            super::is_among(connection, about.chain(["pos:\t0\n".to_owned()]))
        };
        assert!(is_among(51, &[50, 51]));
        assert!(!is_among(51, &[50, 510]));
        assert!(is_among(51, &[]), "the kernel lists no connection");
    }
}
