//! What one viewer knows: how often it looked up each inode, and in which folders it has seen each
//! folder and link.
//!
//! A kernel goes up from a folder to the parent that it knows, which may be the one from before the
//! other peer moved the folder. The steps up that a link may take are counted by the known parents
//! too.

use std::collections::{HashMap, HashSet};

use super::super::attributes::Inode;
use crate::limits::SEEN_FOLDERS_MAX;

/// The inodes that a viewer knows.
#[derive(Debug, Default)]
pub(super) struct Known(HashMap<Inode, Acquaintance>);

#[derive(Debug, Default)]
struct Acquaintance {
    lookup_count: u64,
    /// Every folder in which the viewer was shown it; nothing for a file.
    folders: Vec<Inode>,
}

impl Known {
    /// Counts one lookup.
    pub(super) fn count(&mut self, inode: Inode) {
        self.0.entry(inode).or_default().lookup_count += 1;
    }

    /// Notes that it was shown in that folder.
    pub(super) fn show(&mut self, inode: Inode, folder: Inode) {
        let Some(known) = self.0.get_mut(&inode) else {
            return;
        };
        if known.folders.contains(&folder) {
            return;
        }
        if known.folders.len() == SEEN_FOLDERS_MAX {
            known.folders = vec![Inode::ROOT];
        }
        known.folders.push(folder);
    }

    /// Notes that the viewer itself moved it.
    pub(super) fn relocate(&mut self, inode: Inode, from: Inode, to: Inode) {
        if let Some(known) = self.0.get_mut(&inode) {
            known.folders.retain(|folder| *folder != from);
        }
        self.show(inode, to);
    }

    /// Takes back lookups; returns how many of them there were.
    pub(super) fn forget(&mut self, inode: Inode, count: u64) -> u64 {
        let Some(known) = self.0.get_mut(&inode) else {
            return 0;
        };
        let count = count.min(known.lookup_count);
        known.lookup_count -= count;
        if known.lookup_count == 0 {
            self.0.remove(&inode);
        }
        count
    }

    /// The smallest depth that the viewer may know it at; `None` if the viewer was never shown its
    /// place.
    pub(super) fn least_depth(&self, inode: Inode) -> Option<usize> {
        let (mut seen, mut level) = (HashSet::from([inode]), vec![inode]);
        for depth in 0.. {
            let folders = level.iter().filter_map(|inode| self.0.get(inode));
            let folders: Vec<_> = folders.flat_map(|known| known.folders.clone()).collect();
            if folders.is_empty() {
                return None;
            }
            if folders.contains(&Inode::ROOT) {
                return Some(depth);
            }
            level = folders
                .into_iter()
                .filter(|folder| seen.insert(*folder))
                .collect();
        }
        None
    }

    /// Each inode with its lookups.
    pub(super) fn lookup_counts(self) -> impl Iterator<Item = (Inode, u64)> {
        self.0
            .into_iter()
            .map(|(inode, known)| (inode, known.lookup_count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(places: &[(u64, u64)]) -> Known {
        let mut known = Known::default();
        for (inode, folder) in places {
            known.count(Inode(*inode));
            known.show(Inode(*inode), Inode(*folder));
        }
        known
    }

    #[test]
    fn an_inode_is_as_deep_as_the_shortest_way_to_the_top() {
        let known = known(&[(2, 1), (3, 2), (4, 3), (4, 2)]);
        let depths = [2, 3, 4, 5].map(|inode| known.least_depth(Inode(inode)));
        assert_eq!(depths, [Some(0), Some(1), Some(1), None]);
    }

    #[test]
    fn folders_that_were_inside_each_other_make_no_endless_path() {
        assert_eq!(known(&[(2, 3), (3, 2)]).least_depth(Inode(2)), None);
        assert_eq!(known(&[(2, 3), (3, 2), (3, 1)]).least_depth(Inode(2)), Some(1));
    }

    #[test]
    fn an_inode_that_the_viewer_moved_is_where_it_moved_it() {
        let mut known = known(&[(2, 1), (3, 2), (4, 1)]);
        known.relocate(Inode(4), Inode(1), Inode(3));
        assert_eq!(known.least_depth(Inode(4)), Some(2));
    }

    #[test]
    fn an_inode_seen_in_more_folders_than_are_remembered_counts_as_if_at_the_top() {
        let mut known = known(&[(2, 1), (3, 2)]);
        known.count(Inode(9));
        for folder in 0..SEEN_FOLDERS_MAX as u64 {
            known.show(Inode(9), Inode(100 + folder));
        }
        known.show(Inode(9), Inode(3));
        assert_eq!(known.least_depth(Inode(9)), Some(0));
    }

    #[test]
    fn a_forgotten_inode_has_no_place() {
        let mut known = known(&[(2, 1), (2, 1)]);
        assert_eq!(known.forget(Inode(2), 1), 1);
        assert_eq!(known.least_depth(Inode(2)), Some(0));
        assert_eq!((known.forget(Inode(2), 5), known.forget(Inode(2), 1)), (1, 0));
        assert_eq!(known.least_depth(Inode(2)), None);
    }
}
