//! Local changes on top of states that only a modified program makes.

use super::*;
use crate::catalog::tests::{add, catalog_of, file, path, tree};
use crate::catalog::{FileVersion, Holding};
use crate::limits::{ENTRY_REPLICAS_MAX, ENTRY_VERSIONS_MAX};

const MALLORY: u8 = 9;

fn dot(counter: u64, incarnation: u64) -> Dot {
    let fingerprint = Fingerprint::from_bytes([MALLORY; 20]);
    Dot {
        counter,
        replica: ReplicaId {
            fingerprint,
            incarnation,
        },
    }
}

/// An entry that its maximum number of replicas have changed, none of them ours.
fn crowded(parent: EntryId, name: &str, stamp: Dot) -> EntryState {
    let name = Name::new(name).unwrap();
    let mut state = EntryState::placed(Place { stamp, parent, name });
    for incarnation in 0..ENTRY_REPLICAS_MAX as u64 {
        state.seen.note(dot(1, incarnation));
    }
    state
}

/// The entry at `at` after mallory has changed it under the maximum number of replicas.
fn crowd(alice: &mut Catalog, at: &str) -> EntryId {
    let id = alice.lookup(&path(at)).unwrap().id;
    let mut state = alice.state(id).unwrap().clone();
    for incarnation in 1..ENTRY_REPLICAS_MAX as u64 {
        state.seen.note(dot(1, incarnation));
    }
    alice.merge(vec![(id, state)]).unwrap();
    id
}

#[test]
fn a_name_whose_tombstone_is_full_can_be_used_again() {
    let mut alice = catalog_of(1);
    let id = EntryId::from_bytes([5; 16]);
    alice
        .merge(vec![(id, crowded(EntryId::ROOT, "report.txt", dot(1, 0)))])
        .unwrap();
    add(&mut alice, "report.txt", 1);
    assert_eq!(tree(&alice), ["report.txt 1"]);
}

#[test]
fn a_file_that_the_other_side_has_filled_can_be_replaced_edited_and_renamed() {
    // Shared in an earlier life of alice, so that her present replica is not in its entries.
    let mut earlier = catalog_of(1);
    for name in ["replaced", "edited", "renamed"] {
        add(&mut earlier, name, 1);
    }
    let replica = ReplicaId {
        incarnation: 8,
        ..earlier.replica()
    };
    let mut alice = Catalog::new(replica);
    alice.merge(earlier.all_states()).unwrap();
    for name in ["replaced", "edited", "renamed"] {
        crowd(&mut alice, name);
    }
    add(&mut alice, "replaced", 2);
    let shown = alice.lookup(&path("edited")).unwrap();
    let edited = alice.edit(shown.key(), shown.dot, Kind::File(file(3)), Holding::Held);
    let edited = edited.unwrap();
    assert_eq!(edited.shown.path, path("edited"));
    assert_eq!(alice.locate(edited.shown.key()), Some(edited.shown));
    let renamed = alice.rename(&path("renamed"), &path("new name"));
    assert!(!renamed.unwrap().is_empty());
    assert_eq!(tree(&alice), ["edited 3", "new name 1", "replaced 2"]);
}

#[test]
fn an_edit_whose_base_is_gone_is_kept_though_the_entry_is_full_of_versions() {
    let mut alice = catalog_of(1);
    add(&mut alice, "notes", 1);
    let opened = alice.lookup(&path("notes")).unwrap();
    let mut state = alice.state(opened.id).unwrap().clone();
    state.versions.clear();
    for seed in 0..u8::try_from(ENTRY_VERSIONS_MAX).unwrap() {
        let version = Version {
            kind: Kind::File(FileVersion {
                mtime_ns: 0,
                ..file(100 + seed)
            }),
            holders: BTreeSet::new(),
        };
        state.add(dot(u64::from(seed) + 2, 1), version);
    }
    alice.merge(vec![(opened.id, state)]).unwrap();
    let edited = alice.edit(opened.key(), opened.dot, Kind::File(file(2)), Holding::Held);
    assert!(edited.unwrap().shown.has_content(&file(2).content));
    assert!(
        alice
            .list()
            .iter()
            .any(|shown| shown.has_content(&file(2).content))
    );
}

#[test]
fn a_cycle_of_full_entries_does_not_stop_a_rename() {
    let mut alice = catalog_of(1);
    add(&mut alice, "mine", 1);
    let ids = [5, 6].map(|byte| EntryId::from_bytes([byte; 16]));
    let mut cycle = vec![
        (ids[0], crowded(ids[1], "one", dot(2, 0))),
        (ids[1], crowded(ids[0], "two", dot(3, 0))),
    ];
    for (_, state) in &mut cycle {
        state.versions.insert(dot(1, 1), FOLDER);
    }
    alice.merge(cycle).unwrap();
    assert!(!alice.rename(&path("mine"), &path("yours")).unwrap().is_empty());
    assert!(tree(&alice).contains(&"yours 1".to_owned()));
}

#[test]
fn an_entry_that_has_the_id_of_our_next_one_stays_as_it_is() {
    let mut alice = catalog_of(1);
    let next = Dot {
        counter: 2,
        replica: alice.replica(),
    };
    let stamp = dot(1, 1);
    let name = Name::new("theirs").unwrap();
    let mut state = EntryState::placed(Place {
        stamp,
        parent: EntryId::ROOT,
        name,
    });
    let version = Version {
        kind: Kind::File(file(1)),
        holders: BTreeSet::new(),
    };
    state.add(stamp, version);
    alice.merge(vec![(EntryId::created_by(&next), state)]).unwrap();
    add(&mut alice, "mine", 2);
    assert_eq!(tree(&alice), ["mine 2", "theirs 1"]);
}
