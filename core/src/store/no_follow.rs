//! Opening files and folders without following a link in any component of the path, and without
//! waiting.
//!
//! A path is resolved once, when the user names a file. Later it means the same file only if no
//! component of it has become a link, because a link leads wherever its maker wants. So a link
//! counts as "nothing is there". Pipes, devices and sockets are refused before they are opened, and
//! again on the handle, so that none of them is read and no open waits for a writer. Windows checks
//! only the last component while it opens; the others are checked before that.

use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io;
use std::path::Path;

use cap_std::fs::Dir;

/// What is at a path that should name a regular file.
#[derive(Debug)]
pub(super) enum Found {
    /// A regular file, open for reading, as it was at that moment.
    File(File, Metadata),
    /// A folder.
    Folder,
    /// A link, or a path with a link in it. The file that the path named is gone.
    Link,
    /// A device, a pipe or a socket.
    Other,
}

/// Opens the regular file at `path`, which is absolute and was resolved before.
pub(super) fn open_file(path: &Path) -> io::Result<Found> {
    let opened = match system::open_file(path)? {
        system::Opened::File(opened) => opened,
        system::Opened::Not(found) => return Ok(found),
    };
    // The file may have been replaced since the check: what counts is the open file.
    let metadata = opened.metadata()?;
    let kind = metadata.file_type();
    Ok(if kind.is_file() {
        Found::File(opened, metadata)
    } else if kind.is_dir() {
        Found::Folder
    } else if kind.is_symlink() {
        Found::Link
    } else {
        Found::Other
    })
}

/// Opens the folder at `path`, which is absolute and was resolved before. A link is
/// [`io::ErrorKind::NotADirectory`].
pub(crate) fn open_folder(path: &Path) -> io::Result<Dir> {
    system::open_folder(path)
}

/// Opens the folder called `name`, one component, in `folder`. A link is
/// [`io::ErrorKind::NotADirectory`].
pub(super) fn open_folder_in(folder: &Dir, name: &OsStr) -> io::Result<Dir> {
    system::open_folder_in(folder, name)
}

/// Opens the regular file called `name`, one component, in `folder` for reading and writing.
/// Anything else is an error.
pub(super) fn open_for_update_in(folder: &Dir, name: &str) -> io::Result<File> {
    let file = system::open_for_update_in(folder, name)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::ErrorKind::InvalidInput.into()),
    }
}

#[cfg(unix)]
mod system {
    use std::ffi::OsStr;
    use std::fs::File;
    use std::io;
    use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
    use std::path::{Component, Path};

    use cap_std::fs::Dir;
    use rustix::fs::{AtFlags, FileType, Mode, OFlags, openat, statat};

    use super::Found;

    /// Where a handle does not need the right to list the folder, it does not ask for it.
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
    const STEP: OFlags = OFlags::PATH;
    #[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
    const STEP: OFlags = OFlags::empty();

    const FOLDER: OFlags = STEP
        .union(OFlags::DIRECTORY)
        .union(OFlags::NOFOLLOW)
        .union(OFlags::CLOEXEC);
    const FILE: OFlags = OFlags::RDONLY
        .union(OFlags::NOFOLLOW)
        .union(OFlags::NONBLOCK)
        .union(OFlags::NOCTTY)
        .union(OFlags::CLOEXEC);

    pub(super) enum Opened {
        File(File),
        Not(Found),
    }

    pub(super) fn open_file(path: &Path) -> io::Result<Opened> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Ok(Opened::Not(Found::Folder));
        };
        let folder = match walk(parent) {
            Ok(folder) => folder,
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                return Ok(Opened::Not(Found::Link));
            }
            Err(error) => return Err(error),
        };
        match irregular(folder.as_fd(), name)? {
            Some(found) => Ok(Opened::Not(found)),
            None => open_regular(folder.as_fd(), name),
        }
    }

    fn open_regular(folder: BorrowedFd<'_>, name: &OsStr) -> io::Result<Opened> {
        let error = match openat(folder, name, FILE, Mode::empty()) {
            Ok(file) => return Ok(Opened::File(file.into())),
            Err(error) => io::Error::from(error),
        };
        // A link or a socket may have taken its place.
        match irregular(folder, name)? {
            Some(found) => Ok(Opened::Not(found)),
            None if error.kind() == io::ErrorKind::WouldBlock => open_leased(folder, name),
            None => Err(error),
        }
    }

    /// What is there, unless it is a regular file.
    fn irregular(folder: BorrowedFd<'_>, name: &OsStr) -> io::Result<Option<Found>> {
        let stat = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => None,
            FileType::Directory => Some(Found::Folder),
            FileType::Symlink => Some(Found::Link),
            _ => Some(Found::Other),
        })
    }

    /// Somebody has a lease of the file, and the kernel asks for it back; only for a regular file
    /// is that waited for.
    #[cfg(target_os = "linux")]
    fn open_leased(folder: BorrowedFd<'_>, name: &OsStr) -> io::Result<Opened> {
        use std::os::fd::AsRawFd;
        let flags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
        let place = File::from(openat(folder, name, flags, Mode::empty())?);
        if !place.metadata()?.is_file() {
            return Ok(Opened::Not(Found::Link));
        }
        let same = format!("/proc/self/fd/{}", place.as_raw_fd());
        Ok(Opened::File(File::open(same)?))
    }

    #[cfg(not(target_os = "linux"))]
    fn open_leased(_folder: BorrowedFd<'_>, _name: &OsStr) -> io::Result<Opened> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    pub(super) fn open_folder(path: &Path) -> io::Result<Dir> {
        Ok(Dir::from_std_file(walk(path)?.into()))
    }

    pub(super) fn open_folder_in(folder: &Dir, name: &OsStr) -> io::Result<Dir> {
        Ok(Dir::from_std_file(step(folder.as_fd(), name)?.into()))
    }

    pub(super) fn open_for_update_in(folder: &Dir, name: &str) -> io::Result<File> {
        // A device may do something when it is opened.
        if irregular(folder.as_fd(), name.as_ref())?.is_some() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let flags = FILE.union(OFlags::RDWR);
        Ok(openat(folder, name, flags, Mode::empty())?.into())
    }

    /// Systems disagree about what to say of a link.
    fn step(folder: BorrowedFd<'_>, name: &OsStr) -> io::Result<OwnedFd> {
        let error = match openat(folder, name, FOLDER, Mode::empty()) {
            Ok(opened) => return Ok(opened),
            Err(error) => error.into(),
        };
        match irregular(folder, name) {
            Ok(Some(Found::Link)) => Err(io::ErrorKind::NotADirectory.into()),
            _ => Err(error),
        }
    }

    /// Opens a folder component by component.
    fn walk(path: &Path) -> io::Result<OwnedFd> {
        let mut folder = openat(rustix::fs::CWD, "/", FOLDER, Mode::empty())?;
        for component in path.components() {
            match component {
                Component::RootDir => {}
                Component::Normal(name) => folder = step(folder.as_fd(), name)?,
                // A path that was resolved has none of these.
                Component::CurDir | Component::ParentDir | Component::Prefix(_) => {
                    return Err(io::ErrorKind::InvalidInput.into());
                }
            }
        }
        Ok(folder)
    }
}

#[cfg(not(unix))]
mod system {
    use std::ffi::OsStr;
    use std::fs::File;
    use std::io;
    use std::path::Path;

    use cap_std::ambient_authority;
    use cap_std::fs::Dir;

    use super::Found;

    /// `FILE_FLAG_OPEN_REPARSE_POINT`: opens a link itself.
    #[cfg(windows)]
    const OPEN_LINK_ITSELF: u32 = 0x0020_0000;

    pub(super) enum Opened {
        File(File),
        Not(Found),
    }

    pub(super) fn open_file(path: &Path) -> io::Result<Opened> {
        let kind = path.symlink_metadata()?.file_type();
        if kind.is_dir() {
            return Ok(Opened::Not(Found::Folder));
        }
        if kind.is_symlink() || path.canonicalize()? != path {
            return Ok(Opened::Not(Found::Link));
        }
        let mut options = File::options();
        options.read(true);
        #[cfg(windows)]
        std::os::windows::fs::OpenOptionsExt::custom_flags(&mut options, OPEN_LINK_ITSELF);
        options.open(path).map(Opened::File)
    }

    pub(super) fn open_folder(path: &Path) -> io::Result<Dir> {
        if path.canonicalize()? != path {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Dir::open_ambient_dir(path, ambient_authority())
    }

    pub(super) fn open_folder_in(folder: &Dir, name: &OsStr) -> io::Result<Dir> {
        if folder.symlink_metadata(name)?.is_symlink() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        folder.open_dir(name)
    }

    pub(super) fn open_for_update_in(folder: &Dir, name: &str) -> io::Result<File> {
        if !folder.symlink_metadata(name)?.is_file() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut options = cap_std::fs::OpenOptions::new();
        options.read(true).write(true);
        Ok(folder.open_with(name, &options)?.into_std())
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    use super::*;

    fn folder() -> (tempfile::TempDir, PathBuf) {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().canonicalize().unwrap();
        (root, path)
    }

    #[test]
    fn only_a_regular_file_is_opened() {
        let (_root, at) = folder();
        std::fs::create_dir(at.join("folder")).unwrap();
        std::fs::write(at.join("folder/file"), b"text").unwrap();
        symlink("folder/file", at.join("link")).unwrap();
        symlink("folder", at.join("way")).unwrap();
        let found = |name: &str| open_file(&at.join(name));
        assert!(matches!(found("folder/file").unwrap(), Found::File(_, metadata) if metadata.len() == 4));
        assert!(matches!(found("folder").unwrap(), Found::Folder));
        assert!(matches!(found("link").unwrap(), Found::Link));
        assert!(matches!(found("way/file").unwrap(), Found::Link));
        assert!(matches!(found("folder/file/x").unwrap(), Found::Link));
        assert_eq!(found("none").unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_folder_behind_a_link_is_not_opened() {
        let (_root, at) = folder();
        std::fs::create_dir_all(at.join("folder/deep")).unwrap();
        symlink("folder", at.join("way")).unwrap();
        assert!(open_folder(&at.join("folder/deep")).is_ok());
        for name in ["way", "way/deep"] {
            let refused = open_folder(&at.join(name)).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::NotADirectory, "{name}");
        }
        let root = open_folder(&at).unwrap();
        assert!(open_folder_in(&root, OsStr::new("folder")).is_ok());
        let refused = open_folder_in(&root, OsStr::new("way")).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::NotADirectory);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_pipe_or_a_socket_is_neither_opened_nor_waited_for() {
        use rustix::fs::{CWD, FileType, Mode, mknodat};
        let (_root, at) = folder();
        mknodat(CWD, at.join("pipe"), FileType::Fifo, Mode::RUSR, 0).unwrap();
        let _listener = std::os::unix::net::UnixListener::bind(at.join("socket")).unwrap();
        for name in ["pipe", "socket"] {
            assert!(
                matches!(open_file(&at.join(name)).unwrap(), Found::Other),
                "{name}"
            );
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    #[expect(unsafe_code, reason = "a lease can only be had through C")]
    fn a_file_is_opened_though_another_process_has_a_lease_of_it() {
        use std::os::fd::AsRawFd;
        /// Which signal reports that a process opens the file (`asm-generic/fcntl.h`).
        const F_SETSIG: libc::c_int = 10;
        let (_root, at) = folder();
        let path = at.join("file");
        std::fs::write(&path, b"text").unwrap();
        let leased = File::options().write(true).open(&path).unwrap();
        // SAFETY: the descriptor is open, and these commands take an integer.
        let command =
            |command, argument: libc::c_int| unsafe { libc::fcntl(leased.as_raw_fd(), command, argument) };
        assert_eq!(command(F_SETSIG, libc::SIGURG), 0);
        assert_eq!(command(libc::F_SETLEASE, libc::F_WRLCK), 0);
        std::thread::scope(|scope| {
            let opening = scope.spawn(|| open_file(&path));
            // Until the kernel asks for the lease back.
            while command(libc::F_GETLEASE, 0) == libc::F_WRLCK && !opening.is_finished() {
                std::thread::yield_now();
            }
            command(libc::F_SETLEASE, libc::F_UNLCK);
            assert!(matches!(opening.join().unwrap().unwrap(), Found::File(..)));
        });
    }
}
