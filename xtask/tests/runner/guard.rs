//! Sees which processes and FUSE connections a run has, ends what it leaves, and touches nothing
//! else: other tests of other people may run on the machine.
#![cfg(target_os = "linux")]

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};

use super::support::{Running, mark, state, texts};

/// Between two looks at what tests have mounted.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// A process, as no other one is: its id and its start in ticks of the kernel.
type Identity = (i32, u64);

/// The processes of a run that were seen. One that is ending has lost its environment and its
/// command line, so it can be found only if it was seen before.
#[derive(Debug, Default)]
struct Seen {
    /// All that were looked at, and whether they are of the run.
    looked_at: BTreeMap<Identity, bool>,
}

impl Seen {
    /// Looks at the processes that are new; `own` is the directory of the run.
    fn look(&mut self, own: &Path) {
        let mark = mark(own);
        let mut before = std::mem::take(&mut self.looked_at);
        for process in identities() {
            // What a process was started with can change only when it executes another program.
            let is_own = before.remove(&process).filter(|is_own| *is_own);
            let is_own = is_own.unwrap_or_else(|| texts(process.0).iter().any(|text| text.contains(&mark)));
            self.looked_at.insert(process, is_own);
        }
    }

    /// Those of the run that are there now, as directories in `/proc`, with their states.
    fn remaining(&self) -> Vec<String> {
        let now: BTreeSet<Identity> = identities().collect();
        let own = self.looked_at.iter().filter(|(_, is_own)| **is_own);
        let remaining = own.filter(|(process, _)| now.contains(process));
        remaining
            .map(|((pid, _), _)| {
                let directory = format!("/proc/{pid}");
                let name = std::fs::read_to_string(format!("{directory}/comm")).unwrap_or_default();
                format!(
                    "{directory} ({}) {}",
                    state(&directory).unwrap_or('?'),
                    name.trim()
                )
            })
            .collect()
    }

    /// Whether a process was of the run when it was seen.
    fn is_own(&self, pid: i32) -> bool {
        self.looked_at
            .iter()
            .any(|((id, _), is_own)| *id == pid && *is_own)
    }
}

/// All processes that have not ended.
fn identities() -> impl Iterator<Item = Identity> {
    let processes = Path::new("/proc").read_dir().into_iter().flatten().flatten();
    processes.filter_map(|process| {
        let pid = process.file_name().to_str()?.parse().ok()?;
        let stat = std::fs::read(process.path().join("stat")).ok()?;
        let stat = String::from_utf8_lossy(&stat).into_owned();
        // After the name: the state is the first, the start the twentieth (proc_pid_stat(5)).
        let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
        Some((pid, fields.get(19)?.parse().ok()?))
    })
}

/// What was seen of a run.
#[derive(Default)]
struct Sight {
    processes: Seen,
    /// What aborts the connections of mounts below its directory.
    aborts: BTreeMap<u32, OwnedFd>,
}

/// Ends what a runner that is broken leaves: connections of mounts below the directory of the run,
/// and no others. It looks for them all the time, as a mount whose directory is removed is in no
/// table any more, and a process that is ending does not show of which run it is.
pub(crate) struct Guard {
    pub(crate) place: PathBuf,
    sight: Arc<Mutex<Sight>>,
    stop: mpsc::Sender<()>,
    looks: Option<std::thread::JoinHandle<()>>,
}

impl Guard {
    pub(crate) fn of(running: &Running) -> Guard {
        let place = running.place().to_owned();
        let (stop, stopped) = mpsc::channel();
        let sight = Arc::new(Mutex::new(Sight::default()));
        let (own, shared) = (place.clone(), Arc::clone(&sight));
        let looks = std::thread::spawn(move || {
            while stopped.recv_timeout(LOOK_INTERVAL) == Err(mpsc::RecvTimeoutError::Timeout) {
                shared.lock().unwrap().look(&own);
            }
        });
        Guard {
            place,
            sight,
            stop,
            looks: Some(looks),
        }
    }

    /// The processes and the connections of the run that are still there.
    pub(crate) fn left(&self) -> (Vec<String>, Vec<u32>) {
        let sight = self.sight.lock().unwrap();
        let aborts = sight.aborts.iter().filter(|(_, file)| is_there(file));
        // A name space that a stranger makes has copies of all mounts.
        let copied = copied(&self.place, &sight.processes);
        let numbers = aborts.map(|(number, _)| *number);
        let numbers = numbers.filter(|number| !copied.contains(number)).collect();
        (sight.processes.remaining(), numbers)
    }
}

impl Sight {
    fn look(&mut self, place: &Path) {
        self.processes.look(place);
        // Without the right to open these files nothing can be aborted.
        let files = connections(place)
            .into_iter()
            .filter_map(|number| Some((number, abort(number).ok()?)));
        // A number may have become that of another connection before its file was opened.
        let files: Vec<_> = files.collect();
        let still = connections(place);
        for (number, file) in files.into_iter().filter(|(number, _)| still.contains(number)) {
            let is_new = self.aborts.get(&number).is_none_or(|known| !is_there(known));
            if is_new {
                self.aborts.insert(number, file);
            }
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.stop.send(()).ok();
        self.looks.take().and_then(|looks| looks.join().ok());
        for file in self.sight.lock().unwrap().aborts.values() {
            // It does nothing if the connection is gone.
            rustix::io::write(file, b"1").ok();
        }
    }
}

/// Whether the connection of such a file is still there: with it, the kernel removes the file.
fn is_there(abort: &OwnedFd) -> bool {
    let link = std::fs::read_link(format!("/proc/self/fd/{}", abort.as_raw_fd()));
    link.is_ok_and(|link| !link.to_string_lossy().ends_with(" (deleted)"))
}

/// The connections of mounts below this directory that processes see which are not of the run, in
/// name spaces other than ours.
fn copied(place: &Path, seen: &Seen) -> BTreeSet<u32> {
    let namespace = |process: &Path| std::fs::read_link(process.join("ns/mnt")).ok();
    let ours = namespace(Path::new("/proc/self"));
    let is_stranger = |process: &PathBuf| {
        let name = process.file_name().and_then(|name| name.to_str());
        let pid = name.and_then(|name| name.parse().ok());
        pid.is_some_and(|pid| !seen.is_own(pid)) && namespace(process) != ours
    };
    let processes = Path::new("/proc").read_dir().into_iter().flatten().flatten();
    let strangers = processes.map(|entry| entry.path()).filter(is_stranger);
    strangers.flat_map(|process| mounted(&process, place)).collect()
}

/// The connections of mounts below this directory, in whatever name space they are.
pub(crate) fn connections(place: &Path) -> BTreeSet<u32> {
    let threads = threads_of_tests().into_iter();
    threads.flat_map(|thread| mounted(&thread, place)).collect()
}

/// The connections of mounts below this directory that a process or a thread sees.
fn mounted(process: &Path, place: &Path) -> Vec<u32> {
    let own = place.display().to_string();
    let is_ours = |line: &&str| line.contains(&own) && line.contains(" - fuse ");
    let number = |line: &str| line.split(' ').nth(2)?.split_once(':')?.1.parse::<u32>().ok();
    let table = std::fs::read_to_string(process.join("mountinfo")).unwrap_or_default();
    table.lines().filter(is_ours).filter_map(number).collect()
}

/// What aborts a connection.
fn abort(number: u32) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    rustix::fs::openat(control()?, format!("{number}/abort"), flags, Mode::empty())
}

fn control() -> rustix::io::Result<OwnedFd> {
    let context = rustix::mount::fsopen("fusectl", FsOpenFlags::FSOPEN_CLOEXEC)?;
    rustix::mount::fsconfig_create(context.as_fd())?;
    rustix::mount::fsmount(
        context.as_fd(),
        FsMountFlags::FSMOUNT_CLOEXEC,
        MountAttrFlags::empty(),
    )
}

/// The threads of all tests of fixtures that run on the machine, as directories in `/proc`: the
/// first one of a process may have ended.
pub(crate) fn threads_of_tests() -> Vec<PathBuf> {
    let entries = |path: &Path| {
        path.read_dir()
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
    };
    let is_test = |process: &PathBuf| {
        let name = std::fs::read_to_string(process.join("comm"));
        name.is_ok_and(|name| name.starts_with("suite-"))
    };
    let tests = entries(Path::new("/proc")).filter(is_test);
    tests
        .flat_map(|process| entries(&process.join("task")).collect::<Vec<_>>())
        .collect()
}
