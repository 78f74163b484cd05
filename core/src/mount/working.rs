//! The file in the store that a file of the share is written into.
//!
//! Owns making it (empty, or as a copy of what there was) and the question whether it was written since it was last
//! published. It may be written past us, by the kernel itself; so what decides is its stamp, not only our own count.

use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use crate::limits::{COPY_CALL_LEN_MAX, UNSETTLED_LEN_MAX, UNSETTLED_TIME};
use crate::store::FileStamp;

/// A file of the store that is open for reading and writing.
#[derive(Debug)]
pub(super) struct Working {
    pub(super) file: File,
    pub(super) path: PathBuf,
    writes: AtomicU64,
    published: Mutex<Option<Published>>,
}

/// What a working file was like when it was published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Published {
    writes: u64,
    stamp: FileStamp,
    settled: bool,
}

impl Published {
    /// Whether nothing was written between the two looks, as far as stamps can tell.
    pub(super) fn is_same_state(&self, other: &Self) -> bool {
        self.writes == other.writes && self.stamp == other.stamp
    }
}

impl Working {
    /// An empty one in the folder `store`.
    pub(super) fn create(store: &Path) -> io::Result<Self> {
        let token = getrandom::u64().map_err(io::Error::from)?;
        let path = store.join(format!("{token:016x}"));
        let mut options = File::options();
        options.read(true).write(true).create_new(true);
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&path)?;
        Ok(Self::adopt(file, path))
    }

    /// A copy of `source`, by reference where the file system can do that.
    pub(super) fn copy_of(source: &File, store: &Path) -> io::Result<Self> {
        let working = Self::create(store)?;
        match copy(source, &working.file) {
            Ok(()) => Ok(working),
            Err(error) => {
                working.remove();
                Err(error)
            }
        }
    }

    /// A file of the store that becomes a working file as it is.
    pub(super) fn adopt(file: File, path: PathBuf) -> Self {
        Self {
            file,
            path,
            writes: AtomicU64::new(0),
            published: Mutex::new(None),
        }
    }

    /// To be called after each write that goes through us.
    pub(super) fn note_write(&self) {
        self.writes.fetch_add(1, Ordering::AcqRel);
    }

    /// What the file is like at this moment; compare it with that after reading all of it.
    pub(super) fn look(&self, metadata: &Metadata, now: SystemTime) -> Published {
        Published {
            writes: self.writes.load(Ordering::Acquire),
            stamp: FileStamp::of(metadata),
            settled: is_settled(metadata, now),
        }
    }

    /// Notes that the content which the file had at that look is published.
    pub(super) fn set_published(&self, look: Published) {
        *self.published.lock().unwrap_or_else(PoisonError::into_inner) = Some(look);
    }

    /// Whether the file may have been written since it was published.
    pub(super) fn is_dirty(&self, now: SystemTime) -> io::Result<bool> {
        let look = self.look(&self.file.metadata()?, now);
        let published = self.published.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(published
            .as_ref()
            .is_none_or(|last| !last.settled || !last.is_same_state(&look)))
    }

    /// Whether the file is certain to have been written since it was published.
    pub(super) fn is_changed(&self, now: SystemTime) -> io::Result<bool> {
        let look = self.look(&self.file.metadata()?, now);
        let published = self.published.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(published.as_ref().is_none_or(|last| !last.is_same_state(&look)))
    }

    /// Takes the file out of the store; whoever has it open still has it.
    pub(super) fn remove(&self) {
        crate::store::remove_own(&self.path);
    }
}

/// Some file systems count time in ticks: two writes within one leave the same stamp. A small file that was modified
/// that recently is read once more; of a large one the reading takes longer than a tick.
fn is_settled(metadata: &Metadata, now: SystemTime) -> bool {
    let age = metadata
        .modified()
        .ok()
        .and_then(|time| now.duration_since(time).ok());
    metadata.len() > UNSETTLED_LEN_MAX || age.is_some_and(|age: Duration| age > UNSETTLED_TIME)
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

/// Copies up to `len` bytes within the kernel where it can; returns how many, 0 at the end of `from`.
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
            Err(rustix::io::Errno::XDEV | rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let mut buffer = crate::aligned::AlignedBuffer::new(call_len.min(crate::limits::IO_BLOCK_LEN));
    let read = std::os::unix::fs::FileExt::read_at(from, &mut buffer, from_offset)?;
    crate::store::write_all_at(to, &buffer[..read], to_offset)?;
    Ok(read as u64)
}
