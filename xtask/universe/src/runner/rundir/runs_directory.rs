//! The directories that contain runs, by handle if the system has handles: `target/xtask`, in it
//! one for each kind of run, in that `runs`, and in that one for each run. None of them may be a
//! link, and a later change of name redirects nothing.
//!
//! Only the path of `target/xtask` is trusted, and a run also works there by path: if another user
//! owns the workspace, that user already writes the build scripts that this user runs.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;

#[cfg(unix)]
use crate::base::folder::{Access, Folder};
use crate::base::private_directory::make_closed;
use crate::base::{directory_identity, lock_file};
use crate::sandbox::removal;

/// Where the directories of the runs of one kind are.
pub(super) const RUNS: &str = "runs";

/// One of these directories.
#[derive(Debug)]
pub(super) struct RunsDirectory {
    path: PathBuf,
    #[cfg(unix)]
    folder: Folder,
}

impl RunsDirectory {
    /// Where it was found.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The directories `target/xtask`, its `KIND`, and `runs` in that. Missing ones are created,
    /// and a link is an error; they may belong to another user.
    ///
    /// # Errors
    /// When one cannot be created, or its name is taken by something else.
    pub(super) fn make_all(home_of_all: &Path, kind: &str) -> anyhow::Result<(RunsDirectory, RunsDirectory)> {
        let hint = "it must be a directory, not a link or a mount point; hint: remove it";
        let made = |path: PathBuf, place: io::Result<RunsDirectory>| {
            place.with_context(|| format!("could not create `{}`: {hint}", path.display()))
        };
        make_closed(home_of_all).with_context(|| format!("could not create `{}`", home_of_all.display()))?;
        let all = made(home_of_all.to_owned(), RunsDirectory::open(home_of_all))?;
        let home = made(all.path.join(kind), all.make(kind))?;
        let runs = made(home.path.join(RUNS), home.make(RUNS))?;
        Ok((home, runs))
    }

    /// The names of the directories in it, sorted; no links.
    pub(super) fn names(&self) -> Vec<OsString> {
        let mut names = self.directories().unwrap_or_default();
        names.sort();
        names
    }

    /// The directory of this name, if this user owns it.
    pub(super) fn ours(&self, name: &OsStr) -> Option<RunsDirectory> {
        self.enter(name).ok().filter(RunsDirectory::is_ours)
    }

    /// The directory of this name, if only this user can change its content.
    pub(super) fn closed(&self, name: &OsStr) -> Option<RunsDirectory> {
        self.enter(name).ok().filter(RunsDirectory::is_closed)
    }
}

#[cfg(unix)]
impl RunsDirectory {
    /// Opens it, if the path does not end in a link.
    ///
    /// # Errors
    /// When there is no such directory.
    pub(super) fn open(path: &Path) -> io::Result<RunsDirectory> {
        let folder = Folder::open(path, Access::Unchanged)?;
        let path = path.to_owned();
        Ok(RunsDirectory { path, folder })
    }

    fn enter(&self, name: &OsStr) -> io::Result<RunsDirectory> {
        let folder = self.folder.enter(&c_name(name)?, Access::Unchanged)?;
        let path = self.path.join(name);
        Ok(RunsDirectory { path, folder })
    }

    fn directories(&self) -> io::Result<Vec<OsString>> {
        use std::os::unix::ffi::OsStringExt;
        let entries = self.folder.entries()?.into_iter();
        let directories = entries.filter(|(_, kind)| kind.is_dir());
        Ok(directories
            .map(|(name, _)| OsString::from_vec(name.into_bytes()))
            .collect())
    }

    fn is_ours(&self) -> bool {
        directory_identity::is_ours(self.folder.metadata(), None)
    }

    /// Creates a directory in it to which no other user can write, unless one exists. Returns it.
    ///
    /// # Errors
    /// When the name is taken by something else, or the directory cannot be created.
    pub(super) fn make(&self, name: &str) -> io::Result<RunsDirectory> {
        match rustix::fs::mkdirat(&self.folder, name, 0o755.into()) {
            Err(error) if error != rustix::io::Errno::EXIST => Err(error.into()),
            Ok(()) | Err(_) => self.enter(name.as_ref()),
        }
    }

    /// Whether this user owns it, and others cannot move directories of this user into it. A group
    /// may write to it: with a umask of 0002 that is the user's own group. Root trusts no other
    /// group.
    pub(super) fn is_closed(&self) -> bool {
        use std::os::unix::fs::MetadataExt;
        let metadata = self.folder.metadata();
        let is_own_group =
            !rustix::process::geteuid().is_root() || metadata.gid() == rustix::process::getegid().as_raw();
        let mode_of_others = if is_own_group { 0o002 } else { 0o022 };
        self.is_ours() && metadata.mode() & mode_of_others == 0
    }

    /// Whether it has something of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        c_name(name.as_ref()).is_ok_and(|name| self.folder.look(&name).is_ok())
    }

    /// Opens a file in it that runs lock, to read it or to check whether it is locked.
    ///
    /// # Errors
    /// When there is no such file.
    pub(super) fn look(&self, name: &str) -> io::Result<File> {
        lock_file::look_in(&self.folder, &c_name(name.as_ref())?)
    }

    /// Opens a file in it in order to lock it, and creates it if it is missing.
    ///
    /// # Errors
    /// When it cannot be opened, or is not a regular file.
    pub(super) fn lock_file(&self, name: &str) -> io::Result<File> {
        lock_file::open_in(&self.folder, &c_name(name.as_ref())?)
    }

    /// Renames a directory in it.
    ///
    /// # Errors
    /// When the system refuses it.
    pub(super) fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.folder, from, &self.folder, to)?)
    }

    /// Removes the directory of this name, if this user owns it. Ignores errors.
    pub(super) fn remove(&self, name: &OsStr) {
        if let Ok(c_name) = c_name(name) {
            removal::remove_ours_in(&self.folder, &c_name, &self.path.join(name)).ok();
        }
    }
}

#[cfg(unix)]
fn c_name(name: &OsStr) -> io::Result<std::ffi::CString> {
    Ok(std::ffi::CString::new(name.as_encoded_bytes())?)
}

/// This system has no handles of directories, and the owner of a file decides nothing here.
#[cfg(not(unix))]
impl RunsDirectory {
    /// As on Unix.
    pub(super) fn open(path: &Path) -> io::Result<RunsDirectory> {
        match path.symlink_metadata()?.is_dir() {
            true => Ok(RunsDirectory {
                path: path.to_owned(),
            }),
            false => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    fn enter(&self, name: &OsStr) -> io::Result<RunsDirectory> {
        RunsDirectory::open(&self.path.join(name))
    }

    fn directories(&self) -> io::Result<Vec<OsString>> {
        let entries = self.path.read_dir()?.flatten();
        let directories = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        Ok(directories.map(|entry| entry.file_name()).collect())
    }

    fn is_ours(&self) -> bool {
        let metadata = self.path.symlink_metadata();
        metadata.is_ok_and(|metadata| directory_identity::is_ours(&metadata, None))
    }

    /// As on Unix.
    pub(super) fn make(&self, name: &str) -> io::Result<RunsDirectory> {
        match std::fs::create_dir(self.path.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            Ok(()) | Err(_) => self.enter(name.as_ref()),
        }
    }

    /// As on Unix.
    pub(super) fn is_closed(&self) -> bool {
        self.is_ours()
    }

    /// As on Unix.
    pub(super) fn has(&self, name: &str) -> bool {
        self.path.join(name).symlink_metadata().is_ok()
    }

    /// As on Unix.
    pub(super) fn look(&self, name: &str) -> io::Result<File> {
        lock_file::look(&self.path.join(name))
    }

    /// As on Unix.
    pub(super) fn lock_file(&self, name: &str) -> io::Result<File> {
        lock_file::open(&self.path.join(name))
    }

    /// As on Unix.
    pub(super) fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        std::fs::rename(self.path.join(from), self.path.join(to))
    }

    /// As on Unix.
    pub(super) fn remove(&self, name: &OsStr) {
        removal::remove_ours(&self.path.join(name), None).ok();
    }
}
