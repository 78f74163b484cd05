//! States that only a modified program makes: counters so far ahead that we don't follow, entries
//! that are full, and many entries of one name.

use super::serves;
use super::unshared::{Two, path};
use crate::catalog::{
    Dot, EntryId, EntryState, FileVersion, Holding, Kind, Name, Place, ReplicaId, Seen, Version,
};
use crate::limits::{ENTRY_REPLICAS_MAX, RIVALS_REMADE_MAX};
use crate::peer::tests::content;
use crate::share::Claim;
use crate::store::Guard;

impl Two {
    /// Mallory makes an entry of its own at the top, whose only version has this counter.
    fn rival(&self, byte: u8, name: &str, bytes: &[u8], counter: u64) {
        let mallory = self.mallory.share.files().catalog.replica();
        let dot = Dot {
            counter,
            replica: mallory,
        };
        let version = Version {
            kind: Kind::File(FileVersion {
                content: content(bytes),
                mtime_ns: 0,
                mode: 0o644,
            }),
            holders: [self.mallory.fingerprint()].into(),
        };
        let mut seen = Seen::default();
        seen.note(dot);
        let state = EntryState {
            place: Place {
                stamp: dot,
                parent: EntryId::ROOT,
                name: Name::new(name).unwrap(),
            },
            versions: [(dot, version)].into(),
            seen,
        };
        let id = EntryId::from_bytes([byte; 16]);
        self.alice.share.merge(vec![(id, state)]).unwrap();
    }
}

#[tokio::test]
async fn a_file_that_is_shared_anew_beside_rivals_far_ahead_is_not_taken_for_one_of_them() {
    let most = u64::try_from(RIVALS_REMADE_MAX).unwrap();
    for (count, has_the_name) in [(2, true), (most, true), (most + 1, false)] {
        let two = Two::new().await;
        let notes = two.share("notes.txt", b"first").await;
        for rival in 0..count {
            let bytes = format!("rival {rival}");
            let id = u8::try_from(rival + 1).unwrap();
            two.rival(id, "notes.txt", bytes.as_bytes(), u64::MAX - rival);
        }
        let second = two.write("notes.txt", b"second");
        two.alice.replace(second, &notes).await.unwrap();
        assert!(serves(&two.alice, b"second"), "{count}");
        let shown = two.alice.share.files().file(&notes).unwrap();
        assert_eq!(shown.content == content(b"second"), has_the_name, "{count}");
        // The rival's bytes are at hand, so that the pull needs nobody.
        let elsewhere = two.write("../elsewhere", b"rival 1");
        let name = path("elsewhere");
        two.alice.add_as(elsewhere, &name).await.unwrap();
        drop(two.pull_tree().await);
        assert_eq!(std::fs::read(two.at("notes.txt")).unwrap(), b"second", "{count}");
        two.close().await;
    }
}

/// Mallory gives the only version of an entry that counter.
fn recount(two: &Two, id: EntryId, counter: u64) {
    let mut state = two.alice.share.files().catalog.state(id).unwrap().clone();
    let replica = two.mallory.share.files().catalog.replica();
    let dot = Dot { counter, replica };
    let (_, version) = state.versions.pop_first().unwrap();
    state.seen.note(dot);
    state.versions.insert(dot, version);
    two.alice.share.merge(vec![(id, state)]).unwrap();
}

#[tokio::test]
async fn a_file_that_lost_its_name_to_a_rival_far_ahead_stays_shared_when_the_rival_is_replaced() {
    for has_twin in [false, true] {
        let two = Two::new().await;
        let notes = path("notes.txt");
        let mine = two.write("mine.txt", b"mine");
        two.alice.add_as(mine, &notes).await.unwrap();
        let id = two.alice.share.files().catalog.lookup(&notes).unwrap().id;
        recount(&two, id, u64::MAX - 1);
        if has_twin {
            two.rival(2, "notes.txt", b"mine", 1);
        }
        two.rival(1, "notes.txt", b"rival", u64::MAX);
        let other = two.write("other.txt", b"other");
        two.alice.replace(other, &notes).await.unwrap();
        assert!(
            two.alice
                .list()
                .iter()
                .any(|shown| shown.has_content(&content(b"mine")))
        );
        assert!(
            serves(&two.alice, b"mine") && serves(&two.alice, b"other"),
            "{has_twin}"
        );
        // The bytes are at hand, so that the pull needs nobody.
        let at_hand = two.write("../elsewhere", b"harmful");
        two.alice.add_as(at_hand, &path("elsewhere")).await.unwrap();
        two.rival(3, "mine.txt", b"harmful", 5);
        drop(two.pull_tree().await);
        assert_eq!(std::fs::read(two.at("mine.txt")).unwrap(), b"mine", "{has_twin}");
        two.close().await;
    }
}

/// Mallory has counted so far ahead on everything that alice has.
fn count_up(two: &Two) {
    let mallory = two.mallory.share.files().catalog.replica();
    let mut states = two.alice.share.files().catalog.all_states();
    for (_, state) in &mut states {
        let counter = u64::MAX;
        state.seen.note(Dot {
            counter,
            replica: mallory,
        });
    }
    two.alice.share.merge(states).unwrap();
}

#[tokio::test]
async fn a_file_whose_folder_is_made_anew_by_a_rename_is_served_for_it_and_not_for_a_twin() {
    let two = Two::new().await;
    let notes = path("folder/notes.txt");
    let shared = two.alice.add_as(two.write("notes.txt", b"secret"), &notes);
    shared.await.unwrap();
    let alices = two.alice.share.files().catalog.entries_at(&notes);
    two.name_content("other", b"other");
    two.name_content("folder/notes.txt", b"secret");
    count_up(&two);
    two.alice.rename(&path("folder"), &path("moved")).unwrap();
    assert!(serves(&two.alice, b"secret"));
    let moved = path("moved/notes.txt");
    let entries = two.alice.share.files().catalog.entries_at(&moved);
    assert!(entries.len() == 2 && !entries.contains(&alices[0]));
    // Mallory moves each of the two away, and alice removes hers.
    for id in entries {
        let mut state = two.alice.share.files().catalog.state(id).unwrap().clone();
        let alice = two.alice.fingerprint();
        let is_alices = state
            .versions
            .values()
            .any(|version| version.holders.contains(&alice));
        let replica = two.mallory.share.files().catalog.replica();
        let counter = state.place.stamp.counter + 1;
        let stamp = Dot { counter, replica };
        state.seen.note(stamp);
        let name = Name::new(if is_alices { "hers" } else { "twin" }).unwrap();
        let parent = EntryId::ROOT;
        state.place = Place { stamp, parent, name };
        two.alice.share.merge(vec![(id, state)]).unwrap();
    }
    assert!(serves(&two.alice, b"secret"));
    two.alice.remove(&path("hers")).unwrap();
    assert!(two.alice.share.files().file(&path("twin")).is_some());
    assert!(!serves(&two.alice, b"secret"));
    two.close().await;
}

#[tokio::test]
async fn a_state_that_is_too_large_together_with_ours_keeps_no_other_out() {
    let two = Two::new().await;
    let notes = two.share("notes.txt", b"notes").await;
    let id = two.alice.share.files().catalog.lookup(&notes).unwrap().id;
    let filled = |life: u64| {
        let mut state = two.alice.share.files().catalog.state(id).unwrap().clone();
        let mallory = two.mallory.share.files().catalog.replica();
        for incarnation in (0..ENTRY_REPLICAS_MAX as u64 - 1).map(|index| life + index) {
            let replica = ReplicaId {
                incarnation,
                ..mallory
            };
            state.seen.note(Dot { counter: 1, replica });
        }
        (id, state)
    };
    let (first, second) = (filled(10_000), filled(20_000));
    two.alice.share.merge(vec![first]).unwrap();
    let mut states = vec![second];
    drop(
        two.mallory
            .share
            .files()
            .catalog
            .add_folder(&path("new"))
            .unwrap(),
    );
    states.extend(two.mallory.share.files().catalog.all_states());
    let error = two.alice.share.merge(states).unwrap_err();
    assert!(error.is_full(), "the session goes on: {error}");
    assert!(two.alice.list().iter().any(|shown| shown.path == path("new")));
    assert!(serves(&two.alice, b"notes"));
    two.close().await;
}

#[tokio::test]
async fn a_file_that_is_edited_through_a_mount_stays_the_users_if_its_entry_is_made_anew() {
    let two = Two::new().await;
    let notes = two.share("notes.txt", b"mine").await;
    count_up(&two);
    let made = {
        let mut files = two.alice.share.files();
        let shown = files.catalog.lookup(&notes).unwrap();
        let written = Kind::File(FileVersion {
            content: content(b"written"),
            mtime_ns: 0,
            mode: 0o644,
        });
        let edited = files.catalog.edit(shown.key(), shown.dot, written, Holding::Held);
        let edited = edited.unwrap();
        assert_ne!(edited.shown.id, shown.id);
        files.settle(&edited.change);
        edited.shown.id
    };
    let check = |id: EntryId| {
        let claim = Claim {
            share: two.alice.share.clone(),
            file: Some((id, content(b"other"))),
        };
        claim.check(&two.at("notes.txt").canonicalize().unwrap())
    };
    assert!(check(made).is_ok() && check(EntryId::from_bytes([1; 16])).is_err());
    two.close().await;
}

/// Carol is a third peer. Mallory has left states with it that count as seen what alice does next.
#[tokio::test]
async fn what_we_change_is_not_undone_by_a_state_that_was_left_at_a_third_peer_before() {
    for lead in [10, u64::MAX / 2] {
        let two = Two::new().await;
        let carol = &two.mallory;
        let notes = two.share("notes.txt", b"first").await;
        // As if alice had not made that yet.
        let new = path("new.txt");
        let added = two.alice.add_as(two.write("new.txt", b"new"), &new);
        added.await.unwrap();
        let mut states = two.alice.share.files().catalog.all_states();
        for (_, state) in &mut states {
            let replica = two.alice.share.files().catalog.replica();
            let counter = state.place.stamp.counter + lead;
            state.seen.note(Dot { counter, replica });
            state.versions.clear();
        }
        carol.share.merge(states).unwrap();
        for bytes in [b"second", b"third!"] {
            let edited = two.write("notes.txt", bytes);
            two.alice.replace(edited, &notes).await.unwrap();
            two.mallory_hears();
            two.alice_hears();
            two.mallory_hears();
            assert_eq!(std::fs::read(two.at("notes.txt")).unwrap(), bytes);
            for peer in [&two.alice, carol] {
                let at = |path| peer.share.files().file(path).map(|file| file.content);
                assert_eq!(at(&notes), Some(content(bytes)), "{lead}");
                assert_eq!(at(&new), Some(content(b"new")), "{lead}");
                assert_eq!(peer.list().len(), 2, "{lead}");
            }
            assert!(serves(&two.alice, bytes) && serves(&two.alice, b"new"));
        }
        // What the other side removes after it has seen it is removed.
        two.unlink("notes.txt");
        assert_eq!(two.alice.list().len(), 1, "{lead}");
        two.close().await;
    }
}

/// Entries of one name with one content, as only a modified program makes them.
fn namesakes(two: &Two, bytes: &[u8], numbers: std::ops::Range<u64>) -> Vec<(EntryId, EntryState)> {
    let replica = two.mallory.share.files().catalog.replica();
    let namesake = |number: u64| {
        let stamp = Dot {
            counter: number + 1,
            replica,
        };
        let mut seen = Seen::default();
        seen.note(stamp);
        let version = Version {
            kind: Kind::File(FileVersion {
                content: content(bytes),
                mtime_ns: 0,
                mode: 0o644,
            }),
            holders: [].into(),
        };
        let name = Name::new("a").unwrap();
        let place = Place {
            stamp,
            parent: EntryId::ROOT,
            name,
        };
        let state = EntryState {
            place,
            versions: [(stamp, version)].into(),
            seen,
        };
        let mut id = [9; 16];
        id[..8].copy_from_slice(&number.to_be_bytes());
        (EntryId::from_bytes(id), state)
    };
    numbers.map(namesake).collect()
}

#[tokio::test]
async fn entries_of_one_name_with_a_shared_content_are_merged_in_steps_in_proportion() {
    let two = Two::new().await;
    two.share("notes.txt", b"notes").await;
    let mut steps = Vec::new();
    for piece in 0..8 {
        let states = namesakes(&two, b"notes", piece * 400..piece * 400 + 400);
        let (count, merged) = crate::catalog::steps_of(|| two.alice.share.merge(states));
        merged.unwrap();
        steps.push(count);
    }
    assert!(steps[7] < 400 * 100, "{steps:?}");
    two.close().await;
}
