//! Renames onto what exists: replacing and exchanging.

use super::*;
use crate::catalog::tests::{add, catalog_of, pair, path, sync, tree};

fn replace(catalog: &mut Catalog, from: &str, to: &str) -> Result<Change, CatalogError> {
    catalog.rename_with(&path(from), &path(to), OnExisting::Replace)
}

fn exchange(catalog: &mut Catalog, from: &str, to: &str) -> Result<Change, CatalogError> {
    catalog.rename_with(&path(from), &path(to), OnExisting::Exchange)
}

fn key(catalog: &Catalog, at: &str) -> crate::catalog::EntryKey {
    catalog.lookup(&path(at)).unwrap().key()
}

#[test]
fn a_file_over_a_file_is_an_edit_of_the_one_that_has_the_name() {
    let (mut alice, mut bob) = pair();
    add(&mut alice, "doc", 1);
    add(&mut alice, "tmp", 2);
    sync(&mut alice, &mut bob);
    let before = key(&bob, "doc");
    assert!(!replace(&mut bob, "tmp", "doc").unwrap().is_empty());
    assert_eq!(tree(&bob), ["doc 2"]);
    let shown = bob.lookup(&path("doc")).unwrap();
    assert_eq!(
        (shown.key(), shown.holders),
        (before, [alice.replica().fingerprint].into())
    );
    sync(&mut alice, &mut bob);
    assert_eq!(tree(&alice), ["doc 2"]);
}

#[test]
fn saving_by_rename_does_not_use_up_the_catalog() {
    let mut alice = catalog_of(1);
    add(&mut alice, "folder/doc", 1);
    for seed in 2..20 {
        add(&mut alice, "folder/tmp", seed);
        drop(replace(&mut alice, "folder/tmp", "folder/doc").unwrap());
    }
    assert_eq!(tree(&alice), ["folder/", "folder/doc 19"]);
    assert_eq!(alice.entry_count(), 3);
}

#[test]
fn replacing_does_not_discard_an_edit_it_has_not_seen() {
    let (mut alice, mut bob) = pair();
    add(&mut alice, "doc", 1);
    add(&mut alice, "tmp", 2);
    sync(&mut alice, &mut bob);
    drop(replace(&mut alice, "tmp", "doc").unwrap());
    add(&mut bob, "doc", 3);
    add(&mut bob, "tmp", 4);
    sync(&mut alice, &mut bob);
    let contents: Vec<_> = alice
        .list()
        .iter()
        .map(|shown| shown.file().unwrap().content.len)
        .collect();
    assert_eq!(contents.len(), 3);
    assert!(
        [2, 3, 4].iter().all(|content| contents.contains(content)),
        "{contents:?}"
    );
}

#[test]
fn replacing_a_conflict_copy_makes_a_file_of_its_name() {
    let (mut alice, mut bob) = pair();
    add(&mut alice, "a", 1);
    add(&mut bob, "a", 2);
    sync(&mut alice, &mut bob);
    let copy = alice
        .list()
        .into_iter()
        .find(|shown| shown.conflict)
        .unwrap()
        .path;
    add(&mut alice, "b", 3);
    drop(alice.rename_with(&path("b"), &copy, OnExisting::Replace).unwrap());
    sync(&mut alice, &mut bob);
    assert_eq!(
        tree(&alice),
        [format!("{copy} 3"), "a 2".into()]
            .into_iter()
            .rev()
            .collect::<Vec<_>>()
    );
    assert!(!alice.lookup(&copy).unwrap().conflict);
}

#[test]
fn a_folder_takes_the_place_of_an_empty_folder_only() {
    let mut alice = catalog_of(1);
    add(&mut alice, "a/x", 1);
    add(&mut alice, "full/y", 2);
    drop(alice.add_folder(&path("empty")).unwrap());
    assert_eq!(
        replace(&mut alice, "a", "full"),
        Err(CatalogError::NotEmpty { path: path("full") })
    );
    assert_eq!(
        replace(&mut alice, "a/x", "empty"),
        Err(CatalogError::IsFolder { path: path("empty") })
    );
    assert_eq!(
        replace(&mut alice, "a", "full/y"),
        Err(CatalogError::NotFolder { path: path("full/y") })
    );
    assert_eq!(tree(&alice), ["a/", "a/x 1", "empty/", "full/", "full/y 2"]);
    let moved = key(&alice, "a");
    drop(replace(&mut alice, "a", "empty").unwrap());
    assert_eq!(tree(&alice), ["empty/", "empty/x 1", "full/", "full/y 2"]);
    assert_eq!(key(&alice, "empty"), moved);
}

#[test]
fn without_anything_at_the_target_replacing_renames_and_exchanging_fails() {
    let mut alice = catalog_of(1);
    add(&mut alice, "a", 1);
    drop(replace(&mut alice, "a", "deep/b").unwrap());
    assert_eq!(tree(&alice), ["deep/", "deep/b 1"]);
    assert_eq!(
        exchange(&mut alice, "deep/b", "c"),
        Err(CatalogError::Missing { path: path("c") })
    );
    for on_existing in [OnExisting::Refuse, OnExisting::Replace, OnExisting::Exchange] {
        let same = alice.rename_with(&path("deep/b"), &path("deep/b"), on_existing);
        assert!(same.unwrap().is_empty());
    }
}

#[test]
fn an_exchange_swaps_places_and_leaves_keys_alone() {
    let (mut alice, mut bob) = pair();
    add(&mut alice, "file", 1);
    add(&mut alice, "deep/folder/x", 2);
    sync(&mut alice, &mut bob);
    let before = (key(&bob, "file"), key(&bob, "deep/folder"));
    drop(exchange(&mut bob, "file", "deep/folder").unwrap());
    assert_eq!((key(&bob, "deep/folder"), key(&bob, "file")), before);
    sync(&mut alice, &mut bob);
    assert_eq!(tree(&alice), ["deep/", "deep/folder 1", "file/", "file/x 2"]);
    let into = |from: &str, to: &str| CatalogError::IntoItself {
        from: path(from),
        to: path(to),
    };
    assert_eq!(exchange(&mut bob, "file", "file/x"), Err(into("file", "file/x")));
    assert_eq!(exchange(&mut bob, "file/x", "file"), Err(into("file", "file/x")));
}

#[test]
fn an_exchange_wins_over_conflict_copies_that_stay_behind() {
    let (mut alice, mut bob) = pair();
    add(&mut alice, "b", 1);
    add(&mut alice, "a", 2);
    add(&mut bob, "x", 9);
    add(&mut bob, "x", 8);
    add(&mut bob, "a", 3);
    sync(&mut alice, &mut bob);
    assert_eq!(alice.lookup(&path("a")).unwrap().file().unwrap().content.len, 3);
    drop(exchange(&mut alice, "a", "b").unwrap());
    let at = |at: &str| alice.lookup(&path(at)).unwrap().file().unwrap().content.len;
    assert_eq!((at("a"), at("b")), (1, 3));
    assert_eq!(alice.list().iter().filter(|shown| shown.conflict).count(), 1);
}

#[test]
fn no_kind_of_rename_makes_a_path_too_deep() {
    let mut alice = catalog_of(1);
    let deep = vec!["x"; 40].join("/");
    add(&mut alice, &deep, 1);
    let spot = format!("{}/spot", vec!["y"; 39].join("/"));
    drop(alice.add_folder(&path(&spot)).unwrap());
    let before = alice.digest();
    assert!(matches!(
        replace(&mut alice, "x", &spot),
        Err(CatalogError::Path { .. })
    ));
    assert!(matches!(
        exchange(&mut alice, "x", &spot),
        Err(CatalogError::Path { .. })
    ));
    assert!(matches!(
        exchange(&mut alice, &spot, "x"),
        Err(CatalogError::Path { .. })
    ));
    assert_eq!(alice.digest(), before);
}

#[test]
fn files_on_which_another_peer_has_counted_far_ahead_are_exchanged_beside_their_copies() {
    let (mut alice, mut bob) = (catalog_of(1), catalog_of(2));
    add(&mut alice, "one", 1);
    add(&mut alice, "two", 2);
    add(&mut bob, "two", 3);
    add(&mut bob, "one", 4);
    alice.merge(bob.all_states()).unwrap();
    let mut states = alice.all_states();
    for (_, state) in &mut states {
        let mut far = state.place.stamp;
        far.replica.incarnation = 99;
        far.counter = u64::MAX;
        state.seen.note(far);
    }
    let mut far = alice.clone();
    far.merge(states).unwrap();
    for catalog in [&mut alice, &mut far] {
        drop(exchange(catalog, "one", "two").unwrap());
    }
    assert_eq!(tree(&far), tree(&alice));
    assert!(tree(&far).contains(&"one 2".into()) && tree(&far).contains(&"two 4".into()));
}
