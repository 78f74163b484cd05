//! FUSE on this machine, before tandem itself has a mount: detect, select the feature, run or skip by name.

use tandem_tests::universe::Universe;

#[tokio::test]
#[ignore = "needs fuse"]
async fn a_file_is_read_through_a_mount_that_the_universe_owns() {
    let universe = Universe::new().await;
    let file = universe.mount_probe(b"seven of nine");
    assert_eq!(std::fs::read(file).unwrap(), b"seven of nine");
    universe.close().await;
}
