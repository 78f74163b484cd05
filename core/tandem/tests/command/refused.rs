//! What is refused, with which exit code and in which words.

use crate::home::{Homes, read, write};
use crate::process::Tandem;
#[cfg(unix)]
use tandem_tests::universe::Universe;

/// A code that nobody has made.
const FOREIGN: &str = "RKJQ-9XMJ-4PEA-CGHZ-T479";

#[tokio::test]
async fn a_code_is_good_for_one_person() {
    let homes = Homes::new();
    let (_share, code) = homes.alice_shares(&[("a.txt", "one")]).await;
    assert_eq!(homes.bob_joins_once(&code).await.code, Some(0));
    let again = homes.bob_joins(&code, &["--once", "again"]).await.ends().await;
    assert_eq!(again.code, Some(4));
    assert!(again.stderr.contains("used already"), "{}", again.stderr);
}

#[tokio::test]
async fn a_code_that_nobody_has_made_is_unknown() {
    let homes = Homes::new();
    let (_share, code) = homes.alice_shares(&[("a.txt", "one")]).await;
    let place = code.split('@').nth(1).unwrap();
    let joined = homes.bob_joins_once(&format!("{FOREIGN}@{place}")).await;
    assert_eq!(joined.code, Some(4));
    assert!(
        joined.stderr.contains("no invitation with this code"),
        "{}",
        joined.stderr
    );
}

#[tokio::test]
async fn a_typing_error_is_named() {
    let homes = Homes::new();
    let joined = homes.bob_joins_once("RKJQ-9XMJ-4PEA-CGHZ-T478@192.0.2.1").await;
    assert_eq!(joined.code, Some(2));
    assert!(joined.stderr.contains("typing error"), "{}", joined.stderr);
    let joined = homes.bob_joins_once(FOREIGN).await;
    assert_eq!(joined.code, Some(2));
    assert!(joined.stderr.contains("names no relay"), "{}", joined.stderr);
}

#[tokio::test]
async fn a_code_on_the_command_line_is_refused_unless_that_is_asked_for() {
    let homes = Homes::new();
    let place = format!("{FOREIGN}@[::1]:1");
    let refused = Tandem::start(&homes.bob(), &["join", &place]).ends().await;
    assert_eq!(refused.code, Some(2));
    assert!(
        refused.stderr.contains("can be read by every user"),
        "{}",
        refused.stderr
    );
    let args = ["join", "--code-on-command-line", &place];
    let allowed = Tandem::start(&homes.bob(), &args).ends().await;
    assert_eq!(allowed.code, Some(3), "{}", allowed.stderr);
}

#[tokio::test]
async fn nothing_that_was_there_is_replaced() {
    let homes = Homes::new();
    let (_share, code) = homes.alice_shares(&[("a.txt", "one"), ("b.txt", "two")]).await;
    write(&homes.bob().join("photos/b.txt"), "mine");
    let joined = homes.bob_joins(&code, &["--once", "photos"]).await.ends().await;
    assert_eq!(joined.code, Some(6));
    assert!(
        joined.stderr.contains("`b.txt` is in `photos` already"),
        "{}",
        joined.stderr
    );
    assert_eq!(read(&homes.bob().join("photos/b.txt")), "mine");
}

#[tokio::test]
async fn the_other_side_chooses_no_folder_that_is_there_already() {
    let homes = Homes::new();
    let (share, code) = homes.alice_shares(&[("a.txt", "one")]).await;
    write(&homes.bob().join("photos/mine.txt"), "mine");
    let joined = homes.bob_joins_once(&code).await;
    assert_eq!(joined.code, Some(6), "{}", joined.stderr);
    assert!(
        joined.stderr.contains("name a folder: tandem join DIR"),
        "{}",
        joined.stderr
    );
    assert!(!homes.bob().join("photos/a.txt").exists());
    // Nothing is begun at the other side either.
    let share = share.ends().await;
    assert_eq!(share.code, Some(4), "{}", share.stderr);
    assert!(share.stderr.contains("declined"), "{}", share.stderr);
    let up = Tandem::start(&homes.alice(), &["up"]).ends().await;
    assert!(up.stderr.contains("there is no share yet"), "{}", up.stderr);
}

#[cfg(unix)]
#[tokio::test]
#[ignore = "needs root"]
async fn the_other_side_chooses_no_folder_of_another_user() {
    let homes = Homes::new();
    let (_share, code) = homes.alice_shares(&[("a.txt", "one")]).await;
    let photos = homes.bob().join("photos");
    std::fs::create_dir(&photos).unwrap();
    std::os::unix::fs::chown(&photos, Some(1), None).unwrap();
    let joined = homes.bob_joins_once(&code).await;
    assert_eq!(joined.code, Some(6), "{}", joined.stderr);
    assert!(!photos.join("a.txt").exists());
}

#[tokio::test]
async fn the_other_side_chooses_no_hidden_folder() {
    let homes = Homes::new();
    write(&homes.alice().join(".ssh/authorized_keys"), "harmful");
    let mut share = Tandem::start(&homes.alice(), &["share", ".ssh"]);
    let code = share.answers().await;
    let joined = homes.bob_joins_once(&code).await;
    assert_eq!(joined.code, Some(0), "{}", joined.stderr);
    assert!(!homes.bob().join(".ssh").exists());
    assert_eq!(read(&homes.bob().join("shared/authorized_keys")), "harmful");
}

#[tokio::test]
async fn what_is_not_there_can_not_be_shared() {
    let homes = Homes::new();
    let ended = Tandem::start(&homes.alice(), &["share", "nowhere"]).ends().await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(6), ""));
    assert!(ended.stderr.contains("`nowhere`"), "{}", ended.stderr);
}

#[cfg(unix)]
#[tokio::test]
async fn ctrl_c_takes_the_code_back_and_ends_with_130() {
    let homes = Homes::new();
    let universe = Universe::builder().strangers().build().await;
    let (share, code) = homes
        .alice_shares_by(&["--relay", universe.relay.url().as_str()])
        .await;
    share.interrupt();
    assert_eq!(share.ends().await.code, Some(130));
    let joined = homes.bob_joins_once(&code).await;
    assert_eq!(joined.code, Some(4));
    assert!(joined.stderr.contains("took this code back"), "{}", joined.stderr);
    universe.close().await;
}

#[cfg(unix)]
#[tokio::test]
async fn ctrl_c_ends_a_question() {
    let homes = Homes::new();
    let (mut share, code) = homes.alice_shares_by(&["--verify"]).await;
    let join = homes.bob_joins(&code, &["--once"]).await;
    share.says("check of this pair").await;
    share.interrupt();
    assert_eq!(share.ends_unasked().await.code, Some(130));
    let join = join.ends().await;
    assert_eq!(join.code, Some(4));
    assert!(
        join.stderr.contains("stopped before it had agreed"),
        "{}",
        join.stderr
    );
}

#[tokio::test]
async fn the_secret_key_can_not_be_shared() {
    let homes = Homes::new();
    let refused = Tandem::start(&homes.alice(), &["share", "."]).ends().await;
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(2), ""));
    assert!(refused.stderr.contains("secret key"), "{}", refused.stderr);
}

#[tokio::test]
async fn a_place_that_is_named_has_the_port_of_this_relay_unless_it_names_one() {
    let homes = Homes::new();
    for (at, beginning) in [
        ("192.0.2.7", "192.0.2.7:2"),
        ("2001:db8::7", "[2001:db8::7]:2"),
        ("192.0.2.7:80", "192.0.2.7"),
        ("home.example.org", "http://home.example.org:2"),
    ] {
        let (_share, code) = homes.alice_shares_by(&["--at", at]).await;
        let place = code.split('@').nth(1).unwrap();
        assert!(place.starts_with(beginning), "{place}");
    }
}
