//! Why mounting or unmounting did not work. The sources are those of the operating system.

use std::io;
use std::path::PathBuf;

use crate::store::OwnFolderError;

/// Why mounting or unmounting did not work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MountError {
    /// This build can't mount anything.
    #[error(
        "this build has no mount backend\nhint: build it with the feature `fuse`, on Linux or on macOS with macFUSE"
    )]
    NoBackend,
    /// The peer has no store to keep written files in.
    #[error("the peer has no store\nhint: give it a directory with `PeerConfig::store`")]
    NoStore,
    /// The store can't be used.
    #[error(transparent)]
    Store(#[from] OwnFolderError),
    /// The peer was closed.
    #[error("the peer is closed")]
    Closed,
    /// The FUSE device does not open.
    #[error(
        "could not open `{device}` for reading and writing: {source}\nhint: is the module loaded (`modprobe fuse`), and may your user open the device?"
    )]
    Device {
        /// The device.
        device: &'static str,
        /// The error of the system.
        source: io::Error,
    },
    /// Something else is where the FUSE device should be.
    #[error(
        "`{device}` is not the FUSE device\nhint: remove what hides it, or make it: `mknod {device} c 10 229`"
    )]
    NotTheDevice {
        /// The device.
        device: &'static str,
    },
    /// The kernel needs the setuid program, which is missing.
    #[error(
        "the kernel lets only root mount, and there is no `fusermount3` to ask instead: {source}\nhint: install it (package fuse3), or mount as root or inside `unshare -Urm`"
    )]
    NoMountProgram {
        /// The error of the system.
        source: io::Error,
    },
    /// There is no folder to mount on.
    #[error("could not look at the mount point `{}`: {source}\nhint: make the folder first", path.display())]
    NoMountPoint {
        /// The mount point.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The mount point is a file.
    #[error("the mount point `{}` is not a folder\nhint: mount on an empty folder", path.display())]
    NotAFolder {
        /// The mount point.
        path: PathBuf,
    },
    /// A share is mounted there already.
    #[error("a share is mounted on `{}` already\nhint: unmount it first, or mount on another folder", path.display())]
    AlreadyMounted {
        /// The mount point.
        path: PathBuf,
    },
    /// The kernel or `fusermount3` refuses the mount.
    #[error("could not mount on `{}`: {source}", path.display())]
    Refused {
        /// The mount point.
        path: PathBuf,
        /// The error of the kernel or of `fusermount3`.
        source: io::Error,
    },
    /// The kernel does not take [`Links::Nowhere`](super::Links::Nowhere) from this process.
    #[error(
        "could not mount on `{}` so that no link is followed: {source}\nhint: mount as root, or do without `Links::Nowhere`",
        path.display()
    )]
    FollowsLinks {
        /// The mount point, where nothing is mounted.
        path: PathBuf,
        /// The error of the kernel.
        source: io::Error,
    },
    /// The mount was still in use; it was detached, so that nothing is mounted there any more, and
    /// lives on for processes that have it open.
    #[error("could not unmount `{}` cleanly, it was detached: {source}\nhint: close what is open there first", path.display())]
    Busy {
        /// The mount point.
        path: PathBuf,
        /// The error of the kernel.
        source: io::Error,
    },
    /// Unmounting succeeded, and yet the mount point stayed in the table of mounts.
    #[error("`{}` is still mounted after unmounting it", path.display())]
    StillThere {
        /// The mount point.
        path: PathBuf,
    },
}
