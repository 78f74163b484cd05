//! What earlier runs left behind: who of them is alive, who was killed, and what goes.
//!
//! A run holds a lock for as long as it lives, which the kernel releases however it dies; one that comes to its end says
//! so in a file. So age decides nothing: a run without a lock and without that file was killed, and all of it goes at
//! once, also what its tests still have mounted or running. Of runs that ended the latest are kept, for a person to look.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::RUN_ID;
use crate::os;
use crate::removal;

/// Directories of so many ended runs are kept.
pub(super) const RUNS_KEPT: usize = 10;

/// How the names of the temporary directories of all runs begin.
pub(super) const SCRATCH_PREFIX: &str = "xt-";

/// The file that a live run holds locked; inside is the path of its temporary directory.
const LOCK: &str = "lock";

/// The file that a run makes at its orderly end.
const ENDED: &str = "ended";

/// The lock that is held while a run is made, and while others are judged.
const TURN: &str = "turn";

/// What became of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It goes on.
    Alive,
    /// It came to its end.
    Ended,
    /// Its runner was killed.
    Killed,
    /// The file system has no locks: it may be alive.
    Unknown,
}

/// Waits until no other run is being made or judges others, and keeps it so for as long as the result lives.
pub(super) fn take_turn(home: &Path) -> anyhow::Result<File> {
    let path = home.join(TURN);
    let file = File::create(&path).with_context(|| format!("could not create `{}`", path.display()))?;
    // A file system without locks: then nobody is ever taken for killed, and there is nothing to wait for.
    file.lock()
        .or_else(|error| unless_unsupported(error, ()))
        .with_context(|| format!("could not lock `{}`", path.display()))?;
    Ok(file)
}

/// From here on the run in this directory is alive.
pub(super) fn lock(run: &Path, scratch: &Path) -> std::io::Result<File> {
    let path = run.join(LOCK);
    std::fs::write(&path, scratch.as_os_str().as_encoded_bytes())?;
    let file = File::open(&path)?;
    // Whoever looks whether we are alive holds it for a moment.
    match file.lock() {
        Ok(()) => Ok(file),
        Err(error) => unless_unsupported(error, file),
    }
}

fn unless_unsupported<T>(error: std::io::Error, value: T) -> std::io::Result<T> {
    match error.kind() {
        std::io::ErrorKind::Unsupported => Ok(value),
        _ => Err(error),
    }
}

/// The run in this directory came to its end. If that cannot be written it will be taken for killed, which loses only
/// what it kept.
pub(super) fn mark_ended(run: &Path) {
    std::fs::write(run.join(ENDED), "").ok();
}

/// What is left of an earlier run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Leftover {
    /// The run's directory.
    pub(crate) run: PathBuf,
    /// Its temporary directory, if that still exists.
    pub(crate) scratch: Option<PathBuf>,
    pub(crate) state: State,
}

/// Whose leftovers they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// The run was killed: nobody wants them.
    Killed,
    /// It came to its end: they are logs, and files of failed tests, for a person to look at.
    Kept,
}

/// What runs of all kinds have left below `target/xtask`; not what belongs to runs that go on, or may.
pub(crate) fn find(home_of_all: &Path) -> Vec<Leftover> {
    let homes = directories(home_of_all);
    let runs = homes.iter().flat_map(|home| directories(&home.join("runs")));
    runs.filter_map(|run| {
        let state = match fate(&run) {
            Fate::Killed => State::Killed,
            Fate::Ended => State::Kept,
            Fate::Alive | Fate::Unknown => return None,
        };
        let scratch = scratch_of(&run).filter(|scratch| scratch.exists());
        Some(Leftover { run, scratch, state })
    })
    .collect()
}

/// Ends, unmounts and removes all that is left of one run. Returns whether nothing of it remains.
///
/// # Errors
/// When other runs cannot be kept waiting meanwhile.
pub(crate) fn take_away(leftover: &Leftover) -> anyhow::Result<bool> {
    let home = leftover
        .run
        .parent()
        .and_then(Path::parent)
        .context("a run without a home")?;
    let _turn = take_turn(home)?;
    // Judged again: whoever was being made when it was found is alive now.
    match fate(&leftover.run) {
        Fate::Killed => bury(&leftover.run),
        Fate::Ended => remove(&leftover.run),
        Fate::Alive | Fate::Unknown => return Ok(true),
    }
    Ok(!leftover.run.exists())
}

/// Removes killed runs at once, and of the others all but the latest. Never fails: what cannot be removed today can be
/// tomorrow. To be called with the turn taken.
pub(super) fn clear(runs: &Path) {
    let all = directories(runs);
    let old_count = all.len().saturating_sub(RUNS_KEPT);
    for (number, run) in all.iter().enumerate() {
        match fate(run) {
            Fate::Alive => {}
            Fate::Killed => bury(run),
            Fate::Ended | Fate::Unknown if number < old_count => remove(run),
            Fate::Ended | Fate::Unknown => {}
        }
    }
}

/// The directories in this one, in the order of their names.
fn directories(path: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    let mut found: Vec<PathBuf> = paths.filter(|path| path.is_dir()).collect();
    found.sort();
    found
}

fn fate(run: &Path) -> Fate {
    let ended = run.join(ENDED).exists();
    match File::open(run.join(LOCK)).map(|file| file.try_lock()) {
        Ok(Err(TryLockError::WouldBlock)) => Fate::Alive,
        _ if ended => Fate::Ended,
        Ok(Err(TryLockError::Error(_))) => Fate::Unknown,
        // Without a lock it was killed while it was being made.
        Ok(Ok(())) | Err(_) => Fate::Killed,
    }
}

/// Ends what a killed run has still running, and removes all its files.
fn bury(run: &Path) {
    if let Some(id) = run.file_name().and_then(|name| name.to_str()) {
        os::kill_all_with(&format!("{RUN_ID}={id}"));
    }
    remove(run);
}

/// Removes the directories of a run. The one that names the other goes only after it, so that a later run can try again.
fn remove(run: &Path) {
    if scratch_of(run).is_none_or(|scratch| removed(&scratch)) {
        removed(run);
    }
}

/// Detaches what is mounted in it, then removes it. Where a mount resists, the files stay: they may be somebody's.
fn removed(directory: &Path) -> bool {
    removal::remove(directory).ok();
    !directory.exists()
}

/// The temporary directory that an old run names, if it looks like one of ours.
fn scratch_of(run: &Path) -> Option<PathBuf> {
    let path = PathBuf::from(std::fs::read_to_string(run.join(LOCK)).ok()?);
    let is_ours = path.is_absolute() && path.file_name()?.to_str()?.starts_with(SCRATCH_PREFIX);
    is_ours.then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The directories of a run: below `runs`, and its temporary one.
    fn run(home: &Path, name: &str) -> (PathBuf, PathBuf) {
        let (run, scratch) = (home.join("runs").join(name), home.join(format!("xt-{name}")));
        std::fs::create_dir_all(&run).unwrap();
        std::fs::create_dir_all(scratch.join("3")).unwrap();
        std::fs::write(run.join(LOCK), scratch.as_os_str().as_encoded_bytes()).unwrap();
        (run, scratch)
    }

    #[test]
    fn a_killed_run_goes_at_once_and_others_stay() {
        let home = tempfile::tempdir().unwrap();
        let (killed, ended, alive) = (
            run(home.path(), "1"),
            run(home.path(), "2"),
            run(home.path(), "3"),
        );
        mark_ended(&ended.0);
        let _lock = lock(&alive.0, &alive.1).unwrap();
        assert_eq!(
            [&killed, &ended, &alive].map(|(run, _)| fate(run)),
            [Fate::Killed, Fate::Ended, Fate::Alive]
        );
        clear(&home.path().join("runs"));
        assert!(!killed.0.exists() && !killed.1.exists());
        assert!(
            [ended, alive]
                .iter()
                .all(|(run, scratch)| run.exists() && scratch.exists())
        );
    }

    #[test]
    fn a_run_that_was_killed_while_it_was_made_goes_too() {
        let home = tempfile::tempdir().unwrap();
        let (run, _) = run(home.path(), "1");
        std::fs::remove_file(run.join(LOCK)).unwrap();
        assert_eq!(fate(&run), Fate::Killed);
    }

    #[test]
    fn only_what_looks_like_ours_is_believed() {
        let home = tempfile::tempdir().unwrap();
        let (run, scratch) = run(home.path(), "1");
        assert_eq!(scratch_of(&run), Some(scratch));
        for other in ["/home", "xt-relative", ""] {
            std::fs::write(run.join(LOCK), other).unwrap();
            assert_eq!(scratch_of(&run), None, "{other}");
        }
    }
}
