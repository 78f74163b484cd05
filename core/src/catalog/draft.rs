//! Drafts of local changes: new states of a few entries on top of a catalog, stored together or not
//! at all.
//!
//! Owns how entries are created, replaced, moved and emptied. What a user wants, and whether it is
//! allowed, is decided in `edit`. The other side may have filled an entry so that it has no room
//! for our change; then a new entry in the same place gets it.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::Catalog;
use super::error::CatalogError;
use super::share_path::{Name, SharePath};
use super::state::{EntryId, EntryState, Kind, Place, Version};
use super::version_vector::{Dot, ReplicaId};
use super::view::{Item, LeafGroup};
use crate::identity::Fingerprint;
use crate::limits::{ENTRY_VERSIONS_OWN_MAX, RIVALS_REMADE_MAX};

/// The version that makes an entry a folder.
pub(super) const FOLDER: Version = Version {
    kind: Kind::Folder,
    holders: BTreeSet::new(),
};

/// New states of some entries, on top of a catalog.
pub(super) struct Draft<'a> {
    pub(super) catalog: &'a Catalog,
    replica: ReplicaId,
    counter: u64,
    states: BTreeMap<EntryId, EntryState>,
    remade: Vec<(EntryId, EntryId)>,
}

/// What a finished draft leaves to store.
#[derive(Default)]
pub(super) struct Drafted {
    pub(super) states: BTreeMap<EntryId, EntryState>,
    /// The counter of the last dot that was made.
    pub(super) counter: u64,
    /// See [`super::Change::remade`].
    pub(super) remade: Vec<(EntryId, EntryId)>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(catalog: &'a Catalog) -> Self {
        Self {
            catalog,
            replica: catalog.replica,
            counter: catalog.counter,
            states: BTreeMap::new(),
            remade: Vec::new(),
        }
    }

    /// On top of states that were merged. Versions of ours in `undone` come back with new dots.
    pub(super) fn renewing(
        catalog: &'a Catalog,
        merged: &BTreeMap<EntryId, EntryState>,
        undone: Vec<(EntryId, Version)>,
    ) -> Result<Drafted, CatalogError> {
        let mut draft = Self::new(catalog);
        draft.states = merged.clone();
        for (id, version) in undone {
            draft.put_beside(id, version)?;
        }
        draft.finish()
    }

    /// What was drafted, if it keeps to the limits.
    pub(super) fn finish(self) -> Result<Drafted, CatalogError> {
        self.catalog.check_room(&self.states)?;
        for (id, state) in &self.states {
            state
                .check_sizes()
                .map_err(|fault| CatalogError::BadState { id: *id, fault })?;
        }
        Ok(Drafted {
            states: self.states,
            counter: self.counter,
            remade: self.remade,
        })
    }

    /// The dot of the last change that was drafted.
    pub(super) fn last_dot(&self) -> Dot {
        Dot {
            counter: self.counter,
            replica: self.replica,
        }
    }

    fn next_dot(&mut self) -> Result<Dot, CatalogError> {
        self.counter = self
            .counter
            .checked_add(1)
            .ok_or(CatalogError::CounterExhausted)?;
        Ok(self.last_dot())
    }

    /// A dot for a change of that entry: greater than every dot on it.
    fn next_dot_on(&mut self, id: EntryId) -> Result<Dot, CatalogError> {
        let seen = self.state(id).map_or(0, |state| state.seen.counter_max());
        self.counter = self.counter.max(seen);
        self.next_dot()
    }

    fn edit(&mut self, id: EntryId, change: impl FnOnce(&mut EntryState)) {
        let catalog = self.catalog;
        if let Some(known) = catalog.state(id) {
            change(self.states.entry(id).or_insert_with(|| known.clone()));
        }
    }

    /// Makes an entry at a path where nothing is shown.
    pub(super) fn create(&mut self, path: &SharePath, version: Version) -> Result<EntryId, CatalogError> {
        let mut folder = vec![EntryId::ROOT];
        let mut names = path.names().peekable();
        let mut reached: Option<SharePath> = None;
        while let Some(name) = names.next() {
            let name = Name::new(name)?;
            let here = SharePath::within(reached.as_ref(), &name)?;
            let slot = self.catalog.slot(&folder, name.as_str());
            let is_last = names.peek().is_none();
            folder = match slot.folders.is_empty() {
                false if !is_last => slot.folders,
                true if !is_last && !slot.leaves.is_empty() => {
                    return Err(CatalogError::NotFolder { path: here });
                }
                _ => vec![self.place(&folder, name, if is_last { version.clone() } else { FOLDER })?],
            };
            reached = Some(here);
        }
        Ok(first_of(&folder))
    }

    /// Puts a new version under a free name. Reuses a tombstone of that name if there is one, so
    /// that replacing a file by removing and adding it, as editors do, does not use up the catalog.
    pub(super) fn place(
        &mut self,
        folder: &[EntryId],
        name: Name,
        version: Version,
    ) -> Result<EntryId, CatalogError> {
        if let Some(id) = self.tombstone(folder, &name) {
            return self.add_version(id, version);
        }
        self.make_entry(first_of(folder), name, version)
    }

    /// Makes a new entry. An entry that the other side made under the id of our next change stays
    /// as it is.
    fn make_entry(&mut self, parent: EntryId, name: Name, version: Version) -> Result<EntryId, CatalogError> {
        let (dot, id) = loop {
            let dot = self.next_dot()?;
            let id = EntryId::created_by(&dot);
            if self.catalog.state(id).is_none() {
                break (dot, id);
            }
        };
        let mut state = EntryState::placed(Place {
            stamp: dot,
            parent,
            name,
        });
        state.add(dot, version);
        self.states.insert(id, state);
        Ok(id)
    }

    /// The drafted state of an entry.
    fn state(&self, id: EntryId) -> Option<&EntryState> {
        self.states.get(&id).or_else(|| self.catalog.state(id))
    }

    /// Whether an entry takes one more change of ours and one more version. The other side may have
    /// filled it, or may have counted on it so far ahead that we don't follow.
    fn has_room(&self, id: EntryId) -> bool {
        let state = self.state(id);
        state.is_some_and(|state| state.versions.len() < ENTRY_VERSIONS_OWN_MAX) && self.can_put(id)
    }

    /// Whether an entry takes one more move of ours.
    fn can_put(&self, id: EntryId) -> bool {
        self.state(id).is_some_and(|state| {
            state.seen.has_room_for(&self.replica)
                && state.seen.counter_max() <= self.catalog.counter_followed_max()
        })
    }

    fn tombstone(&self, folder: &[EntryId], name: &Name) -> Option<EntryId> {
        let tree = &self.catalog.folders;
        let mut named = self.catalog.named_in(folder, name.as_str());
        named.find(|id| !tree.is_visible(*id) && !tree.is_lifted(*id) && self.has_room(*id))
    }

    /// Replaces what is shown at `path`, a leaf, by a version. If the body is the same, the holders
    /// are kept.
    pub(super) fn put_version(
        &mut self,
        shown: &Item,
        path: &SharePath,
        mut version: Version,
    ) -> Result<(), CatalogError> {
        match shown {
            Item::Folder(_) => return Err(CatalogError::IsFolder { path: path.clone() }),
            Item::Leaf(group) => {
                group.pass_holders_to(&mut version);
                self.replace(group, version)?;
            }
            Item::Copy(group) => {
                group.pass_holders_to(&mut version);
                self.split(group, path, version)?;
            }
        }
        Ok(())
    }

    /// Replaces all versions of a group by one. Returns the entry that has it.
    pub(super) fn replace(&mut self, group: &LeafGroup, version: Version) -> Result<EntryId, CatalogError> {
        self.drop_versions(group);
        let id = group.newest().map_or(EntryId::ROOT, |(_, id)| id);
        let got = self.add_version(id, version)?;
        if got != id {
            let members = group.members.iter();
            self.remade.extend(members.map(|(_, old)| (*old, got)));
        }
        Ok(got)
    }

    /// Adds a version beside those that an entry has. Returns the entry that has the new one:
    /// another, new entry if this one has no room.
    pub(super) fn add_version(&mut self, id: EntryId, version: Version) -> Result<EntryId, CatalogError> {
        self.lead(id)?;
        self.put_beside(id, version)
    }

    /// As [`Draft::add_version`], whatever else is under that name.
    fn put_beside(&mut self, id: EntryId, version: Version) -> Result<EntryId, CatalogError> {
        if let Some(full) = self.state(id).filter(|_| !self.has_room(id)) {
            let parent = self.catalog.folders.shown_parent(id, &full.place);
            return self.make_entry(parent, full.place.name.clone(), version);
        }
        let dot = self.next_dot_on(id)?;
        self.edit(id, |state| state.add(dot, version));
        Ok(id)
    }

    /// Makes our next dot greater than all dots under the name of that entry, so that the next
    /// version has the name. A version whose counter we don't follow gets a lesser dot, in a new
    /// entry.
    fn lead(&mut self, id: EntryId) -> Result<(), CatalogError> {
        let Some(spot) = self.catalog.spot_of(id) else {
            return Ok(());
        };
        let limit = self.catalog.counter_followed_max();
        let is_far = |group: &&LeafGroup| group.newest().is_some_and(|(dot, _)| dot.counter > limit);
        if spot.slot.leaves.iter().filter(is_far).count() > RIVALS_REMADE_MAX {
            return Ok(());
        }
        for group in &spot.slot.leaves {
            let members = group
                .members
                .iter()
                .copied()
                .filter(|(dot, id)| self.has(*id, dot));
            let (near, far): (Vec<_>, Vec<_>) = members.partition(|(dot, _)| dot.counter <= limit);
            let newest = near.first().map_or(0, |(dot, _)| dot.counter);
            self.counter = self.counter.max(newest);
            for (dot, id) in &far {
                self.edit(*id, |state| drop(state.versions.remove(dot)));
            }
            if !far.is_empty() {
                let made = self.make_entry(first_of(&spot.folder), spot.path.name(), group.version())?;
                self.remade.extend(far.iter().map(|(_, id)| (*id, made)));
            }
        }
        Ok(())
    }

    fn has(&self, id: EntryId, dot: &Dot) -> bool {
        self.state(id)
            .is_some_and(|state| state.versions.contains_key(dot))
    }

    /// Turns a conflict copy into a file of its own.
    pub(super) fn split(
        &mut self,
        group: &LeafGroup,
        to: &SharePath,
        version: Version,
    ) -> Result<EntryId, CatalogError> {
        self.drop_versions(group);
        self.create(to, version)
    }

    /// Replaces a version of an entry that has no path by one of an entry at the top of the share.
    pub(super) fn surface(
        &mut self,
        (id, base): (EntryId, Dot),
        name: Name,
        version: Version,
    ) -> Result<EntryId, CatalogError> {
        self.edit(id, |state| drop(state.versions.remove(&base)));
        let made = self.place(&[EntryId::ROOT], name, version)?;
        self.remade.push((id, made));
        Ok(made)
    }

    /// Whether all entries of a group can be moved.
    pub(super) fn can_move(&self, group: &LeafGroup) -> bool {
        group.members.iter().all(|(_, id)| self.can_put(*id))
    }

    pub(super) fn drop_versions(&mut self, group: &LeafGroup) {
        for (dot, id) in &group.members {
            self.edit(*id, |state| drop(state.versions.remove(dot)));
        }
    }

    pub(super) fn remove_folder(&mut self, id: EntryId) {
        self.edit(id, |state| {
            state.versions.retain(|_, version| version.kind != Kind::Folder)
        });
        let mut inside = HashSet::new();
        self.catalog.folders.add_with_descendants(id, &mut inside);
        inside.remove(&id);
        for id in inside {
            self.edit(id, |state| state.versions.clear());
        }
    }

    /// Adds the holders of `version` to a group of the same body.
    pub(super) fn hold(&mut self, group: &LeafGroup, version: &Version) {
        let new = version.holders.difference(&group.holders);
        for (holder, (dot, id)) in new.filter_map(|holder| Some((holder, group.newest()?))) {
            self.add_holder(id, dot, *holder);
        }
    }

    pub(super) fn add_holder(&mut self, id: EntryId, dot: Dot, holder: Fingerprint) {
        self.edit(id, |state| {
            if let Some(version) = state.versions.get_mut(&dot) {
                version.add_holder(holder);
            }
        });
    }

    /// Moves entries with all that is in them. An entry that takes no change of ours stays where it
    /// is, empty: new entries get what it has, and what is in it moves one by one.
    pub(super) fn put_all(&mut self, entries: Vec<EntryId>, to: &SharePath) -> Result<(), CatalogError> {
        let parent = self.folder_for(to)?;
        let mut open: Vec<_> = entries.into_iter().map(|id| (id, parent, to.name())).collect();
        while let Some((id, parent, name)) = open.pop() {
            if self.can_put(id) {
                self.put(id, parent, name)?;
                continue;
            }
            if let Some(folder) = self.remake(id, parent, &name)? {
                let tree = &self.catalog.folders;
                let inside = tree.children(id).filter(|(_, child)| tree.is_visible(*child));
                open.extend(inside.map(|(name, child)| (child, folder, name.clone())));
            }
        }
        Ok(())
    }

    /// Gives the versions of an entry to new entries in another place. Returns the new folder if it
    /// is one.
    fn remake(&mut self, id: EntryId, parent: EntryId, name: &Name) -> Result<Option<EntryId>, CatalogError> {
        let state = self.state(id).into_iter();
        let versions: Vec<_> = state.flat_map(|state| state.versions.values().cloned()).collect();
        self.edit(id, |state| state.versions.clear());
        for version in versions
            .into_iter()
            .filter(|version| version.kind != Kind::Folder)
        {
            let made = self.make_entry(parent, name.clone(), version)?;
            self.remade.push((id, made));
        }
        let is_folder = self.catalog.is_folder(id);
        is_folder
            .then(|| self.make_entry(parent, name.clone(), FOLDER))
            .transpose()
    }

    /// The folder that `path` is in; made if it does not exist.
    fn folder_for(&mut self, path: &SharePath) -> Result<EntryId, CatalogError> {
        let Some(folder) = path.parent() else {
            return Ok(EntryId::ROOT);
        };
        if let Some(entries) = self.catalog.folder_at(Some(&folder)) {
            return Ok(first_of(&entries));
        }
        if matches!(self.catalog.find(&folder), Some(Item::Leaf(_) | Item::Copy(_))) {
            return Err(CatalogError::NotFolder { path: folder });
        }
        self.create(&folder, FOLDER)
    }

    fn put(&mut self, id: EntryId, parent: EntryId, name: Name) -> Result<(), CatalogError> {
        let stamp = self.next_dot_on(id)?;
        self.edit(id, |state| state.put(Place { stamp, parent, name }));
        Ok(())
    }

    /// Writes down that the entries of a cycle are at the top, before another move opens the cycle
    /// and they would jump.
    pub(super) fn settle_lifted(&mut self) -> Result<(), CatalogError> {
        let lifted = self.catalog.folders.lifted();
        let places: Vec<_> = lifted
            .filter(|id| self.can_put(*id))
            .filter_map(|id| Some((id, self.catalog.state(id)?.place.name.clone())))
            .collect();
        places
            .into_iter()
            .try_for_each(|(id, name)| self.put(id, EntryId::ROOT, name))
    }
}

/// The entry that represents a folder made of several.
fn first_of(folder: &[EntryId]) -> EntryId {
    folder.first().copied().unwrap_or(EntryId::ROOT)
}

#[cfg(test)]
mod tests;
