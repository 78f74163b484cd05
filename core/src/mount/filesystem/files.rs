//! Open files: reading, writing, closing.

use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

use super::super::attributes::Handle;
use super::super::error::FsError;
use super::super::open_file::{Body, Keep, within};
use super::super::publish::Check;
use super::super::working::copy_range;
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

/// What [`FileSystem::seek`] looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whence {
    /// The next byte that is data. What was not fetched yet is data.
    Data,
    /// The next hole, or the end.
    Hole,
}

/// What is done with the bytes of a read, or with its failure.
pub(crate) type OnRead = Box<dyn FnOnce(Result<&[u8], FsError>) + Send>;

impl FileSystem {
    /// Reads up to `len` bytes from `offset` on and hands them to `done`: fewer only at the end of
    /// the file. `done` is called at once if the bytes are here, and otherwise by another thread
    /// when they are, or when they can't be had.
    pub(crate) fn read_with(&self, handle: Handle, offset: u64, len: usize, done: OnRead) {
        let open = match self.handle(handle) {
            Ok(open) => open.file,
            Err(error) => return done(Err(error)),
        };
        let mut unread = done;
        for _ in 0..OPEN_ATTEMPTS_MAX {
            let (body, content_len) = match open.body_and_len() {
                Ok(body) => body,
                Err(error) => return unread(Err(error)),
            };
            let range = within(content_len, offset, len);
            if let Body::Remote(remote) = &body
                && !remote.is_ready(&self.view.share, range.clone())
            {
                return read_later(&self.view.share, remote, range, unread);
            }
            match answer(&body, range, unread) {
                Ok(()) => return,
                Err(done) => unread = done,
            }
            // The file was written by whoever it belongs to; the content may be somewhere else as
            // well.
            if let Err(error) = self.find_elsewhere(&open, &body) {
                return unread(Err(error));
            }
        }
        unread(Err(FsError::Changed));
    }

    /// Reads up to `len` bytes from `offset` on; fewer only at the end of the file. Waits until
    /// they are here.
    ///
    /// # Errors
    /// [`FsError::Unavailable`] when they could not be had in time, [`FsError::Changed`] when the
    /// file on this machine that has them was changed; never fewer bytes, never others.
    pub fn read(&self, handle: Handle, offset: u64, len: usize) -> Result<Vec<u8>, FsError> {
        let (sender, answer) = std::sync::mpsc::channel();
        let done = Box::new(move |read: Result<&[u8], FsError>| drop(sender.send(read.map(<[u8]>::to_vec))));
        self.read_with(handle, offset, len, done);
        answer
            .recv()
            .unwrap_or(Err(FsError::Unavailable(crate::transfer::FetchFault::Closed)))
    }

    /// Writes bytes at `offset`, or at the end if the handle was opened so. May take long the first
    /// time: a file of the other side that was not truncated is fetched first.
    ///
    /// # Errors
    /// [`FsError::BadHandle`] for a handle that is not open for writing, [`FsError::TooLarge`], and
    /// those of the store.
    pub fn write(&self, handle: Handle, offset: u64, bytes: &[u8]) -> Result<usize, FsError> {
        let open = self.writable_handle(handle)?;
        let working = self.view.make_writable(&open.file, Keep::Content)?;
        let end = offset.checked_add(bytes.len() as u64);
        match end {
            _ if open.mode.append => working.append(bytes, FILE_LEN_MAX)?,
            Some(..=FILE_LEN_MAX) => working.write(bytes, offset)?,
            Some(_) | None => return Err(FsError::TooLarge),
        }
        Ok(bytes.len())
    }

    /// Whether [`FileSystem::write`] would be done at once.
    #[must_use]
    pub fn is_quickly_written(&self, handle: Handle) -> bool {
        self.writable_handle(handle)
            .is_ok_and(|open| open.file.is_writable_now())
    }

    /// Whether [`FileSystem::flush`] would be done at once.
    #[must_use]
    pub fn is_quickly_flushed(&self, handle: Handle) -> bool {
        self.handle(handle).map_or(true, |open| {
            !open.mode.write || self.view.is_quickly_published(&open.file, Check::Stamp)
        })
    }

    /// Whether [`FileSystem::release`] would be done at once.
    #[must_use]
    pub fn is_quickly_released(&self, handle: Handle) -> bool {
        let is_quick = |open: OpenHandle| self.view.is_quickly_published(&open.file, open.last_check());
        self.handle(handle).map_or(true, is_quick)
    }

    fn publish(&self, open: &OpenHandle, check: Check) -> Result<(), FsError> {
        self.view
            .publish((open.inode, &open.file), Some(self.viewer), check)
    }

    /// Shares what was written. Called for each close(2); that the other side can't be reached is
    /// no error. A new file that nothing was written to may be closed by a shell that is about to:
    /// it is shared when its last handle is closed.
    ///
    /// # Errors
    /// When what was written can't be read again, or the catalog is full.
    pub fn flush(&self, handle: Handle) -> Result<(), FsError> {
        let open = self.handle(handle)?;
        match open.mode.write && !open.file.is_new_and_empty()? {
            true => self.publish(&open, Check::Stamp),
            false => Ok(()),
        }
    }

    /// Makes what was written durable on this machine, and shares it.
    ///
    /// # Errors
    /// As [`FileSystem::flush`], and those of fsync(2).
    pub fn fsync(&self, handle: Handle) -> Result<(), FsError> {
        let open = self.handle(handle)?;
        if let Some(working) = open.file.working() {
            working.file.sync_all()?;
        }
        match open.mode.write {
            true => self.publish(&open, Check::Stamp),
            false => Ok(()),
        }
    }

    /// Closes a handle; the last one shares what was written since it was flushed, but not before
    /// nobody can write to a backed file any more, as whoever has mapped it into memory can.
    ///
    /// # Errors
    /// As [`FileSystem::flush`]; the handle is closed all the same.
    pub fn release(&self, handle: Handle) -> Result<(), FsError> {
        let closed = self.handles_mut().remove(&handle);
        self.view.close(closed.ok_or(FsError::BadHandle)?, self.viewer)
    }

    /// Makes room for a part of a file, or takes it away, as fallocate(2) does with these flags.
    ///
    /// # Errors
    /// Those of fallocate(2); [`FsError::Unsupported`] where the system has none.
    pub fn allocate(&self, handle: Handle, span: Span, flags: u32) -> Result<(), FsError> {
        let open = self.writable_handle(handle)?;
        if span
            .offset
            .checked_add(span.len)
            .is_none_or(|end| end > FILE_LEN_MAX)
        {
            return Err(FsError::TooLarge);
        }
        let working = self.view.make_writable(&open.file, Keep::Content)?;
        let _writing = working.begin_write();
        allocate(&working.file, span, flags)
    }

    /// Finds data or a hole from `offset` on.
    ///
    /// # Errors
    /// `ENXIO` past the end, as lseek(2) says.
    pub fn seek(&self, handle: Handle, offset: u64, whence: Whence) -> Result<u64, FsError> {
        let (body, len) = self.handle(handle)?.file.body_and_len()?;
        if let Body::Working(working) = &body {
            return seek(&working.file, offset, whence);
        }
        match whence {
            _ if offset >= len => Err(rustix::io::Errno::NXIO.into()),
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
        let (Some(file), true) = (source.backing(), target.file.is_writable_now()) else {
            return Err(FsError::Unsupported);
        };
        if wanted == 0 {
            return Ok(0);
        }
        let working = self.view.make_writable(&target.file, Keep::Content)?;
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
/// file is not what it was.
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

#[cfg(target_os = "linux")]
fn allocate(file: &File, span: Span, flags: u32) -> Result<(), FsError> {
    let flags = rustix::fs::FallocateFlags::from_bits(flags).ok_or(FsError::Unsupported)?;
    Ok(rustix::fs::fallocate(file, flags, span.offset, span.len)?)
}

#[cfg(not(target_os = "linux"))]
fn allocate(_file: &File, _span: Span, _flags: u32) -> Result<(), FsError> {
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
        _ if offset >= len => Err(rustix::io::Errno::NXIO.into()),
        Whence::Data => Ok(offset),
        Whence::Hole => Ok(len),
    }
}
