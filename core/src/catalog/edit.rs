//! Local changes: adding, removing, renaming, and noting who holds what.
//!
//! Every operation drafts new states of the entries it touches and stores them together, or fails and changes nothing.
//! It acts on what is *shown* at the path it is given, and only on dots that this replica has seen.

use std::collections::BTreeMap;

use super::Catalog;
use super::dot::Dot;
use super::draft::{Draft, FOLDER};
use super::error::CatalogError;
use super::share_path::SharePath;
use super::state::{EntryId, EntryState, FileVersion, Kind, Version};
use super::view::{FileGroup, Item};
use crate::identity::Fingerprint;

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
        let states = draft.states();
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

#[cfg(test)]
mod tests;
