//! What the memory store promises, on a clock that the test advances.

mod shares;

use super::*;
use crate::clock::ManualClock;

const TTL: Duration = Duration::from_secs(600);
const INSTANT: Duration = Duration::from_nanos(1);

fn limits() -> StoreLimits {
    StoreLimits {
        entry_count_max: 3,
        total_len_max: 300,
        source_entry_count_max: 30,
        source_len_max: 3000,
        entry_ttl: TTL,
    }
}

/// A source of its own for each `index`.
fn source(index: u8) -> Source {
    Source::of([192, 0, 2, index].into())
}

fn store(limits: StoreLimits) -> (MemoryStore, ManualClock) {
    let manual = ManualClock::new();
    (MemoryStore::new(limits, manual.clock()), manual)
}

/// A token of 30 characters.
fn token(name: &str) -> LookupToken {
    LookupToken::parse(&format!("{name:_>30}")).unwrap()
}

/// Registers, in place of what is there.
fn put(store: &MemoryStore, token: LookupToken, blob: String, source: Source) -> Result<(), StoreError> {
    store.put(Registration {
        token,
        blob,
        source,
        on_taken: OnTaken::Replace,
    })
}

#[test]
fn a_registration_that_must_be_the_first_is_refused_until_the_other_one_expires() {
    let (store, manual) = store(limits());
    put(&store, token("alice"), "old".into(), source(1)).unwrap();
    let first = || Registration {
        token: token("alice"),
        blob: "new".into(),
        source: source(1),
        on_taken: OnTaken::Refuse,
    };
    manual.advance(TTL - INSTANT);
    assert_eq!(store.put(first()), Err(StoreError::Taken));
    assert_eq!(store.live_blob(&token("alice")).as_deref(), Some("old"));
    manual.advance(INSTANT);
    store.put(first()).unwrap();
    assert_eq!(store.live_blob(&token("alice")).as_deref(), Some("new"));
}

#[test]
fn an_entry_lives_until_its_time_to_live_and_not_longer() {
    let (store, manual) = store(limits());
    put(&store, token("alice"), "sealed".into(), source(1)).unwrap();
    manual.advance(TTL - INSTANT);
    assert_eq!(store.live_blob(&token("alice")).as_deref(), Some("sealed"));
    manual.advance(INSTANT);
    assert_eq!(store.live_blob(&token("alice")), None);
}

#[test]
fn registering_again_refreshes_and_replaces() {
    let (store, manual) = store(limits());
    put(&store, token("alice"), "old".into(), source(1)).unwrap();
    manual.advance(TTL - INSTANT);
    put(&store, token("alice"), "new".into(), source(1)).unwrap();
    manual.advance(TTL - INSTANT);
    assert_eq!(store.live_blob(&token("alice")).as_deref(), Some("new"));
    assert_eq!(store.entries().len(), 1);
}

#[test]
fn tokens_do_not_see_each_others_entries() {
    let (store, _manual) = store(limits());
    put(&store, token("alice"), "of alice".into(), source(1)).unwrap();
    put(&store, token("bob"), "of bob".into(), source(1)).unwrap();
    assert_eq!(store.live_blob(&token("alice")).as_deref(), Some("of alice"));
    assert_eq!(store.live_blob(&token("bob")).as_deref(), Some("of bob"));
    assert_eq!(store.live_blob(&token("carol")), None);
}

#[test]
fn one_entry_past_the_limit_is_refused() {
    let (store, _manual) = store(limits());
    for name in ["alice", "bob", "carol"] {
        put(&store, token(name), "x".into(), source(1)).unwrap();
    }
    let full = StoreError::EntriesFull { limit: 3 };
    assert_eq!(put(&store, token("mallory"), "x".into(), source(2)), Err(full));
    put(
        &store,
        token("alice"),
        "replacing takes no place".into(),
        source(1),
    )
    .unwrap();
}

#[test]
fn one_byte_past_the_limit_is_refused() {
    let (store, _manual) = store(limits());
    put(&store, token("alice"), "x".repeat(270), source(1)).unwrap();
    assert_eq!(store.total_len(), 300);
    let full = StoreError::BytesFull { len: 301, limit: 300 };
    assert_eq!(put(&store, token("alice"), "x".repeat(271), source(2)), Err(full));
    assert_eq!(store.live_blob(&token("alice")).unwrap().len(), 270);
    // The replaced entry makes room.
    put(&store, token("alice"), "y".repeat(270), source(1)).unwrap();
}

#[test]
fn expired_entries_give_up_their_place_to_a_new_one() {
    let (store, manual) = store(limits());
    for name in ["alice", "bob", "carol"] {
        put(&store, token(name), "x".into(), source(1)).unwrap();
    }
    manual.advance(TTL);
    put(&store, token("mallory"), "x".into(), source(1)).unwrap();
    assert_eq!(store.entries().len(), 1);
}

#[test]
fn withdrawing_removes_once() {
    let (store, manual) = store(limits());
    put(&store, token("alice"), "x".into(), source(1)).unwrap();
    assert_eq!(store.take(&token("alice")), Withdrawal::Removed);
    assert_eq!(store.take(&token("alice")), Withdrawal::Unknown);
    assert_eq!(store.total_len(), 0);
    put(&store, token("alice"), "x".into(), source(1)).unwrap();
    manual.advance(TTL);
    assert_eq!(store.take(&token("alice")), Withdrawal::Unknown);
}

#[tokio::test]
async fn a_sweep_removes_all_that_expired_and_nothing_else() {
    let entry_count_max = 2 * SWEEP_BATCH_COUNT + 1;
    let (store, manual) = store(StoreLimits {
        entry_count_max,
        total_len_max: 1 << 20,
        source_entry_count_max: entry_count_max,
        source_len_max: 1 << 20,
        entry_ttl: TTL,
    });
    for index in 1..entry_count_max {
        put(&store, token(&format!("old-{index}")), "x".into(), source(1)).unwrap();
    }
    manual.advance(INSTANT);
    put(&store, token("young"), "kept".into(), source(1)).unwrap();
    manual.advance(TTL - INSTANT);
    store.sweep().await.unwrap();
    let [kept] = store.entries().try_into().unwrap();
    assert_eq!((kept.token, kept.blob), (token("young"), "kept".into()));
}

#[test]
fn refreshing_an_entry_for_ever_holds_no_more_than_one() {
    let (store, manual) = store(limits());
    for _ in 0..10_000 {
        put(&store, token("alice"), "x".into(), source(1)).unwrap();
        manual.advance(INSTANT);
    }
    let shelf = store.shelf();
    assert_eq!(
        (shelf.entries.len(), shelf.expiries.len(), shelf.held.len),
        (1, 1, 31)
    );
}

#[test]
fn debug_shows_how_much_is_held_and_never_what() {
    let (store, _manual) = store(limits());
    put(&store, token("alice"), "sealed".into(), source(1)).unwrap();
    let shown = format!("{store:?} {:?}", store.entries());
    assert!(shown.contains("entry_count: 1"), "{shown}");
    assert!(
        !shown.contains("alice") && !shown.contains("\"sealed\""),
        "{shown}"
    );
}
