//! Reading what is not here: a file of the other peer, opened to be read, and the lanes that work
//! for its readers.
//!
//! Owns when lanes are put to work and given back, and what a lost session means to whoever waits:
//! it is waited for as a pull does, until a reader's patience is over. What is wanted and what is
//! on its way is known by `transfer::Demand`.

use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use super::files::SharedFile;
use super::lanes::{DataLane, Errand};
use super::pull::live_session;
use super::session::Session;
use super::shared::Shared;
use crate::catalog::ContentId;
use crate::limits::{LANE_RETRY_DELAY, PULL_LANE_FAILURES_MAX};
use crate::session::SessionError;
use crate::store::Cached;
use crate::transfer::{Done, Engage, FetchFault, LaneEnd, Patience, Patron, Plan, ReadAhead, Waiter, supply};

/// A file of the other peer that is open for reading: one content, whatever becomes of the name.
#[derive(Debug)]
pub(crate) struct RemoteFile {
    cached: Arc<Cached>,
    ahead: Mutex<ReadAhead>,
}

impl RemoteFile {
    /// A reader of `cached`.
    pub(crate) fn new(cached: Arc<Cached>) -> Self {
        let ahead = Mutex::new(ReadAhead::new(cached.content().len));
        Self { cached, ahead }
    }

    /// What is here of the content.
    pub(crate) fn cached(&self) -> &Arc<Cached> {
        &self.cached
    }

    /// Whether all of `range`, up to the end of the file, can be read now. Counts as a read: more
    /// is fetched ahead.
    pub(crate) fn is_ready(&self, shared: &Arc<Shared>, range: Range<u64>) -> bool {
        let range = self.within(range);
        if self.cached.is_complete() {
            return true;
        }
        let plan = self.plan(&range);
        if !self.cached.has(range) {
            return false;
        }
        if !self.cached.has(plan.ahead.clone()) {
            shared.engage(shared.demand.read_ahead(&self.cached, plan.ahead));
        }
        true
    }

    /// Calls `done` once all of `range`, up to the end of the file, can be read from
    /// [`RemoteFile::cached`]: at once, or later from another thread. Never blocks.
    pub(crate) fn read(&self, shared: &Arc<Shared>, range: Range<u64>, done: Done) {
        let range = self.within(range);
        if self.is_ready(shared, range.clone()) {
            return done(Ok(()));
        }
        let plan = self.plan(&range);
        let waiter = Waiter {
            range,
            since: shared.clock.now(),
            patience: Patience::InAll,
            done,
        };
        shared.engage(shared.demand.read(&self.cached, &plan, waiter));
    }

    /// Calls `done` once the whole file is here, as [`RemoteFile::read`].
    pub(crate) fn complete(&self, shared: &Arc<Shared>, done: Done) {
        let waiter = Waiter {
            range: 0..self.cached.content().len,
            since: shared.clock.now(),
            patience: Patience::WithProgress,
            done,
        };
        shared.engage(shared.demand.read_all(&self.cached, waiter));
    }

    /// To be called when the file is closed: what would have been read ahead is not needed any
    /// more.
    pub(crate) fn release(&self, shared: &Shared) {
        if !self.cached.is_complete() {
            shared.demand.forget_ahead(&self.cached.content());
        }
    }

    fn plan(&self, range: &Range<u64>) -> Plan {
        let mut ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        ahead.on_read(range.start, range.end - range.start)
    }

    fn within(&self, range: Range<u64>) -> Range<u64> {
        let len = self.cached.content().len;
        let start = range.start.min(len);
        start..range.end.clamp(start, len)
    }
}

impl Shared {
    /// The place of a file's content in the depot; once it is complete, it is a source like any
    /// other.
    ///
    /// # Errors
    /// [`io::ErrorKind::Unsupported`] without a depot, and what the system says.
    pub(crate) fn remote_file(&self, file: &SharedFile) -> io::Result<RemoteFile> {
        let depot = self.depot.as_ref().ok_or(io::ErrorKind::Unsupported)?;
        let cached = depot.fetched(file.content)?;
        self.files().expect_content(file, cached.path());
        Ok(RemoteFile::new(cached))
    }

    fn engage(self: &Arc<Self>, engage: Engage) {
        if engage.worker {
            let seat = Seat {
                shared: self.clone(),
                was_left: false,
            };
            self.spawn(async move {
                let cancel = seat.shared.cancel.clone();
                cancel.run_until_cancelled(work(seat)).await.unwrap_or(());
            });
        }
        if engage.timer {
            let shared = self.clone();
            self.spawn(async move {
                let cancel = shared.cancel.clone();
                cancel.run_until_cancelled(time(shared)).await.unwrap_or(());
            });
        }
    }

    /// Removes what was fetched and nobody uses, when there is too much of it.
    fn trim(&self) {
        let trimmed = self.depot.iter().flat_map(crate::store::Depot::trim);
        for cached in trimmed {
            self.files().forget_cached(&cached);
        }
    }
}

impl Patron for Shared {
    fn stored(&self) {
        self.trim();
    }

    fn completed(&self, cached: &Arc<Cached>) {
        if let Err(error) = self.files().hold_cached(cached) {
            tracing::warn!(%error, "could not serve what was fetched");
        }
    }

    fn corrupt(&self, content: ContentId) {
        if let Some(session) = self.session() {
            session.report_stale_soon(content);
        }
    }
}

/// The seat of a worker; left when it is dropped, unless that happened under the lock of the
/// demand.
struct Seat {
    shared: Arc<Shared>,
    was_left: bool,
}

impl Seat {
    /// Nobody who waits can be helped. In one step: who comes after that finds the seat free.
    fn give_up(&mut self) {
        self.was_left = true;
        self.shared.demand.abandon(&FetchFault::Unreachable);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if !self.was_left {
            self.shared.demand.leave();
        }
    }
}

/// Tells readers whose patience is over.
async fn time(shared: Arc<Shared>) {
    while let Some(deadline) = shared.demand.expire(shared.clock.now()) {
        shared.clock.sleep_until(deadline).await;
    }
}

/// Works with one lane after the other until nothing is wanted. A broken lane or a lost session is
/// survived as long as there is progress in between.
async fn work(mut seat: Seat) {
    let shared = seat.shared.clone();
    let mut failures = 0;
    let mut arrived = shared.demand.arrived_count();
    loop {
        let Ok(session) = live_session(&shared).await else {
            return seat.give_up();
        };
        let worked = match session.lane(&shared, Errand::Demand).await {
            Ok(lane) => work_with(&shared, &session, lane).await,
            Err(error) => Err(error),
        };
        let error = match worked {
            Ok(LaneEnd::Done) => {
                seat.was_left = true;
                return;
            }
            Ok(LaneEnd::WornOut) => continue,
            Err(error) => error,
        };
        tracing::debug!(%error, "a lane of a reader broke");
        let arrived_now = shared.demand.arrived_count();
        failures = if arrived_now > arrived { 1 } else { failures + 1 };
        arrived = arrived_now;
        if failures >= PULL_LANE_FAILURES_MAX {
            return seat.give_up();
        }
        // The lanes end a moment before the session is known to be lost.
        let retry_at = shared.clock.now() + LANE_RETRY_DELAY * failures;
        tokio::select! {
            () = session.ended() => {}
            () = shared.clock.sleep_until(retry_at) => {}
        }
    }
}

async fn work_with(
    shared: &Arc<Shared>,
    session: &Session,
    mut lane: DataLane,
) -> Result<LaneEnd, SessionError> {
    let worker = shared.clone();
    let worked = shared.tasks.spawn_blocking_on(
        move || {
            let end = supply(&mut lane.lane, &worker.demand, worker.as_ref(), &worker.clock);
            (lane, end)
        },
        &shared.runtime,
    );
    let (lane, end) = worked.await.map_err(io::Error::other)?;
    match end {
        Ok(LaneEnd::Done) => session.lanes.rest(lane),
        Ok(LaneEnd::WornOut) => drop(lane),
        Err(source) => return Err(SessionError::Lane { source }),
    }
    Ok(end.unwrap_or(LaneEnd::Done))
}
