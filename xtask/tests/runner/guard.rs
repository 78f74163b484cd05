//! Records the processes and FUSE connections of a run and ends those that the run leaves behind.
//! It touches nothing else, because unrelated tests may run on the same machine.
#![cfg(target_os = "linux")]

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};

use super::support::{Running, mark, state, texts};

/// Time between two checks of the mounts of tests.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// The unique identity of a process: its id and its start time in kernel ticks.
type Identity = (i32, u64);

/// The known processes of a run. An exiting process has lost its environment and its command line,
/// so it is recognised only if it or its parent was seen before.
#[derive(Clone, Debug, Default)]
struct Seen {
    /// All processes that were checked, and whether they belong to the run.
    looked_at: BTreeMap<Identity, bool>,
}

impl Seen {
    /// Checks the new processes; `own` is the directory of the run.
    fn look(&mut self, own: &Path) {
        let mark = mark(own);
        let mut before = std::mem::take(&mut self.looked_at);
        for (process, parent) in identities() {
            // A process that did not belong to the run may have executed a program of the run.
            let was_own = before.remove(&process).is_some_and(|is_own| is_own);
            let is_own = was_own
                || self.own().any(|own| own == parent)
                || texts(process.0).iter().any(|text| text.contains(&mark));
            self.looked_at.insert(process, is_own);
        }
    }

    /// The run's processes that still exist, as directories in `/proc`, with their states.
    fn remaining(&self) -> Vec<String> {
        let now: BTreeSet<Identity> = identities().map(|(process, _)| process).collect();
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

    /// The processes of the run at the last check.
    fn own(&self) -> impl Iterator<Item = i32> {
        let own = self.looked_at.iter().filter(|(_, is_own)| **is_own);
        own.map(|((pid, _), _)| *pid)
    }
}

/// All processes that have not exited, each with the id of its parent.
fn identities() -> impl Iterator<Item = (Identity, i32)> {
    let processes = Path::new("/proc").read_dir().into_iter().flatten().flatten();
    processes.filter_map(|process| {
        let pid = process.file_name().to_str()?.parse().ok()?;
        let stat = std::fs::read(process.path().join("stat")).ok()?;
        let stat = String::from_utf8_lossy(&stat).into_owned();
        // After the name: the state is the first, the start the twentieth (proc_pid_stat(5)).
        let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
        // All its threads have ended, and its parent has not waited for it yet.
        let is_dead = fields.first() == Some(&"Z") && matches!(fields.get(17), Some(&("0" | "1")));
        if is_dead {
            return None;
        }
        let parent = fields.get(1)?.parse().ok()?;
        Some(((pid, fields.get(19)?.parse().ok()?), parent))
    })
}

/// The processes and connections of a run so far.
#[derive(Clone, Default)]
struct Sight {
    processes: Seen,
    /// Its connections, by their numbers.
    connections: BTreeMap<u32, Arc<Connection>>,
}

/// The kernel's files of a connection, held open: they still refer to this connection when another
/// one gets its number.
struct Connection {
    /// A write aborts the connection, and does nothing if it is gone.
    abort: OwnedFd,
    /// The number of requests that wait for its server.
    waiting: OwnedFd,
}

/// Ends what a broken runner leaves behind: connections of mounts below the directory of the run,
/// and no others. It records them continuously, because a mount whose directory was removed is in
/// no table any more, and an exiting process no longer shows to which run it belongs.
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
            let mut sight = Sight::default();
            while stopped.recv_timeout(LOOK_INTERVAL) == Err(mpsc::RecvTimeoutError::Timeout) {
                sight.look(&own);
                *locked(&shared) = sight.clone();
            }
        });
        Guard {
            place,
            sight,
            stop,
            looks: Some(looks),
        }
    }

    /// The processes and the connections of the run that still exist.
    pub(crate) fn left(&self) -> (Vec<String>, Vec<u32>) {
        let sight = locked(&self.sight).clone();
        // A mount name space made by an unrelated process has copies of all mounts, and keeps them.
        let copied = copied(&self.place, &sight.processes);
        let connections = sight.connections.iter();
        let left = connections.filter(|(number, connection)| {
            connection.is_there() && (!copied.contains(number) || connection.is_waited_for())
        });
        let numbers = left.map(|(number, _)| *number).collect();
        (sight.processes.remaining(), numbers)
    }

    /// The number of connections that the run has had.
    pub(crate) fn count(&self) -> usize {
        locked(&self.sight).connections.len()
    }
}

fn locked(sight: &Mutex<Sight>) -> MutexGuard<'_, Sight> {
    sight.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sight {
    fn look(&mut self, place: &Path) {
        self.processes.look(place);
        // Connections whose files can't be opened are skipped: they can't be aborted.
        let files = self
            .connections(place)
            .into_iter()
            .filter_map(|number| Some((number, Connection::open(number).ok()?)));
        // Before a file was opened, its number may have passed to another connection.
        let files: Vec<_> = files.collect();
        let still = self.connections(place);
        for (number, file) in files.into_iter().filter(|(number, _)| still.contains(number)) {
            let known = self.connections.get(&number);
            let is_new = known.is_none_or(|known| !known.is_there());
            if is_new {
                self.connections.insert(number, Arc::new(file));
            }
        }
    }
}

impl Sight {
    /// The connections of mounts below this directory, and those that processes of the run serve: a
    /// detached mount is in no table.
    fn connections(&self, place: &Path) -> BTreeSet<u32> {
        let mut numbers = connections(place);
        numbers.extend(self.processes.own().flat_map(served));
        numbers
    }
}

/// The connections that a process may serve (proc_pid_fdinfo(5)).
fn served(pid: i32) -> Vec<u32> {
    let descriptors = Path::new("/proc").join(pid.to_string()).join("fd").read_dir();
    let descriptors = descriptors.into_iter().flatten().flatten();
    let is_device = |path: &PathBuf| std::fs::read_link(path).is_ok_and(|to| to == Path::new("/dev/fuse"));
    let devices = descriptors.map(|entry| entry.path()).filter(is_device);
    let number = |path: PathBuf| {
        let about = path.parent()?.with_file_name("fdinfo").join(path.file_name()?);
        let about = std::fs::read_to_string(about).ok()?;
        let line = about
            .lines()
            .find_map(|line| line.strip_prefix("fuse_connection:"))?;
        line.trim().parse().ok()
    };
    devices.filter_map(number).collect()
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.stop.send(()).ok();
        self.looks.take().and_then(|looks| looks.join().ok());
        for connection in locked(&self.sight).connections.values() {
            rustix::io::write(&connection.abort, b"1").ok();
        }
    }
}

impl Connection {
    fn open(number: u32) -> rustix::io::Result<Connection> {
        let control = control()?;
        let open = |name, flags| {
            let name = format!("{number}/{name}");
            rustix::fs::openat(&control, name, flags | OFlags::CLOEXEC, Mode::empty())
        };
        Ok(Connection {
            abort: open("abort", OFlags::WRONLY)?,
            waiting: open("waiting", OFlags::RDONLY)?,
        })
    }

    /// Whether it still exists: the kernel removes its files together with it.
    fn is_there(&self) -> bool {
        let link = std::fs::read_link(format!("/proc/self/fd/{}", self.abort.as_raw_fd()));
        link.is_ok_and(|link| !link.to_string_lossy().ends_with(" (deleted)"))
    }

    fn is_waited_for(&self) -> bool {
        let mut text = [0; 20];
        let len = rustix::io::pread(&self.waiting, &mut text, 0).unwrap_or(0);
        text.iter().take(len).any(|byte| (b'1'..=b'9').contains(byte))
    }
}

/// The connections of mounts below this directory that processes outside of the run see, in name
/// spaces other than ours.
fn copied(place: &Path, seen: &Seen) -> BTreeSet<u32> {
    let namespace = |process: &Path| std::fs::read_link(process.join("ns/mnt")).ok();
    let ours = namespace(Path::new("/proc/self"));
    let is_stranger = |process: &PathBuf| {
        let name = process.file_name().and_then(|name| name.to_str());
        let pid = name.and_then(|name| name.parse().ok());
        pid.is_some_and(|pid: i32| seen.own().all(|own| own != pid)) && namespace(process) != ours
    };
    let processes = Path::new("/proc").read_dir().into_iter().flatten().flatten();
    let strangers = processes.map(|entry| entry.path()).filter(is_stranger);
    strangers.flat_map(|process| mounted(&process, place)).collect()
}

/// The connections of mounts below this directory, in all name spaces.
fn connections(place: &Path) -> BTreeSet<u32> {
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

/// The kernel's files of all connections, in a mount that no other process sees.
fn control() -> rustix::io::Result<OwnedFd> {
    let context = rustix::mount::fsopen("fusectl", FsOpenFlags::FSOPEN_CLOEXEC)?;
    rustix::mount::fsconfig_create(context.as_fd())?;
    rustix::mount::fsmount(
        context.as_fd(),
        FsMountFlags::FSMOUNT_CLOEXEC,
        MountAttrFlags::empty(),
    )
}

/// The threads of all fixture tests on this machine, as directories in `/proc`. Threads and not
/// processes, because the first thread of a process may have ended.
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
