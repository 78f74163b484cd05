//! Files that the other side hides: the user can't stop sharing an entry that is not shown.

use super::serves;
use super::unshared::{Two, path};
use crate::catalog::{Dot, EntryId, Name, Place, SharePath};

/// A folder that no state describes.
const NOWHERE: EntryId = EntryId::from_bytes([7; 16]);

impl Two {
    fn entry(&self, at: &SharePath) -> EntryId {
        self.alice.share.files().catalog.lookup(at).unwrap().id
    }

    /// Mallory moves an entry of alice into `parent`, as only a modified program does.
    fn moves(&self, id: EntryId, parent: EntryId, name: &str) {
        let (mut state, replica) = {
            let files = self.alice.share.files();
            let replica = self.mallory.share.files().catalog.replica();
            (files.catalog.state(id).unwrap().clone(), replica)
        };
        let counter = state.place.stamp.counter + 1;
        let stamp = Dot { counter, replica };
        state.seen.note(stamp);
        let name = Name::new(name).unwrap();
        state.place = Place { stamp, parent, name };
        self.alice.share.merge(vec![(id, state)]).unwrap();
    }
}

#[tokio::test]
async fn a_file_that_the_other_side_hides_and_shows_again_is_not_served_again() {
    let two = Two::new().await;
    let notes = two.share("notes.txt", b"secret").await;
    let id = two.entry(&notes);
    two.moves(id, NOWHERE, "notes.txt");
    // Alice has no entry left to remove.
    assert!(two.alice.list().is_empty() && two.alice.remove(&notes).is_err());
    two.moves(id, EntryId::ROOT, "notes.txt");
    assert!(!serves(&two.alice, b"secret"));
    // Alice can share it again.
    two.alice.add(two.at("notes.txt")).await.unwrap();
    assert!(serves(&two.alice, b"secret"));
    two.close().await;
}

#[tokio::test]
async fn a_file_that_is_hidden_with_its_folder_is_not_served_again() {
    let two = Two::new().await;
    let notes = two.share("folder/notes.txt", b"secret").await;
    assert!(serves(&two.alice, b"secret"));
    let folder = two.entry(&path("folder"));
    two.moves(folder, NOWHERE, "folder");
    two.moves(folder, EntryId::ROOT, "folder");
    assert!(two.alice.list().iter().any(|shown| shown.path == notes));
    assert!(!serves(&two.alice, b"secret"));
    two.close().await;
}

#[tokio::test]
async fn a_file_that_the_other_side_moves_within_sight_is_served_on() {
    let two = Two::new().await;
    two.share("notes.txt", b"shared").await;
    let id = two.entry(&path("notes.txt"));
    two.moves(id, EntryId::ROOT, "renamed.txt");
    two.share("folder/other.txt", b"other").await;
    let folder = two.entry(&path("folder"));
    two.moves(folder, EntryId::ROOT, "moved");
    assert!(serves(&two.alice, b"shared") && serves(&two.alice, b"other"));
    two.close().await;
}

#[tokio::test]
async fn a_file_whose_name_the_other_side_takes_is_served_as_the_copy_that_it_becomes() {
    let two = Two::new().await;
    two.share("notes.txt", b"shared").await;
    two.name_content("other.txt", b"other");
    let id = two.entry(&path("other.txt"));
    two.moves(id, EntryId::ROOT, "notes.txt");
    assert_eq!(two.alice.list().len(), 2);
    assert!(serves(&two.alice, b"shared"));
    two.close().await;
}

#[tokio::test]
async fn a_file_whose_conflict_copy_could_not_be_named_is_not_served_again() {
    let two = Two::new().await;
    let notes = two.share("notes.txt", b"secret").await;
    let id = two.entry(&notes);
    // So deep that the name fits, and the longer one of a conflict copy does not.
    let folder = ["x".repeat(250).as_str(); 16].join("/") + "/" + &"y".repeat(70);
    let added = two.mallory.share.files().catalog.add_folder(&path(&folder));
    assert!(!added.unwrap().is_empty());
    two.alice_hears();
    let inside = two.entry(&path(&folder));
    two.moves(id, inside, "notes.txt");
    assert!(serves(&two.alice, b"secret"));
    two.mallory_hears();
    two.name_content("other.txt", b"other");
    let other = two.entry(&path("other.txt"));
    two.moves(other, inside, "notes.txt");
    assert!(!two.alice.list().iter().any(|shown| shown.id == id));
    two.moves(other, EntryId::ROOT, "other.txt");
    assert!(two.alice.list().iter().any(|shown| shown.id == id));
    assert!(!serves(&two.alice, b"secret"));
    two.close().await;
}
