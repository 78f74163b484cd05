//! The peer's own store, as a part of its share: what was written through mounts and what was
//! fetched to be read, and where these files are when they move.

use std::io;
use std::path::Path;

use super::{RemoteFile, Share, SharedFile};
use crate::catalog::ContentId;
use crate::store::{PeerStore, Source};

impl Share {
    /// The folder for what is written through mounts.
    ///
    /// # Errors
    /// [`io::ErrorKind::Unsupported`] for a peer without a store.
    pub(crate) fn written_dir(&self) -> io::Result<&Path> {
        Ok(self.own_store()?.written_dir())
    }

    /// Notes that the bytes of a content are now in the file at `path`.
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

    /// Whether a reader has the content open in the peer store, where it is being fetched or was.
    pub(crate) fn is_read_elsewhere(&self, content: &ContentId) -> bool {
        self.peer_store
            .as_ref()
            .is_some_and(|peer_store| peer_store.is_held(content))
    }

    /// Takes the file of a fetched content out of the peer store, to be written. `false` while a
    /// reader has it open.
    pub(crate) fn release_fetched(&self, content: &ContentId) -> bool {
        self.peer_store
            .as_ref()
            .is_none_or(|peer_store| peer_store.release(content))
    }

    /// The place of a file's content in the store; once it is complete, it is a source like any
    /// other.
    ///
    /// # Errors
    /// [`io::ErrorKind::Unsupported`] for a peer without a store, and errors of the system.
    pub(crate) fn remote_file(&self, file: &SharedFile) -> io::Result<RemoteFile> {
        let cached = self.own_store()?.fetched(file.content)?;
        self.files().expect_content(file, cached.path());
        RemoteFile::new(cached)
    }

    /// Removes fetched contents that nothing uses, when they take too much room.
    pub(crate) fn trim(&self) {
        let trimmed = self.peer_store.iter().flat_map(PeerStore::trim);
        for cached in trimmed {
            self.files().forget_cached(&cached);
        }
    }

    fn own_store(&self) -> io::Result<&PeerStore> {
        self.peer_store.as_ref().ok_or(io::ErrorKind::Unsupported.into())
    }
}
