//! Which replica made a change, and which change it was: replicas, dots, and which dots were seen.
//!
//! Counters are Lamport clocks: a new dot is greater than every dot its maker knew. No wall clock
//! decides anything.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::identity::Fingerprint;
use crate::limits::ENTRY_REPLICAS_OWN_MAX;

/// One life of one peer's catalog.
///
/// A peer that restarts with the same key but an empty catalog would count from 1 again and reuse
/// dots that others have seen. A new incarnation keeps its dots apart from the old ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ReplicaId {
    /// The fingerprint of the catalog's peer.
    pub fingerprint: Fingerprint,
    /// Differs from one start of the peer to the next; random, or the time of the start.
    pub incarnation: u64,
}

/// The name of one change. Ordered by counter, then by fingerprint, then by incarnation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Dot {
    /// Greater than that of every dot that its maker knew; starts at 1.
    pub counter: u64,
    /// The replica that made it.
    pub replica: ReplicaId,
}

/// For each replica, up to which counter its dots on one entry have been seen (a version vector).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seen(BTreeMap<ReplicaId, u64>);

impl Seen {
    /// Whether `dot` has been seen.
    #[must_use]
    pub fn covers(&self, dot: &Dot) -> bool {
        self.0
            .get(&dot.replica)
            .is_some_and(|counter| *counter >= dot.counter)
    }

    /// Marks `dot` as seen, and with it all earlier ones of its replica.
    pub fn note(&mut self, dot: Dot) {
        let counter = self.0.entry(dot.replica).or_default();
        *counter = dot.counter.max(*counter);
    }

    /// Marks all dots as seen that `other` has seen.
    pub(super) fn join(&mut self, other: &Self) {
        for (replica, counter) in &other.0 {
            self.note(Dot {
                counter: *counter,
                replica: *replica,
            });
        }
    }

    /// Whether `replica` may make a change.
    pub(super) fn has_room_for(&self, replica: &ReplicaId) -> bool {
        self.0.contains_key(replica) || self.0.len() < ENTRY_REPLICAS_OWN_MAX
    }

    /// Up to which counter it has seen the dots of `replica`.
    pub(super) fn counter_of(&self, replica: &ReplicaId) -> u64 {
        self.0.get(replica).copied().unwrap_or(0)
    }

    /// How many replicas it names.
    pub(super) fn replica_count(&self) -> usize {
        self.0.len()
    }

    /// Its greatest counter; 0 if it is empty.
    pub(super) fn counter_max(&self) -> u64 {
        self.0.values().copied().max().unwrap_or(0)
    }
}
