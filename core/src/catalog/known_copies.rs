//! The conflict copies of the folder that was asked for last, by their names.
//!
//! The name of a copy does not tell which names it depends on, so one look-up collects all copies
//! of its folder. A peer may make any number of copies, and a pull looks up each of them. So they
//! are kept until what is shown may have changed. A new holder of a version changes no name.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};

use super::Catalog;
use super::share_path::{Name, SharePath};
use super::state::EntryId;
use super::version_vector::Dot;
use super::view::{Item, LeafGroup};

/// See the head of this file. Empty while nothing is known.
#[derive(Debug, Clone, Default)]
pub(super) struct KnownCopies(RefCell<Option<Copies>>);

#[derive(Debug, Clone)]
struct Copies {
    folder: Option<SharePath>,
    members: HashMap<Name, Vec<(Dot, EntryId)>>,
}

impl KnownCopies {
    /// Forgets everything.
    pub(super) fn forget(&mut self) {
        *self.0.get_mut() = None;
    }
}

impl Catalog {
    /// The conflict copy of that name in a folder, which is made of `entries`.
    pub(super) fn copy_named(
        &self,
        folder: Option<&SharePath>,
        entries: &[EntryId],
        name: &Name,
    ) -> Option<Item> {
        let mut known = self.known_copies.0.borrow_mut();
        let copies = known.take().filter(|copies| copies.folder.as_ref() == folder);
        let copies = known.insert(copies.unwrap_or_else(|| self.copies_in(folder, entries)));
        let members = copies.members.get(name)?;
        self.group_of_members(members).map(Item::Copy)
    }

    fn copies_in(&self, folder: Option<&SharePath>, entries: &[EntryId]) -> Copies {
        let copies = self
            .items_in(entries)
            .into_iter()
            .filter_map(|(name, item)| match item {
                Item::Copy(group) => Some((name, group.members)),
                Item::Leaf(_) | Item::Folder(_) => None,
            });
        Copies {
            folder: folder.cloned(),
            members: copies.collect(),
        }
    }

    fn group_of_members(&self, members: &[(Dot, EntryId)]) -> Option<LeafGroup> {
        let version = |(dot, id): &(Dot, EntryId)| self.state(*id)?.versions.get(dot);
        let kind = version(members.first()?)?.kind.clone();
        let holders: BTreeSet<_> = members
            .iter()
            .filter_map(version)
            .flat_map(|version| &version.holders)
            .copied()
            .collect();
        Some(LeafGroup {
            kind,
            holders,
            members: members.to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::steps_of;
    use crate::catalog::tests::{catalog_of, file, path};

    /// A catalog in which `count` peers have made a file of one name, with other contents.
    fn crowd(count: u8) -> Catalog {
        let mut crowd = catalog_of(0);
        for number in 1..=count {
            let mut catalog = catalog_of(number);
            drop(catalog.add_file(&path("notes.txt"), file(number)).unwrap());
            crowd.merge(catalog.all_states()).unwrap();
        }
        crowd
    }

    /// Looks up everything, and notes each time that another peer has it.
    fn hold_all(mut catalog: Catalog) -> u64 {
        let holder = catalog_of(201).replica().fingerprint;
        let (steps, ()) = steps_of(|| {
            for listed in catalog.list() {
                let shown = catalog.lookup(&listed.path).unwrap();
                assert_eq!((shown.id, shown.dot), (listed.id, listed.dot));
                drop(catalog.mark_held(shown.id, shown.dot, holder));
                let held = catalog.lookup(&listed.path).unwrap();
                assert!(held.holders.contains(&holder), "{}", held.path);
            }
        });
        steps
    }

    #[test]
    fn looking_up_copies_of_one_name_takes_steps_in_proportion_to_them() {
        let (small, large) = (hold_all(crowd(40)), hold_all(crowd(160)));
        assert!(
            large <= 5 * small,
            "{small} steps, and {large} for four times as many"
        );
    }

    #[test]
    fn copies_are_found_as_they_are_after_each_change() {
        let is_found = |catalog: &Catalog| {
            let copies = catalog.list().into_iter().filter(|shown| shown.conflict);
            copies
                .filter(|copy| catalog.lookup(&copy.path).as_ref() == Some(copy))
                .count()
        };
        let mut catalog = crowd(3);
        assert_eq!(is_found(&catalog), 2);
        // What had the name is one more copy.
        let mut rival = catalog_of(9);
        drop(rival.add_file(&path("notes.txt"), file(9)).unwrap());
        catalog.merge(rival.all_states()).unwrap();
        assert_eq!(is_found(&catalog), 3);
        let copy = catalog.list().into_iter().find(|shown| shown.conflict).unwrap();
        drop(catalog.remove(&copy.path).unwrap());
        assert_eq!((is_found(&catalog), catalog.lookup(&copy.path)), (2, None));
        drop(catalog.rename(&path("notes.txt"), &path("moved")).unwrap());
        // The newest copy has the name.
        assert_eq!(is_found(&catalog), 1);
    }

    #[test]
    fn copies_of_two_folders_are_not_mixed_up() {
        let mut catalog = catalog_of(1);
        let mut rival = catalog_of(2);
        for folder in ["a", "b"] {
            let name = path(&format!("{folder}/notes"));
            drop(catalog.add_file(&name, file(1)).unwrap());
            drop(rival.add_file(&name, file(2)).unwrap());
        }
        catalog.merge(rival.all_states()).unwrap();
        let copies = catalog.list().into_iter().filter(|shown| shown.conflict);
        let copies: Vec<_> = copies.collect();
        assert_eq!(copies.len(), 2);
        for copy in copies.iter().chain(&copies) {
            assert_eq!(catalog.lookup(&copy.path).as_ref(), Some(copy));
        }
    }
}
