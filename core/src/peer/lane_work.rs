//! Work on one lane after the other, for pulls and for readers.
//!
//! Owns what happens when a lane breaks or a session is lost: the work goes on with another lane,
//! after a delay that grows, as long as there is progress in between.

use std::sync::Arc;

use tokio::time::timeout;

use super::context::Context;
use super::lanes::{DataLane, LaneUse};
use super::session::Session;
use super::status::SessionState;
use crate::limits::{LANE_RETRY_DELAY, PULL_LANE_FAILURES_MAX, PULL_PATIENCE};
use crate::session::blocking::BlockingLane;
use crate::session::{SessionError, WireError};
use crate::transfer::LaneEnd;

/// Work that needs lanes.
pub(super) trait LaneWork: Send + Sync + 'static {
    /// The use that its lanes count for.
    const LANE_USE: LaneUse;

    /// Whether all is done.
    fn is_done(&self) -> bool;

    /// A number that grows with each progress.
    fn progress(&self) -> u64;

    /// Works with a lane until it has no more use for it; blocks. [`LaneEnd::Done`] means that the
    /// lane can be kept for later work.
    fn use_lane(&self, lane: &mut BlockingLane) -> Result<LaneEnd, WireError>;
}

/// Works with one lane after the other until all is done. `Err(None)` when there is no session, and
/// none to wait for.
pub(super) async fn work<W: LaneWork>(context: &Context, work: &Arc<W>) -> Result<(), Option<SessionError>> {
    let clock = &context.runtime.clock;
    let (mut failures, mut progress) = (0, work.progress());
    while !work.is_done() {
        let session = live_session(context).await?;
        let worked = match session.lane(context, W::LANE_USE).await {
            Ok(lane) => work_with(context, &session, lane, work.clone()).await,
            Err(error) => Err(error),
        };
        let Err(error) = worked else { continue };
        tracing::debug!(%error, lane_use = ?W::LANE_USE, "a data lane broke");
        let progress_now = work.progress();
        failures = if progress_now > progress { 1 } else { failures + 1 };
        progress = progress_now;
        if failures >= PULL_LANE_FAILURES_MAX {
            return Err(Some(error));
        }
        // The lanes end a moment before the session is known to be lost.
        let retry_at = clock.now() + LANE_RETRY_DELAY * failures;
        tokio::select! {
            () = session.ended() => {}
            () = clock.sleep_until(retry_at) => {}
        }
    }
    Ok(())
}

async fn work_with<W: LaneWork>(
    context: &Context,
    session: &Session,
    mut lane: DataLane,
    work: Arc<W>,
) -> Result<(), SessionError> {
    let worked = context.runtime.run_blocking(move || {
        let end = work.use_lane(&mut lane.lane);
        (lane, end)
    });
    let (lane, end) = worked.await.map_err(std::io::Error::other)?;
    match end {
        Ok(LaneEnd::Done) => session.lanes.rest(lane),
        Ok(LaneEnd::WornOut) => drop(lane),
        Err(source) => return Err(SessionError::Lane { source }),
    }
    Ok(())
}

/// The session, or the next one if it is being taken up again.
async fn live_session(context: &Context) -> Result<Arc<Session>, Option<SessionError>> {
    let mut slot = context.current.watch_session();
    let live = |slot: &Option<Arc<Session>>| slot.as_ref().is_some_and(|session| !session.has_ended());
    let mut status = context.current.watch_status();
    let waiting = async {
        // The state changes before others see no session, so a lost session never looks
        // abandoned.
        tokio::select! {
            biased;
            session = slot.wait_for(live) => session.ok().and_then(|session| session.clone()),
            _ = status.wait_for(|status| status.state == SessionState::Disconnected) => None,
        }
    };
    match timeout(PULL_PATIENCE, waiting).await {
        Ok(session) => session.ok_or(None),
        Err(_) => Err(Some(SessionError::Ended)),
    }
}
