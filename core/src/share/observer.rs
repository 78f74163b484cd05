//! What a share calls above itself: its mounts, and the peer that runs it.
//!
//! A share knows neither mounts nor sessions. It knows these two traits.

use std::fmt::Debug;
use std::sync::Arc;

use super::files::Files;
use crate::catalog::{CatalogEvent, EntryId, SharePath};
use crate::journal::JournalError;

/// Shows a share. The share reports changes to it.
///
/// Both calls come right after a change with the catalog still locked, so `files` is in the state
/// after the change. They must not wait.
pub(crate) trait Observer: Debug + Send + Sync {
    /// The catalog was changed by the other peer or the user of this one, not by the observer
    /// itself.
    fn catalog_changed(&self, files: &Files, events: &[CatalogEvent]);

    /// The states of entries have changed. Some entries may be gone.
    fn entries_changed(&self, files: &Files, entries: &[EntryId]);
}

/// What a share needs of the peer that it belongs to. Called without the lock of the catalog.
pub(crate) trait Hooks: Debug + Send + Sync {
    /// These entries have changed here: the other peer should get their states.
    fn announce(&self, entries: Vec<EntryId>);

    /// Starts a worker that fetches what readers want. The share's demand counts it already.
    fn start_worker(self: Arc<Self>);

    /// The other peer has changed the catalog.
    fn merged(&self, event: CatalogEvent);

    /// What changes can't be saved at the moment. Called once until it can be again.
    fn not_saved(&self, error: &JournalError);

    /// A file of the user has changed, and its new content is shared now.
    fn refreshed(&self, path: SharePath);
}
