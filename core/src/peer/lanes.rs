//! The data lanes of one session: the busy ones, the idle ones, and those that the other peer was
//! asked to dial.
//!
//! The peer that dialled the session dials all of its lanes, because it is known to reach the other
//! one. The other peer asks for a lane, and takes it when it arrives. Ending the session ends every
//! lane.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::Instant;

use crate::limits::{
    ASKED_DIAL_INTERVAL, ASKING_LANES_MAX, DEMAND_LANES_MAX, SESSION_LANES_MAX, SESSION_PULL_LANES_MAX,
};
use crate::session::blocking::{BlockingLane, LaneCloser};
use crate::session::lane::OpenLane;

/// What a lane is used for. Each use has a limit of its own, so that neither can starve the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LaneUse {
    /// To pull files.
    Pull,
    /// To fetch what is being read.
    Read,
}

/// All data lanes of a session.
#[derive(Debug)]
pub(crate) struct Lanes {
    state: Arc<Mutex<State>>,
    /// Permits for lanes of each use; without one, a worker waits.
    pull_permits: Arc<Semaphore>,
    read_permits: Arc<Semaphore>,
}

impl Default for Lanes {
    fn default() -> Self {
        Self {
            state: Arc::default(),
            pull_permits: Arc::new(Semaphore::new(SESSION_PULL_LANES_MAX)),
            read_permits: Arc::new(Semaphore::new(DEMAND_LANES_MAX)),
        }
    }
}

/// Room for a lane that is being opened. Dropping it gives the room back; by then the lane is
/// registered.
#[derive(Debug)]
pub(crate) struct LaneSlot(Arc<Mutex<State>>);

impl Drop for LaneSlot {
    fn drop(&mut self) {
        lock(&self.0).reserved -= 1;
    }
}

#[derive(Debug, Default)]
struct State {
    ended: bool,
    next_id: u64,
    reserved: usize,
    closers: HashMap<u64, LaneCloser>,
    idle: Vec<DataLane>,
    wanted: VecDeque<oneshot::Sender<OpenLane>>,
    pace: DialPace,
}

/// When lanes are dialled that the other peer asks for: [`SESSION_LANES_MAX`] at once, and then one
/// in each [`ASKED_DIAL_INTERVAL`].
#[derive(Debug, Default)]
struct DialPace {
    /// When the last lane that was asked for would be dialled, if none were dialled at once.
    busy_until: Option<Instant>,
}

impl DialPace {
    /// When to dial a lane that is asked for now.
    fn turn(&mut self, now: Instant) -> Instant {
        let start = self.busy_until.map_or(now, |until| until.max(now));
        self.busy_until = Some(start + ASKED_DIAL_INTERVAL);
        let at_once: Duration = (1..SESSION_LANES_MAX).map(|_| ASKED_DIAL_INTERVAL).sum();
        now + start.saturating_duration_since(now).saturating_sub(at_once)
    }
}

/// A lane for file contents. Dropping it ends its registration.
pub(crate) struct DataLane {
    pub(crate) lane: BlockingLane,
    permit: Option<OwnedSemaphorePermit>,
    _registration: Registration,
}

impl DataLane {
    /// The lane, which counts for the permit of its worker.
    pub(crate) fn taken(self, permit: OwnedSemaphorePermit) -> Self {
        Self {
            permit: Some(permit),
            ..self
        }
    }
}

impl std::fmt::Debug for DataLane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DataLane")
    }
}

struct Registration {
    id: u64,
    state: std::sync::Weak<Mutex<State>>,
}

impl Drop for Registration {
    fn drop(&mut self) {
        if let Some(state) = self.state.upgrade() {
            lock(&state).closers.remove(&self.id);
        }
    }
}

impl Lanes {
    /// Room for one more lane, if there is any.
    pub(crate) fn reserve(&self) -> Option<LaneSlot> {
        let mut state = lock(&self.state);
        if state.ended || state.closers.len() + state.reserved >= SESSION_LANES_MAX {
            return None;
        }
        state.reserved += 1;
        Some(LaneSlot(self.state.clone()))
    }

    /// When to dial a lane that the other peer asks for now.
    pub(crate) fn dial_turn(&self, now: Instant) -> Instant {
        lock(&self.state).pace.turn(now)
    }

    /// Waits for a permit to work with a lane; a lane is taken or opened with it.
    pub(crate) async fn permit(&self, lane_use: LaneUse) -> OwnedSemaphorePermit {
        let permits = match lane_use {
            LaneUse::Pull => &self.pull_permits,
            LaneUse::Read => &self.read_permits,
        };
        match permits.clone().acquire_owned().await {
            Ok(permit) => permit,
            // The semaphore is never closed.
            Err(_) => std::future::pending().await,
        }
    }

    /// Registers an open lane and hands it over for blocking use.
    ///
    /// # Errors
    /// When the session has ended, or the socket can't be made blocking.
    pub(crate) fn adopt(&self, lane: OpenLane) -> io::Result<DataLane> {
        let lane = BlockingLane::new(lane)?;
        let closer = lane.closer()?;
        let mut state = lock(&self.state);
        if state.ended {
            return Err(io::ErrorKind::NotConnected.into());
        }
        let id = state.next_id;
        state.next_id += 1;
        state.closers.insert(id, closer);
        Ok(DataLane {
            lane,
            permit: None,
            _registration: Registration {
                id,
                state: Arc::downgrade(&self.state),
            },
        })
    }

    /// An idle lane from earlier work.
    pub(crate) fn take_idle(&self) -> Option<DataLane> {
        lock(&self.state).idle.pop()
    }

    /// Keeps a lane for later work, unless enough are idle already.
    pub(crate) fn rest(&self, mut lane: DataLane) {
        lane.permit = None;
        let mut state = lock(&self.state);
        // Keeps the number that may work at once: opening and closing them for each pull would keep
        // both peers busy.
        if state.ended || state.idle.len() >= ASKING_LANES_MAX {
            // Dropped after the lock: ending the registration takes it again.
            drop(state);
            drop(lane);
        } else {
            state.idle.push(lane);
        }
    }

    /// Joins the queue of workers that have asked the other peer to dial.
    pub(crate) fn want(&self) -> oneshot::Receiver<OpenLane> {
        let (sender, receiver) = oneshot::channel();
        lock(&self.state).wanted.push_back(sender);
        receiver
    }

    /// Whether a worker waits for a lane that the other peer dials.
    pub(crate) fn is_wanted(&self) -> bool {
        let mut state = lock(&self.state);
        state.wanted.retain(|waiting| !waiting.is_closed());
        !state.wanted.is_empty()
    }

    /// Hands a lane that the other peer dialled to the worker that has waited longest.
    pub(crate) fn deliver(&self, lane: OpenLane) {
        let mut state = lock(&self.state);
        let mut lane = lane;
        while let Some(waiting) = state.wanted.pop_front() {
            match waiting.send(lane) {
                Ok(()) => return,
                Err(unwanted) => lane = unwanted,
            }
        }
    }

    /// Ends every lane. A thread that reads from or writes to one returns at once.
    pub(crate) fn end(&self) {
        let mut state = lock(&self.state);
        state.ended = true;
        state.wanted.clear();
        for closer in state.closers.values() {
            closer.close();
        }
        let idle = std::mem::take(&mut state.idle);
        drop(state);
        drop(idle);
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_has_room_for_its_lanes_and_for_none_beyond() {
        let lanes = Lanes::default();
        let places: Vec<_> = (0..SESSION_LANES_MAX).map(|_| lanes.reserve().unwrap()).collect();
        assert!(lanes.reserve().is_none());
        drop(places);
        assert!(lanes.reserve().is_some());
        lanes.end();
        assert!(lanes.reserve().is_none());
    }

    #[test]
    fn lanes_that_are_asked_for_are_dialled_at_once_and_beyond_that_one_after_the_other() {
        let (lanes, now) = (Lanes::default(), crate::clock::Clock::system().now());
        let at_once: Vec<_> = (0..SESSION_LANES_MAX).map(|_| lanes.dial_turn(now)).collect();
        assert_eq!(at_once, [now; SESSION_LANES_MAX]);
        assert_eq!(lanes.dial_turn(now), now + ASKED_DIAL_INTERVAL);
        assert_eq!(lanes.dial_turn(now), now + 2 * ASKED_DIAL_INTERVAL);
        // After enough time without a request, the next lane is dialled at once again.
        let later = now + 3 * ASKED_DIAL_INTERVAL;
        assert_eq!(lanes.dial_turn(later), later);
        assert_eq!(lanes.dial_turn(later), later + ASKED_DIAL_INTERVAL);
    }

    #[tokio::test]
    async fn lanes_of_each_use_have_their_own_limit() {
        let lanes = Lanes::default();
        for (lane_use, count) in [
            (LaneUse::Pull, SESSION_PULL_LANES_MAX),
            (LaneUse::Read, DEMAND_LANES_MAX),
        ] {
            let mut permits = Vec::new();
            for _ in 0..count {
                permits.push(lanes.permit(lane_use).await);
            }
            let mut next = std::pin::pin!(lanes.permit(lane_use));
            tokio::select! {
                biased;
                _ = &mut next => panic!("one permit too many"),
                () = std::future::ready(()) => {}
            }
            permits.pop();
            drop(next.await);
        }
    }
}
