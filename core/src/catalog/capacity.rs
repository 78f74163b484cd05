//! How much a catalog may hold, in entries and in bytes of memory.
//!
//! What an entry counts for depends only on its state. Two peers with the same states therefore
//! count the same, and one can accept what the other could add. Only changes that both make at the
//! same time can be too much together.

use super::Catalog;
use super::error::CatalogError;
use super::state::{EntryId, EntryState};
use crate::limits::CATALOG_ENTRIES_MAX;

/// What a catalog would hold with new states of some entries.
pub(super) struct Capacity<'a> {
    catalog: &'a Catalog,
    entry_count: usize,
    len: u64,
}

impl<'a> Capacity<'a> {
    /// Capacity without new states.
    pub(super) fn of(catalog: &'a Catalog) -> Self {
        Self {
            catalog,
            entry_count: catalog.entry_count(),
            len: catalog.len,
        }
    }

    /// Counts the new state of an entry, which must not have been counted before.
    pub(super) fn take(&mut self, id: &EntryId, state: &EntryState) {
        let old = self.catalog.state(*id);
        self.entry_count += usize::from(old.is_none());
        self.len = (self.len + state.len()).saturating_sub(old.map_or(0, EntryState::len));
    }

    /// How many bytes all entries count for.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Checks that it all may be held. What takes no more than before always may.
    pub(super) fn check(&self) -> Result<(), CatalogError> {
        if self.entry_count > CATALOG_ENTRIES_MAX.max(self.catalog.entry_count()) {
            return Err(CatalogError::Full);
        }
        let limit = self.catalog.len_max;
        if self.len > limit.max(self.catalog.len) {
            return Err(CatalogError::TooLarge { len: self.len, limit });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
