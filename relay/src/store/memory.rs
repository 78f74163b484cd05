//! Entries in memory: bounded in count and bytes, never returned once expired.
//!
//! Invariants: `held` is the sum over all entries, and the sum of the `shares` is `held`; every
//! entry has exactly one place in `expiries`, so that refreshing an entry for ever doesn't grow it;
//! an expired entry is never returned, swept or not. No lock is held for longer than one operation
//! or one batch of a sweep.
//!
//! Tokens are found by std's randomly keyed hash, so timing tells a guesser nothing useful about
//! the tokens held.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{OnTaken, Registration, Store, StoreError, StoreFuture, Withdrawal};
use crate::api::{BLOB_LEN_MAX, Source, TOKEN_LEN_MAX};
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

/// One entry as it is held, for tests of what a relay knows.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredEntry {
    /// What it is stored under.
    pub token: LookupToken,
    /// What was registered, as it was sent.
    pub blob: String,
    /// How long it will live if it is not refreshed; zero when it has expired and waits for the
    /// sweep.
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

    /// All entries at this moment, in no particular order; expired ones that are not yet swept are
    /// included.
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

    /// Bytes of all held tokens and blobs.
    #[must_use]
    pub fn total_len(&self) -> usize {
        self.shelf().held.len
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        // No operation leaves the shelf half changed, so a panic elsewhere doesn't make it
        // unusable.
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, registration: Registration) -> Result<(), StoreError> {
        let Registration {
            token,
            blob,
            source,
            on_taken,
        } = registration;
        let now = self.clock.now();
        let mut shelf = self.shelf();
        if on_taken == OnTaken::Refuse && shelf.live(&token, now).is_some() {
            return Err(StoreError::Taken);
        }
        shelf.make_room(now, |shelf| {
            shelf.check_room_for(&token, entry_len(&token, &blob), source, &self.limits)
        })?;
        let at = now.saturating_add(self.limits.entry_ttl);
        shelf.put(token, blob, source, at);
        Ok(())
    }

    fn has_room(&self) -> Result<(), StoreError> {
        let longest = TOKEN_LEN_MAX + BLOB_LEN_MAX;
        self.shelf().make_room(self.clock.now(), |shelf| {
            check_total(shelf.held.with(longest), longest, &self.limits)
        })
    }

    fn live_blob(&self, token: &LookupToken) -> Option<String> {
        let now = self.clock.now();
        Some(self.shelf().live(token, now)?.blob.clone())
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
    fn register(&self, registration: Registration) -> StoreFuture<'_, ()> {
        Box::pin(async move { self.put(registration) })
    }

    fn fetch<'a>(&'a self, token: &'a LookupToken) -> StoreFuture<'a, Option<String>> {
        Box::pin(async move { Ok(self.live_blob(token)) })
    }

    fn withdraw<'a>(&'a self, token: &'a LookupToken) -> StoreFuture<'a, Withdrawal> {
        Box::pin(async move { Ok(self.take(token)) })
    }

    fn check_room(&self) -> StoreFuture<'_, ()> {
        Box::pin(async move { self.has_room() })
    }

    fn sweep(&self) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            self.sweep_all().await;
            Ok(())
        })
    }
}

/// The entries, the order in which they expire, and the share of each source.
#[derive(Default)]
struct Shelf {
    entries: HashMap<LookupToken, Entry>,
    expiries: BTreeMap<Expiry, LookupToken>,
    held: Held,
    /// What each source holds; a source that holds nothing has no entry here.
    shares: HashMap<Source, Held>,
    put_count: u64,
}

struct Entry {
    blob: String,
    source: Source,
    expiry: Expiry,
}

/// The total of some entries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Held {
    entry_count: usize,
    /// Bytes of tokens and blobs.
    len: usize,
}

impl Held {
    fn with(self, len: usize) -> Self {
        Self {
            entry_count: self.entry_count + 1,
            len: self.len + len,
        }
    }

    fn without(self, len: usize) -> Self {
        Self {
            entry_count: self.entry_count - 1,
            len: self.len - len,
        }
    }
}

/// When an entry expires; `put_index` tells entries of the same moment apart.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Expiry {
    at: Duration,
    put_index: u64,
}

impl Shelf {
    /// The entry under the token, unless it has expired.
    fn live(&self, token: &LookupToken, now: Duration) -> Option<&Entry> {
        self.entries.get(token).filter(|entry| entry.expiry.at > now)
    }

    /// Sweeps until `check` finds room or nothing is left to sweep.
    fn make_room(
        &mut self,
        now: Duration,
        check: impl Fn(&Self) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        while let Err(full) = check(self) {
            if self.sweep_batch(now) == 0 {
                return Err(full);
            }
        }
        Ok(())
    }

    /// Whether an entry of `len` bytes fits under `token`; the entry that it replaces doesn't
    /// count.
    fn check_room_for(
        &self,
        token: &LookupToken,
        len: usize,
        source: Source,
        limits: &StoreLimits,
    ) -> Result<(), StoreError> {
        let (mut held, mut share) = (self.held, self.share_of(source));
        if let Some(replaced) = self.entries.get(token) {
            let freed = entry_len(token, &replaced.blob);
            held = held.without(freed);
            if replaced.source == source {
                share = share.without(freed);
            }
        }
        check_share(share.with(len), len, limits)?;
        check_total(held.with(len), len, limits)
    }

    fn share_of(&self, source: Source) -> Held {
        self.shares.get(&source).copied().unwrap_or_default()
    }

    fn put(&mut self, token: LookupToken, blob: String, source: Source, expires_at: Duration) {
        drop(self.remove(&token));
        let expiry = Expiry {
            at: expires_at,
            put_index: self.put_count,
        };
        self.put_count += 1;
        let len = entry_len(&token, &blob);
        self.held = self.held.with(len);
        let share = self.shares.entry(source).or_default();
        *share = share.with(len);
        self.expiries.insert(expiry, token.clone());
        let entry = Entry { blob, source, expiry };
        self.entries.insert(token, entry);
    }

    fn remove(&mut self, token: &LookupToken) -> Option<Entry> {
        let entry = self.entries.remove(token)?;
        self.expiries.remove(&entry.expiry);
        let len = entry_len(token, &entry.blob);
        self.held = self.held.without(len);
        match self.share_of(entry.source).without(len) {
            Held { entry_count: 0, .. } => self.shares.remove(&entry.source),
            share => self.shares.insert(entry.source, share),
        };
        Some(entry)
    }

    /// Removes up to [`SWEEP_BATCH_COUNT`] expired entries, the oldest first, and returns how many.
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
            .field("entry_count", &self.held.entry_count)
            .field("total_len", &self.held.len);
        shelf.finish_non_exhaustive()
    }
}

/// Whether the store may hold this much; the newest entry has `len` bytes.
fn check_total(held: Held, len: usize, limits: &StoreLimits) -> Result<(), StoreError> {
    if held.entry_count > limits.entry_count_max {
        let limit = limits.entry_count_max;
        return Err(StoreError::EntriesFull { limit });
    }
    match held.len <= limits.total_len_max {
        true => Ok(()),
        false => Err(StoreError::BytesFull {
            len,
            limit: limits.total_len_max,
        }),
    }
}

/// Whether one source may hold this much; the newest entry has `len` bytes.
fn check_share(share: Held, len: usize, limits: &StoreLimits) -> Result<(), StoreError> {
    if share.entry_count > limits.source_entry_count_max {
        let limit = limits.source_entry_count_max;
        return Err(StoreError::SourceEntriesFull { limit });
    }
    match share.len <= limits.source_len_max {
        true => Ok(()),
        false => Err(StoreError::SourceBytesFull {
            len,
            limit: limits.source_len_max,
        }),
    }
}

fn entry_len(token: &LookupToken, blob: &str) -> usize {
    token.as_str().len() + blob.len()
}

#[cfg(test)]
mod tests;
