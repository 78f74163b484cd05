//! Edits by key: what they replace, and what stays beside them.

use super::*;
use crate::catalog::tests::{add, catalog_of, file, pair, path, sync, tree};
use crate::catalog::{FileVersion, LinkTarget, LinkVersion, OnExisting};

fn shown(catalog: &Catalog, at: &str) -> Shown {
    catalog.lookup(&path(at)).unwrap()
}

/// Makes an edit of what was `opened`, with the content of `seed`.
fn edit(catalog: &mut Catalog, opened: &Shown, seed: u8) -> Shown {
    let edited = catalog.edit(opened.key(), opened.dot, Kind::File(file(seed)), Holding::Held);
    let edited = edited.unwrap();
    assert!(!edited.change.is_empty());
    assert_eq!(catalog.locate(edited.shown.key()).as_ref(), Some(&edited.shown));
    edited.shown
}

fn contents(catalog: &Catalog) -> Vec<u64> {
    catalog
        .list()
        .iter()
        .filter_map(Shown::file)
        .map(|file| file.content.len)
        .collect()
}

#[test]
fn an_edit_finds_its_file_under_the_name_it_has_now() {
    let (mut alice, mut bob) = pair();
    add(&mut alice, "old/notes", 1);
    sync(&mut alice, &mut bob);
    let opened = shown(&alice, "old/notes");
    drop(bob.rename(&path("old"), &path("new")).unwrap());
    drop(bob.rename(&path("new/notes"), &path("new/renamed")).unwrap());
    sync(&mut alice, &mut bob);
    let edited = edit(&mut alice, &opened, 2);
    assert_eq!((edited.path, edited.id), (path("new/renamed"), opened.id));
    sync(&mut alice, &mut bob);
    assert_eq!(tree(&bob), ["new/", "new/renamed 2"]);
}

#[test]
fn an_edit_replaces_every_version_with_the_content_it_came_from() {
    let (mut alice, mut bob) = pair();
    add(&mut alice, "notes", 1);
    add(&mut bob, "notes", 1);
    sync(&mut alice, &mut bob);
    let opened = shown(&alice, "notes");
    edit(&mut alice, &opened, 2);
    assert_eq!(tree(&alice), ["notes 2"]);
}

#[test]
fn an_edit_keeps_a_version_that_replaced_its_base_beside_it() {
    let (mut alice, mut bob) = pair();
    add(&mut alice, "notes", 1);
    sync(&mut alice, &mut bob);
    let opened = shown(&alice, "notes");
    for seed in [7, 8] {
        add(&mut bob, "notes", seed);
    }
    sync(&mut alice, &mut bob);
    let edited = edit(&mut alice, &opened, 2);
    assert_eq!((edited.path, edited.conflict), (path("notes"), false));
    sync(&mut alice, &mut bob);
    assert_eq!(contents(&bob).len(), 2);
    let copy = bob.list().into_iter().find(|shown| shown.conflict).unwrap();
    assert_eq!(copy.file().unwrap().content.len, 8);
}

#[test]
fn an_edit_takes_the_name_from_a_file_that_both_sides_made() {
    let (mut alice, mut bob) = pair();
    add(&mut alice, "notes", 1);
    let opened = shown(&alice, "notes");
    add(&mut bob, "notes", 6);
    add(&mut bob, "notes", 7);
    sync(&mut alice, &mut bob);
    assert!(alice.locate(opened.key()).unwrap().conflict);
    let edited = edit(&mut alice, &opened, 2);
    assert_eq!((edited.path, edited.conflict), (path("notes"), false));
    assert_eq!(contents(&alice).len(), 2);
}

#[test]
fn an_edit_brings_back_what_was_removed_with_its_folders() {
    let (mut alice, mut bob) = pair();
    add(&mut alice, "folder/notes", 1);
    sync(&mut alice, &mut bob);
    let opened = shown(&alice, "folder/notes");
    drop(bob.remove(&path("folder")).unwrap());
    sync(&mut alice, &mut bob);
    assert_eq!(alice.locate(opened.key()), None);
    edit(&mut alice, &opened, 2);
    sync(&mut alice, &mut bob);
    assert_eq!(tree(&bob), ["folder/", "folder/notes 2"]);
}

#[test]
fn an_edit_of_a_conflict_copy_makes_it_a_file_of_its_own() {
    let (mut alice, mut bob) = pair();
    add(&mut alice, "a", 1);
    sync(&mut alice, &mut bob);
    add(&mut alice, "a", 2);
    add(&mut bob, "a", 3);
    sync(&mut alice, &mut bob);
    let copy = alice.list().into_iter().find(|shown| shown.conflict).unwrap();
    let edited = edit(&mut alice, &copy, 4);
    assert_eq!((edited.path.clone(), edited.conflict), (copy.path.clone(), false));
    edit(&mut bob, &copy, 5);
    sync(&mut alice, &mut bob);
    assert_eq!(bob.lookup(&path("a")).unwrap().file().unwrap().content.len, 3);
    assert_eq!(contents(&bob).len(), 3);
}

#[test]
fn an_edit_of_a_copy_that_is_gone_does_not_take_the_name_beside_it() {
    let (mut alice, mut bob) = pair();
    add(&mut alice, "a", 1);
    add(&mut bob, "a", 2);
    sync(&mut alice, &mut bob);
    let copy = alice.list().into_iter().find(|shown| shown.conflict).unwrap();
    for replacement in [None, Some(6)] {
        let mut alice = alice.clone();
        match replacement {
            None => drop(alice.remove(&copy.path).unwrap()),
            Some(seed) => drop(alice.add_file(&copy.path, file(seed)).unwrap()),
        }
        let edited = edit(&mut alice, &copy, 5);
        assert_eq!((edited.path, edited.conflict), (copy.path.clone(), false));
        assert_eq!(alice.lookup(&path("a")).unwrap().file().unwrap().content.len, 2);
        assert_eq!(contents(&alice).len(), 2 + usize::from(replacement.is_some()));
    }
}

#[test]
fn an_edit_of_a_copy_brings_it_back_where_its_folder_was() {
    let (mut alice, mut bob) = pair();
    add(&mut alice, "folder/a", 1);
    add(&mut bob, "folder/a", 2);
    sync(&mut alice, &mut bob);
    let copy = alice.list().into_iter().find(|shown| shown.conflict).unwrap();
    drop(alice.remove(&path("folder")).unwrap());
    for seed in [None, Some(3)] {
        let mut alice = alice.clone();
        seed.into_iter().for_each(|seed| add(&mut alice, "folder", seed));
        assert_eq!(edit(&mut alice, &copy, 5).path, copy.path);
    }
}

#[test]
fn a_new_mode_or_time_keeps_the_holders_and_nothing_else_does() {
    let (mut alice, mut bob) = pair();
    add(&mut alice, "notes", 1);
    sync(&mut alice, &mut bob);
    let (opened, us) = (shown(&bob, "notes"), bob.replica().fingerprint);
    let later = Kind::File(FileVersion {
        mtime_ns: 5,
        ..file(1)
    });
    let touched = bob
        .edit(opened.key(), opened.dot, later.clone(), Holding::NotHeld)
        .unwrap();
    assert!(!touched.change.is_empty());
    assert_eq!(
        (touched.shown.kind.clone(), touched.shown.holders.clone()),
        (later.clone(), opened.holders)
    );
    let again = bob.edit(
        touched.shown.key(),
        touched.shown.dot,
        later.clone(),
        Holding::NotHeld,
    );
    assert!(again.unwrap().change.is_empty());
    let held = bob
        .edit(touched.shown.key(), touched.shown.dot, later, Holding::Held)
        .unwrap();
    assert_eq!((held.shown.dot, held.shown.holders.len()), (touched.shown.dot, 2));
    assert_eq!(edit(&mut bob, &held.shown, 2).holders, [us].into());
}

#[test]
fn a_new_mode_of_bytes_that_this_peer_lacks_is_dropped_if_its_base_is_gone() {
    let (mut alice, mut bob) = pair();
    add(&mut alice, "notes", 1);
    sync(&mut alice, &mut bob);
    let opened = shown(&bob, "notes");
    add(&mut alice, "notes", 2);
    sync(&mut alice, &mut bob);
    let private = Kind::File(FileVersion {
        mode: 0o600,
        ..file(1)
    });
    let edited = bob
        .edit(opened.key(), opened.dot, private.clone(), Holding::NotHeld)
        .unwrap();
    assert!(edited.change.is_empty());
    assert_eq!(edited.shown, shown(&bob, "notes"));
    drop(bob.remove(&path("notes")).unwrap());
    let gone = bob.edit(opened.key(), opened.dot, private, Holding::NotHeld);
    assert_eq!(gone, Err(CatalogError::NotShown { id: opened.id }));
}

#[test]
fn a_link_can_be_edited_and_has_no_holders() {
    let mut alice = catalog_of(1);
    add(&mut alice, "notes", 1);
    let opened = shown(&alice, "notes");
    let link = |target: &str| LinkVersion {
        target: LinkTarget::new(target).unwrap(),
        mtime_ns: 3,
    };
    let kind = Kind::Link(link("elsewhere"));
    let edited = alice
        .edit(opened.key(), opened.dot, kind.clone(), Holding::Held)
        .unwrap()
        .shown;
    assert_eq!((edited.kind, edited.holders.len()), (kind, 0));
    assert!(
        alice
            .add_link(&path("notes"), link("elsewhere"))
            .unwrap()
            .is_empty()
    );
    assert!(
        !alice
            .add_link(&path("notes"), link("nowhere"))
            .unwrap()
            .is_empty()
    );
}

#[test]
fn an_edit_refuses_folders_too_long_files_and_unknown_entries() {
    let mut alice = catalog_of(1);
    add(&mut alice, "a/b", 1);
    let opened = shown(&alice, "a/b");
    let mut try_edit =
        |key: EntryKey, kind: Kind| alice.edit(key, opened.dot, kind, Holding::Held).unwrap_err();
    let path = path("a/b");
    assert_eq!(
        try_edit(opened.key(), Kind::Folder),
        CatalogError::IsFolder { path }
    );
    let mut long = file(1);
    long.content.len = u64::MAX;
    assert!(matches!(
        try_edit(opened.key(), Kind::File(long)),
        CatalogError::BadFile { .. }
    ));
    let id = EntryId::from_bytes([9; 16]);
    assert_eq!(
        try_edit(EntryKey::of(id), Kind::File(file(2))),
        CatalogError::NotShown { id }
    );
}

#[test]
fn a_file_of_two_entries_is_located_by_both() {
    let (mut alice, mut bob) = pair();
    add(&mut alice, "folder/a", 1);
    add(&mut bob, "folder/a", 1);
    let leaves = [shown(&alice, "folder/a").key(), shown(&bob, "folder/a").key()];
    let folders = [shown(&alice, "folder").key(), shown(&bob, "folder").key()];
    sync(&mut alice, &mut bob);
    drop(alice.rename(&path("folder"), &path("deep/er")).unwrap());
    for key in leaves {
        assert_eq!(alice.locate(key), alice.lookup(&path("deep/er/a")));
    }
    for key in folders {
        assert_eq!(alice.locate(key), alice.lookup(&path("deep/er")));
    }
    drop(alice.remove(&path("deep")).unwrap());
    assert!(
        leaves
            .into_iter()
            .chain(folders)
            .all(|key| alice.locate(key).is_none())
    );
}

#[test]
fn a_copy_that_took_the_name_is_located_and_edited_as_the_file_of_that_name() {
    let (mut alice, mut bob) = pair();
    add(&mut alice, "a", 1);
    add(&mut bob, "a", 2);
    sync(&mut alice, &mut bob);
    let copy = alice.list().into_iter().find(|shown| shown.conflict).unwrap();
    drop(
        alice
            .rename_with(&path("a"), &path("b"), OnExisting::Refuse)
            .unwrap(),
    );
    let located = alice.locate(copy.key()).unwrap();
    assert_eq!((located.path, located.conflict), (path("a"), false));
    assert_eq!(edit(&mut alice, &copy, 3).path, path("a"));
    assert_eq!(tree(&alice), ["a 3", "b 2"]);
}
