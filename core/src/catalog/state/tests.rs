//! The wire encoding of one entry, and the result of merging two of its states.

use super::*;
use crate::catalog::ReplicaId;

fn peer(byte: u8) -> Fingerprint {
    Fingerprint::from_bytes([byte; 20])
}

fn dot(counter: u64, byte: u8) -> Dot {
    Dot {
        counter,
        replica: ReplicaId {
            fingerprint: peer(byte),
            incarnation: 9,
        },
    }
}

fn version(seed: u8) -> Version {
    let content = ContentId {
        hash: [seed; 32],
        len: 300,
    };
    let kind = Kind::File(FileVersion {
        content,
        mtime_ns: -2,
        mode: 0o644,
    });
    Version {
        kind,
        holders: [peer(0xaa)].into(),
    }
}

fn state(versions: &[(Dot, u8)]) -> EntryState {
    let place = Place {
        stamp: dot(1, 0xaa),
        parent: EntryId::ROOT,
        name: Name::new("a.txt").unwrap(),
    };
    let mut state = EntryState::placed(place);
    versions
        .iter()
        .for_each(|(dot, seed)| state.add(*dot, version(*seed)));
    state
}

/// Version 1 of the control protocol: postcard of the fields in their order. A dot is a varint
/// counter, 20 bytes of fingerprint, a varint incarnation. A change of this format must raise
/// `PROTOCOL_VERSION`.
#[test]
fn the_wire_encoding_of_an_entry_never_changes() {
    let replica = format!("{}09", "aa".repeat(20));
    let place = format!("01{replica}{}05612e747874", "00".repeat(16));
    let file = format!("01{}ac0203a403", "55".repeat(32));
    let versions = format!("0102{replica}{file}01{}", "aa".repeat(20));
    let seen = format!("01{replica}02");
    let bytes = postcard::to_stdvec(&state(&[(dot(2, 0xaa), 0x55)])).unwrap();
    assert_eq!(crate::hex::encode(&bytes), format!("{place}{versions}{seen}"));
}

#[test]
fn the_wire_encoding_of_a_link_never_changes() {
    let target = crate::catalog::LinkTarget::new("../a").unwrap();
    let bytes = postcard::to_stdvec(&Kind::Link(LinkVersion { target, mtime_ns: -2 })).unwrap();
    assert_eq!(crate::hex::encode(&bytes), "02042e2e2f6103");
}

#[test]
fn concurrent_versions_both_survive() {
    let mut ours = state(&[(dot(2, 1), 1)]);
    ours.join(state(&[(dot(2, 2), 2)]));
    assert_eq!(ours.versions.len(), 2);
}

#[test]
fn a_version_that_the_other_side_replaced_is_dropped() {
    let old = state(&[(dot(2, 1), 1)]);
    let mut newer = old.clone();
    newer.versions.clear();
    newer.add(dot(3, 2), version(2));
    let mut merged = old;
    merged.join(newer.clone());
    assert_eq!(merged, newer);
}

#[test]
fn holders_of_one_version_are_united() {
    let mut ours = state(&[(dot(2, 1), 1)]);
    let mut theirs = ours.clone();
    theirs
        .versions
        .values_mut()
        .for_each(|version| version.add_holder(peer(7)));
    ours.join(theirs);
    assert_eq!(ours.versions[&dot(2, 1)].holders, [peer(7), peer(0xaa)].into());
}

#[test]
fn the_greatest_stamp_decides_the_place_and_a_tie_goes_by_the_rest() {
    let mut ours = state(&[]);
    let mut theirs = ours.clone();
    theirs.put(Place {
        name: Name::new("b").unwrap(),
        ..theirs.place.clone()
    });
    ours.join(theirs.clone());
    assert_eq!(ours.place.name.as_str(), "b");
    theirs.join(state(&[]));
    assert_eq!(ours, theirs);
}

#[test]
fn both_sides_drop_the_same_holders_beyond_the_limit() {
    let crowd = |start: u16| {
        let holder = |n: u16| Fingerprint::from_bytes(std::array::from_fn(|i| n.to_be_bytes()[i % 2]));
        let mut state = state(&[(dot(2, 1), 1)]);
        let add = |version: &mut Version| (start..start + 200).for_each(|n| version.add_holder(holder(n)));
        state.versions.values_mut().for_each(add);
        state
    };
    let (mut ours, mut theirs) = (crowd(0), crowd(200));
    ours.join(crowd(200));
    theirs.join(crowd(0));
    assert_eq!(ours, theirs);
    assert_eq!(ours.versions[&dot(2, 1)].holders.len(), VERSION_HOLDERS_MAX);
}
