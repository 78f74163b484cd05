//! What a peer serves, checked from inside: the holder's side of the promise that a removed file is
//! not served.

mod announced;
mod crossing;
#[cfg(unix)]
mod deep;
mod expectation;
#[cfg(unix)]
mod far_ahead;
#[cfg(unix)]
mod hidden;
mod joined;
#[cfg(unix)]
mod own_paths;
mod reading;
#[cfg(unix)]
mod rereading;
#[cfg(unix)]
mod restart;
mod seeking;
mod stalling;
#[cfg(unix)]
mod twin;
#[cfg(unix)]
mod unshared;

use std::path::{Path, PathBuf};

use super::{Peer, PeerConfig, PullError};
use crate::catalog::{ContentId, LinkTarget, LinkVersion, OnExisting, SharePath};
use crate::transfer::{Holder, Progress};

async fn lonely_peer() -> Peer {
    let relay = "http://127.0.0.1:9".parse().unwrap();
    Peer::start(PeerConfig::new(relay).listen("127.0.0.1:0".parse().unwrap()))
        .await
        .unwrap()
}

fn write(root: &Path, bytes: &[u8]) -> PathBuf {
    let path = root.join("notes.txt");
    std::fs::write(&path, bytes).unwrap();
    path
}

fn content(bytes: &[u8]) -> ContentId {
    ContentId {
        hash: *blake3::hash(bytes).as_bytes(),
        len: bytes.len() as u64,
    }
}

fn serves(peer: &Peer, bytes: &[u8]) -> bool {
    !peer.share.sources(&content(bytes)).is_empty()
}

#[tokio::test]
async fn a_removed_file_is_not_served_any_more() {
    let (root, peer) = (tempfile::tempdir().unwrap(), lonely_peer().await);
    let name = peer.add(write(root.path(), b"secret")).await.unwrap();
    assert!(serves(&peer, b"secret"));
    peer.remove(&name).unwrap();
    assert!(!serves(&peer, b"secret"));
    peer.close().await.unwrap();
}

#[tokio::test]
async fn a_part_file_of_a_pull_is_never_shared_with_its_folder_or_when_it_is_reported() {
    let (root, peer) = (tempfile::tempdir().unwrap(), lonely_peer().await);
    let root = root.path().canonicalize().unwrap();
    write(&root, b"text");
    let part = root.join(".tandem-0123456789abcdef-0123456789abcdef.part");
    std::fs::write(&part, b"half").unwrap();
    let added = peer.add_tree(&root, None).await.unwrap();
    assert_eq!((added.count, added.skipped.len()), (1, 0));
    let name = SharePath::parse("reported.txt").unwrap();
    assert_eq!(peer.add_resolved(&part, Some(&name)).await.unwrap().count, 0);
    let names: Vec<_> = peer
        .list()
        .into_iter()
        .map(|shown| shown.path.to_string())
        .collect();
    assert_eq!(names, ["notes.txt"]);
    peer.close().await.unwrap();
}

#[tokio::test]
async fn a_folder_of_more_files_than_are_hashed_at_once_is_shared_whole() {
    let (root, peer) = (tempfile::tempdir().unwrap(), lonely_peer().await);
    let count = crate::limits::HASH_FILES_MAX + 1;
    for index in 0..count {
        std::fs::write(root.path().join(format!("{index}.txt")), index.to_string()).unwrap();
    }
    assert_eq!(peer.add_tree(root.path(), None).await.unwrap().count, count);
    assert!(serves(&peer, b"0") && serves(&peer, (count - 1).to_string().as_bytes()));
    peer.close().await.unwrap();
}

#[tokio::test]
async fn a_replaced_content_is_not_served_any_more() {
    let (root, peer) = (tempfile::tempdir().unwrap(), lonely_peer().await);
    peer.add(write(root.path(), b"draft")).await.unwrap();
    peer.add(write(root.path(), b"final")).await.unwrap();
    assert!(serves(&peer, b"final") && !serves(&peer, b"draft"));
    peer.close().await.unwrap();
}

#[tokio::test]
async fn a_renamed_file_is_still_served() {
    let (root, peer) = (tempfile::tempdir().unwrap(), lonely_peer().await);
    let name = peer.add(write(root.path(), b"text")).await.unwrap();
    peer.rename(&name, &SharePath::parse("elsewhere/other.txt").unwrap())
        .unwrap();
    assert!(serves(&peer, b"text"));
    peer.close().await.unwrap();
}

#[tokio::test]
async fn a_content_is_served_for_the_file_that_got_it_by_a_rename_onto_it() {
    let (root, peer) = (tempfile::tempdir().unwrap(), lonely_peer().await);
    let name = peer.add(write(root.path(), b"saved")).await.unwrap();
    let target = SharePath::parse("target.txt").unwrap();
    let draft = root.path().join("draft");
    std::fs::write(&draft, b"draft").unwrap();
    peer.add_as(&draft, &target).await.unwrap();
    {
        let mut files = peer.share.files();
        let change = files.catalog.rename_with(&name, &target, OnExisting::Replace);
        files.settle(&change.unwrap());
    }
    assert!(serves(&peer, b"saved") && !serves(&peer, b"draft"));
    peer.close().await.unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn a_pulled_tree_has_its_links_except_those_that_lead_out() {
    let (root, peer) = (tempfile::tempdir().unwrap(), lonely_peer().await);
    let links = [
        ("a/in", "../b"),
        ("a/self", "x/y"),
        ("a/out", "../../b"),
        ("a/abs", "/etc"),
        ("a/maze", "x/.."),
    ];
    for (at, target) in links {
        let target = LinkTarget::new(target).unwrap();
        let link = LinkVersion { target, mtime_ns: 0 };
        let change = peer
            .share
            .files()
            .catalog
            .add_link(&SharePath::parse(at).unwrap(), link);
        assert!(!change.unwrap().is_empty());
    }
    let pull = async |name: Option<&SharePath>| peer.pull_tree(name, root.path(), &Progress::default()).await;
    let left_out = |pulled: super::Pulled| {
        pulled
            .left_out
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    assert_eq!(left_out(pull(None).await.unwrap()), ["a/abs", "a/maze", "a/out"]);
    assert_eq!(root.path().join("a/in").read_link().unwrap(), Path::new("../b"));
    assert_eq!(std::fs::read_dir(root.path().join("a")).unwrap().count(), 2);
    let folder = SharePath::parse("a").unwrap();
    assert_eq!(
        left_out(pull(Some(&folder)).await.unwrap()),
        ["a/abs", "a/in", "a/maze", "a/out"]
    );
    let link = SharePath::parse("a/in").unwrap();
    assert!(matches!(pull(Some(&link)).await, Err(PullError::IsLink { .. })));
    let single = peer.pull(&link, root.path().join("single")).await;
    assert!(matches!(single, Err(PullError::IsLink { .. })));
    peer.close().await.unwrap();
}
