//! Files that runs lock to make others wait. No other user can open them: any user who can open a
//! file can hold its lock indefinitely.
//!
//! Where another user may write to the directory, a link or a pipe may have replaced such a file.
//! The runner neither follows the link nor waits for the pipe.

#[cfg(unix)]
use std::ffi::CStr;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

#[cfg(unix)]
use crate::base::folder::Folder;

/// Opens a file in order to lock it, and creates it if it is missing. Its content stays unchanged.
///
/// # Errors
/// When it cannot be opened, or is not a regular file.
pub fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    open_with(path, options.write(true).create(true).truncate(false))
}

/// Creates a file in order to lock it; the caller may then append to it.
///
/// # Errors
/// When the name is taken, or the file cannot be created.
pub(crate) fn create_new(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    open_with(path, options.read(true).append(true).create_new(true))
}

/// Opens an existing file, to read it or to check whether it is locked.
///
/// # Errors
/// When it cannot be opened, or is not a regular file.
#[cfg(not(unix))]
pub(crate) fn look(path: &Path) -> io::Result<File> {
    open_with(path, OpenOptions::new().read(true))
}

/// Opens the existing file of this name, to read it or to check whether it is locked.
///
/// # Errors
/// When it cannot be opened, or is not a regular file.
#[cfg(unix)]
pub(crate) fn look_in(folder: &Folder, name: &CStr) -> io::Result<File> {
    let (file, metadata) = folder.file(name)?;
    close_to_others(&file, &metadata);
    Ok(file)
}

/// As [`open`], for the file of this name in this directory.
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
        let why = format!("`{}` is not a regular file", path.display());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    #[cfg(unix)]
    close_to_others(&file, &metadata);
    Ok(file)
}

/// Takes away the access of others, which earlier versions gave.
#[cfg(unix)]
fn close_to_others(file: &File, metadata: &std::fs::Metadata) {
    use std::os::unix::fs::PermissionsExt;
    if crate::base::directory_identity::is_mine(metadata) && metadata.permissions().mode() & 0o077 != 0 {
        // A file system without modes has no access for others to remove.
        file.set_permissions(PermissionsExt::from_mode(0o600)).ok();
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn the_content_of_a_lock_stays_and_a_link_or_a_pipe_in_its_place_is_an_error() {
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
