//! What a peer does for its mounts: it tells them of changes, and keeps what is written through
//! them.

use std::path::Path;

use super::files::Files;
use super::shared::Shared;
#[cfg(unix)]
use crate::catalog::ContentId;
use crate::catalog::{CatalogEvent, EntryId};
#[cfg(unix)]
use crate::store::Source;

impl Shared {
    /// Tells the mounts of a change of the catalog that was not made through one of them.
    #[cfg(unix)]
    pub(crate) fn tell_mounts(&self, files: &Files, events: &[CatalogEvent]) {
        if let Some(mounted) = self.mounted() {
            mounted.catalog_changed(files, events);
        }
    }

    /// There are no mounts on this system.
    #[cfg(not(unix))]
    pub(crate) fn tell_mounts(&self, _files: &Files, _events: &[CatalogEvent]) {}

    /// The folder for what is written through mounts.
    ///
    /// # Errors
    /// [`std::io::ErrorKind::Unsupported`] for a peer without a store.
    #[cfg(unix)]
    pub(crate) fn written_dir(&self) -> std::io::Result<&Path> {
        let depot = self.depot.as_ref().ok_or(std::io::ErrorKind::Unsupported)?;
        Ok(depot.written_dir())
    }

    /// The bytes of a content lie at `path` from now on.
    #[cfg(unix)]
    pub(crate) fn rehome(&self, source: &Source, path: &Path) {
        let moved = Source::written(path, source.content, source.outline.clone());
        let mut files = self.files();
        match moved {
            Ok(moved) => files.rehome(source, moved),
            Err(error) => {
                tracing::warn!(%error, "a file of the store can't be a source any more");
                files.forget(source);
            }
        }
    }

    /// Whether somebody reads a content from what is being fetched, or was.
    #[cfg(unix)]
    pub(crate) fn is_read_elsewhere(&self, content: &ContentId) -> bool {
        self.depot.as_ref().is_some_and(|depot| depot.is_held(content))
    }

    /// Takes the file of a fetched content out of what can be fetched again, to be written. `false`
    /// while somebody reads it.
    #[cfg(unix)]
    pub(crate) fn release_fetched(&self, content: &ContentId) -> bool {
        self.depot.as_ref().is_none_or(|depot| depot.release(content))
    }

    /// The mounts forget what they knew of entries that are not there any more.
    #[cfg(unix)]
    pub(crate) fn tell_removed(&self, files: &Files, entries: &[EntryId]) {
        if let Some(mounted) = self.mounted() {
            mounted.entries_changed(files, entries);
        }
    }

    /// There are no mounts on this system.
    #[cfg(not(unix))]
    pub(crate) fn tell_removed(&self, _files: &Files, _entries: &[EntryId]) {}
}
