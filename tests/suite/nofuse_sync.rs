//! The other side follows each change: removals, renames, and edits by both at once.

use tandem_core::catalog::SharePath;
use tandem_core::peer::{PullError, ShareError};
use tandem_tests::universe::Universe;

use crate::temper::quick_to_return;

#[tokio::test]
async fn a_removed_file_disappears_on_the_other_side() {
    let universe = Universe::new().await;
    universe.alice.add("stays.txt", b"stays").await;
    universe.alice.add("goes.txt", b"goes").await;
    universe.bob.lists("goes.txt").await;
    universe.alice.remove("goes.txt");
    universe.bob.misses("goes.txt").await;
    assert_eq!(universe.bob.list(), ["stays.txt"]);
    let refusal = universe.bob.try_pull("goes.txt").await.unwrap_err();
    assert!(matches!(refusal, PullError::Unknown { .. }), "{refusal:?}");
    universe.close().await;
}

#[tokio::test]
async fn either_side_can_remove_a_file_that_the_other_shares() {
    let universe = Universe::new().await;
    universe.alice.add("shared.txt", b"shared").await;
    universe.bob.lists("shared.txt").await;
    universe.bob.remove("shared.txt");
    universe.alice.misses("shared.txt").await;
    assert!(
        universe.alice.original("shared.txt").exists(),
        "removing a file from the share deleted the original"
    );
    universe.close().await;
}

#[tokio::test]
async fn a_renamed_file_has_only_its_new_name_and_keeps_its_content() {
    let universe = Universe::new().await;
    universe.alice.add("old.txt", b"the content").await;
    universe.bob.lists("old.txt").await;
    universe.alice.rename("old.txt", "new.txt");
    universe.bob.lists("new.txt").await;
    assert_eq!(universe.bob.list(), ["new.txt"]);
    assert_eq!(universe.bob.pull("new.txt").await, b"the content");
    universe.close().await;
}

#[tokio::test]
async fn renaming_a_folder_moves_everything_in_it() {
    let universe = Universe::new().await;
    universe.alice.add("old/a.txt", b"a").await;
    universe.alice.add("old/deep/b.txt", b"b").await;
    universe.bob.lists("old/deep/b.txt").await;
    universe.bob.rename("old", "new");
    universe.alice.lists("new/deep/b.txt").await;
    assert_eq!(universe.alice.list(), ["new/a.txt", "new/deep/b.txt"]);
    assert_eq!(universe.bob.pull("new/deep/b.txt").await, b"b");
    universe.close().await;
}

#[tokio::test]
async fn a_removed_name_can_be_shared_again() {
    let universe = Universe::new().await;
    universe.alice.add("phoenix.txt", b"first").await;
    universe.bob.lists("phoenix.txt").await;
    universe.alice.remove("phoenix.txt");
    universe.bob.misses("phoenix.txt").await;
    universe.alice.add("phoenix.txt", b"second").await;
    assert_eq!(universe.bob.pull("phoenix.txt").await, b"second");
    universe.close().await;
}

#[tokio::test]
async fn two_files_that_both_sides_add_under_one_name_are_both_kept() {
    let universe = Universe::builder().strangers().build().await;
    universe.alice.add("plan.txt", b"alice's plan").await;
    universe.bob.add("plan.txt", b"bob's plan").await;
    universe.connect().await;
    for actor in [&universe.alice, &universe.bob] {
        actor.lists_count(2).await;
        let contents = [
            actor.pull(&actor.list()[0]).await,
            actor.pull(&actor.list()[1]).await,
        ];
        assert!(contents.contains(&b"alice's plan".to_vec()) && contents.contains(&b"bob's plan".to_vec()));
    }
    assert_eq!(universe.alice.list(), universe.bob.list());
    universe.close().await;
}

#[tokio::test]
async fn the_same_content_under_one_name_is_not_a_conflict() {
    let universe = Universe::builder().strangers().build().await;
    universe.alice.add("plan.txt", b"our plan").await;
    universe.bob.add("plan.txt", b"our plan").await;
    universe.bob.add("last.txt", b"a mark").await;
    universe.connect().await;
    universe.alice.lists("last.txt").await;
    assert_eq!(universe.alice.list(), ["last.txt", "plan.txt"]);
    universe.close().await;
}

#[tokio::test]
async fn a_removal_does_not_discard_an_edit_it_has_not_seen() {
    let universe = Universe::builder()
        .linked()
        .configure(quick_to_return)
        .build()
        .await;
    universe.alice.add("draft.txt", b"the first version").await;
    universe.bob.lists("draft.txt").await;
    let cut = universe.link().cut();
    universe.bob.remove("draft.txt");
    universe
        .alice
        .add("draft.txt", b"a version bob has not seen")
        .await;
    cut.heal();
    universe
        .bob
        .sees("draft.txt", b"a version bob has not seen")
        .await;
    assert_eq!(universe.alice.list(), ["draft.txt"]);
    universe.close().await;
}

#[tokio::test]
async fn sharing_a_file_again_does_not_undo_the_other_sides_edit() {
    let universe = Universe::new().await;
    universe.alice.add("notes.txt", b"by alice").await;
    universe.bob.lists("notes.txt").await;
    let name = SharePath::parse("notes.txt").unwrap();
    let edit = universe.bob.write("edit.txt", b"by bob");
    universe.bob.peer().replace(&edit, &name).await.unwrap();
    universe.alice.sees("notes.txt", b"by bob").await;
    let original = universe.alice.write("notes.txt", b"by alice again");
    let refusal = universe.alice.peer().add(&original).await.unwrap_err();
    assert!(matches!(refusal, ShareError::NameTaken { .. }), "{refusal:?}");
    assert_eq!(universe.alice.pull("notes.txt").await, b"by bob");
    universe.close().await;
}
