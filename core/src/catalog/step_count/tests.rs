//! The work of merges and changes grows no faster than the catalog, whatever tree a peer makes.

use std::collections::{BTreeMap, BTreeSet};

use super::{paths_made_by, steps_of};
use crate::catalog::tests::{add, catalog_of, path};
use crate::catalog::{
    Catalog, ContentId, Dot, EntryId, EntryState, FileVersion, Kind, Name, Place, ReplicaId, Seen, Version,
};
use crate::identity::Fingerprint;
use crate::limits::{MERGE_PIECE_ENTRIES_MAX, SHARE_DEPTH_MAX};

/// Entries of a small tree; a large one has four times as many.
const SMALL: u64 = 500;
const LARGE: u64 = 4 * SMALL;
/// Steps that a merge may take for each entry of the catalog. A walk to the top of the share takes
/// one for each name, and a merge reads the tree before and after.
const STEPS_MAX: u64 = 3 * SHARE_DEPTH_MAX as u64;

/// Ids in random order, as those of honest entries are.
fn id(number: u64) -> EntryId {
    let mut bytes = [0; 16];
    let spread = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bytes[..8].copy_from_slice(&spread.to_le_bytes());
    bytes[8..].copy_from_slice(&(number + 1).to_le_bytes());
    EntryId::from_bytes(bytes)
}

/// An entry that the change `counter` put in its place.
fn entry(number: u64, counter: u64, (parent, name): (EntryId, &str), kind: Kind) -> (EntryId, EntryState) {
    let replica = ReplicaId {
        fingerprint: Fingerprint::from_bytes([9; 20]),
        incarnation: 1,
    };
    let stamp = Dot { counter, replica };
    let mut seen = Seen::default();
    seen.note(stamp);
    let version = Version {
        kind,
        holders: BTreeSet::new(),
    };
    let state = EntryState {
        place: Place {
            stamp,
            parent,
            name: Name::new(name).unwrap(),
        },
        versions: BTreeMap::from([(stamp, version)]),
        seen,
    };
    (id(number), state)
}

fn folder(number: u64, parent: EntryId, name: &str) -> (EntryId, EntryState) {
    entry(number, number + 1, (parent, name), Kind::Folder)
}

fn file(number: u64, content: u64, parent: EntryId, name: &str) -> (EntryId, EntryState) {
    let mut hash = [0; 32];
    hash[..8].copy_from_slice(&content.to_le_bytes());
    let version = FileVersion {
        content: ContentId { hash, len: 1 },
        mtime_ns: 0,
        mode: 0o644,
    };
    entry(number, number + 1, (parent, name), Kind::File(version))
}

fn chain(count: u64) -> Vec<(EntryId, EntryState)> {
    let parent = |number: u64| number.checked_sub(1).map_or(EntryId::ROOT, id);
    (0..count)
        .map(|number| folder(number, parent(number), "d"))
        .collect()
}

/// The same, in the order in which nothing can be placed before the last state.
fn chain_from_its_end(count: u64) -> Vec<(EntryId, EntryState)> {
    chain(count).into_iter().rev().collect()
}

fn cycles_of_two(count: u64) -> Vec<(EntryId, EntryState)> {
    (0..count)
        .map(|number| folder(number, id(number ^ 1), "c"))
        .collect()
}

/// A long cycle of folders.
fn ring(count: u64) -> Vec<(EntryId, EntryState)> {
    let parent = |number| id((number + 1) % count);
    (0..count)
        .map(|number| folder(number, parent(number), "r"))
        .collect()
}

fn files_of_one_name(count: u64) -> Vec<(EntryId, EntryState)> {
    (0..count)
        .map(|number| file(number, number, EntryId::ROOT, "same"))
        .collect()
}

fn files_of_one_name_and_content(count: u64) -> Vec<(EntryId, EntryState)> {
    (0..count)
        .map(|number| file(number, 7, EntryId::ROOT, "same"))
        .collect()
}

/// Folders of one name, shown as one, each with a file in it.
fn folders_of_one_name(count: u64) -> Vec<(EntryId, EntryState)> {
    let halves = (0..count / 2).map(|number| (2 * number, 2 * number + 1));
    let pair = |(outer, inner)| {
        let name = format!("file {inner}");
        [
            folder(outer, EntryId::ROOT, "same"),
            file(inner, inner, id(outer), &name),
        ]
    };
    halves.flat_map(pair).collect()
}

/// The same, with files of one name too.
fn folders_and_files_of_one_name(count: u64) -> Vec<(EntryId, EntryState)> {
    let halves = (0..count / 2).map(|number| (2 * number, 2 * number + 1));
    let pair = |(outer, inner)| {
        [
            folder(outer, EntryId::ROOT, "same"),
            file(inner, inner, id(outer), "same"),
        ]
    };
    halves.flat_map(pair).collect()
}

/// Folders beside each other, with one folder in each.
fn folders_in_folders(count: u64) -> Vec<(EntryId, EntryState)> {
    let halves = (0..count / 2).map(|number| (2 * number, 2 * number + 1));
    let pair = |(outer, inner)| {
        let name = format!("folder {outer}");
        [
            folder(outer, EntryId::ROOT, &name),
            folder(inner, id(outer), "inner"),
        ]
    };
    halves.flat_map(pair).collect()
}

type Shape = fn(u64) -> Vec<(EntryId, EntryState)>;

const SHAPES: [(&str, Shape); 9] = [
    ("a chain of folders", chain),
    ("a chain from its end", chain_from_its_end),
    ("cycles of two", cycles_of_two),
    ("one long cycle", ring),
    ("files of one name", files_of_one_name),
    ("files of one name and content", files_of_one_name_and_content),
    ("folders of one name", folders_of_one_name),
    ("folders and files of one name", folders_and_files_of_one_name),
    ("folders in folders", folders_in_folders),
];

fn merged(states: Vec<(EntryId, EntryState)>) -> (u64, Catalog) {
    let mut catalog = catalog_of(1);
    let (steps, outcome) = steps_of(|| catalog.merge(states));
    outcome.unwrap();
    (steps, catalog)
}

#[test]
fn a_merge_takes_steps_in_proportion_to_what_is_merged() {
    for (shape, states) in SHAPES {
        let (small, _) = merged(states(SMALL));
        let (large, _) = merged(states(LARGE));
        assert!(
            large <= LARGE * STEPS_MAX,
            "{shape}: {large} steps for {LARGE} entries"
        );
        assert!(
            large <= 5 * small,
            "{shape}: {small} steps, and {large} for four times as many entries"
        );
    }
}

#[test]
fn a_piece_of_a_batch_takes_steps_in_proportion_to_the_catalog() {
    for (shape, states) in SHAPES {
        let mut catalog = catalog_of(1);
        let mut batch = catalog.checked(states(LARGE)).unwrap();
        while !batch.is_empty() {
            let (steps, piece) = steps_of(|| catalog.merge_piece(&mut batch));
            assert!(piece.unwrap().entries.len() <= MERGE_PIECE_ENTRIES_MAX);
            let count = catalog.entry_count() as u64;
            assert!(
                steps <= count * STEPS_MAX,
                "{shape}: {steps} steps for a piece, with {count} entries"
            );
        }
        let (_, whole) = merged(states(LARGE));
        assert_eq!(catalog.digest(), whole.digest(), "{shape}");
        assert_eq!(catalog.list(), whole.list(), "{shape}");
    }
}

#[test]
fn existing_cycles_cost_later_changes_nothing() {
    let (_, mut catalog) = merged(cycles_of_two(LARGE));
    let (steps, ()) = steps_of(|| add(&mut catalog, "mine", 1));
    assert!(steps < 100, "{steps} steps for one file");
    let (steps, outcome) = steps_of(|| catalog.merge(vec![file(LARGE, 1, EntryId::ROOT, "theirs")]));
    outcome.unwrap();
    assert!(steps < 100, "{steps} steps for one file");
}

#[test]
fn renaming_the_folder_of_all_entries_takes_steps_in_proportion_to_them() {
    let rename = |count: u64| {
        let (_, mut catalog) = merged(chain(count));
        let renamed = entry(0, count + 1, (EntryId::ROOT, "e"), Kind::Folder);
        let (steps, outcome) = steps_of(|| catalog.merge(vec![renamed]));
        assert_eq!(outcome.unwrap().len(), 1);
        steps
    };
    let (small, large) = (rename(SMALL), rename(LARGE));
    assert!(
        large <= 5 * small,
        "{small} steps, and {large} for four times as many entries"
    );
}

#[test]
fn renaming_every_folder_of_a_chain_at_once_takes_steps_in_proportion_to_them() {
    let rename = |count: u64| {
        let (_, mut catalog) = merged(chain(count));
        let mut renamed = chain(count);
        for (number, (_, state)) in (0..).zip(&mut renamed) {
            *state = entry(
                number,
                count + number + 1,
                (state.place.parent, "e"),
                Kind::Folder,
            )
            .1;
        }
        let (steps, outcome) = steps_of(|| catalog.merge(renamed));
        assert_eq!(outcome.unwrap().len(), SHARE_DEPTH_MAX);
        steps
    };
    let (small, large) = (rename(SMALL), rename(LARGE));
    assert!(
        large <= 5 * small,
        "{small} steps, and {large} for four times as many entries"
    );
}

#[test]
fn renaming_many_folders_at_once_takes_steps_in_proportion_to_them() {
    let rename = |count: u64| {
        let (_, mut catalog) = merged(folders_in_folders(count));
        let mut renamed = Vec::new();
        for outer in (0..count).step_by(2) {
            let name = format!("renamed {outer}");
            renamed.push(entry(
                outer,
                count + outer + 1,
                (EntryId::ROOT, &name),
                Kind::Folder,
            ));
        }
        let (steps, outcome) = steps_of(|| catalog.merge(renamed));
        assert_eq!(outcome.unwrap().len() as u64, count / 2);
        steps
    };
    let (small, large) = (rename(SMALL), rename(LARGE));
    assert!(
        large <= 5 * small,
        "{small} steps, and {large} for four times as many entries"
    );
}

#[test]
fn a_deep_chain_is_shown_down_to_the_limit_and_no_further() {
    let (_, mut catalog) = merged(chain(2 * SHARE_DEPTH_MAX as u64));
    assert_eq!(catalog.list().len(), SHARE_DEPTH_MAX);
    // A folder that was too deep is shown in its new place, with the folders in it.
    let count = 2 * SHARE_DEPTH_MAX as u64;
    let moved = entry(count / 2, count + 1, (EntryId::ROOT, "up"), Kind::Folder);
    assert_eq!(catalog.merge(vec![moved]).unwrap().len(), SHARE_DEPTH_MAX);
    assert_eq!(catalog.list().len(), 2 * SHARE_DEPTH_MAX);
    assert!(catalog.lookup(&path("up/d/d")).is_some());
}

#[test]
fn the_pages_of_a_deep_chain_bring_no_more_folders_than_are_shown() {
    let (_, catalog) = merged(chain(LARGE));
    let ids: Vec<_> = (0..LARGE).map(id).collect();
    let pages = ids.chunks(10).map(|page| catalog.states(page));
    let sent: usize = pages.map(|states| states.len()).sum();
    assert!(sent <= (SHARE_DEPTH_MAX + 1) * ids.len(), "{sent} states");
    assert_eq!(catalog.all_states().len(), ids.len());
    // One that is too deep to be shown brings none.
    assert_eq!(catalog.states(&[id(LARGE - 1)]).len(), 1);
}

#[test]
fn the_digest_of_an_unchanged_catalog_is_computed_once() {
    let (_, mut catalog) = merged(files_of_one_name(SMALL));
    let (steps, before) = steps_of(|| catalog.digest());
    assert!(steps >= SMALL, "{steps} steps");
    let empty = catalog_of(2).digest();
    let (steps, differing) = steps_of(|| (catalog.digest(), catalog.differing(&empty)));
    assert_eq!(steps, 0);
    assert_eq!(differing.1.len() as u64, SMALL);
    // A call that changes nothing keeps the digest.
    let (steps, same) = steps_of(|| {
        catalog.merge(Vec::new()).unwrap();
        catalog.digest()
    });
    assert_eq!((steps, same), (0, before.clone()));
    let mut states = catalog.all_states();
    states.extend([file(SMALL, 1, EntryId::ROOT, "more")]);
    catalog.merge(states.clone()).unwrap();
    assert_ne!(catalog.digest(), before);
    let (_, fresh) = merged(states);
    assert_eq!(catalog.digest(), fresh.digest());
}

/// Two folders side by side, with files of the same names and different contents.
fn folders_of_files(count: u64) -> Vec<(EntryId, EntryState)> {
    let mut states = vec![folder(0, EntryId::ROOT, "a"), folder(1, EntryId::ROOT, "b")];
    for number in 2..count {
        states.push(file(
            number,
            number,
            id(number % 2),
            &format!("file {}", number / 2),
        ));
    }
    states
}

/// A peer that moves one folder changes everything that is shown in it.
#[test]
fn the_changes_of_a_whole_folder_are_kept_without_the_path_of_each_file() {
    let moved = |number, counter, parent, name| entry(number, counter, (parent, name), Kind::Folder);
    let unknown = id(5 * LARGE);
    let (away, back) = (LARGE + 1, LARGE + 2);
    let changes = [
        vec![moved(0, away, unknown, "a"), moved(1, away, unknown, "b")],
        vec![
            moved(0, back, EntryId::ROOT, "a"),
            moved(1, back, EntryId::ROOT, "b"),
        ],
        vec![
            moved(0, back + 1, EntryId::ROOT, "b"),
            moved(1, back + 1, EntryId::ROOT, "a"),
        ],
    ];
    let (_, mut catalog) = merged(folders_of_files(LARGE));
    for states in changes {
        let mut batch = catalog.checked(states.clone()).unwrap();
        let mut whole = catalog.clone();
        let (made, piece) = paths_made_by(|| catalog.merge_piece(&mut batch));
        assert!(made < 10, "{made} paths");
        let news = piece.unwrap().news;
        let events: Vec<_> = news.events().collect();

        assert!(events.len() as u64 > LARGE / 2, "{} events", events.len());
        assert_eq!(news.parts().collect::<Vec<_>>().concat(), events);
        assert_eq!(events, whole.merge(states).unwrap());
    }
}
