//! A file mapped into memory, shared and writable: bytes stored there are in the file without a
//! call.
//!
//! A mapping can outlive the open file that it was made from, which tests make use of.

#![expect(unsafe_code, reason = "memory is mapped through C")]

use std::fs::File;
use std::io;
use std::num::NonZeroUsize;
use std::ptr::NonNull;

use rustix::mm::{MapFlags, MsyncFlags, ProtFlags, mmap, msync, munmap};

/// The first bytes of a file, in memory until this is dropped.
#[derive(Debug)]
pub struct Mapping {
    start: NonNull<u8>,
    len: NonZeroUsize,
}

// SAFETY: no part of it belongs to a thread, and it is only written through a unique reference.
unsafe impl Send for Mapping {}

impl Mapping {
    /// Maps the first `len` bytes of a file that is open for reading and writing.
    ///
    /// # Errors
    /// Those of mmap(2).
    pub fn new(file: &File, len: NonZeroUsize) -> io::Result<Mapping> {
        let (access, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED);
        // SAFETY: the system chooses the address, so no memory in use is replaced.
        let start = unsafe { mmap(std::ptr::null_mut(), len.get(), access, flags, file, 0) }?;
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Mapping { start, len })
    }

    /// Stores `bytes` at `offset`.
    ///
    /// # Panics
    /// If they reach past the end of the mapping.
    pub fn store(&mut self, offset: usize, bytes: &[u8]) {
        let end = offset.checked_add(bytes.len());
        assert!(
            end.is_some_and(|end| end <= self.len.get()),
            "past the end of the mapping"
        );
        // SAFETY: the assertion has checked that the range is within the mapping, and `bytes` do
        // not overlap it.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.start.as_ptr().add(offset), bytes.len()) }
    }

    /// Waits until the stored bytes are in the file, as msync(2) does.
    ///
    /// # Errors
    /// Those of msync(2).
    pub fn sync(&self) -> io::Result<()> {
        // SAFETY: this is all of the mapping and nothing else.
        Ok(unsafe { msync(self.start.as_ptr().cast(), self.len.get(), MsyncFlags::SYNC) }?)
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: no reference into the mapping exists, since none is ever handed out.
        let unmapped = unsafe { munmap(self.start.as_ptr().cast(), self.len.get()) };
        debug_assert!(unmapped.is_ok(), "munmap(2) refused the mapping");
    }
}
