//! `tandem peers`: the other sides, by the names that this person gives them.

use crate::home::{Homes, answers, write};
use crate::process::Tandem;

/// The fingerprint of alice, as bob's `tandem peers` shows it.
async fn alices(homes: &Homes) -> String {
    let peers = Tandem::told(&homes.bob(), &["peers"]).await;
    let words: Vec<_> = peers.split("  ").collect();
    assert_eq!((words[0], words[2]), ("(no name)", "photos\n"), "{peers}");
    words[1].to_owned()
}

#[tokio::test]
async fn the_other_side_gets_a_name_while_the_share_runs_and_while_it_does_not() {
    let homes = Homes::new();
    let (_share, join) = homes.following().await;
    let bob = homes.bob();
    let fingerprint = alices(&homes).await;
    Tandem::told(&bob, &["peers", "rename", &fingerprint, "alice"]).await;
    let status = Tandem::told(&bob, &["status"]).await;
    assert!(status.contains("connected to alice"), "{status}");
    join.interrupt();
    join.ends().await;
    assert_eq!(
        Tandem::told(&bob, &["peers"]).await,
        format!("alice  {fingerprint}  photos\n")
    );
    Tandem::told(&bob, &["peers", "rename", "alice", "Alice at home"]).await;
    let status = Tandem::told(&bob, &["status"]).await;
    assert!(status.contains("with Alice at home; does not run"), "{status}");
}

#[tokio::test]
async fn a_new_share_with_the_same_person_has_the_name_too() {
    let homes = Homes::new();
    let (_share, _join) = homes.following().await;
    let fingerprint = alices(&homes).await;
    Tandem::told(&homes.bob(), &["peers", "rename", &fingerprint, "alice"]).await;
    write(&homes.alice().join("notes/c.txt"), "three");
    let mut notes = Tandem::start(&homes.alice(), &["share", "notes"]);
    let code = notes.answers().await;
    let mut join = homes.bob_joins(&code, &[]).await;
    join.says("connected to alice").await;
    answers(
        &homes.bob(),
        &["peers"],
        &format!("alice  {fingerprint}  notes, photos"),
    )
    .await;
}

#[tokio::test]
async fn names_that_are_none_or_not_known_are_refused() {
    let homes = Homes::new();
    let (_share, _join) = homes.following().await;
    let fingerprint = alices(&homes).await;
    for (args, reason) in [
        (["peers", "rename", "carol", "c"], "nobody is called `carol`"),
        (["peers", "rename", &fingerprint, ""], "can't be a name"),
        (["peers", "rename", &fingerprint, " alice"], "can't be a name"),
        (
            ["peers", "rename", &fingerprint, "a\u{1b}[2J"],
            "`a\\u{1b}[2J` can't be a name",
        ),
        (["peers", "forget", "--yes", "carol"], "nobody is called `carol`"),
    ] {
        let refused = Tandem::refused(&homes.bob(), 2, &args).await;
        assert!(refused.contains(reason), "{args:?}: {refused}");
    }
}

#[tokio::test]
async fn all_shares_with_someone_who_is_forgotten_end() {
    let homes = Homes::new();
    let (_share, join) = homes.following().await;
    let fingerprint = alices(&homes).await;
    Tandem::told(&homes.bob(), &["peers", "forget", "--yes", &fingerprint]).await;
    assert_eq!(join.ends().await.code, Some(0));
    assert_eq!(Tandem::told(&homes.bob(), &["peers"]).await, "");
    assert_eq!(Tandem::told(&homes.bob(), &["ls"]).await, "");
}
