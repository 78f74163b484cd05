//! Mounts that a process left below one of our directories: finds them, and detaches them before
//! the directory is removed.
//!
//! A file system stays mounted when its process is killed; every access to it then fails or hangs.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

#[cfg(target_os = "linux")]
use crate::base::fuse_connections::{Connections, OwnershipProof};
use crate::base::limits::DETACH_ROUNDS_MAX;

/// Detaches every mount below `directory`, the latest first. Returns how many there were. The
/// caller first ends the servers of these mounts, because the path to one mount may lead through
/// another, which must answer or fail.
pub fn detach_below(directory: &Path) -> usize {
    #[cfg(target_os = "linux")]
    if !below(directory).is_empty() {
        Connections::new(OwnershipProof::Below(directory.to_owned())).abort_mounted();
    }
    let mut count = 0;
    for _ in 0..DETACH_ROUNDS_MAX {
        let mounts = below(directory);
        if mounts.is_empty() {
            break;
        }
        mounts.iter().rev().for_each(|mount| detach(mount));
        let left = below(directory).len();
        if left >= mounts.len() {
            break;
        }
        count += mounts.len() - left;
    }
    count
}

/// Also tries what works for an ordinary user. A mount that cannot be detached shows up when its
/// directory is removed.
pub(crate) fn detach(mount: &Path) {
    #[cfg(target_os = "linux")]
    // These programs follow links. Root does not use them: they can do nothing that root cannot.
    if detach_exactly(mount).is_ok() || rustix::process::geteuid().is_root() {
        return;
    }
    for [program, flag] in [["fusermount3", "-uz"], ["umount", "-l"], ["umount", "-f"]] {
        let mut command = Command::new(program);
        command
            .arg(flag)
            .arg(mount)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if command.status().is_ok_and(|status| status.success()) {
            return;
        }
    }
}

/// Detaches the mount at this path. The kernel reports a mount point without links, so a link in
/// the path is an error.
#[cfg(target_os = "linux")]
fn detach_exactly(mount: &Path) -> std::io::Result<()> {
    use std::os::fd::AsFd;

    use rustix::fs::{CWD, Mode, OFlags, openat};
    let mut handle = openat(CWD, "/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    for name in mount.components().skip(1) {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        handle = openat(&handle, name.as_os_str(), flags, Mode::empty())?;
    }
    let flags = rustix::mount::UnmountFlags::DETACH;
    Ok(rustix::mount::unmount(
        crate::base::procfs::handle(handle.as_fd()),
        flags,
    )?)
}

/// The mounts below a directory, as the kernel lists them.
#[cfg(target_os = "linux")]
pub fn below(directory: &Path) -> Vec<PathBuf> {
    points(&table(), directory)
}

/// All mounts that this process sees, as the kernel lists them.
#[cfg(target_os = "linux")]
pub(crate) fn table() -> String {
    crate::base::procfs::system("self/mountinfo")
}

/// The mount points below `directory` in such a table (proc_pid_mountinfo(5): the fifth field), the
/// oldest first.
#[cfg(target_os = "linux")]
pub(crate) fn points(table: &str, directory: &Path) -> Vec<PathBuf> {
    entries(table, directory)
        .into_iter()
        .map(|(_, point)| point)
        .collect()
}

/// The same with the id of each mount: several mounts may share one mount point.
#[cfg(target_os = "linux")]
pub(crate) fn entries<'a>(table: &'a str, directory: &Path) -> Vec<(&'a str, PathBuf)> {
    let entry = |line: &'a str| {
        let mut fields = line.split(' ');
        Some((fields.next()?, unescaped(fields.nth(3)?)))
    };
    let entries = table.lines().filter_map(entry);
    entries
        .filter(|(_, point)| point.starts_with(directory))
        .collect()
}

/// Decodes mountinfo's `\040` for a space, `\012` for a newline, `\011` and `\134`.
#[cfg(target_os = "linux")]
pub(crate) fn unescaped(field: &str) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let code = tail
            .get(..3)
            .filter(|_| first == b'\\')
            .and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = tail.get(3..).unwrap_or_default();
            }
            None => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    let path: std::ffi::OsString = std::os::unix::ffi::OsStringExt::from_vec(bytes);
    path.into()
}

/// The entries of the directory that are on another device.
#[cfg(all(unix, not(target_os = "linux")))]
pub(crate) fn below(directory: &Path) -> Vec<PathBuf> {
    use std::os::unix::fs::MetadataExt;
    let device = |path: &Path| path.symlink_metadata().map(|metadata| metadata.dev()).ok();
    let ours = device(directory);
    let entries = std::fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    entries.filter(|path| device(path) != ours).collect()
}

/// Mounts cannot be listed on this system.
#[cfg(not(unix))]
pub(crate) fn below(_: &Path) -> Vec<PathBuf> {
    Vec::new()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn mountinfo_is_unescaped() {
        assert_eq!(
            unescaped(r"/tmp/a\040b\012c\134d"),
            PathBuf::from("/tmp/a b\nc\\d")
        );
        assert_eq!(unescaped(r"/tmp/tail\04"), PathBuf::from(r"/tmp/tail\04"));
    }

    #[test]
    fn only_what_is_mounted_below_is_found() {
        assert!(below(Path::new("/proc")).contains(&PathBuf::from("/proc")));
        assert!(below(tempfile::tempdir().unwrap().path()).is_empty());
    }

    #[test]
    #[ignore = "needs root, fuse"]
    fn a_link_on_the_way_to_a_mount_is_not_followed() {
        use rustix::mount::{MountFlags, mount};
        let home = tempfile::tempdir().unwrap();
        let home = home.path().canonicalize().unwrap();
        let (point, link) = (home.join("real/point"), home.join("link"));
        std::fs::create_dir_all(&point).unwrap();
        std::os::unix::fs::symlink("real", &link).unwrap();
        mount("none", &point, "tmpfs", MountFlags::empty(), None).unwrap();
        detach(&link.join("point"));
        let after_the_link = below(&home);
        detach(&point);
        assert_eq!((after_the_link, below(&home)), (vec![point], vec![]));
    }
}
