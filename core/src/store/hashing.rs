//! Hashing a file once, when it is shared: its root hash and its outline.
//!
//! Several threads hash a large file, each with its own range of groups. Reads are checked: a file
//! that ends early is an error, not a shorter hash.

use std::fs::File;
use std::io;
use std::num::NonZero;
use std::ops::Range;
use std::thread;

use blake3::hazmat::ChainingValue;

use super::outline::{GROUP_LEN, GroupHasher, Outline, group_count, group_len};
use super::read_exact_at;
use crate::aligned::AlignedBuffer;
use crate::limits::{HASH_THREADS_MAX, IO_BLOCK_LEN};

/// Called between two groups. It returns whether the hash is no longer wanted.
pub(crate) type Stop<'a> = &'a (dyn Fn() -> bool + Sync);

/// The root hash and the outline of the first `len` bytes of `file`.
///
/// # Errors
/// The errors of reading; [`io::ErrorKind::UnexpectedEof`] if the file is shorter than `len`, and
/// [`io::ErrorKind::Interrupted`] soon after `stop` returns `true`.
pub(crate) fn hash_file(file: &File, len: u64, stop: Stop<'_>) -> io::Result<([u8; 32], Outline)> {
    if len <= GROUP_LEN {
        let mut hasher = blake3::Hasher::new();
        let mut buffer = AlignedBuffer::new(block_len(len));
        read_group(file, len, 0, &mut buffer, |bytes| {
            hasher.update(bytes);
        })?;
        return Ok((*hasher.finalize().as_bytes(), Outline::default()));
    }
    let outline = Outline::new(hash_groups(file, len, stop)?);
    let root = outline.root(len).ok_or(io::ErrorKind::InvalidData)?;
    Ok((root, outline))
}

fn hash_groups(file: &File, len: u64, stop: Stop<'_>) -> io::Result<Vec<ChainingValue>> {
    let count = group_count(len);
    let cores = thread::available_parallelism()
        .map_or(1, NonZero::get)
        .min(HASH_THREADS_MAX) as u64;
    let share = count.div_ceil(cores);
    let ranges = (0..cores).map(|i| (i * share).min(count)..((i + 1) * share).min(count));
    thread::scope(|scope| {
        let threads: Vec<_> = ranges
            .map(|range| scope.spawn(move || hash_range(file, len, range, stop)))
            .collect();
        let mut values = Vec::new();
        for thread in threads {
            values.extend(
                thread
                    .join()
                    .map_err(|_| io::Error::other("a hashing thread panicked"))??,
            );
        }
        Ok(values)
    })
}

fn hash_range(file: &File, len: u64, groups: Range<u64>, stop: Stop<'_>) -> io::Result<Vec<ChainingValue>> {
    let mut buffer = AlignedBuffer::new(IO_BLOCK_LEN);
    let mut value = |index| {
        if stop() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let mut hasher = GroupHasher::new(index);
        read_group(file, len, index, &mut buffer, |bytes| hasher.update(bytes))?;
        Ok(hasher.finish())
    };
    groups.map(&mut value).collect()
}

fn read_group(
    file: &File,
    len: u64,
    index: u64,
    buffer: &mut AlignedBuffer,
    mut each: impl FnMut(&[u8]),
) -> io::Result<()> {
    let mut offset = index * GROUP_LEN;
    let end = offset + group_len(len, index);
    while offset < end {
        let wanted = block_len(end - offset).min(buffer.len());
        read_exact_at(file, &mut buffer[..wanted], offset)?;
        each(&buffer[..wanted]);
        offset += wanted as u64;
    }
    Ok(())
}

/// How much of the remaining `rest` bytes is read at once.
fn block_len(rest: u64) -> usize {
    usize::try_from(rest).unwrap_or(IO_BLOCK_LEN).min(IO_BLOCK_LEN)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn file_of(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    #[test]
    fn the_hash_of_a_file_is_that_of_blake3() {
        for len in [0, 1, 70_000, 1 << 20, (1 << 20) + 1, (5 << 20) + 3] {
            let bytes: Vec<u8> = (0..len).map(|i| (i % 253) as u8).collect();
            let (root, outline) = hash_file(&file_of(&bytes), len as u64, &|| false).unwrap();
            assert_eq!(root, *blake3::hash(&bytes).as_bytes());
            assert_eq!(outline.as_bytes().is_empty(), len <= 1 << 20);
        }
    }

    #[test]
    fn a_file_that_ends_early_is_an_error() {
        let error = hash_file(&file_of(b"four"), 5, &|| false).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn hashing_ends_when_it_is_no_longer_wanted() {
        let error = hash_file(&file_of(&vec![0; 3 << 20]), 3 << 20, &|| true).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Interrupted);
    }
}
