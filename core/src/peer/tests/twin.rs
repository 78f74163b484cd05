//! The other side makes a twin of a shared file: a second entry with the same name and content,
//! which is shown as one with it. What the user does with the file gives the twin nothing.

use super::serves;
use super::unshared::{Two, path};
use crate::catalog::{EntryId, SharePath};

const SECRET: &[u8] = b"by mistake";

/// Alice shares a file, and mallory makes a newer twin of it.
async fn with_twin() -> (Two, SharePath, EntryId) {
    let two = Two::new().await;
    let name = path("tax.pdf");
    let shared = two.alice.add_as(two.write("tax.pdf", SECRET), &name);
    shared.await.unwrap();
    two.name_content("other", b"other");
    two.name_content("tax.pdf", SECRET);
    let twin = two.mallory.share.files().catalog.lookup(&name).unwrap().id;
    assert_eq!(two.alice.share.files().catalog.entries_at(&name).len(), 2);
    (two, name, twin)
}

/// Mallory moves the twin alone out of the way, and alice removes her file.
fn part(two: &Two, name: &SharePath, twin: EntryId) {
    let mut states = two.alice.share.files().catalog.all_states();
    states.retain(|(id, _)| *id == twin);
    two.mallory.share.merge(states).unwrap();
    let renamed = two.mallory.share.files().catalog.rename(name, &path("pin"));
    assert!(!renamed.unwrap().is_empty());
    two.alice_hears();
    assert!(two.alice.share.files().file(&path("pin")).is_some());
    assert!(serves(&two.alice, SECRET));
    two.alice.remove(name).unwrap();
}

#[tokio::test]
async fn a_file_that_was_renamed_with_its_twin_is_not_served_for_the_twin() {
    let (two, name, twin) = with_twin().await;
    let renamed = path("renamed.pdf");
    two.alice.rename(&name, &renamed).unwrap();
    part(&two, &renamed, twin);
    assert!(!serves(&two.alice, SECRET));
    two.close().await;
}

#[tokio::test]
async fn a_file_that_was_added_again_is_not_served_for_its_twin() {
    let (two, name, twin) = with_twin().await;
    two.alice.add_as(two.at("tax.pdf"), &name).await.unwrap();
    part(&two, &name, twin);
    assert!(!serves(&two.alice, SECRET));
    two.close().await;
}

#[tokio::test]
async fn a_file_that_was_pulled_onto_itself_is_not_served_for_its_twin() {
    let (two, name, twin) = with_twin().await;
    two.alice.pull(&name, two.at("tax.pdf")).await.unwrap();
    part(&two, &name, twin);
    assert!(!serves(&two.alice, SECRET));
    two.close().await;
}
