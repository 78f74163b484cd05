//! What two peers share, on this side: the catalog, the local files behind it, and what readers
//! want of the other peer's files.
//!
//! Owns the only lock around the catalog: it is held for one operation, never across an await.
//! Knows neither sessions nor kernels. A mount sees changes as an [`Observer`]; the peer that runs
//! the share gives it [`Hooks`]. Reading order: `error shared_file grants own_files served files`,
//! then the parts of [`Share`]: `changes tree claim own_store reading recheck remote_file`, and
//! over a restart: `remembering saving`.

mod changes;
mod claim;
mod error;
mod files;
mod grants;
mod observer;
mod own_files;
mod own_store;
mod reading;
mod recheck;
mod remembering;
mod remote_file;
mod rereads;
mod saving;
mod served;
mod shared_file;
mod tree;

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::mpsc;

pub(crate) use claim::Claim;
pub use error::ShareError;
pub(crate) use files::{Files, OnTaken};
pub(crate) use observer::{Hooks, Observer};
pub(crate) use remembering::settle_coming;
pub(crate) use remote_file::RemoteFile;
pub(crate) use rereads::Asker;
pub(crate) use saving::{Ending, FilesGuard};
pub(crate) use shared_file::{SharedFile, shared_file};
pub use tree::{AddedTree, SkippedFile};

use crate::catalog::{Catalog, CatalogEvent, EntryId};
use crate::identity::Fingerprint;
use crate::journal::{Journal, LocalFile};
use crate::limits::STALE_CONTENTS_MAX;
use crate::runtime::Runtime;
use crate::store::{PeerStore, Placed, ReceivedLinks, Source};
use crate::transfer::Demand;
use rereads::Rereads;
use saving::Saving;

/// The share of one running peer. See the head of this file.
#[derive(Debug)]
pub(crate) struct Share {
    pub(crate) runtime: Runtime,
    pub(crate) peer_store: Option<PeerStore>,
    pub(crate) demand: Demand,
    owner: Fingerprint,
    files: Mutex<Files>,
    /// Held by the thread that gets `files` next.
    files_turn: Mutex<()>,
    received_links: Mutex<ReceivedLinks>,
    /// What pulls have put into folders that the user works in too.
    pub(crate) placed: Arc<Placed>,
    saving: Option<Saving>,
    /// Bytes of local files that were read to find out their contents.
    hashed_len: AtomicU64,
    rereads: Rereads,
    /// Sources that the other peer reports as wrong; `recheck` reads them again.
    stale: mpsc::Sender<Arc<Source>>,
    observers: Mutex<Vec<Weak<dyn Observer>>>,
    hooks: Weak<dyn Hooks>,
}

/// What a share is made of.
pub(crate) struct ShareParts {
    pub(crate) catalog: Catalog,
    /// The journal, and what it had of local files; `None` if nothing is saved.
    pub(crate) saved: Option<(Journal, Vec<LocalFile>)>,
    pub(crate) peer_store: Option<PeerStore>,
    pub(crate) demand: Demand,
    pub(crate) runtime: Runtime,
}

impl Share {
    /// The share of the peer behind `hooks`, which is `owner`.
    pub(crate) fn new(parts: ShareParts, owner: Fingerprint, hooks: Weak<dyn Hooks>) -> Arc<Self> {
        let (stale, rechecked) = mpsc::channel(STALE_CONTENTS_MAX);
        let (files, placed, saving) = match parts.saved {
            None => (Files::new(parts.catalog), Placed::default(), None),
            Some((journal, local)) => {
                let placed = local
                    .iter()
                    .filter_map(|file| Some((file.path.0.clone(), file.placed.clone()?)));
                let placed = Placed::remembered(placed);
                let files = Files::remembered(parts.catalog, local);
                (files, placed, Some(Saving::new(journal)))
            }
        };
        let share = Arc::new(Self {
            runtime: parts.runtime,
            peer_store: parts.peer_store,
            demand: parts.demand,
            owner,
            files: Mutex::new(files),
            files_turn: Mutex::default(),
            received_links: Mutex::default(),
            placed: Arc::new(placed),
            saving,
            hashed_len: AtomicU64::new(0),
            rereads: Rereads::default(),
            stale,
            observers: Mutex::default(),
            hooks,
        });
        recheck::spawn_refresher(&share, rechecked);
        share.spawn_saver();
        share
    }

    /// The catalog and the local files behind it. Don't keep the guard across an await.
    ///
    /// With a plain lock, the thread that has just released it often gets it again before the
    /// sleeping ones, for example a merge between two pieces. Here the next thread holds the turn,
    /// so a thread that comes back queues behind it.
    pub(crate) fn files(&self) -> FilesGuard<'_> {
        let _turn = self.files_turn.lock().unwrap_or_else(PoisonError::into_inner);
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let saving = self.saving.as_ref();
        FilesGuard { files, saving }
    }

    /// The links that pulls have made.
    pub(crate) fn received_links(&self) -> MutexGuard<'_, ReceivedLinks> {
        self.received_links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reports changes to `observer` from now on, for as long as it exists.
    pub(crate) fn observe(&self, observer: Weak<dyn Observer>) {
        let mut observers = self.observers.lock().unwrap_or_else(PoisonError::into_inner);
        observers.retain(|observer| observer.strong_count() > 0);
        observers.push(observer);
    }

    /// Queues the states of these entries to be sent to the other peer.
    pub(crate) fn announce(&self, touched: Vec<EntryId>) {
        if let Some(hooks) = self.hooks.upgrade() {
            hooks.announce(touched);
        }
    }

    /// Informs the observers of a change of the catalog that none of them made.
    fn catalog_changed(&self, files: &Files, events: &[CatalogEvent]) {
        for observer in self.observers() {
            observer.catalog_changed(files, events);
        }
    }

    /// Informs the observers of entries that have other states, or are gone.
    fn entries_changed(&self, files: &Files, entries: &[EntryId]) {
        for observer in self.observers() {
            observer.entries_changed(files, entries);
        }
    }

    fn observers(&self) -> Vec<Arc<dyn Observer>> {
        let observers = self.observers.lock().unwrap_or_else(PoisonError::into_inner);
        observers.iter().filter_map(Weak::upgrade).collect()
    }
}
