//! How an open file becomes writable: a working file in the store replaces the file that it was
//! read from.
//!
//! A content that others may still read is copied before it is written. Only a file that the kernel
//! reads by itself stays the same file, and so does a large one that no other file needs; if others
//! need its content, they get a copy.
//!
//! A file of up to [`COPY_ON_WRITE_LEN_MAX`] bytes is copied before it is written: its old content
//! is served until the new one is shared. A file of the user, outside of the store, is always
//! copied.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::channel;

use super::fs_error::FsError;
use super::open_file::{Before, Body, Keep, LocalFile, OpenFile};
use super::share_view::ShareView;
use super::working_file::{Working, fresh_path};
use crate::catalog::Shown;
use crate::limits::COPY_ON_WRITE_LEN_MAX;
use crate::share::RemoteFile;
use crate::store::{FileStamp, Owner};
use crate::transfer::FetchFault;
use crate::unix_time::system_time;

/// How a working file was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Made {
    /// It is a file of its own.
    Copy,
    /// It is the file that had the content.
    InPlace,
}

impl ShareView {
    /// Makes an open file writable. Waits for the other peer where the content has to be kept and
    /// is not here yet.
    pub(super) fn make_writable(&self, open: &OpenFile, keep: Keep) -> Result<Arc<Working>, FsError> {
        if let Some(working) = already_writable(open, keep)? {
            return Ok(working);
        }
        if let (Body::Remote(remote), Keep::Content) = (open.body(), keep) {
            self.fetch_all(&remote)?;
        }
        let _turn = open.take_turn();
        match already_writable(open, keep)? {
            Some(working) => Ok(working),
            None => self.install_working(open, keep),
        }
    }

    /// As [`ShareView::make_writable`]; `None`, and nothing is done, where that may take long.
    pub(super) fn make_writable_at_once(
        &self,
        open: &OpenFile,
        keep: Keep,
    ) -> Option<Result<Arc<Working>, FsError>> {
        if let Some(writable) = already_writable(open, keep).transpose() {
            return Some(writable);
        }
        let _turn = open.try_turn()?;
        if let Some(writable) = already_writable(open, keep).transpose() {
            return Some(writable);
        }
        let is_small = open.before().is_small_to_copy(keep);
        is_small.then(|| self.install_working(open, keep))
    }

    /// Makes the working file of an open file. The caller has the turn.
    fn install_working(&self, open: &OpenFile, keep: Keep) -> Result<Arc<Working>, FsError> {
        loop {
            let before = open.before();
            let (working, made) = self.make_working(&before, keep)?;
            if keep == Keep::Content {
                self.keep_time(open, &working)?;
            }
            let mut state = open.state();
            // Meanwhile the kernel may have been handed the old file to read by itself; then that
            // file must become the working file.
            if made == Made::Copy && state.backed_count > before.backed_count {
                drop(state);
                working.remove();
                continue;
            }
            let working = Arc::new(working);
            state.body = Body::Working(working.clone());
            return Ok(working);
        }
    }

    fn make_working(&self, before: &Before, keep: Keep) -> Result<(Working, Made), FsError> {
        let store = self.share.written_dir()?;
        let from = match &before.body {
            Body::Local(local) if self.is_written_in_place(before, local, keep) => {
                return Ok((self.take_over_file(before, local, keep)?, Made::InPlace));
            }
            Body::Local(local) => &local.file,
            Body::Remote(remote) => remote.file(),
            Body::Working(_) => return Err(FsError::Invalid),
        };
        let working = match keep {
            Keep::Content => Working::copy_of(from, store, &self.uses)?,
            Keep::Nothing => Working::create(store, &self.uses)?,
        };
        match &before.body {
            Body::Local(local) if keep == Keep::Content && !local.source.is_unchanged(&local.file) => {
                working.remove();
                Err(FsError::Changed)
            }
            _ => Ok((working, Made::Copy)),
        }
    }

    fn is_written_in_place(&self, before: &Before, local: &LocalFile, keep: Keep) -> bool {
        let is_large = keep == Keep::Content && before.content.len > COPY_ON_WRITE_LEN_MAX;
        local.is_in_store() && (before.backed_count > 0 || (is_large && !self.is_needed(before, local)))
    }

    /// Whether the file has other readers, or other files have their content from it alone.
    fn is_needed(&self, before: &Before, local: &LocalFile) -> bool {
        self.uses.count(&local.source.path) > 1
            || self.share.files().entry_count(&before.content) > before.entry_count
            || self.share.is_read_elsewhere(&before.content)
    }

    /// Turns a file of the store into a working file. A fetched file leaves the peer store.
    fn take_over_file(&self, before: &Before, local: &LocalFile, keep: Keep) -> Result<Working, FsError> {
        let (source, store) = (&local.source, self.share.written_dir()?);
        let is_needed = self.is_needed(before, local);
        if source.owner == Owner::PeerStore && !self.share.release_fetched(&before.content) {
            return Err(FsError::Changed);
        }
        if is_needed {
            self.keep_copy(local)?;
        }
        let file = reopened(local)?;
        let mut home = source.path.clone();
        if home.parent() != Some(store) {
            home = fresh_path(store)?;
            std::fs::rename(&source.path, &home)?;
        }
        let working = Working::adopt(file, home, &self.uses);
        match keep {
            Keep::Nothing => {
                self.share.files().forget(source);
                working.file.set_len(0)?;
            }
            Keep::Content if is_needed => {}
            Keep::Content => {
                self.share.rehome(source, &working.path);
                working.set_source();
            }
        }
        Ok(working)
    }

    /// Makes a copy of a content, which other files with that content use from now on.
    fn keep_copy(&self, local: &LocalFile) -> Result<(), FsError> {
        let copy = Working::copy_of(&local.file, self.share.written_dir()?, &self.uses)?;
        if !local.source.is_unchanged(&local.file) {
            copy.remove();
            return Err(FsError::Changed);
        }
        self.share.rehome(&local.source, &copy.path);
        Ok(())
    }

    /// Gives a copy the time of its original, and notes that nothing was written to it yet.
    fn keep_time(&self, open: &OpenFile, working: &Working) -> Result<(), FsError> {
        let version = open.state().version;
        let shown = version.and_then(|(key, _)| self.share.files().catalog.locate(key));
        if let Some(file) = shown.as_ref().and_then(Shown::file) {
            let modified = system_time(file.mtime_ns);
            if working.file.metadata()?.modified()? != modified {
                working.file.set_modified(modified)?;
            }
        }
        let look = working.look(FileStamp::of(&working.file.metadata()?));
        working.set_published(look);
        Ok(())
    }

    fn fetch_all(&self, remote: &Arc<RemoteFile>) -> Result<(), FsError> {
        let (done, outcome) = channel();
        let done = Box::new(move |fetched| drop(done.send(fetched)));
        remote.complete(&self.share, done);
        // It is dropped unanswered only when the peer is being closed.
        let fetched = outcome.recv().unwrap_or(Err(FetchFault::Closed));
        Ok(fetched?)
    }
}

/// The working file, if there is one: it can be written at any time.
fn already_writable(open: &OpenFile, keep: Keep) -> Result<Option<Arc<Working>>, FsError> {
    let working = open.working();
    if let (Some(working), Keep::Nothing) = (&working, keep) {
        working.set_len(0)?;
    }
    Ok(working)
}

/// Opens the same file for writing, even if it has lost its name or another file has it.
fn reopened(local: &LocalFile) -> io::Result<File> {
    #[cfg(target_os = "linux")]
    {
        use std::os::fd::AsRawFd;
        let name = format!("/proc/self/fd/{}", local.file.as_raw_fd());
        File::options().read(true).write(true).open(name)
    }
    #[cfg(not(target_os = "linux"))]
    {
        use std::os::unix::fs::OpenOptionsExt;
        let mut options = File::options();
        options.read(true).write(true).custom_flags(libc::O_NOFOLLOW);
        options.open(&local.source.path)
    }
}
