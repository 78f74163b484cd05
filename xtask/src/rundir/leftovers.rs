//! What earlier runs left behind: who of them is alive, who was killed, and what goes.
//!
//! A run holds a lock for as long as it lives, which the kernel releases however it dies; one that comes to its end says
//! so in a file. So age decides nothing: a run without a lock and without that file was killed, and all of it goes at
//! once, also what its tests still have mounted or running. Of runs that ended the latest are kept, for a person to look.
//!
//! What goes is only renamed while others wait, and is removed in the background; where that does not come to its end,
//! the name says to a later run what it is.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;

use super::RUN_ID;
#[cfg(target_os = "linux")]
use crate::connections;
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

/// The lock that is held while rubbish is removed.
const REMOVAL: &str = "removal";

/// How the names of run directories begin that were judged and are only to be removed; the run's id follows.
const RUBBISH_PREFIX: &str = "rubbish-";

/// At its end a run waits so long for the removal of rubbish; the rest is left to the next one.
const REMOVAL_WAIT_MAX: Duration = Duration::from_secs(2);

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
    take(home, TURN)
}

/// Waits for one of the locks that all runs share, and holds it for as long as the result lives.
fn take(home: &Path, name: &str) -> anyhow::Result<File> {
    let path = home.join(name);
    let file = File::create(&path).with_context(|| format!("could not create `{}`", path.display()))?;
    // A file system without locks: then nobody is ever taken for killed, and removing twice harms nobody.
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
    /// A later run has judged them and did not come to remove them.
    Rubbish,
}

/// What runs of all kinds have left below `target/xtask`; not what belongs to runs that go on, or may.
pub(crate) fn find(home_of_all: &Path) -> Vec<Leftover> {
    let homes = directories(home_of_all);
    let runs = homes.iter().flat_map(|home| directories(&home.join("runs")));
    runs.filter_map(|run| {
        let state = match fate(&run) {
            _ if is_rubbish(&run) => State::Rubbish,
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
    let rubbish = if is_rubbish(&leftover.run) {
        leftover.run.clone()
    } else {
        let _turn = take_turn(home)?;
        // Judged again: whoever was being made when it was found is alive now.
        match fate(&leftover.run) {
            Fate::Killed | Fate::Ended => put_aside(&leftover.run),
            Fate::Alive | Fate::Unknown => return Ok(true),
        }
    };
    let _alone = take(home, REMOVAL)?;
    bury(&rubbish);
    Ok(!rubbish.exists())
}

/// Puts killed runs aside at once, and of the others all but the latest. Never fails: what cannot be put aside today can
/// be tomorrow. To be called with the turn taken.
pub(super) fn clear(runs: &Path) {
    let mut all = directories(runs);
    all.retain(|run| !is_rubbish(run));
    let old_count = all.len().saturating_sub(RUNS_KEPT);
    for (number, run) in all.iter().enumerate() {
        match fate(run) {
            Fate::Killed => drop(put_aside(run)),
            Fate::Ended if number < old_count => drop(put_aside(run)),
            // It may be alive: none of its processes is to be ended.
            Fate::Unknown if number < old_count => mark_ended(&put_aside(run)),
            Fate::Alive | Fate::Ended | Fate::Unknown => {}
        }
    }
}

/// The removal of what all runs have put aside, in the background: it can take long, and nobody needs it.
#[derive(Debug)]
pub(super) struct Removal {
    done: Mutex<Receiver<()>>,
}

impl Removal {
    /// Begins with it.
    pub(super) fn start(home: &Path) -> Removal {
        let (done, wait) = mpsc::channel();
        let home = home.to_owned();
        std::thread::spawn(move || {
            remove_rubbish(&home);
            // Nobody waits any more if it took too long.
            done.send(()).ok();
        });
        Removal {
            done: Mutex::new(wait),
        }
    }

    /// Waits for its end, but not for long.
    pub(super) fn wait(&self) {
        let done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        done.recv_timeout(REMOVAL_WAIT_MAX).ok();
    }
}

/// Removes what was put aside, unless another run does: then it waits for that.
fn remove_rubbish(home: &Path) {
    let runs = home.join("runs");
    let rubbish = || directories(&runs).into_iter().filter(|run| is_rubbish(run));
    if rubbish().next().is_none() {
        return;
    }
    if let Ok(_alone) = take(home, REMOVAL) {
        rubbish().for_each(|run| bury(&run));
    }
}

fn is_rubbish(run: &Path) -> bool {
    let name = run.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| name.starts_with(RUBBISH_PREFIX))
}

/// Gives the directory of a run the name of rubbish. Returns what it is called now; where that was not possible, as before.
fn put_aside(run: &Path) -> PathBuf {
    let name = run.file_name().unwrap_or_default().display();
    let rubbish = run.with_file_name(format!("{RUBBISH_PREFIX}{name}"));
    match std::fs::rename(run, &rubbish) {
        Ok(()) => rubbish,
        Err(_) => run.to_owned(),
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
    let name = run.file_name().and_then(|name| name.to_str());
    if let (Some(name), false) = (name, run.join(ENDED).exists()) {
        #[cfg(target_os = "linux")]
        if let Some(scratch) = scratch_of(run) {
            connections::abort_all_below(&scratch);
        }
        let id = name.strip_prefix(RUBBISH_PREFIX).unwrap_or(name);
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
        Removal::start(home.path()).wait();
        assert!(!killed.0.exists() && !killed.1.exists());
        assert!(
            [ended, alive]
                .iter()
                .all(|(run, scratch)| run.exists() && scratch.exists())
        );
    }

    #[test]
    fn what_goes_is_out_of_the_way_at_once_and_a_later_run_removes_what_is_left() {
        let all = tempfile::tempdir().unwrap();
        let home = all.path().join("test");
        let (killed, scratch) = run(&home, "1");
        let (runs, rubbish) = (home.join("runs"), home.join("runs/rubbish-1"));
        // Whoever removes rubbish takes long.
        let other = take(&home, REMOVAL).unwrap();
        clear(&runs);
        let _given_up = Removal::start(&home);
        assert!(!killed.exists() && rubbish.exists() && scratch.exists());
        let found: Vec<_> = find(all.path())
            .into_iter()
            .map(|found| (found.run, found.state))
            .collect();
        assert_eq!(found, [(rubbish.clone(), State::Rubbish)]);
        clear(&runs);
        let removal = Removal::start(&home);
        drop(other);
        removal.wait();
        assert!(!rubbish.exists() && !scratch.exists());
    }

    #[test]
    fn rubbish_does_not_count_as_a_run() {
        let home = tempfile::tempdir().unwrap();
        let ended: Vec<_> = (0..RUNS_KEPT)
            .map(|n| run(home.path(), &n.to_string()).0)
            .collect();
        ended.iter().for_each(|run| mark_ended(run));
        std::fs::create_dir(home.path().join("runs/rubbish-1")).unwrap();
        clear(&home.path().join("runs"));
        assert!(ended.iter().all(|run| run.exists()));
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
