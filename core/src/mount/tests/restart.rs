//! Files that were written through a mount outlive the peer, with one that has a folder for its
//! state.

use std::path::PathBuf;

use super::*;
use crate::catalog::ContentId;
use crate::identity::Identity;
use crate::peer::{Restored, StartError};
use crate::store::OwnFolderError;

/// A place in which peers are started one after the other.
struct Place(tempfile::TempDir);

/// A peer, and its file system.
struct Life {
    peer: Peer,
    fs: FileSystem,
}

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// Starts a peer. One that was dropped may still be ending.
    async fn start(&self) -> Life {
        let at = |name: &str| self.0.path().join(name);
        loop {
            let config = PeerConfig::new("http://[::1]:9/".parse().unwrap())
                .listen("127.0.0.1:0".parse().unwrap())
                .identity(Identity::load_or_create(&at("identity")).unwrap())
                .state(at("state"))
                .store(at("store"));
            match Peer::start(config).await {
                Err(StartError::State(_) | StartError::Store(OwnFolderError::InUse { .. })) => {
                    tokio::task::yield_now().await;
                }
                started => {
                    let peer = started.unwrap();
                    let fs = peer.file_system().unwrap();
                    return Life { peer, fs };
                }
            }
        }
    }

    fn files(&self, folder: &str) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.0.path().join("store").join(folder));
        let entries = entries.into_iter().flatten();
        entries.map(|entry| entry.unwrap().path()).collect()
    }
}

impl Life {
    fn create(&self, name: &str, bytes: &[u8]) -> (Inode, Handle) {
        let place = (Inode::ROOT, OsStr::new(name));
        let made = self
            .fs
            .create(place, new_file(0o640), OpenMode::WRITE, IoWish::Calls);
        let (attributes, opened) = made.unwrap();
        self.fs.write(opened.handle, 0, bytes).unwrap();
        (attributes.inode, opened.handle)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let (_, handle) = self.create(name, bytes);
        self.fs.release(handle).unwrap();
    }

    fn overwrite(&self, name: &str, bytes: &[u8]) {
        let inode = self.fs.lookup(Inode::ROOT, OsStr::new(name)).unwrap().inode;
        let handle = self
            .fs
            .open(inode, OpenMode::WRITE, IoWish::Calls)
            .unwrap()
            .handle;
        self.fs.write(handle, 0, bytes).unwrap();
        self.fs.release(handle).unwrap();
    }

    fn read(&self, name: &str) -> Vec<u8> {
        let inode = self.fs.lookup(Inode::ROOT, OsStr::new(name)).unwrap().inode;
        let handle = self.fs.open(inode, OpenMode::READ, IoWish::Calls).unwrap().handle;
        let bytes = self.fs.read(handle, 0, 1 << 20).unwrap();
        self.fs.release(handle).unwrap();
        bytes
    }

    fn names(&self) -> Vec<String> {
        let listed = self.peer.list();
        listed.iter().map(|shown| shown.path.to_string()).collect()
    }

    fn has_source(&self, bytes: &[u8]) -> bool {
        let content = ContentId {
            hash: *blake3::hash(bytes).as_bytes(),
            len: bytes.len() as u64,
        };
        !self.peer.share().files().sources_of(&content).is_empty()
    }
}

#[tokio::test]
async fn a_file_that_was_written_and_closed_is_read_after_a_restart() {
    let place = Place::new();
    let life = place.start().await;
    life.write("a", b"first");
    life.write("b", b"other");
    life.overwrite("a", b"second");
    drop(life.fs);
    life.peer.close().await.unwrap();
    let life = place.start().await;
    assert_eq!(life.peer.restored(), &Restored::All);
    assert_eq!(
        (life.read("a"), life.read("b")),
        (b"second".to_vec(), b"other".to_vec())
    );
    assert!(life.has_source(b"second") && !life.has_source(b"first"));
    assert_eq!(
        (place.files("written").len(), place.files("recovered").len()),
        (2, 0)
    );
    // It is written and removed as before.
    life.overwrite("a", b"third!");
    assert_eq!(life.read("a"), b"third!");
    life.fs.remove(Inode::ROOT, OsStr::new("b")).unwrap();
    drop(life.fs);
    life.peer.close().await.unwrap();
    assert_eq!(place.files("written").len(), 1);
}

#[tokio::test]
async fn what_a_program_has_synced_is_there_after_a_kill() {
    let place = Place::new();
    let life = place.start().await;
    let (_, handle) = life.create("a", b"synced");
    life.fs.fsync(handle).unwrap();
    let saved = crate::journal::read(&place.0.path().join("state"))
        .unwrap()
        .unwrap();
    assert_eq!(saved.catalog.list().len(), 1);
    drop(life);
    let life = place.start().await;
    assert_eq!(life.peer.restored(), &Restored::UpToAKill);
    assert_eq!(life.read("a"), b"synced");
    drop(life.fs);
    life.peer.close().await.unwrap();
}

#[tokio::test]
async fn a_file_that_was_still_being_written_is_not_in_the_share_after_a_kill_and_its_bytes_are_kept() {
    let place = Place::new();
    let life = place.start().await;
    life.write("whole", b"whole");
    let _open = life.create("half", b"half");
    life.peer.save().await.unwrap();
    // A file system that is dropped shares what is open; one that is killed does not.
    let journal = place.0.path().join("state/journal");
    let saved = std::fs::read(&journal).unwrap();
    drop(life);
    place.start().await.peer.close().await.unwrap();
    std::fs::write(&journal, saved).unwrap();
    let life = place.start().await;
    assert_eq!(life.names(), ["whole"]);
    let recovered = place.files("recovered");
    assert_eq!(recovered.len(), 1);
    assert_eq!(std::fs::read(&recovered[0]).unwrap(), b"half");
    assert_eq!(place.files("written").len(), 1);
    drop(life.fs);
    life.peer.close().await.unwrap();
    assert_eq!(place.files("recovered").len(), 1);
}

#[tokio::test]
async fn a_file_is_saved_once_it_is_closed() {
    let place = Place::new();
    let life = place.start().await;
    let saved = || {
        let saved = crate::journal::read(&place.0.path().join("state"))
            .unwrap()
            .unwrap();
        saved.catalog.list().len()
    };
    for (count, bytes) in [(1, b"a".as_slice()), (2, b"")] {
        let (_, handle) = life.create(&format!("{count}"), bytes);
        life.peer.save().await.unwrap();
        assert_eq!(saved(), count - 1);
        life.fs.release(handle).unwrap();
        life.peer.save().await.unwrap();
        assert_eq!(saved(), count);
    }
    drop(life.fs);
    life.peer.close().await.unwrap();
}

#[tokio::test]
async fn written_files_stay_where_they_are_when_the_journal_can_not_be_used() {
    let place = Place::new();
    let life = place.start().await;
    life.write("a", b"a");
    drop(life.fs);
    life.peer.close().await.unwrap();
    let written = place.files("written");
    std::fs::write(place.0.path().join("state/journal"), b"damaged").unwrap();
    let life = place.start().await;
    assert!(matches!(life.peer.restored(), Restored::SetAside { .. }));
    assert_eq!(
        (place.files("written"), place.files("recovered").len()),
        (written, 0)
    );
    drop(life.fs);
    life.peer.close().await.unwrap();
}
