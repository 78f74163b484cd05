//! How far a pull has come, readable from anywhere while it runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A cheap handle to the counters of one pull; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Progress(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    total_len: AtomicU64,
    verified_len: AtomicU64,
    total_count: AtomicU64,
    published_count: AtomicU64,
    sync_nanos: AtomicU64,
}

impl Progress {
    /// Bytes that the pull will move, as far as known.
    #[must_use]
    pub fn total_len(&self) -> u64 {
        self.0.total_len.load(Ordering::Relaxed)
    }

    /// Bytes that arrived and were verified.
    #[must_use]
    pub fn verified_len(&self) -> u64 {
        self.0.verified_len.load(Ordering::Relaxed)
    }

    /// Files that the pull will write.
    #[must_use]
    pub fn total_count(&self) -> u64 {
        self.0.total_count.load(Ordering::Relaxed)
    }

    /// Files that have their name: whole, verified and durable.
    #[must_use]
    pub fn published_count(&self) -> u64 {
        self.0.published_count.load(Ordering::Relaxed)
    }

    /// Time spent on making files durable, summed over the lanes.
    #[must_use]
    pub fn sync_elapsed(&self) -> Duration {
        Duration::from_nanos(self.0.sync_nanos.load(Ordering::Relaxed))
    }

    pub(crate) fn expect(&self, files: u64, len: u64) {
        self.0.total_count.fetch_add(files, Ordering::Relaxed);
        self.0.total_len.fetch_add(len, Ordering::Relaxed);
    }

    pub(crate) fn verified(&self, len: u64) {
        self.0.verified_len.fetch_add(len, Ordering::Relaxed);
    }

    pub(crate) fn published(&self, files: u64, sync: Duration) {
        self.0.published_count.fetch_add(files, Ordering::Relaxed);
        let nanos = u64::try_from(sync.as_nanos()).unwrap_or(u64::MAX);
        self.0.sync_nanos.fetch_add(nanos, Ordering::Relaxed);
    }
}
