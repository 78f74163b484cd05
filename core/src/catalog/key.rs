//! Keys: identify something shown across renames, and find where it is shown now.

use std::collections::{BTreeSet, HashSet};

use super::Catalog;
use super::share_path::SharePath;
use super::state::EntryId;
use super::version_vector::Dot;
use super::view::{Item, LeafGroup, Shown, Slot};
use super::visible_changes::KnownPaths;
use super::visible_folders::{Folder, Folders};

/// Identifies something visible across renames: its entry, and for a conflict copy its version too.
///
/// Two changes give a file another key: an edit of a conflict copy, which returns the new key, and
/// a rename onto another file, after which the file has that file's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryKey {
    /// The entry; any of them if several are shown as one.
    pub id: EntryId,
    /// The version, for a conflict copy.
    pub copy: Option<Dot>,
}

impl EntryKey {
    /// The key of the top of a share.
    pub(crate) const TOP: Self = Self::of(EntryId::ROOT);

    pub(super) const fn of(id: EntryId) -> Self {
        Self { id, copy: None }
    }

    pub(super) const fn of_copy(id: EntryId, dot: Dot) -> Self {
        Self { id, copy: Some(dot) }
    }
}

impl Shown {
    /// Its key, which renames do not change.
    #[must_use]
    pub fn key(&self) -> EntryKey {
        EntryKey {
            id: self.id,
            copy: self.conflict.then_some(self.dot),
        }
    }
}

/// The surroundings of an entry: the path that it claims, the folder of that path, and everything
/// else that claims the path.
pub(super) struct Spot {
    pub(super) path: SharePath,
    pub(super) folder: Vec<EntryId>,
    pub(super) slot: Slot,
}

impl Catalog {
    /// Where something is shown now; `None` if it is not. Costs as much as a look-up of its path.
    ///
    /// A folder made of several entries is found by any of them. A file or link is found under the
    /// entry that it is shown for now. A file that has lost its name to another version is found as
    /// the conflict copy that it became, and a copy that took the name as the file of that name.
    #[must_use]
    pub fn locate(&self, key: EntryKey) -> Option<Shown> {
        let spot = self.spot_of(key.id)?;
        if key.copy.is_none() && spot.slot.folders.contains(&key.id) {
            return self.shown(&spot.path, &Item::Folder(spot.slot.folders));
        }
        let group = spot.slot.group_of(key)?;
        self.shown_leaf(&spot, group)
    }

    /// The versions of files and links that are shown under the names of those entries. Costs as
    /// much as one look-up of each name, however many of the entries have it.
    pub(crate) fn shown_with(&self, ids: impl IntoIterator<Item = EntryId>) -> HashSet<(EntryId, Dot)> {
        let leaves = self.items_with(ids).into_iter().filter_map(|item| match item {
            Item::Leaf(group) | Item::Copy(group) => Some(group.members),
            Item::Folder(_) => None,
        });
        leaves.flatten().map(|(dot, id)| (id, dot)).collect()
    }

    /// The entries that are shown under the names of those entries, as folders or in any version.
    /// For many entries this is faster than [`Catalog::locate`]; see [`Catalog::shown_with`].
    pub(crate) fn entries_shown_with(&self, ids: impl IntoIterator<Item = EntryId>) -> HashSet<EntryId> {
        let mut shown = HashSet::new();
        for item in self.items_with(ids) {
            match item {
                Item::Leaf(group) | Item::Copy(group) => {
                    shown.extend(group.members.into_iter().map(|(_, id)| id));
                }
                Item::Folder(entries) => shown.extend(entries),
            }
        }
        shown
    }

    /// Everything that is shown under the names of those entries.
    fn items_with(&self, ids: impl IntoIterator<Item = EntryId>) -> Vec<Item> {
        let mut known = KnownPaths::default();
        let ids = ids.into_iter();
        let paths: BTreeSet<_> = ids.filter_map(|id| self.path_of(id, &mut known)).collect();
        let (mut folders, mut shown) = (Folders::new(self), Vec::new());
        for path in paths {
            let parent = path.parent();
            let Some(folder) = folders.at(parent.as_ref()) else {
                continue;
            };
            let name_len_max = SharePath::name_len_max_in(parent.as_ref());
            let items = self.items_named(folder, &path.name(), |_| true).into_iter();
            let fitting = items.filter(|(name, _)| name.as_str().len() <= name_len_max);
            shown.extend(fitting.map(|(_, item)| item));
        }
        shown
    }

    /// The surroundings of an entry that can be reached from the top, whether it is visible or not.
    pub(super) fn spot_of(&self, id: EntryId) -> Option<Spot> {
        let path = self.path_of(id, &mut KnownPaths::default())?;
        let parent = path.parent();
        let mut folder = self.folder_at(parent.as_ref()).unwrap_or_default();
        let own = self.folders.link_of(id)?.parent;
        if !folder.contains(&own) {
            folder.push(own);
        }
        let slot = self.slot(&folder, path.name().as_str());
        Some(Spot { path, folder, slot })
    }

    /// A leaf of the spot as it is shown: under the name, or as a conflict copy beside it.
    pub(super) fn shown_leaf(&self, spot: &Spot, group: &LeafGroup) -> Option<Shown> {
        let folder = Folder::new(self, spot.folder.clone());
        let items = self.items_named(&folder, &spot.path.name(), |_| true);
        let is_group = |item: &Item| matches!(item, Item::Leaf(leaf) | Item::Copy(leaf) if leaf.members == group.members);
        let (name, item) = items.iter().find(|(_, item)| is_group(item))?;
        self.shown_in(spot.path.parent().as_ref(), name, item)
    }
}

impl Slot {
    /// The leaf that a key identifies: the version that it names, or the entry's newest one.
    pub(super) fn group_of(&self, key: EntryKey) -> Option<&LeafGroup> {
        let is_meant = |(dot, id): &(Dot, EntryId)| *id == key.id && key.copy.is_none_or(|copy| copy == *dot);
        self.leaves
            .iter()
            .find(|group| group.members.iter().any(is_meant))
    }
}
