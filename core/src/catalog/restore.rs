//! The catalog over a restart of its peer: what has to be saved of it, and how it begins again from
//! what was saved.
//!
//! Does no I/O. A peer saves pages of present states, in any order and as often as it likes.

use std::collections::{BTreeMap, HashSet};

use super::Catalog;
use super::error::StateFault;
use super::state::{EntryId, EntryState};
use super::version_vector::ReplicaId;
use crate::limits::{PAGE_ENTRIES_MAX, PAGE_LEN_MAX};

/// States to be saved.
#[derive(Debug, Default)]
pub(crate) struct UnsavedPage {
    /// Up to where the catalog has counted.
    pub(crate) counter: u64,
    /// States of entries that have changed, and of the folders that they are in.
    pub(crate) states: Vec<(EntryId, EntryState)>,
}

impl Catalog {
    /// The catalog of which these states were saved last, and which had counted up to `counter`.
    ///
    /// # Errors
    /// A state that no catalog has.
    pub(crate) fn restored(
        replica: ReplicaId,
        counter: u64,
        states: BTreeMap<EntryId, EntryState>,
    ) -> Result<Self, StateFault> {
        states.iter().try_for_each(|(id, state)| state.check(*id))?;
        let mut catalog = Self::new(replica);
        catalog.store(states);
        // It has not followed all that others have counted; see `CATALOG_COUNTER_LEAD_MAX`.
        catalog.counter = counter;
        Ok(catalog)
    }

    /// The same catalog, changed by `replica` from now on.
    pub(crate) fn with_replica(self, replica: ReplicaId) -> Self {
        Self { replica, ..self }
    }

    /// Notes from now on which entries change.
    pub(crate) fn track_unsaved(&mut self) {
        self.unsaved.track();
    }

    /// Notes that an entry has to be saved.
    pub(crate) fn note_unsaved(&mut self, id: EntryId) {
        self.unsaved.note(id);
    }

    /// Whether any entries have changed since they were taken.
    pub(crate) fn has_unsaved(&self) -> bool {
        !self.unsaved.is_empty()
    }

    /// Takes some of the entries that have changed; `None` if there are none. Of those, the ones
    /// that are `withheld` are left out.
    pub(crate) fn take_unsaved(&mut self, withheld: &HashSet<EntryId>) -> Option<UnsavedPage> {
        let mut ids = self.unsaved.take(PAGE_ENTRIES_MAX);
        if ids.is_empty() {
            return None;
        }
        ids.retain(|id| !withheld.contains(id));
        let (states, left) = self.states_within(&ids, PAGE_LEN_MAX, &mut HashSet::new());
        left.iter().for_each(|id| self.unsaved.note(*id));
        let counter = self.counter;
        Some(UnsavedPage { counter, states })
    }

    /// Up to where the catalog has counted.
    pub(crate) fn counter(&self) -> u64 {
        self.counter
    }

    /// The ids of all entries.
    pub(crate) fn ids(&self) -> Vec<EntryId> {
        self.entries.keys().copied().collect()
    }
}
