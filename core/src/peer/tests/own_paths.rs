//! What a pull may write to a path that the user shares a file from: nothing else while the file is
//! there. A new version of the file stays the user's file.

use std::path::Path;

use super::unshared::{Two, path};
use super::{content, serves};
use crate::catalog::{OnExisting, SharePath};

fn read(path: impl AsRef<Path>) -> Vec<u8> {
    std::fs::read(path).unwrap()
}

#[tokio::test]
async fn a_pull_may_write_to_the_path_of_a_shared_file_that_is_gone() {
    let two = Two::new().await;
    let name = two.share("report.txt", b"mine").await;
    two.unlink("report.txt");
    two.name_content("draft", b"other");
    two.share("other.txt", b"other").await;
    let moved = two.mallory.share.files().catalog.rename(&path("draft"), &name);
    assert!(!moved.unwrap().is_empty());
    two.alice_hears();
    let pull = async || two.alice.pull(&name, two.at("report.txt")).await;
    let refused = pull().await.unwrap_err().to_string();
    assert!(refused.contains("hint: move what is there away"), "{refused}");
    std::fs::remove_file(two.at("report.txt")).unwrap();
    pull().await.unwrap();
    assert_eq!(read(two.at("report.txt")), b"other");
    // The file that is there now came from the other side, which may replace it.
    two.share("newer.txt", b"newer").await;
    two.unlink("report.txt");
    two.name_content("report.txt", b"newer");
    pull().await.unwrap();
    assert_eq!(read(two.at("report.txt")), b"newer");
    two.close().await;
}

#[tokio::test]
async fn a_link_takes_the_path_of_a_shared_file_that_is_gone() {
    let two = Two::new().await;
    two.alice
        .add_as(two.write("report.txt", b"mine"), &path("docs/report.txt"))
        .await
        .unwrap();
    two.link("report.txt", "first.txt");
    std::fs::remove_file(two.at("report.txt")).unwrap();
    let link = || two.at("report.txt").read_link().unwrap();
    // The entry that has no file here any more can't be pulled; the link is made all the same.
    drop(two.pull_tree().await);
    assert_eq!(link(), Path::new("first.txt"));
    two.link("report.txt", "second.txt");
    drop(two.pull_tree().await);
    assert_eq!(link(), Path::new("second.txt"));
    two.close().await;
}

#[tokio::test]
async fn what_was_pulled_to_the_path_of_a_file_that_is_gone_is_no_new_version_of_it() {
    let two = Two::new().await;
    let name = path("docs/report.txt");
    two.alice
        .add_as(two.write("report.txt", b"mine"), &name)
        .await
        .unwrap();
    two.share("other.txt", b"other").await;
    two.name_content("report.txt", b"other");
    std::fs::remove_file(two.at("report.txt")).unwrap();
    let pulled = path("report.txt");
    two.alice.pull(&pulled, two.at("report.txt")).await.unwrap();
    two.look_again(b"mine");
    two.write("report.txt", b"private");
    two.look_again(b"other");
    assert_eq!(
        two.alice.share.files().file(&name).unwrap().content,
        content(b"mine")
    );
    assert!(!serves(&two.alice, b"private"));
    two.close().await;
}

/// The other side gives alice's file a new version. She pulls that onto her file and edits it.
async fn with_new_version_pulled_and_edited(two: &Two) -> SharePath {
    let name = two.share("report.txt", b"mine").await;
    two.share("other.txt", b"other").await;
    two.name_content("report.txt", b"other");
    two.alice.pull(&name, two.at("report.txt")).await.unwrap();
    two.write("report.txt", b"edited");
    name
}

#[tokio::test]
async fn a_shared_file_that_got_its_own_new_version_by_a_pull_is_shared_as_before() {
    let two = Two::new().await;
    with_new_version_pulled_and_edited(&two).await;
    two.look_again(b"other");
    assert!(serves(&two.alice, b"edited"));
    two.close().await;
}

#[tokio::test]
async fn a_shared_file_that_got_its_own_new_version_by_a_pull_can_be_added_again() {
    let two = Two::new().await;
    let name = with_new_version_pulled_and_edited(&two).await;
    assert_eq!(two.alice.add(two.at("report.txt")).await.unwrap(), name);
    assert!(serves(&two.alice, b"edited"));
    two.close().await;
}

async fn stays(two: &Two, name: &SharePath) {
    let refused = two.alice.pull(name, two.at("report.txt")).await;
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("report.txt` is shared from there"), "{refused}");
    assert!(refused.contains("hint: share the edit first"), "{refused}");
    drop(two.pull_tree().await);
    assert_eq!(read(two.at("report.txt")), b"edited");
}

#[tokio::test]
async fn a_pull_replaces_no_edit_that_is_not_shared_yet() {
    let two = Two::new().await;
    let name = two.share("report.txt", b"mine").await;
    two.share("other.txt", b"other").await;
    two.name_content("report.txt", b"other");
    two.write("report.txt", b"edited");
    stays(&two, &name).await;
    two.alice.replace(two.at("report.txt"), &name).await.unwrap();
    assert!(serves(&two.alice, b"edited"));
    two.mallory_hears();
    two.name_content("report.txt", b"other");
    two.alice.pull(&name, two.at("report.txt")).await.unwrap();
    assert_eq!(read(two.at("report.txt")), b"other");
    two.close().await;
}

#[tokio::test]
async fn a_pull_replaces_no_edit_of_a_new_version_that_was_pulled_before() {
    let two = Two::new().await;
    let name = with_new_version_pulled_and_edited(&two).await;
    two.unlink("other.txt");
    two.share("third.txt", b"third").await;
    two.name_content("report.txt", b"third");
    stays(&two, &name).await;
    two.close().await;
}

/// Both sides edit the same version, and mallory's has the name.
async fn with_rival(two: &Two) -> SharePath {
    let notes = two.share("notes.txt", b"first").await;
    two.alice
        .replace(two.write("notes.txt", b"mine"), &notes)
        .await
        .unwrap();
    two.mallory
        .share
        .files()
        .catalog
        .add_folder(&path("later"))
        .map(drop)
        .unwrap();
    two.name_content("notes.txt", b"rival");
    let shown = two.alice.share.files().file(&notes).unwrap();
    assert_eq!(shown.content, content(b"rival"));
    notes
}

#[tokio::test]
async fn a_file_is_still_the_users_when_a_rival_of_its_entry_was_removed_or_replaced() {
    for is_replaced in [false, true] {
        let two = Two::new().await;
        let notes = with_rival(&two).await;
        if is_replaced {
            let other = two.write("other.txt", b"other");
            two.alice.replace(other, &notes).await.unwrap();
        } else {
            two.alice.remove(&notes).unwrap();
        }
        assert!(serves(&two.alice, b"mine"), "{is_replaced}");
        two.mallory_hears();
        let at_hand = two.write("../elsewhere", b"harmful");
        two.alice.add_as(at_hand, &path("elsewhere")).await.unwrap();
        let moved = two.mallory.share.files().catalog.rename(&notes, &path("moved"));
        assert!(!moved.unwrap().is_empty());
        two.name_content("notes.txt", b"harmful");
        drop(two.pull_tree().await);
        assert_eq!(
            std::fs::read(two.at("notes.txt")).unwrap(),
            b"mine",
            "{is_replaced}"
        );
        two.close().await;
    }
}

#[tokio::test]
async fn a_version_made_beside_the_users_own_does_not_replace_it_while_it_is_shared() {
    let two = Two::new().await;
    let notes = with_rival(&two).await;
    // The bytes are at hand, so that the pull needs nobody.
    let at_hand = two.write("../elsewhere", b"rival");
    two.alice.add_as(at_hand, &path("elsewhere")).await.unwrap();
    let pull = async || two.alice.pull(&notes, two.at("notes.txt")).await;
    let listed = two.alice.list();
    let mine = listed.iter().find(|shown| shown.has_content(&content(b"mine")));
    let mine = mine.unwrap().path.clone();
    let refused = pull().await.unwrap_err().to_string();
    assert!(
        refused.contains(&format!("shared from there as `{mine}`")),
        "{refused}"
    );
    assert!(refused.contains("or remove"), "{refused}");
    drop(two.pull_tree().await);
    assert_eq!(read(two.at("notes.txt")), b"mine");
    assert!(serves(&two.alice, b"mine"));
    two.alice.remove(&mine).unwrap();
    pull().await.unwrap();
    assert_eq!(read(two.at("notes.txt")), b"rival");
    two.close().await;
}

#[tokio::test]
async fn a_file_that_the_other_side_renamed_onto_another_is_replaced_by_no_version_of_its_old_entry() {
    let two = Two::new().await;
    two.share("target.txt", b"old").await;
    let draft = two.share("draft", b"saved").await;
    two.rename_onto("draft", "target.txt");
    let at_hand = two.write("../elsewhere", b"harmful");
    two.alice.add_as(at_hand, &path("elsewhere")).await.unwrap();
    two.name_content("draft", b"harmful");
    let refused = two
        .alice
        .pull(&draft, two.at("draft"))
        .await
        .unwrap_err()
        .to_string();
    assert!(refused.contains("shared from there as `target.txt`"), "{refused}");
    assert_eq!(read(two.at("draft")), b"saved");
    assert!(serves(&two.alice, b"saved"));
    two.close().await;
}

#[tokio::test]
async fn an_edit_of_a_file_that_was_renamed_onto_another_is_shared() {
    let two = Two::new().await;
    let draft = two.share("draft", b"saved").await;
    let target = two.share("target.txt", b"old").await;
    {
        let mut files = two.alice.share.files();
        let change = files.catalog.rename_with(&draft, &target, OnExisting::Replace);
        files.settle(&change.unwrap());
    }
    two.write("draft", b"edited");
    two.look_again(b"saved");
    assert!(serves(&two.alice, b"edited"));
    let shown = two.alice.share.files().file(&target).unwrap();
    assert_eq!(shown.content, content(b"edited"));
    two.close().await;
}

#[tokio::test]
async fn a_rival_takes_the_path_of_the_users_version_when_that_is_gone() {
    let two = Two::new().await;
    let notes = with_rival(&two).await;
    let at_hand = two.write("../elsewhere", b"rival");
    two.alice.add_as(at_hand, &path("elsewhere")).await.unwrap();
    std::fs::remove_file(two.at("notes.txt")).unwrap();
    two.alice.pull(&notes, two.at("notes.txt")).await.unwrap();
    assert_eq!(read(two.at("notes.txt")), b"rival");
    assert!(!serves(&two.alice, b"mine"));
    // It is still the user's file of that entry.
    two.write("notes.txt", b"edited");
    two.look_again(b"rival");
    assert!(serves(&two.alice, b"edited"));
    two.close().await;
}

#[tokio::test]
async fn a_rival_in_a_twin_of_the_users_entry_does_not_replace_the_users_file() {
    let two = Two::new().await;
    let name = path("notes.txt");
    let mine = two.alice.add_as(two.write("notes.txt", b"mine"), &name);
    mine.await.unwrap();
    two.name_content("other", b"other");
    two.name_content("notes.txt", b"mine");
    let twin = two.mallory.share.files().catalog.lookup(&name).unwrap().id;
    let at_hand = two.write("../elsewhere", b"rival");
    two.alice.add_as(at_hand, &path("elsewhere")).await.unwrap();
    two.name_content("notes.txt", b"rival");
    let shown = two.alice.share.files().file(&name).unwrap();
    assert_eq!((shown.entry, shown.content), (twin, content(b"rival")));
    let refused = two.alice.pull(&name, two.at("notes.txt")).await;
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("is shared from there"), "{refused}");
    assert_eq!(read(two.at("notes.txt")), b"mine");
    two.close().await;
}
