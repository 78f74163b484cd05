//! The visible folders: what people see at which path. A pure function of the replicated states.
//!
//! Owns the rules for names that several entries or versions claim. Folders of one name are shown
//! as one folder. A folder takes precedence over a leaf, which is a file or a link. Among leaves
//! the version with the greatest dot keeps the name, and each other content is a conflict copy
//! beside it. Equal contents are one file, whichever peers made them. When the holder of a name
//! leaves, the newest copy takes the name. Entries that are too deep, that have too long a path, or
//! whose folder has not arrived are kept but not shown.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::Catalog;
use super::conflict_name::{conflict_name, may_be_conflict_name};
use super::link_target::LinkTarget;
use super::share_path::{Name, SharePath};
use super::state::{ContentId, EntryId, FileVersion, Kind, LinkVersion, Version};
use super::version_vector::Dot;
use super::visible_folders::{Folder, Folders};
use crate::identity::Fingerprint;

/// One visible file, link or folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Its path.
    pub path: SharePath,
    /// A folder, a file's content, time and mode, or a link's target and time.
    pub kind: Kind,
    /// The peers that have the bytes; empty for a folder or a link.
    pub holders: BTreeSet<Fingerprint>,
    /// Whether it is a conflict copy: shown beside another version of the same name.
    pub conflict: bool,
    /// The entry; if several are shown as one, the one with the greatest dot.
    pub id: EntryId,
    /// The version; the stamp of its place for a folder that is visible only because of its
    /// contents.
    pub dot: Dot,
}

impl Shown {
    /// Whether it is a file with that content.
    #[must_use]
    pub fn has_content(&self, content: &ContentId) -> bool {
        self.file().is_some_and(|file| file.content == *content)
    }

    /// The file, if it is one.
    #[must_use]
    pub fn file(&self) -> Option<&FileVersion> {
        match &self.kind {
            Kind::File(file) => Some(file),
            Kind::Folder | Kind::Link(_) => None,
        }
    }

    /// The symbolic link, if it is one.
    #[must_use]
    pub fn link(&self) -> Option<&LinkVersion> {
        match &self.kind {
            Kind::Link(link) => Some(link),
            Kind::Folder | Kind::File(_) => None,
        }
    }
}

/// What makes two leaves of one name the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Body {
    /// The bytes of a file.
    File(ContentId),
    /// Where a link leads.
    Link(LinkTarget),
}

impl Body {
    /// The body of a leaf; `None` for a folder.
    pub(super) fn of(kind: &Kind) -> Option<Self> {
        match kind {
            Kind::Folder => None,
            Kind::File(file) => Some(Self::File(file.content)),
            Kind::Link(link) => Some(Self::Link(link.target.clone())),
        }
    }
}

/// All versions of one name with the same body.
#[derive(Debug, Clone)]
pub(super) struct LeafGroup {
    /// The kind of the newest version.
    pub(super) kind: Kind,
    pub(super) holders: BTreeSet<Fingerprint>,
    /// Greatest dot first.
    pub(super) members: Vec<(Dot, EntryId)>,
}

impl LeafGroup {
    /// Adds one more version. Until [`LeafGroup::sorted`] the newest one is the first, and the
    /// others are in any order.
    fn add(&mut self, member: (Dot, EntryId), version: &Version) {
        self.holders.extend(&version.holders);
        let is_newest = self.newest() <= Some(member);
        self.members.push(member);
        if is_newest {
            self.kind = version.kind.clone();
            let last = self.members.len() - 1;
            self.members.swap(0, last);
        }
    }

    fn sorted(mut self) -> Self {
        self.members
            .sort_unstable_by_key(|member| std::cmp::Reverse(*member));
        self
    }

    pub(super) fn newest(&self) -> Option<(Dot, EntryId)> {
        self.members.first().copied()
    }
}

/// What is shown under one name.
#[derive(Debug, Clone)]
pub(super) enum Item {
    /// A folder, made of one or more entries.
    Folder(Vec<EntryId>),
    /// A file or link that has the name.
    Leaf(LeafGroup),
    /// A conflict copy beside the holder of the name that it comes from.
    Copy(LeafGroup),
}

/// Everything that claims one name in one folder.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) folders: Vec<EntryId>,
    /// The one with the greatest dot first.
    pub(super) leaves: Vec<LeafGroup>,
}

impl Catalog {
    /// What is shown at a path.
    #[must_use]
    pub fn lookup(&self, path: &SharePath) -> Option<Shown> {
        self.shown(path, &self.find(path)?)
    }

    /// What is shown at each of those paths. The names of a folder are collected once, however many
    /// of the paths are in it.
    pub(crate) fn lookup_all(&self, paths: BTreeSet<SharePath>) -> HashMap<SharePath, Shown> {
        let (mut folders, mut listed) = (Folders::new(self), HashMap::new());
        let mut found = HashMap::new();
        for path in paths {
            let (parent, name) = (path.parent(), path.name());
            let Some(folder) = folders.at(parent.as_ref()) else {
                continue;
            };
            let mut item = self.slot_of(folder.named(name.as_str()).into_iter()).holder();
            if item.is_none() && may_be_conflict_name(&name) {
                let items: &BTreeMap<_, _> = listed
                    .entry(parent)
                    .or_insert_with(|| self.items_in(folder.entries()));
                item = items.get(&name).cloned();
            }
            if let Some(shown) = item.and_then(|item| self.shown(&path, &item)) {
                found.insert(path, shown);
            }
        }
        found
    }

    /// Everything that is visible, each folder right before its contents.
    #[must_use]
    pub fn list(&self) -> Vec<Shown> {
        self.list_below(&[EntryId::ROOT], None)
    }

    /// What is directly in a folder, or at the top of the share; `None` if there is no such folder.
    #[must_use]
    pub fn list_folder(&self, folder: Option<&SharePath>) -> Option<Vec<Shown>> {
        let entries = self.folder_at(folder)?;
        let items = self.items_in(&entries);
        Some(
            items
                .iter()
                .filter_map(|(name, item)| self.shown_in(folder, name, item))
                .collect(),
        )
    }

    /// As [`Catalog::list_folder`], but each path is relative to the folder. A peer may put any
    /// number of entries into a folder with a long path.
    pub(crate) fn list_names(&self, folder: Option<&SharePath>) -> Option<Vec<Shown>> {
        let name_len_max = SharePath::name_len_max_in(folder);
        let items = self.items_in(&self.folder_at(folder)?).into_iter();
        let fitting = items.filter(|(name, _)| name.as_str().len() <= name_len_max);
        Some(
            fitting
                .filter_map(|(name, item)| self.shown_in(None, &name, &item))
                .collect(),
        )
    }

    pub(super) fn list_below(&self, entries: &[EntryId], folder: Option<&SharePath>) -> Vec<Shown> {
        let mut found = Vec::new();
        for (name, item) in self.items_in(entries) {
            let Some(shown) = self.shown_in(folder, &name, &item) else {
                continue;
            };
            let path = shown.path.clone();
            found.push(shown);
            if let Item::Folder(entries) = item {
                found.extend(self.list_below(&entries, Some(&path)));
            }
        }
        found
    }

    /// The entries that the folder at a path is made of.
    pub(super) fn folder_at(&self, path: Option<&SharePath>) -> Option<Vec<EntryId>> {
        let mut entries = vec![EntryId::ROOT];
        for name in path.into_iter().flat_map(SharePath::names) {
            let named = self.named_in(&entries, name);
            entries = named.filter(|id| self.is_folder(*id)).collect();
            if entries.is_empty() {
                return None;
            }
        }
        Some(entries)
    }

    pub(super) fn find(&self, path: &SharePath) -> Option<Item> {
        let entries = self.folder_at(path.parent().as_ref())?;
        let name = path.name();
        self.slot(&entries, name.as_str()).holder().or_else(|| {
            let candidate = may_be_conflict_name(&name);
            candidate
                .then(|| self.copy_named(path.parent().as_ref(), &entries, &name))
                .flatten()
        })
    }

    /// Everything in a folder, by the names under which it is shown.
    pub(super) fn items_in(&self, entries: &[EntryId]) -> BTreeMap<Name, Item> {
        let mut items = BTreeMap::new();
        let mut copies = Vec::new();
        let mut named: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (name, id) in entries.iter().flat_map(|entry| self.folders.children(*entry)) {
            named.entry(name).or_default().push(id);
        }
        for (name, ids) in named {
            let slot = self.slot_of(ids.into_iter());
            copies.extend(slot.copies().map(|copy| (name, copy.clone())));
            if let Some(holder) = slot.holder() {
                items.insert(name.clone(), holder);
            }
        }
        for (base, copy) in copies {
            let name = copy_name(base, &copy, |name| items.contains_key(name));
            name.and_then(|name| items.insert(name, Item::Copy(copy)));
        }
        items
    }

    /// What is shown because of the entries in `folder` called `name`, by the names under which it
    /// is shown. Entries that are not `counted` are ignored.
    pub(super) fn items_named(
        &self,
        folder: &Folder<'_>,
        name: &Name,
        counted: impl Fn(EntryId) -> bool,
    ) -> BTreeMap<Name, Item> {
        let named = folder.named(name.as_str()).into_iter();
        let slot = self.slot_of(named.filter(|id| counted(*id)));
        let mut items: BTreeMap<_, _> = slot
            .holder()
            .map(|holder| (name.clone(), holder))
            .into_iter()
            .collect();
        for copy in slot.copies() {
            let taken = |name: &Name| items.contains_key(name) || folder.is_claimed(name);
            let copy_name = copy_name(name, copy, taken);
            copy_name.and_then(|name| items.insert(name, Item::Copy(copy.clone())));
        }
        items
    }

    /// All entries called `name` in any of the entries of a folder, tombstones included.
    pub(super) fn named_in(&self, folder: &[EntryId], name: &str) -> impl Iterator<Item = EntryId> {
        folder
            .iter()
            .flat_map(move |entry| self.folders.named(*entry, name))
    }

    /// What claims a name in a folder.
    pub(super) fn slot(&self, folder: &[EntryId], name: &str) -> Slot {
        self.slot_of(self.named_in(folder, name))
    }

    /// The leaves that claim the name of a path, whether they are shown under it or not.
    pub(super) fn leaves_at(&self, path: &SharePath) -> Vec<LeafGroup> {
        let folder = self.folder_at(path.parent().as_ref()).unwrap_or_default();
        self.slot(&folder, path.name().as_str()).leaves
    }

    fn slot_of(&self, entries: impl Iterator<Item = EntryId>) -> Slot {
        let mut folders = Vec::new();
        let mut groups: BTreeMap<Body, LeafGroup> = BTreeMap::new();
        for id in entries {
            if self.is_folder(id) {
                folders.push(id);
            }
            self.group_leaves(id, &mut groups);
        }
        let mut leaves: Vec<_> = groups.into_values().map(LeafGroup::sorted).collect();
        leaves.sort_by_key(|group| std::cmp::Reverse(group.newest()));
        Slot { folders, leaves }
    }

    pub(super) fn is_folder(&self, id: EntryId) -> bool {
        let mut versions = self
            .state(id)
            .into_iter()
            .flat_map(|state| state.versions.values());
        self.folders.has_visible_children(id) || versions.any(|version| version.kind == Kind::Folder)
    }

    fn group_leaves(&self, id: EntryId, groups: &mut BTreeMap<Body, LeafGroup>) {
        for (dot, version) in self.state(id).into_iter().flat_map(|state| &state.versions) {
            let Some(body) = Body::of(&version.kind) else {
                continue;
            };
            let empty = || LeafGroup {
                kind: version.kind.clone(),
                holders: BTreeSet::new(),
                members: Vec::new(),
            };
            groups.entry(body).or_insert_with(empty).add((*dot, id), version);
        }
    }

    pub(super) fn shown_in(&self, folder: Option<&SharePath>, name: &Name, item: &Item) -> Option<Shown> {
        self.shown(&SharePath::within(folder, name).ok()?, item)
    }

    pub(super) fn shown(&self, path: &SharePath, item: &Item) -> Option<Shown> {
        let path = path.clone();
        let (group, conflict) = match item {
            Item::Folder(entries) => return self.shown_folder(path, entries),
            Item::Leaf(group) => (group, false),
            Item::Copy(group) => (group, true),
        };
        let (dot, id) = group.newest()?;
        let holders = group.holders.clone();
        Some(Shown {
            path,
            kind: group.kind.clone(),
            holders,
            conflict,
            id,
            dot,
        })
    }

    fn shown_folder(&self, path: SharePath, entries: &[EntryId]) -> Option<Shown> {
        let dots = entries.iter().filter_map(|id| Some((self.folder_dot(*id)?, *id)));
        let (dot, id) = dots.max()?;
        Some(Shown {
            path,
            kind: Kind::Folder,
            holders: BTreeSet::new(),
            conflict: false,
            id,
            dot,
        })
    }

    fn folder_dot(&self, id: EntryId) -> Option<Dot> {
        let state = self.state(id)?;
        let folders = state
            .versions
            .iter()
            .rev()
            .filter(|(_, version)| version.kind == Kind::Folder);
        Some(folders.map(|(dot, _)| *dot).next().unwrap_or(state.place.stamp))
    }
}

impl Slot {
    /// The entry of the leaf with the greatest dot.
    pub(super) fn newest(&self) -> Option<EntryId> {
        self.leaves.first().and_then(LeafGroup::newest).map(|(_, id)| id)
    }

    /// The holder of the name.
    fn holder(&self) -> Option<Item> {
        if self.folders.is_empty() {
            self.leaves.first().cloned().map(Item::Leaf)
        } else {
            Some(Item::Folder(self.folders.clone()))
        }
    }

    fn copies(&self) -> impl Iterator<Item = &LeafGroup> {
        self.leaves.iter().skip(usize::from(self.folders.is_empty()))
    }
}

/// The first name for a copy of `base` that is not taken.
fn copy_name(base: &Name, copy: &LeafGroup, taken: impl Fn(&Name) -> bool) -> Option<Name> {
    let (dot, id) = copy.newest()?;
    let names = (0..).map_while(|attempt| conflict_name(base, (&dot, id), attempt));
    names.into_iter().find(|name| !taken(name))
}
