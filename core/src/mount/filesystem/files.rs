//! Open files: reading, writing, closing.

use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

use super::super::answer::Answer;
use super::super::attributes::{Handle, OpenMode};
use super::super::fs_error::FsError;
use super::super::open_file::{Body, Keep, OpenFile, within};
use super::super::publish::Check;
use super::super::share_view::ShareView;
use super::super::working_file::{Working, copy_range};
use super::{FileSystem, OpenHandle};
use crate::aligned::AlignedBuffer;
use crate::limits::{FILE_LEN_MAX, OPEN_ATTEMPTS_MAX};
use crate::share::{RemoteFile, Share};
use crate::transfer::FetchFault;

/// A part of an open file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Where it starts, in bytes.
    pub offset: u64,
    /// How long it is, in bytes.
    pub len: u64,
}

/// What [`FileSystem::seek`] searches for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whence {
    /// The next byte that is data. What was not fetched yet is data.
    Data,
    /// The next hole, or the end.
    Hole,
}

/// Called with the bytes of a read, or with its failure.
pub(crate) type OnRead = Box<dyn FnOnce(Result<&[u8], FsError>) + Send>;

impl FileSystem {
    /// Reads up to `len` bytes from `offset` on and hands them to `done`: fewer only at the end of
    /// the file. Calls `done` at once if the bytes are here; otherwise another thread calls it when
    /// they have arrived, or with an error.
    pub(crate) fn read_with(&self, handle: Handle, offset: u64, len: usize, done: OnRead) {
        let open = match self.handle(handle) {
            Ok(open) => open.file,
            Err(error) => return done(Err(error)),
        };
        let Err((stale, done)) = self.view.read_open(&open, (offset, len), done) else {
            return;
        };
        // The file was changed by its owner. Another file may have the content too, but to find it,
        // the changed file may have to be read again.
        let view = self.view.clone();
        self.view.share.runtime.spawn_blocking(move || {
            let (mut stale, mut unread) = (stale, done);
            for _ in 0..OPEN_ATTEMPTS_MAX {
                if let Err(error) = view.find_elsewhere(&open, &stale) {
                    return unread(Err(error));
                }
                match view.read_open(&open, (offset, len), unread) {
                    Ok(()) => return,
                    Err(again) => (stale, unread) = again,
                }
            }
            unread(Err(FsError::Changed));
        });
    }

    /// Reads up to `len` bytes from `offset` on; fewer only at the end of the file. Waits until
    /// they are here.
    ///
    /// # Errors
    /// [`FsError::Unavailable`] when they did not arrive in time, [`FsError::Changed`] when the
    /// file on this machine that has them was changed. A read never returns fewer bytes or wrong
    /// ones instead.
    pub fn read(&self, handle: Handle, offset: u64, len: usize) -> Result<Vec<u8>, FsError> {
        let (sender, answer) = std::sync::mpsc::channel();
        let done = Box::new(move |read: Result<&[u8], FsError>| drop(sender.send(read.map(<[u8]>::to_vec))));
        self.read_with(handle, offset, len, done);
        answer
            .recv()
            .unwrap_or(Err(FsError::Unavailable(crate::transfer::FetchFault::Closed)))
    }

    /// Writes bytes at `offset`, or at the end if the handle was opened so. May take long the first
    /// time: a file of the other peer that was not truncated is fetched first.
    ///
    /// # Errors
    /// [`FsError::BadHandle`] for a handle that is not open for writing, [`FsError::TooLarge`], and
    /// those of the store.
    pub fn write(&self, handle: Handle, offset: u64, bytes: &[u8]) -> Result<usize, FsError> {
        self.write_or_later(handle, offset, bytes).wait(self)
    }

    /// As [`FileSystem::write`], without waiting.
    pub(crate) fn write_or_later(&self, handle: Handle, offset: u64, bytes: &[u8]) -> Answer<usize> {
        let open = match self.writable_handle(handle) {
            Ok(open) => open,
            Err(error) => return Answer::Done(Err(error)),
        };
        let mode = open.mode;
        if let Some(working) = self.view.make_writable_at_once(&open.file, Keep::Content) {
            return Answer::Done(working.and_then(|working| write_into(&working, mode, offset, bytes)));
        }
        let bytes = bytes.to_vec();
        Answer::later(move |fs| {
            let working = fs.view.make_writable(&open.file, Keep::Content)?;
            write_into(&working, mode, offset, &bytes)
        })
    }

    fn publish(&self, open: &OpenHandle, check: Check) -> Result<(), FsError> {
        self.view
            .publish((open.inode, &open.file), Some(self.viewer), check)
    }

    /// Shares what was written. Called for each close(2). It is no error if the other peer can't be
    /// reached. An empty new file is shared only when its last handle is closed: a shell may close
    /// one handle just before a program writes through another.
    ///
    /// # Errors
    /// When what was written can't be read again, or the catalog is full.
    pub fn flush(&self, handle: Handle) -> Result<(), FsError> {
        self.flush_or_later(handle).wait(self)
    }

    /// As [`FileSystem::flush`], without waiting.
    pub(crate) fn flush_or_later(&self, handle: Handle) -> Answer<()> {
        let open = match self.handle(handle) {
            Ok(open) => open,
            Err(error) => return Answer::Done(Err(error)),
        };
        match open.file.is_new_and_empty() {
            Ok(is_new_and_empty) if open.mode.write && !is_new_and_empty => {}
            Ok(_) => return Answer::Done(Ok(())),
            Err(error) => return Answer::Done(Err(error)),
        }
        let by = Some(self.viewer);
        let published = self
            .view
            .publish_at_once((open.inode, &open.file), by, Check::Stamp);
        match published {
            Some(published) => Answer::Done(published),
            None => Answer::later(move |fs| fs.publish(&open, Check::Stamp)),
        }
    }

    /// Makes what was written durable on this machine, and shares it: the next peer has it too, if
    /// this one has a folder for its state.
    ///
    /// # Errors
    /// As [`FileSystem::flush`], and those of fsync(2).
    pub fn fsync(&self, handle: Handle) -> Result<(), FsError> {
        let open = self.handle(handle)?;
        if let Some(working) = open.file.working() {
            working.file.sync_all()?;
        }
        if open.mode.write {
            self.publish(&open, Check::Stamp)?;
            self.view.share.save_now()?;
        }
        Ok(())
    }

    /// Closes a handle; the last one shares what was written since it was flushed, but not while
    /// a process can still write to a backed file that it has mapped into memory.
    ///
    /// # Errors
    /// As [`FileSystem::flush`]; the handle is closed all the same.
    pub fn release(&self, handle: Handle) -> Result<(), FsError> {
        self.release_or_later(handle).wait(self)
    }

    /// As [`FileSystem::release`], without waiting. Until the job is done, the handle is open.
    pub(crate) fn release_or_later(&self, handle: Handle) -> Answer<()> {
        let Some(closed) = self.handles_mut().remove(&handle) else {
            return Answer::Done(Err(FsError::BadHandle));
        };
        if let Some(outcome) = self.view.close_at_once(&closed, self.viewer) {
            return Answer::Done(outcome);
        }
        self.handles_mut().insert(handle, closed);
        Answer::later(move |fs| {
            let closed = fs.handles_mut().remove(&handle);
            fs.view.close(&closed.ok_or(FsError::BadHandle)?, fs.viewer)
        })
    }

    /// Allocates or frees the room of a part of a file, as fallocate(2) does with these flags.
    ///
    /// # Errors
    /// Those of fallocate(2); [`FsError::Unsupported`] where the system has none.
    pub fn allocate(&self, handle: Handle, span: Span, flags: u32) -> Result<(), FsError> {
        self.allocate_or_later(handle, span, flags).wait(self)
    }

    /// As [`FileSystem::allocate`], without waiting.
    pub(crate) fn allocate_or_later(&self, handle: Handle, span: Span, flags: u32) -> Answer<()> {
        let open = match self.writable_handle(handle) {
            Ok(open) => open,
            Err(error) => return Answer::Done(Err(error)),
        };
        let end = span.offset.checked_add(span.len);
        if end.is_none_or(|end| end > FILE_LEN_MAX) {
            return Answer::Done(Err(FsError::TooLarge));
        }
        match self.view.make_writable_at_once(&open.file, Keep::Content) {
            Some(working) => Answer::Done(working.and_then(|working| allocate(&working, span, flags))),
            None => Answer::later(move |fs| {
                let working = fs.view.make_writable(&open.file, Keep::Content)?;
                allocate(&working, span, flags)
            }),
        }
    }

    /// Finds data or a hole from `offset` on.
    ///
    /// # Errors
    /// [`FsError::PastTheEnd`], as lseek(2) says.
    pub fn seek(&self, handle: Handle, offset: u64, whence: Whence) -> Result<u64, FsError> {
        let (body, len) = self.handle(handle)?.file.body_and_len()?;
        if let Body::Working(working) = &body {
            return seek(&working.file, offset, whence);
        }
        match whence {
            _ if offset >= len => Err(FsError::PastTheEnd),
            Whence::Data => Ok(offset),
            Whence::Hole => Ok(len),
        }
    }

    /// Copies a part of one open file into another, within the kernel.
    ///
    /// # Errors
    /// [`FsError::Unsupported`] when the bytes are not all here; then they have to be read and
    /// written.
    pub fn copy_range(&self, from: Handle, span: Span, to: Handle, offset: u64) -> Result<u64, FsError> {
        let (source, len) = self.handle(from)?.file.body_and_len()?;
        let target = self.writable_handle(to)?;
        let end = span.offset.saturating_add(span.len).min(len);
        let wanted = end.saturating_sub(span.offset);
        if offset.checked_add(wanted).is_none_or(|end| end > FILE_LEN_MAX) {
            return Err(FsError::TooLarge);
        }
        let file = source.backing().ok_or(FsError::Unsupported)?;
        if wanted == 0 {
            return Ok(0);
        }
        let working = self.view.make_writable_at_once(&target.file, Keep::Content);
        let working = working.ok_or(FsError::Unsupported)??;
        let _writing = working.begin_write();
        Ok(copy_range(file, span.offset, &working.file, offset, wanted)?)
    }

    pub(super) fn writable_handle(&self, handle: Handle) -> Result<OpenHandle, FsError> {
        let open = self.handle(handle)?;
        if open.mode.write {
            Ok(open)
        } else {
            Err(FsError::BadHandle)
        }
    }
}

impl ShareView {
    /// Reads a part of an open file, now or once it was fetched. Gives `done` back if the file that
    /// has the bytes has changed.
    fn read_open(
        &self,
        open: &OpenFile,
        (offset, len): (u64, usize),
        done: OnRead,
    ) -> Result<(), (Body, OnRead)> {
        let (body, content_len) = match open.body_and_len() {
            Ok(body) => body,
            Err(error) => {
                done(Err(error));
                return Ok(());
            }
        };
        let range = within(content_len, offset, len);
        if let Body::Remote(remote) = &body
            && !remote.is_ready(&self.share, range.clone())
        {
            read_later(&self.share, remote, range, done);
            return Ok(());
        }
        answer(&body, range, done).map_err(|done| (body, done))
    }
}

/// Reads a range once it was fetched.
fn read_later(share: &Arc<Share>, remote: &Arc<RemoteFile>, range: Range<u64>, done: OnRead) {
    let (body, fetched_range) = (Body::Remote(remote.clone()), range.clone());
    let then = move |fetched: Result<(), FetchFault>| match fetched {
        Ok(()) => {
            if let Err(done) = answer(&body, fetched_range, done) {
                done(Err(FsError::Changed));
            }
        }
        Err(fault) => done(Err(FsError::Unavailable(fault))),
    };
    remote.read(share, range, Box::new(then));
}

/// Reads a range that is here, in a page-aligned buffer of this thread. Gives `done` back if the
/// file has changed.
fn answer(body: &Body, range: Range<u64>, done: OnRead) -> Result<(), OnRead> {
    thread_local! {
        static BUFFER: std::cell::RefCell<AlignedBuffer> = std::cell::RefCell::new(AlignedBuffer::new(0));
    }
    let len = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
    BUFFER.with_borrow_mut(|buffer| {
        if buffer.len() < len {
            *buffer = AlignedBuffer::new(len);
        }
        match body.read_here(&mut buffer[..len], range.start) {
            Ok(read) => done(Ok(&buffer[..read])),
            Err(FsError::Changed) => return Err(done),
            Err(error) => done(Err(error)),
        }
        Ok(())
    })
}

fn write_into(working: &Working, mode: OpenMode, offset: u64, bytes: &[u8]) -> Result<usize, FsError> {
    match offset.checked_add(bytes.len() as u64) {
        _ if mode.append => working.append(bytes, FILE_LEN_MAX)?,
        Some(..=FILE_LEN_MAX) => working.write(bytes, offset)?,
        Some(_) | None => return Err(FsError::TooLarge),
    }
    Ok(bytes.len())
}

#[cfg(target_os = "linux")]
fn allocate(working: &Working, span: Span, flags: u32) -> Result<(), FsError> {
    let flags = rustix::fs::FallocateFlags::from_bits(flags).ok_or(FsError::Unsupported)?;
    let _writing = working.begin_write();
    Ok(rustix::fs::fallocate(
        &working.file,
        flags,
        span.offset,
        span.len,
    )?)
}

#[cfg(not(target_os = "linux"))]
fn allocate(_working: &Working, _span: Span, _flags: u32) -> Result<(), FsError> {
    Err(FsError::Unsupported)
}

#[cfg(target_os = "linux")]
fn seek(file: &File, offset: u64, whence: Whence) -> Result<u64, FsError> {
    let from = match whence {
        Whence::Data => rustix::fs::SeekFrom::Data(offset),
        Whence::Hole => rustix::fs::SeekFrom::Hole(offset),
    };
    Ok(rustix::fs::seek(file, from)?)
}

#[cfg(not(target_os = "linux"))]
fn seek(file: &File, offset: u64, whence: Whence) -> Result<u64, FsError> {
    let len = file.metadata()?.len();
    match whence {
        _ if offset >= len => Err(FsError::PastTheEnd),
        Whence::Data => Ok(offset),
        Whence::Hole => Ok(len),
    }
}
