//! `tandem stop` and `forget`.

use crate::home::{Homes, answers, read, write};
use crate::process::Tandem;

#[tokio::test]
async fn a_share_that_was_stopped_is_free_at_once() {
    let homes = Homes::new();
    let (share, join) = homes.following().await;
    Tandem::told(&homes.alice(), &["stop", "photos"]).await;
    let up = Tandem::start(&homes.alice(), &["up"]);
    let ended = share.ends().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("as another process has asked"),
        "{}",
        ended.stderr
    );
    answers(&homes.alice(), &["status"], "connected to").await;
    Tandem::told(&homes.alice(), &["stop"]).await;
    Tandem::told(&homes.bob(), &["stop"]).await;
    assert_eq!((up.ends().await.code, join.ends().await.code), (Some(0), Some(0)));
}

#[tokio::test]
async fn a_code_that_nobody_has_used_is_taken_back_by_stop() {
    let homes = Homes::new();
    let (share, code) = homes.alice_shares(&[("a.txt", "one")]).await;
    Tandem::told(&homes.alice(), &["stop"]).await;
    assert_eq!(share.ends().await.code, Some(0));
    assert_eq!(Tandem::told(&homes.alice(), &["ls"]).await, "");
    assert_ne!(homes.bob_joins_once(&code).await.code, Some(0));
}

#[tokio::test]
async fn of_two_shares_that_one_process_runs_one_can_be_stopped() {
    let homes = Homes::new();
    let (share, join) = homes.following().await;
    write(&homes.alice().join("notes/c.txt"), "three");
    let mut notes = Tandem::start(&homes.alice(), &["share", "notes"]);
    let code = notes.answers().await;
    assert_eq!(homes.bob_joins_once(&code).await.code, Some(0));
    Tandem::told(&homes.alice(), &["stop"]).await;
    assert_eq!(
        (share.ends().await.code, notes.ends().await.code),
        (Some(0), Some(0))
    );
    let mut up = Tandem::start(&homes.alice(), &["up"]);
    up.says("sharing").await;
    up.says("sharing").await;
    Tandem::told(&homes.alice(), &["stop", "notes"]).await;
    let status = Tandem::told(&homes.alice(), &["status"]).await;
    assert!(status.contains(&format!("process {}", up.id())), "{status}");
    assert!(
        status.contains("does not run, `tandem up notes` starts it"),
        "{status}"
    );
    let _again = Tandem::start(&homes.alice(), &["up", "notes"]);
    answers(&homes.alice(), &["status", "notes"], "looks for").await;
    up.interrupt();
    assert_eq!(up.ends().await.code, Some(130));
    drop(join);
}

#[tokio::test]
async fn a_share_that_is_forgotten_is_stopped_and_gone_and_its_files_stay() {
    let homes = Homes::new();
    let (_share, join) = homes.following().await;
    let mut declined = Tandem::start(&homes.bob(), &["forget", "photos"]);
    declined.types("n").await;
    assert_eq!(declined.ends().await.code, Some(4));
    let mut forget = Tandem::start(&homes.bob(), &["forget", "photos"]);
    forget.types("y").await;
    let ended = forget.ends().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(join.ends().await.code, Some(0));
    assert_eq!(read(&homes.bob().join("photos/a.txt")), "one");
    assert!(!homes.bob().join("state/shares/photos").exists());
    let refused = Tandem::refused(&homes.bob(), 2, &["up", "photos"]).await;
    assert!(refused.contains("there is no share `photos`"), "{refused}");
    let refused = Tandem::refused(&homes.bob(), 2, &["forget", "--yes", "photos"]).await;
    assert!(refused.contains("there is no share `photos`"), "{refused}");
}
