//! A file that is mapped into memory, shared and writable: what is stored there is in the file,
//! without a call.
//!
//! It can outlive the file that it was made from, which is what tests want it for.

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

// SAFETY: nothing of it belongs to a thread; it is only written to through a unique reference.
unsafe impl Send for Mapping {}

impl Mapping {
    /// Maps the first `len` bytes of a file that is open for reading and writing.
    ///
    /// # Errors
    /// Those of mmap(2).
    pub fn new(file: &File, len: NonZeroUsize) -> io::Result<Mapping> {
        let (access, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED);
        // SAFETY: the system chooses the address, so nothing that is in use is replaced.
        let start = unsafe { mmap(std::ptr::null_mut(), len.get(), access, flags, file, 0) }?;
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Mapping { start, len })
    }

    /// Stores `bytes` at `offset`.
    ///
    /// # Panics
    /// When they reach past its end.
    pub fn store(&mut self, offset: usize, bytes: &[u8]) {
        let end = offset.checked_add(bytes.len());
        assert!(
            end.is_some_and(|end| end <= self.len.get()),
            "past the end of the mapping"
        );
        // SAFETY: the range was just found to lie within the mapping, and `bytes` are somewhere
        // else.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.start.as_ptr().add(offset), bytes.len()) }
    }

    /// Waits until what was stored is in the file, as msync(2) does.
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
        // SAFETY: nobody has a reference into it: none is ever given away.
        let unmapped = unsafe { munmap(self.start.as_ptr().cast(), self.len.get()) };
        debug_assert!(unmapped.is_ok(), "a mapping that is none");
    }
}
