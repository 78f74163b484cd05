//! Changes of a share: by the user of this peer, and by the other peer.
//!
//! Each is one step under the lock of the catalog: it changes the catalog, keeps the sources in
//! line with it, and informs the observers. The other peer is informed afterwards.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::ShareError;
use super::files::OnTaken;
use super::{Share, SharedFile};
use crate::catalog::{Batch, CatalogError, CatalogEvent, EntryId, EntryState, News, SharePath};
use crate::store::{Outline, Published, Source, resolve};

impl Share {
    /// Reads the local file at `path` and shares it under `name`.
    pub(crate) async fn add(
        self: &Arc<Self>,
        path: &Path,
        name: &SharePath,
        on_taken: OnTaken,
    ) -> Result<(), ShareError> {
        let (path, share) = (resolve(path)?, self.clone());
        let reading = move || share.look_at(&path);
        let read = self.runtime.tasks.spawn_blocking(reading).await;
        let source = read.map_err(|_| ShareError::Closed)??;
        self.offer(name, source, on_taken)
    }

    /// Shares a local file whose content is known, under `name`.
    pub(super) fn offer(
        &self,
        name: &SharePath,
        source: Arc<Source>,
        on_taken: OnTaken,
    ) -> Result<(), ShareError> {
        let mut files = self.files();
        let touched = files.enter(name, source, on_taken)?;
        if !touched.is_empty() {
            self.catalog_changed(&files, &[CatalogEvent::Changed { path: name.clone() }]);
        }
        drop(files);
        self.announce(touched);
        Ok(())
    }

    /// Shares an empty folder.
    pub(super) fn offer_folder(&self, name: &SharePath) -> Result<(), CatalogError> {
        let mut files = self.files();
        let change = files.catalog.add_folder(name)?;
        files.settle(&change);
        self.catalog_changed(&files, &[CatalogEvent::Added { path: name.clone() }]);
        drop(files);
        self.announce(change.touched);
        Ok(())
    }

    /// Removes a file or a whole folder from the share.
    pub(crate) fn remove(&self, path: &SharePath) -> Result<(), CatalogError> {
        let mut files = self.files();
        let change = files.catalog.remove(path)?;
        files.settle(&change);
        self.entries_changed(&files, &change.touched);
        self.catalog_changed(&files, &[CatalogEvent::Removed { path: path.clone() }]);
        drop(files);
        self.announce(change.touched);
        Ok(())
    }

    /// The files of this machine that the user shares from their places.
    pub(crate) fn own_paths(&self) -> Vec<PathBuf> {
        self.files().own.paths().map(Path::to_owned).collect()
    }

    /// Renames a file or a whole folder within the share.
    pub(crate) fn rename(&self, from: &SharePath, to: &SharePath) -> Result<(), CatalogError> {
        let mut files = self.files();
        let change = files.catalog.rename(from, to)?;
        files.settle(&change);
        let (from, to) = (from.clone(), to.clone());
        self.catalog_changed(&files, &[CatalogEvent::Renamed { from, to }]);
        drop(files);
        self.announce(change.touched);
        Ok(())
    }

    /// Takes in states from the other peer: all of them, or none if one is invalid or if there is
    /// no room for them. A state that is too large together with ours is left out alone, and
    /// reported when the others were merged.
    ///
    /// They are merged in pieces, and the catalog is not locked between two of them. A change that
    /// is made here meanwhile may use up the room; then the rest is refused.
    pub(crate) fn merge(&self, states: Vec<(EntryId, EntryState)>) -> Result<(), CatalogError> {
        let mut batch = self.files().catalog.checked(states)?;
        while !batch.is_empty() {
            let news = self.merge_piece(&mut batch)?;
            if let Some(hooks) = self.hooks.upgrade() {
                news.events().for_each(|event| hooks.merged(event));
            }
        }
        batch.left_out().map_or(Ok(()), Err)
    }

    fn merge_piece(&self, batch: &mut Batch) -> Result<News, CatalogError> {
        let mut files = self.files();
        let next: Vec<EntryId> = batch.next_entries().collect();
        let before = files.held_by(&next);
        let piece = files.catalog.merge_piece(batch)?;
        files.pass_on(&piece, &before);
        self.entries_changed(&files, &piece.entries);
        for events in piece.news.parts() {
            self.catalog_changed(&files, &events);
        }
        drop(files);
        self.announce(piece.renewed);
        Ok(piece.news)
    }

    /// Notes that a pulled file is here now; from now on it is served from there as well.
    pub(crate) fn received(&self, file: &SharedFile, published: Published, outline: Outline) {
        let source = Source::received(published, file.content, outline);
        let mut files = self.files();
        files.note_pulled(&source.path, Some((file, source.stamp())));
        // The user or the other peer may have removed or replaced it meanwhile.
        if files.catalog.has_content(file.entry, &file.content) {
            let source = Arc::new(source);
            for entry in files.given_as(&file.path, file.entry, &file.content) {
                files.hold(entry, source.clone());
            }
        }
        let change = files.catalog.mark_held(file.entry, file.version, self.owner);
        drop(files);
        self.announce(change.touched);
    }
}
