//! The share over a restart of its peer: what changes is written to the journal, soon and from a
//! thread of its own.
//!
//! The lock of the catalog is held while a page is taken, and released while it is written. A page
//! that could not be written is taken again. Everything is durable a moment after it changed, and
//! for certain when [`Share::save`] returns: when a program has synced a file of a mount, when a
//! user of the library asks for it, and when the peer is closed.
//!
//! A file of a mount that is no longer needed is removed only when the journal says so durably:
//! after a crash the earlier version would have no bytes otherwise.

use std::io;
use std::ops::{Deref, DerefMut};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::{Files, Share};
use crate::journal::{Journal, JournalError, Record};
use crate::limits::{
    JOURNAL_PAGE_FILES_MAX, JOURNAL_PAGE_OUTLINES_LEN_MAX, SAVE_INTERVAL, SAVE_RETRY_INTERVAL,
};
use crate::store::Source;

/// The journal of a share.
#[derive(Debug)]
pub(super) struct Saving {
    /// `None` once it is closed.
    journal: Mutex<Option<Journal>>,
    changed: Notify,
    /// Whether it was reported that the journal can't be written.
    is_reported: AtomicBool,
}

impl Saving {
    pub(super) fn new(journal: Journal) -> Self {
        Self {
            journal: Mutex::new(Some(journal)),
            changed: Notify::new(),
            is_reported: AtomicBool::new(false),
        }
    }

    fn journal(&self) -> MutexGuard<'_, Option<Journal>> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The files of a share, locked. What was changed meanwhile is saved soon.
pub(crate) struct FilesGuard<'a> {
    pub(super) files: MutexGuard<'a, Files>,
    pub(super) saving: Option<&'a Saving>,
}

impl Deref for FilesGuard<'_> {
    type Target = Files;

    fn deref(&self) -> &Files {
        &self.files
    }
}

impl DerefMut for FilesGuard<'_> {
    fn deref_mut(&mut self) -> &mut Files {
        &mut self.files
    }
}

impl Drop for FilesGuard<'_> {
    fn drop(&mut self) {
        if let Some(saving) = self.saving.filter(|_| self.files.has_unsaved()) {
            saving.changed.notify_one();
        }
    }
}

/// How the share of a peer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Nothing changes it any more.
    InOrder,
    /// Something that was started has not ended.
    WithTasksLeft,
}

impl Share {
    /// Saves changes until the peer is closed.
    pub(super) fn spawn_saver(self: &Arc<Self>) {
        let share = self.clone();
        if self.saving.is_some() {
            self.runtime
                .spawn_until_cancelled(async move { share.keep_saving().await });
        }
    }

    async fn keep_saving(self: Arc<Self>) {
        let Some(saving) = &self.saving else { return };
        loop {
            saving.changed.notified().await;
            let clock = &self.runtime.clock;
            while let Err(error) = self.save_later().await {
                self.report(&error);
                clock.sleep_until(clock.now() + SAVE_RETRY_INTERVAL).await;
            }
            clock.sleep_until(clock.now() + SAVE_INTERVAL).await;
        }
    }

    /// As [`Share::save`], on a thread that may block.
    pub(crate) async fn save_later(self: &Arc<Self>) -> Result<(), JournalError> {
        let share = self.clone();
        let saved = self.runtime.run_blocking(move || share.save()).await;
        // Waiting fails only if it panicked.
        saved.unwrap_or(Ok(()))
    }

    /// Returns when everything that has changed so far is durable. Blocks. Does nothing without a
    /// journal, and after the peer was closed.
    ///
    /// # Errors
    /// When the journal can't be written. What was not saved is saved later.
    pub(crate) fn save(&self) -> Result<(), JournalError> {
        let Some(saving) = &self.saving else { return Ok(()) };
        match &mut *saving.journal() {
            Some(journal) => self.save_to(journal)?,
            None => return Ok(()),
        }
        saving.is_reported.store(false, Ordering::Release);
        Ok(())
    }

    /// As [`Share::save`], with the system's own error.
    ///
    /// # Errors
    /// The same.
    #[cfg(unix)]
    pub(crate) fn save_now(&self) -> io::Result<()> {
        self.save().map_err(|error| match error {
            JournalError::Io { source, .. } => source,
            other => io::Error::other(other),
        })
    }

    fn save_to(&self, journal: &mut Journal) -> Result<(), JournalError> {
        let unneeded = loop {
            let mut files = self.files();
            let page = self.take_unsaved(&mut files);
            if page.is_empty() {
                break std::mem::take(&mut files.unneeded);
            }
            drop(files);
            if let Err(error) = journal.append(&page) {
                self.files().note_unsaved(&page);
                return Err(error);
            }
        };
        if let Err(error) = journal.sync() {
            self.files().unneeded.extend(unneeded);
            return Err(error);
        }
        unneeded.iter().for_each(|source| source.discard());
        if journal.is_overgrown() {
            let rewritten = self.rewrite(journal);
            drop(rewritten.inspect_err(|error| tracing::warn!(%error, "the journal stays long")));
        }
        Ok(())
    }

    /// The records of some of what has changed; none if nothing has.
    fn take_unsaved(&self, files: &mut Files) -> Vec<Record> {
        let mut paths = files.take_unsaved_paths(JOURNAL_PAGE_FILES_MAX);
        paths.extend(self.placed.take_unsaved(JOURNAL_PAGE_FILES_MAX));
        let mut paths: Vec<_> = paths.into_iter().collect();
        let mut page = self.records_of_last(files, &mut paths);
        paths.into_iter().for_each(|path| files.own.unsaved.note(path));
        page.extend(files.take_unsaved_entries());
        page
    }

    /// The records of the last of `paths`, which are taken out: until they are long enough for a
    /// page.
    fn records_of_last(&self, files: &Files, paths: &mut Vec<PathBuf>) -> Vec<Record> {
        let (mut page, mut len) = (Vec::new(), 0);
        while len < JOURNAL_PAGE_OUTLINES_LEN_MAX && page.len() < JOURNAL_PAGE_FILES_MAX {
            let Some(path) = paths.pop() else { break };
            let record = files.record_of(&path, self.placed.at(&path));
            len += record.outlines_len();
            page.push(record);
        }
        page
    }

    /// Writes the journal anew. What changes meanwhile is appended to the new one.
    fn rewrite(&self, journal: &mut Journal) -> Result<(), JournalError> {
        let files = self.files();
        let (mut ids, mut paths) = (files.catalog.ids(), files.known_paths());
        drop(files);
        paths.extend(self.placed.paths());
        paths.sort_unstable();
        paths.dedup();
        journal.rewrite(|| {
            let files = self.files();
            let mut page = self.records_of_last(&files, &mut paths);
            page.extend(files.record_of_last(&mut ids));
            page
        })
    }

    /// Saves what is not saved yet, and ends the use of the journal. Blocks.
    ///
    /// # Errors
    /// When the journal can't be written.
    pub(crate) fn end_saving(&self, ending: Ending) -> Result<(), JournalError> {
        let Some(saving) = &self.saving else { return Ok(()) };
        let Some(mut journal) = saving.journal().take() else {
            return Ok(());
        };
        self.save_to(&mut journal)?;
        match ending {
            Ending::InOrder => journal.close(),
            Ending::WithTasksLeft => Ok(()),
        }
    }

    /// Has what pulls have put somewhere, or taken away, saved soon.
    pub(crate) fn save_soon(&self) {
        if let Some(saving) = &self.saving {
            saving.changed.notify_one();
        }
    }

    fn report(&self, error: &JournalError) {
        let Some(saving) = &self.saving else { return };
        if !saving.is_reported.swap(true, Ordering::AcqRel) {
            tracing::warn!(%error, "what changes is not saved");
            if let Some(hooks) = self.hooks.upgrade() {
                hooks.not_saved(error);
            }
        }
    }
}

impl Files {
    /// Removes a file of a mount that nothing needs any more: at once, or when that is saved.
    pub(super) fn discard(&mut self, source: Arc<Source>) {
        if self.sources.unsaved.is_tracking() {
            self.unneeded.push(source);
        } else {
            source.discard();
        }
    }
}

#[cfg(all(test, unix))]
mod tests;
