//! What a merge changed for people: the visible tree before and after, compared around the touched entries.
//!
//! Owns the choice of what to compare, so that the cost follows the size of the change and not of the catalog.

use std::collections::{BTreeMap, BTreeSet};

use super::Catalog;
use super::key::EntryKey;
use super::share_path::SharePath;
use super::state::{EntryId, EntryState, Kind};
use super::view::Item;

/// Something visible that a merge changed.
///
/// The events of one merge come in this order: what was removed, under its old path; what was renamed, all at once and the
/// innermost rename of a path counting; then what was added, changed or copied, under its new path.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CatalogEvent {
    /// A file, link or folder appeared.
    Added {
        /// Where.
        path: SharePath,
    },
    /// A file has another content, mode or time, a link another target; or something of another kind took its place.
    Changed {
        /// Where.
        path: SharePath,
    },
    /// A file, link or folder is gone. Of a folder, everything in it has its own event before.
    Removed {
        /// Where it was.
        path: SharePath,
    },
    /// A file, link or folder, with all that is in it, has another path.
    Renamed {
        /// Where it was.
        from: SharePath,
        /// Where it is.
        to: SharePath,
    },
    /// A version that was made without knowing of the one at `path` is shown beside it.
    Conflict {
        /// The name that both claim.
        path: SharePath,
        /// The name under which the other one is shown.
        copy: SharePath,
    },
}

type Snapshot = BTreeMap<SharePath, Sight>;

/// What is seen at one path.
#[derive(Debug, Clone)]
struct Sight {
    kind: Kind,
    keys: Vec<EntryKey>,
    /// For a conflict copy, the name it does not have.
    copy_of: Option<SharePath>,
}

impl Catalog {
    pub(super) fn store_and_compare(&mut self, states: BTreeMap<EntryId, EntryState>) -> Vec<CatalogEvent> {
        let affected = self.affected_by(&states);
        let paths_before = self.paths_of(&affected);
        let mut before = self.snapshot(&paths_before, |_| true);
        self.store(states);
        let paths_after = self.paths_of(&affected);
        let after = self.snapshot(paths_before.union(&paths_after), |_| true);
        // Where no affected entry was before, whatever else is there now was there before as well.
        before.extend(self.snapshot(paths_after.difference(&paths_before), |id| {
            !affected.contains(&id)
        }));
        compare(before, &after)
    }

    /// Every entry whose path or visibility may change: those with new states, what is in those that move, and the
    /// folders above, which are visible or not because of them.
    fn affected_by(&self, states: &BTreeMap<EntryId, EntryState>) -> BTreeSet<EntryId> {
        let mut affected: BTreeSet<_> = states.keys().copied().collect();
        let moved = |(id, state): &(&EntryId, &EntryState)| {
            self.state(**id).is_none_or(|old| old.place != state.place)
        };
        let moved = states.iter().filter(moved).map(|(id, _)| *id);
        let starts: Vec<_> = moved.chain(self.tree.lifted().iter().copied()).collect();
        for start in starts {
            affected.insert(start);
            affected.extend(self.tree.descendants(start));
        }
        for (id, state) in states {
            self.add_folders_above(
                *id,
                |id| self.tree.link_of(id).map(|link| link.parent),
                &mut affected,
            );
            let place = |id| {
                states
                    .get(&id)
                    .or_else(|| self.state(id))
                    .map(|state| state.place.parent)
            };
            affected.insert(state.place.parent);
            self.add_folders_above(*id, place, &mut affected);
        }
        affected.remove(&EntryId::ROOT);
        affected
    }

    fn add_folders_above(
        &self,
        id: EntryId,
        parent_of: impl Fn(EntryId) -> Option<EntryId>,
        folders: &mut BTreeSet<EntryId>,
    ) {
        let mut trail = BTreeSet::from([id]);
        let mut next = parent_of(id);
        while let Some(folder) = next.filter(|folder| trail.insert(*folder)) {
            folders.insert(folder);
            next = parent_of(folder);
        }
    }

    /// The paths that entries claim, whether they are shown there or not.
    fn paths_of(&self, entries: &BTreeSet<EntryId>) -> BTreeSet<SharePath> {
        let mut known = BTreeMap::from([(EntryId::ROOT, None)]);
        entries
            .iter()
            .filter_map(|id| self.path_of(*id, &mut known))
            .collect()
    }

    pub(super) fn path_of(
        &self,
        id: EntryId,
        known: &mut BTreeMap<EntryId, Option<SharePath>>,
    ) -> Option<SharePath> {
        let mut trail = Vec::new();
        let mut next = id;
        while !known.contains_key(&next) {
            let link = self.tree.link_of(next)?;
            trail.push((next, &link.name));
            next = link.parent;
        }
        let mut path = known.get(&next).cloned().flatten();
        for (id, name) in trail.into_iter().rev() {
            path = Some(SharePath::within(path.as_ref(), name).ok()?);
            known.insert(id, path.clone());
        }
        path
    }

    fn snapshot<'a>(
        &self,
        paths: impl IntoIterator<Item = &'a SharePath>,
        counted: impl Fn(EntryId) -> bool + Copy,
    ) -> Snapshot {
        let mut snapshot = Snapshot::new();
        for path in paths {
            let folder = path.parent();
            let Some(entries) = self.folder_at(folder.as_ref()) else {
                continue;
            };
            for (name, item) in self.items_named(&entries, &path.name(), counted) {
                let Ok(seen_at) = SharePath::within(folder.as_ref(), &name) else {
                    continue;
                };
                snapshot.insert(seen_at, Sight::of(item, path));
            }
        }
        snapshot
    }
}

impl Sight {
    fn of(item: Item, path: &SharePath) -> Self {
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
                    copy_of: Some(path.clone()),
                }
            }
        }
    }

    fn is_folder(&self) -> bool {
        self.kind == Kind::Folder
    }
}

fn compare(before: Snapshot, after: &Snapshot) -> Vec<CatalogEvent> {
    let mut comparison = Comparison::new(&before, after);
    let mut later = Vec::new();
    for (path, sight) in after {
        let old = before
            .get(path)
            .cloned()
            .or_else(|| comparison.source_of(path, sight));
        later.extend(event_at(path, old.as_ref(), sight));
    }
    let gone = comparison.gone.into_keys().rev();
    let mut events: Vec<_> = gone.map(|path| CatalogEvent::Removed { path }).collect();
    events.extend(comparison.renamed);
    events.extend(later);
    events
}

/// The search for where things that appeared came from.
struct Comparison {
    /// What was seen at paths that show nothing now, and was not found elsewhere yet.
    gone: Snapshot,
    was_at: BTreeMap<EntryKey, SharePath>,
    moves: Vec<(SharePath, SharePath)>,
    renamed: Vec<CatalogEvent>,
}

impl Comparison {
    fn new(before: &Snapshot, after: &Snapshot) -> Self {
        let mut gone = before.clone();
        gone.retain(|path, _| !after.contains_key(path));
        let keys = gone
            .iter()
            .flat_map(|(path, sight)| sight.keys.iter().map(|key| (*key, path.clone())));
        Self {
            was_at: keys.collect(),
            gone,
            moves: Vec::new(),
            renamed: Vec::new(),
        }
    }

    /// What `sight`, new at `path`, was seen as before, if it was.
    fn source_of(&mut self, path: &SharePath, sight: &Sight) -> Option<Sight> {
        let from = sight.keys.iter().find_map(|key| self.was_at.get(key))?.clone();
        if self.gone.get(&from)?.is_folder() != sight.is_folder() {
            return None;
        }
        let came_along = |(a, b): &(_, _)| from.moved(a, b).is_some_and(|to| to.as_ref() == Ok(path));
        if !self.moves.iter().any(came_along) {
            self.renamed.push(CatalogEvent::Renamed {
                from: from.clone(),
                to: path.clone(),
            });
            if sight.is_folder() {
                self.moves.push((from.clone(), path.clone()));
            }
        }
        self.gone.remove(&from)
    }
}

fn event_at(path: &SharePath, old: Option<&Sight>, new: &Sight) -> Option<CatalogEvent> {
    let path = path.clone();
    match (old, &new.copy_of) {
        (Some(old), _) => (old.kind != new.kind).then_some(CatalogEvent::Changed { path }),
        (None, Some(base)) => Some(CatalogEvent::Conflict {
            path: base.clone(),
            copy: path,
        }),
        (None, None) => Some(CatalogEvent::Added { path }),
    }
}
