//! What two catalogs show after edits on both sides. Also the helpers of the other tests.

use super::*;
use crate::identity::Fingerprint;

pub(crate) fn catalog_of(peer: u8) -> Catalog {
    Catalog::new(ReplicaId {
        fingerprint: Fingerprint::from_bytes([peer; 20]),
        incarnation: 7,
    })
}

pub(super) fn pair() -> (Catalog, Catalog) {
    (catalog_of(0xa1), catalog_of(0xb0))
}

pub(super) fn path(text: &str) -> SharePath {
    SharePath::parse(text).unwrap()
}

/// A file with content number `seed`.
pub(super) fn file(seed: u8) -> FileVersion {
    let content = ContentId {
        hash: [seed; 32],
        len: u64::from(seed),
    };
    FileVersion {
        content,
        mtime_ns: 1_000,
        mode: 0o644,
    }
}

pub(crate) fn add(catalog: &mut Catalog, at: &str, seed: u8) {
    assert!(!catalog.add_file(&path(at), file(seed)).unwrap().is_empty());
}

/// Merges everything of `from` into `to`.
pub(super) fn send(from: &Catalog, to: &mut Catalog) -> Vec<CatalogEvent> {
    to.merge(from.states(&from.differing(&to.digest()))).unwrap()
}

/// Merges both ways and checks that both sides agree.
pub(super) fn sync(alice: &mut Catalog, bob: &mut Catalog) {
    send(alice, bob);
    send(bob, alice);
    assert_eq!(alice.digest(), bob.digest());
    assert_eq!(alice.list(), bob.list());
}

/// What is shown: folders with a slash at the end, files with the seed of their content.
pub(super) fn tree(catalog: &Catalog) -> Vec<String> {
    let line = |shown: &Shown| match shown.file() {
        None => format!("{}/", shown.path),
        Some(file) => format!("{} {}", shown.path, file.content.len),
    };
    catalog.list().iter().map(line).collect()
}

#[test]
fn a_file_added_on_one_side_is_shown_on_the_other_with_its_folders() {
    let (mut alice, mut bob) = pair();
    add(&mut alice, "music/live/song.ogg", 1);
    sync(&mut alice, &mut bob);
    assert_eq!(tree(&bob), ["music/", "music/live/", "music/live/song.ogg 1"]);
    let shown = bob.lookup(&path("music/live/song.ogg")).unwrap();
    assert_eq!(shown.holders, [alice.replica().fingerprint].into());
    assert!(!shown.conflict);
}

#[test]
fn concurrent_edits_of_one_file_are_both_kept() {
    let (mut alice, mut bob) = pair();
    add(&mut alice, "notes.txt", 1);
    sync(&mut alice, &mut bob);
    add(&mut alice, "notes.txt", 2);
    add(&mut bob, "notes.txt", 3);
    sync(&mut alice, &mut bob);
    let copy = format!(
        "notes (conflict {}-2).txt 2",
        alice.replica().fingerprint.fmt_short()
    );
    assert_eq!(tree(&alice), [copy, "notes.txt 3".into()]);
}

#[test]
fn the_same_file_made_on_both_sides_is_one_file() {
    let (mut alice, mut bob) = pair();
    add(&mut alice, "notes.txt", 1);
    add(&mut bob, "notes.txt", 1);
    sync(&mut alice, &mut bob);
    assert_eq!(tree(&alice), ["notes.txt 1"]);
    assert_eq!(alice.list().remove(0).holders.len(), 2);
    drop(alice.remove(&path("notes.txt")).unwrap());
    assert_eq!(tree(&alice), [""; 0]);
}

#[test]
fn a_delete_does_not_discard_an_edit_it_has_not_seen() {
    let (mut alice, mut bob) = pair();
    add(&mut alice, "folder/notes.txt", 1);
    sync(&mut alice, &mut bob);
    drop(alice.remove(&path("folder")).unwrap());
    add(&mut bob, "folder/notes.txt", 2);
    sync(&mut alice, &mut bob);
    assert_eq!(tree(&alice), ["folder/", "folder/notes.txt 2"]);
}

#[test]
fn a_removed_file_does_not_come_back_from_an_old_state() {
    let (mut alice, mut bob) = pair();
    add(&mut alice, "notes.txt", 1);
    let old = alice.all_states();
    sync(&mut alice, &mut bob);
    drop(alice.remove(&path("notes.txt")).unwrap());
    sync(&mut alice, &mut bob);
    bob.merge(old).unwrap();
    assert_eq!(tree(&bob), [""; 0]);
}

#[test]
fn a_rename_of_a_folder_merges_with_an_edit_inside_it() {
    let (mut alice, mut bob) = pair();
    add(&mut alice, "old/notes.txt", 1);
    sync(&mut alice, &mut bob);
    drop(alice.rename(&path("old"), &path("deep/new")).unwrap());
    add(&mut bob, "old/notes.txt", 2);
    sync(&mut alice, &mut bob);
    assert_eq!(tree(&bob), ["deep/", "deep/new/", "deep/new/notes.txt 2"]);
}

#[test]
fn folders_that_both_sides_make_are_shown_and_removed_as_one() {
    let (mut alice, mut bob) = pair();
    add(&mut alice, "folder/a", 1);
    add(&mut bob, "folder/b", 2);
    sync(&mut alice, &mut bob);
    assert_eq!(tree(&alice), ["folder/", "folder/a 1", "folder/b 2"]);
    drop(bob.rename(&path("folder"), &path("other")).unwrap());
    sync(&mut alice, &mut bob);
    assert_eq!(tree(&alice), ["other/", "other/a 1", "other/b 2"]);
    drop(alice.remove(&path("other")).unwrap());
    sync(&mut alice, &mut bob);
    assert_eq!(tree(&bob), [""; 0]);
}

#[test]
fn a_folder_keeps_its_name_against_a_file() {
    let (mut alice, mut bob) = pair();
    add(&mut alice, "thing/inside", 1);
    add(&mut bob, "thing", 2);
    add(&mut bob, "other", 3);
    sync(&mut alice, &mut bob);
    let copy = format!("thing (conflict {}-1) 2", bob.replica().fingerprint.fmt_short());
    assert_eq!(
        tree(&alice),
        ["other 3".into(), "thing/".into(), "thing/inside 1".into(), copy]
    );
}

#[test]
fn concurrent_moves_into_each_other_end_with_the_later_one_at_the_top() {
    let (mut alice, mut bob) = pair();
    add(&mut alice, "a/x", 1);
    add(&mut alice, "b/y", 2);
    sync(&mut alice, &mut bob);
    drop(alice.rename(&path("a"), &path("b/a")).unwrap());
    drop(bob.rename(&path("b"), &path("a/b")).unwrap());
    sync(&mut alice, &mut bob);
    assert_eq!(tree(&alice), ["b/", "b/a/", "b/a/x 1", "b/y 2"]);
    drop(bob.rename(&path("b/a"), &path("c")).unwrap());
    sync(&mut alice, &mut bob);
    assert_eq!(tree(&alice), ["b/", "b/y 2", "c/", "c/x 1"]);
}

#[test]
fn links_differ_by_their_targets_and_are_shown_like_files() {
    let (mut alice, mut bob) = pair();
    let link = |target: &str, mtime_ns| LinkVersion {
        target: LinkTarget::new(target).unwrap(),
        mtime_ns,
    };
    for (at, ours, theirs) in [("same", "x", "x"), ("other", "x", "y")] {
        drop(alice.add_link(&path(at), link(ours, 1)).unwrap());
        drop(bob.add_link(&path(at), link(theirs, 2)).unwrap());
    }
    add(&mut bob, "same2", 1);
    sync(&mut alice, &mut bob);
    let shown = alice.lookup(&path("same")).unwrap();
    assert_eq!((shown.link(), shown.file()), (Some(&link("x", 2)), None));
    let conflicts: Vec<_> = alice.list().into_iter().filter(|shown| shown.conflict).collect();
    assert_eq!(conflicts.len(), 1);
    assert_eq!(conflicts[0].link().unwrap().target.as_str(), "x");
}

#[test]
fn an_entry_that_arrives_before_its_folder_is_shown_once_the_folder_arrives() {
    let (mut alice, mut bob) = pair();
    add(&mut alice, "folder/notes.txt", 1);
    let mut states = alice.all_states();
    let notes = states.pop().unwrap();
    assert_eq!(bob.merge(vec![notes]), Ok(vec![]));
    assert_eq!(tree(&bob), [""; 0]);
    let added = |at: &str| CatalogEvent::Added { path: path(at) };
    assert_eq!(
        bob.merge(states),
        Ok(vec![added("folder"), added("folder/notes.txt")])
    );
}

#[test]
fn a_page_of_states_brings_the_folders_it_needs() {
    let mut alice = catalog_of(1);
    add(&mut alice, "a/b/c", 1);
    let id = alice.lookup(&path("a/b/c")).unwrap().id;
    let names: Vec<_> = alice
        .states(&[id])
        .iter()
        .map(|(_, state)| state.place.name.to_string())
        .collect();
    assert_eq!(names, ["a", "b", "c"]);
}

#[test]
fn digests_differ_where_states_do() {
    let (mut alice, mut bob) = pair();
    for seed in 0..50 {
        add(&mut alice, &format!("file {seed}"), seed);
    }
    sync(&mut alice, &mut bob);
    assert_eq!(alice.differing(&bob.digest()), []);
    let touched = alice.remove(&path("file 7")).unwrap().touched;
    let differing = alice.differing(&bob.digest());
    assert!(touched.iter().all(|id| differing.contains(id)), "{differing:?}");
    assert!(differing.len() < 10, "{differing:?}");
}

#[test]
fn a_page_of_states_takes_one_more_while_it_is_shorter_than_its_limit() {
    let mut alice = catalog_of(1);
    add(&mut alice, "a", 1);
    add(&mut alice, "b", 2);
    let ids: Vec<_> = alice.all_states().into_iter().map(|(id, _)| id).collect();
    let len = alice.state(ids[0]).unwrap().len();
    let count_within = |limit| {
        let (states, left) = alice.states_within(&ids, limit, &mut HashSet::new());
        (states.len(), left.len())
    };
    assert_eq!(count_within(len), (1, 1));
    assert_eq!(count_within(len + 1), (2, 0));
}

#[test]
fn folders_are_sent_once_in_all_pages_and_a_page_ends_at_its_limit_among_them_too() {
    let (mut alice, mut bob) = pair();
    let deep = ["folder"; SHARE_DEPTH_MAX - 1].join("/");
    let names = || (0..5).map(|number| path(&format!("{deep}/{number}")));
    for name in names() {
        drop(alice.add_file(&name, file(1)).unwrap());
    }
    let files: Vec<EntryId> = names().map(|name| alice.lookup(&name).unwrap().id).collect();
    let limit = 3 * alice.state(files[0]).unwrap().len();
    let (mut sent, mut left, mut counts) = (HashSet::new(), &files[..], Vec::new());
    while !left.is_empty() {
        let (states, others) = alice.states_within(left, limit, &mut sent);
        counts.push(states.len());
        left = others;
        bob.merge(states).unwrap();
    }
    assert_eq!(counts.iter().sum::<usize>(), SHARE_DEPTH_MAX - 1 + files.len());
    assert!(counts.iter().all(|count| (1..=4).contains(count)), "{counts:?}");
    assert!(names().all(|name| bob.lookup(&name).is_some()));
}
