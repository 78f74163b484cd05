//! The catalog: one replicated tree of files, links and folders that two peers share.
//!
//! A state-based CRDT, pure and synchronous: no I/O, no clock, no randomness, no locks. In whatever
//! order two catalogs edit and exchange states, they show the same tree afterwards. No content
//! disappears unless a peer that knew it replaced or removed it. Each entry is a place (its folder
//! and name; the last writer wins) and a set of concurrent versions. Paths are derived, so that a
//! rename of a folder and an edit inside it merge. A rename alone is no edit: a file that one peer
//! renames and the other removes is removed.
//!
//! Not here: the bytes of files and where they are stored (`store`, `transfer`), sending and paging
//! (`peer`), and writing it to disk (`journal`). Reading order: [`SharePath`], then `dot` and
//! `state` (what is replicated), `tree` (the index), `view`, `key` and `contents` (what is shown,
//! and where), `edit`, `rename`, `revise` and `draft` (local changes), `merge` and `digest`
//! (exchange), `restore`.

use std::collections::{BTreeMap, HashSet};
use std::sync::OnceLock;

mod capacity;
mod conflict_name;
mod contents;
mod digest;
mod draft;
mod edit;
mod error;
mod events;
mod folder_index;
mod key;
mod known_copies;
mod link_target;
mod merge;
mod name_rules;
mod rename;
mod restore;
mod revise;
mod share_path;
mod state;
mod step_count;
mod version_vector;
mod view;
mod visible_changes;
mod visible_folders;

pub use digest::Digest;
pub use edit::Change;
pub use error::{CatalogError, StateFault};
pub use events::CatalogEvent;
pub use key::EntryKey;
pub use link_target::{LinkFault, LinkTarget};
pub use rename::OnExisting;
pub use revise::{Edited, Holding};
pub use share_path::{Name, PathError, PathFault, SharePath};
pub use state::{ContentId, EntryId, EntryState, FileVersion, Kind, LinkVersion, Place, Version};
pub use version_vector::{Dot, ReplicaId, Seen};
pub use view::Shown;

pub(crate) use events::News;
pub(crate) use merge::{Batch, MergedPiece};
#[cfg(test)]
pub(crate) use step_count::{paths_made_by, steps_of};

use crate::limits::{CATALOG_COUNTER_LEAD_MAX, CATALOG_LEN_MAX, SHARE_DEPTH_MAX};
use crate::unsaved::Unsaved;
use capacity::Capacity;
use digest::{StateHash, hash_of};
use folder_index::{FolderIndex, Life, Link};
use known_copies::KnownCopies;
use step_count::step;

/// One peer's copy of the shared tree.
#[derive(Debug, Clone)]
pub struct Catalog {
    replica: ReplicaId,
    /// The greatest counter of any dot in the catalog, as far as it is followed.
    counter: u64,
    entries: BTreeMap<EntryId, Entry>,
    /// The bytes of memory that all entries count for.
    len: u64,
    /// Their limit.
    len_max: u64,
    /// How many changes this copy has seen.
    revision: u64,
    /// The summary of the present states; computed when it is first needed.
    digest: OnceLock<Digest>,
    folders: FolderIndex,
    /// Entries whose states have changed since they were saved.
    unsaved: Unsaved<EntryId>,
    known_copies: KnownCopies,
}

#[derive(Debug, Clone)]
struct Entry {
    state: EntryState,
    hash: StateHash,
}

impl Catalog {
    /// An empty catalog. Its `replica` must never have made a change before; see [`ReplicaId`].
    #[must_use]
    pub fn new(replica: ReplicaId) -> Self {
        Self {
            replica,
            counter: 0,
            entries: BTreeMap::new(),
            len: 0,
            len_max: CATALOG_LEN_MAX,
            revision: 0,
            digest: OnceLock::new(),
            folders: FolderIndex::default(),
            unsaved: Unsaved::default(),
            known_copies: KnownCopies::default(),
        }
    }

    /// Limits the entries to `len_max` bytes of memory instead of [`CATALOG_LEN_MAX`].
    #[must_use]
    pub fn with_len_max(mut self, len_max: u64) -> Self {
        self.len_max = len_max;
        self
    }

    /// The replica that makes the changes in this catalog.
    #[must_use]
    pub fn replica(&self) -> ReplicaId {
        self.replica
    }

    /// How many entries there are, removed ones included.
    #[must_use]
    pub fn entry_count(&self) -> usize {
        self.entries.len()
    }

    /// A number that differs after each change of this copy. With the same number, everything is
    /// shown as before.
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    /// A summary of all states, for [`Catalog::differing`] on the other side.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.known_digest().clone()
    }

    /// The summary, computed once for the same states.
    fn known_digest(&self) -> &Digest {
        self.digest.get_or_init(|| {
            Digest::of(|first| {
                let entries = self.bucket(first).inspect(|_| step());
                entries.map(|(_, entry)| &entry.hash)
            })
        })
    }

    /// The entries whose states may differ from those of the catalog with that digest. Each of them
    /// differs or shares a bucket with one that does.
    #[must_use]
    pub fn differing(&self, other: &Digest) -> Vec<EntryId> {
        let buckets = self.known_digest().differing(other);
        buckets
            .into_iter()
            .flat_map(|first| self.bucket(first))
            .map(|(id, _)| *id)
            .collect()
    }

    fn bucket(&self, first: u8) -> impl Iterator<Item = (&EntryId, &Entry)> {
        let mut bounds = [[0; 16], [u8::MAX; 16]];
        for [byte, ..] in &mut bounds {
            *byte = first;
        }
        let [start, end] = bounds.map(EntryId::from_bytes);
        self.entries.range(start..=end)
    }

    /// The states of those entries, to be merged elsewhere. Each comes after the states of the
    /// folders that it is in, which are added if need be.
    ///
    /// So no page of states leaves the receiver with an entry that it can't place yet. For an entry
    /// that is too deep to be shown, no folders are added. Unknown ids are left out.
    #[must_use]
    pub fn states(&self, ids: &[EntryId]) -> Vec<(EntryId, EntryState)> {
        self.states_within(ids, u64::MAX, &mut HashSet::new()).0
    }

    /// As [`Catalog::states`] for the first of the ids: until they count for `len_max` bytes of
    /// memory, and for at least one. Returns the remaining ids too. `sent` has the folders that
    /// earlier pages have added; they are not added again. So a page has no more states than it
    /// says, however deep the entries are and however large their folders.
    pub(crate) fn states_within<'a>(
        &self,
        ids: &'a [EntryId],
        len_max: u64,
        sent: &mut HashSet<EntryId>,
    ) -> (Vec<(EntryId, EntryState)>, &'a [EntryId]) {
        let mut taken = HashSet::new();
        let mut states = Vec::new();
        let (mut left, mut len) = (ids, 0);
        while let Some((id, others)) = left.split_first() {
            let mut trail = self.trail(*id, &mut taken, sent);
            while let Some((id, state)) = trail.pop() {
                if len >= len_max {
                    return (states, left);
                }
                len += state.len();
                states.push((id, state.clone()));
                if !trail.is_empty() {
                    sent.insert(id);
                }
            }
            left = others;
        }
        (states, left)
    }

    /// An entry and then the folders that it is in, the nearest first, up to one that is taken or
    /// sent. They are taken from now on. The entry alone if it is too deep to be shown; nothing if
    /// it is taken.
    fn trail(
        &self,
        id: EntryId,
        taken: &mut HashSet<EntryId>,
        sent: &HashSet<EntryId>,
    ) -> Vec<(EntryId, &EntryState)> {
        let mut trail = Vec::new();
        let mut next = self.state(id).map(|state| (id, state));
        while let Some((id, state)) = next {
            let is_sent = !trail.is_empty() && sent.contains(&id);
            if is_sent || !taken.insert(id) {
                break;
            }
            trail.push((id, state));
            if trail.len() > SHARE_DEPTH_MAX + 1 {
                for (folder, _) in trail.drain(1..) {
                    taken.remove(&folder);
                }
                break;
            }
            let parent = state.place.parent;
            next = self.state(parent).map(|state| (parent, state));
        }
        trail
    }

    /// All states, as [`Catalog::states`] gives them.
    #[must_use]
    pub fn all_states(&self) -> Vec<(EntryId, EntryState)> {
        self.states(&self.entries.keys().copied().collect::<Vec<_>>())
    }

    /// What is replicated of an entry.
    pub(crate) fn state(&self, id: EntryId) -> Option<&EntryState> {
        self.entries.get(&id).map(|entry| &entry.state)
    }

    /// Whether new states fit. There always is if they take no more than the old
    /// ones.
    fn check_room<'a>(
        &self,
        states: impl IntoIterator<Item = (&'a EntryId, &'a EntryState)>,
    ) -> Result<(), CatalogError> {
        let mut capacity = Capacity::of(self);
        states
            .into_iter()
            .for_each(|(id, state)| capacity.take(id, state));
        capacity.check()
    }

    /// Stores new states of some entries and updates the index. Returns the entries that are shown
    /// elsewhere because a cycle appeared or dissolved.
    fn store(&mut self, states: BTreeMap<EntryId, EntryState>) -> Vec<EntryId> {
        if !states.is_empty() {
            self.revision += 1;
            self.digest = OnceLock::new();
        }
        let mut counter = self.counter;
        let mut unlinked = Vec::new();
        let mut moved = Vec::new();
        for (id, mut state) in states {
            if !state.is_alive() {
                // An emptied map would keep the memory of its last node.
                state.versions = BTreeMap::new();
            }
            if self.state(id).is_none_or(|old| !old.is_shown_as(&state)) {
                self.known_copies.forget();
            }
            let old = self.state(id);
            if old.is_none_or(|old| old.place != state.place) {
                moved.push(id);
            }
            if old.is_none_or(|old| old.place != state.place || old.is_alive() != state.is_alive()) {
                self.folders.unlink(id);
                unlinked.push(id);
            }
            counter = counter.max(state.seen.counter_max());
            let mut capacity = Capacity::of(self);
            capacity.take(&id, &state);
            self.len = capacity.len();
            let hash = hash_of(&id, &state);
            self.unsaved.note(id);
            self.entries.insert(id, Entry { state, hash });
        }
        self.counter = counter.min(self.counter_followed_max());
        let lifted = self.renew_lifted(moved, &mut unlinked);
        for id in unlinked {
            self.link(id);
        }
        lifted
    }

    /// Up to which counter one merge or one change follows those of others.
    fn counter_followed_max(&self) -> u64 {
        self.counter.saturating_add(CATALOG_COUNTER_LEAD_MAX)
    }

    fn renew_lifted(&mut self, moved: Vec<EntryId>, unlinked: &mut Vec<EntryId>) -> Vec<EntryId> {
        let entries = &self.entries;
        let lifted = self
            .folders
            .lift(&moved, |id| entries.get(&id).map(|entry| &entry.state.place));
        for id in &lifted {
            if self.folders.link_of(*id).is_some() {
                self.folders.unlink(*id);
                unlinked.push(*id);
            }
        }
        lifted
    }

    fn link(&mut self, id: EntryId) {
        let Some(state) = self.entries.get(&id).map(|entry| &entry.state) else {
            return;
        };
        let life = Life::of(state);
        let parent = self.folders.shown_parent(id, &state.place);
        self.folders.link(
            id,
            Link {
                parent,
                name: state.place.name.clone(),
                life,
            },
        );
    }
}

#[cfg(test)]
pub(crate) mod tests;
