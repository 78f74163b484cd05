//! Local changes: adding, removing, renaming, and noting who holds what.
//!
//! Every operation drafts new states of the entries it touches and stores them together, or fails and changes nothing.
//! It acts on what is *shown* at the path it is given, and only on dots that this replica has seen.

use std::collections::BTreeMap;

use super::Catalog;
use super::dot::{Dot, ReplicaId};
use super::error::CatalogError;
use super::share_path::{Name, SharePath};
use super::state::{EntryId, EntryState, FileVersion, Kind, Place, Version};
use super::view::{FileGroup, Item};
use crate::identity::Fingerprint;
use crate::limits::CATALOG_ENTRIES_MAX;

/// Permission bits; the others are not shared.
const MODE_MASK: u32 = 0o777;

/// What a local operation changed, for telling the other side.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use = "the other side has to be told"]
pub struct Change {
    /// The entries with a new state; none if there was nothing to do.
    pub touched: Vec<EntryId>,
}

impl Change {
    /// Whether there was nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.touched.is_empty()
    }
}

impl Catalog {
    /// Shares a file, or a new version of the file at that path; this peer holds its bytes. Makes the folders it needs.
    ///
    /// The same content with the same mode is no change. What is replaced is the version shown at the path: other
    /// versions stay as the conflict copies they are. Added at the path of a copy, it becomes a file of that name. Mode
    /// bits beyond the permissions are dropped.
    pub fn add_file(&mut self, path: &SharePath, file: FileVersion) -> Result<Change, CatalogError> {
        let file = FileVersion {
            mode: file.mode & MODE_MASK,
            ..file
        };
        file.check().map_err(|fault| CatalogError::BadFile {
            path: path.clone(),
            fault,
        })?;
        let us = self.replica.fingerprint;
        let mut version = Version {
            kind: Kind::File(file),
            holders: [us].into(),
        };
        let mut draft = Draft::new(self);
        match self.find(path) {
            None => draft.create(path, version).map(drop)?,
            Some(Item::Folder(_)) => return Err(CatalogError::IsFolder { path: path.clone() }),
            Some(Item::File(group) | Item::Copy(group)) if group.is_same(&file) => draft.hold(&group, us),
            Some(Item::File(group)) => {
                group.pass_holders_to(&mut version);
                draft.replace(&group, version)?;
            }
            Some(Item::Copy(group)) => {
                group.pass_holders_to(&mut version);
                draft.split(&group, path, version)?;
            }
        }
        let states = draft.finish()?;
        Ok(self.store_change(states))
    }

    /// Shares a folder, with the folders it is in. No change if it is there.
    pub fn add_folder(&mut self, path: &SharePath) -> Result<Change, CatalogError> {
        let mut draft = Draft::new(self);
        match self.find(path) {
            Some(Item::Folder(_)) => {}
            Some(_) => return Err(CatalogError::NotFolder { path: path.clone() }),
            None => draft.create(path, FOLDER).map(drop)?,
        }
        let states = draft.finish()?;
        Ok(self.store_change(states))
    }

    /// Removes what is shown at the path: one version of a file, or a folder with all that is in it.
    ///
    /// What another peer adds or edits in there without knowing of the removal stays, and keeps its folders visible.
    pub fn remove(&mut self, path: &SharePath) -> Result<Change, CatalogError> {
        let mut draft = Draft::new(self);
        match self.find(path) {
            None => return Err(CatalogError::Missing { path: path.clone() }),
            Some(Item::File(group) | Item::Copy(group)) => draft.drop_versions(&group),
            Some(Item::Folder(entries)) => entries.into_iter().for_each(|id| draft.remove_folder(id)),
        }
        let states = draft.finish()?;
        Ok(self.store_change(states))
    }

    /// Renames or moves what is shown at `from`. Makes the folders that `to` needs.
    ///
    /// One change of place, however much is in a folder; contents keep their ids and holders. Concurrent versions of a
    /// renamed file go along; a conflict copy becomes a file of its own. Refused are an unknown source, a target that is
    /// there, and a folder that would end up in itself.
    pub fn rename(&mut self, from: &SharePath, to: &SharePath) -> Result<Change, CatalogError> {
        let item = self
            .find(from)
            .ok_or_else(|| CatalogError::Missing { path: from.clone() })?;
        if from == to {
            return Ok(Change::default());
        }
        self.check_target(&item, from, to)?;
        let mut draft = Draft::new(self);
        draft.settle_lifted()?;
        match item {
            Item::Folder(entries) => draft.put_all(entries, to)?,
            Item::File(group) => draft.put_all(group.members.iter().map(|(_, id)| *id).collect(), to)?,
            Item::Copy(group) => {
                let version = Version {
                    kind: Kind::File(group.file),
                    holders: group.holders.clone(),
                };
                draft.split(&group, to, version)?;
            }
        }
        let states = draft.finish()?;
        Ok(self.store_change(states))
    }

    /// Notes that `holder` has the bytes of one version. No change if that version has been replaced meanwhile.
    ///
    /// Takes the version and not a path, because a pull may end after the file was renamed or edited.
    pub fn mark_held(&mut self, id: EntryId, dot: Dot, holder: Fingerprint) -> Change {
        let version = self.state(id).and_then(|state| state.versions.get(&dot));
        if version.is_none_or(|version| version.holders.contains(&holder)) {
            return Change::default();
        }
        let mut draft = Draft::new(self);
        draft.add_holder(id, dot, holder);
        let states = draft.states;
        self.store_change(states)
    }

    fn check_target(&self, item: &Item, from: &SharePath, to: &SharePath) -> Result<(), CatalogError> {
        if let Item::Folder(entries) = item {
            if to.starts_with(from) {
                return Err(CatalogError::IntoItself {
                    from: from.clone(),
                    to: to.clone(),
                });
            }
            for shown in self.list_below(entries, Some(from)) {
                shown.path.moved(from, to).transpose()?;
            }
        }
        if self.find(to).is_some() {
            return Err(CatalogError::Exists { path: to.clone() });
        }
        Ok(())
    }

    fn store_change(&mut self, mut states: BTreeMap<EntryId, EntryState>) -> Change {
        states.retain(|id, state| self.state(*id) != Some(state));
        let touched = states.keys().copied().collect();
        self.store(states);
        Change { touched }
    }
}

const FOLDER: Version = Version {
    kind: Kind::Folder,
    holders: std::collections::BTreeSet::new(),
};

impl FileGroup {
    fn is_same(&self, file: &FileVersion) -> bool {
        self.file.content == file.content && self.file.mode == file.mode
    }

    /// A change of mode alone leaves everybody with the bytes they have.
    fn pass_holders_to(&self, version: &mut Version) {
        if let Kind::File(file) = version.kind
            && file.content == self.file.content
        {
            self.holders.iter().for_each(|holder| version.add_holder(*holder));
        }
    }
}

/// New states of some entries, on top of a catalog.
struct Draft<'a> {
    catalog: &'a Catalog,
    replica: ReplicaId,
    counter: u64,
    states: BTreeMap<EntryId, EntryState>,
}

impl<'a> Draft<'a> {
    fn new(catalog: &'a Catalog) -> Self {
        Self {
            catalog,
            replica: catalog.replica,
            counter: catalog.counter,
            states: BTreeMap::new(),
        }
    }

    fn finish(self) -> Result<BTreeMap<EntryId, EntryState>, CatalogError> {
        let created = self
            .states
            .keys()
            .filter(|id| self.catalog.state(**id).is_none())
            .count();
        if self.catalog.entry_count() + created > CATALOG_ENTRIES_MAX {
            return Err(CatalogError::Full);
        }
        for (id, state) in &self.states {
            state
                .check_sizes()
                .map_err(|fault| CatalogError::BadState { id: *id, fault })?;
        }
        Ok(self.states)
    }

    fn next_dot(&mut self) -> Result<Dot, CatalogError> {
        self.counter = self
            .counter
            .checked_add(1)
            .ok_or(CatalogError::CounterExhausted)?;
        Ok(Dot {
            counter: self.counter,
            replica: self.replica,
        })
    }

    fn edit(&mut self, id: EntryId, change: impl FnOnce(&mut EntryState)) {
        let catalog = self.catalog;
        if let Some(known) = catalog.state(id) {
            change(self.states.entry(id).or_insert_with(|| known.clone()));
        }
    }

    /// Makes something at a path where nothing is shown.
    fn create(&mut self, path: &SharePath, version: Version) -> Result<EntryId, CatalogError> {
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
                true if !is_last && !slot.files.is_empty() => {
                    return Err(CatalogError::NotFolder { path: here });
                }
                _ => vec![self.place(&folder, name, if is_last { version.clone() } else { FOLDER })?],
            };
            reached = Some(here);
        }
        Ok(first_of(&folder))
    }

    /// Puts a new version under a free name. Takes up a tombstone of that name, if there is one, so that replacing a file
    /// by removing and adding it, as editors do, does not use up the catalog.
    fn place(&mut self, folder: &[EntryId], name: Name, version: Version) -> Result<EntryId, CatalogError> {
        let dot = self.next_dot()?;
        if let Some(id) = self.tombstone(folder, &name) {
            self.edit(id, |state| state.add(dot, version));
            return Ok(id);
        }
        let id = EntryId::created_by(&dot);
        let parent = first_of(folder);
        let mut state = EntryState::placed(Place {
            stamp: dot,
            parent,
            name,
        });
        state.add(dot, version);
        self.states.insert(id, state);
        Ok(id)
    }

    fn tombstone(&self, folder: &[EntryId], name: &Name) -> Option<EntryId> {
        let tree = &self.catalog.tree;
        let mut named = folder
            .iter()
            .flat_map(|folder| tree.named(*folder, name.as_str()))
            .copied();
        named.find(|id| !tree.is_visible(*id) && !tree.lifted().contains(id))
    }

    fn replace(&mut self, group: &FileGroup, version: Version) -> Result<(), CatalogError> {
        let dot = self.next_dot()?;
        self.drop_versions(group);
        if let Some((_, id)) = group.newest() {
            self.edit(id, |state| state.add(dot, version));
        }
        Ok(())
    }

    /// Turns a conflict copy into a file of its own.
    fn split(&mut self, group: &FileGroup, to: &SharePath, version: Version) -> Result<(), CatalogError> {
        self.drop_versions(group);
        self.create(to, version).map(drop)
    }

    fn drop_versions(&mut self, group: &FileGroup) {
        for (dot, id) in &group.members {
            self.edit(*id, |state| drop(state.versions.remove(dot)));
        }
    }

    fn remove_folder(&mut self, id: EntryId) {
        self.edit(id, |state| {
            state.versions.retain(|_, version| version.kind != Kind::Folder)
        });
        for id in self.catalog.tree.descendants(id) {
            self.edit(id, |state| state.versions.clear());
        }
    }

    fn hold(&mut self, group: &FileGroup, holder: Fingerprint) {
        if let Some((dot, id)) = group.newest().filter(|_| !group.holders.contains(&holder)) {
            self.add_holder(id, dot, holder);
        }
    }

    fn add_holder(&mut self, id: EntryId, dot: Dot, holder: Fingerprint) {
        self.edit(id, |state| {
            if let Some(version) = state.versions.get_mut(&dot) {
                version.add_holder(holder);
            }
        });
    }

    fn put_all(&mut self, entries: Vec<EntryId>, to: &SharePath) -> Result<(), CatalogError> {
        let parent = self.folder_for(to)?;
        entries
            .into_iter()
            .try_for_each(|id| self.put(id, parent, to.name()))
    }

    /// The folder that `path` is in, made if need be.
    fn folder_for(&mut self, path: &SharePath) -> Result<EntryId, CatalogError> {
        let Some(folder) = path.parent() else {
            return Ok(EntryId::ROOT);
        };
        if let Some(entries) = self.catalog.folder_at(Some(&folder)) {
            return Ok(first_of(&entries));
        }
        if matches!(self.catalog.find(&folder), Some(Item::File(_) | Item::Copy(_))) {
            return Err(CatalogError::NotFolder { path: folder });
        }
        self.create(&folder, FOLDER)
    }

    fn put(&mut self, id: EntryId, parent: EntryId, name: Name) -> Result<(), CatalogError> {
        let stamp = self.next_dot()?;
        self.edit(id, |state| state.put(Place { stamp, parent, name }));
        Ok(())
    }

    /// Makes it official that the entries of a cycle are at the top, before another move opens the cycle and they jump.
    fn settle_lifted(&mut self) -> Result<(), CatalogError> {
        let lifted = self.catalog.tree.lifted().iter();
        let places: Vec<_> = lifted
            .filter_map(|id| Some((*id, self.catalog.state(*id)?.place.name.clone())))
            .collect();
        places
            .into_iter()
            .try_for_each(|(id, name)| self.put(id, EntryId::ROOT, name))
    }
}

/// The entry that stands for a folder made of several.
fn first_of(folder: &[EntryId]) -> EntryId {
    folder.first().copied().unwrap_or(EntryId::ROOT)
}

#[cfg(test)]
mod tests;
