//! The data lanes of one session: those that work, those that rest, and those that were asked for.
//!
//! The side that dialled the session dials all of its lanes, because it is known to reach the other
//! one; the other side asks for a lane and is handed it when it arrives. Ending the session ends
//! every lane.

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

/// What a lane is taken for. Each has its own turns, so that one can't starve the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Errand {
    /// To pull files.
    Pull,
    /// To fetch what somebody reads.
    Demand,
}

/// All data lanes of a session.
#[derive(Debug)]
pub(crate) struct Lanes {
    state: Arc<Mutex<State>>,
    /// Who works with such a lane; whoever comes beyond that waits.
    pull_turns: Arc<Semaphore>,
    demand_turns: Arc<Semaphore>,
}

impl Default for Lanes {
    fn default() -> Self {
        Self {
            state: Arc::default(),
            pull_turns: Arc::new(Semaphore::new(SESSION_PULL_LANES_MAX)),
            demand_turns: Arc::new(Semaphore::new(DEMAND_LANES_MAX)),
        }
    }
}

/// Room for a lane that is being opened; given back when it is dropped, by then the lane is in the
/// books.
#[derive(Debug)]
pub(crate) struct Place(Arc<Mutex<State>>);

impl Drop for Place {
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
    pace: Pace,
}

/// When lanes are dialled that the other side asks for: [`SESSION_LANES_MAX`] at once, and then one
/// in each [`ASKED_DIAL_INTERVAL`].
#[derive(Debug, Default)]
struct Pace {
    /// When all that were asked for would be dialled, if none were dialled at once.
    busy_until: Option<Instant>,
}

impl Pace {
    /// When a lane that is asked for now is dialled.
    fn turn(&mut self, now: Instant) -> Instant {
        let start = self.busy_until.map_or(now, |until| until.max(now));
        self.busy_until = Some(start + ASKED_DIAL_INTERVAL);
        let at_once: Duration = (1..SESSION_LANES_MAX).map(|_| ASKED_DIAL_INTERVAL).sum();
        now + start.saturating_duration_since(now).saturating_sub(at_once)
    }
}

/// A lane for file contents; it leaves the session's books when it is dropped.
pub(crate) struct DataLane {
    pub(crate) lane: BlockingLane,
    turn: Option<OwnedSemaphorePermit>,
    _listed: Listed,
}

impl DataLane {
    /// The lane at work, in somebody's turn.
    pub(crate) fn taken(self, turn: OwnedSemaphorePermit) -> Self {
        Self {
            turn: Some(turn),
            ..self
        }
    }
}

impl std::fmt::Debug for DataLane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DataLane")
    }
}

struct Listed {
    id: u64,
    state: std::sync::Weak<Mutex<State>>,
}

impl Drop for Listed {
    fn drop(&mut self) {
        if let Some(state) = self.state.upgrade() {
            lock(&state).closers.remove(&self.id);
        }
    }
}

impl Lanes {
    /// Room for one more lane, if there is any.
    pub(crate) fn reserve(&self) -> Option<Place> {
        let mut state = lock(&self.state);
        if state.ended || state.closers.len() + state.reserved >= SESSION_LANES_MAX {
            return None;
        }
        state.reserved += 1;
        Some(Place(self.state.clone()))
    }

    /// When a lane is dialled that the other side asks for now.
    pub(crate) fn dial_turn(&self, now: Instant) -> Instant {
        lock(&self.state).pace.turn(now)
    }

    /// Waits for this side's turn to ask; a lane is taken or opened with it.
    pub(crate) async fn turn(&self, errand: Errand) -> OwnedSemaphorePermit {
        let turns = match errand {
            Errand::Pull => &self.pull_turns,
            Errand::Demand => &self.demand_turns,
        };
        match turns.clone().acquire_owned().await {
            Ok(turn) => turn,
            // The semaphore is never closed.
            Err(_) => std::future::pending().await,
        }
    }

    /// Enters an open lane into the books and hands it over for blocking use.
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
            turn: None,
            _listed: Listed {
                id,
                state: Arc::downgrade(&self.state),
            },
        })
    }

    /// A lane that rests since an earlier pull.
    pub(crate) fn take_idle(&self) -> Option<DataLane> {
        lock(&self.state).idle.pop()
    }

    /// Keeps a lane for the next pull, if it is worth it.
    pub(crate) fn rest(&self, mut lane: DataLane) {
        lane.turn = None;
        let mut state = lock(&self.state);
        // As many as may work at once: opening and closing them for each pull would keep both sides
        // busy with that.
        if state.ended || state.idle.len() >= ASKING_LANES_MAX {
            // Dropped after the lock: leaving the books takes it again.
            drop(state);
            drop(lane);
        } else {
            state.idle.push(lane);
        }
    }

    /// A place in the line of those who asked the other side to dial.
    pub(crate) fn want(&self) -> oneshot::Receiver<OpenLane> {
        let (sender, receiver) = oneshot::channel();
        lock(&self.state).wanted.push_back(sender);
        receiver
    }

    /// Whether somebody here waits for a lane that the other side dials.
    pub(crate) fn is_wanted(&self) -> bool {
        let mut state = lock(&self.state);
        state.wanted.retain(|waiting| !waiting.is_closed());
        !state.wanted.is_empty()
    }

    /// Hands a lane that the other side dialled to whoever waits longest.
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

    /// Ends every lane: whoever reads or writes one returns at once.
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
        // Nothing is owed any more once enough time has passed without asking.
        let later = now + 3 * ASKED_DIAL_INTERVAL;
        assert_eq!(lanes.dial_turn(later), later);
        assert_eq!(lanes.dial_turn(later), later + ASKED_DIAL_INTERVAL);
    }

    #[tokio::test]
    async fn as_many_lanes_may_ask_at_once_as_each_errand_has_turns() {
        let lanes = Lanes::default();
        for (errand, count) in [
            (Errand::Pull, SESSION_PULL_LANES_MAX),
            (Errand::Demand, DEMAND_LANES_MAX),
        ] {
            let mut turns = Vec::new();
            for _ in 0..count {
                turns.push(lanes.turn(errand).await);
            }
            let mut next = std::pin::pin!(lanes.turn(errand));
            tokio::select! {
                biased;
                _ = &mut next => panic!("one turn too many"),
                () = std::future::ready(()) => {}
            }
            turns.pop();
            drop(next.await);
        }
    }
}
