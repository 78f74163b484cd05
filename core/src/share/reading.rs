//! Reading the user's files to find out their contents, and how much was read for that.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Share;
use crate::store::{Source, SourceError};

impl Share {
    /// The file at `path` with its present content. It is read unless it is certain that it was
    /// not changed since it was read last.
    pub(super) fn look_at(&self, path: &Path) -> Result<Arc<Source>, SourceError> {
        let known = self.files().known_at(path);
        match known.into_iter().find(|known| known.is_certain()) {
            Some(known) => Ok(known),
            None => self.read(path).map(Arc::new),
        }
    }

    /// Reads the file at `path`.
    pub(super) fn read(&self, path: &Path) -> Result<Source, SourceError> {
        let since = self.runtime.clock.unix_ms();
        let read = Source::read(path, &|| self.runtime.cancel.is_cancelled())?;
        self.hashed_len.fetch_add(read.content.len, Ordering::Relaxed);
        Ok(read.read_at(since))
    }

    /// How many bytes of local files were read to find out their contents.
    pub(crate) fn hashed_len(&self) -> u64 {
        self.hashed_len.load(Ordering::Relaxed)
    }
}
