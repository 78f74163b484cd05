//! When the journal is behind, nothing is removed that it still needs.

use std::ffi::OsStr;

use crate::mount::{Inode, IoWish, NewFile, OpenMode, Owner};
use crate::peer::{Peer, PeerConfig};

#[tokio::test]
async fn a_file_of_a_mount_is_removed_only_when_the_journal_does_not_need_it_any_more() {
    let root = tempfile::tempdir().unwrap();
    let config = PeerConfig::new("http://[::1]:9/".parse().unwrap())
        .listen("127.0.0.1:0".parse().unwrap())
        .state(root.path().join("state"))
        .store(root.path().join("store"));
    let peer = Peer::start(config).await.unwrap();
    let fs = peer.file_system().unwrap();
    let owner = Owner { uid: 7, gid: 8 };
    let new = NewFile { mode: 0o640, owner };
    let (made, opened) = fs
        .create(
            (Inode::ROOT, OsStr::new("a")),
            new,
            OpenMode::WRITE,
            IoWish::Calls,
        )
        .unwrap();
    fs.write(opened.handle, 0, b"first").unwrap();
    fs.release(opened.handle).unwrap();
    peer.save().await.unwrap();
    let written = || {
        std::fs::read_dir(root.path().join("store/written"))
            .unwrap()
            .count()
    };
    assert_eq!(written(), 1);

    let share = peer.share();
    let behind = share.saving.as_ref().unwrap().journal();
    let opened = fs.open(made.inode, OpenMode::WRITE, IoWish::Calls).unwrap();
    fs.write(opened.handle, 0, b"second").unwrap();
    fs.release(opened.handle).unwrap();
    assert_eq!(written(), 2);
    drop(behind);
    peer.save().await.unwrap();
    assert_eq!(written(), 1);
    drop(fs);
    peer.close().await.unwrap();
}
