//! Ends the wait of threads that cannot be killed: they wait for an answer of the test's own FUSE
//! server, which is dead.
//!
//! A process closes its descriptors in ascending order when it exits. If it served a mount and has
//! a file of that mount at a lower descriptor than `/dev/fuse`, closing the file sends a request to
//! itself and waits forever. So a connection is aborted when an exiting thread has waited for some
//! time, and no living process of the test could still answer.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::bounded::bounded;
use super::processes::{self, Process, Thread};
use crate::base::clock;
use crate::base::fuse_connections::{self, Connections, Number, OwnershipProof};
use crate::base::limits::{
    ANSWER_TIME_MAX, FORCE_PLACES_MAX, FORCE_TIMEOUT, FORCE_TRIES_MAX, FORCES_HUNG_MAX, OTHER_TIME_MAX,
    WAITERS_REPORTED_MAX,
};
use crate::base::os::Pid;
use crate::base::procfs;
use crate::report::data::Leak;
use crate::report::kinds::LeakKind;

/// A thread that waited too long, for people.
#[derive(Debug)]
struct Late {
    /// The connections that it can wait for, each with one place where it is or was mounted.
    connections: Vec<(Number, Option<PathBuf>)>,
    /// The thread, and where it waited.
    what: String,
}

/// The work that helps one test to exit.
#[derive(Debug)]
pub(super) struct Rescue {
    connections: Connections,
    /// Exiting threads that wait, by their ids, with the start of the wait.
    waiting: BTreeMap<Pid, Instant>,
    reported: BTreeSet<Pid>,
    late: Vec<Late>,
    /// For each connection with an attempt, whether it was aborted.
    aborted: BTreeMap<Number, bool>,
    /// How often each connection has been unmounted by force.
    tries: BTreeMap<Number, usize>,
    /// How many children hung while they unmounted by force.
    hung: usize,
}

impl Rescue {
    /// `proof` identifies the connections of the test.
    pub(super) fn new(proof: OwnershipProof) -> Rescue {
        Rescue {
            connections: Connections::new(proof),
            waiting: BTreeMap::new(),
            reported: BTreeSet::new(),
            late: Vec::new(),
            aborted: BTreeMap::new(),
            tries: BTreeMap::new(),
            hung: 0,
        }
    }

    /// Records the current mounts, and the connections that these processes serve: a mount may be
    /// detached and still be in use later.
    pub(super) fn see_mounts(&mut self, tree: &[Process]) {
        self.connections.see();
        self.see_servers(tree);
    }

    /// Records the connections that these processes serve; after they exit, that is no longer
    /// visible.
    pub(super) fn see_servers(&mut self, tree: &[Process]) {
        let directories: Vec<PathBuf> = tree.iter().flat_map(Process::directories).collect();
        self.connections.see_held(&directories);
    }

    /// To be called repeatedly while these processes are exiting. Returns whether connections were
    /// aborted.
    pub(super) fn look(&mut self, tree: &[Process]) -> bool {
        let now = clock::now();
        let waiting: Vec<Thread> = tree.iter().flat_map(Thread::ending_and_waiting).collect();
        let since = |thread: &Thread| (thread.id, self.waiting.get(&thread.id).copied().unwrap_or(now));
        self.waiting = waiting.iter().map(since).collect();
        let is_late = |thread: &&Thread| {
            let since = self.waiting.get(&thread.id).copied().unwrap_or(now);
            now.saturating_duration_since(since) >= patience(thread)
        };
        let late: Vec<&Thread> = waiting.iter().filter(is_late).collect();
        !late.is_empty() && self.release(tree, &late)
    }

    /// Aborts the connections that these threads may wait for.
    fn release(&mut self, tree: &[Process], late: &[&Thread]) -> bool {
        self.connections.see();
        let directories = late.iter().map(|thread| thread.directory.as_path());
        directories.for_each(|thread| self.connections.see_from(thread));
        self.see_servers(tree);
        let living = servers_that_live(tree);
        let is_dead = |number: &Number| !living.contains(&Some(*number)) && !living.contains(&None);
        let numbers = self.connections.known().map(|(number, _)| number);
        let dead: Vec<Number> = numbers.filter(is_dead).collect();
        if dead.is_empty() {
            return false;
        }
        self.describe(late, &dead);
        for number in dead {
            let is_done = self.connections.abort(number) || self.force(number, late);
            *self.aborted.entry(number).or_default() |= is_done;
        }
        // A thread that waits for one of these gets the same time.
        self.waiting.clear();
        true
    }

    /// Tries it in a child, because the path may hang: from this namespace, and from those of the
    /// waiting threads. Returns whether it succeeded.
    fn force(&mut self, number: Number, late: &[&Thread]) -> bool {
        let tries = self.tries.entry(number).or_default();
        *tries += 1;
        if *tries > FORCE_TRIES_MAX {
            return false;
        }
        let here = std::iter::once(None);
        let there = late.iter().map(|thread| Some(thread.directory.as_path()));
        here.chain(there.take(FORCE_PLACES_MAX))
            .any(|place| self.force_from(place, number))
    }

    /// The same from one namespace: that of this thread, or our own.
    fn force_from(&mut self, thread: Option<&Path>, number: Number) -> bool {
        if self.hung >= FORCES_HUNG_MAX {
            return false;
        }
        let proof = self.connections.proof();
        let done = bounded(FORCE_TIMEOUT, || {
            let is_there = thread.is_none_or(|thread| enter(thread).is_ok());
            vec![u8::from(is_there && fuse_connections::force(proof, number))]
        });
        self.hung += usize::from(done.is_none());
        done.is_some_and(|done| done == [1])
    }

    /// Records what to report of these threads, each only once.
    fn describe(&mut self, late: &[&Thread], dead: &[Number]) {
        let known = self.connections.known();
        let known: Vec<(Number, Vec<&Path>)> = known.filter(|(number, _)| dead.contains(number)).collect();
        let room = WAITERS_REPORTED_MAX.saturating_sub(self.reported.len());
        let new = late.iter().filter(|thread| !self.reported.contains(&thread.id));
        let new = new.filter_map(|thread| Some((thread.id, Late::of(thread, &known)?)));
        let new: Vec<(Pid, Late)> = new.take(room).collect();
        for (id, late) in new {
            self.reported.insert(id);
            self.late.push(late);
        }
    }

    /// Aborts all remaining mounts of the finished test: the path to another mount may lead through
    /// them.
    pub(super) fn end_mounts(&mut self) {
        for number in self.connections.abort_mounted() {
            let is_done = self.force(number, &[]);
            *self.aborted.entry(number).or_default() |= is_done;
        }
    }

    /// The connections that were aborted so far, and for which threads.
    pub(super) fn take_leaks(&mut self) -> Vec<Leak> {
        let late = std::mem::take(&mut self.late).into_iter();
        late.map(|late| late.leak(&self.aborted)).collect()
    }
}

/// How long a thread may wait.
fn patience(thread: &Thread) -> Duration {
    if thread.waits_for_fuse() {
        ANSWER_TIME_MAX
    } else {
        OTHER_TIME_MAX
    }
}

/// The connections served by processes that are not exiting: those of this tree, and any others
/// below this process. `None` among them stands for an unknown connection; for processes outside
/// the tree it does not count.
fn servers_that_live(tree: &[Process]) -> BTreeSet<Option<Number>> {
    let served = |processes: &[Process]| -> BTreeSet<Option<Number>> {
        let living = processes.iter().filter_map(Process::living_thread);
        living
            .flat_map(|thread| fuse_connections::held(&thread))
            .collect()
    };
    let mut found = served(&processes::descendants(std::process::id()));
    found.remove(&None);
    found.extend(served(tree));
    found
}

impl Late {
    /// `None` if it does not wait for one of these connections: it may wait for a disk.
    fn of(thread: &Thread, known: &[(Number, Vec<&Path>)]) -> Option<Late> {
        let file = thread.file();
        let is_on = |points: &[&Path]| {
            let file = file.as_ref();
            file.is_some_and(|file| points.iter().any(|point| file.starts_with(point)))
        };
        let is_known = known.iter().any(|(_, points)| is_on(points));
        let waits_for_pages = thread.waits_for_pages() && (is_known || file.is_none());
        if !thread.waits_for_fuse() && !waits_for_pages {
            return None;
        }
        let connections = known.iter().filter(|(_, points)| !is_known || is_on(points));
        let connections = connections.map(|(number, points)| (*number, points.first().map(PathBuf::from)));
        let connections = connections.collect();
        let file = file.map(|file| format!(" for `{}`", file.display()));
        let what = format!(
            "{thread} waited in {}{}, and the server had ended",
            thread.place,
            file.unwrap_or_default()
        );
        Some(Late { connections, what })
    }

    /// With the result for each connection.
    fn leak(self, aborted: &BTreeMap<Number, bool>) -> Leak {
        let mounts = self.connections.iter().map(|(number, point)| match point {
            Some(point) => format!("`{}` (connection {number})", point.display()),
            None => format!("connection {number}, mounted nowhere"),
        });
        let mounts: Vec<String> = mounts.collect();
        let numbers = self.connections.iter().map(|(number, _)| number);
        let resist = numbers.filter(|number| aborted.get(number) != Some(&true));
        let mut outcomes: Vec<String> = resist
            .map(|number| {
                format!(
                    "connection {number} could not be aborted; root can, by writing 1 to \
                     `/sys/fs/fuse/connections/{number}/abort`"
                )
            })
            .collect();
        if outcomes.is_empty() {
            outcomes.push("the connection was aborted".to_owned());
        }
        let (mounts, outcomes) = (mounts.join(" or "), outcomes.join("; "));
        Leak::new(LeakKind::Stuck, format!("{mounts}: {}; {outcomes}", self.what))
    }
}

/// Moves this process, which has one thread, into the mount namespace of another one.
fn enter(thread: &Path) -> std::io::Result<()> {
    // Entering changes the current directory, from which `/proc` is read.
    procfs::hold()?;
    let (here, namespaces) = (File::open(".")?, thread_from_held(thread).join("ns"));
    let [user, mounts] = ["user", "mnt"].map(|name| File::open(namespaces.join(name)));
    // Fails if it is our own user namespace; otherwise it gives the right to do the rest.
    move_into_link_name_space(user?.as_fd(), Some(LinkNameSpaceType::User)).ok();
    move_into_link_name_space(mounts?.as_fd(), Some(LinkNameSpaceType::Mount))?;
    Ok(rustix::process::fchdir(here)?)
}

/// The directory of a thread, relative to `/proc`.
fn thread_from_held(thread: &Path) -> PathBuf {
    thread.strip_prefix("/proc").unwrap_or(thread).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a thread is reported that waits there, in a read of this file.
    fn is_told(place: &str, file: &str) -> bool {
        let directory = tempfile::tempdir().unwrap();
        let call = format!("{} 0x3 0x0", libc::SYS_read);
        std::fs::write(directory.path().join("syscall"), call).unwrap();
        std::fs::create_dir(directory.path().join("fd")).unwrap();
        std::os::unix::fs::symlink(file, directory.path().join("fd/3")).unwrap();
        let thread = Thread::waiting_in(place, directory.path().to_owned());
        let known = [(39, vec![Path::new("/tmp/xt-a/3/mount")])];
        Late::of(&thread, &known).is_some()
    }

    #[test]
    fn a_thread_that_waits_for_a_page_of_another_file_system_is_not_stuck_in_its_own_mount() {
        assert!(is_told("folio_wait_bit_common", "/tmp/xt-a/3/mount/file"));
        assert!(!is_told("folio_wait_bit_common", "/home/me/file"));
        assert!(is_told("request_wait_answer", "/home/me/file"));
        assert!(!is_told("jbd2_log_wait_commit", "/tmp/xt-a/3/mount/file"));
    }

    #[test]
    fn the_result_for_each_connection_is_reported_at_the_end() {
        let late = |number: Number| Late {
            connections: vec![(number, Some("/tmp/xt-a/3/mount".into()))],
            what: "thread 7 waited".to_owned(),
        };
        let aborted = BTreeMap::from([(39, true), (40, false)]);
        let leak = |number| late(number).leak(&aborted).what;
        assert_eq!(
            leak(39),
            "`/tmp/xt-a/3/mount` (connection 39): thread 7 waited; the connection was aborted"
        );
        assert!(leak(40).ends_with(
            "connection 40 could not be aborted; root can, by writing 1 to `/sys/fs/fuse/connections/40/abort`"
        ));
    }
}
