//! The file in the store that holds what is written to a file of the share.
//!
//! Owns making it (empty or as a copy) and whether it was written since it was last published. The
//! kernel may write to it without us; so its stamp counts as well as our own count of writes.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

#[cfg(target_os = "linux")]
use super::errno;
use super::fs_error::FsError;
use super::uses::{InUse, Uses};
use crate::limits::COPY_CALL_LEN_MAX;
use crate::store::{FileStamp, write_all_at};

/// A file of the store that is open for reading and writing.
#[derive(Debug)]
pub(super) struct Working {
    pub(super) file: File,
    pub(super) path: PathBuf,
    writes: AtomicU64,
    /// Writes that have begun and not ended.
    active_writes: AtomicU64,
    published: Mutex<Option<Look>>,
    /// Whether it is a source of some content; one that is not has no use once it is closed.
    is_source: AtomicBool,
    /// Held while something is appended: finding the end and writing there are two steps.
    appending: Mutex<()>,
    _in_use: InUse,
}

/// The state of a working file at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Look {
    writes: u64,
    stamp: FileStamp,
}

/// A change of a working file that is going on.
#[must_use]
pub(super) struct Writing<'a>(&'a Working);

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        self.0.writes.fetch_add(1, Ordering::AcqRel);
        self.0.active_writes.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Working {
    /// An empty one in the folder `store`.
    pub(super) fn create(store: &Path, uses: &Uses) -> io::Result<Self> {
        let path = fresh_path(store)?;
        let mut options = File::options();
        options.read(true).write(true).create_new(true);
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&path)?;
        Ok(Self::adopt(file, path, uses))
    }

    /// A copy of `source`, by reference where the file system can do that.
    pub(super) fn copy_of(source: &File, store: &Path, uses: &Uses) -> io::Result<Self> {
        let working = Self::create(store, uses)?;
        match copy(source, &working.file) {
            Ok(()) => Ok(working),
            Err(error) => {
                working.remove();
                Err(error)
            }
        }
    }

    /// A file of the store that becomes a working file as it is.
    pub(super) fn adopt(file: File, path: PathBuf, uses: &Uses) -> Self {
        Self {
            file,
            _in_use: uses.begin(&path),
            path,
            writes: AtomicU64::new(0),
            active_writes: AtomicU64::new(0),
            published: Mutex::new(None),
            is_source: AtomicBool::new(false),
            appending: Mutex::new(()),
        }
    }

    /// Writes bytes at an offset.
    pub(super) fn write(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let _writing = self.begin_write();
        write_all_at(&self.file, bytes, offset)
    }

    /// Writes at the present end of the file.
    pub(super) fn append(&self, bytes: &[u8], len_max: u64) -> Result<(), FsError> {
        let _turn = self.appending.lock().unwrap_or_else(PoisonError::into_inner);
        let end = self.file.metadata()?.len();
        if end.saturating_add(bytes.len() as u64) > len_max {
            return Err(FsError::TooLarge);
        }
        Ok(self.write(bytes, end)?)
    }

    /// Sets the length of the file.
    pub(super) fn set_len(&self, len: u64) -> io::Result<()> {
        let _writing = self.begin_write();
        self.file.set_len(len)
    }

    /// Keep the result during each change of the file that goes through us.
    pub(super) fn begin_write(&self) -> Writing<'_> {
        self.active_writes.fetch_add(1, Ordering::AcqRel);
        Writing(self)
    }

    /// Whether a change is going on, so that the present state means nothing.
    pub(super) fn is_being_written(&self) -> bool {
        self.active_writes.load(Ordering::Acquire) > 0
    }

    /// The state of the file, given its present stamp; compare it with the state after reading all
    /// of it.
    pub(super) fn look(&self, stamp: FileStamp) -> Look {
        Look {
            writes: self.writes.load(Ordering::Acquire),
            stamp,
        }
    }

    /// Notes that the content which the file had at that look is published.
    pub(super) fn set_published(&self, look: Look) {
        *self.published.lock().unwrap_or_else(PoisonError::into_inner) = Some(look);
    }

    /// Notes that the file is a source.
    pub(super) fn set_source(&self) {
        self.is_source.store(true, Ordering::Release);
    }

    /// Whether the file was written since it was published, judged by its stamp.
    pub(super) fn is_dirty(&self) -> io::Result<bool> {
        let look = self.look(FileStamp::of(&self.file.metadata()?));
        let published = self.published.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(published.as_ref() != Some(&look))
    }

    /// Whether the file is of no use once it is closed.
    pub(super) fn is_useless(&self) -> bool {
        !self.is_source.load(Ordering::Acquire) && self.is_dirty().is_ok_and(|dirty| !dirty)
    }

    /// Removes the file from the store; a program that has it open keeps it.
    pub(super) fn remove(&self) {
        crate::store::remove_own(&self.path);
    }
}

/// A name in the store that nothing has.
pub(super) fn fresh_path(store: &Path) -> io::Result<PathBuf> {
    let token = getrandom::u64().map_err(io::Error::from)?;
    Ok(store.join(format!("{token:016x}")))
}

fn copy(from: &File, to: &File) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    if rustix::fs::ioctl_ficlone(to, from).is_ok() {
        return Ok(());
    }
    let len = from.metadata()?.len();
    let mut offset = 0;
    while offset < len {
        match copy_range(from, offset, to, offset, len - offset)? {
            0 => break,
            copied => offset += copied,
        }
    }
    // A file that ends in a hole, or shrinks meanwhile.
    to.set_len(len)
}

/// Copies up to `len` bytes within the kernel where it can; returns how many, 0 at the end of
/// `from`.
pub(super) fn copy_range(
    from: &File,
    from_offset: u64,
    to: &File,
    to_offset: u64,
    len: u64,
) -> io::Result<u64> {
    let call_len = usize::try_from(len).unwrap_or(usize::MAX).min(COPY_CALL_LEN_MAX);
    #[cfg(target_os = "linux")]
    {
        let (mut source, mut target) = (from_offset, to_offset);
        match rustix::fs::copy_file_range(from, Some(&mut source), to, Some(&mut target), call_len) {
            Ok(copied) => return Ok(copied as u64),
            Err(error) if errno::is_no_kernel_copy(error) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let mut buffer = crate::aligned::AlignedBuffer::new(call_len.min(crate::limits::IO_BLOCK_LEN));
    let read = std::os::unix::fs::FileExt::read_at(from, &mut buffer, from_offset)?;
    write_all_at(to, &buffer[..read], to_offset)?;
    Ok(read as u64)
}
