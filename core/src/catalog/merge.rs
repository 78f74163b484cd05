//! Taking in states from elsewhere: all checks before the first change, then one step.

use std::collections::BTreeMap;

use super::Catalog;
use super::change::CatalogEvent;
use super::error::{CatalogError, StateFault};
use super::state::{EntryId, EntryState};
use crate::limits::{CATALOG_COUNTER_LEAD_MAX, CATALOG_ENTRIES_MAX};

impl Catalog {
    /// Merges states of entries that another catalog gave out, in any order, any number of times.
    ///
    /// Returns what became visible of it. A batch with a state that can't be right is refused as a whole, and nothing
    /// has changed then.
    pub fn merge(&mut self, states: Vec<(EntryId, EntryState)>) -> Result<Vec<CatalogEvent>, CatalogError> {
        let merged = self.merged(states)?;
        Ok(self.store_and_compare(merged))
    }

    /// The states that differ from ours once those are merged in.
    fn merged(
        &self,
        states: Vec<(EntryId, EntryState)>,
    ) -> Result<BTreeMap<EntryId, EntryState>, CatalogError> {
        let counter_max = self
            .counter
            .saturating_add(CATALOG_COUNTER_LEAD_MAX)
            .min(u64::MAX - 1);
        let mut merged: BTreeMap<EntryId, EntryState> = BTreeMap::new();
        for (id, state) in states {
            let refuse = |fault: StateFault| CatalogError::BadState { id, fault };
            state.check(id, counter_max).map_err(refuse)?;
            let joined = match merged.remove(&id).or_else(|| self.state(id).cloned()) {
                Some(mut known) => {
                    known.join(state);
                    known
                }
                None => state,
            };
            joined.check_sizes().map_err(refuse)?;
            merged.insert(id, joined);
        }
        merged.retain(|id, state| self.state(*id) != Some(state));
        let created = merged.keys().filter(|id| self.state(**id).is_none()).count();
        if self.entry_count() + created > CATALOG_ENTRIES_MAX {
            return Err(CatalogError::Full);
        }
        Ok(merged)
    }
}

#[cfg(test)]
mod tests;
