//! What earlier runs left behind: who of them is alive, who was killed, and what goes.
//!
//! A run holds a lock for as long as it lives, which the kernel releases however it dies; one that comes to its end says
//! so in a file. So age decides nothing: a run without a lock and without that file was killed, and all of it goes at
//! once, also what its tests still have mounted or running. Of runs that ended the latest are kept, for a person to look.
//!
//! Another user who may write here or to `TMPDIR` can replace what a run made. So only what this
//! user owns is touched, and only the temporary directory that the lock of the run identifies is
//! removed.
//!
//! What goes is only renamed while others wait, and is removed in the background; where that does not come to its end,
//! the name says to a later run what it is.

use std::fs::{File, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;

use super::RUN_ID;
use crate::base::directory_identity::{self, Identity};
#[cfg(target_os = "linux")]
use crate::base::fuse_connections::{self, Ground};
use crate::base::lock_file;
use crate::base::os;
#[cfg(target_os = "linux")]
use crate::base::procfs;
use crate::sandbox::removal;

/// Directories of so many ended runs are kept.
pub(super) const RUNS_KEPT: usize = 10;

/// How the names of the temporary directories of all runs begin.
pub(super) const SCRATCH_PREFIX: &str = "xt-";

/// The file that a live run holds locked. Its first line is the path of the run's temporary
/// directory. Its second line is the identity of that directory, written when it was made.
const LOCK: &str = "lock";

/// In bytes. It has a path and three numbers.
const LOCK_LEN_MAX: u64 = 8 * 1024;

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
    let file = lock_file::open(&path).with_context(|| format!("could not create `{}`", path.display()))?;
    // A file system without locks: then nobody is ever taken for killed, and removing twice harms nobody.
    file.lock()
        .or_else(|error| unless_unsupported(error, ()))
        .with_context(|| format!("could not lock `{}`", path.display()))?;
    Ok(file)
}

/// From here on the run in this directory is alive.
pub(super) fn lock(run: &Path, scratch: &Path) -> std::io::Result<File> {
    let mut file = lock_file::create_new(&run.join(LOCK))?;
    file.write_all(scratch.as_os_str().as_encoded_bytes())?;
    // Whoever looks whether we are alive holds it for a moment.
    match file.lock() {
        Ok(()) => Ok(file),
        Err(error) => unless_unsupported(error, file),
    }
}

/// Writes the identity of the temporary directory to the lock.
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
    /// Something else that has the path of its temporary directory.
    pub(crate) stranger: Option<PathBuf>,
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
    /// Another user owns the run, so they stay.
    Foreign,
}

/// What runs of all kinds have left below `target/xtask`; not what belongs to runs that go on, or may.
pub(crate) fn find(home_of_all: &Path) -> Vec<Leftover> {
    let homes = directories(home_of_all);
    let runs = homes.iter().flat_map(|home| directories(&home.join("runs")));
    runs.filter_map(|run| {
        let state = match is_ours(&run, None) {
            false => State::Foreign,
            true if is_rubbish(&run) => State::Rubbish,
            true => match fate(&run) {
                Fate::Killed => State::Killed,
                Fate::Ended => State::Kept,
                Fate::Alive | Fate::Unknown => return None,
            },
        };
        let (scratch, stranger) = match scratch_of(&run).filter(|_| state != State::Foreign) {
            Some(scratch) if scratch.is_there() => (Some(scratch.path), None),
            Some(scratch) => (
                None,
                scratch.path.symlink_metadata().is_ok().then_some(scratch.path),
            ),
            None => (None, None),
        };
        Some(Leftover {
            run,
            scratch,
            stranger,
            state,
        })
    })
    .collect()
}

/// What remains of a run that was to be taken away.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Remaining {
    /// Whether its directory does.
    pub(crate) directory: bool,
    /// The connections to FUSE servers that this process may not abort.
    pub(crate) connections: Vec<u32>,
}

/// Ends, unmounts and removes all that is left of one run. Returns what of it remains.
///
/// # Errors
/// When other runs cannot be kept waiting meanwhile.
pub(crate) fn take_away(leftover: &Leftover) -> anyhow::Result<Remaining> {
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
            Fate::Alive | Fate::Unknown => return Ok(Remaining::default()),
        }
    };
    let _alone = take(home, REMOVAL)?;
    let connections = bury(&rubbish);
    Ok(Remaining {
        directory: rubbish.exists(),
        connections,
    })
}

/// Puts killed runs aside at once, and of the others all but the latest. Never fails: what cannot be put aside today can
/// be tomorrow. To be called with the turn taken.
pub(super) fn clear(runs: &Path) {
    let mut all = directories(runs);
    all.retain(|run| !is_rubbish(run) && is_ours(run, None));
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
    let rubbish = || {
        let all = directories(&runs).into_iter();
        all.filter(|run| is_rubbish(run) && is_ours(run, None))
    };
    if rubbish().next().is_none() {
        return;
    }
    if let Ok(_alone) = take(home, REMOVAL) {
        rubbish().for_each(|run| drop(bury(&run)));
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

/// The directories in this one, in the order of their names; no links.
fn directories(path: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    let directories = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let mut found: Vec<PathBuf> = directories.map(|entry| entry.path()).collect();
    found.sort();
    found
}

/// Whether there is a directory of this user, and the known one, if it is known.
fn is_ours(path: &Path, known: Option<&Identity>) -> bool {
    path.symlink_metadata()
        .is_ok_and(|metadata| directory_identity::is_ours(&metadata, known))
}

fn fate(run: &Path) -> Fate {
    let ended = run.join(ENDED).exists();
    match lock_file::look(&run.join(LOCK)).map(|file| file.try_lock()) {
        Ok(Err(TryLockError::WouldBlock)) => Fate::Alive,
        _ if ended => Fate::Ended,
        Ok(Err(TryLockError::Error(_))) => Fate::Unknown,
        // Without a lock it was killed while it was being made.
        Ok(Ok(())) | Err(_) => Fate::Killed,
    }
}

/// Ends what a killed run has still running, and removes all its files. Returns the connections to
/// FUSE servers that this process may not abort.
fn bury(run: &Path) -> Vec<u32> {
    let mut connections = Vec::new();
    let name = run.file_name().and_then(|name| name.to_str());
    if let (Some(name), false) = (name, run.join(ENDED).exists()) {
        let id = name.strip_prefix(RUBBISH_PREFIX).unwrap_or(name);
        let mark = format!("{RUN_ID}={id}");
        connections = abort_connections(run, &mark);
        os::kill_all_with(&mark);
    }
    remove(run);
    connections
}

/// Aborts the connections of a run's tests before these are killed: a killed test no longer shows
/// which ones it serves, and may wait for one of them for ever.
#[cfg(target_os = "linux")]
fn abort_connections(run: &Path, mark: &str) -> Vec<u32> {
    let scratch = scratch_of(run).filter(Scratch::is_there);
    let ground = scratch.map_or(Ground::Nowhere, |scratch| Ground::Below(scratch.path));
    let processes = os::all_with(mark).into_iter().map(procfs::directory);
    fuse_connections::abort_all(ground, &processes.collect::<Vec<_>>())
}

/// Only Linux has them.
#[cfg(not(target_os = "linux"))]
fn abort_connections(_run: &Path, _mark: &str) -> Vec<u32> {
    Vec::new()
}

/// Removes the directories of a run. The one that names the other goes only after it, so that a later run can try again.
fn remove(run: &Path) {
    let scratch = scratch_of(run).filter(Scratch::is_there);
    if scratch.is_none_or(|scratch| removed(&scratch.path, scratch.known.as_ref())) {
        removed(run, None);
    }
}

/// Detaches what is mounted in it, then removes it. Where a mount resists, the files stay: they may be somebody's.
fn removed(directory: &Path, known: Option<&Identity>) -> bool {
    removal::remove_ours(directory, known).ok();
    !is_ours(directory, known)
}

/// The temporary directory of a run, as its lock names it.
#[derive(Debug, PartialEq, Eq)]
struct Scratch {
    path: PathBuf,
    /// Its identity. Unknown if the run was killed before it wrote it, or was made by a version
    /// that did not write it. Then the owner decides: no other user can make a directory that this
    /// user owns.
    known: Option<Identity>,
}

impl Scratch {
    /// Whether it is still there, and not something else of its name.
    fn is_there(&self) -> bool {
        is_ours(&self.path, self.known.as_ref())
    }
}

/// The temporary directory that an old run names, if it looks like one of ours. What another user
/// has written is not believed.
fn scratch_of(run: &Path) -> Option<Scratch> {
    let lock = lock_file::look(&run.join(LOCK)).ok()?;
    if !lock
        .metadata()
        .is_ok_and(|metadata| directory_identity::is_mine(&metadata))
    {
        return None;
    }
    let text = std::io::read_to_string(lock.take(LOCK_LEN_MAX)).ok()?;
    let (path, known) = match text.split_once('\n') {
        Some((path, rest)) => (path, rest.strip_suffix('\n').and_then(|line| line.parse().ok())),
        None => (&*text, None),
    };
    let path = PathBuf::from(path);
    let is_named_so = path.is_absolute() && path.file_name()?.to_str()?.starts_with(SCRATCH_PREFIX);
    is_named_so.then_some(Scratch { path, known })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The directories of a run: below `runs`, and its temporary one, whose identity the lock does
    /// not have.
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
        std::fs::remove_file(alive.0.join(LOCK)).unwrap();
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
        let found = |run| scratch_of(run).map(|scratch| scratch.path);
        assert_eq!(found(&run), Some(scratch));
        for other in ["/home", "xt-relative", ""] {
            std::fs::write(run.join(LOCK), other).unwrap();
            assert_eq!(found(&run), None, "{other}");
        }
    }

    #[test]
    fn what_took_the_name_of_a_temporary_directory_stays() {
        let all = tempfile::tempdir().unwrap();
        let home = all.path().join("test");
        let (run, scratch) = run(&home, "1");
        std::fs::remove_file(run.join(LOCK)).unwrap();
        record(&lock(&run, &scratch).unwrap(), &scratch).unwrap();
        assert!(scratch_of(&run).unwrap().is_there());
        std::fs::rename(&scratch, home.join("moved")).unwrap();
        std::fs::create_dir(&scratch).unwrap();
        let found = find(all.path());
        assert_eq!(
            [&found[0].scratch, &found[0].stranger],
            [&None, &Some(scratch.clone())]
        );
        assert_eq!(take_away(&found[0]).unwrap(), Remaining::default());
        assert!(!run.exists() && scratch.exists() && home.join("moved").exists());
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_no_run_and_no_lock() {
        let all = tempfile::tempdir().unwrap();
        let home = all.path().join("test");
        let outside = all.path().join("outside");
        std::fs::write(&outside, "mine").unwrap();
        std::fs::create_dir_all(home.join("runs")).unwrap();
        std::os::unix::fs::symlink(all.path(), home.join("runs/1")).unwrap();
        std::os::unix::fs::symlink(&outside, home.join(TURN)).unwrap();
        assert_eq!(find(all.path()), []);
        clear(&home.join("runs"));
        assert!(home.join("runs/1").exists() && take_turn(&home).is_err());
        assert_eq!(std::fs::read_to_string(outside).unwrap(), "mine");
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_can_hold_a_lock_of_ours() {
        use std::os::unix::fs::PermissionsExt;
        let home = tempfile::tempdir().unwrap();
        let home = home.path();
        // Versions before this one let others open it.
        std::fs::write(home.join(TURN), "").unwrap();
        std::fs::set_permissions(home.join(TURN), std::fs::Permissions::from_mode(0o644)).unwrap();
        let _held = [take(home, TURN).unwrap(), take(home, REMOVAL).unwrap()];
        let _alive = lock(home, home).unwrap();
        for name in [TURN, REMOVAL, LOCK] {
            let mode = home.join(name).metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_in_the_place_of_a_lock_is_not_waited_for() {
        use rustix::fs::{CWD, FileType, mknodat};
        let all = tempfile::tempdir().unwrap();
        let home = all.path().join("test");
        let (run, _) = run(&home, "1");
        std::fs::remove_file(run.join(LOCK)).unwrap();
        for pipe in [run.join(LOCK), home.join(TURN)] {
            mknodat(CWD, &pipe, FileType::Fifo, 0o600.into(), 0).unwrap();
        }
        assert_eq!((find(all.path()).len(), scratch_of(&run)), (1, None));
        assert!(take_turn(&home).is_err());
    }

    #[cfg(unix)]
    #[test]
    #[ignore = "needs root"]
    fn root_leaves_what_another_user_has_put_where_a_run_was() {
        let all = tempfile::tempdir().unwrap();
        let home = all.path().join("test");
        let theirs = run(&home, "1");
        let ours = run(&home, "2");
        for path in [&theirs.0, &theirs.1, &ours.1] {
            std::os::unix::fs::chown(path, Some(65534), None).unwrap();
        }
        let found = find(all.path());
        assert_eq!([State::Foreign, State::Killed], [found[0].state, found[1].state]);
        assert_eq!(found[1].stranger.as_ref(), Some(&ours.1));
        clear(&home.join("runs"));
        Removal::start(&home).wait();
        assert!(theirs.0.exists() && theirs.1.exists() && ours.1.exists());
        assert!(!ours.0.exists());
    }

    #[cfg(unix)]
    #[test]
    #[ignore = "needs root"]
    fn root_does_not_believe_a_lock_that_another_user_has_written() {
        let home = tempfile::tempdir().unwrap();
        let (run, scratch) = run(home.path(), "1");
        assert!(scratch_of(&run).is_some_and(|found| found.path == scratch));
        std::os::unix::fs::chown(run.join(LOCK), Some(65534), None).unwrap();
        assert_eq!(scratch_of(&run), None);
    }
}
