//! The work of one pull, shared by its lanes.
//!
//! Owns which ranges are still to be fetched, and the outcome of each file. A unit that a broken
//! lane did not finish comes back, and another lane fetches it. A file is published exactly once,
//! when its last group has been verified. What has arrived of a file that the pull can't end,
//! because it was cancelled or there is no lane, stays in its part file.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::Progress;
use super::protocol::Refusal;
use crate::catalog::ContentId;
use crate::limits::{CORRUPT_GROUPS_MAX, REQUEST_GROUPS_MAX};
use crate::session::SessionError;
use crate::session::blocking::LaneCloser;
use crate::store::{Attributes, Destination, Outline, PartFile, Published, StoreError, group_count};

/// One file to be pulled.
#[derive(Debug)]
pub(crate) struct FileJob {
    pub(crate) content: ContentId,
    pub(crate) destination: Destination,
    pub(crate) attributes: Attributes,
}

/// Why one file could not be pulled.
#[derive(Debug)]
pub(crate) enum FileFailure {
    /// The holder refused.
    Refused(Refusal),
    /// Too often the bytes that the holder sent were not those of the catalog.
    Corrupt,
    /// The file could not be written here.
    Store(StoreError),
    /// There was no lane to the holder. The first such file has the reason.
    Unreachable(Option<SessionError>),
}

/// The outcome of one file: where it is and its outline, or why it failed.
pub(crate) type Outcome = Result<(Published, Outline), FileFailure>;

/// The work of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// The outline of a file.
    Outline {
        /// Index of the file.
        file: usize,
    },
    /// Some groups of a file.
    Groups {
        /// Index of the file.
        file: usize,
        /// Index of the first group.
        first: u64,
        /// How many groups.
        count: u64,
    },
}

/// One file of a pull, and its progress.
#[derive(Debug)]
pub(crate) struct FileState {
    pub(crate) job: FileJob,
    outline: Mutex<Option<Arc<Outline>>>,
    part: Mutex<Option<Arc<PartFile>>>,
    left_behind: AtomicBool,
    groups_left: AtomicU64,
    corrupt: AtomicU32,
    settled: AtomicBool,
    outcome: Mutex<Option<Result<Published, FileFailure>>>,
}

/// Identifies a handle that was lent to a queue.
#[derive(Debug)]
pub(crate) struct Lent(usize);

/// All files of a pull.
#[derive(Debug)]
pub(crate) struct Queue {
    files: Vec<FileState>,
    state: Mutex<State>,
    wake: Condvar,
    progress: Progress,
}

#[derive(Debug, Default)]
struct State {
    units: VecDeque<Unit>,
    unsettled: usize,
    cancelled: bool,
    closers: HashMap<usize, LaneCloser>,
    lent_count: usize,
}

impl Queue {
    /// The queue for pulling `jobs`.
    pub(crate) fn new(jobs: Vec<FileJob>, progress: Progress) -> Self {
        let files: Vec<_> = jobs.into_iter().map(FileState::new).collect();
        progress.expect(
            files.len() as u64,
            files.iter().map(|file| file.job.content.len).sum(),
        );
        let units = files
            .iter()
            .enumerate()
            .map(|(file, state)| match group_count(state.job.content.len) {
                1 => Unit::Groups {
                    file,
                    first: 0,
                    count: 1,
                },
                _ => Unit::Outline { file },
            });
        let state = State {
            units: units.collect(),
            unsettled: files.len(),
            ..State::default()
        };
        Self {
            files,
            state: Mutex::new(state),
            wake: Condvar::new(),
            progress,
        }
    }

    /// The counters of this pull.
    pub(crate) fn progress(&self) -> &Progress {
        &self.progress
    }

    /// How many lanes can be busy at once, as far as known.
    pub(crate) fn width(&self) -> usize {
        let groups: u64 = self
            .files
            .iter()
            .map(|file| group_count(file.job.content.len))
            .sum();
        usize::try_from(groups.div_ceil(REQUEST_GROUPS_MAX))
            .unwrap_or(usize::MAX)
            .max(self.files.len().min(2))
    }

    /// How many files.
    pub(crate) fn count(&self) -> usize {
        self.files.len()
    }

    /// The file with that index.
    pub(crate) fn file(&self, index: usize) -> Option<&FileState> {
        self.files.get(index)
    }

    /// The next unit, if one is ready.
    pub(crate) fn take(&self) -> Option<Unit> {
        let mut state = lock(&self.state);
        if state.cancelled {
            return None;
        }
        while let Some(unit) = state.units.pop_front() {
            if !self.is_moot(unit) {
                return Some(unit);
            }
        }
        None
    }

    /// The next unit; waits while other lanes may still bring one. `None` when all files are
    /// settled.
    pub(crate) fn wait(&self) -> Option<Unit> {
        let mut state = lock(&self.state);
        loop {
            if state.cancelled || state.unsettled == 0 {
                return None;
            }
            match state.units.pop_front() {
                Some(unit) if self.is_moot(unit) => {}
                Some(unit) => return Some(unit),
                None => state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// Gives back units that a lane could not finish; they are the next to be taken.
    pub(crate) fn give_back(&self, units: impl DoubleEndedIterator<Item = Unit>) {
        let mut state = lock(&self.state);
        for unit in units.rev() {
            state.units.push_front(unit);
        }
        self.wake.notify_all();
    }

    /// Accepts the outline of a file. The file's ranges can be fetched from now on.
    pub(crate) fn outlined(&self, index: usize, outline: Outline) {
        self.outlined_but(index, outline, &HashSet::new());
    }

    /// The same for a file whose groups `written` are in its part file already.
    pub(crate) fn outlined_but(&self, index: usize, outline: Outline, written: &HashSet<u64>) {
        let Some(file) = self.file(index) else { return };
        if !file.accept_outline(outline) {
            return;
        }
        let missing = (0..group_count(file.job.content.len)).filter(|group| !written.contains(group));
        self.give_back(units_of(index, missing).into_iter());
    }

    /// Accepts the outline of a file that was copied on this machine; nothing of it needs to be
    /// fetched.
    pub(crate) fn adopt_outline(&self, index: usize, outline: Outline) {
        if let Some(file) = self.file(index) {
            // This fails if a lane fetched it already; then both are the same.
            file.accept_outline(outline);
        }
    }

    /// Notes that a verified group was written. Returns `true` for the last one of its file.
    pub(crate) fn group_written(&self, index: usize, len: u64) -> bool {
        self.progress.verified(len);
        self.file(index)
            .is_some_and(|file| file.groups_left.fetch_sub(1, Ordering::AcqRel) == 1)
    }

    /// Notes that a group had the wrong hash. If that happens too often, the file fails.
    pub(crate) fn group_corrupt(&self, unit: Unit) {
        let corrupt = self
            .file(unit.file())
            .map_or(0, |file| file.corrupt.fetch_add(1, Ordering::Relaxed) + 1);
        if corrupt > CORRUPT_GROUPS_MAX {
            self.settle(unit.file(), Err(FileFailure::Corrupt));
        } else {
            self.give_back([unit].into_iter());
        }
    }

    /// Notes the outcome of a file. The first one counts.
    pub(crate) fn settle(&self, index: usize, outcome: Result<Published, FileFailure>) {
        let Some(file) = self.file(index) else { return };
        file.take_part();
        if !file.settled.swap(true, Ordering::AcqRel) {
            if outcome.is_err() {
                file.drop_outline();
            }
            *lock(&file.outcome) = Some(outcome);
            lock(&self.state).unsettled -= 1;
            self.wake.notify_all();
        }
    }

    /// Whether every file is published or has failed.
    pub(crate) fn is_done(&self) -> bool {
        lock(&self.state).unsettled == 0
    }

    /// Ends the pull: its lanes are closed, and no worker waits any more.
    pub(crate) fn cancel(&self) {
        let mut state = lock(&self.state);
        state.cancelled = true;
        for (_, closer) in state.closers.drain() {
            closer.close();
        }
        self.wake.notify_all();
    }

    /// Whether the pull was ended before it was done.
    pub(crate) fn is_cancelled(&self) -> bool {
        lock(&self.state).cancelled
    }

    /// Lends the handle of a lane that is about to work, by which [`Queue::cancel`] ends it. Take
    /// it back when the lane is done: the lane may work for another pull next.
    pub(crate) fn lend_closer(&self, closer: LaneCloser) -> Lent {
        let mut state = lock(&self.state);
        if state.cancelled {
            closer.close();
        }
        state.lent_count += 1;
        let lent = Lent(state.lent_count);
        state.closers.insert(lent.0, closer);
        lent
    }

    /// Takes back what [`Queue::lend_closer`] was lent. `false` when the lane was ended with it
    /// meanwhile.
    pub(crate) fn take_closer(&self, lent: Lent) -> bool {
        lock(&self.state).closers.remove(&lent.0).is_some()
    }

    /// The outcome of each file, in the order of the jobs. A file that is not settled fails with
    /// `unreachable`.
    pub(crate) fn take_outcomes(&self, mut unreachable: Option<SessionError>) -> Vec<Outcome> {
        let mut take = |file: &FileState| match lock(&file.outcome).take() {
            Some(outcome) => outcome.map(|published| (published, file.take_outline())),
            None => Err(FileFailure::Unreachable(unreachable.take())),
        };
        self.files.iter().map(&mut take).collect()
    }

    /// Whether the answer to `unit` is no longer needed.
    fn is_moot(&self, unit: Unit) -> bool {
        let has_outline = || {
            self.file(unit.file())
                .is_some_and(|file| file.outline().is_some())
        };
        self.is_settled(unit.file()) || (matches!(unit, Unit::Outline { .. }) && has_outline())
    }

    /// Whether a file is published or has failed.
    pub(crate) fn is_settled(&self, index: usize) -> bool {
        self.file(index)
            .is_none_or(|file| file.settled.load(Ordering::Acquire))
    }
}

impl FileState {
    fn new(job: FileJob) -> Self {
        let groups_left = AtomicU64::new(group_count(job.content.len));
        Self {
            job,
            outline: Mutex::default(),
            part: Mutex::new(None),
            left_behind: AtomicBool::new(false),
            groups_left,
            corrupt: AtomicU32::new(0),
            settled: AtomicBool::new(false),
            outcome: Mutex::new(None),
        }
    }

    /// The outline, once it has arrived and was verified.
    pub(crate) fn outline(&self) -> Option<Arc<Outline>> {
        lock(&self.outline).clone()
    }

    /// Returns `false` if there is one already, or if it is no longer needed.
    fn accept_outline(&self, outline: Outline) -> bool {
        let mut accepted = lock(&self.outline);
        let is_needed = accepted.is_none() && !self.settled.load(Ordering::Acquire);
        if is_needed {
            *accepted = Some(Arc::new(outline));
        }
        is_needed
    }

    /// The outline of a TiB takes 32 MiB, and other files of the pull may take long.
    fn drop_outline(&self) {
        drop(lock(&self.outline).take());
    }

    fn take_outline(&self) -> Outline {
        let taken = lock(&self.outline).take();
        taken.map(Arc::unwrap_or_clone).unwrap_or_default()
    }

    /// Notes that an earlier pull has left a part file.
    pub(super) fn note_left_behind(&self) {
        self.left_behind.store(true, Ordering::Release);
    }

    /// Whether an earlier pull may have left some of the bytes.
    pub(super) fn is_left_behind(&self) -> bool {
        self.left_behind.load(Ordering::Acquire)
    }

    /// The part file, opened or created with the first verified group.
    pub(crate) fn part(&self) -> Result<Arc<PartFile>, StoreError> {
        let mut part = lock(&self.part);
        if let Some(part) = &*part {
            return Ok(part.clone());
        }
        let created = PartFile::create(&self.job.destination, self.job.attributes, &self.job.content)?;
        Ok(part.insert(Arc::new(created)).clone())
    }

    /// Takes the part file out, to publish it or to drop it.
    fn take_part(&self) -> Option<Arc<PartFile>> {
        lock(&self.part).take()
    }
}

/// What has arrived of a file that is neither published nor failed stays for the next pull.
impl Drop for FileState {
    fn drop(&mut self) {
        let is_settled = self.settled.load(Ordering::Acquire);
        if let Some(part) = self.take_part().filter(|_| !is_settled) {
            part.keep();
        }
    }
}

impl Unit {
    /// Index of the file that it belongs to.
    pub(crate) fn file(&self) -> usize {
        match *self {
            Self::Outline { file } | Self::Groups { file, .. } => file,
        }
    }
}

/// The groups of a file as units: consecutive groups together, up to the length of a request.
pub(super) fn units_of(file: usize, groups: impl Iterator<Item = u64>) -> Vec<Unit> {
    let mut units: Vec<Unit> = Vec::new();
    for group in groups {
        match units.last_mut() {
            Some(Unit::Groups { first, count, .. })
                if *first + *count == group && *count < REQUEST_GROUPS_MAX =>
            {
                *count += 1;
            }
            _ => units.push(Unit::Groups {
                file,
                first: group,
                count: 1,
            }),
        }
    }
    units
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
