//! Reads from the kernel's own table whether a path is a mount point, and waits until it no longer
//! is.
//!
//! On Linux the table is `/proc/self/mountinfo`, which can be polled for changes, so that nothing
//! sleeps. Elsewhere a mount point is a directory on another device than its parent, and unmounting
//! is synchronous.

use std::io;
use std::path::Path;

use super::options::Writing;

/// Waits until `path` is no mount point; false if it still is one after the time limit.
///
/// # Errors
/// When the kernel's table cannot be read or polled.
#[cfg(target_os = "linux")]
pub(super) fn wait_until_gone(path: &Path) -> io::Result<bool> {
    use crate::limits::MOUNT_TABLE_TIMEOUT;
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use std::io::Read as _;

    let limit = Timespec::try_from(MOUNT_TABLE_TIMEOUT).map_err(io::Error::other)?;
    wait_for_changes(|| {
        // Opened anew each time: a change after the opening wakes the poll, even one between
        // reading and polling.
        let mut table = std::fs::File::open("/proc/self/mountinfo")?;
        let mut text = Vec::new();
        table.read_to_end(&mut text)?;
        if !lists(&text, path) {
            return Ok(Look::Gone);
        }
        let mut changes = [PollFd::new(&table, PollFlags::PRI)];
        let is_late = poll(&mut changes, Some(&limit))? == 0;
        Ok(if is_late { Look::Late } else { Look::Changed })
    })
}

/// What one look at the kernel's table has found.
#[cfg(target_os = "linux")]
enum Look {
    /// The mount is gone.
    Gone,
    /// The table has changed since, so it must be read again.
    Changed,
    /// The table has not changed for too long.
    Late,
}

/// Looks at the table until the mount is gone: again after each change, up to the limit. Other
/// processes may change the table all the time.
#[cfg(target_os = "linux")]
fn wait_for_changes(mut look: impl FnMut() -> io::Result<Look>) -> io::Result<bool> {
    for _ in 0..crate::limits::MOUNT_TABLE_CHANGES_MAX {
        match look()? {
            Look::Gone => return Ok(true),
            Look::Changed => {}
            Look::Late => return Ok(false),
        }
    }
    Ok(false)
}

/// Whether `path` is no mount point.
///
/// # Errors
/// When the attributes of `path` or its parent cannot be read.
#[cfg(not(target_os = "linux"))]
pub(super) fn wait_until_gone(path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    let parent = path.parent().unwrap_or(path);
    Ok(path.metadata()?.dev() == parent.metadata()?.dev())
}

/// Which mount, as the kernel's table names it.
#[cfg(target_os = "linux")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MountId {
    /// The kernel may use it again after the mount is gone, but then with another device, or a new
    /// connection.
    mount: u32,
    /// The minor number of its device.
    device: u32,
}

/// There is no such table.
#[cfg(not(target_os = "linux"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MountId {}

#[cfg(target_os = "linux")]
impl MountId {
    /// The number of its connection in the kernel's folder of connections.
    pub(super) fn connection(self) -> u32 {
        self.device
    }
}

/// Whether the uppermost mount on `path` is a share of tandem.
pub(super) fn is_ours(path: &Path) -> bool {
    uppermost_share(path).is_some()
}

/// The uppermost mount on `path`, if it is a share of tandem.
#[cfg(target_os = "linux")]
pub(super) fn uppermost_share(path: &Path) -> Option<MountId> {
    use std::os::unix::ffi::OsStrExt as _;
    let table = std::fs::read("/proc/self/mountinfo").unwrap_or_default();
    share_in(&table, path.as_os_str().as_bytes())
}

/// The last line for `path`, if it is a FUSE mount whose source has our name. The kind is `fuse`
/// after mount(2) and `fuse.tandem` after `fusermount3`.
#[cfg(target_os = "linux")]
fn share_in(table: &[u8], path: &[u8]) -> Option<MountId> {
    let mut mounts = table.split(|&byte| byte == b'\n').filter_map(|line| {
        let fields: Vec<_> = line.split(|&byte| byte == b' ').collect();
        (unescaped(fields.get(4)?) == path).then_some(fields)
    });
    let fields = mounts.next_back()?;
    let [kind, source] = fields.rsplit(|field| *field == b"-").next()?.first_chunk()?;
    let is_share = kind.starts_with(b"fuse") && *source == super::SUBTYPE.as_bytes();
    let number = |text: &[u8]| std::str::from_utf8(text).ok()?.parse().ok();
    let device = fields.get(2)?.rsplit(|&byte| byte == b':').next()?;
    let id = MountId {
        mount: number(fields.first()?)?,
        device: number(device)?,
    };
    is_share.then_some(id)
}

/// Does not look; macFUSE refuses a second mount by itself.
#[cfg(not(target_os = "linux"))]
pub(super) fn uppermost_share(_path: &Path) -> Option<MountId> {
    None
}

/// Ends the connection of what is mounted on `path`; it may stay mounted.
#[cfg(target_os = "linux")]
pub(super) fn force(path: &Path) -> io::Result<()> {
    use rustix::mount::{UnmountFlags, unmount};
    match unmount(path, UnmountFlags::FORCE) {
        // The kernel ends the connection before it checks whether the mount is in use.
        Ok(()) => Ok(()),
        Err(error) if super::errno::is_in_use(error) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// [`detach`] does it there.
#[cfg(not(target_os = "linux"))]
pub(super) fn force(path: &Path) -> io::Result<()> {
    detach(path);
    Ok(())
}

/// Detaches the mount even if it is in use or dead. The table of mounts shows whether it worked.
#[cfg(target_os = "linux")]
pub(super) fn detach(path: &Path) {
    if let Err(error) = rustix::mount::unmount(path, rustix::mount::UnmountFlags::DETACH) {
        tracing::debug!(%error, path = %path.display(), "could not detach a mount; asking fusermount3");
        let mut program = std::process::Command::new("fusermount3");
        program.args(["-u", "-z", "--"]).arg(path);
        program
            .stdin(std::process::Stdio::null())
            .stderr(std::process::Stdio::null());
        if let Err(error) = program.status() {
            tracing::debug!(%error, "could not run fusermount3");
        }
    }
}

/// Detaches the mount even if it is in use or dead.
#[cfg(not(target_os = "linux"))]
pub(super) fn detach(path: &Path) {
    let mut program = std::process::Command::new("umount");
    program.arg("-f").arg(path);
    program
        .stdin(std::process::Stdio::null())
        .stderr(std::process::Stdio::null());
    if let Err(error) = program.status() {
        tracing::debug!(%error, "could not run umount");
    }
}

/// Makes the kernel follow no link of the mount from now on.
///
/// # Errors
/// When this process may not change the mount, for example one that `fusermount3` has made.
#[cfg(target_os = "linux")]
pub(super) fn forbid_symlinks(path: &Path, writing: Writing) -> io::Result<()> {
    use rustix::mount::{MountFlags, mount_remount};
    // The options that it was mounted with; without them here, it would lose them.
    let flags = MountFlags::BIND | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOSYMFOLLOW;
    let flags = match writing {
        Writing::Allowed => flags,
        Writing::Refused => flags | MountFlags::RDONLY,
    };
    Ok(mount_remount(path, flags, "")?)
}

/// Always fails: only Linux can do this.
///
/// # Errors
/// Always.
#[cfg(not(target_os = "linux"))]
pub(super) fn forbid_symlinks(_path: &Path, _writing: Writing) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Whether the fifth field of a line, unescaped, is `path` (proc_pid_mountinfo(5)).
#[cfg(target_os = "linux")]
fn lists(table: &[u8], path: &Path) -> bool {
    use std::os::unix::ffi::OsStrExt as _;
    let lines = table.split(|&byte| byte == b'\n');
    let points = lines.filter_map(|line| line.split(|&byte| byte == b' ').nth(4));
    points
        .map(unescaped)
        .any(|point| point == path.as_os_str().as_bytes())
}

/// Undoes `\040` for a space, `\011` for a tab, `\012` for a newline and `\134` for the backslash.
#[cfg(target_os = "linux")]
fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, tail)) = rest.split_first() {
        let (byte, tail) = escape(first, tail).unwrap_or((first, tail));
        bytes.push(byte);
        rest = tail;
    }
    bytes
}

#[cfg(target_os = "linux")]
fn escape(first: u8, tail: &[u8]) -> Option<(u8, &[u8])> {
    let (digits, tail) = tail.split_at_checked(3).filter(|_| first == b'\\')?;
    let byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok()?;
    Some((byte, tail))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use crate::limits::MOUNT_TABLE_CHANGES_MAX;

    const TABLE: &[u8] = b"29 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n\
        61 29 0:51 / /tmp/a\\040b\\012c\\134d ro,nosuid - fuse tandem-probe ro\n";

    #[test]
    fn a_mount_point_is_found_under_its_unescaped_name() {
        assert!(lists(TABLE, Path::new("/tmp/a b\nc\\d")));
        assert!(lists(TABLE, Path::new("/")));
    }

    #[test]
    fn only_the_uppermost_mount_of_a_path_counts_and_only_if_it_is_a_share() {
        let share = |table: &str| share_in(table.as_bytes(), b"/mnt/a b").is_some();
        let (ours, probe) = (
            "61 29 0:51 / /mnt/a\\040b rw - fuse tandem rw\n",
            "62 61 0:52 / /mnt/a\\040b rw - fuse other rw\n",
        );
        assert!(share(ours) && share("61 29 0:51 / /mnt/a\\040b rw master:1 - fuse.tandem tandem rw\n"));
        assert!(!share(probe) && !share(&format!("{ours}{probe}")) && share(&format!("{probe}{ours}")));
        assert!(!share(""));
    }

    #[test]
    fn mounts_differ_by_their_number_and_that_of_their_device() {
        let line = "61 29 0:51 / /mnt/a\\040b rw - fuse tandem rw\n";
        let expected = MountId {
            mount: 61,
            device: 51,
        };
        assert_eq!(share_in(line.as_bytes(), b"/mnt/a b"), Some(expected));
        assert_eq!(expected.connection(), 51);
        assert_eq!(share_in(b"61 29 0:x / /mnt rw - fuse tandem rw\n", b"/mnt"), None);
    }

    #[test]
    fn another_path_is_no_mount_point() {
        assert!(!lists(TABLE, Path::new("/tmp/a")));
        assert!(!lists(TABLE, Path::new(r"/tmp/a\040b\012c\134d")));
        assert!(!lists(b"", Path::new("/")));
    }

    #[test]
    fn a_backslash_that_escapes_nothing_stays() {
        assert_eq!(unescaped(br"a\9z\04"), br"a\9z\04");
    }

    /// Whether a mount is seen to go after that many changes of the table, all by others.
    fn goes_after(changes: usize) -> bool {
        let mut left = changes;
        let waited = wait_for_changes(|| {
            if left == 0 {
                return Ok(Look::Gone);
            }
            left -= 1;
            Ok(Look::Changed)
        });
        waited.is_ok_and(|is_gone| is_gone)
    }

    #[test]
    fn a_wait_for_a_mount_to_go_ends_at_the_limit_of_changes() {
        assert!(goes_after(MOUNT_TABLE_CHANGES_MAX - 1));
        assert!(!goes_after(MOUNT_TABLE_CHANGES_MAX));
    }

    #[test]
    fn the_root_stays_mounted_and_a_fresh_directory_never_was() {
        let directory = tempfile::tempdir().expect("TMPDIR is writable");
        assert!(wait_until_gone(directory.path()).expect("the table is readable"));
        assert!(lists(
            &std::fs::read("/proc/self/mountinfo").expect("it is readable"),
            Path::new("/")
        ));
    }
}
