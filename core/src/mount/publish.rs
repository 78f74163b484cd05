//! From a write to the other side: files become writable, and what was written becomes a version in the catalog.
//!
//! A write goes to a working file of the store and never waits for the other peer. When the file is closed or synced its
//! content is hashed and shared, once, however much was written; nothing is shared while it is being written. A version is
//! derived from the one that the writer saw: what the other side did meanwhile stays, as a conflict copy.

use std::sync::Arc;
use std::sync::mpsc::channel;

use super::attributes::Inode;
use super::error::FsError;
use super::nodes::Standing;
use super::open_file::{Body, Keep, Made, News, OpenFile, writable};
use super::share::MountedShare;
use super::viewers::ViewerId;
use super::working::{Published, Working};
use crate::catalog::{ContentId, EntryId, FileVersion, Holding, Kind, Shown};
use crate::limits::HASH_ATTEMPTS_MAX;
use crate::peer::RemoteFile;
use crate::store::{Outline, Source, hash_file};

/// Permission bits of a file whose entry is gone.
const NEW_FILE_MODE: u32 = 0o644;

/// A content that a working file had for long enough to be read.
struct Hashed {
    content: ContentId,
    outline: Outline,
    look: Published,
}

impl MountedShare {
    /// Makes an open file writable. Waits for the other side where the content has to be kept and is not here yet.
    pub(super) fn make_writable(&self, open: &OpenFile, keep: Keep) -> Result<Arc<Working>, FsError> {
        if let Some(working) = already_writable(open, keep)? {
            return Ok(working);
        }
        let _turn = open.take_turn();
        if let Some(working) = already_writable(open, keep)? {
            return Ok(working);
        }
        if let (Body::Remote(remote), Keep::Content) = (open.body(), keep) {
            self.fetch_all(&remote)?;
        }
        loop {
            let before = open.before();
            let working = match writable(&before, keep, self.shared.written_dir()?)? {
                Made::Copy(working) => working,
                Made::InPlace(working, source) => {
                    self.shared.rehome(&source, &working.path)?;
                    working
                }
            };
            if keep == Keep::Content {
                self.keep_time(open, &working)?;
            }
            let mut state = open.state();
            // Meanwhile the kernel may have been handed the old file to read by itself; then it is that one.
            if before.backed_count == 0 && state.backed_count > 0 {
                drop(state);
                working.remove();
                continue;
            }
            let working = Arc::new(working);
            state.body = Body::Working(working.clone());
            return Ok(working);
        }
    }

    /// A copy is as old as what it was copied from, and nothing was written to it yet.
    fn keep_time(&self, open: &OpenFile, working: &Working) -> Result<(), FsError> {
        let version = open.state().version;
        let shown = version.and_then(|(key, _)| self.shared.files().catalog.locate(key));
        if let Some(file) = shown.as_ref().and_then(Shown::file) {
            let modified = crate::peer::system_time(file.mtime_ns);
            if working.file.metadata()?.modified()? != modified {
                working.file.set_modified(modified)?;
            }
        }
        let look = working.look(&working.file.metadata()?, self.now());
        working.set_published(look);
        Ok(())
    }

    fn fetch_all(&self, remote: &Arc<RemoteFile>) -> Result<(), FsError> {
        let (done, outcome) = channel();
        let done = Box::new(move |fetched| drop(done.send(fetched)));
        remote.complete(&self.shared, done);
        // It is dropped unanswered only when the peer is being closed.
        let fetched = outcome.recv().unwrap_or(Err(crate::transfer::FetchFault::Closed));
        Ok(fetched?)
    }

    /// Shares what was written, if anything was. A file that somebody goes on writing is left to whoever closes it next.
    pub(super) fn publish(&self, inode: Inode, open: &OpenFile, by: Option<ViewerId>) -> Result<(), FsError> {
        let _turn = open.take_turn();
        let Some(working) = open.working() else {
            return Ok(());
        };
        if open.state().version.is_none() {
            return Ok(());
        }
        if open.state().news == News::Told && !working.is_dirty(self.now())? {
            return Ok(());
        }
        match self.hash(&working)? {
            Some(hashed) => self.share_written(inode, open, (&working, hashed), by),
            None => Ok(()),
        }
    }

    /// Whether publishing will take longer than a call may.
    pub(super) fn is_quickly_published(&self, open: &OpenFile) -> bool {
        let Some(working) = open.working() else {
            return true;
        };
        let len = working.file.metadata().map_or(0, |metadata| metadata.len());
        let is_little = len <= crate::store::GROUP_LEN || !working.is_dirty(self.now()).unwrap_or(true);
        is_little && open.is_turn_free()
    }

    fn hash(&self, working: &Working) -> Result<Option<Hashed>, FsError> {
        let stop = || self.shared.cancel.is_cancelled();
        for _ in 0..HASH_ATTEMPTS_MAX {
            let metadata = working.file.metadata()?;
            let look = working.look(&metadata, self.now());
            let len = metadata.len();
            let hashed = match hash_file(&working.file, len, &stop) {
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => continue,
                hashed => hashed?,
            };
            let after = working.look(&working.file.metadata()?, self.now());
            if after.is_same_state(&look) {
                let (hash, outline) = hashed;
                return Ok(Some(Hashed {
                    content: ContentId { hash, len },
                    outline,
                    look,
                }));
            }
        }
        Ok(None)
    }

    fn share_written(
        &self,
        inode: Inode,
        open: &OpenFile,
        (working, hashed): (&Working, Hashed),
        by: Option<ViewerId>,
    ) -> Result<(), FsError> {
        let source = Source::written(&working.path, hashed.content, hashed.outline)?;
        let mut files = self.shared.files();
        let Some((key, base)) = open.state().version else {
            return Ok(());
        };
        let shown = files.catalog.locate(key);
        let current = shown.as_ref().and_then(Shown::file);
        // Looked at under the lock: a time that was set since the file was hashed is in the catalog by now, or will be.
        let version = FileVersion {
            content: hashed.content,
            mtime_ns: crate::peer::unix_nanos(&working.file.metadata()?),
            mode: current.map_or(NEW_FILE_MODE, |file| file.mode),
        };
        let is_told = open.state().news == News::Told && open.state().content == hashed.content;
        let is_same = current == Some(&version) || shown.as_ref().is_none_or(|shown| shown.dot != base);
        if is_told && is_same {
            // Nothing new; and what the other side has done meanwhile was done knowing it.
            files.hold(key.id, Arc::new(source));
            working.set_published(hashed.look);
            return Ok(());
        }
        let edited = files
            .catalog
            .edit(key, base, Kind::File(version), Holding::Held)?;
        let touched = with(edited.change.touched, edited.shown.id);
        files.hold(edited.shown.id, Arc::new(source));
        let (replaced, by) = self.take_over((inode, open), &edited.shown, (hashed.content, by));
        if replaced != hashed.content {
            // The same file may have held it: it stays, with what it has in it now.
            files.forget_path(&replaced, &working.path);
            files.let_go(Some(replaced));
        }
        working.set_published(hashed.look);
        self.tell_content(&files, &edited.shown.path, by);
        drop(files);
        self.shared.mark(touched);
        Ok(())
    }

    /// The open file is that version now. Returns the content it had before, and who knows of the new one already: nobody
    /// if the name had led to another inode meanwhile.
    fn take_over(
        &self,
        (inode, open): (Inode, &OpenFile),
        shown: &Shown,
        (content, by): (ContentId, Option<ViewerId>),
    ) -> (ContentId, Option<ViewerId>) {
        let mut nodes = self.nodes();
        let standing = nodes.get(inode).map(|node| node.standing);
        let is_named = match standing {
            Some(Standing::For(key)) if key == shown.key() => true,
            Some(Standing::For(_)) => {
                nodes.rekey(inode, shown.key());
                true
            }
            Some(Standing::Gone(_)) | None => false,
        };
        let mut state = open.state();
        state.version = Some((shown.key(), shown.dot));
        state.news = News::Told;
        let replaced = std::mem::replace(&mut state.content, content);
        (replaced, by.filter(|_| is_named))
    }
}

/// A working file that there is already may be written whatever else is done with it.
fn already_writable(open: &OpenFile, keep: Keep) -> Result<Option<Arc<Working>>, FsError> {
    let working = open.working();
    if let (Some(working), Keep::Nothing) = (&working, keep) {
        working.file.set_len(0)?;
        working.note_write();
    }
    Ok(working)
}

/// An entry that was made here is told even if this change of it is none.
fn with(mut touched: Vec<EntryId>, entry: EntryId) -> Vec<EntryId> {
    if !touched.contains(&entry) {
        touched.push(entry);
    }
    touched
}
