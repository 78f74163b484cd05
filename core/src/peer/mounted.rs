//! What a peer does for its mounts: it tells them of changes, and keeps what is written through them.

use std::path::Path;

use super::files::Files;
use super::shared::Shared;
use crate::catalog::CatalogEvent;
#[cfg(unix)]
use crate::store::{Source, SourceError};

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

    /// A content is written in place: what was fetched of it lies at `path` now, as long as it is what it was.
    #[cfg(unix)]
    pub(crate) fn rehome(&self, source: &Source, path: &Path) -> Result<(), SourceError> {
        if source.path == path {
            return Ok(());
        }
        if let Some(depot) = &self.depot {
            depot.release(&source.content);
        }
        match Source::written(path, source.content, source.outline.clone()) {
            Ok(moved) => self.files().rehome(source, moved),
            Err(error) => {
                self.files().forget(source);
                return Err(error);
            }
        }
        Ok(())
    }
}
