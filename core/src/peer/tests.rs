//! What a peer serves, seen from inside: the other side of the privacy promise that a removed file is gone.

mod reading;
mod speed;

use std::path::{Path, PathBuf};

use super::{Peer, PeerConfig};
use crate::catalog::{ContentId, SharePath};
use crate::transfer::Holder;

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
    !peer.shared.sources(&content(bytes)).is_empty()
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
