//! The file system of one peer without a session: what it does with names, contents and handles.

use std::ffi::OsStr;
use std::sync::Arc;

use super::*;
use crate::catalog::SharePath;
use crate::peer::{Peer, PeerConfig};

mod answers;
mod crowds;
#[cfg(all(feature = "fuse", target_os = "linux"))]
mod dead;
mod encounters;
mod hidden;
mod limits;
mod links;
#[cfg(feature = "fuse")]
mod refusals;
mod restart;

const OWNER: Owner = Owner { uid: 7, gid: 8 };

struct Alone {
    peer: Peer,
    fs: FileSystem,
    _store: tempfile::TempDir,
}

async fn alone() -> Alone {
    let store = tempfile::tempdir().unwrap();
    let config = PeerConfig::new("http://[::1]:9/".parse().unwrap()).store(store.path());
    let peer = Peer::start(config.listen("127.0.0.1:0".parse().unwrap()))
        .await
        .unwrap();
    let fs = peer.file_system().unwrap();
    Alone {
        peer,
        fs,
        _store: store,
    }
}

fn new_file(mode: u32) -> NewFile {
    NewFile { mode, owner: OWNER }
}

impl Alone {
    fn create(&self, name: &str) -> (Inode, Handle) {
        let place = (Inode::ROOT, OsStr::new(name));
        let made = self
            .fs
            .create(place, new_file(0o640), OpenMode::WRITE, IoWish::Calls);
        let (attributes, opened) = made.unwrap();
        (attributes.inode, opened.handle)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Inode {
        let (inode, handle) = self.create(name);
        assert_eq!(self.fs.write(handle, 0, bytes).unwrap(), bytes.len());
        self.fs.flush(handle).unwrap();
        self.fs.release(handle).unwrap();
        inode
    }

    /// Shares a file of the user, or its new content.
    async fn share(&self, name: &str, bytes: &[u8]) {
        let original = self._store.path().join("original");
        std::fs::write(&original, bytes).unwrap();
        let name = SharePath::parse(name).unwrap();
        self.peer.add_as(&original, &name).await.unwrap();
    }

    fn open_to_write(&self, inode: Inode) -> Handle {
        let opened = self.fs.open(inode, OpenMode::WRITE, IoWish::Calls);
        opened.unwrap().handle
    }

    fn inode(&self, name: &str) -> Result<Inode, FsError> {
        Ok(self.fs.lookup(Inode::ROOT, OsStr::new(name))?.inode)
    }

    fn read(&self, name: &str) -> Vec<u8> {
        self.read_inode(self.inode(name).unwrap())
    }

    fn read_inode(&self, inode: Inode) -> Vec<u8> {
        let handle = self.fs.open(inode, OpenMode::READ, IoWish::Calls).unwrap().handle;
        let bytes = self.fs.read(handle, 0, 1 << 20).unwrap();
        self.fs.release(handle).unwrap();
        bytes
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), FsError> {
        let [from, to] = [from, to].map(|name| (Inode::ROOT, OsStr::new(name)));
        self.fs.rename(from, to, Renaming::Replace)
    }
}

#[tokio::test]
async fn what_is_written_is_read_and_is_in_the_catalog_once_it_is_closed() {
    let alone = alone().await;
    let (_, handle) = alone.create("notes.txt");
    alone.fs.write(handle, 0, b"hello").unwrap();
    assert_eq!(alone.peer.list()[0].file().unwrap().content.len, 0);
    assert_eq!(alone.read("notes.txt"), b"hello");
    alone.fs.flush(handle).unwrap();
    let listed = alone.peer.list();
    assert_eq!(
        listed[0].file().unwrap().content.hash,
        *blake3::hash(b"hello").as_bytes()
    );
    assert_eq!(listed[0].file().unwrap().mode, 0o640);
    alone.fs.release(handle).unwrap();
    assert_eq!(alone.read("notes.txt"), b"hello");
}

#[tokio::test]
async fn a_rename_onto_a_file_keeps_what_is_open_of_it() {
    let alone = alone().await;
    let old = alone.write("a", b"old");
    let handle = alone.fs.open(old, OpenMode::READ, IoWish::Calls).unwrap().handle;
    let new = alone.write("b", b"new");
    alone.rename("b", "a").unwrap();
    assert_eq!(alone.read("a"), b"new");
    assert_eq!(alone.inode("a").unwrap(), new);
    assert_eq!(alone.fs.read(handle, 0, 9).unwrap(), b"old");
    assert_eq!(alone.fs.attributes(old).unwrap().link_count, 0);
    assert!(matches!(alone.inode("b"), Err(FsError::NotFound)));
    alone.fs.release(handle).unwrap();
}

#[tokio::test]
async fn a_removed_file_lives_until_it_is_closed_and_a_new_one_of_its_name_is_another() {
    let alone = alone().await;
    let (old, handle) = alone.create("a");
    alone.fs.write(handle, 0, b"first").unwrap();
    alone.fs.remove(Inode::ROOT, OsStr::new("a")).unwrap();
    let new = alone.write("a", b"second");
    assert_ne!(old, new);
    alone.fs.write(handle, 5, b" one").unwrap();
    assert_eq!(alone.fs.read(handle, 0, 20).unwrap(), b"first one");
    alone.fs.flush(handle).unwrap();
    alone.fs.release(handle).unwrap();
    assert_eq!(alone.read("a"), b"second");
}

#[tokio::test]
async fn writing_again_leaves_no_file_of_the_old_content_in_the_store() {
    let alone = alone().await;
    let inode = alone.write("a", b"first");
    for bytes in [b"second", b"third!"] {
        let handle = alone
            .fs
            .open(inode, OpenMode::WRITE, IoWish::Calls)
            .unwrap()
            .handle;
        alone.fs.write(handle, 0, bytes).unwrap();
        alone.fs.release(handle).unwrap();
    }
    assert_eq!(alone.read("a"), b"third!");
    let kept = std::fs::read_dir(alone._store.path().join("written")).unwrap();
    assert_eq!(kept.count(), 1);
}

#[tokio::test]
async fn a_file_that_is_flushed_while_it_is_empty_keeps_what_is_written_to_it_afterwards() {
    let alone = alone().await;
    let (_, handle) = alone.create("a");
    alone.fs.flush(handle).unwrap();
    alone.fs.write(handle, 0, b"hi").unwrap();
    alone.fs.flush(handle).unwrap();
    alone.fs.release(handle).unwrap();
    assert_eq!(alone.read("a"), b"hi");
}

#[tokio::test]
async fn a_file_that_is_made_for_reading_only_is_announced_when_it_is_closed() {
    let alone = alone().await;
    let place = (Inode::ROOT, OsStr::new("a"));
    let made = alone
        .fs
        .create(place, new_file(0o640), OpenMode::READ, IoWish::Calls);
    let (made, opened) = made.unwrap();
    alone.fs.release(opened.handle).unwrap();
    let listed = alone.peer.list();
    assert_eq!(listed[0].file().unwrap().mtime_ns, made.modified_ns);
    assert_eq!(
        alone.fs.attributes(made.inode).unwrap().modified_ns,
        made.modified_ns
    );
    let content = listed[0].file().unwrap().content;
    assert_eq!(alone.peer.share().files().sources_of(&content).len(), 1);
}

#[tokio::test]
async fn a_time_that_is_set_while_a_file_is_written_is_shared_with_what_was_written() {
    let alone = alone().await;
    let inode = alone.write("a", b"first");
    let handle = alone
        .fs
        .open(inode, OpenMode::WRITE, IoWish::Calls)
        .unwrap()
        .handle;
    alone.fs.write(handle, 0, b"other").unwrap();
    let before = alone.peer.list();
    let changes = Changes {
        modified_ns: Some(86_400_000_000_000),
        ..Changes::default()
    };
    let changed = alone.fs.set_attributes(inode, Some(handle), &changes).unwrap();
    assert_eq!(changed.modified_ns, 86_400_000_000_000);
    assert_eq!(alone.peer.list(), before);
    alone.fs.release(handle).unwrap();
    let after = *alone.peer.list()[0].file().unwrap();
    assert_eq!(after.mtime_ns, 86_400_000_000_000);
    assert_eq!(after.content.hash, *blake3::hash(b"other").as_bytes());
}

#[tokio::test]
async fn a_file_that_was_not_closed_yet_is_not_announced() {
    let alone = alone().await;
    let (_, handle) = alone.create("a");
    let announced = || {
        let files = alone.peer.share().files();
        let all = files.catalog.all_states().into_iter().map(|(id, _)| id).collect();
        files.not_withheld(all).len()
    };
    alone.rename("a", "b").unwrap();
    assert_eq!(announced(), 1, "it is published before it is renamed");
    let (_, other) = alone.create("c");
    assert_eq!(announced(), 1);
    alone.fs.write(other, 0, b"hello").unwrap();
    alone.fs.flush(other).unwrap();
    assert_eq!(announced(), 2);
    alone.fs.release(other).unwrap();
    alone.fs.release(handle).unwrap();
}

#[tokio::test]
async fn a_time_that_is_set_while_only_a_reader_has_the_file_open_is_shared_when_it_is_closed() {
    let alone = alone().await;
    let (inode, writer) = alone.create("a");
    alone.fs.write(writer, 0, b"hello").unwrap();
    alone.fs.flush(writer).unwrap();
    let reader = alone
        .fs
        .open(inode, OpenMode::READ, IoWish::Calls)
        .unwrap()
        .handle;
    alone.fs.release(writer).unwrap();
    let changes = Changes {
        modified_ns: Some(86_400_000_000_000),
        ..Changes::default()
    };
    alone.fs.set_attributes(inode, None, &changes).unwrap();
    alone.fs.release(reader).unwrap();
    assert_eq!(alone.peer.list()[0].file().unwrap().mtime_ns, 86_400_000_000_000);
}

#[tokio::test]
async fn another_viewer_sees_the_same_file() {
    let alone = alone().await;
    let other = alone.peer.file_system().unwrap();
    let (inode, handle) = alone.create("a");
    alone.fs.write(handle, 0, b"12345").unwrap();
    let seen = other.lookup(Inode::ROOT, OsStr::new("a")).unwrap();
    assert_eq!((seen.inode, seen.len, seen.owner), (inode, 5, OWNER));
    alone.fs.release(handle).unwrap();
}

#[tokio::test]
async fn a_file_added_by_its_owner_is_read_in_place_and_copied_when_it_is_written() {
    let alone = alone().await;
    let original = alone._store.path().join("original");
    std::fs::write(&original, b"mine").unwrap();
    let name = SharePath::parse("shared").unwrap();
    alone.peer.add_as(&original, &name).await.unwrap();
    assert_eq!(alone.read("shared"), b"mine");
    let inode = alone.inode("shared").unwrap();
    let handle = alone
        .fs
        .open(inode, OpenMode::WRITE, IoWish::Calls)
        .unwrap()
        .handle;
    alone.fs.write(handle, 4, b" too").unwrap();
    alone.fs.release(handle).unwrap();
    assert_eq!(alone.read("shared"), b"mine too");
    assert_eq!(std::fs::read(&original).unwrap(), b"mine");
}

#[tokio::test]
async fn a_file_that_its_owner_edits_is_read_as_it_is_now() {
    let alone = alone().await;
    let original = alone._store.path().join("original");
    std::fs::write(&original, b"before").unwrap();
    alone
        .peer
        .add_as(&original, &SharePath::parse("a").unwrap())
        .await
        .unwrap();
    std::fs::write(&original, b"afterwards").unwrap();
    assert_eq!(alone.read("a"), b"afterwards");
}

#[tokio::test]
async fn a_peer_without_a_store_has_no_file_system() {
    let config = PeerConfig::new("http://[::1]:9/".parse().unwrap());
    let peer = Peer::start(config.listen("127.0.0.1:0".parse().unwrap()))
        .await
        .unwrap();
    assert!(matches!(peer.file_system(), Err(MountError::NoStore)));
}

#[cfg(feature = "fuse")]
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs fuse"]
async fn a_mount_is_read_and_written_and_gone_afterwards() {
    let alone = Arc::new(alone().await);
    let at = tempfile::tempdir().unwrap();
    let mount = alone
        .peer
        .mount(at.path(), MountOptions::default())
        .await
        .unwrap();
    let path = at.path().to_owned();
    let using = move || {
        std::fs::write(path.join("a"), b"through the kernel").unwrap();
        std::fs::rename(path.join("a"), path.join("b")).unwrap();
        let names: Vec<_> = std::fs::read_dir(&path)
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        (names, std::fs::read(path.join("b")).unwrap())
    };
    let (names, bytes) = tokio::task::spawn_blocking(using).await.unwrap();
    assert_eq!((names, bytes), (vec!["b".into()], b"through the kernel".to_vec()));
    assert_eq!(alone.read("b"), b"through the kernel");
    mount.unmount().await.unwrap();
    at.close().unwrap();
}
