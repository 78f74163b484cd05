//! The directories of one run: its outputs (`target/xtask/KIND/runs/ID`), the scratch directory of
//! its children (below `TMPDIR`), and the published report.
//!
//! Nothing here is ever read to decide what to run: there is no cache. Concurrent runs have
//! different directories, and each replaces the published report as a whole. The next run removes
//! the leftovers of a killed run; see `leftovers`.

pub(crate) mod killed_runs;
mod runs_directory;

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::base::atomic_file::write_atomically;
use crate::base::clock;
#[cfg(unix)]
use crate::base::folder::{Access, Folder};
use crate::base::private_directory::make_scratch;
use runs_directory::RunsDirectory;

/// Where the report of the latest run of the tests is, below cargo's target directory.
pub const PUBLISHED: &str = "xtask/test/junit.xml";

/// The variable that marks every process of a run.
pub const RUN_ID: &str = "XTASK_RUN_ID";

/// The directories of this run.
#[derive(Debug)]
pub struct RunDir {
    /// Unique per run, sorts by time.
    pub id: String,
    /// `target/xtask/KIND/runs/ID`.
    pub path: PathBuf,
    /// `target/xtask/KIND/junit.xml`.
    pub(crate) published: PathBuf,
    /// Below `TMPDIR`, short, private.
    scratch: PathBuf,
    removal: killed_runs::Removal,
    lock: File,
}

impl RunDir {
    /// Creates the directories for a run of this `kind` (`test`, …). Removes the published report
    /// of the previous run and, in the background, the leftovers of killed runs and the directories
    /// of old runs.
    pub fn create(target_directory: &Path, kind: &str) -> anyhow::Result<RunDir> {
        let directory = RunDir::without_scratch(target_directory, kind)?;
        make_scratch(&directory.scratch)
            .with_context(|| format!("could not create `{}`", directory.scratch.display()))?;
        directory.scratch_is_made()?;
        Ok(directory)
    }

    /// The same, but another process creates the scratch directory and removes it if this process
    /// is killed. Checks only that one can be created there.
    pub(crate) fn without_scratch(target_directory: &Path, kind: &str) -> anyhow::Result<RunDir> {
        let home_of_all = target_directory.join("xtask");
        let (home, runs) = RunsDirectory::make_all(&home_of_all, kind)?;
        let published = home.path().join("junit.xml");
        remove_report(&published)?;
        // Until this run holds its own lock, no other run may take it for dead.
        let _turn = killed_runs::take_turn(&home)?;
        let scratch = scratch()?;
        let id = format!("{}-{}", clock::stamp(clock::wall()), suffix());
        let path = runs.path().join(&id);
        runs.make(&id)
            .and_then(|run| run.make("logs"))
            .with_context(|| format!("could not create `{}`", path.display()))?;
        let lock = killed_runs::lock(&path, &scratch)
            .with_context(|| format!("could not lock `{}`", path.display()))?;
        killed_runs::clear(&home_of_all, kind);
        Ok(RunDir {
            id,
            path,
            published,
            scratch,
            removal: killed_runs::Removal::start(&home_of_all, kind),
            lock,
        })
    }

    /// Records which scratch directory was created. If this run is killed, a later one removes only
    /// that directory.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn scratch_is_made(&self) -> anyhow::Result<()> {
        killed_runs::record(&self.lock, &self.scratch)
            .with_context(|| format!("could not write the lock in `{}`", self.path.display()))
    }

    /// The variable and value that identify every process of this attempt.
    pub fn mark(&self, label: &str) -> String {
        format!("XTASK_TEST_ID={}/{label}", self.id)
    }

    /// The log of the attempt with this label.
    pub fn log(&self, label: &str) -> PathBuf {
        self.path.join("logs").join(format!("{label}.log"))
    }

    /// Where the kept files of the attempt with this label go.
    pub(crate) fn artefacts(&self, label: &str) -> PathBuf {
        self.path.join("artefacts").join(label)
    }

    /// The directory that contains all scratch directories of this run.
    pub(crate) fn scratch_root(&self) -> &Path {
        &self.scratch
    }

    /// The future `TMPDIR` of the attempt with this label.
    pub(crate) fn scratch_path(&self, label: &str) -> PathBuf {
        self.scratch.join(label)
    }

    /// Creates the directory that is `TMPDIR` for this label.
    pub fn scratch(&self, label: &str) -> std::io::Result<PathBuf> {
        let path = self.scratch.join(label);
        std::fs::create_dir(&path)?;
        Ok(path)
    }

    /// Lets other users pass through the scratch directory, but not list it: tests of other users'
    /// rights need that.
    pub fn let_others_pass(&self) -> std::io::Result<()> {
        #[cfg(unix)]
        Folder::open(&self.scratch, Access::Unchanged)?.set_mode(0o711.into())?;
        Ok(())
    }

    /// Writes the report beside the logs, then replaces the published one, and the one at `also`,
    /// each in a single step.
    pub fn publish(&self, xml: &str, also: Option<&Path>) -> anyhow::Result<()> {
        let mine = self.path.join("junit.xml");
        let paths = [Some(mine.as_path()), Some(self.published.as_path()), also];
        paths
            .into_iter()
            .flatten()
            .try_for_each(|path| write_atomically(path, xml))
    }
}

impl Drop for RunDir {
    /// Records that the run ended, and removes its scratch directory unless that contains the kept
    /// files of a failed test: then it is not empty.
    fn drop(&mut self) {
        killed_runs::mark_ended(&self.path);
        std::fs::remove_dir(&self.scratch).ok();
        self.removal.wait();
    }
}

/// The path of a scratch directory that can be created. To check that, creates and removes another
/// one. The real path stays secret until it is created, because any user could take it first.
fn scratch() -> anyhow::Result<PathBuf> {
    let parent = real(std::env::temp_dir());
    let mut builder = tempfile::Builder::new();
    // Short: the paths of unix sockets below it are limited to 104 to 108 bytes.
    builder.prefix(killed_runs::SCRATCH_PREFIX).rand_bytes(4);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
    let made = builder
        .tempdir_in(&parent)
        .with_context(|| format!("could not create a temporary directory in `{}`", parent.display()));
    let hint = "hint: set TMPDIR to a directory that you may write to";
    let made = made.map_err(|error| anyhow::anyhow!("{error:#}\n{hint}"));
    let made = made?;
    let shown = made.path().display().to_string();
    made.close()
        .with_context(|| format!("could not remove `{shown}`"))?;
    let free = builder.make_in(&parent, |path| match path.symlink_metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(_) => Err(std::io::ErrorKind::AlreadyExists.into()),
    })?;
    Ok(free.path().to_owned())
}

/// Without links, as the kernel names it in the table of mounts.
#[cfg(unix)]
fn real(path: PathBuf) -> PathBuf {
    path.canonicalize().unwrap_or(path)
}

/// Many programs do not understand the `\\?\` form that this would give.
#[cfg(not(unix))]
fn real(path: PathBuf) -> PathBuf {
    path
}

/// The unique part of the run's id. It reveals nothing about the name of the scratch directory.
fn suffix() -> String {
    let random = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), ());
    format!("{:06x}", random % (1 << 24))
}

/// Removes what an earlier run published there, if anything.
pub(crate) fn remove_report(path: &Path) -> anyhow::Result<()> {
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
    use crate::base::limits::RUNS_KEPT_MAX;

    fn create(target: &tempfile::TempDir) -> RunDir {
        RunDir::create(target.path(), "test").unwrap()
    }

    #[test]
    fn a_new_run_removes_the_published_report() {
        let target = tempfile::tempdir().unwrap();
        let first = create(&target);
        first.publish("<xml/>", None).unwrap();
        assert_eq!(first.published, target.path().join(PUBLISHED));
        assert_eq!(std::fs::read_to_string(&first.published).unwrap(), "<xml/>");
        let second = create(&target);
        assert!(!second.published.exists() && first.path.join("junit.xml").exists());
        assert_ne!(first.id, second.id);
    }

    /// A user who knew the path could create it first, and the run would fail.
    #[cfg(target_os = "linux")]
    #[test]
    fn the_path_of_the_temporary_directory_is_secret_until_it_exists() {
        use rustix::fs::inotify;
        let target = tempfile::tempdir().unwrap();
        let watch = inotify::init(inotify::CreateFlags::NONBLOCK).unwrap();
        inotify::add_watch(&watch, real(std::env::temp_dir()), inotify::WatchFlags::CREATE).unwrap();
        let run = RunDir::without_scratch(target.path(), "test").unwrap();
        let scratch = run.scratch_root().file_name().unwrap().to_string_lossy();
        let mut buffer = [std::mem::MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(&watch, &mut buffer);
        while let Ok(event) = events.next() {
            let name = event.file_name().unwrap_or_default().to_string_lossy();
            assert_ne!(name, scratch);
        }
        assert!(
            !run.id
                .ends_with(scratch.trim_start_matches(killed_runs::SCRATCH_PREFIX))
        );
    }

    #[test]
    fn old_runs_are_removed_and_live_ones_stay() {
        let target = tempfile::tempdir().unwrap();
        let live = create(&target);
        let count = 2 * RUNS_KEPT_MAX;
        for _ in 0..count {
            create(&target);
        }
        assert!(live.path.exists());
        let left = std::fs::read_dir(target.path().join("xtask/test/runs"))
            .unwrap()
            .count();
        // Not exactly the number kept: a child that another test of this process forks holds our
        // locks for a moment.
        assert!((RUNS_KEPT_MAX..count).contains(&left));
    }

    #[test]
    fn the_leftovers_of_a_killed_run_are_gone_when_the_next_one_ends() {
        let target = tempfile::tempdir().unwrap();
        let runs = target.path().join("xtask/test/runs");
        let killed = runs.join("20261124-020115-0a1b2c");
        RunsDirectory::make_all(&target.path().join("xtask"), "test").unwrap();
        std::fs::create_dir_all(killed.join("logs")).unwrap();
        for number in 0..2000 {
            std::fs::write(killed.join(format!("logs/{number}.log")), "").unwrap();
        }
        let run = create(&target);
        assert!(!killed.exists());
        let id = run.id.clone();
        drop(run);
        let left = std::fs::read_dir(&runs).unwrap().flatten();
        let names: Vec<_> = left.map(|entry| entry.file_name()).collect();
        assert_eq!(names, [id.as_str()]);
    }

    #[test]
    fn the_temporary_directory_is_removed_unless_a_test_left_something() {
        let target = tempfile::tempdir().unwrap();
        let run = create(&target);
        let mine = run.scratch("3").unwrap();
        let root = mine.parent().unwrap().to_owned();
        drop(run);
        assert!(mine.exists());
        std::fs::remove_dir(&mine).unwrap();
        std::fs::remove_dir(&root).unwrap();
        let run = create(&target);
        let root = run.scratch.clone();
        drop(run);
        assert!(!root.exists());
    }

    #[cfg(unix)]
    #[test]
    fn the_lock_identifies_the_directory_that_was_created() {
        let target = tempfile::tempdir().unwrap();
        let run = create(&target);
        let lock = std::fs::read_to_string(run.path.join("lock")).unwrap();
        let identity = crate::base::directory_identity::Identity::of(&run.scratch).unwrap();
        assert_eq!(lock, format!("{}\n{identity}\n", run.scratch.display()));
    }
}
