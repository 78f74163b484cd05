//! Comparing the tree around a change takes little memory, however long the paths are.

use super::*;
use crate::catalog::tests::{add, catalog_of, path};

/// Files in a folder whose path is nearly as long as a path can be.
fn deep(count: u8) -> Catalog {
    let mut catalog = catalog_of(1);
    let folder = ["x".repeat(250).as_str(); 16].join("/");
    for number in 0..count {
        add(&mut catalog, &format!("{folder}/{number}"), number);
    }
    catalog
}

fn all(catalog: &Catalog) -> HashSet<EntryId> {
    catalog.entries.keys().copied().collect()
}

#[test]
fn the_contents_of_a_folder_share_one_copy_of_its_path() {
    let catalog = deep(100);
    let claims = catalog.claims_of(&all(&catalog));
    let snapshot = catalog.snapshot(&claims, |_| true);
    assert_eq!(snapshot.len(), 16 + 100);
    let folders = snapshot.keys().filter_map(|location| location.folder.as_ref());
    let copies: HashSet<_> = folders.map(|folder| folder.as_str().as_ptr()).collect();
    assert_eq!(copies.len(), 16);
}

#[test]
fn removed_entries_that_are_not_shown_are_not_compared() {
    let mut catalog = deep(100);
    let folder = catalog.list()[0].path.clone();
    assert!(!catalog.remove(&folder).unwrap().is_empty());
    assert!(catalog.claims_of(&all(&catalog)).is_empty());
}

#[test]
fn locations_are_in_the_order_of_their_paths() {
    let texts = ["a", "a/b", "a/b/c", "a/c", "a b", "a-b/c", "ab/c", "b"];
    let location = |text: &&str| {
        let path = path(text);
        Location {
            folder: path.parent(),
            name: path.name(),
        }
    };
    for (one, other) in texts
        .iter()
        .flat_map(|one| texts.iter().map(move |other| (one, other)))
    {
        assert_eq!(
            location(one).cmp(&location(other)),
            path(one).cmp(&path(other)),
            "{one} {other}"
        );
    }
}
