//! Files that runs lock so that others wait. No other user can open them: whoever can open a file
//! can hold its lock, for as long as they like.
//!
//! Where another user may write to the directory, a link or a pipe may be in the place of such a
//! file. Neither is followed or waited for.

#[cfg(unix)]
use std::ffi::CStr;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

#[cfg(unix)]
use crate::base::folder::Folder;

/// Opens a file to lock it, and makes it where it is missing. Nothing in it changes.
///
/// # Errors
/// When it cannot be opened, or is no regular file.
pub fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    open_with(path, options.write(true).create(true).truncate(false))
}

/// Makes a file to lock it; what it then says can be added to it.
///
/// # Errors
/// When something has its name, or it cannot be made.
pub(crate) fn create_new(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    open_with(path, options.read(true).append(true).create_new(true))
}

/// Opens a file that must exist, to read it or to see whether it is locked.
///
/// # Errors
/// When it cannot be opened, or is no regular file.
#[cfg(not(unix))]
pub(crate) fn look(path: &Path) -> io::Result<File> {
    open_with(path, OpenOptions::new().read(true))
}

/// Opens the file of this name that must exist, to read it or to see whether it is locked.
///
/// # Errors
/// When it cannot be opened, or is no regular file.
#[cfg(unix)]
pub(crate) fn look_in(folder: &Folder, name: &CStr) -> io::Result<File> {
    let (file, metadata) = folder.file(name)?;
    close_to_others(&file, &metadata);
    Ok(file)
}

/// As [`open`], the file of this name in this directory.
///
/// # Errors
/// As [`open`].
#[cfg(unix)]
pub(crate) fn open_in(folder: &Folder, name: &CStr) -> io::Result<File> {
    let (file, metadata) = folder.file_or_new(name)?;
    close_to_others(&file, &metadata);
    Ok(file)
}

fn open_with(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    }
    let file = options.open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        let why = format!("`{}` is no regular file", path.display());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    #[cfg(unix)]
    close_to_others(&file, &metadata);
    Ok(file)
}

/// Versions before this one let others open it.
#[cfg(unix)]
fn close_to_others(file: &File, metadata: &std::fs::Metadata) {
    use std::os::unix::fs::PermissionsExt;
    if crate::base::directory_identity::is_mine(metadata) && metadata.permissions().mode() & 0o077 != 0 {
        // A file system without modes has no other users either.
        file.set_permissions(PermissionsExt::from_mode(0o600)).ok();
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn what_a_lock_says_stays_and_a_link_or_a_pipe_in_its_place_is_an_error() {
        let home = tempfile::tempdir().unwrap();
        let [file, link, pipe] = ["file", "link", "pipe"].map(|name| home.path().join(name));
        fs::write(&file, "mine").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        symlink(&file, &link).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            0o600.into(),
            0,
        )
        .unwrap();
        let folder = Folder::open(home.path(), crate::base::folder::Access::Unchanged).unwrap();
        for other in [&link, &pipe, home.path()] {
            assert!(open(other).is_err() && create_new(other).is_err());
        }
        for other in [c"link", c"pipe", c"."] {
            assert!(open_in(&folder, other).is_err() && look_in(&folder, other).is_err());
        }
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o644);
        assert!(look_in(&folder, c"file").is_ok() && create_new(&file).is_err());
        assert!(open(&file).is_ok() && open_in(&folder, c"file").is_ok());
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    }
}
