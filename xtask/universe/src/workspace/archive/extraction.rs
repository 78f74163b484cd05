//! The directory that an archive is unpacked to: `xtask/archive/…` in the target directory, removed
//! after the run. What a killed run left there, the next one removes.
//!
//! A lock, not its age, shows whether a directory is in use.

use std::fs::File;
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
        let home = target.join("xtask").join("archive");
        let created = || -> std::io::Result<Extraction> {
            make_closed(&home)?;
            let turn = lock_file::open(&home.join(LOCK))?;
            turn.lock()?;
            remove_unused(&home)?;
            let path = tempfile::Builder::new().prefix("run-").tempdir_in(&home)?.keep();
            let lock = lock_file::open(&path.join(LOCK))?;
            lock.lock()?;
            Ok(Extraction {
                path,
                lock: Some(lock),
            })
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

/// Only directories, and not those of other users: another one could put anything there.
fn remove_unused(home: &Path) -> std::io::Result<()> {
    for entry in home.read_dir()?.flatten() {
        let is_used = || -> std::io::Result<bool> {
            Ok(lock_file::open(&entry.path().join(LOCK))?.try_lock().is_err())
        };
        let metadata = entry.path().symlink_metadata()?;
        if metadata.is_dir() && is_mine(&metadata) && !is_used().unwrap_or(true) {
            std::fs::remove_dir_all(entry.path()).ok();
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
        let path = next.path().to_owned();
        drop(next);
        assert!(!path.exists() && used.path().exists());
    }
}
