//! The workers that fetch what readers want: each uses one lane at a time, until nothing is wanted.
//!
//! Owns when lanes are used and given back, and what a lost session means to waiting readers: like
//! a pull, they wait for it to come back, until their time is up. The share's `Demand` records what
//! is wanted and what is in flight.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::context::Context;
use super::lane_work::{self, LaneWork};
use super::lanes::LaneUse;
use crate::catalog::ContentId;
use crate::session::WireError;
use crate::session::blocking::BlockingLane;
use crate::store::Cached;
use crate::transfer::{FetchEvents, FetchFault, LaneEnd, supply};

impl FetchEvents for Context {
    fn stored(&self) {
        self.share.trim();
    }

    fn completed(&self, cached: &Arc<Cached>) {
        if let Err(error) = self.share.files().hold_cached(cached) {
            tracing::warn!(%error, "could not serve a fetched content");
        }
    }

    fn corrupt(&self, content: ContentId) {
        if let Some(session) = self.current.session() {
            session.report_stale_soon(content);
        }
    }
}

/// Starts a worker. The demand counts it already.
pub(super) fn start_worker(context: Arc<Context>) {
    let runtime = context.runtime.clone();
    let worker = Arc::new(Worker {
        context,
        is_counted: AtomicBool::new(true),
    });
    runtime.spawn_until_cancelled(async move {
        if lane_work::work(&worker.context, &worker).await.is_err() {
            worker.give_up();
        }
    });
}

/// A worker that fetches what readers want. The demand counts its workers; dropping one takes it
/// out of the count.
struct Worker {
    context: Arc<Context>,
    /// Whether the demand still counts it: not once it had nothing left to do, or gave up.
    is_counted: AtomicBool,
}

impl Worker {
    /// Gives up: this worker can't help the waiting readers. If it is the last one, their reads
    /// fail in the same step, so a later reader gets a new worker.
    fn give_up(&self) {
        self.is_counted.store(false, Ordering::Release);
        self.context.share.demand.abandon(&FetchFault::Unreachable);
    }
}

impl LaneWork for Worker {
    const LANE_USE: LaneUse = LaneUse::Read;

    fn is_done(&self) -> bool {
        !self.is_counted.load(Ordering::Acquire)
    }

    fn progress(&self) -> u64 {
        self.context.share.demand.arrived_count()
    }

    fn use_lane(&self, lane: &mut BlockingLane) -> Result<LaneEnd, WireError> {
        let Context { share, runtime, .. } = self.context.as_ref();
        let end = supply(lane, &share.demand, self.context.as_ref(), &runtime.clock)?;
        if end == LaneEnd::Done {
            self.is_counted.store(false, Ordering::Release);
        }
        Ok(end)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if *self.is_counted.get_mut() {
            self.context.share.demand.leave();
        }
    }
}
