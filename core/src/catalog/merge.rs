//! Merging states from elsewhere: all checks come before the first change, which is then made in
//! one step or in many small ones.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use super::Catalog;
use super::error::{CatalogError, StateFault};
use super::events::{CatalogEvent, News};
use super::room::Room;
use super::state::{EntryId, EntryState};
use super::visible_changes::Difference;
use crate::limits::MERGE_PIECE_ENTRIES_MAX;

/// States from elsewhere that were checked, to be merged piece by piece in the order in which they
/// arrived.
#[derive(Debug)]
pub(crate) struct Batch(VecDeque<(EntryId, EntryState)>);

impl Batch {
    /// Whether all of it has been merged.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The entries of the next piece.
    pub(crate) fn next_entries(&self) -> impl Iterator<Item = EntryId> {
        let next = self.0.iter().take(MERGE_PIECE_ENTRIES_MAX);
        next.map(|(id, _)| *id)
    }
}

impl Catalog {
    /// Merges states of entries that another catalog gave out, in any order, any number of times.
    ///
    /// Returns the visible changes. A batch that holds an invalid state, or for which there is no
    /// room, is refused whole, and nothing changes.
    pub fn merge(&mut self, states: Vec<(EntryId, EntryState)>) -> Result<Vec<CatalogEvent>, CatalogError> {
        let Batch(states) = self.checked(states)?;
        let merged = self.merged(states)?;
        Ok(self.store_and_compare(merged).news.events().collect())
    }

    /// Checks a batch of states as [`Catalog::merge`] does, and changes nothing.
    pub(crate) fn checked(&self, states: Vec<(EntryId, EntryState)>) -> Result<Batch, CatalogError> {
        let mut batch: VecDeque<(EntryId, EntryState)> = VecDeque::with_capacity(states.len());
        let mut position_of = HashMap::new();
        for (id, state) in states {
            let refuse = |fault: StateFault| CatalogError::BadState { id, fault };
            state.check(id).map_err(refuse)?;
            let position = *position_of.entry(id).or_insert(batch.len());
            match batch.get_mut(position) {
                Some((_, known)) => known.join(state),
                None => batch.push_back((id, state)),
            }
        }
        let mut room = Room::of(self);
        for (id, state) in &batch {
            room.take(id, &*self.joined(*id, Cow::Borrowed(state))?);
        }
        room.check()?;
        Ok(Batch(batch))
    }

    /// Merges the next [`MERGE_PIECE_ENTRIES_MAX`] states of a batch that this catalog has checked.
    ///
    /// The caller may release its lock on the catalog between two pieces. A piece can fail only
    /// because of a change made here in between; then the rest of the batch is refused.
    pub(crate) fn merge_piece(&mut self, batch: &mut Batch) -> Result<MergedPiece, CatalogError> {
        let count = batch.0.len().min(MERGE_PIECE_ENTRIES_MAX);
        let piece: Vec<_> = batch.0.drain(..count).collect();
        let merged = self.merged(piece).inspect_err(|_| batch.0.clear())?;
        let entries = merged.keys().copied().collect();
        let Difference { news, displaced } = self.store_and_compare(merged);
        Ok(MergedPiece {
            entries,
            displaced,
            news,
        })
    }

    /// The states that differ from ours once the given states are merged in.
    fn merged(
        &self,
        states: impl IntoIterator<Item = (EntryId, EntryState)>,
    ) -> Result<BTreeMap<EntryId, EntryState>, CatalogError> {
        let mut merged = BTreeMap::new();
        for (id, state) in states {
            let joined = self.joined(id, Cow::Owned(state))?;
            if self.state(id) != Some(&*joined) {
                merged.insert(id, joined.into_owned());
            }
        }
        self.check_room(&merged)?;
        Ok(merged)
    }

    /// Our state of an entry, with the given one merged in.
    fn joined<'a>(
        &self,
        id: EntryId,
        state: Cow<'a, EntryState>,
    ) -> Result<Cow<'a, EntryState>, CatalogError> {
        let joined = match self.state(id).cloned() {
            Some(mut known) => {
                known.join(state.into_owned());
                Cow::Owned(known)
            }
            None => state,
        };
        let fits = joined.check_sizes();
        fits.map_err(|fault| CatalogError::BadState { id, fault })?;
        Ok(joined)
    }
}

/// What one piece of a batch has changed.
#[derive(Debug)]
pub(crate) struct MergedPiece {
    /// The entries with a new state.
    pub(crate) entries: Vec<EntryId>,
    /// Entries that are no longer shown, or are shown as something else.
    pub(crate) displaced: HashSet<EntryId>,
    /// The visible changes.
    pub(crate) news: News,
}

#[cfg(test)]
mod tests;
