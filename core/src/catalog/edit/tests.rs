//! Local changes: what they refuse, and what they do not touch.

use super::*;
use crate::catalog::tests::{add, catalog_of, file, pair, path, sync, tree};

fn names(error: &CatalogError, path: &str) -> bool {
    error.to_string().contains(&format!("`{path}`")) && error.to_string().contains("hint: ")
}

#[test]
fn the_same_content_again_is_no_change_and_another_one_replaces_it() {
    let mut alice = catalog_of(1);
    add(&mut alice, "a", 1);
    let later = FileVersion {
        mtime_ns: 5,
        ..file(1)
    };
    assert!(alice.add_file(&path("a"), later).unwrap().is_empty());
    add(&mut alice, "a", 2);
    assert_eq!(tree(&alice), ["a 2"]);
}

#[test]
fn an_edit_that_keeps_the_length_is_an_edit_and_reaches_the_other_side() {
    let (mut alice, mut bob) = pair();
    add(&mut alice, "a", 1);
    sync(&mut alice, &mut bob);
    let mut edited = file(1);
    edited.content.hash = [9; 32];
    assert_eq!(alice.add_file(&path("a"), edited).unwrap().touched.len(), 1);
    sync(&mut alice, &mut bob);
    assert_eq!(bob.lookup(&path("a")).unwrap().file(), Some(&edited));
}

#[test]
fn a_change_of_mode_keeps_the_holders_and_drops_special_bits() {
    let (mut alice, mut bob) = pair();
    add(&mut alice, "a", 1);
    sync(&mut alice, &mut bob);
    let changed = bob
        .add_file(
            &path("a"),
            FileVersion {
                mode: 0o104_755,
                ..file(1)
            },
        )
        .unwrap();
    assert_eq!(changed.touched.len(), 1);
    let shown = bob.lookup(&path("a")).unwrap();
    assert_eq!(shown.file().unwrap().mode, 0o755);
    assert_eq!(shown.holders.len(), 2);
}

#[test]
fn sharing_what_the_other_side_shares_makes_us_a_holder() {
    let (mut alice, mut bob) = pair();
    add(&mut alice, "a", 1);
    sync(&mut alice, &mut bob);
    add(&mut bob, "a", 1);
    sync(&mut alice, &mut bob);
    assert_eq!(alice.lookup(&path("a")).unwrap().holders.len(), 2);
}

#[test]
fn a_file_and_a_folder_refuse_to_replace_each_other() {
    let mut alice = catalog_of(1);
    add(&mut alice, "a/b", 1);
    let error = alice.add_file(&path("a"), file(2)).unwrap_err();
    assert_eq!(error, CatalogError::IsFolder { path: path("a") });
    assert!(names(&error, "a"));
    let error = alice.add_file(&path("a/b/c/d"), file(2)).unwrap_err();
    assert_eq!(error, CatalogError::NotFolder { path: path("a/b") });
    let error = alice.add_folder(&path("a/b")).unwrap_err();
    assert_eq!(error, CatalogError::NotFolder { path: path("a/b") });
}

#[test]
fn a_path_that_shows_nothing_cannot_be_removed_or_renamed() {
    let mut alice = catalog_of(1);
    let error = alice.remove(&path("a")).unwrap_err();
    assert_eq!(error, CatalogError::Missing { path: path("a") });
    assert!(names(&error, "a"));
    assert_eq!(alice.rename(&path("a"), &path("b")), Err(error));
}

#[test]
fn a_rename_refuses_a_taken_target_and_the_folder_itself() {
    let mut alice = catalog_of(1);
    add(&mut alice, "a/x", 1);
    add(&mut alice, "b", 2);
    assert_eq!(
        alice.rename(&path("b"), &path("a/x")),
        Err(CatalogError::Exists { path: path("a/x") })
    );
    let into = CatalogError::IntoItself {
        from: path("a"),
        to: path("a/b/c"),
    };
    assert_eq!(alice.rename(&path("a"), &path("a/b/c")), Err(into));
    assert_eq!(
        alice.rename(&path("a"), &path("b/c")),
        Err(CatalogError::NotFolder { path: path("b") })
    );
    assert!(alice.rename(&path("a"), &path("a")).unwrap().is_empty());
    assert_eq!(tree(&alice), ["a/", "a/x 1", "b 2"]);
}

#[test]
fn a_rename_of_a_folder_touches_one_entry_and_keeps_contents_and_ids() {
    let mut alice = catalog_of(1);
    for seed in 0..20 {
        add(&mut alice, &format!("a/{seed}"), seed);
    }
    let before = alice.lookup(&path("a/7")).unwrap();
    assert_eq!(alice.rename(&path("a"), &path("b")).unwrap().touched.len(), 1);
    let after = alice.lookup(&path("b/7")).unwrap();
    assert_eq!(
        (after.id, after.dot, after.kind),
        (before.id, before.dot, before.kind)
    );
}

#[test]
fn a_rename_that_would_make_a_path_too_deep_is_refused() {
    let mut alice = catalog_of(1);
    let deep = vec!["x"; 40].join("/");
    add(&mut alice, &deep, 1);
    add(&mut alice, &deep.replace('x', "y"), 1);
    let target = path(&format!("{}/z", vec!["y"; 39].join("/")));
    let before = alice.digest();
    assert!(matches!(
        alice.rename(&path("x"), &target),
        Err(CatalogError::Path { .. })
    ));
    assert_eq!(alice.digest(), before);
}

#[test]
fn replacing_by_remove_and_add_reuses_the_entry() {
    let mut alice = catalog_of(1);
    for seed in 1..9 {
        add(&mut alice, "folder/a", seed);
        drop(alice.remove(&path("folder")).unwrap());
    }
    assert_eq!(alice.entry_count(), 2);
}

#[test]
fn an_edit_leaves_the_conflict_copy_alone_and_a_removal_makes_room_for_it() {
    let (mut alice, mut bob) = pair();
    add(&mut alice, "a", 1);
    add(&mut bob, "a", 2);
    sync(&mut alice, &mut bob);
    add(&mut alice, "a", 3);
    assert_eq!(alice.list().len(), 2);
    drop(alice.remove(&path("a")).unwrap());
    sync(&mut alice, &mut bob);
    assert_eq!(tree(&bob), ["a 1"]);
}

#[test]
fn a_conflict_copy_can_be_renamed_edited_and_removed_like_any_file() {
    let (mut alice, mut bob) = pair();
    add(&mut alice, "a", 1);
    sync(&mut alice, &mut bob);
    add(&mut alice, "a", 2);
    add(&mut bob, "a", 3);
    sync(&mut alice, &mut bob);
    let copy = alice.list().into_iter().find(|shown| shown.conflict).unwrap();
    let mut other = alice.clone();
    drop(alice.rename(&copy.path, &path("b")).unwrap());
    sync(&mut alice, &mut bob);
    assert_eq!(tree(&bob), ["a 3", "b 2"]);
    drop(other.add_file(&copy.path, file(4)).unwrap());
    assert_eq!(
        tree(&other),
        [format!("{} 4", copy.path), "a 3".into()]
            .map(String::from)
            .into_iter()
            .rev()
            .collect::<Vec<_>>()
    );
    drop(other.remove(&copy.path).unwrap());
    assert_eq!(tree(&other), ["a 3"]);
}

#[test]
fn a_holder_is_noted_only_for_the_version_it_pulled() {
    let (mut alice, mut bob) = pair();
    add(&mut alice, "a", 1);
    sync(&mut alice, &mut bob);
    let pulled = bob.lookup(&path("a")).unwrap();
    let us = bob.replica().fingerprint;
    assert_eq!(bob.mark_held(pulled.id, pulled.dot, us).touched, [pulled.id]);
    assert!(bob.mark_held(pulled.id, pulled.dot, us).is_empty());
    add(&mut alice, "a", 2);
    sync(&mut alice, &mut bob);
    assert!(bob.mark_held(pulled.id, pulled.dot, us).is_empty());
    assert!(!bob.lookup(&path("a")).unwrap().holders.contains(&us));
}

#[test]
fn a_file_at_the_length_limit_is_shared_and_one_byte_more_is_refused() {
    let mut alice = catalog_of(1);
    let mut large = file(1);
    large.content.len = crate::limits::FILE_LEN_MAX;
    drop(alice.add_file(&path("a"), large).unwrap());
    large.content.len += 1;
    assert!(matches!(
        alice.add_file(&path("b"), large),
        Err(CatalogError::BadFile { .. })
    ));
}

#[test]
fn remove_leaf_removes_only_leaves_and_remove_empty_folder_only_empty_folders() {
    let mut alice = catalog_of(1);
    add(&mut alice, "a/b", 1);
    let at = path("a");
    assert_eq!(
        alice.remove_leaf(&at),
        Err(CatalogError::IsFolder { path: at.clone() })
    );
    let full = alice.remove_empty_folder(&at).unwrap_err();
    assert!(names(&full, "a") && full == CatalogError::NotEmpty { path: at.clone() });
    let leaf = path("a/b");
    assert_eq!(
        alice.remove_empty_folder(&leaf),
        Err(CatalogError::NotFolder { path: leaf.clone() })
    );
    assert_eq!(
        (alice.is_empty_folder(&at), alice.is_empty_folder(&leaf)),
        (Some(false), None)
    );
    drop(alice.remove_leaf(&leaf).unwrap());
    assert_eq!(alice.is_empty_folder(&at), Some(true));
    drop(alice.remove_empty_folder(&at).unwrap());
    assert_eq!(alice.is_empty_folder(&at), None);
    assert_eq!(
        alice.remove_leaf(&leaf),
        Err(CatalogError::Missing { path: leaf })
    );
    assert_eq!(
        alice.remove_empty_folder(&at),
        Err(CatalogError::Missing { path: at })
    );
}
