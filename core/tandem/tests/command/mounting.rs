//! `tandem mount`, for a share that runs and for one that does not.

use crate::home::{Homes, answers, read, write};
use crate::process::Tandem;

#[tokio::test]
#[ignore = "needs fuse"]
async fn a_running_share_is_shown_on_a_folder_until_it_stops() {
    let homes = Homes::new();
    let (_share, join) = homes.following().await;
    let bob = homes.bob();
    Tandem::told(&bob, &["mount", "shown"]).await;
    assert_eq!(read(&bob.join("shown/in/b.txt")), "two");
    write(&bob.join("shown/new.txt"), "by bob");
    answers(&homes.alice(), &["ls", "photos"], "new.txt").await;
    let status = Tandem::told(&bob, &["status"]).await;
    assert!(
        status.contains("shown on `") && status.contains("shown` too"),
        "{status}"
    );
    let refused = Tandem::refused(&bob, 7, &["mount", "photos", "photos/a.txt"]).await;
    assert!(refused.contains("photos/a.txt"), "{refused}");
    let refused = Tandem::refused(&bob, 7, &["mount", "photos", "photos"]).await;
    assert!(refused.contains("is not empty"), "{refused}");
    std::fs::create_dir(homes.alice().join("photos/within")).unwrap();
    let refused = Tandem::refused(&homes.alice(), 7, &["mount", "photos", "photos/within"]).await;
    assert!(
        refused.contains("is in a folder that this share shares"),
        "{refused}"
    );
    Tandem::told(&bob, &["stop"]).await;
    assert_eq!(join.ends().await.code, Some(0));
    assert_eq!(std::fs::read_dir(bob.join("shown")).unwrap().count(), 0);
}

#[tokio::test]
#[ignore = "needs fuse"]
async fn a_share_that_does_not_run_is_started_and_shown() {
    let homes = Homes::new();
    let (_share, join) = homes.following().await;
    let bob = homes.bob();
    Tandem::told(&bob, &["stop"]).await;
    assert_eq!(join.ends().await.code, Some(0));
    let mut mount = Tandem::start(&bob, &["mount", "photos", "shown"]);
    mount.says("is mounted on").await;
    answers(&bob, &["status"], "connected to").await;
    answers(&bob, &["ls", "photos:in"], "in/b.txt").await;
    assert_eq!(read(&bob.join("shown/in/b.txt")), "two");
    mount.interrupt();
    assert_eq!(mount.ends().await.code, Some(130));
    assert_eq!(std::fs::read_dir(bob.join("shown")).unwrap().count(), 0);
}
