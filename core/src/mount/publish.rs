//! Makes a version in the catalog from what was written, for the other peer.
//!
//! A write never waits for the other peer. When the file is closed or synced its content is hashed
//! and shared, once for all writes before it; nothing is shared while it is being written. A
//! version is derived from the one that the writer saw: a change by the other peer meanwhile stays,
//! as a conflict copy.
//!
//! A new file is in the catalog from its creation, but the other peer is informed of it when it is
//! closed for the first time.

use std::sync::Arc;

use super::attributes::Inode;
use super::fs_error::FsError;
use super::nodes::Standing;
use super::open_file::{Announcement, OpenFile};
use super::share_view::ShareView;
use super::viewers::ViewerId;
use super::working_file::{Look, Working};
use crate::catalog::{ContentId, EntryId, FileVersion, Holding, Kind, Shown};
use crate::limits::{AT_ONCE_LEN_MAX, HASH_ATTEMPTS_MAX};
use crate::share::Files;
use crate::store::{FileStamp, Source, hash_file};
use crate::unix_time::modified_ns;

/// Permission bits of a file whose entry is gone.
const NEW_FILE_MODE: u32 = 0o644;

/// How to detect whether there is anything to publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Check {
    /// By the stamp of the working file.
    Stamp,
    /// By its content: a write to mapped memory need not change the stamp.
    Content,
}

/// A content that a working file had while all of it was read.
struct Hashed {
    source: Source,
    look: Look,
}

impl ShareView {
    /// Shares what was written, if anything was. A file that is still being written is left to
    /// the handle that is closed next.
    pub(super) fn publish(
        &self,
        (inode, open): (Inode, &OpenFile),
        by: Option<ViewerId>,
        check: Check,
    ) -> Result<(), FsError> {
        if open.working().is_none() {
            return Ok(());
        }
        let _turn = open.take_turn();
        match unpublished(open, check)? {
            Some(working) => self.publish_working((inode, open), &working, by),
            None => Ok(()),
        }
    }

    /// As [`ShareView::publish`]; `None`, and nothing is done, where that may take long.
    pub(super) fn publish_at_once(
        &self,
        (inode, open): (Inode, &OpenFile),
        by: Option<ViewerId>,
        check: Check,
    ) -> Option<Result<(), FsError>> {
        if open.working().is_none() {
            return Some(Ok(()));
        }
        let _turn = open.try_turn()?;
        let working = match unpublished(open, check) {
            Ok(Some(working)) => working,
            Ok(None) => return Some(Ok(())),
            Err(error) => return Some(Err(error)),
        };
        let len = working.file.metadata().map_or(0, |metadata| metadata.len());
        (len <= AT_ONCE_LEN_MAX).then(|| self.publish_working((inode, open), &working, by))
    }

    fn publish_working(
        &self,
        (inode, open): (Inode, &OpenFile),
        working: &Working,
        by: Option<ViewerId>,
    ) -> Result<(), FsError> {
        match self.hash(working)? {
            Some(hashed) => self.share_written((inode, open), (working, hashed), by),
            None => Ok(()),
        }
    }

    fn hash(&self, working: &Working) -> Result<Option<Hashed>, FsError> {
        let stop = || self.share.runtime.cancel.is_cancelled();
        for _ in 0..HASH_ATTEMPTS_MAX {
            if working.is_being_written() {
                continue;
            }
            let metadata = working.file.metadata()?;
            let (look, len) = (working.look(FileStamp::of(&metadata)), metadata.len());
            let (hash, outline) = match hash_file(&working.file, len, &stop) {
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => continue,
                hashed => hashed?,
            };
            let source = Source::written(&working.path, ContentId { hash, len }, outline)?;
            if !working.is_being_written() && working.look(source.stamp().clone()) == look {
                return Ok(Some(Hashed { source, look }));
            }
        }
        Ok(None)
    }

    fn share_written(
        &self,
        (inode, open): (Inode, &OpenFile),
        (working, hashed): (&Working, Hashed),
        by: Option<ViewerId>,
    ) -> Result<(), FsError> {
        let content = hashed.source.content;
        let mut files = self.share.files();
        let Some((key, base)) = open.state().version else {
            return Ok(());
        };
        let shown = files.catalog.locate(key);
        let current = shown.as_ref().and_then(Shown::file);
        // Read under the lock: a time that was set since the file was hashed is in the catalog
        // by now, or will be.
        let version = FileVersion {
            content,
            mtime_ns: modified_ns(&working.file.metadata()?),
            mode: current.map_or(NEW_FILE_MODE, |file| file.mode),
        };
        let is_told = open.state().announcement == Announcement::Made && open.state().content == content;
        let is_same = current == Some(&version) || shown.as_ref().is_none_or(|shown| shown.dot != base);
        if is_told && is_same {
            // Nothing is new; a change that the other peer made meanwhile is based on this version.
            working.set_published(hashed.look);
            if current.is_some_and(|current| current.content == content)
                && is_needed(&files, working, &content)
            {
                files.hold(key.id, Arc::new(hashed.source));
                working.set_source();
            }
            return Ok(());
        }
        let edited = files
            .catalog
            .edit(key, base, Kind::File(version), Holding::Held)?;
        let replaced = open.state().content;
        if replaced != content {
            // The working file may have had that content: it stays, with its present content.
            files.forget_path(&replaced, &working.path);
        }
        files.settle(&edited.change);
        let touched = with(edited.change.touched, edited.shown.id);
        files.stop_withholding(key.id);
        files.stop_withholding(edited.shown.id);
        files.hold(edited.shown.id, Arc::new(hashed.source));
        working.set_source();
        working.set_published(hashed.look);
        let by = self.take_over((inode, open), &edited.shown, (content, by));
        self.report_content(&files, &edited.shown.path, by);
        drop(files);
        self.share.announce(touched);
        Ok(())
    }

    /// Notes that the open file is that version now. Returns the viewer that knows it already: none
    /// if the name has led to another inode meanwhile.
    fn take_over(
        &self,
        (inode, open): (Inode, &OpenFile),
        shown: &Shown,
        (content, by): (ContentId, Option<ViewerId>),
    ) -> Option<ViewerId> {
        let mut nodes = self.nodes();
        let standing = nodes.get(inode).map(|node| node.standing);
        let is_named = match standing {
            Some(Standing::For(key)) if key == shown.key() => true,
            Some(Standing::For(_)) => {
                self.rekey(&mut nodes, inode, shown);
                true
            }
            Some(Standing::Gone(_)) | None => false,
        };
        let mut state = open.state();
        state.version = Some((shown.key(), shown.dot));
        state.announcement = Announcement::Made;
        state.content = content;
        by.filter(|_| is_named)
    }
}

/// The working file of an open file, if there is anything to publish of it. The caller has the
/// turn.
fn unpublished(open: &OpenFile, check: Check) -> Result<Option<Arc<Working>>, FsError> {
    let Some(working) = open.working() else {
        return Ok(None);
    };
    if open.state().version.is_none() {
        return Ok(None);
    }
    if check == Check::Stamp && open.state().announcement == Announcement::Made && !working.is_dirty()? {
        return Ok(None);
    }
    Ok(Some(working))
}

/// Whether no other file has the content. Opening a file for writing makes a copy of it, which is
/// of no use if nothing is written.
fn is_needed(files: &Files, working: &Working, content: &ContentId) -> bool {
    let sources = files.sources_of(content);
    !sources
        .iter()
        .any(|source| source.path != working.path && source.open().is_ok())
}

/// An entry that was made here is announced even if this did not change it.
fn with(mut touched: Vec<EntryId>, entry: EntryId) -> Vec<EntryId> {
    if !touched.contains(&entry) {
        touched.push(entry);
    }
    touched
}
