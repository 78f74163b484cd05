//! What one source may hold.

use super::*;

/// A large store in which each source has a share of two entries and 100 bytes.
fn shared() -> (MemoryStore, ManualClock) {
    store(StoreLimits {
        entry_count_max: 100,
        total_len_max: 100_000,
        source_entry_count_max: 2,
        source_len_max: 100,
        entry_ttl: TTL,
    })
}

const ENTRIES_FULL: StoreError = StoreError::SourceEntriesFull { limit: 2 };

#[test]
fn one_entry_past_a_share_is_refused_while_other_sources_have_theirs() {
    let (store, _manual) = shared();
    put(&store, token("a"), "x".into(), source(1)).unwrap();
    put(&store, token("b"), "x".into(), source(1)).unwrap();
    assert_eq!(put(&store, token("c"), "x".into(), source(1)), Err(ENTRIES_FULL));
    put(&store, token("c"), "x".into(), source(2)).unwrap();
}

#[test]
fn one_byte_past_a_share_is_refused() {
    let (store, _manual) = shared();
    put(&store, token("a"), "x".repeat(70), source(1)).unwrap();
    let full = StoreError::SourceBytesFull { len: 101, limit: 100 };
    assert_eq!(put(&store, token("a"), "x".repeat(71), source(1)), Err(full));
    put(&store, token("a"), "y".repeat(70), source(1)).unwrap();
    let full = StoreError::SourceBytesFull { len: 31, limit: 100 };
    assert_eq!(put(&store, token("b"), "x".into(), source(1)), Err(full));
}

#[test]
fn replacing_an_own_entry_does_not_count_twice() {
    let (store, _manual) = shared();
    put(&store, token("a"), "x".into(), source(1)).unwrap();
    put(&store, token("b"), "x".into(), source(1)).unwrap();
    for _ in 0..10 {
        put(&store, token("a"), "again".into(), source(1)).unwrap();
    }
    assert_eq!(store.shelf().share_of(source(1)).entry_count, 2);
}

#[test]
fn an_entry_that_another_source_replaces_counts_only_for_that_source() {
    let (store, _manual) = shared();
    put(&store, token("a"), "x".into(), source(1)).unwrap();
    put(&store, token("a"), "moved".into(), source(2)).unwrap();
    let shelf = store.shelf();
    assert_eq!(shelf.share_of(source(1)), Held::default());
    assert_eq!((shelf.share_of(source(2)), shelf.shares.len()), (shelf.held, 1));
}

#[test]
fn a_share_is_given_back_by_withdrawal_and_by_expiry() {
    let (store, manual) = shared();
    for name in ["a", "b"] {
        put(&store, token(name), "x".into(), source(1)).unwrap();
    }
    assert_eq!(store.take(&token("a")), Withdrawal::Removed);
    put(&store, token("c"), "x".into(), source(1)).unwrap();
    assert_eq!(put(&store, token("d"), "x".into(), source(1)), Err(ENTRIES_FULL));
    manual.advance(TTL);
    put(&store, token("d"), "x".into(), source(1)).unwrap();
    assert_eq!(store.shelf().share_of(source(1)).entry_count, 1);
}

#[test]
fn there_is_room_until_the_longest_entry_no_longer_fits() {
    let longest = TOKEN_LEN_MAX + BLOB_LEN_MAX;
    let (store, manual) = store(StoreLimits {
        entry_count_max: 2,
        total_len_max: 2 * longest,
        source_entry_count_max: 2,
        source_len_max: 2 * longest,
        entry_ttl: TTL,
    });
    let alice = token("alice");
    put(&store, alice.clone(), "x".repeat(longest - 30), source(1)).unwrap();
    assert_eq!(store.has_room(), Ok(()));
    put(&store, alice.clone(), "x".repeat(longest - 29), source(1)).unwrap();
    assert!(matches!(store.has_room(), Err(StoreError::BytesFull { .. })));
    put(&store, alice, "x".into(), source(1)).unwrap();
    put(&store, token("bob"), "x".into(), source(1)).unwrap();
    assert_eq!(store.has_room(), Err(StoreError::EntriesFull { limit: 2 }));
    manual.advance(TTL);
    assert_eq!(store.has_room(), Ok(()));
}
