//! One party of a universe: a real peer, its directory, its log, and the verbs that tests are
//! written in.
//!
//! A verb that must succeed fails the test at its own line; one that may fail starts with `try_`
//! and returns the peer's own error. Nothing here asserts contents: the tests do that.

mod history;
#[cfg(unix)]
mod mounting;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::panic::Location;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tandem_core::catalog::{SharePath, Shown};
use tandem_core::identity::{Fingerprint, PublicKey};
use tandem_core::peer::{Peer, PullError, Pulled, Status};
use tandem_core::transfer::Progress;

pub use history::History;

use crate::failure::{Caller, OrFail, fail};
use crate::log::Log;
#[cfg(unix)]
use crate::mounted::Mounted;
use crate::wait::{Look, complete, wait_for};

/// A handle to one party; clones refer to the same party. The universe closes it.
#[derive(Debug, Clone)]
pub struct Actor {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    name: String,
    fingerprint: Fingerprint,
    home: Home,
    /// `None` once it is closed.
    peer: Mutex<Option<Arc<Peer>>>,
    files: Mutex<BTreeSet<PathBuf>>,
    #[cfg(unix)]
    mounts: Mutex<Vec<Mounted>>,
}

/// What an actor has besides its peer.
#[derive(Debug)]
pub(crate) struct Home {
    pub(crate) public_key: PublicKey,
    pub(crate) addr: SocketAddr,
    pub(crate) log: Arc<Log>,
    pub(crate) dir: PathBuf,
}

impl Home {
    /// Where the peer keeps the bytes that it fetched or that a mount wrote.
    pub(crate) fn store(&self) -> PathBuf {
        store_in(&self.dir)
    }
}

/// The store of the peer whose directory is `dir`.
pub(crate) fn store_in(dir: &Path) -> PathBuf {
    dir.join("store")
}

impl Actor {
    pub(crate) fn new(name: &str, peer: Peer, home: Home) -> Actor {
        let store = home.store();
        let inner = Inner {
            name: name.to_owned(),
            fingerprint: peer.fingerprint(),
            home,
            peer: Mutex::new(Some(Arc::new(peer))),
            files: Mutex::new(BTreeSet::from([store])),
            #[cfg(unix)]
            mounts: Mutex::default(),
        };
        Actor {
            inner: Arc::new(inner),
        }
    }

    /// `alice`, `bob`, ...
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// The fingerprint, which people exchange out of band.
    pub fn fingerprint(&self) -> Fingerprint {
        self.inner.fingerprint
    }

    /// The public key to which the fingerprint commits.
    pub fn public_key(&self) -> PublicKey {
        self.inner.home.public_key
    }

    /// Where this party listens.
    pub fn addr(&self) -> SocketAddr {
        self.inner.home.addr
    }

    /// The peer itself, for calls that have no verb here.
    #[track_caller]
    pub fn peer(&self) -> Arc<Peer> {
        self.peer_at(Location::caller())
    }

    /// The state of the peer.
    #[track_caller]
    pub fn status(&self) -> Status {
        self.peer_at(Location::caller()).status()
    }

    /// Everything that happens to this peer from now on.
    #[track_caller]
    pub fn history(&self) -> History {
        History::new(&self.inner.name, self.peer_at(Location::caller()).events())
    }

    /// Waits until the other side has answered a heartbeat, and returns the round trip.
    #[track_caller]
    pub fn measured_round_trip(&self) -> impl Future<Output = Duration> {
        let (this, at) = (self.clone(), Location::caller());
        async move {
            let peer = this.peer_at(at);
            let mut events = peer.events();
            let look = async || match peer.status().round_trip {
                Some(round_trip) => Look::Ready(round_trip),
                None => Look::NotYet(format!("{:?}", peer.status())),
            };
            wait_for(at, "a heartbeat", async || drop(events.next().await), look).await
        }
    }

    /// Connects to `other`, which must do the same; returns when there is a session.
    #[track_caller]
    pub fn connect(&self, other: &Actor) -> impl Future<Output = ()> {
        self.connect_at(other, Location::caller())
    }

    /// Says goodbye and stops this peer, before the universe does.
    #[track_caller]
    pub fn leave(&self) -> impl Future<Output = ()> {
        self.close_at(Location::caller())
    }

    /// Where `write` and `add` put a file.
    #[track_caller]
    pub fn original(&self, name: &str) -> PathBuf {
        self.path_in("shared", name, Location::caller())
    }

    /// Writes a file into this party's shared directory without sharing it, and returns its path.
    #[track_caller]
    pub fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let at = Location::caller();
        let path = self.path_in("shared", name, at);
        std::fs::write(&path, bytes).or_fail(at, format_args!("write `{}`", path.display()));
        path
    }

    /// Writes a file and shares it as `name`; a second call updates the file.
    #[track_caller]
    pub fn add(&self, name: &str, bytes: &[u8]) -> impl Future<Output = ()> {
        let at = Location::caller();
        let (path, name) = (self.write(name, bytes), share_path(name, at));
        let peer = self.peer_at(at);
        async move {
            let added = complete(at, "a file that is shared", peer.add_as(&path, &name)).await;
            added.or_fail(at, format_args!("add `{name}`"));
        }
    }

    /// Takes a file or folder out of the share.
    #[track_caller]
    pub fn remove(&self, name: &str) {
        let at = Location::caller();
        self.peer_at(at)
            .remove(&share_path(name, at))
            .or_fail(at, format_args!("remove `{name}`"));
    }

    /// Renames a file or folder within the share.
    #[track_caller]
    pub fn rename(&self, from: &str, to: &str) {
        let at = Location::caller();
        let renamed = self
            .peer_at(at)
            .rename(&share_path(from, at), &share_path(to, at));
        renamed.or_fail(at, format_args!("rename `{from}` to `{to}`"));
    }

    /// The names of all files in the share, sorted.
    #[track_caller]
    pub fn list(&self) -> Vec<String> {
        names(&self.peer_at(Location::caller()).list())
    }

    /// Where `pull` puts a file.
    #[track_caller]
    pub fn target(&self, name: &str) -> PathBuf {
        self.path_in("pulled", name, Location::caller())
    }

    /// Waits until `name` is listed here, pulls it, and returns its content on disk.
    #[track_caller]
    pub fn pull(&self, name: &str) -> impl Future<Output = Vec<u8>> {
        let at = Location::caller();
        let (this, target, name) = (self.clone(), self.target(name), name.to_owned());
        async move {
            this.lists_at(&name, at).await;
            let path = share_path(&name, at);
            let pulled = complete(at, "a pull", this.peer_at(at).pull(&path, &target)).await;
            pulled.or_fail(at, format_args!("pull `{name}` at {}", this.name()));
            std::fs::read(&target).or_fail(at, format_args!("read `{}`", target.display()))
        }
    }

    /// Pulls the whole share, and returns the names of the pulled files, sorted.
    #[track_caller]
    pub fn pull_all(&self) -> impl Future<Output = Vec<String>> {
        let (this, at) = (self.clone(), Location::caller());
        async move {
            let (peer, names) = (this.peer_at(at), names(&this.peer_at(at).list()));
            let targets: Vec<PathBuf> = names
                .iter()
                .map(|name| this.path_in("pulled", name, at))
                .collect();
            let folder = this.inner.home.dir.join("pulled");
            let pulled = complete(at, "a pull", peer.pull_tree(None, &folder, &Progress::default())).await;
            pulled.or_fail(at, format_args!("pull everything at {}", this.name()));
            let arrived = names
                .into_iter()
                .zip(targets)
                .filter(|(_, target)| target.is_file());
            arrived.map(|(name, _)| name).collect()
        }
    }

    /// Pulls `name` without waiting until it is listed.
    #[track_caller]
    pub fn try_pull(&self, name: &str) -> impl Future<Output = Result<Pulled, PullError>> {
        let at = Location::caller();
        let (peer, target, path) = (self.peer_at(at), self.target(name), share_path(name, at));
        async move { complete(at, "a pull that ends", peer.pull(&path, &target)).await }
    }

    /// Waits until `name` is listed here.
    #[track_caller]
    pub fn lists(&self, name: &str) -> impl Future<Output = ()> {
        let (this, at, name) = (self.clone(), Location::caller(), name.to_owned());
        async move { this.lists_at(&name, at).await }
    }

    /// Waits until exactly `count` files are listed here.
    #[track_caller]
    pub fn lists_count(&self, count: usize) -> impl Future<Output = ()> {
        let (this, at) = (self.clone(), Location::caller());
        async move {
            let what = format!("{count} files to be listed at {}", this.name());
            this.wait_for_listing(&what, at, |all| names(all).len() == count)
                .await;
        }
    }

    /// Waits until `name` is listed here with exactly this content.
    #[track_caller]
    pub fn sees(&self, name: &str, bytes: &[u8]) -> impl Future<Output = ()> {
        let (this, at, name) = (self.clone(), Location::caller(), name.to_owned());
        let hash = *blake3::hash(bytes).as_bytes();
        let has_content = move |shown: &Shown| shown.file().is_some_and(|file| file.content.hash == hash);
        async move {
            let what = format!("`{name}` with its new content at {}", this.name());
            this.wait_for_listing(&what, at, |all| {
                all.iter()
                    .any(|one| one.path.as_str() == name && has_content(one))
            })
            .await;
        }
    }

    /// Waits until `name` is not listed here any more.
    #[track_caller]
    pub fn misses(&self, name: &str) -> impl Future<Output = ()> {
        let (this, at, name) = (self.clone(), Location::caller(), name.to_owned());
        async move {
            let what = format!("`{name}` to disappear at {}", this.name());
            this.wait_for_listing(&what, at, |all| !names(all).contains(&name))
                .await;
        }
    }

    pub(crate) async fn connect_at(&self, other: &Actor, at: Caller) {
        let peer = self.peer_at(at);
        let connected = complete(at, "a session", peer.connect(&other.fingerprint())).await;
        connected.or_fail(at, format_args!("connect {} to {}", self.name(), other.name()));
    }

    pub(crate) async fn close_at(&self, at: Caller) {
        #[cfg(unix)]
        self.unmount_all(at).await;
        let Some(peer) = lock(&self.inner.peer).take() else {
            return;
        };
        let name = self.name();
        let Some(peer) = Arc::into_inner(peer) else {
            fail(
                at,
                format_args!(
                    "{name} is still in use: the test holds its peer, or one of its verbs is running"
                ),
            );
        };
        complete(at, "a peer that closes", peer.close())
            .await
            .or_fail(at, format_args!("close {name}"));
    }

    /// Ends what a failed test has left behind, so that its process can exit: the mounts, and the
    /// peer if this is its last handle.
    pub(crate) fn abandon(&self) {
        #[cfg(unix)]
        self.drop_mounts();
        drop(lock(&self.inner.peer).take());
    }

    /// Files, and folders with everything in them, that may remain in this party's directory when
    /// the universe closes.
    pub(crate) fn known_files(&self) -> BTreeSet<PathBuf> {
        lock(&self.inner.files).clone()
    }

    pub(crate) fn log_tail(&self, count: usize) -> Vec<String> {
        self.inner.home.log.tail(count)
    }

    async fn lists_at(&self, name: &str, at: Caller) {
        let what = format!("`{name}` to be listed at {}", self.name());
        self.wait_for_listing(&what, at, |all| names(all).iter().any(|listed| listed == name))
            .await;
    }

    async fn wait_for_listing(&self, what: &str, at: Caller, is_right: impl Fn(&[Shown]) -> bool) {
        let peer = self.peer_at(at);
        let mut events = peer.events();
        let look = async || match peer.list() {
            all if is_right(&all) => Look::Ready(()),
            all => Look::NotYet(format!("{:?}", names(&all))),
        };
        wait_for(at, what, async || drop(events.next().await), look).await;
    }

    fn peer_at(&self, at: Caller) -> Arc<Peer> {
        let peer = lock(&self.inner.peer).clone();
        peer.unwrap_or_else(|| fail(at, format_args!("{} has left", self.name())))
    }

    /// A path in one of this party's directories. Its parents are made, and it may remain when the
    /// universe closes.
    fn path_in(&self, dir: &str, name: &str, at: Caller) -> PathBuf {
        let path = self.inner.home.dir.join(dir).join(name);
        let parent = path.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(parent).or_fail(at, format_args!("make `{}`", parent.display()));
        lock(&self.inner.files).insert(path.clone());
        path
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn share_path(name: &str, at: Caller) -> SharePath {
    SharePath::parse(name).or_fail(at, format_args!("use `{name}` in a share"))
}

fn names(shown: &[Shown]) -> Vec<String> {
    let files = shown.iter().filter(|shown| shown.file().is_some());
    let mut names: Vec<String> = files.map(|shown| shown.path.as_str().to_owned()).collect();
    names.sort();
    names
}
