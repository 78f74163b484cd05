//! Entries in memory: bounded in count and bytes, gone when they have expired.
//!
//! Invariants: `total_len` is the sum over all entries; every entry has exactly one place in `expiries`, so that
//! refreshing an entry for ever doesn't grow it; an expired entry is never handed out, swept or not. No lock is held
//! for longer than one operation or one batch of a sweep.
//!
//! Tokens are found by std's randomly keyed hash, so timing tells a guesser nothing useful about the tokens held.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Store, StoreError, StoreFuture, Withdrawal};
use crate::clock::Clock;
use crate::limits::{SWEEP_BATCH_COUNT, StoreLimits};
use crate::token::LookupToken;

/// The store of a relay that works alone.
#[derive(Debug)]
pub struct MemoryStore {
    limits: StoreLimits,
    clock: Clock,
    shelf: Mutex<Shelf>,
}

/// One entry as it is held, for whoever wants to see what a relay knows.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredEntry {
    /// What it is stored under.
    pub token: LookupToken,
    /// What was registered, as it was sent.
    pub blob: String,
    /// How long it will live if nobody refreshes it; zero when it has expired and waits for the sweep.
    pub expires_in: Duration,
}

impl fmt::Debug for StoredEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut entry = f.debug_struct("StoredEntry");
        entry
            .field("blob_len", &self.blob.len())
            .field("expires_in", &self.expires_in);
        entry.finish_non_exhaustive()
    }
}

impl MemoryStore {
    /// An empty store whose entries age by `clock`.
    #[must_use]
    pub fn new(limits: StoreLimits, clock: Clock) -> Self {
        let shelf = Mutex::default();
        Self { limits, clock, shelf }
    }

    /// Everything that is held at this moment, in no particular order, with what is expired but not yet swept.
    #[must_use]
    pub fn entries(&self) -> Vec<StoredEntry> {
        let now = self.clock.now();
        let shelf = self.shelf();
        let stored = |(token, entry): (&LookupToken, &Entry)| StoredEntry {
            token: token.clone(),
            blob: entry.blob.clone(),
            expires_in: entry.expiry.at.saturating_sub(now),
        };
        shelf.entries.iter().map(stored).collect()
    }

    /// Bytes of all tokens and blobs that are held.
    #[must_use]
    pub fn total_len(&self) -> usize {
        self.shelf().total_len
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        // No operation leaves the shelf half changed, so a panic elsewhere doesn't make it unusable.
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, token: LookupToken, blob: String) -> Result<(), StoreError> {
        let now = self.clock.now();
        let mut shelf = self.shelf();
        while let Err(full) = shelf.check_room(&token, &blob, &self.limits) {
            if shelf.sweep_batch(now) == 0 {
                return Err(full);
            }
        }
        shelf.put(token, blob, now.saturating_add(self.limits.entry_ttl));
        Ok(())
    }

    fn live_blob(&self, token: &LookupToken) -> Option<String> {
        let now = self.clock.now();
        let shelf = self.shelf();
        let entry = shelf.entries.get(token).filter(|entry| entry.expiry.at > now)?;
        Some(entry.blob.clone())
    }

    fn take(&self, token: &LookupToken) -> Withdrawal {
        let now = self.clock.now();
        match self.shelf().remove(token) {
            Some(entry) if entry.expiry.at > now => Withdrawal::Removed,
            _ => Withdrawal::Unknown,
        }
    }

    async fn sweep_all(&self) {
        while self.shelf().sweep_batch(self.clock.now()) > 0 {
            tokio::task::yield_now().await;
        }
    }
}

impl Store for MemoryStore {
    fn register(&self, token: LookupToken, blob: String) -> StoreFuture<'_, ()> {
        Box::pin(async move { self.put(token, blob) })
    }

    fn fetch<'a>(&'a self, token: &'a LookupToken) -> StoreFuture<'a, Option<String>> {
        Box::pin(async move { Ok(self.live_blob(token)) })
    }

    fn withdraw<'a>(&'a self, token: &'a LookupToken) -> StoreFuture<'a, Withdrawal> {
        Box::pin(async move { Ok(self.take(token)) })
    }

    fn sweep(&self) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            self.sweep_all().await;
            Ok(())
        })
    }
}

/// The entries, and the order in which they expire.
#[derive(Default)]
struct Shelf {
    entries: HashMap<LookupToken, Entry>,
    expiries: BTreeMap<Expiry, LookupToken>,
    total_len: usize,
    put_count: u64,
}

struct Entry {
    blob: String,
    expiry: Expiry,
}

/// When an entry expires; `put_index` tells entries of the same moment apart.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Expiry {
    at: Duration,
    put_index: u64,
}

impl Shelf {
    fn check_room(&self, token: &LookupToken, blob: &str, limits: &StoreLimits) -> Result<(), StoreError> {
        let replaced = self.entries.get(token);
        if replaced.is_none() && self.entries.len() >= limits.entry_count_max {
            return Err(StoreError::EntriesFull {
                limit: limits.entry_count_max,
            });
        }
        let len = entry_len(token, blob);
        let freed = replaced.map_or(0, |entry| entry_len(token, &entry.blob));
        match self.total_len - freed + len <= limits.total_len_max {
            true => Ok(()),
            false => Err(StoreError::BytesFull {
                len,
                limit: limits.total_len_max,
            }),
        }
    }

    fn put(&mut self, token: LookupToken, blob: String, expires_at: Duration) {
        drop(self.remove(&token));
        let expiry = Expiry {
            at: expires_at,
            put_index: self.put_count,
        };
        self.put_count += 1;
        self.total_len += entry_len(&token, &blob);
        self.expiries.insert(expiry, token.clone());
        self.entries.insert(token, Entry { blob, expiry });
    }

    fn remove(&mut self, token: &LookupToken) -> Option<Entry> {
        let entry = self.entries.remove(token)?;
        self.expiries.remove(&entry.expiry);
        self.total_len -= entry_len(token, &entry.blob);
        Some(entry)
    }

    /// Removes up to [`SWEEP_BATCH_COUNT`] expired entries, the oldest first, and says how many.
    fn sweep_batch(&mut self, now: Duration) -> usize {
        let is_due = |(expiry, _): &(&Expiry, &LookupToken)| expiry.at <= now;
        let due = self.expiries.iter().take_while(is_due).take(SWEEP_BATCH_COUNT);
        let tokens: Vec<LookupToken> = due.map(|(_, token)| token.clone()).collect();
        for token in &tokens {
            drop(self.remove(token));
        }
        tokens.len()
    }
}

/// Shows how much is held, never what.
impl fmt::Debug for Shelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shelf = f.debug_struct("Shelf");
        shelf
            .field("entry_count", &self.entries.len())
            .field("total_len", &self.total_len);
        shelf.finish_non_exhaustive()
    }
}

fn entry_len(token: &LookupToken, blob: &str) -> usize {
    token.as_str().len() + blob.len()
}

#[cfg(test)]
mod tests;
