//! Which pull may work on a part file, and what an earlier pull has left in one.
//!
//! A part file is locked for as long as it is open. The system drops the lock with the process, so
//! a part file that can be locked belongs to no pull any more. It is used again only if it is
//! certainly one of ours: a file of this user alone, with one name and the rights that a part file
//! has. Not even then is a byte of it believed before it was verified.

use std::ffi::OsStr;
use std::fs::{File, TryLockError};
use std::io;

use cap_std::fs::{Dir, OpenOptions};

use super::{no_follow, part_name};
use crate::catalog::ContentId;

/// Where a part file comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// It was made for this pull.
    Fresh,
    /// An earlier pull has left it.
    LeftBehind,
}

/// A part file that this pull alone works on.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) name: String,
    pub(super) file: File,
    pub(super) origin: Origin,
}

/// The part file for `content` at the target called `target`: the one that an earlier pull has
/// left, or a new one with the rights of `mode` that the system allows.
pub(super) fn hold(folder: &Dir, (target, content): (&OsStr, &ContentId), mode: u32) -> io::Result<Held> {
    let name = part_name::for_target(target, content);
    if let Some(file) = make(folder, &name, mode)? {
        let origin = Origin::Fresh;
        return Ok(Held { name, file, origin });
    }
    if let Some(file) = take_over(folder, &name, content.len) {
        let origin = Origin::LeftBehind;
        return Ok(Held { name, file, origin });
    }
    let made = match remove_dead(folder, &name) {
        true => make(folder, &name, mode)?,
        false => None,
    };
    if let Some(file) = made {
        let origin = Origin::Fresh;
        return Ok(Held { name, file, origin });
    }
    // Another pull works on it, or another user has put something there.
    let name = part_name::random()?;
    let file = make(folder, &name, mode)?.ok_or(io::ErrorKind::AlreadyExists)?;
    let origin = Origin::Fresh;
    Ok(Held { name, file, origin })
}

/// The rights that the system gives to a new file in `folder` that asks for those of `mode`.
#[cfg(unix)]
pub(super) fn permitted_mode(folder: &Dir, mode: u32) -> io::Result<u32> {
    use std::os::unix::fs::PermissionsExt;
    let name = part_name::random()?;
    let file = make(folder, &name, mode)?.ok_or(io::ErrorKind::AlreadyExists)?;
    let permitted = file.metadata().map(|metadata| metadata.permissions().mode());
    folder.remove_file(&name)?;
    permitted
}

/// Makes and locks a new file; `None` if something has that name, or removed the new file at once.
fn make(folder: &Dir, name: &str, mode: u32) -> io::Result<Option<File>> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    cap_std::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    let file = match folder.open_with(name, &options) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
        opened => opened?.into_std(),
    };
    match file.try_lock() {
        // A file system without locks: no other pull will take a part file over there either.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(leads_to(folder, name, &file).then_some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
    }
}

/// The file `name`, locked, if an earlier pull has left it for a content of `len` bytes.
fn take_over(folder: &Dir, name: &str, len: u64) -> Option<File> {
    let file = lock_dead(folder, name)?;
    let metadata = file.metadata().ok()?;
    let is_ours = metadata.len() == len && is_private(&metadata);
    is_ours.then_some(file)
}

/// Removes the file `name` if no pull works on it. Returns whether it is gone.
pub(super) fn remove_dead(folder: &Dir, name: &str) -> bool {
    let held = lock_dead(folder, name);
    held.is_some() && folder.remove_file(name).is_ok()
}

/// Opens and locks the regular file `name`, unless a pull works on it.
fn lock_dead(folder: &Dir, name: &str) -> Option<File> {
    let file = no_follow::open_for_update_in(folder, name).ok()?;
    file.try_lock().ok()?;
    // Until it was locked, its pull may have given it its name, or removed it.
    leads_to(folder, name, &file).then_some(file)
}

/// Whether `name` still is the name of `file`, and its only one.
#[cfg(unix)]
fn leads_to(folder: &Dir, name: &str, file: &File) -> bool {
    use cap_std::fs::MetadataExt as _;
    use std::os::unix::fs::MetadataExt as _;
    let (opened, there) = (file.metadata(), folder.symlink_metadata(name));
    opened.is_ok_and(|opened| {
        let is_same = |there: cap_std::fs::Metadata| {
            (opened.dev(), opened.ino()) == (there.dev(), there.ino()) && opened.nlink() == 1
        };
        there.is_ok_and(is_same)
    })
}

/// Whether `name` still is the name of a file. A file that is locked is not replaced there.
#[cfg(not(unix))]
fn leads_to(folder: &Dir, name: &str, _file: &File) -> bool {
    folder.symlink_metadata(name).is_ok_and(|there| there.is_file())
}

/// Whether this user owns the file, and nobody else could open it.
#[cfg(unix)]
fn is_private(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    let is_own = metadata.uid() == rustix::process::geteuid().as_raw();
    is_own && metadata.mode() & 0o7777 == super::part_file::PRIVATE_MODE
}

#[cfg(not(unix))]
fn is_private(_metadata: &std::fs::Metadata) -> bool {
    true
}
