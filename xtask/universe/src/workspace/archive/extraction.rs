//! The directory that an archive is unpacked to: `xtask/archive/…` in the target directory, removed
//! after the run. What a killed run left there, the next one removes.
//!
//! A lock, not its age, shows whether a directory is in use.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::base::lock_file;
use crate::base::private_directory::make_closed;

/// The lock in a directory that is in use; in the directory of all, the turn to make one.
const LOCK: &str = "lock";

/// A directory of our own.
#[derive(Debug)]
pub(super) struct Extraction {
    path: PathBuf,
    /// Held until the directory is removed.
    lock: Option<File>,
}

impl Extraction {
    /// A new, empty directory below `target`. Removes those of killed runs.
    ///
    /// # Errors
    /// When it cannot be created.
    pub(super) fn create(target: &Path) -> Result<Extraction> {
        let home = home(target);
        let created = || -> io::Result<Extraction> {
            make_closed(&home)?;
            let _turn = locked(&home)?;
            remove_unused(&home)?;
            let path = tempfile::Builder::new().prefix("run-").tempdir_in(&home)?.keep();
            let lock = Some(locked(&path)?);
            Ok(Extraction { path, lock })
        };
        created().with_context(|| format!("could not create a directory in `{}`", home.display()))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Extraction {
    fn drop(&mut self) {
        // The next run removes what stays.
        std::fs::remove_dir_all(&self.path).ok();
        drop(self.lock.take());
    }
}

/// Removes the directories of killed runs below `target`. What cannot be removed now, a later run
/// tries again.
pub(crate) fn sweep(target: &Path) {
    let home = home(target);
    if let (true, Ok(_turn)) = (home.is_dir(), locked(&home)) {
        remove_unused(&home).ok();
    }
}

fn home(target: &Path) -> PathBuf {
    target.join("xtask").join("archive")
}

/// The lock of a directory, which is held while the result lives. Where the file system has no
/// locks, every directory counts as used.
fn locked(directory: &Path) -> io::Result<File> {
    let file = lock_file::open(&directory.join(LOCK))?;
    match file.lock() {
        Err(error) if error.kind() != io::ErrorKind::Unsupported => Err(error),
        _ => Ok(file),
    }
}

/// Only directories, and not those of other users: another one could put anything there.
fn remove_unused(home: &Path) -> io::Result<()> {
    for entry in home.read_dir()?.flatten() {
        let path = entry.path();
        let lock = |path: &Path| lock_file::open(&path.join(LOCK)).ok();
        let is_unused = |path: &Path| lock(path).is_some_and(|lock| lock.try_lock().is_ok());
        // Another run may have removed its own meanwhile.
        let Ok(metadata) = path.symlink_metadata() else {
            continue;
        };
        if metadata.is_dir() && is_mine(&metadata) && is_unused(&path) {
            std::fs::remove_dir_all(path).ok();
        }
    }
    Ok(())
}

#[cfg(unix)]
fn is_mine(metadata: &std::fs::Metadata) -> bool {
    crate::base::directory_identity::is_mine(metadata)
}

#[cfg(not(unix))]
fn is_mine(_: &std::fs::Metadata) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_run_left_is_removed_and_what_is_in_use_stays() {
        let target = tempfile::tempdir().unwrap();
        let used = Extraction::create(target.path()).unwrap();
        let mut killed = Extraction::create(target.path()).unwrap();
        std::fs::write(killed.path().join("left"), "").unwrap();
        // As the end of a process does.
        drop(killed.lock.take());
        let path = killed.path().to_owned();
        std::mem::forget(killed);
        let next = Extraction::create(target.path()).unwrap();
        assert!(!path.exists() && used.path().exists());
        sweep(target.path());
        assert!(next.path().exists() && used.path().exists());
        let path = next.path().to_owned();
        drop(next);
        assert!(!path.exists() && used.path().exists());
    }
}
