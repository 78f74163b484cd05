//! `tandem share` and `tandem join --once`.

use crate::home::{Homes, read, write};
use crate::process::Tandem;

#[tokio::test]
async fn what_one_person_shares_arrives_at_the_other() {
    let homes = Homes::new();
    let (mut share, code) = homes.alice_shares(&[("a.txt", "one"), ("in/b.txt", "two")]).await;
    let joined = homes.bob_joins_once(&code).await;
    assert_eq!(joined.code, Some(0), "{}", joined.stderr);
    assert_eq!(joined.stdout, "");
    assert_eq!(read(&homes.bob().join("photos/a.txt")), "one");
    assert_eq!(read(&homes.bob().join("photos/in/b.txt")), "two");
    share.says("the other side is gone").await;
}

#[tokio::test]
async fn both_screens_show_the_same_check() {
    let homes = Homes::new();
    let (mut share, code) = homes.alice_shares(&[("a.txt", "one")]).await;
    let mut join = homes.bob_joins(&code, &["--once"]).await;
    let (at_alice, at_bob) = tokio::join!(share.says("check of this pair"), join.says("check of this pair"));
    assert_eq!(at_alice, at_bob);
    assert_eq!(join.ends().await.code, Some(0));
}

#[tokio::test]
async fn with_verify_nothing_is_shared_until_both_have_agreed() {
    let homes = Homes::new();
    write(&homes.alice().join("photos/a.txt"), "one");
    let mut share = Tandem::start(&homes.alice(), &["share", "--verify", "photos"]);
    let code = share.answers().await;
    let mut join = homes.bob_joins(&code, &["--once", "--verify"]).await;
    join.says("check of this pair").await;
    share.says("check of this pair").await;
    join.types("y").await;
    share.types("n").await;
    let (share, join) = (share.ends().await, join.ends().await);
    assert_eq!((share.code, join.code), (Some(4), Some(4)));
    assert!(join.stderr.contains("declined"), "{}", join.stderr);
    assert_eq!(
        read(&homes.bob().join("photos/a.txt")),
        "(No such file or directory (os error 2))"
    );
}

#[tokio::test]
async fn single_files_arrive_in_the_folder_that_is_named() {
    let homes = Homes::new();
    write(&homes.alice().join("a.txt"), "one");
    write(&homes.alice().join("docs/b.txt"), "two");
    let mut share = Tandem::start(&homes.alice(), &["share", "a.txt", "docs"]);
    let code = share.answers().await;
    let join = homes.bob_joins(&code, &["--once", "inbox"]).await.ends().await;
    assert_eq!(join.code, Some(0), "{}", join.stderr);
    assert_eq!(read(&homes.bob().join("inbox/a.txt")), "one");
    assert_eq!(read(&homes.bob().join("inbox/docs/b.txt")), "two");
}

#[tokio::test]
async fn single_files_arrive_in_a_new_folder_if_none_is_named() {
    let homes = Homes::new();
    write(&homes.alice().join(".profile"), "harmful");
    write(&homes.alice().join("docs/b.txt"), "two");
    let mut share = Tandem::start(&homes.alice(), &["share", ".profile", "docs"]);
    let code = share.answers().await;
    let joined = homes.bob_joins_once(&code).await;
    assert_eq!(joined.code, Some(0), "{}", joined.stderr);
    assert_eq!(read(&homes.bob().join("shared/docs/b.txt")), "two");
    assert!(!homes.bob().join(".profile").exists());
}

#[tokio::test]
async fn a_relay_that_is_named_is_part_of_the_code() {
    let homes = Homes::new();
    let universe = tandem_tests::universe::Universe::builder()
        .strangers()
        .build()
        .await;
    write(&homes.alice().join("photos/a.txt"), "one");
    let url = universe.relay.url();
    let mut share = Tandem::start(&homes.alice(), &["share", "--relay", url.as_str(), "photos"]);
    let code = share.answers().await;
    let place = code.split('@').nth(1).unwrap();
    assert!(url.as_str().contains(place), "{place} in {url}");
    let joined = homes.bob_joins_once(&code).await;
    assert_eq!(joined.code, Some(0), "{}", joined.stderr);
    assert_eq!(read(&homes.bob().join("photos/a.txt")), "one");
    drop(share);
    universe.close().await;
}
