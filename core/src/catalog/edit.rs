//! Local changes at paths: adding, removing, and noting which peers hold what.
//!
//! Every operation drafts new states of the entries that it touches. It stores them together, or
//! fails and changes nothing. It acts on what is *shown* at its path, and only on dots that this
//! replica has seen.

use std::collections::{BTreeSet, HashSet};

use super::Catalog;
use super::draft::{Draft, Drafted, FOLDER};
use super::error::CatalogError;
use super::revise::Holding;
use super::share_path::SharePath;
use super::state::{ContentId, EntryId, FileVersion, Kind, LinkVersion, Version};
use super::version_vector::Dot;
use super::view::{Body, Item, LeafGroup};
use crate::identity::Fingerprint;
use crate::limits::SHARED_MODE_MAX;

/// What a local operation changed, to be sent to the other side.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use = "the other side must receive the change"]
pub struct Change {
    /// The entries with a new state; none if nothing had to change.
    pub touched: Vec<EntryId>,
    /// The versions that the operation made. A rename makes none for an entry that keeps what it
    /// has.
    pub made: Vec<(EntryId, Dot)>,
    /// The contents of the versions that the operation replaced or removed; `None` for those of a
    /// folder or a link. An entry may still have the content in another version.
    pub dropped: Vec<(EntryId, Option<ContentId>)>,
    /// Entries that take no change of ours, and the new entries that have got their versions.
    pub remade: Vec<(EntryId, EntryId)>,
}

impl Change {
    /// Whether nothing had to change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.touched.is_empty()
    }
}

impl Catalog {
    /// Shares a file, or a new version of the file at that path; this peer holds its bytes. Makes
    /// the folders that it needs.
    ///
    /// The same content with the same mode is no change. The new version replaces the one shown at
    /// the path; other versions stay conflict copies. A file added at the path of a conflict copy
    /// becomes a file of that name. Mode bits other than permissions are dropped.
    pub fn add_file(&mut self, path: &SharePath, file: FileVersion) -> Result<Change, CatalogError> {
        self.add_leaf(path, Kind::File(file))
    }

    /// Shares a symbolic link, or a new target of what is at that path, as [`Catalog::add_file`]
    /// does. The same target is no change.
    pub fn add_link(&mut self, path: &SharePath, link: LinkVersion) -> Result<Change, CatalogError> {
        self.add_leaf(path, Kind::Link(link))
    }

    fn add_leaf(&mut self, path: &SharePath, kind: Kind) -> Result<Change, CatalogError> {
        let kind = checked(kind, path)?;
        let version = Version {
            holders: self.own_holders(&kind, Holding::Held),
            kind,
        };
        let mut draft = Draft::new(self);
        match self.find(path) {
            None => draft.create(path, version).map(drop)?,
            Some(Item::Leaf(group) | Item::Copy(group)) if group.is_same(&version.kind) => {
                draft.hold(&group, &version);
            }
            Some(item) => draft.put_version(&item, path, version)?,
        }
        let drafted = draft.finish()?;
        Ok(self.store_change(drafted))
    }

    /// Shares a folder, with the folders that it is in. No change if it is shared already.
    pub fn add_folder(&mut self, path: &SharePath) -> Result<Change, CatalogError> {
        let mut draft = Draft::new(self);
        match self.find(path) {
            Some(Item::Folder(_)) => {}
            Some(_) => return Err(CatalogError::NotFolder { path: path.clone() }),
            None => draft.create(path, FOLDER).map(drop)?,
        }
        let drafted = draft.finish()?;
        Ok(self.store_change(drafted))
    }

    /// Removes what is shown at the path: one version of a file, or a folder with all its contents.
    ///
    /// What another peer adds or edits in the folder without knowing of the removal stays, and
    /// keeps its folders visible.
    pub fn remove(&mut self, path: &SharePath) -> Result<Change, CatalogError> {
        let mut draft = Draft::new(self);
        match self.find(path) {
            None => return Err(CatalogError::Missing { path: path.clone() }),
            Some(Item::Leaf(group) | Item::Copy(group)) => draft.drop_versions(&group),
            Some(Item::Folder(entries)) => entries.into_iter().for_each(|id| draft.remove_folder(id)),
        }
        let drafted = draft.finish()?;
        Ok(self.store_change(drafted))
    }

    /// The entries that [`Catalog::remove`] changes at this path, shown or not.
    pub(crate) fn entries_at(&self, path: &SharePath) -> Vec<EntryId> {
        match self.find(path) {
            None => Vec::new(),
            Some(Item::Leaf(group) | Item::Copy(group)) => group.members.iter().map(|(_, id)| *id).collect(),
            Some(Item::Folder(entries)) => {
                let mut all = HashSet::new();
                entries
                    .into_iter()
                    .for_each(|id| self.folders.add_with_descendants(id, &mut all));
                all.into_iter().collect()
            }
        }
    }

    /// Removes the file or link at the path, as unlink(2) does; refuses a folder.
    pub fn remove_leaf(&mut self, path: &SharePath) -> Result<Change, CatalogError> {
        match self.find(path) {
            Some(Item::Folder(_)) => Err(CatalogError::IsFolder { path: path.clone() }),
            _ => self.remove(path),
        }
    }

    /// Removes the empty folder at the path, as rmdir(2) does; refuses anything else.
    ///
    /// A folder is not empty if something in it is not shown because its path would be too long.
    pub fn remove_empty_folder(&mut self, path: &SharePath) -> Result<Change, CatalogError> {
        match self.find(path) {
            Some(Item::Leaf(_) | Item::Copy(_)) => Err(CatalogError::NotFolder { path: path.clone() }),
            Some(Item::Folder(entries)) if !self.are_empty(&entries) => {
                Err(CatalogError::NotEmpty { path: path.clone() })
            }
            _ => self.remove(path),
        }
    }

    /// Whether the folder at the path is empty, as [`Catalog::remove_empty_folder`] requires;
    /// `None` if it is not a folder.
    #[must_use]
    pub fn is_empty_folder(&self, path: &SharePath) -> Option<bool> {
        self.folder_at(Some(path)).map(|entries| self.are_empty(&entries))
    }

    pub(super) fn are_empty(&self, folder: &[EntryId]) -> bool {
        !folder.iter().any(|id| self.folders.has_visible_children(*id))
    }

    /// Notes that `holder` has the bytes of one version. No change if that version has been
    /// replaced meanwhile, or if the catalog has no room for the note.
    ///
    /// Takes the version and not a path, because the file may be renamed or edited before a pull
    /// ends.
    pub fn mark_held(&mut self, id: EntryId, dot: Dot, holder: Fingerprint) -> Change {
        let version = self.state(id).and_then(|state| state.versions.get(&dot));
        if version.is_none_or(|version| version.holders.contains(&holder)) {
            return Change::default();
        }
        let mut draft = Draft::new(self);
        draft.add_holder(id, dot, holder);
        let drafted = draft.finish().unwrap_or_default();
        self.store_change(drafted)
    }

    /// The holders of a version that this peer makes. A link has none.
    pub(super) fn own_holders(&self, kind: &Kind, holding: Holding) -> BTreeSet<Fingerprint> {
        match (kind, holding) {
            (Kind::File(_), Holding::Held) => [self.replica.fingerprint].into(),
            _ => BTreeSet::new(),
        }
    }

    pub(super) fn store_change(&mut self, drafted: Drafted) -> Change {
        let Drafted {
            mut states,
            counter,
            remade,
        } = drafted;
        states.retain(|id, state| self.state(*id) != Some(state));
        let touched = states.keys().copied().collect();
        let dots = states
            .iter()
            .flat_map(|(id, state)| state.versions.keys().map(|dot| (*id, *dot)));
        let is_known = |(id, dot): &(EntryId, Dot)| {
            self.state(*id)
                .is_some_and(|known| known.versions.contains_key(dot))
        };
        let made = dots.filter(|made| !is_known(made)).collect();
        let dropped = states.iter().flat_map(|(id, state)| {
            let known = self.state(*id).into_iter().flat_map(|known| &known.versions);
            let gone = known.filter(|(dot, _)| !state.versions.contains_key(dot));
            gone.map(|(_, version)| (*id, version.content()))
        });
        let dropped = dropped.collect();
        self.store(states);
        self.counter = self.counter.max(counter);
        Change {
            touched,
            made,
            dropped,
            remade,
        }
    }
}

impl LeafGroup {
    fn is_same(&self, kind: &Kind) -> bool {
        match (&self.kind, kind) {
            (Kind::File(ours), Kind::File(file)) => ours.content == file.content && ours.mode == file.mode,
            (Kind::Link(ours), Kind::Link(link)) => ours.target == link.target,
            _ => false,
        }
    }

    /// After a change of mode or time alone, every holder still has the bytes.
    pub(super) fn pass_holders_to(&self, version: &mut Version) {
        if Body::of(&self.kind) == Body::of(&version.kind) {
            self.holders.iter().for_each(|holder| version.add_holder(*holder));
        }
    }
}

/// A file or link that may be shared at `path`, without the mode bits that are not shared.
pub(super) fn checked(kind: Kind, path: &SharePath) -> Result<Kind, CatalogError> {
    let Kind::File(file) = kind else {
        return match kind {
            Kind::Folder => Err(CatalogError::IsFolder { path: path.clone() }),
            leaf => Ok(leaf),
        };
    };
    let mode = file.mode & SHARED_MODE_MAX;
    let file = FileVersion { mode, ..file };
    let refuse = |fault| CatalogError::BadFile {
        path: path.clone(),
        fault,
    };
    file.check().map_err(refuse)?;
    Ok(Kind::File(file))
}

#[cfg(test)]
mod tests;
