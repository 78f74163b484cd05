//! The index of the folders: which entries are in which folder under which name, and which are
//! visible.
//!
//! Owns the links from entries to the folders that they are shown in, updated entry by entry, and
//! the search for cycles. The result is always a forest: an entry whose link would close a cycle is
//! lifted to the top. Knows no versions, only whether an entry is alive.
//!
//! Concurrent moves can make a cycle (alice moves a into b, bob moves b into a). Kleppmann,
//! Mulligan, Gomes and Beresford ("A highly-available move operation for replicated trees", 2021)
//! keep a log of moves, and undo and redo it so that the move that comes last in the total order is
//! ignored. Here states are exchanged, not operations, and there is no log. Instead the member of
//! the cycle whose place has the greatest stamp, which is that same last move, is shown at the top.
//! That is a pure function of the places, so all replicas agree, nothing is lost, and the next
//! rename by any peer settles it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::share_path::Name;
use super::state::{EntryId, EntryState, Place};
use super::step_count::step;

/// Whether an entry has versions of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    /// It has versions.
    Alive,
    /// It has none: it is a tombstone. If something visible is in it, it is visible too, as a
    /// folder.
    Tombstone,
}

impl Life {
    pub(super) fn of(state: &EntryState) -> Self {
        if state.is_alive() {
            Self::Alive
        } else {
            Self::Tombstone
        }
    }
}

/// Where an entry is shown.
#[derive(Debug, Clone)]
pub(super) struct Link {
    pub(super) parent: EntryId,
    pub(super) name: Name,
    pub(super) life: Life,
}

#[derive(Debug, Default, Clone)]
struct Node {
    children: BTreeMap<Name, Siblings>,
    visible_children: usize,
}

/// All entries of one name in a folder: nearly always one, but a peer may make any number of them.
#[derive(Debug, Clone)]
enum Siblings {
    One(EntryId),
    Many(BTreeSet<EntryId>),
}

impl Siblings {
    fn insert(&mut self, id: EntryId) {
        match self {
            Self::One(only) if *only == id => {}
            Self::One(only) => *self = Self::Many([*only, id].into()),
            Self::Many(all) => drop(all.insert(id)),
        }
    }

    /// Returns `true` if no entry is left.
    fn remove(&mut self, id: EntryId) -> bool {
        match self {
            Self::One(only) => *only == id,
            Self::Many(all) => {
                all.remove(&id);
                all.is_empty()
            }
        }
    }

    /// The entries, in the order of their ids.
    fn iter(&self) -> impl Iterator<Item = EntryId> {
        let (one, many) = match self {
            Self::One(only) => (Some(*only), None),
            Self::Many(all) => (None, Some(all)),
        };
        let all = one.into_iter().chain(many.into_iter().flatten().copied());
        all.inspect(|_| step())
    }
}

/// The index. An entry whose folder is unknown is kept below that folder's id, which the top does
/// not reach until the folder arrives.
#[derive(Debug, Default, Clone)]
pub(super) struct FolderIndex {
    nodes: HashMap<EntryId, Node>,
    links: HashMap<EntryId, Link>,
    /// The members of each cycle, by the entry that is lifted.
    cycles: BTreeMap<EntryId, Vec<EntryId>>,
    /// The lifted entry, by each member of its cycle.
    members: HashMap<EntryId, EntryId>,
}

impl FolderIndex {
    /// Puts an entry that has no link into a folder.
    pub(super) fn link(&mut self, id: EntryId, link: Link) {
        let parent = link.parent;
        let children = &mut self.nodes.entry(parent).or_default().children;
        match children.get_mut(&link.name) {
            Some(siblings) => siblings.insert(id),
            None => drop(children.insert(link.name.clone(), Siblings::One(id))),
        }
        self.links.insert(id, link);
        if self.is_visible(id) {
            self.gain_visible_child(parent);
        }
    }

    /// Takes an entry out of its folder. The contents of the entry stay in it.
    pub(super) fn unlink(&mut self, id: EntryId) {
        let was_visible = self.is_visible(id);
        let Some(Link { parent, name, .. }) = self.links.remove(&id) else {
            return;
        };
        if was_visible {
            self.lose_visible_child(parent);
        }
        let Some(node) = self.nodes.get_mut(&parent) else {
            return;
        };
        let is_last = |siblings: &mut Siblings| siblings.remove(id);
        if node.children.get_mut(&name).is_some_and(is_last) {
            node.children.remove(&name);
        }
        if node.children.is_empty() {
            self.nodes.remove(&parent);
        }
    }

    fn gain_visible_child(&mut self, folder: EntryId) {
        let mut next = Some(folder);
        while let Some(folder) = next {
            step();
            let node = self.nodes.entry(folder).or_default();
            node.visible_children += 1;
            next = (node.visible_children == 1)
                .then(|| self.parent_of_tombstone(folder))
                .flatten();
        }
    }

    fn lose_visible_child(&mut self, folder: EntryId) {
        let mut next = Some(folder);
        while let Some(folder) = next {
            step();
            let node = self.nodes.entry(folder).or_default();
            node.visible_children = node.visible_children.saturating_sub(1);
            next = (node.visible_children == 0)
                .then(|| self.parent_of_tombstone(folder))
                .flatten();
        }
    }

    /// Only a tombstone's visibility depends on what is in it.
    fn parent_of_tombstone(&self, id: EntryId) -> Option<EntryId> {
        self.links
            .get(&id)
            .filter(|link| link.life == Life::Tombstone)
            .map(|link| link.parent)
    }

    /// Whether the entry is alive or has something visible in it. It may still be out of reach from
    /// the top.
    pub(super) fn is_visible(&self, id: EntryId) -> bool {
        step();
        self.links.get(&id).is_some_and(|link| link.life == Life::Alive) || self.has_visible_children(id)
    }

    /// Whether anything in the entry is visible.
    pub(super) fn has_visible_children(&self, id: EntryId) -> bool {
        self.nodes.get(&id).is_some_and(|node| node.visible_children > 0)
    }

    /// Where the entry is shown.
    pub(super) fn link_of(&self, id: EntryId) -> Option<&Link> {
        step();
        self.links.get(&id)
    }

    /// All entries of that name in a folder, tombstones included, in the order of their ids.
    pub(super) fn named(&self, folder: EntryId, name: &str) -> impl Iterator<Item = EntryId> {
        step();
        let siblings = self.nodes.get(&folder).and_then(|node| node.children.get(name));
        siblings.into_iter().flat_map(Siblings::iter)
    }

    /// All entries in a folder with their names, tombstones included, in the order of names and
    /// then of ids.
    pub(super) fn children(&self, folder: EntryId) -> impl Iterator<Item = (&Name, EntryId)> {
        step();
        let node = self.nodes.get(&folder);
        let children = node.into_iter().flat_map(|node| &node.children);
        children.flat_map(|(name, siblings)| siblings.iter().map(move |id| (name, id)))
    }

    /// Adds `id` and all entries below it, at any depth, tombstones included. Skips what is in
    /// `found` already, so that adding the contents of many entries visits each entry once.
    pub(super) fn add_with_descendants(&self, id: EntryId, found: &mut HashSet<EntryId>) {
        let mut open = vec![id];
        while let Some(id) = open.pop() {
            if found.insert(id) {
                open.extend(self.children(id).map(|(_, child)| child));
            }
        }
    }

    /// The folder in which an entry with this place is shown.
    pub(super) fn shown_parent(&self, id: EntryId, place: &Place) -> EntryId {
        if self.is_lifted(id) {
            EntryId::ROOT
        } else {
            place.parent
        }
    }

    /// The entries that are shown at the top because their places make a cycle.
    pub(super) fn lifted(&self) -> impl Iterator<Item = EntryId> {
        self.cycles.keys().copied()
    }

    /// Whether the entry is shown at the top because its place is part of a cycle.
    pub(super) fn is_lifted(&self, id: EntryId) -> bool {
        self.cycles.contains_key(&id)
    }

    /// The lifted entry of the cycle that `id` is a member of.
    pub(super) fn lifted_for(&self, id: EntryId) -> Option<EntryId> {
        self.members.get(&id).copied()
    }

    /// Searches for cycles after the entries `moved` got new places. Returns the entries that are
    /// lifted now but were not before, or the other way round. The caller must renew their links.
    ///
    /// A new cycle has a moved member, and so has one that no longer exists. Other entries are not
    /// visited.
    pub(super) fn lift<'a>(
        &mut self,
        moved: &[EntryId],
        place_of: impl Fn(EntryId) -> Option<&'a Place>,
    ) -> Vec<EntryId> {
        let before: BTreeSet<_> = moved.iter().filter_map(|id| self.lifted_for(*id)).collect();
        for lifted in &before {
            for member in self.cycles.remove(lifted).into_iter().flatten() {
                self.members.remove(&member);
            }
        }
        let mut after = BTreeSet::new();
        let mut walked = HashSet::new();
        for start in moved {
            let open_place = |id| place_of(id).filter(|_| !self.members.contains_key(&id));
            let cycle = cycle_from(*start, &mut walked, &open_place).unwrap_or_default();
            if let Some(lifted) = last_moved(&cycle, &place_of) {
                self.members.extend(cycle.iter().map(|member| (*member, lifted)));
                self.cycles.insert(lifted, cycle);
                after.insert(lifted);
            }
        }
        before.symmetric_difference(&after).copied().collect()
    }
}

/// Follows the places upwards from `start`. Returns the cycle in which this ends, unless an earlier
/// walk was there.
fn cycle_from<'a>(
    start: EntryId,
    walked: &mut HashSet<EntryId>,
    place_of: &impl Fn(EntryId) -> Option<&'a Place>,
) -> Option<Vec<EntryId>> {
    let mut trail = Vec::new();
    let mut id = start;
    while let Some(place) = place_of(id) {
        step();
        if !walked.insert(id) {
            let start = trail.iter().position(|walked| *walked == id)?;
            return Some(trail.split_off(start));
        }
        trail.push(id);
        id = place.parent;
    }
    None
}

fn last_moved<'a>(cycle: &[EntryId], place_of: &impl Fn(EntryId) -> Option<&'a Place>) -> Option<EntryId> {
    let members = cycle.iter().copied();
    members.max_by_key(|id| place_of(*id).map(|place| (place, *id)))
}
