//! Merging states from elsewhere: all checks come before the first change, which is then made in
//! one step or in many small ones.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use super::Catalog;
use super::capacity::Capacity;
use super::draft::Draft;
use super::error::{CatalogError, StateFault};
use super::events::{CatalogEvent, News};
use super::state::{EntryId, EntryState, Version};
use super::visible_changes::Difference;
use crate::limits::MERGE_PIECE_ENTRIES_MAX;

/// States from elsewhere that were checked, to be merged piece by piece in the order in which they
/// arrived.
#[derive(Debug)]
pub(crate) struct Batch {
    states: VecDeque<(EntryId, EntryState)>,
    left_out: Option<CatalogError>,
}

impl Batch {
    /// Whether all of it has been merged.
    pub(crate) fn is_empty(&self) -> bool {
        self.states.is_empty()
    }

    /// Why a state was left out, if one was: with ours merged in, it has more than an entry may
    /// have. Each of the two was valid, so whoever sent it need not have broken a rule.
    pub(crate) fn left_out(self) -> Option<CatalogError> {
        self.left_out
    }

    /// The entries of the next piece.
    pub(crate) fn next_entries(&self) -> impl Iterator<Item = EntryId> {
        let next = self.states.iter().take(MERGE_PIECE_ENTRIES_MAX);
        next.map(|(id, _)| *id)
    }
}

impl Catalog {
    /// Merges states of entries that another catalog gave out, in any order, any number of times.
    ///
    /// Returns the visible changes. A batch that holds an invalid state, or that does not fit,
    /// is refused whole, and nothing changes.
    pub fn merge(&mut self, states: Vec<(EntryId, EntryState)>) -> Result<Vec<CatalogEvent>, CatalogError> {
        let Batch { states, mut left_out } = self.checked(states)?;
        left_out.take().map_or(Ok(()), Err)?;
        let merged = self.merged(states, &mut left_out)?;
        Ok(self.store_merged(merged).news.events().collect())
    }

    /// Checks a batch of states as [`Catalog::merge`] does, and changes nothing. A state that is
    /// valid, but too large with ours merged in, is left out, and the others are not.
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
        let (mut capacity, mut left_out) = (Capacity::of(self), None);
        batch.retain(|(id, state)| match self.joined(*id, Cow::Borrowed(state)) {
            Ok(joined) => {
                capacity.take(id, &joined);
                true
            }
            Err(error) => {
                left_out = Some(error);
                false
            }
        });
        capacity.check()?;
        Ok(Batch {
            states: batch,
            left_out,
        })
    }

    /// Merges the next [`MERGE_PIECE_ENTRIES_MAX`] states of a batch that this catalog has checked.
    ///
    /// The caller may release its lock on the catalog between two pieces. A piece can fail only
    /// because of a change made here in between; then the rest of the batch is refused.
    pub(crate) fn merge_piece(&mut self, batch: &mut Batch) -> Result<MergedPiece, CatalogError> {
        let Batch { states, left_out } = batch;
        let count = states.len().min(MERGE_PIECE_ENTRIES_MAX);
        let piece: Vec<_> = states.drain(..count).collect();
        let merged = self.merged(piece, left_out).inspect_err(|_| states.clear())?;
        let entries = merged.states.keys().copied().collect();
        let renewed = merged.renewed.clone();
        let Difference { news, displaced } = self.store_merged(merged);
        Ok(MergedPiece {
            entries,
            displaced,
            news,
            renewed,
        })
    }

    fn store_merged(&mut self, merged: Merged) -> Difference {
        let difference = self.store_and_compare(merged.states);
        self.counter = self.counter.max(merged.counter);
        difference
    }

    /// The states that differ from ours once the given states are merged in, but for those that are
    /// too large then.
    fn merged(
        &self,
        states: impl IntoIterator<Item = (EntryId, EntryState)>,
        left_out: &mut Option<CatalogError>,
    ) -> Result<Merged, CatalogError> {
        let mut merged = Merged::default();
        let mut undone = Vec::new();
        for (id, state) in states {
            let lost = self.undone_by(id, &state);
            match self.joined(id, Cow::Owned(state)) {
                Ok(joined) if self.state(id) != Some(&*joined) => {
                    merged.states.insert(id, joined.into_owned());
                    undone.extend(lost.into_iter().map(|version| (id, version)));
                }
                Ok(_) => {}
                Err(error) => *left_out = Some(error),
            }
        }
        if !undone.is_empty() {
            self.renew(&mut merged, undone);
        }
        self.check_room(&merged.states)?;
        Ok(merged)
    }

    /// The versions of ours that a state removes without having seen them. It counts dots of ours
    /// as seen that we have not made, so its maker has invented them, to undo what we do next. It
    /// may have come by way of an honest peer.
    fn undone_by(&self, id: EntryId, state: &EntryState) -> Vec<Version> {
        let Some(known) = self.state(id) else {
            return Vec::new();
        };
        let made = known.seen.counter_of(&self.replica);
        if state.seen.counter_of(&self.replica) <= made {
            return Vec::new();
        }
        let ours = known
            .versions
            .iter()
            .filter(|(dot, _)| dot.replica == self.replica);
        let gone = ours.filter(|(dot, _)| !state.versions.contains_key(*dot));
        gone.map(|(_, version)| version.clone()).collect()
    }

    /// Adds versions that were undone to what is merged, as changes of ours. If they do not fit,
    /// they stay undone.
    fn renew(&self, merged: &mut Merged, undone: Vec<(EntryId, Version)>) {
        let entries: Vec<_> = undone.iter().map(|(id, _)| *id).collect();
        if let Ok(drafted) = Draft::renewing(self, &merged.states, undone) {
            let is_new = |id: &&EntryId| !merged.states.contains_key(id);
            let made: Vec<_> = drafted.states.keys().filter(is_new).copied().collect();
            *merged = Merged {
                states: drafted.states,
                counter: drafted.counter,
                renewed: entries.into_iter().chain(made).collect(),
            };
        }
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
        fits.map_err(|fault| CatalogError::EntryFull { id, fault })?;
        Ok(joined)
    }
}

/// States to be stored.
#[derive(Default)]
struct Merged {
    states: BTreeMap<EntryId, EntryState>,
    /// The counter of the last dot that was made for them; 0 if none was.
    counter: u64,
    renewed: Vec<EntryId>,
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
    /// Entries that have a new change of ours, which the other peer must receive: see
    /// `Catalog::undone_by`.
    pub(crate) renewed: Vec<EntryId>,
}

#[cfg(test)]
mod tests;
