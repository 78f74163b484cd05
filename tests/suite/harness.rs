//! The harness itself: it cleans up, it notices tests that leave something behind, and universes
//! are isolated.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tandem_tests::ports::{self, Origin};
use tandem_tests::universe::Universe;

#[tokio::test]
async fn close_leaves_no_directory_and_no_port() {
    let universe = Universe::new().await;
    let (root, addr) = (universe.root().to_owned(), universe.alice.addr());
    universe.close().await;
    assert!(!root.exists());
    assert!(tandem_tests::leaks::is_released(addr));
}

#[tokio::test]
async fn a_forgotten_close_panics_and_keeps_the_directory() {
    let universe = Universe::new().await;
    let root = universe.root().to_owned();
    let payload = catch_unwind(AssertUnwindSafe(|| drop(universe))).unwrap_err();
    let message = payload.downcast_ref::<&str>().copied().unwrap_or_default();
    assert!(message.contains("without `close().await`"), "{message}");
    assert!(root.join("alice").exists());
    std::fs::remove_dir_all(root).unwrap();
}

#[tokio::test]
async fn an_unexpected_file_is_a_leak() {
    let universe = Universe::new().await;
    let root = universe.root().to_owned();
    std::fs::write(root.join("alice/stray.part"), b"left").unwrap();
    let tasks = tokio::task::LocalSet::new();
    let closing = tasks.run_until(async { tokio::task::spawn_local(universe.close()).await });
    assert!(closing.await.unwrap_err().is_panic());
    std::fs::remove_dir_all(root).unwrap();
}

#[tokio::test]
async fn two_universes_at_once_are_isolated() {
    let (here, there) = tokio::join!(Universe::new(), Universe::new());
    here.alice.add("notes.txt", b"here").await;
    there.alice.add("notes.txt", b"there").await;
    assert_eq!(here.bob.pull("notes.txt").await, b"here");
    assert_eq!(there.bob.pull("notes.txt").await, b"there");
    here.close().await;
    there.close().await;
}

#[test]
fn a_claim_in_a_full_band_gets_another_port_and_reports_it() {
    let taken = ports::claim_anywhere().unwrap();
    let port = taken.addr.port();
    let claim = ports::claim(port..=port).unwrap();
    assert!(matches!(claim.origin, Origin::Exhausted { .. }));
    assert!(
        claim.origin.to_string().contains("every port"),
        "{}",
        claim.origin
    );
}
