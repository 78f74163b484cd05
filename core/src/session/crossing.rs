//! Two peers that dial each other at the same moment: which of their two lanes becomes the session.
//!
//! Owns one decision, made under one lock. A lane that this side dials sends its hello only if no
//! hello of the other side was admitted since the dial began. A hello of the other side is admitted
//! unless a lane of ours that has precedence waits for its answer. A dial that has not reached the
//! other peer yet decides nothing: otherwise a peer that can't reach the other would keep refusing
//! the other's dials, which do arrive.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::reconnect::Role;

/// The control lanes of one peer that are not in place yet.
#[derive(Debug, Clone, Default)]
pub(crate) struct Crossings(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// Lanes of ours that have sent their hello and are not in place yet.
    asking: usize,
    /// How many hellos of the other side were admitted.
    admitted: u64,
}

/// A dial that has begun.
#[derive(Debug)]
pub(crate) struct Dial {
    crossings: Crossings,
    admitted_before: u64,
}

/// A control lane of ours that has sent its hello. It is dropped when its session is in place.
#[derive(Debug)]
pub(crate) struct Crossing(Crossings);

impl Crossings {
    /// Begins a dial.
    pub(crate) fn begin(&self) -> Dial {
        Dial {
            crossings: self.clone(),
            admitted_before: self.lock().admitted,
        }
    }

    /// Whether a hello of the other side is admitted by a peer with this role.
    pub(crate) fn admit(&self, own: Role) -> bool {
        let mut state = self.lock();
        if own == Role::Initiator && state.asking > 0 {
            return false;
        }
        state.admitted += 1;
        true
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Dial {
    /// Permission for this dial to send its hello; `None` if the other side came first.
    pub(crate) fn ask(&self) -> Option<Crossing> {
        let mut state = self.crossings.lock();
        if state.admitted != self.admitted_before {
            return None;
        }
        state.asking += 1;
        Some(Crossing(self.crossings.clone()))
    }
}

impl Drop for Crossing {
    fn drop(&mut self) {
        self.0.lock().asking -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_initiator_admits_no_hello_while_its_own_waits_for_an_answer() {
        let crossings = Crossings::default();
        let dial = crossings.begin();
        assert!(crossings.begin().ask().is_some());
        let crossing = dial.ask().unwrap();
        assert!(!crossings.admit(Role::Initiator) && crossings.admit(Role::Responder));
        drop(crossing);
        assert!(crossings.admit(Role::Initiator));
    }

    #[test]
    fn a_dial_that_has_reached_no_peer_refuses_no_hello_and_gives_way() {
        let crossings = Crossings::default();
        let dial = crossings.begin();
        assert!(crossings.admit(Role::Initiator));
        assert!(dial.ask().is_none());
        assert!(crossings.begin().ask().is_some());
    }
}
