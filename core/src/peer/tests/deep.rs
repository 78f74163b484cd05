//! Sharing a folder whose tree another program has made.

use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};

use super::lonely_peer;

/// Nested folders, deeper than the longest path that the system takes in one call.
fn nest(at: &Path, depth: usize) {
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut folder = openat(CWD, at, flags, Mode::empty()).unwrap();
    for _ in 0..depth {
        mkdirat(&folder, "d", Mode::RWXU).unwrap();
        folder = openat(&folder, "d", flags, Mode::empty()).unwrap();
    }
}

#[tokio::test]
async fn a_tree_that_is_too_deep_is_left_out_and_the_rest_is_shared() {
    let (root, peer) = (tempfile::tempdir().unwrap(), lonely_peer().await);
    std::fs::write(root.path().join("notes.txt"), b"text").unwrap();
    nest(root.path(), 3_000);
    let added = peer.add_tree(root.path(), None).await.unwrap();
    assert_eq!((added.count, added.skipped.len()), (1, 1));
    let skipped = added.skipped[0].reason.as_ref().unwrap().to_string();
    assert!(skipped.contains("names deep"), "{skipped}");
    peer.close().await.unwrap();
}
