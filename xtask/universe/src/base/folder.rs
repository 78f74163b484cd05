//! Directories by handle. An operation reaches exactly the directory that was opened, whatever gets
//! its name later.
//!
//! No link is followed and no mount is entered. Only directories of this user get other modes. This
//! matters because the process may run as root while another user writes to the same directories.

use std::ffi::{CStr, CString};
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{CWD, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::path::Arg;

use crate::base::directory_identity::is_mine;
use crate::base::os;

/// How a directory is opened.
const OPEN: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// The mode bits that the owner of a directory needs to empty it.
const MODE_MENDED: Mode = Mode::RWXU;

/// Whether to change modes that would prevent the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// No mode is changed.
    Unchanged,
    /// A directory of this user is made readable and writable.
    Mended,
}

/// An open directory.
#[derive(Debug)]
pub(crate) struct Folder {
    handle: File,
    metadata: Metadata,
}

/// What a walk visits.
pub(crate) enum Step<'a> {
    /// An entry of the directory.
    Entry(&'a Folder, &'a CStr, FileType),
    /// The directory of this name in the other one, after all its entries were visited.
    End(&'a Folder, &'a CStr),
    /// A directory of this name in the other one that could not be entered, and the reason.
    Closed(&'a Folder, &'a CStr, io::Error),
}

/// A directory that the walk is in, and its entries that are yet to be visited.
struct Level {
    folder: Folder,
    name: CString,
    left: Vec<(CString, FileType)>,
}

impl Folder {
    /// Opens a directory. The last component of the path must be the directory, not a link.
    ///
    /// # Errors
    /// When it is missing, or is not a directory.
    pub(crate) fn open(path: &Path, access: Access) -> io::Result<Folder> {
        let folder = Folder::open_at(CWD, path, access)?;
        folder.mend(access)?;
        Ok(folder)
    }

    fn open_at(parent: BorrowedFd<'_>, name: impl Arg + Copy, access: Access) -> io::Result<Folder> {
        let open =
            || with_descriptors(|| rustix::fs::openat(parent, name, OPEN | OFlags::RDONLY, Mode::empty()));
        let handle = match open() {
            Err(Errno::ACCESS) if access == Access::Mended => {
                mend_closed(parent, name)?;
                open()?
            }
            opened => opened?,
        };
        let handle = File::from(handle);
        let metadata = handle.metadata()?;
        Ok(Folder { handle, metadata })
    }

    /// Makes it readable and writable, if `access` says so and this user owns it.
    ///
    /// # Errors
    /// When the system refuses it.
    pub(crate) fn mend(&self, access: Access) -> io::Result<()> {
        let is_hindered = self.metadata.mode() & 0o700 != 0o700;
        match access == Access::Mended && is_hindered && is_mine(&self.metadata) {
            true => self.set_mode(MODE_MENDED),
            false => Ok(()),
        }
    }

    /// Its metadata from when it was opened.
    pub(crate) fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Its entries with their kinds, in no particular order.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn entries(&self) -> io::Result<Vec<(CString, FileType)>> {
        let mut entries = Vec::new();
        for entry in with_descriptors(|| Dir::read_from(&self.handle))? {
            let entry = entry?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            let kind = match entry.file_type() {
                FileType::Unknown => self
                    .look(name)
                    .map_or(FileType::Unknown, |stat| FileType::from_raw_mode(stat.st_mode)),
                kind => kind,
            };
            entries.push((name.to_owned(), kind));
        }
        Ok(entries)
    }

    /// The metadata of an entry; of a link, that of the link itself.
    ///
    /// # Errors
    /// When it is gone.
    pub(crate) fn look(&self, name: &CStr) -> io::Result<rustix::fs::Stat> {
        Ok(rustix::fs::statat(
            &self.handle,
            name,
            rustix::fs::AtFlags::SYMLINK_NOFOLLOW,
        )?)
    }

    /// Opens the directory of this name, unless it is a mount point.
    ///
    /// # Errors
    /// When it cannot be read, or is not a directory.
    pub(crate) fn enter(&self, name: &CStr, access: Access) -> io::Result<Folder> {
        let folder = Folder::open_at(self.handle.as_fd(), name, access)?;
        if folder.metadata.dev() != self.metadata.dev() {
            let why = format!("something is mounted on `{}`", name.to_string_lossy());
            return Err(io::Error::other(why));
        }
        folder.mend(access)?;
        Ok(folder)
    }

    /// Opens the regular file of this name for reading. Never blocks.
    ///
    /// # Errors
    /// When it cannot be read, or is not a regular file.
    pub(crate) fn file(&self, name: &CStr) -> io::Result<(File, Metadata)> {
        self.file_with(name, OFlags::RDONLY)
    }

    /// The same for writing; the content stays. A missing file is created, for this user only.
    ///
    /// # Errors
    /// When it cannot be written, or is not a regular file.
    pub(crate) fn file_or_new(&self, name: &CStr) -> io::Result<(File, Metadata)> {
        self.file_with(name, OFlags::WRONLY | OFlags::CREATE)
    }

    fn file_with(&self, name: &CStr, flags: OFlags) -> io::Result<(File, Metadata)> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let file = File::from(rustix::fs::openat(&self.handle, name, flags, mode)?);
        let metadata = file.metadata()?;
        match metadata.is_file() {
            true => Ok((file, metadata)),
            false => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    /// Sets its mode.
    ///
    /// # Errors
    /// When it belongs to another user.
    pub(crate) fn set_mode(&self, mode: Mode) -> io::Result<()> {
        match is_mine(&self.metadata) {
            true => Ok(rustix::fs::fchmod(&self.handle, mode)?),
            false => Err(io::ErrorKind::PermissionDenied.into()),
        }
    }

    /// Visits everything below it: each directory's entries first, then the directory itself.
    /// Enters only directories on the same file system. `visit` may remove what it visits.
    ///
    /// # Errors
    /// When its own entries cannot be read.
    pub(crate) fn walk(self, access: Access, mut visit: impl FnMut(Step<'_>)) -> io::Result<()> {
        // Not recursive: a tree may be deeper than the stack of a thread allows.
        let (mut above, mut level) = (Vec::new(), Level::of(self, CString::default())?);
        loop {
            if let Some((name, kind)) = level.left.pop() {
                visit(Step::Entry(&level.folder, &name, kind));
                if kind != FileType::Directory {
                    continue;
                }
                let entered = level.folder.enter(&name, access);
                match entered.and_then(|folder| Level::of(folder, name.clone())) {
                    Ok(below) => above.push(std::mem::replace(&mut level, below)),
                    Err(error) => visit(Step::Closed(&level.folder, &name, error)),
                }
            } else {
                let Some(parent) = above.pop() else {
                    return Ok(());
                };
                let ended = std::mem::replace(&mut level, parent);
                visit(Step::End(&level.folder, &ended.name));
            }
        }
    }
}

impl AsFd for Folder {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }
}

impl Level {
    fn of(folder: Folder, name: CString) -> io::Result<Level> {
        let left = folder.entries()?;
        Ok(Level { folder, name, left })
    }
}

/// Opens something. If the descriptors do not suffice, raises the limit and tries again: each level
/// of a deep tree needs one.
fn with_descriptors<T>(mut open: impl FnMut() -> rustix::io::Result<T>) -> rustix::io::Result<T> {
    match open() {
        Err(Errno::MFILE) => {
            os::raise_open_files();
            open()
        }
        opened => opened,
    }
}

/// Whether an error says that the path is not a directory.
pub(crate) fn is_no_folder(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::NOTDIR | Errno::LOOP | Errno::MLINK)
    )
}

/// Makes a directory readable that could not be opened, if this user owns it.
#[cfg(target_os = "linux")]
fn mend_closed(parent: BorrowedFd<'_>, name: impl Arg) -> io::Result<()> {
    let handle = rustix::fs::openat(parent, name, OPEN | OFlags::PATH, Mode::empty())?;
    let handle = File::from(handle);
    match is_mine(&handle.metadata()?) {
        true => Ok(rustix::fs::chmod(
            crate::base::procfs::handle(handle.as_fd()),
            MODE_MENDED,
        )?),
        false => Err(io::ErrorKind::PermissionDenied.into()),
    }
}

/// The same on systems that change a mode by name without following a link. Modes never stop root,
/// and other users can change only their own directories.
#[cfg(not(target_os = "linux"))]
fn mend_closed(parent: BorrowedFd<'_>, name: impl Arg) -> io::Result<()> {
    let flags = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
    Ok(rustix::fs::chmodat(parent, name, MODE_MENDED, flags)?)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use rustix::fs::{AtFlags, unlinkat};

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    /// A directory with a file; no code under test may change either.
    fn outside(home: &Path) -> std::path::PathBuf {
        let outside = home.join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("file"), "mine").unwrap();
        fs::set_permissions(&outside, fs::Permissions::from_mode(0o500)).unwrap();
        outside
    }

    #[test]
    fn a_link_that_takes_the_place_of_a_directory_leads_nowhere() {
        let home = tempfile::tempdir().unwrap();
        let (outside, top) = (outside(home.path()), home.path().join("top"));
        fs::create_dir_all(top.join("before")).unwrap();
        let (mut entries, mut closed) = (Vec::new(), Vec::new());
        let folder = Folder::open(&top, Access::Mended).unwrap();
        let walked = folder.walk(Access::Mended, |step| match step {
            // Another user does this between the check of the directory and its opening.
            Step::Entry(_, name, _) => {
                entries.push(name.to_owned());
                fs::remove_dir(top.join("before")).unwrap();
                symlink(&outside, top.join("before")).unwrap();
            }
            Step::Closed(_, _, error) => closed.push(is_no_folder(&error)),
            Step::End(..) => {}
        });
        walked.unwrap();
        assert_eq!((entries, closed), (vec![c"before".to_owned()], vec![true]));
        assert_eq!(mode(&outside), 0o500);
    }

    #[test]
    fn a_link_that_takes_the_place_of_a_directory_that_was_entered_leads_nowhere() {
        let home = tempfile::tempdir().unwrap();
        let (outside, top) = (outside(home.path()), home.path().join("top"));
        let [entered, moved] = ["entered", "moved"].map(|name| top.join(name));
        fs::create_dir_all(&entered).unwrap();
        fs::write(entered.join("file"), "").unwrap();
        let folder = Folder::open(&top, Access::Mended).unwrap();
        let walked = folder.walk(Access::Mended, |step| {
            if let Step::Entry(folder, name, FileType::RegularFile) = step {
                fs::rename(&entered, &moved).unwrap();
                symlink(&outside, &entered).unwrap();
                unlinkat(folder, name, AtFlags::empty()).unwrap();
            }
        });
        walked.unwrap();
        assert!(outside.join("file").exists() && !moved.join("file").exists());
    }

    #[test]
    fn an_open_that_lacks_descriptors_is_tried_again_with_more() {
        let mut answers = vec![Ok(7), Err(Errno::MFILE)];
        assert_eq!(with_descriptors(|| answers.pop().unwrap()), Ok(7));
        let mut answers = vec![Ok(7), Err(Errno::ACCESS)];
        assert_eq!(with_descriptors(|| answers.pop().unwrap()), Err(Errno::ACCESS));
    }

    #[test]
    fn no_mode_is_changed_through_a_link() {
        let home = tempfile::tempdir().unwrap();
        let (outside, link) = (outside(home.path()), home.path().join("link"));
        symlink(&outside, &link).unwrap();
        assert!(mend_closed(CWD, &link).is_err());
        assert!(Folder::open(&link, Access::Mended).is_err());
        assert_eq!(mode(&outside), 0o500);
        mend_closed(CWD, &outside).unwrap();
        assert_eq!(mode(&outside), 0o700);
    }

    #[test]
    #[ignore = "needs root"]
    fn root_changes_no_mode_of_another_users_files() {
        let home = tempfile::tempdir().unwrap();
        let outside = outside(home.path());
        std::os::unix::fs::chown(&outside, Some(65534), None).unwrap();
        let folder = Folder::open(&outside, Access::Mended).unwrap();
        assert!(folder.set_mode(Mode::RWXU).is_err() && mend_closed(CWD, &outside).is_err());
        assert_eq!(mode(&outside), 0o500);
    }

    #[test]
    fn only_a_regular_file_is_opened_and_a_pipe_does_not_block() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("file"), "").unwrap();
        symlink("file", home.path().join("link")).unwrap();
        let pipe = home.path().join("pipe");
        rustix::fs::mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR, 0).unwrap();
        let folder = Folder::open(home.path(), Access::Unchanged).unwrap();
        let opened = [c"file", c"link", c"pipe"].map(|name| folder.file(name).is_ok());
        assert_eq!(opened, [true, false, false]);
    }
}
