//! Two peers, connected without a relay: one reads files of the other that it does not have.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::super::{Peer, PeerConfig, SessionState};
use crate::catalog::SharePath;
use crate::share::{RemoteFile, SharedFile};
use crate::store::GROUP_LEN;
use crate::transfer::{FetchFault, Holder};

const GROUP: usize = GROUP_LEN as usize;
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) struct Pair {
    root: TempDir,
    pub(super) alice: Peer,
    bob: Peer,
}

fn config(root: &TempDir, name: &str) -> PeerConfig {
    PeerConfig::new("http://127.0.0.1:9".parse().unwrap())
        .listen("127.0.0.1:0".parse().unwrap())
        .store(root.path().join(name))
}

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + i / 255 + i / GROUP) as u8).collect()
}

impl Pair {
    pub(super) async fn new() -> Self {
        Self::with(|config| config).await
    }

    async fn with(adapt: impl FnOnce(PeerConfig) -> PeerConfig) -> Self {
        let root = tempfile::tempdir().unwrap();
        let alice = Peer::start(adapt(config(&root, "alice"))).await.unwrap();
        let bob = Peer::start(config(&root, "bob")).await.unwrap();
        let pair = Self { root, alice, bob };
        pair.connect().await;
        pair
    }

    async fn connect(&self) {
        self.bob.expect(&self.alice.fingerprint()).unwrap();
        let address = self.bob.local_addr();
        self.alice
            .connect_directly(&self.bob.fingerprint(), &[address])
            .await
            .unwrap();
    }

    /// Bob hangs up.
    async fn disconnect(&self) {
        let mut status = self.alice.context.current.watch_status();
        self.bob.context.current.session().unwrap().say_goodbye();
        let disconnected = status.wait_for(|status| status.state == SessionState::Disconnected);
        timeout(PATIENCE, disconnected).await.unwrap().unwrap();
    }

    /// Shares `bytes` with bob and waits until alice sees them.
    pub(super) async fn share(&self, bytes: &[u8]) -> SharedFile {
        let name = SharePath::parse("film.mkv").unwrap();
        let path = self.root.path().join("film.mkv");
        std::fs::write(&path, bytes).unwrap();
        let mut events = self.alice.events();
        self.bob.add_as(&path, &name).await.unwrap();
        let seen = async {
            loop {
                if let Some(file) = self.alice.share.files().file(&name) {
                    return file;
                }
                events.next().await.unwrap();
            }
        };
        timeout(PATIENCE, seen).await.unwrap()
    }

    async fn read(&self, file: &RemoteFile, range: Range<u64>) -> Result<Vec<u8>, FetchFault> {
        let (sender, outcome) = oneshot::channel();
        let done = Box::new(move |outcome| drop(sender.send(outcome)));
        let share = self.alice.share.clone();
        // From a thread without a runtime, as in a mount.
        std::thread::scope(|scope| {
            scope
                .spawn(|| file.read(&share, range.clone(), done))
                .join()
                .unwrap()
        });
        timeout(PATIENCE, outcome).await.unwrap().unwrap()?;
        let mut buffer = vec![0; usize::try_from(range.end - range.start).unwrap()];
        file.cached().read_at(&mut buffer, range.start).unwrap();
        Ok(buffer)
    }

    pub(super) async fn close(self) {
        self.alice.close().await.unwrap();
        self.bob.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_of_the_other_peer_is_read_and_then_served_from_here() {
    let pair = Pair::new().await;
    let bytes = bytes(5 * GROUP + 3);
    let shared = pair.share(&bytes).await;
    let file = pair.alice.share.remote_file(&shared).unwrap();
    assert!(pair.read(&file, GROUP_LEN + 9..GROUP_LEN + 99).await.unwrap() == bytes[GROUP + 9..GROUP + 99]);
    assert!(!file.cached().is_complete() && pair.alice.share.sources(&shared.content).is_empty());
    let (sender, outcome) = oneshot::channel();
    file.complete(
        &pair.alice.share,
        Box::new(move |outcome| drop(sender.send(outcome))),
    );
    timeout(PATIENCE, outcome).await.unwrap().unwrap().unwrap();
    assert_eq!(pair.alice.share.sources(&shared.content).len(), 1);
    assert!(std::fs::read(file.cached().path()).unwrap() == bytes);
    pair.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_beyond_the_end_is_ready_and_empty() {
    let pair = Pair::new().await;
    let shared = pair.share(b"short").await;
    let file = pair.alice.share.remote_file(&shared).unwrap();
    assert!(file.is_ready(&pair.alice.share, 5..9));
    assert!(!file.is_ready(&pair.alice.share, 0..9));
    assert_eq!(pair.read(&file, 0..5).await.unwrap(), b"short");
    assert!(file.is_ready(&pair.alice.share, 0..9));
    assert!(file.cached().read_at(&mut [0; 6], 0).is_err());
    pair.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_session_a_read_fails_at_once() {
    let pair = Pair::new().await;
    let shared = pair.share(&bytes(5 * GROUP)).await;
    let file = pair.alice.share.remote_file(&shared).unwrap();
    pair.disconnect().await;
    assert_eq!(pair.read(&file, 0..5).await.unwrap_err(), FetchFault::Unreachable);
    pair.connect().await;
    pair.read(&file, 0..5).await.unwrap();
    pair.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_waits_for_a_lost_session_to_come_back() {
    let pair = Pair::new().await;
    let shared = pair.share(&bytes(5 * GROUP)).await;
    let file = pair.alice.share.remote_file(&shared).unwrap();
    pair.read(&file, 0..5).await.unwrap();
    let lost = super::super::DisconnectReason::Lost {
        error: "a cable".to_owned(),
    };
    pair.alice.context.current.session().unwrap().end(lost);
    let (sender, outcome) = oneshot::channel();
    let done = Box::new(move |outcome| drop(sender.send(outcome)));
    file.read(&pair.alice.share, 4 * GROUP_LEN..4 * GROUP_LEN + 5, done);
    pair.connect().await;
    timeout(PATIENCE, outcome).await.unwrap().unwrap().unwrap();
    pair.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_fails_waiting_readers_and_leaves_no_task() {
    let pair = Pair::new().await;
    let shared = pair.share(&bytes(5 * GROUP)).await;
    let file = pair.alice.share.remote_file(&shared).unwrap();
    pair.read(&file, 0..5).await.unwrap();
    let lost = super::super::DisconnectReason::Lost {
        error: "a cable".to_owned(),
    };
    // Else the pair could be connected again, and the reader served, before the close.
    let _was_published = pair.bob.context.current.expect_nobody();
    pair.alice.context.current.session().unwrap().end(lost);
    let (sender, outcome) = oneshot::channel();
    let done = Box::new(move |outcome| drop(sender.send(outcome)));
    file.read(&pair.alice.share, 4 * GROUP_LEN..4 * GROUP_LEN + 5, done);
    pair.close().await;
    assert_eq!(
        timeout(PATIENCE, outcome).await.unwrap().unwrap(),
        Err(FetchFault::Closed)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unused_content_is_dropped_for_room_and_is_no_source_any_more() {
    let pair = Pair::with(|config| config.fetched_len_max(GROUP_LEN)).await;
    let first = pair.share(&bytes(GROUP)).await;
    let file = pair.alice.share.remote_file(&first).unwrap();
    pair.read(&file, 0..5).await.unwrap();
    assert_eq!(pair.alice.share.sources(&first.content).len(), 1);
    drop(file);
    let name = SharePath::parse("other.mkv").unwrap();
    let path = pair.root.path().join("other.mkv");
    std::fs::write(&path, &bytes(3 * GROUP)[GROUP..]).unwrap();
    let mut events = pair.alice.events();
    pair.bob.add_as(&path, &name).await.unwrap();
    while pair.alice.share.files().file(&name).is_none() {
        timeout(PATIENCE, events.next()).await.unwrap().unwrap();
    }
    let second = pair.alice.share.files().file(&name).unwrap();
    let file = pair.alice.share.remote_file(&second).unwrap();
    pair.read(&file, 0..2 * GROUP_LEN).await.unwrap();
    assert!(Arc::strong_count(file.cached()) >= 1);
    assert!(pair.alice.share.sources(&first.content).is_empty());
    assert!(
        pair.alice
            .share
            .peer_store
            .as_ref()
            .unwrap()
            .find(&first.content)
            .is_none()
    );
    pair.close().await;
}

#[tokio::test]
async fn a_store_that_is_in_use_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let first = Peer::start(config(&root, "store")).await.unwrap();
    let error = Peer::start(config(&root, "store")).await.unwrap_err();
    assert!(error.to_string().contains("is in use by another peer"), "{error}");
    first.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spoilt_file_of_the_store_is_forgotten_and_never_shared_as_something_else() {
    let pair = Pair::new().await;
    let shared = pair.share(&bytes(GROUP)).await;
    let file = pair.alice.share.remote_file(&shared).unwrap();
    pair.read(&file, 0..5).await.unwrap();
    let peer = &pair.alice.share;
    let source = peer.sources(&shared.content).remove(0);
    assert!(peer.refresh(&source).is_some(), "it is what it was");
    assert_eq!(peer.sources(&shared.content).len(), 1);
    std::fs::write(file.cached().path(), b"spoilt").unwrap();
    assert!(peer.refresh(&source).is_none());
    assert!(peer.sources(&shared.content).is_empty());
    assert_eq!(peer.files().file(&shared.path).unwrap().content, shared.content);
    pair.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pull_of_what_was_read_needs_no_session() {
    let pair = Pair::new().await;
    let bytes = bytes(3 * GROUP + 1);
    let shared = pair.share(&bytes).await;
    let file = pair.alice.share.remote_file(&shared).unwrap();
    pair.read(&file, 0..3 * GROUP_LEN + 1).await.unwrap();
    pair.disconnect().await;
    let target = pair.root.path().join("pulled.mkv");
    pair.alice.pull(&shared.path, &target).await.unwrap();
    assert!(std::fs::read(&target).unwrap() == bytes);
    // This time it is no source, but is copied group by group.
    std::fs::remove_file(&target).unwrap();
    pair.alice.share.files().forget_cached(file.cached());
    pair.alice.pull(&shared.path, &target).await.unwrap();
    assert!(std::fs::read(&target).unwrap() == bytes);
    pair.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_finds_all_bytes_ready_is_read_ahead_for_too() {
    let pair = Pair::new().await;
    let shared = pair.share(&bytes(9 * GROUP)).await;
    let file = pair.alice.share.remote_file(&shared).unwrap();
    pair.read(&file, 0..5).await.unwrap();
    assert!(file.is_ready(&pair.alice.share, 5..GROUP_LEN));
    let fetched = async {
        while !file.cached().has(2 * GROUP_LEN..3 * GROUP_LEN) {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, fetched).await.unwrap();
    pair.close().await;
}
