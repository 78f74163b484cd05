//! Which states are refused, and what a merge reports.

use super::*;
use crate::catalog::tests::{add, catalog_of, pair, path, send, sync, tree};
use crate::catalog::{Dot, ReplicaId, Version};
use crate::identity::Fingerprint;
use crate::limits::{
    CATALOG_COUNTER_LEAD_MAX, ENTRY_REPLICAS_MAX, ENTRY_VERSIONS_MAX, FILE_LEN_MAX, SHARED_MODE_MAX,
    VERSION_HOLDERS_MAX,
};

fn dot(counter: u64, peer: u16) -> Dot {
    let fingerprint = Fingerprint::from_bytes(std::array::from_fn(|index| peer.to_be_bytes()[index % 2]));
    Dot {
        counter,
        replica: ReplicaId {
            fingerprint,
            incarnation: 1,
        },
    }
}

fn some_state() -> (EntryId, EntryState) {
    let mut alice = catalog_of(1);
    add(&mut alice, "a", 1);
    alice.all_states().remove(0)
}

/// The fault that a catalog finds in a state that `spoil` has changed.
fn verdict(spoil: impl FnOnce(&mut EntryId, &mut EntryState)) -> Option<StateFault> {
    let mut bob = catalog_of(2);
    add(&mut bob, "b", 1);
    let (good, (mut id, mut state)) = (some_state(), some_state());
    spoil(&mut id, &mut state);
    let before = bob.digest();
    match bob.merge(vec![good, (id, state)]) {
        Err(CatalogError::BadState { fault, .. }) => {
            assert_eq!(bob.digest(), before, "a refused batch changes nothing");
            Some(fault)
        }
        other => other.map(|_| None).unwrap(),
    }
}

#[test]
fn invalid_states_are_refused_with_their_whole_batch() {
    assert_eq!(verdict(|_, _| {}), None);
    assert_eq!(verdict(|id, _| *id = EntryId::ROOT), Some(StateFault::Root));
    assert_eq!(
        verdict(|id, state| state.place.parent = *id),
        Some(StateFault::OwnParent)
    );
    assert_eq!(
        verdict(|_, state| state.place.stamp = dot(1, 9)),
        Some(StateFault::UnseenDot)
    );
    assert_eq!(
        verdict(|_, state| state.place.stamp.counter = 0),
        Some(StateFault::UnseenDot)
    );
    assert_eq!(
        verdict(|_, state| state.seen = crate::catalog::Seen::default()),
        Some(StateFault::UnseenDot)
    );
}

#[test]
fn a_state_may_have_the_greatest_mode_and_length_and_not_one_more() {
    let verdict_on = |mode, len| {
        let mut file = crate::catalog::FileVersion {
            mode,
            ..crate::catalog::tests::file(1)
        };
        file.content.len = len;
        let version = Version {
            kind: crate::catalog::Kind::File(file),
            holders: [].into(),
        };
        verdict(|_, state| state.add(dot(1, 3), version))
    };
    assert_eq!(verdict_on(SHARED_MODE_MAX, FILE_LEN_MAX), None);
    let mode = SHARED_MODE_MAX + 1;
    assert_eq!(verdict_on(mode, 1), Some(StateFault::BadMode { mode }));
    let len = FILE_LEN_MAX + 1;
    assert_eq!(verdict_on(0, len), Some(StateFault::FileTooLong { len }));
}

/// `alice` and an entry of hers on which another peer has counted to `counter`.
fn ahead(counter: u64) -> (Catalog, EntryId) {
    let mut alice = catalog_of(1);
    add(&mut alice, "report", 1);
    let (id, mut state) = alice.all_states().remove(0);
    state.seen.note(dot(counter, 3));
    alice.merge(vec![(id, state)]).unwrap();
    (alice, id)
}

#[test]
fn a_change_follows_a_counter_up_to_the_lead_and_no_further() {
    // The merge follows by the lead, the change by another one. alice has counted to 1 before.
    let limit = 1 + 2 * CATALOG_COUNTER_LEAD_MAX;
    for (counter, follows) in [(limit, true), (limit + 1, false), (u64::MAX, false)] {
        let (mut alice, id) = ahead(counter);
        add(&mut alice, "report", 2);
        let shown = alice.lookup(&path("report")).unwrap();
        assert_eq!(shown.id == id, follows, "{counter}");
        assert_eq!(shown.dot.counter > counter, follows, "{counter}");
        let mut bob = catalog_of(2);
        sync(&mut alice, &mut bob);
        assert_eq!(tree(&bob), ["report 2"]);
    }
}

#[test]
fn one_merge_or_change_raises_our_counter_by_at_most_the_lead() {
    let (mut alice, _) = ahead(u64::MAX);
    assert_eq!(alice.counter, 1 + CATALOG_COUNTER_LEAD_MAX);
    add(&mut alice, "report", 2);
    assert!(alice.counter <= 10 + 2 * CATALOG_COUNTER_LEAD_MAX);
}

#[test]
fn a_fresh_peer_takes_and_changes_what_a_counted_up_pair_shares() {
    let (mut alice, _) = ahead(u64::MAX);
    for seed in 2..6 {
        let (id, mut state) = alice.all_states().remove(0);
        state
            .seen
            .note(dot(u64::from(seed) * CATALOG_COUNTER_LEAD_MAX, 3));
        alice.merge(vec![(id, state)]).unwrap();
        add(&mut alice, "report", seed);
    }
    drop(alice.rename(&path("report"), &path("final/report")).unwrap());
    let mut carol = catalog_of(7);
    carol.merge(alice.all_states()).unwrap();
    assert_eq!(tree(&carol), tree(&alice));
    add(&mut carol, "final/report", 9);
    drop(carol.rename(&path("final/report"), &path("report")).unwrap());
    drop(carol.remove(&path("final")).unwrap());
    sync(&mut alice, &mut carol);
    assert_eq!(tree(&carol), ["report 9"]);
    assert_eq!(tree(&alice), ["report 9"]);
}

#[test]
fn a_folder_on_which_another_peer_has_counted_far_ahead_can_be_renamed() {
    let mut alice = catalog_of(1);
    add(&mut alice, "folder/far/report", 1);
    add(&mut alice, "folder/near/notes", 2);
    drop(alice.add_folder(&path("folder/empty")).unwrap());
    drop(alice.remove(&path("folder/near/notes")).unwrap());
    add(&mut alice, "folder/near/other", 3);
    let mut states = alice.all_states();
    states.retain(|(_, state)| state.place.name.as_str() != "near");
    for (_, state) in &mut states {
        let stamp = dot(u64::MAX, 3);
        let place = state.place.clone();
        state.put(crate::catalog::Place { stamp, ..place });
    }
    alice.merge(states).unwrap();
    let near = alice.lookup(&path("folder/near")).unwrap().id;
    drop(alice.rename(&path("folder"), &path("other")).unwrap());
    let moved = [
        "other/",
        "other/empty/",
        "other/far/",
        "other/far/report 1",
        "other/near/",
        "other/near/other 3",
    ];
    assert_eq!(tree(&alice), moved);
    assert_eq!(alice.lookup(&path("other/near")).unwrap().id, near);
    let mut carol = catalog_of(7);
    sync(&mut alice, &mut carol);
    drop(carol.rename(&path("other"), &path("folder")).unwrap());
    sync(&mut alice, &mut carol);
    assert_eq!(tree(&alice).len(), moved.len());
    assert_eq!(tree(&alice)[3], "folder/far/report 1");
}

#[test]
fn an_entry_is_accepted_at_its_limits_and_not_one_past_them() {
    let folder = || Version {
        kind: crate::catalog::Kind::Folder,
        holders: [].into(),
    };
    let versions = |count: usize| {
        verdict(|_, state| {
            state.versions.clear();
            (1_u16..)
                .take(count)
                .for_each(|peer| state.add(dot(1, peer), folder()));
        })
    };
    assert_eq!(versions(ENTRY_VERSIONS_MAX), None);
    let count = ENTRY_VERSIONS_MAX + 1;
    assert_eq!(versions(count), Some(StateFault::TooManyVersions { count }));
    let replicas = |count: usize| {
        verdict(|_, state| {
            (2..)
                .take(count - 1)
                .for_each(|peer| state.seen.note(dot(1, peer)))
        })
    };
    assert_eq!(replicas(ENTRY_REPLICAS_MAX), None);
    let count = ENTRY_REPLICAS_MAX + 1;
    assert_eq!(replicas(count), Some(StateFault::TooManyReplicas { count }));
}

#[test]
fn a_version_is_accepted_with_holders_up_to_the_limit_and_not_one_past_it() {
    let holders = |count: usize| {
        let crowd = (2..).take(count).map(|peer| dot(1, peer).replica.fingerprint);
        verdict(|_, state| {
            state
                .versions
                .values_mut()
                .for_each(|version| version.holders = crowd.clone().collect())
        })
    };
    assert_eq!(holders(VERSION_HOLDERS_MAX), None);
    let count = VERSION_HOLDERS_MAX + 1;
    assert_eq!(holders(count), Some(StateFault::TooManyHolders { count }));
}

#[test]
fn a_merge_of_two_states_into_one_beyond_the_limit_is_refused() {
    let (id, state) = some_state();
    let crowd = |start: u16| {
        let mut state = state.clone();
        (start..)
            .take(ENTRY_REPLICAS_MAX - 1)
            .for_each(|peer| state.seen.note(dot(1, peer)));
        (id, state)
    };
    let mut bob = catalog_of(2);
    bob.merge(vec![crowd(2000)]).unwrap();
    let before = bob.digest();
    assert!(matches!(
        bob.merge(vec![crowd(6000)]),
        Err(CatalogError::EntryFull { .. })
    ));
    assert_eq!(bob.digest(), before);
}

#[test]
fn a_merge_reports_what_appeared_changed_and_went() {
    let (mut alice, mut bob) = pair();
    add(&mut alice, "folder/a", 1);
    let added = |at: &str| CatalogEvent::Added { path: path(at) };
    assert_eq!(send(&alice, &mut bob), [added("folder"), added("folder/a")]);
    add(&mut alice, "folder/a", 2);
    assert_eq!(
        send(&alice, &mut bob),
        [CatalogEvent::Changed {
            path: path("folder/a")
        }]
    );
    assert_eq!(send(&alice, &mut bob), []);
    drop(alice.remove(&path("folder")).unwrap());
    let removed = |at: &str| CatalogEvent::Removed { path: path(at) };
    assert_eq!(send(&alice, &mut bob), [removed("folder/a"), removed("folder")]);
}

#[test]
fn a_renamed_folder_is_one_event_and_an_edit_in_it_another() {
    let (mut alice, mut bob) = pair();
    add(&mut alice, "old/a", 1);
    add(&mut alice, "old/b", 2);
    sync(&mut alice, &mut bob);
    drop(alice.rename(&path("old"), &path("new")).unwrap());
    add(&mut alice, "new/a", 3);
    let renamed = CatalogEvent::Renamed {
        from: path("old"),
        to: path("new"),
    };
    assert_eq!(
        send(&alice, &mut bob),
        [renamed, CatalogEvent::Changed { path: path("new/a") }]
    );
}

#[test]
fn a_conflict_is_reported_with_the_name_of_the_copy() {
    let (mut alice, mut bob) = pair();
    add(&mut alice, "a", 1);
    add(&mut bob, "a", 2);
    let events = send(&alice, &mut bob);
    let copy = bob.list().into_iter().find(|shown| shown.conflict).unwrap().path;
    assert_eq!(
        events,
        [CatalogEvent::Conflict {
            path: path("a"),
            copy
        }]
    );
}

#[test]
fn a_fresh_peer_renames_a_folder_of_a_peer_that_was_counted_up() {
    let mut alice = catalog_of(1);
    add(&mut alice, "seed", 1);
    for turn in 1..=16 {
        let (id, mut state) = alice.all_states().remove(0);
        state.seen.note(dot(turn * 4 * CATALOG_COUNTER_LEAD_MAX, 3));
        alice.merge(vec![(id, state)]).unwrap();
    }
    add(&mut alice, "folder/a", 2);
    let mut carol = catalog_of(7);
    sync(&mut alice, &mut carol);
    drop(carol.rename(&path("folder"), &path("other")).unwrap());
    sync(&mut alice, &mut carol);
    assert_eq!(tree(&alice), ["other/", "other/a 2", "seed 1"]);
}

/// alice's file after mallory has noted so many further replicas and added so many versions.
fn filled(replicas: u64, versions: u64) -> Catalog {
    let mut alice = catalog_of(1);
    add(&mut alice, "report", 1);
    let (id, mut state) = alice.all_states().remove(0);
    let theirs = |counter, incarnation| {
        let mut dot = dot(counter, 3);
        dot.replica.incarnation = incarnation;
        dot
    };
    for incarnation in 0..replicas {
        state.seen.note(theirs(1, incarnation));
    }
    for counter in 1..=versions {
        let mut file = crate::catalog::tests::file(1);
        file.content.len = 1000 + counter;
        let version = Version {
            kind: crate::catalog::Kind::File(file),
            holders: [].into(),
        };
        state.add(theirs(counter, 0), version);
    }
    alice.merge(vec![(id, state)]).unwrap();
    alice
}

#[test]
fn two_peers_that_change_a_filled_entry_at_the_same_time_can_merge() {
    use crate::limits::{ENTRY_REPLICAS_OWN_MAX, ENTRY_VERSIONS_OWN_MAX};
    let replicas = [
        ENTRY_REPLICAS_MAX - 1,
        ENTRY_REPLICAS_OWN_MAX,
        ENTRY_REPLICAS_OWN_MAX - 2,
    ];
    let versions = [
        ENTRY_VERSIONS_MAX - 1,
        ENTRY_VERSIONS_OWN_MAX,
        ENTRY_VERSIONS_OWN_MAX - 1,
    ];
    let filled = replicas.map(|count| filled(count as u64, 0));
    let filled = filled
        .into_iter()
        .chain(versions.map(|count| self::filled(1, count as u64)));
    for (case, alice) in filled.enumerate() {
        let (mut bob, mut carol) = (catalog_of(7), catalog_of(8));
        bob.merge(alice.all_states()).unwrap();
        carol.merge(alice.all_states()).unwrap();
        add(&mut bob, "report", 2);
        add(&mut carol, "report", 3);
        sync(&mut bob, &mut carol);
        for seed in [2, 3] {
            let is_there =
                |shown: &crate::catalog::Shown| shown.has_content(&crate::catalog::tests::file(seed).content);
            assert!(bob.list().iter().any(is_there), "{case} {seed}");
        }
    }
}

#[test]
fn what_we_make_of_twins_with_many_holders_is_taken_by_others() {
    let mut alice = catalog_of(1);
    add(&mut alice, "draft", 1);
    let (id, state) = alice.all_states().remove(0);
    let mut twins = Vec::new();
    for twin in 1..=2_u8 {
        let mut state = state.clone();
        let crowd = (0..).take(VERSION_HOLDERS_MAX);
        let holders = crowd.map(|peer| dot(1, u16::from(twin) * 1000 + peer).replica.fingerprint);
        let holders: std::collections::BTreeSet<_> = holders.collect();
        state
            .versions
            .values_mut()
            .for_each(|version| version.holders = holders.clone());
        twins.push((EntryId::from_bytes([twin; 16]), state));
    }
    assert!(twins.iter().all(|(twin, _)| *twin != id));
    alice.merge(twins).unwrap();
    add(&mut alice, "report", 2);
    let replace = crate::catalog::OnExisting::Replace;
    drop(
        alice
            .rename_with(&path("draft"), &path("report"), replace)
            .unwrap(),
    );
    let mut carol = catalog_of(7);
    sync(&mut alice, &mut carol);
    assert_eq!(tree(&carol), ["report 1"]);
}
