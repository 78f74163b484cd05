//! The index of the tree: who is in which folder under which name, and what is visible.
//!
//! Owns the links from entries to the folders they are shown in, kept up to date entry by entry, and the search for
//! cycles. Always a forest: a link that would close a cycle is lifted to the top instead. Knows no versions, only
//! whether an entry is alive.
//!
//! Concurrent moves can make a cycle (alice moves a into b, bob moves b into a). Kleppmann, Mulligan, Gomes and Beresford
//! ("A highly-available move operation for replicated trees", 2021) keep a log of moves, and undo and redo it so that
//! the move that comes last in the total order is ignored. We exchange states, not operations, and have no log; here the
//! member of the cycle whose place has the greatest stamp, which is that same last move, is shown at the top. That is a
//! pure function of the places, so all replicas agree, nothing is lost, and the next rename by anybody settles it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::share_path::Name;
use super::state::{EntryId, Place};

/// Whether an entry has versions of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    /// It has.
    Alive,
    /// It is a tombstone. With something visible in it, it is visible all the same, as a folder.
    Tombstone,
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
    children: BTreeMap<Name, Vec<EntryId>>,
    visible_children: usize,
}

/// The index. Entries whose folder is unknown hang below its id, out of reach from the top, until it arrives.
#[derive(Debug, Default, Clone)]
pub(super) struct Tree {
    nodes: HashMap<EntryId, Node>,
    links: HashMap<EntryId, Link>,
    lifted: BTreeSet<EntryId>,
}

impl Tree {
    /// Puts an entry that has no link into a folder.
    pub(super) fn link(&mut self, id: EntryId, link: Link) {
        let parent = link.parent;
        let siblings = self
            .nodes
            .entry(parent)
            .or_default()
            .children
            .entry(link.name.clone())
            .or_default();
        if let Err(position) = siblings.binary_search(&id) {
            siblings.insert(position, id);
        }
        self.links.insert(id, link);
        if self.is_visible(id) {
            self.gain_visible_child(parent);
        }
    }

    /// Takes an entry out of its folder. What is in the entry stays in it.
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
        if let Some(siblings) = node.children.get_mut(&name) {
            siblings.retain(|sibling| *sibling != id);
            if siblings.is_empty() {
                node.children.remove(&name);
            }
        }
        if node.children.is_empty() {
            self.nodes.remove(&parent);
        }
    }

    fn gain_visible_child(&mut self, folder: EntryId) {
        let mut next = Some(folder);
        while let Some(folder) = next {
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

    /// Whether the entry is alive or has something visible in it. Says nothing about whether it can be reached.
    pub(super) fn is_visible(&self, id: EntryId) -> bool {
        self.links.get(&id).is_some_and(|link| link.life == Life::Alive) || self.has_visible_children(id)
    }

    /// Whether anything in the entry is visible.
    pub(super) fn has_visible_children(&self, id: EntryId) -> bool {
        self.nodes.get(&id).is_some_and(|node| node.visible_children > 0)
    }

    /// Where the entry is shown.
    pub(super) fn link_of(&self, id: EntryId) -> Option<&Link> {
        self.links.get(&id)
    }

    /// All entries of that name in a folder, tombstones included, in the order of their ids.
    pub(super) fn named(&self, folder: EntryId, name: &str) -> &[EntryId] {
        let children = self.nodes.get(&folder).and_then(|node| node.children.get(name));
        children.map_or(&[], Vec::as_slice)
    }

    /// The names in a folder, with all entries of each, tombstones included.
    pub(super) fn children(&self, folder: EntryId) -> impl Iterator<Item = (&Name, &[EntryId])> {
        let children = self
            .nodes
            .get(&folder)
            .into_iter()
            .flat_map(|node| &node.children);
        children.map(|(name, ids)| (name, ids.as_slice()))
    }

    /// All entries below one, at any depth, tombstones included.
    pub(super) fn descendants(&self, id: EntryId) -> Vec<EntryId> {
        let mut found = Vec::new();
        let mut open = vec![id];
        while let Some(folder) = open.pop() {
            let start = found.len();
            found.extend(self.children(folder).flat_map(|(_, ids)| ids));
            open.extend(found.iter().skip(start));
        }
        found
    }

    /// The folder that an entry with this place is shown in.
    pub(super) fn shown_parent(&self, id: EntryId, place: &Place) -> EntryId {
        if self.lifted.contains(&id) {
            EntryId::ROOT
        } else {
            place.parent
        }
    }

    /// The entries that are shown at the top because their places make a cycle.
    pub(super) fn lifted(&self) -> &BTreeSet<EntryId> {
        &self.lifted
    }

    /// Looks for cycles after the entries `moved` got new places, and returns those that are lifted now but were not
    /// before, or the other way round. Their links are for the caller to renew.
    pub(super) fn lift<'a>(
        &mut self,
        moved: impl IntoIterator<Item = EntryId>,
        place_of: impl Fn(EntryId) -> Option<&'a Place>,
    ) -> Vec<EntryId> {
        // A cycle has a moved member, or it was there before and has its lifted one.
        let starts: Vec<_> = moved.into_iter().chain(self.lifted.iter().copied()).collect();
        let mut walked = HashSet::new();
        let cycles = starts
            .into_iter()
            .filter_map(|start| cycle_from(start, &mut walked, &place_of));
        let lifted: BTreeSet<_> = cycles.filter_map(|cycle| last_moved(cycle, &place_of)).collect();
        let changed = self.lifted.symmetric_difference(&lifted).copied().collect();
        self.lifted = lifted;
        changed
    }
}

/// Follows the places upwards from `start`. Returns the cycle that this ends in, unless an earlier walk was there.
fn cycle_from<'a>(
    start: EntryId,
    walked: &mut HashSet<EntryId>,
    place_of: &impl Fn(EntryId) -> Option<&'a Place>,
) -> Option<Vec<EntryId>> {
    let mut trail = Vec::new();
    let mut id = start;
    while let Some(place) = place_of(id) {
        if !walked.insert(id) {
            let start = trail.iter().position(|walked| *walked == id)?;
            return Some(trail.split_off(start));
        }
        trail.push(id);
        id = place.parent;
    }
    None
}

fn last_moved<'a>(cycle: Vec<EntryId>, place_of: &impl Fn(EntryId) -> Option<&'a Place>) -> Option<EntryId> {
    cycle
        .into_iter()
        .max_by_key(|id| place_of(*id).map(|place| (place, *id)))
}
