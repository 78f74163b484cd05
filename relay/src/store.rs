//! What a relay needs of the store of its entries.
//!
//! The one implementation is [`MemoryStore`]. Answers are futures, although memory has no need to
//! wait, so that a store shared by several relays needs no change of the routes. A store knows
//! neither HTTP nor what a blob means.

mod memory;

use std::fmt;
use std::pin::Pin;

pub use self::memory::{MemoryStore, StoredEntry};
use crate::api::Source;
use crate::token::LookupToken;

/// The answer of a store.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Keeps blobs under tokens for a limited time.
pub trait Store: Send + Sync + 'static {
    /// Keeps the blob of `registration` under its token for the store's time to live from now on.
    /// Whether it replaces an older entry is decided in the same step.
    fn register(&self, registration: Registration) -> StoreFuture<'_, ()>;

    /// The blob under `token`, if there is one and it has not expired.
    fn fetch<'a>(&'a self, token: &'a LookupToken) -> StoreFuture<'a, Option<String>>;

    /// Removes the blob under `token`.
    fn withdraw<'a>(&'a self, token: &'a LookupToken) -> StoreFuture<'a, Withdrawal>;

    /// Whether there is room for one more entry of any valid length.
    fn check_room(&self) -> StoreFuture<'_, ()>;

    /// Removes expired entries. The relay calls this regularly.
    fn sweep(&self) -> StoreFuture<'_, ()>;
}

/// What someone registers.
#[derive(Clone, PartialEq, Eq)]
pub struct Registration {
    /// What it is stored under.
    pub token: LookupToken,
    /// What is stored.
    pub blob: String,
    /// Whom it counts for, whichever source had registered an older entry.
    pub source: Source,
    /// What happens to an older entry.
    pub on_taken: OnTaken,
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut registration = f.debug_struct("Registration");
        registration
            .field("blob_len", &self.blob.len())
            .field("on_taken", &self.on_taken);
        registration.finish_non_exhaustive()
    }
}

/// What happens when there is an entry under the token of a registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnTaken {
    /// The registration replaces it.
    Replace,
    /// The registration is refused.
    Refuse,
}

/// The outcome of [`Store::withdraw`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Withdrawal {
    /// The entry was removed.
    Removed,
    /// There was no entry, or it had expired.
    Unknown,
}

/// Why a store can't keep an entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// There is an entry under the token, and it must not be replaced.
    #[error("there is an entry under this token already\nhint: someone else was first; ask for a new code")]
    Taken,
    /// The store holds the maximum number of entries.
    #[error(
        "the relay holds {limit} entries and takes no more now\nhint: try again later or use another relay"
    )]
    EntriesFull {
        /// [`StoreLimits::entry_count_max`](crate::StoreLimits::entry_count_max).
        limit: usize,
    },
    /// The entry does not fit into the remaining bytes.
    #[error(
        "an entry of {len} bytes is more than is left of the relay's {limit}\n\
         hint: try again later or use another relay"
    )]
    BytesFull {
        /// Bytes of the refused token and blob.
        len: usize,
        /// [`StoreLimits::total_len_max`](crate::StoreLimits::total_len_max).
        limit: usize,
    },
    /// The source holds the maximum number of entries of one source.
    #[error(
        "your address holds {limit} entries, which is its share of this relay\n\
         hint: entries expire; try again later or use another relay"
    )]
    SourceEntriesFull {
        /// [`StoreLimits::source_entry_count_max`](crate::StoreLimits::source_entry_count_max).
        limit: usize,
    },
    /// The entry does not fit into the remaining bytes of its source.
    #[error(
        "an entry of {len} bytes is more than is left of the {limit} that your address may hold here\n\
         hint: entries expire; try again later or use another relay"
    )]
    SourceBytesFull {
        /// Bytes of the refused token and blob.
        len: usize,
        /// [`StoreLimits::source_len_max`](crate::StoreLimits::source_len_max).
        limit: usize,
    },
}
