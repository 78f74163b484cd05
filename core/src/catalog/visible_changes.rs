//! The visible changes of a merge: the visible tree before and after, compared around the touched
//! entries.
//!
//! Owns the choice of what to compare, so that the cost follows the size of the change and not of
//! the catalog.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::Catalog;
use super::events::{Fact, Location, News};
use super::folder_index::Life;
use super::key::EntryKey;
use super::share_path::{Name, SharePath};
use super::state::{EntryId, EntryState, Kind};
use super::step_count::step;
use super::view::Item;
use super::visible_folders::Folders;
use crate::limits::SHARE_DEPTH_MAX;

/// The names that entries claim, by folder.
type Claims = HashMap<Option<SharePath>, BTreeSet<Name>>;

type Snapshot = BTreeMap<Location, Sight>;

/// What is shown at one path.
#[derive(Debug, Clone)]
struct Sight {
    kind: Kind,
    keys: Vec<EntryKey>,
    /// For a conflict copy, the name that it comes from.
    copy_of: Option<Name>,
}

/// How new states have changed what is shown.
pub(super) struct Difference {
    pub(super) news: News,
    /// Entries that are no longer shown, or are shown as something else.
    pub(super) displaced: HashSet<EntryId>,
}

impl Catalog {
    pub(super) fn store_and_compare(&mut self, states: BTreeMap<EntryId, EntryState>) -> Difference {
        let affected = self.affected_by(&states);
        let claims_before = self.claims_of(&affected);
        let mut before = self.snapshot(&claims_before, |_| true);
        self.store(states);
        let mut claims = self.claims_of(&affected);
        // Where no affected entry was before, everything else that is there now was there before
        // too.
        let fresh = difference(&claims, &claims_before);
        for (folder, names) in claims_before {
            claims.entry(folder).or_default().extend(names);
        }
        let after = self.snapshot(&claims, |_| true);
        before.extend(self.snapshot(&fresh, |id| !affected.contains(&id)));
        let displaced = keys(&before)
            .difference(&keys(&after))
            .map(|key| key.id)
            .collect();
        let news = News::of(compare(&before, &after));
        Difference { news, displaced }
    }

    /// Every entry whose path or visibility may change: entries with new states, the contents of
    /// moved folders, and the folders above that are visible or not because of them.
    ///
    /// Each walk stops where an earlier one was, so that all walks together visit an entry once.
    fn affected_by(&self, states: &BTreeMap<EntryId, EntryState>) -> HashSet<EntryId> {
        let mut affected = HashSet::new();
        let old_place = |id: &EntryId| self.state(*id).map(|old| &old.place);
        for (id, _) in states
            .iter()
            .filter(|(id, state)| old_place(id) != Some(&state.place))
        {
            self.folders.add_with_descendants(*id, &mut affected);
            // It leaves a cycle, and the entry that was lifted for that cycle goes down again.
            if let Some(lifted) = self.folders.lifted_for(*id) {
                self.folders.add_with_descendants(lifted, &mut affected);
            }
        }
        let mut above = [HashSet::new(), HashSet::new()];
        let [before, after] = &mut above;
        for id in states.keys() {
            add_folders_above(*id, |id| self.place_before(id), before);
            add_folders_above(*id, |id| self.place_after(id, states), after);
        }
        affected.extend(states.keys().copied());
        affected.extend(above.into_iter().flatten());
        affected.remove(&EntryId::ROOT);
        affected
    }

    /// The folder in which an entry is shown, and whether the entry is alive.
    fn place_before(&self, id: EntryId) -> Option<(EntryId, Life)> {
        self.folders.link_of(id).map(|link| (link.parent, link.life))
    }

    /// The same after the new states, but before cycles are searched for.
    fn place_after(&self, id: EntryId, states: &BTreeMap<EntryId, EntryState>) -> Option<(EntryId, Life)> {
        step();
        let state = states.get(&id).or_else(|| self.state(id))?;
        Some((state.place.parent, Life::of(state)))
    }

    /// The names that visible entries claim, whether they are shown there or not.
    fn claims_of(&self, entries: &HashSet<EntryId>) -> Claims {
        let mut by_parent: HashMap<EntryId, BTreeSet<Name>> = HashMap::new();
        for id in entries.iter().filter(|id| self.folders.is_visible(**id)) {
            if let Some(link) = self.folders.link_of(*id) {
                by_parent
                    .entry(link.parent)
                    .or_default()
                    .insert(link.name.clone());
            }
        }
        let (mut known, mut claims) = (KnownPaths::default(), Claims::new());
        for (parent, names) in by_parent {
            let folder = match self.reached(parent, &mut known) {
                Reached::Top => None,
                Reached::At(folder) => Some(folder),
                Reached::Nowhere => continue,
            };
            claims.entry(folder).or_default().extend(names);
        }
        claims
    }

    /// The path that an entry claims; `None` while its folder is unknown, or if it is too deep.
    pub(super) fn path_of(&self, id: EntryId, known: &mut KnownPaths) -> Option<SharePath> {
        match self.reached(id, known) {
            Reached::At(path) => Some(path),
            Reached::Top | Reached::Nowhere => None,
        }
    }

    fn reached(&self, id: EntryId, known: &mut KnownPaths) -> Reached {
        let mut trail = Vec::new();
        let mut next = id;
        let mut reached = loop {
            if let Some(reached) = known.of(next) {
                break reached;
            }
            let Some(link) = self.folders.link_of(next) else {
                break Reached::Nowhere;
            };
            if trail.len() == SHARE_DEPTH_MAX {
                // These are more names than a path can have, whatever is above them. That is
                // certain only for this entry.
                known.0.insert(id, Reached::Nowhere);
                return Reached::Nowhere;
            }
            trail.push((next, &link.name));
            next = link.parent;
        };
        for (id, name) in trail.into_iter().rev() {
            reached = reached.within(name);
            known.0.insert(id, reached.clone());
        }
        reached
    }

    fn snapshot(&self, claims: &Claims, counted: impl Fn(EntryId) -> bool + Copy) -> Snapshot {
        let mut snapshot = Snapshot::new();
        let mut folders = Folders::new(self);
        for (folder, names) in claims {
            let Some(entries) = folders.at(folder.as_ref()) else {
                continue;
            };
            let name_len_max = SharePath::name_len_max_in(folder.as_ref());
            for claimed in names {
                for (name, item) in self.items_named(entries, claimed, counted) {
                    if name.as_str().len() <= name_len_max {
                        let folder = folder.clone();
                        snapshot.insert(Location { folder, name }, Sight::of(item, claimed));
                    }
                }
            }
        }
        snapshot
    }
}

/// Those of `claims` that are not among `others`.
fn difference(claims: &Claims, others: &Claims) -> Claims {
    let rest = claims.iter().map(|(folder, names)| {
        let known = others.get(folder);
        let is_fresh = |name: &&Name| known.is_none_or(|known| !known.contains(*name));
        (folder.clone(), names.iter().filter(is_fresh).cloned().collect())
    });
    rest.collect()
}

/// The paths of entries that were looked up, so that each is made once.
#[derive(Default)]
pub(super) struct KnownPaths(HashMap<EntryId, Reached>);

/// Where a walk to the top of the share ends.
#[derive(Clone)]
enum Reached {
    Top,
    At(SharePath),
    /// At an entry that has no path, so that nothing in it has one.
    Nowhere,
}

impl KnownPaths {
    fn of(&self, id: EntryId) -> Option<Reached> {
        if id == EntryId::ROOT {
            return Some(Reached::Top);
        }
        self.0.get(&id).cloned()
    }
}

impl Reached {
    fn within(&self, name: &Name) -> Self {
        let folder = match self {
            Self::Top => None,
            Self::At(folder) => Some(folder),
            Self::Nowhere => return Self::Nowhere,
        };
        SharePath::within(folder, name).map_or(Self::Nowhere, Self::At)
    }
}

/// Adds the folder of an entry, and the folders above it for as long as they are tombstones: a
/// tombstone is visible only if something in it is. Stops at a folder that is in `folders` already.
fn add_folders_above(
    id: EntryId,
    place_of: impl Fn(EntryId) -> Option<(EntryId, Life)>,
    folders: &mut HashSet<EntryId>,
) {
    let mut next = place_of(id);
    while let Some((folder, _)) = next.filter(|(folder, _)| folders.insert(*folder)) {
        next = place_of(folder).filter(|(_, life)| *life == Life::Tombstone);
    }
}

impl Sight {
    fn of(item: Item, claimed: &Name) -> Self {
        match item {
            Item::Folder(entries) => {
                let keys = entries.into_iter().map(EntryKey::of).collect();
                Self {
                    kind: Kind::Folder,
                    keys,
                    copy_of: None,
                }
            }
            Item::Leaf(group) => {
                let keys = group.members.iter().map(|(_, id)| EntryKey::of(*id)).collect();
                Self {
                    kind: group.kind,
                    keys,
                    copy_of: None,
                }
            }
            Item::Copy(group) => {
                let keys = group
                    .members
                    .iter()
                    .map(|(dot, id)| EntryKey::of_copy(*id, *dot))
                    .collect();
                Self {
                    kind: group.kind,
                    keys,
                    copy_of: Some(claimed.clone()),
                }
            }
        }
    }

    fn is_folder(&self) -> bool {
        self.kind == Kind::Folder
    }
}

fn keys(snapshot: &Snapshot) -> HashSet<EntryKey> {
    snapshot.values().flat_map(|sight| &sight.keys).copied().collect()
}

fn compare(before: &Snapshot, after: &Snapshot) -> Vec<Fact> {
    let mut comparison = Comparison::new(before, after);
    let mut later = Vec::new();
    for (location, sight) in after {
        let fact = match before.get(location) {
            Some(old) => fact_at(location, Some(old), sight),
            None => fact_at(location, comparison.source_of(location, sight).as_ref(), sight),
        };
        later.extend(fact);
    }
    let gone = comparison.gone.into_keys().rev();
    let mut facts: Vec<_> = gone.map(Fact::Removed).collect();
    facts.extend(comparison.renamed);
    facts.extend(later);
    facts
}

/// Searches where newly shown things were before.
struct Comparison {
    /// What was shown at paths that now show nothing, as long as it was not found elsewhere.
    gone: Snapshot,
    was_at: BTreeMap<EntryKey, Location>,
    /// The old paths of moved folders, by their new ones.
    moves: HashMap<SharePath, SharePath>,
    /// The two folders of the last call of [`Comparison::came_along`], and its answer.
    along: Option<([Option<SharePath>; 2], bool)>,
    renamed: Vec<Fact>,
}

impl Comparison {
    fn new(before: &Snapshot, after: &Snapshot) -> Self {
        let gone = before
            .iter()
            .filter(|(location, _)| !after.contains_key(*location));
        let gone: Snapshot = gone
            .map(|(location, sight)| (location.clone(), sight.clone()))
            .collect();
        let keys = gone
            .iter()
            .flat_map(|(location, sight)| sight.keys.iter().map(|key| (*key, location.clone())));
        Self {
            was_at: keys.collect(),
            gone,
            moves: HashMap::new(),
            along: None,
            renamed: Vec::new(),
        }
    }

    /// What `sight`, new at `location`, was shown as before, if it was.
    fn source_of(&mut self, location: &Location, sight: &Sight) -> Option<Sight> {
        let was_at = sight.keys.iter().find_map(|key| self.was_at.get(key))?.clone();
        if self.gone.get(&was_at)?.is_folder() != sight.is_folder() {
            return None;
        }
        if !self.came_along(&was_at, location) {
            if sight.is_folder() {
                self.moves.insert(location.path()?, was_at.path()?);
            }
            let (from, to) = (was_at.clone(), location.clone());
            self.renamed.push(Fact::Renamed { from, to });
        }
        self.gone.remove(&was_at)
    }

    /// Whether something moved only because a folder above it did. The calls for one folder follow
    /// each other, and come after those for the folders that it is in.
    fn came_along(&mut self, from: &Location, to: &Location) -> bool {
        if self.moves.is_empty() || from.name != to.name {
            return false;
        }
        let asked = [from.folder.clone(), to.folder.clone()];
        if let Some((_, came)) = self.along.as_ref().filter(|(known, _)| *known == asked) {
            return *came;
        }
        let came = self.has_moved(from.folder.as_ref(), to.folder.as_ref());
        self.along = Some((asked, came));
        came
    }

    fn has_moved(&self, from: Option<&SharePath>, to: Option<&SharePath>) -> bool {
        let (Some(from), Some(to)) = (from, to) else {
            return false;
        };
        let folders = std::iter::successors(Some(to.clone()), SharePath::parent);
        folders.into_iter().any(|folder| {
            step();
            let was_at = self.moves.get(&folder);
            let came_to = was_at.and_then(|was_at| from.moved(was_at, &folder));
            came_to.is_some_and(|came_to| came_to.as_ref() == Ok(to))
        })
    }
}

fn fact_at(location: &Location, old: Option<&Sight>, new: &Sight) -> Option<Fact> {
    match (old, &new.copy_of) {
        (Some(old), _) if old.kind == new.kind => None,
        (Some(_), _) => Some(Fact::Changed(location.clone())),
        (None, Some(base)) => Some(Fact::Conflict {
            copy: location.clone(),
            base: base.clone(),
        }),
        (None, None) => Some(Fact::Added(location.clone())),
    }
}

#[cfg(test)]
mod tests;
