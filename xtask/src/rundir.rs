//! The directories of one run: what it writes (`target/xtask/test/runs/ID`), where its tests may write (below
//! `TMPDIR`), and the published report.
//!
//! Nothing in here is ever read to decide what to run: there is no cache. Two runs at once have different directories,
//! and each replaces the published report as a whole.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use crate::clock;
use crate::junit;
use anyhow::Context;

/// Directories of so many runs are kept beside those of runs that are still going on.
const RUNS_KEPT: usize = 10;

/// The file that a live run holds locked; inside is the path of its temporary directory.
const LOCK: &str = "lock";

/// Where the report of the latest run lies, below cargo's target directory.
pub(crate) const PUBLISHED: &str = "xtask/test/junit.xml";

/// The directories of this run.
#[derive(Debug)]
pub(crate) struct RunDir {
    /// Unique per run, sorts by time.
    pub(crate) id: String,
    /// `target/xtask/test/runs/ID`.
    pub(crate) path: PathBuf,
    /// `target/xtask/test/junit.xml`.
    pub(crate) published: PathBuf,
    /// Below `TMPDIR`, short, private.
    scratch: PathBuf,
    _lock: File,
}

impl RunDir {
    /// Makes the directories, removes the report of the run before and the directories of runs long ago.
    pub(crate) fn create(target_directory: &Path) -> anyhow::Result<RunDir> {
        let home = target_directory.join("xtask").join("test");
        let runs = home.join("runs");
        let published = target_directory.join(PUBLISHED);
        remove_file(&published)?;
        let scratch = scratch()?;
        let id = format!("{}-{}", clock::stamp(clock::wall()), suffix(&scratch));
        let path = runs.join(&id);
        std::fs::create_dir_all(path.join("logs"))
            .with_context(|| format!("could not create `{}`", path.display()))?;
        let lock = lock(&path, &scratch).with_context(|| format!("could not lock `{}`", path.display()))?;
        prune(&runs);
        Ok(RunDir {
            id,
            path,
            published,
            scratch,
            _lock: lock,
        })
    }

    /// The log of the test with this number.
    pub(crate) fn log(&self, number: usize) -> PathBuf {
        self.path.join("logs").join(format!("{number}.log"))
    }

    /// A fresh directory that is `TMPDIR` for the test with this number.
    pub(crate) fn scratch(&self, number: usize) -> std::io::Result<PathBuf> {
        let path = self.scratch.join(number.to_string());
        std::fs::create_dir(&path)?;
        Ok(path)
    }

    /// Writes the report beside the logs, then replaces the published one in a single step, and the one at `also`.
    pub(crate) fn publish(&self, xml: &str, also: Option<&Path>) -> anyhow::Result<()> {
        let mine = self.path.join("junit.xml");
        let paths = [Some(mine.as_path()), Some(self.published.as_path()), also];
        paths
            .into_iter()
            .flatten()
            .try_for_each(|path| junit::write_atomically(path, xml))
    }
}

impl Drop for RunDir {
    /// Removes the run's temporary directory, unless a failed test's files are kept in it: then it is not empty.
    fn drop(&mut self) {
        std::fs::remove_dir(&self.scratch).ok();
    }
}

fn scratch() -> anyhow::Result<PathBuf> {
    let parent = real(std::env::temp_dir());
    let mut builder = tempfile::Builder::new();
    // Short: the paths of unix sockets below it may have 104 to 108 bytes.
    builder.prefix("xt-").rand_bytes(4);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
    let made = builder.tempdir_in(&parent).with_context(|| {
        let hint = "hint: set TMPDIR to a directory that you may write to";
        format!(
            "could not create a temporary directory in `{}`\n{hint}",
            parent.display()
        )
    });
    made.map(tempfile::TempDir::keep)
}

/// Without links, as the kernel names it where something is mounted below it.
#[cfg(unix)]
fn real(path: PathBuf) -> PathBuf {
    path.canonicalize().unwrap_or(path)
}

/// Programs do not understand the `\\?\` form that this would give.
#[cfg(not(unix))]
fn real(path: PathBuf) -> PathBuf {
    path
}

/// What makes the name of the temporary directory unique makes the run's id unique.
fn suffix(scratch: &Path) -> String {
    let name = scratch.file_name().unwrap_or_default().to_string_lossy();
    name.trim_start_matches("xt-").to_owned()
}

fn lock(run: &Path, scratch: &Path) -> std::io::Result<File> {
    let path = run.join(LOCK);
    std::fs::write(&path, scratch.as_os_str().as_encoded_bytes())?;
    let file = File::open(&path)?;
    // A file system without locks: then a run that goes on is only protected by being recent.
    file.try_lock().or_else(|error| match error {
        TryLockError::Error(error) if error.kind() != std::io::ErrorKind::Unsupported => Err(error),
        TryLockError::Error(_) | TryLockError::WouldBlock => Ok(()),
    })?;
    Ok(file)
}

/// Removes all but the latest runs, with what their failed tests left in the temporary directory. Never fails: what
/// cannot be removed today can be tomorrow.
fn prune(runs: &Path) {
    let entries = std::fs::read_dir(runs).into_iter().flatten().flatten();
    let mut old: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect();
    old.sort();
    old.truncate(old.len().saturating_sub(RUNS_KEPT));
    for run in old.iter().filter(|run| !is_live(run)) {
        if let Some(scratch) = scratch_of(run) {
            std::fs::remove_dir_all(scratch).ok();
        }
        std::fs::remove_dir_all(run).ok();
    }
}

fn is_live(run: &Path) -> bool {
    let lock = File::open(run.join(LOCK));
    lock.is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
}

/// The temporary directory that an old run names, if it looks like one of ours.
fn scratch_of(run: &Path) -> Option<PathBuf> {
    let path = PathBuf::from(std::fs::read_to_string(run.join(LOCK)).ok()?);
    let is_ours = path.is_absolute() && path.file_name()?.to_str()?.starts_with("xt-");
    is_ours.then_some(path)
}

fn remove_file(path: &Path) -> anyhow::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("could not remove the old report `{}`", path.display()))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_count(target: &Path) -> usize {
        std::fs::read_dir(target.join("xtask/test/runs")).unwrap().count()
    }

    #[test]
    fn a_new_run_removes_the_published_report() {
        let target = tempfile::tempdir().unwrap();
        let first = RunDir::create(target.path()).unwrap();
        first.publish("<xml/>", None).unwrap();
        assert_eq!(std::fs::read_to_string(&first.published).unwrap(), "<xml/>");
        let second = RunDir::create(target.path()).unwrap();
        assert!(!second.published.exists() && first.path.join("junit.xml").exists());
        assert_ne!(first.id, second.id);
    }

    #[test]
    fn old_runs_go_and_live_ones_stay() {
        let target = tempfile::tempdir().unwrap();
        let live = RunDir::create(target.path()).unwrap();
        let count = 2 * RUNS_KEPT;
        for _ in 0..count {
            RunDir::create(target.path()).unwrap();
        }
        assert!(live.path.exists());
        // Not exactly the number kept: a child that another test of this process forks holds our locks for a moment.
        assert!((RUNS_KEPT..count).contains(&run_count(target.path())));
    }

    #[test]
    fn the_temporary_directory_goes_unless_a_test_left_something() {
        let target = tempfile::tempdir().unwrap();
        let run = RunDir::create(target.path()).unwrap();
        let mine = run.scratch(3).unwrap();
        let root = mine.parent().unwrap().to_owned();
        drop(run);
        assert!(mine.exists());
        std::fs::remove_dir(&mine).unwrap();
        std::fs::remove_dir(&root).unwrap();
        let run = RunDir::create(target.path()).unwrap();
        let root = run.scratch.clone();
        drop(run);
        assert!(!root.exists());
    }
}
