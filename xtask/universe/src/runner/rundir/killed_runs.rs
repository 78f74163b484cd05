//! The leftovers of earlier runs: which runs are alive, which were killed, and what to remove.
//!
//! A run holds a lock while it lives; the kernel releases it however the run dies. A run that ends
//! normally records that in a file. So age decides nothing: a run without a lock and without that
//! file was killed, and all of it is removed at once, including its tests' mounts and processes. Of
//! the runs that ended normally, the latest are kept for a person to examine.
//!
//! Another user who may write here or to `TMPDIR` can replace what a run created. So the runner
//! touches only what this user owns, in directories to which only this user can write. It removes
//! only the scratch directory that the run's lock identifies.
//!
//! While other runs wait, a leftover is only renamed; the removal happens in the background. If
//! that does not finish, a later run recognises the leftover by its name.

use std::ffi::{OsStr, OsString};
use std::fs::{File, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Mutex, PoisonError};

use anyhow::Context;

use super::RUN_ID;
use super::runs_directory::{RUNS, RunsDirectory};
use crate::base::directory_identity::{self, Identity};
#[cfg(target_os = "linux")]
use crate::base::fuse_connections::{self, OwnershipProof};
use crate::base::limits::{LOCK_FILE_LEN_MAX, REMOVAL_WAIT_MAX, RUNS_KEPT_MAX};
use crate::base::lock_file;
use crate::base::os;
#[cfg(target_os = "linux")]
use crate::base::procfs;
use crate::sandbox::removal;

/// The prefix of the names of all runs' scratch directories.
pub(super) const SCRATCH_PREFIX: &str = "xt-";

/// The file that a live run keeps locked. Its first line is the path of the run's scratch
/// directory. Its second line is the identity of that directory, written when it was created.
const LOCK: &str = "lock";

/// The file that a run creates at its normal end.
const ENDED: &str = "ended";

/// The lock for creating a run and for judging others.
const TURN: &str = "turn";

/// The lock for removing rubbish.
const REMOVAL: &str = "removal";

/// The name prefix of run directories that were judged and only have to be removed; the run's id
/// follows.
const RUBBISH_PREFIX: &str = "rubbish-";

/// The state of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It is alive.
    Alive,
    /// It ended normally.
    Ended,
    /// Its runner was killed.
    Killed,
    /// The file system has no locks: the run may be alive.
    Unknown,
}

/// Waits until no other run is being created or judges others, and keeps others waiting while the
/// result lives.
pub(super) fn take_turn(home: &RunsDirectory) -> anyhow::Result<File> {
    take(home, TURN)
}

/// Takes one of the locks that all runs share, and holds it while the result lives.
fn take(home: &RunsDirectory, name: &str) -> anyhow::Result<File> {
    let path = home.path().join(name);
    let file = home
        .lock_file(name)
        .with_context(|| format!("could not create `{}`", path.display()))?;
    // A file system without locks: then no run is ever taken for killed, and a second removal is
    // harmless.
    file.lock()
        .or_else(|error| unless_unsupported(error, ()))
        .with_context(|| format!("could not lock `{}`", path.display()))?;
    Ok(file)
}

/// From here on the run in this directory counts as alive.
pub(super) fn lock(run: &Path, scratch: &Path) -> std::io::Result<File> {
    let mut file = lock_file::create_new(&run.join(LOCK))?;
    file.write_all(scratch.as_os_str().as_encoded_bytes())?;
    // Another run that checks whether this one is alive holds the lock for a moment.
    match file.lock() {
        Ok(()) => Ok(file),
        Err(error) => unless_unsupported(error, file),
    }
}

/// Writes the identity of the scratch directory to the lock.
pub(super) fn record(mut lock: &File, scratch: &Path) -> std::io::Result<()> {
    match Identity::of(scratch) {
        Some(identity) => lock.write_all(format!("\n{identity}\n").as_bytes()),
        None => Ok(()),
    }
}

fn unless_unsupported<T>(error: std::io::Error, value: T) -> std::io::Result<T> {
    match error.kind() {
        std::io::ErrorKind::Unsupported => Ok(value),
        _ => Err(error),
    }
}

/// Records the normal end of the run in this directory. If that fails, the run will be taken for
/// killed, which loses only the files that it kept.
pub(super) fn mark_ended(run: &Path) {
    lock_file::create_new(&run.join(ENDED)).ok();
}

/// The leftovers of an earlier run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Leftover {
    /// The run's directory.
    pub(crate) run: PathBuf,
    /// Its scratch directory, if that still exists.
    pub(crate) scratch: Option<PathBuf>,
    /// Something else at the path of its scratch directory.
    pub(crate) stranger: Option<PathBuf>,
    pub(crate) state: LeftoverState,
}

/// The state of leftovers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LeftoverState {
    /// The run was killed: they have no further use.
    Killed,
    /// It ended normally: they are logs, and files of failed tests, for a person to examine.
    Kept,
    /// A later run has judged them but did not remove them.
    Rubbish,
    /// Another user owns the directory, or can write to one that contains runs. So it stays.
    Foreign,
}

/// The leftovers of runs of all kinds below `target/xtask`, without those of runs that are or may
/// be alive.
pub(crate) fn find(home_of_all: &Path) -> Vec<Leftover> {
    let Ok(all) = RunsDirectory::open(home_of_all) else {
        return Vec::new();
    };
    if !all.is_closed() {
        return vec![foreign(home_of_all)];
    }
    let kinds = all.names();
    kinds.iter().flat_map(|kind| find_of_kind(&all, kind)).collect()
}

fn find_of_kind(all: &RunsDirectory, kind: &OsStr) -> Vec<Leftover> {
    let name = OsStr::new(RUNS);
    let runs = match all.closed(kind) {
        Some(home) if !home.names().iter().any(|found| found == name) => return Vec::new(),
        home => home.and_then(|home| home.closed(name)),
    };
    let Some(runs) = runs else {
        return vec![foreign(&all.path().join(kind))];
    };
    let names = runs.names();
    names.iter().filter_map(|name| judged(&runs, name)).collect()
}

/// Does not look inside.
fn foreign(path: &Path) -> Leftover {
    Leftover {
        run: path.to_owned(),
        scratch: None,
        stranger: None,
        state: LeftoverState::Foreign,
    }
}

/// The leftovers of the run with this name, unless it is or may be alive.
fn judged(runs: &RunsDirectory, name: &OsStr) -> Option<Leftover> {
    let Some(run) = runs.ours(name) else {
        return Some(foreign(&runs.path().join(name)));
    };
    if !is_run(&run) {
        return None;
    }
    let state = match is_rubbish(name) {
        true => LeftoverState::Rubbish,
        false => match fate(&run) {
            Fate::Killed => LeftoverState::Killed,
            Fate::Ended => LeftoverState::Kept,
            Fate::Alive | Fate::Unknown => return None,
        },
    };
    let (scratch, stranger) = match scratch_of(&run) {
        Some(scratch) if scratch.is_there() => (Some(scratch.path), None),
        Some(scratch) => (
            None,
            scratch.path.symlink_metadata().is_ok().then_some(scratch.path),
        ),
        None => (None, None),
    };
    Some(Leftover {
        run: run.path().to_owned(),
        scratch,
        stranger,
        state,
    })
}

/// What remains of a run after its removal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Remaining {
    /// Whether its directory remains.
    pub(crate) directory: bool,
    /// The connections to FUSE servers that this process may not abort.
    pub(crate) connections: Vec<u32>,
}

/// Ends, unmounts and removes all leftovers of one run. Returns what remains.
///
/// # Errors
/// When other runs cannot be made to wait meanwhile.
pub(crate) fn take_away(leftover: &Leftover) -> anyhow::Result<Remaining> {
    let mut above = leftover.run.ancestors().skip(2);
    let (Some(home), Some(all)) = (above.next(), above.next()) else {
        anyhow::bail!("`{}` is not the directory of a run", leftover.run.display());
    };
    let [kind, name] = [home, &leftover.run].map(|path| path.file_name().unwrap_or_default());
    let resists = Remaining {
        directory: true,
        connections: Vec::new(),
    };
    // Opened and judged again: a run that was still being created when it was found is alive now.
    let Some((home, runs)) = runs_of(all, kind) else {
        return Ok(resists);
    };
    let rubbish = if is_rubbish(name) {
        name.to_owned()
    } else {
        let _turn = take_turn(&home)?;
        match runs.ours(name).filter(is_run).map(|run| fate(&run)) {
            Some(Fate::Killed | Fate::Ended) => put_aside(&runs, name),
            Some(Fate::Alive | Fate::Unknown) | None => return Ok(Remaining::default()),
        }
    };
    let _alone = take(&home, REMOVAL)?;
    let connections = destroy(&runs, &rubbish);
    Ok(Remaining {
        directory: runs.ours(&rubbish).is_some(),
        connections,
    })
}

/// Sets killed runs aside at once, and of the others all but the latest. Never fails: a later run
/// tries again. The caller holds the turn lock.
pub(super) fn clear(home_of_all: &Path, kind: &str) {
    let Some((_, runs)) = runs_of(home_of_all, kind.as_ref()) else {
        return;
    };
    let mut all = runs.names();
    all.retain(|name| !is_rubbish(name) && runs.ours(name).is_some_and(|run| is_run(&run)));
    let old_count = all.len().saturating_sub(RUNS_KEPT_MAX);
    for (number, name) in all.iter().enumerate() {
        let Some(run) = runs.ours(name) else {
            continue;
        };
        match fate(&run) {
            Fate::Killed => drop(put_aside(&runs, name)),
            Fate::Ended if number < old_count => drop(put_aside(&runs, name)),
            // It may be alive: none of its processes may be killed.
            Fate::Unknown if number < old_count => {
                put_aside(&runs, name);
                run.lock_file(ENDED).ok();
            }
            Fate::Alive | Fate::Ended | Fate::Unknown => {}
        }
    }
}

/// The directory of a kind of run, and that of its runs, if only this user can write there.
fn runs_of(home_of_all: &Path, kind: &OsStr) -> Option<(RunsDirectory, RunsDirectory)> {
    let all = RunsDirectory::open(home_of_all)
        .ok()
        .filter(RunsDirectory::is_closed)?;
    let home = all.closed(kind)?;
    let runs = home.closed(RUNS.as_ref())?;
    Some((home, runs))
}

/// The removal of the rubbish of all runs, in the background: it can take long, and nothing depends
/// on it.
#[derive(Debug)]
pub(super) struct Removal {
    done: Mutex<Receiver<()>>,
}

impl Removal {
    /// Starts it.
    pub(super) fn start(home_of_all: &Path, kind: &str) -> Removal {
        let (done, wait) = mpsc::channel();
        let (home_of_all, kind) = (home_of_all.to_owned(), OsString::from(kind));
        std::thread::spawn(move || {
            remove_rubbish(&home_of_all, &kind);
            // If it took too long, the receiver is gone.
            done.send(()).ok();
        });
        Removal {
            done: Mutex::new(wait),
        }
    }

    /// Waits for its end, but not long.
    pub(super) fn wait(&self) {
        let done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        done.recv_timeout(REMOVAL_WAIT_MAX).ok();
    }
}

/// Removes the rubbish. If another run is doing that, waits for that run instead.
fn remove_rubbish(home_of_all: &Path, kind: &OsStr) {
    let Some((home, runs)) = runs_of(home_of_all, kind) else {
        return;
    };
    let rubbish = || {
        let names = runs.names().into_iter();
        names.filter(|name| is_rubbish(name) && runs.ours(name).is_some_and(|run| is_run(&run)))
    };
    if rubbish().next().is_none() {
        return;
    }
    if let Ok(_alone) = take(&home, REMOVAL) {
        rubbish().for_each(|name| drop(destroy(&runs, &name)));
    }
}

fn is_rubbish(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| name.starts_with(RUBBISH_PREFIX))
}

/// The name that a directory had as a run.
fn id(name: &OsStr) -> Option<&str> {
    let name = name.to_str()?;
    Some(name.strip_prefix(RUBBISH_PREFIX).unwrap_or(name))
}

/// Whether a directory of this user belongs to a run: it has a lock of this user or, if the run was
/// killed before it created one, a name such as `20261124-020115-0a1b2c`.
fn is_run(place: &RunsDirectory) -> bool {
    let has_lock = || {
        let metadata = place.look(LOCK).and_then(|lock| lock.metadata());
        metadata.is_ok_and(|metadata| directory_identity::is_mine(&metadata))
    };
    let name = place.path().file_name().and_then(id).unwrap_or_default();
    let parts: Vec<&str> = name.split('-').collect();
    let [date, time, suffix] = parts[..] else {
        return has_lock();
    };
    let is_number = |part: &str, len| part.len() == len && part.bytes().all(|byte| byte.is_ascii_digit());
    let is_suffix = !suffix.is_empty() && suffix.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_number(date, 8) && is_number(time, 6) && is_suffix || has_lock()
}

/// Renames the directory of a run to mark it as rubbish. Returns its present name; if it could not
/// be renamed, the old one.
fn put_aside(runs: &RunsDirectory, name: &OsStr) -> OsString {
    let mut rubbish = OsString::from(RUBBISH_PREFIX);
    rubbish.push(name);
    match runs.rename(name, &rubbish) {
        Ok(()) => rubbish,
        Err(_) => name.to_owned(),
    }
}

fn fate(run: &RunsDirectory) -> Fate {
    let ended = run.has(ENDED);
    match run.look(LOCK).map(|file| file.try_lock()) {
        Ok(Err(TryLockError::WouldBlock)) => Fate::Alive,
        _ if ended => Fate::Ended,
        Ok(Err(TryLockError::Error(_))) => Fate::Unknown,
        // Without a lock it was killed while it was being created.
        Ok(Ok(())) | Err(_) => Fate::Killed,
    }
}

/// Kills the processes of a killed run and removes all its files. Returns the connections to FUSE
/// servers that this process may not abort.
fn destroy(runs: &RunsDirectory, name: &OsStr) -> Vec<u32> {
    let Some(run) = runs.ours(name).filter(is_run) else {
        return Vec::new();
    };
    let mut connections = Vec::new();
    if let (Some(id), false) = (id(name), run.has(ENDED)) {
        let mark = format!("{RUN_ID}={id}");
        connections = abort_connections(&run, &mark);
        os::kill_all_with(&mark);
    }
    remove(runs, &run, name);
    connections
}

/// Aborts the connections of a run's tests before the tests are killed: a killed test no longer
/// shows which connections it serves, and may wait for one of them forever.
#[cfg(target_os = "linux")]
fn abort_connections(run: &RunsDirectory, mark: &str) -> Vec<u32> {
    let scratch = scratch_of(run).filter(Scratch::is_there);
    let proof = scratch.map_or(OwnershipProof::Nowhere, |scratch| {
        OwnershipProof::Below(scratch.path)
    });
    let processes = os::all_with(mark).into_iter().map(procfs::directory);
    fuse_connections::abort_all(proof, &processes.collect::<Vec<_>>())
}

/// Only Linux has such connections.
#[cfg(not(target_os = "linux"))]
fn abort_connections(_run: &RunsDirectory, _mark: &str) -> Vec<u32> {
    Vec::new()
}

/// Removes the directories of a run. The one whose lock names the other is removed last, so that a
/// later run can try again.
fn remove(runs: &RunsDirectory, run: &RunsDirectory, name: &OsStr) {
    let scratch = scratch_of(run).filter(Scratch::is_there);
    if scratch.is_none_or(|scratch| removed(&scratch.path, scratch.known.as_ref())) {
        runs.remove(name);
    }
}

/// Detaches the mounts in it, then removes it. If a mount cannot be detached, the files stay: they
/// may belong to another program.
fn removed(directory: &Path, known: Option<&Identity>) -> bool {
    removal::remove_ours(directory, known).ok();
    !directory_identity::is_ours_at(directory, known)
}

/// The scratch directory of a run, as its lock names it.
#[derive(Debug, PartialEq, Eq)]
struct Scratch {
    path: PathBuf,
    /// Its identity. Unknown if the run was killed before it wrote it, or was created by a version
    /// that did not write it. Then the owner decides: no other user can create a directory that
    /// this user owns.
    known: Option<Identity>,
}

impl Scratch {
    /// Whether it is still there, and is not something else with its name.
    fn is_there(&self) -> bool {
        directory_identity::is_ours_at(&self.path, self.known.as_ref())
    }
}

/// The scratch directory that an old run names, if it looks like one of ours. A file that another
/// user owns is ignored.
fn scratch_of(run: &RunsDirectory) -> Option<Scratch> {
    let lock = run.look(LOCK).ok()?;
    if !lock
        .metadata()
        .is_ok_and(|metadata| directory_identity::is_mine(&metadata))
    {
        return None;
    }
    let text = std::io::read_to_string(lock.take(LOCK_FILE_LEN_MAX + 1)).ok()?;
    if text.len() as u64 > LOCK_FILE_LEN_MAX {
        return None;
    }
    let (path, known) = match text.split_once('\n') {
        Some((path, rest)) => (path, rest.strip_suffix('\n').and_then(|line| line.parse().ok())),
        None => (&*text, None),
    };
    let path = PathBuf::from(path);
    let is_named_so = path.is_absolute() && path.file_name()?.to_str()?.starts_with(SCRATCH_PREFIX);
    is_named_so.then_some(Scratch { path, known })
}

#[cfg(test)]
mod tests;
