//! Two peers that dial each other at the same moment: which of their two lanes becomes the session.
//!
//! Owns one decision, made under one lock. A lane that this side dials sends its hello only if no
//! hello of the other side was admitted since the dial began; a hello of the other side is admitted
//! only if no lane of ours that has precedence waits for its answer. A dial that has not reached
//! the other peer yet decides nothing, or a peer that can't be reached would keep turning away the
//! one that can reach it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::reconnect::Role;

/// The control lanes of one peer that are between two sides.
#[derive(Debug, Clone, Default)]
pub(crate) struct Crossings(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// Lanes of ours that have said their hello and are not in place yet.
    asking: usize,
    /// How many hellos of the other side were admitted.
    admitted: u64,
}

/// A dial from its beginning.
#[derive(Debug)]
pub(crate) struct Dial {
    crossings: Crossings,
    admitted_before: u64,
}

/// A control lane of ours that has said its hello; it is dropped when its session is in place.
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
    /// Whether this dial may say its hello: not if the other side came first.
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
    fn the_initiator_admits_nobody_while_its_own_hello_waits_for_an_answer() {
        let crossings = Crossings::default();
        let dial = crossings.begin();
        assert!(crossings.begin().ask().is_some());
        let crossing = dial.ask().unwrap();
        assert!(!crossings.admit(Role::Initiator) && crossings.admit(Role::Responder));
        drop(crossing);
        assert!(crossings.admit(Role::Initiator));
    }

    #[test]
    fn a_dial_that_has_not_reached_anybody_turns_nobody_away_and_gives_way() {
        let crossings = Crossings::default();
        let dial = crossings.begin();
        assert!(crossings.admit(Role::Initiator));
        assert!(dial.ask().is_none());
        assert!(crossings.begin().ask().is_some());
    }
}
