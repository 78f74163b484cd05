//! Checks that must pass before a share can be mounted, and the cause when one fails.
//!
//! The kernel's and fuser's own errors mislead: a missing device reads "no such file or directory"
//! of the mount point. Changes one thing: it removes a mount of ours whose process is dead.

use std::io;
use std::path::{Path, PathBuf};

use super::mount_error::MountError;
use super::mount_point;
use crate::limits::DEAD_MOUNTS_MAX;

#[cfg(target_os = "linux")]
const DEVICE: &str = "/dev/fuse";
/// Major and minor number of the FUSE device (Documentation/admin-guide/devices.txt).
#[cfg(target_os = "linux")]
const DEVICE_NUMBER: (u32, u32) = (10, 229);
/// The bit of CAP_SYS_ADMIN in a mask of capabilities (linux/capability.h).
#[cfg(target_os = "linux")]
const CAP_SYS_ADMIN: u32 = 21;

/// Opens the FUSE device as fuser will.
#[cfg(target_os = "linux")]
pub(super) fn check_device() -> Result<(), MountError> {
    use std::os::unix::fs::{FileTypeExt, MetadataExt};
    let device = DEVICE;
    let opened = std::fs::File::options().read(true).write(true).open(device);
    let metadata = opened.and_then(|file| file.metadata());
    let metadata = metadata.map_err(|source| MountError::Device { device, source })?;
    let number = (
        rustix::fs::major(metadata.rdev()),
        rustix::fs::minor(metadata.rdev()),
    );
    match metadata.file_type().is_char_device() && number == DEVICE_NUMBER {
        true => Ok(()),
        false => Err(MountError::NotTheDevice { device }),
    }
}

/// macFUSE makes its device when it is asked for.
#[cfg(not(target_os = "linux"))]
pub(super) fn check_device() -> Result<(), MountError> {
    Ok(())
}

/// The mount point by its name in the kernel's table, free for a mount.
pub(super) fn prepare(at: &Path) -> Result<PathBuf, MountError> {
    let no_mount_point = |source| MountError::NoMountPoint {
        path: at.to_owned(),
        source,
    };
    let absolute = std::path::absolute(at).map_err(no_mount_point)?;
    clear_dead_mounts(&absolute);
    let path = absolute.canonicalize().map_err(no_mount_point)?;
    if !path.is_dir() {
        return Err(MountError::NotAFolder { path });
    }
    if mount_point::is_ours(&path) {
        return Err(MountError::AlreadyMounted { path });
    }
    Ok(path)
}

/// A mount whose process was killed answers every call with ENOTCONN until it is removed.
fn clear_dead_mounts(at: &Path) {
    for _ in 0..DEAD_MOUNTS_MAX {
        // Uses a call that the kernel does not answer from its cache, as it may for attributes.
        let is_dead = rustix::fs::statvfs(at).is_err_and(super::errno::is_dead_mount);
        if !is_dead || !mount_point::is_ours(at) {
            return;
        }
        tracing::info!(path = %at.display(), "removing the mount of a process that died");
        mount_point::detach(at);
    }
}

/// Device and mount point exist at this point, so only the program can be missing.
pub(super) fn explain(path: &Path, source: io::Error) -> MountError {
    match source.kind() {
        io::ErrorKind::NotFound => MountError::NoMountProgram { source },
        _ => MountError::Refused {
            path: path.to_owned(),
            source,
        },
    }
}

/// Whether the kernel would let this process register backing files: CAP_SYS_ADMIN in the initial
/// user namespace.
#[cfg(target_os = "linux")]
pub(super) fn may_pass_through() -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let is_initial = map.split_whitespace().eq(["0", "0", "4294967295"]);
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    is_initial && mask.is_some_and(|mask| mask >> CAP_SYS_ADMIN & 1 == 1)
}

/// Only Linux can.
#[cfg(not(target_os = "linux"))]
pub(super) fn may_pass_through() -> bool {
    false
}
