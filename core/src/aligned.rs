//! A page-aligned buffer for file and socket I/O.
//!
//! A large `Vec` from glibc starts 16 bytes into a page, where kernel copies run several times
//! slower on some processors. Owns only that alignment: it is a slice in every other respect.

use std::ops::{Deref, DerefMut};

const PAGE_LEN: usize = 4096;

/// A zeroed buffer of fixed length whose first byte starts a page.
pub(crate) struct AlignedBuffer {
    bytes: Vec<u8>,
    start: usize,
    len: usize,
}

impl AlignedBuffer {
    /// `len` zeroed bytes.
    pub(crate) fn new(len: usize) -> Self {
        let bytes = vec![0; len + PAGE_LEN];
        let start = bytes.as_ptr().align_offset(PAGE_LEN).min(PAGE_LEN);
        Self { bytes, start, len }
    }
}

impl Deref for AlignedBuffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[self.start..self.start + self.len]
    }
}

impl DerefMut for AlignedBuffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.start + self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_starts_at_a_page_and_has_its_length() {
        let buffer = AlignedBuffer::new(300_000);
        assert_eq!(buffer.as_ptr().align_offset(PAGE_LEN), 0);
        assert_eq!(buffer.len(), 300_000);
    }
}
