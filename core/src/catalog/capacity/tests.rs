//! What a catalog accepts when there is little capacity, and what it counts.

use super::Capacity;
use crate::catalog::tests::{add, catalog_of, file, pair, path, send, sync, tree};
use crate::catalog::{Catalog, CatalogError, OnExisting};
use crate::identity::Fingerprint;
use crate::limits::{CATALOG_ENTRIES_MAX, CATALOG_LEN_MAX, ENTRY_LEN, HOLDER_LEN, REPLICA_LEN, VERSION_LEN};

/// How many bytes `catalog` counts for after `change`.
fn len_after(catalog: &Catalog, change: impl FnOnce(&mut Catalog)) -> u64 {
    let mut changed = catalog.clone();
    change(&mut changed);
    changed.len
}

fn is_too_large<T>(outcome: &Result<T, CatalogError>) -> bool {
    outcome
        .as_ref()
        .is_err_and(|error| matches!(error, CatalogError::TooLarge { .. }) && error.is_full())
}

#[test]
fn an_entry_counts_for_its_parts_and_equal_catalogs_for_the_same() {
    let (mut alice, mut bob) = pair();
    add(&mut alice, "name", 1);
    let one = ENTRY_LEN + "name".len() + VERSION_LEN + HOLDER_LEN + REPLICA_LEN;
    assert_eq!(alice.len, one as u64);
    add(&mut bob, "name", 2);
    sync(&mut alice, &mut bob);
    assert_eq!((alice.len, bob.len), (2 * one as u64, 2 * one as u64));
    drop(alice.remove(&path("name")).unwrap());
    sync(&mut alice, &mut bob);
    assert_eq!(alice.len, bob.len);
    assert_eq!(alice.len, (2 * one - VERSION_LEN - HOLDER_LEN) as u64);
}

#[test]
fn a_million_removed_entries_fit() {
    let mut alice = catalog_of(1);
    add(&mut alice, "a name of average length.txt", 1);
    drop(alice.remove(&path("a name of average length.txt")).unwrap());
    assert!(alice.len * CATALOG_ENTRIES_MAX as u64 <= CATALOG_LEN_MAX);
}

#[test]
fn a_catalog_takes_its_last_entry_and_not_one_more() {
    let catalog = catalog_of(1);
    let mut capacity = Capacity::of(&catalog);
    capacity.entry_count = CATALOG_ENTRIES_MAX;
    assert!(capacity.check().is_ok());
    capacity.entry_count += 1;
    assert!(matches!(capacity.check(), Err(CatalogError::Full)));
}

#[test]
fn a_local_change_takes_the_last_byte_and_not_one_more() {
    let mut alice = catalog_of(1);
    add(&mut alice, "a", 1);
    let len = len_after(&alice, |alice| add(alice, "b", 2));
    let mut full = alice.clone().with_len_max(len);
    add(&mut full, "b", 2);
    let mut tight = alice.with_len_max(len - 1);
    let before = tight.digest();
    let refused = tight.add_file(&path("b"), file(2));
    assert!(is_too_large(&refused), "{refused:?}");
    assert_eq!(tight.digest(), before, "a refused change changes nothing");
}

#[test]
fn a_full_catalog_accepts_a_change_that_takes_no_more_than_before() {
    let mut alice = catalog_of(1);
    add(&mut alice, "a", 1);
    add(&mut alice, "b", 2);
    let mut full = alice.with_len_max(0);
    assert!(is_too_large(&full.add_folder(&path("c"))));
    assert!(is_too_large(&full.rename_with(
        &path("b"),
        &path("longer"),
        OnExisting::Refuse
    )));
    drop(full.add_file(&path("a"), file(3)).unwrap());
    drop(full.rename(&path("b"), &path("c")).unwrap());
    drop(full.remove(&path("c")).unwrap());
    assert_eq!(tree(&full), ["a 3"]);
}

#[test]
fn a_merge_takes_the_last_byte_and_is_refused_whole_for_one_more() {
    let (mut alice, mut bob) = pair();
    add(&mut alice, "a", 1);
    add(&mut alice, "b", 2);
    add(&mut bob, "c", 3);
    let len = len_after(&bob, |bob| drop(send(&alice, bob)));
    let mut full = bob.clone().with_len_max(len);
    send(&alice, &mut full);
    assert_eq!(tree(&full), ["a 1", "b 2", "c 3"]);
    let mut tight = bob.with_len_max(len - 1);
    let refused = tight.merge(alice.all_states());
    assert!(is_too_large(&refused), "{refused:?}");
    assert!(is_too_large(&tight.checked(alice.all_states())));
    assert_eq!(tree(&tight), ["c 3"], "nothing of it was taken in");
}

#[test]
fn a_full_catalog_merges_removals_of_the_other_side() {
    let (mut alice, mut bob) = pair();
    add(&mut alice, "a", 1);
    add(&mut alice, "b", 2);
    sync(&mut alice, &mut bob);
    drop(alice.remove(&path("a")).unwrap());
    let mut full = bob.with_len_max(0);
    send(&alice, &mut full);
    assert_eq!(tree(&full), ["b 2"]);
}

#[test]
fn a_piece_is_refused_with_the_rest_if_a_local_change_took_its_room() {
    let (mut alice, mut bob) = pair();
    add(&mut alice, "a", 1);
    let len = len_after(&bob, |bob| drop(send(&alice, bob)));
    bob = bob.with_len_max(len);
    let mut batch = bob.checked(alice.all_states()).unwrap();
    add(&mut bob, "b", 2);
    assert!(is_too_large(&bob.merge_piece(&mut batch)));
    assert!(batch.is_empty());
    assert_eq!(tree(&bob), ["b 2"]);
}

#[test]
fn a_holder_is_not_noted_if_there_is_no_room() {
    let mut alice = catalog_of(1);
    add(&mut alice, "a", 1);
    let shown = alice.lookup(&path("a")).unwrap();
    let carol = Fingerprint::from_bytes([3; 20]);
    let mut full = alice.clone().with_len_max(0);
    assert!(full.mark_held(shown.id, shown.dot, carol).is_empty());
    assert!(!alice.mark_held(shown.id, shown.dot, carol).is_empty());
}
