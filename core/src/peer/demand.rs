//! The workers that fetch what readers want: each has a lane at a time, until nothing is wanted.
//!
//! Owns when lanes are put to work and given back, and what a lost session means to the readers
//! that wait: it is waited for as a pull does, until their patience is over. What is wanted and
//! what is on its way is in the share's `Demand`.

use std::io;
use std::sync::Arc;

use super::context::Context;
use super::lanes::{DataLane, Errand};
use super::pull::live_session;
use super::session::Session;
use crate::catalog::ContentId;
use crate::limits::{LANE_RETRY_DELAY, PULL_LANE_FAILURES_MAX};
use crate::session::SessionError;
use crate::store::Cached;
use crate::transfer::{FetchFault, LaneEnd, Patron, supply};

impl Patron for Context {
    fn stored(&self) {
        self.share.trim();
    }

    fn completed(&self, cached: &Arc<Cached>) {
        if let Err(error) = self.share.files().hold_cached(cached) {
            tracing::warn!(%error, "could not serve what was fetched");
        }
    }

    fn corrupt(&self, content: ContentId) {
        if let Some(session) = self.slot.session() {
            session.report_stale_soon(content);
        }
    }
}

/// Starts a worker, which counts as one of the demand already.
pub(super) fn start_worker(context: Arc<Context>) {
    let runtime = context.runtime.clone();
    let seat = Seat {
        context,
        was_left: false,
    };
    runtime.spawn_until_cancelled(work(seat));
}

/// The seat of a worker; left when it is dropped, unless that happened under the lock of the
/// demand.
struct Seat {
    context: Arc<Context>,
    was_left: bool,
}

impl Seat {
    /// Nobody who waits can be helped. In one step: who comes after that finds the seat free.
    fn give_up(&mut self) {
        self.was_left = true;
        self.context.share.demand.abandon(&FetchFault::Unreachable);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if !self.was_left {
            self.context.share.demand.leave();
        }
    }
}

/// Works with one lane after the other until nothing is wanted. A broken lane or a lost session is
/// survived as long as there is progress in between.
async fn work(mut seat: Seat) {
    let context = seat.context.clone();
    let (demand, clock) = (&context.share.demand, &context.runtime.clock);
    let mut failures = 0;
    let mut arrived = demand.arrived_count();
    loop {
        let Ok(session) = live_session(&context).await else {
            return seat.give_up();
        };
        let worked = match session.lane(&context, Errand::Demand).await {
            Ok(lane) => work_with(&context, &session, lane).await,
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
        let arrived_now = demand.arrived_count();
        failures = if arrived_now > arrived { 1 } else { failures + 1 };
        arrived = arrived_now;
        if failures >= PULL_LANE_FAILURES_MAX {
            return seat.give_up();
        }
        // The lanes end a moment before the session is known to be lost.
        let retry_at = clock.now() + LANE_RETRY_DELAY * failures;
        tokio::select! {
            () = session.ended() => {}
            () = clock.sleep_until(retry_at) => {}
        }
    }
}

async fn work_with(
    context: &Arc<Context>,
    session: &Session,
    mut lane: DataLane,
) -> Result<LaneEnd, SessionError> {
    let worker = context.clone();
    let worked = context.runtime.run_blocking(move || {
        let demand = &worker.share.demand;
        let end = supply(&mut lane.lane, demand, worker.as_ref(), &worker.runtime.clock);
        (lane, end)
    });
    let (lane, end) = worked.await.map_err(io::Error::other)?;
    match end {
        Ok(LaneEnd::Done) => session.lanes.rest(lane),
        Ok(LaneEnd::WornOut) => drop(lane),
        Err(source) => return Err(SessionError::Lane { source }),
    }
    Ok(end.unwrap_or(LaneEnd::Done))
}
