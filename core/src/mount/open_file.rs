//! One open file, with any number of handles: where its bytes are, and how it becomes writable.
//!
//! All handles of an inode share one open file, so they always agree. Its content is that of the
//! moment when the first of them was opened; a new content from the other peer belongs to a new
//! inode. Bytes come from a file on this machine that has the whole content, from what is fetched
//! on demand, or from a working file after the first write. How a file becomes writable is decided
//! in `writing`, when a content is published in `publish`.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use super::fs_error::FsError;
use super::uses::InUse;
use super::working_file::Working;
use crate::catalog::{ContentId, Dot, EntryKey, Shown};
use crate::limits::AT_ONCE_LEN_MAX;
use crate::share::RemoteFile;
use crate::store::{Owner, Source};

/// See the head of this file.
#[derive(Debug)]
pub(super) struct OpenFile {
    state: Mutex<State>,
    /// Held while the file is published or made writable; both may take long.
    turn: Mutex<()>,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) body: Body,
    /// The version of which entry the bytes come from; `None` once it was removed here, and is not
    /// published any more.
    pub(super) version: Option<(EntryKey, Dot)>,
    pub(super) content: ContentId,
    /// Whether the entry was announced to the other peer.
    pub(super) announcement: Announcement,
    pub(super) handle_count: usize,
    /// Handles whose reads and writes the kernel passes to the body's file.
    pub(super) backed_count: usize,
    /// Whether a process could still write past us after a handle was closed.
    pub(super) may_be_mapped: bool,
}

/// The state of a file before it becomes writable.
#[derive(Debug, Clone)]
pub(super) struct Before {
    pub(super) body: Body,
    pub(super) content: ContentId,
    pub(super) backed_count: usize,
    /// Entries that have the content because of this file.
    pub(super) entry_count: usize,
}

impl Before {
    /// Whether a working file can be made without waiting for the other peer or copying much.
    pub(super) fn is_small_to_copy(&self, keep: Keep) -> bool {
        let is_here = !matches!(self.body, Body::Remote(_));
        keep == Keep::Nothing || self.content.len == 0 || (is_here && self.content.len <= AT_ONCE_LEN_MAX)
    }
}

/// Whether the file may be announced to the other peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Announcement {
    /// It may.
    Made,
    /// It may when the file is closed for the first time.
    Withheld,
}

/// Where the bytes are.
#[derive(Debug, Clone)]
pub(super) enum Body {
    /// In a file that has all of the content.
    Local(Arc<LocalFile>),
    /// At the other peer, and here as far as they were fetched.
    Remote(Arc<RemoteFile>),
    /// In a working file, which we may write.
    Working(Arc<Working>),
}

/// A file on this machine with a known content.
#[derive(Debug)]
pub(super) struct LocalFile {
    pub(super) source: Arc<Source>,
    pub(super) file: File,
    /// Counts as a use of the file for as long as it is open.
    pub(super) _in_use: InUse,
}

impl LocalFile {
    /// Fills `buffer` with bytes that were there when the content was hashed.
    fn read(&self, buffer: &mut [u8], offset: u64) -> Result<(), FsError> {
        crate::store::read_exact_at(&self.file, buffer, offset)?;
        // Checked after reading: anything that was written before shows by then.
        if self.source.is_unchanged(&self.file) {
            Ok(())
        } else {
            Err(FsError::Changed)
        }
    }

    /// Whether the file is in the store of the peer, where no other program writes.
    pub(super) fn is_in_store(&self) -> bool {
        self.source.owner != Owner::User
    }
}

impl Body {
    /// How long the file is, in bytes.
    pub(super) fn len(&self, content: &ContentId) -> io::Result<u64> {
        match self {
            Self::Working(working) => Ok(working.file.metadata()?.len()),
            Self::Local(_) | Self::Remote(_) => Ok(content.len),
        }
    }

    /// The file that the kernel could read and write by itself: whole, and in the store.
    pub(super) fn backing(&self) -> Option<&File> {
        match self {
            Self::Local(local) if local.is_in_store() => Some(&local.file),
            Self::Working(working) => Some(&working.file),
            Self::Local(_) | Self::Remote(_) => None,
        }
    }

    /// Reads bytes that are here: all of `buffer`, or fewer at the end of a working file.
    pub(super) fn read_here(&self, buffer: &mut [u8], offset: u64) -> Result<usize, FsError> {
        match self {
            Self::Local(local) => local.read(buffer, offset).map(|()| buffer.len()),
            Self::Remote(remote) => Ok(remote.cached().read_at(buffer, offset).map(|()| buffer.len())?),
            Self::Working(working) => Ok(read_up_to(&working.file, buffer, offset)?),
        }
    }
}

/// Fills `buffer` unless the file ends before.
fn read_up_to(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut len = 0;
    while len < buffer.len() {
        match file.read_at(&mut buffer[len..], offset + len as u64) {
            Ok(0) => break,
            Ok(read) => len += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(len)
}

/// The part of `len` bytes from `offset` on that lies within a content of `content_len` bytes.
pub(super) fn within(content_len: u64, offset: u64, len: usize) -> Range<u64> {
    let start = offset.min(content_len);
    start..start.saturating_add(len as u64).min(content_len)
}

impl OpenFile {
    pub(super) fn new(
        body: Body,
        content: ContentId,
        version: (EntryKey, Dot),
        announcement: Announcement,
    ) -> Self {
        let state = State {
            body,
            version: Some(version),
            content,
            announcement,
            handle_count: 0,
            backed_count: 0,
            may_be_mapped: false,
        };
        Self {
            state: Mutex::new(state),
            turn: Mutex::new(()),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until no other thread publishes this file or makes it writable. Take it before the
    /// lock of the catalog.
    pub(super) fn take_turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The turn, if it is free.
    pub(super) fn try_turn(&self) -> Option<MutexGuard<'_, ()>> {
        match self.turn.try_lock() {
            Ok(turn) => Some(turn),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Its state now.
    pub(super) fn before(&self) -> Before {
        let state = self.state();
        Before {
            body: state.body.clone(),
            content: state.content,
            backed_count: state.backed_count,
            entry_count: usize::from(state.version.is_some()),
        }
    }

    /// Whether the entry has another content by now than this file was opened with. Another mode or
    /// time is taken over.
    pub(super) fn is_outdated(&self, shown: &Shown) -> bool {
        let mut state = self.state();
        let Some((_, dot)) = state.version else {
            return true;
        };
        // Also if the dot is the same: a lying peer may give one dot to two contents.
        let same = shown.has_content(&state.content);
        if same && dot != shown.dot {
            state.version = Some((shown.key(), shown.dot));
        }
        !same
    }

    /// Where the bytes are at this moment.
    pub(super) fn body(&self) -> Body {
        self.state().body.clone()
    }

    /// The body, and how many bytes it has.
    pub(super) fn body_and_len(&self) -> Result<(Body, u64), FsError> {
        let state = self.state();
        let len = state.body.len(&state.content)?;
        Ok((state.body.clone(), len))
    }

    /// The working file, if there is one.
    pub(super) fn working(&self) -> Option<Arc<Working>> {
        match &self.state().body {
            Body::Working(working) => Some(working.clone()),
            Body::Local(_) | Body::Remote(_) => None,
        }
    }

    /// Whether it was never announced, and nothing was written to it.
    pub(super) fn is_new_and_empty(&self) -> Result<bool, FsError> {
        let state = self.state();
        Ok(state.announcement == Announcement::Withheld && state.body.len(&state.content)? == 0)
    }
}

/// What the file contains once it is writable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    /// Its content.
    Content,
    /// Nothing: the caller is about to truncate it.
    Nothing,
}
