//! Work on files, the same on a mount and on a plain directory: reading, writing and walking, each
//! with its time.
//!
//! Buffers begin at a page, because a copy from or to the kernel is several times slower otherwise
//! on some processors.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tandem_tests::conformance::exerciser::Numbers;
use tandem_tests::wait::now;

/// Bytes of one read or write of a large file.
const BLOCK_LEN: usize = 1 << 20;
/// Bytes of one random read.
const RANDOM_LEN: usize = 4096;
/// Bytes of each file of a tree.
const SMALL_LEN: usize = 4096;
/// Files of one folder of a tree.
const FOLDER_COUNT: usize = 100;
const PAGE_LEN: usize = 4096;

/// Bytes that begin at a page.
struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    len: usize,
}

impl Buffer {
    fn new(len: usize) -> Buffer {
        let bytes = vec![0; len + PAGE_LEN];
        let start = bytes.as_ptr().align_offset(PAGE_LEN).min(PAGE_LEN);
        Buffer { bytes, start, len }
    }

    fn get(&mut self) -> &mut [u8] {
        let end = self.start + self.len;
        self.bytes.get_mut(self.start..end).unwrap_or_default()
    }
}

/// Writes `len` bytes derived from `seed` to a new file, and returns the time until it was closed.
pub(crate) fn write(path: &Path, len: u64, seed: u64) -> anyhow::Result<Duration> {
    write_in_blocks(path, len, seed, BLOCK_LEN)
}

/// The same page by page. A file system that caches a file in pieces as large as its writes, as
/// ext4 and XFS do, then caches it in single pages.
pub(crate) fn write_in_pages(path: &Path, len: u64, seed: u64) -> anyhow::Result<Duration> {
    write_in_blocks(path, len, seed, PAGE_LEN)
}

fn write_in_blocks(path: &Path, len: u64, seed: u64, block_len: usize) -> anyhow::Result<Duration> {
    let mut buffer = Buffer::new(block_len);
    let mut content = blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof();
    content.fill(buffer.get());
    let started = now();
    let file = File::create(path).with_context(|| format!("could not make `{}`", path.display()))?;
    let mut offset = 0;
    while offset < len {
        // Blocks differ in their first bytes; generating every byte anew would measure the
        // generator.
        let block = buffer.get();
        if let Some(head) = block.first_chunk_mut::<8>() {
            *head = offset.to_le_bytes();
        }
        let count = usize::try_from(len - offset).unwrap_or(block_len).min(block_len);
        file.write_all_at(block.get(..count).unwrap_or_default(), offset)?;
        offset += count as u64;
    }
    drop(file);
    Ok(now() - started)
}

/// Reads a file from the beginning to the end, and returns how long it took.
pub(crate) fn read(path: &Path, len: u64) -> anyhow::Result<Duration> {
    let mut buffer = Buffer::new(BLOCK_LEN);
    let started = now();
    let mut file = File::open(path).with_context(|| format!("could not open `{}`", path.display()))?;
    let mut total = 0;
    loop {
        match io::Read::read(&mut file, buffer.get())
            .with_context(|| format!("could not read at offset {total}"))?
        {
            0 => break,
            count => total += count as u64,
        }
    }
    let elapsed = now() - started;
    ensure!(
        total == len,
        "`{}` has {total} bytes instead of {len}",
        path.display()
    );
    Ok(elapsed)
}

/// Whether two files have the same bytes.
pub(crate) fn compare(one: &Path, other: &Path) -> anyhow::Result<()> {
    let hash = |path: &Path| -> anyhow::Result<blake3::Hash> {
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(File::open(path)?)?;
        Ok(hasher.finalize())
    };
    ensure!(
        hash(one)? == hash(other)?,
        "`{}` and `{}` differ",
        one.display(),
        other.display()
    );
    Ok(())
}

/// Copies a file within a directory as `cp` does it, by another program.
pub(crate) fn copy(from: &Path, to: &Path) -> anyhow::Result<Duration> {
    let started = now();
    let status = std::process::Command::new("cp").arg(from).arg(to).status();
    let elapsed = now() - started;
    ensure!(status.context("could not start `cp`")?.success(), "`cp` failed");
    fs::remove_file(to)?;
    Ok(elapsed)
}

/// Turns the kernel's read-ahead off.
#[cfg(target_os = "linux")]
fn expect_random_reads(file: &File) -> io::Result<()> {
    Ok(rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::Random)?)
}

/// Other systems have no such advice.
#[cfg(not(target_os = "linux"))]
fn expect_random_reads(_file: &File) -> io::Result<()> {
    Ok(())
}

/// Reads `count` random pages with `at_once` threads, and returns the time.
pub(crate) fn read_randomly(path: &Path, len: u64, count: usize, at_once: usize) -> anyhow::Result<Duration> {
    let file = File::open(path).with_context(|| format!("could not open `{}`", path.display()))?;
    expect_random_reads(&file)?;
    let started = now();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..at_once)
            .map(|index| {
                let file = &file;
                scope.spawn(move || read_pages(file, len, count / at_once, index as u64))
            })
            .collect();
        workers.into_iter().try_for_each(|worker| match worker.join() {
            Ok(outcome) => outcome,
            Err(cause) => std::panic::resume_unwind(cause),
        })
    })?;
    Ok(now() - started)
}

fn read_pages(file: &File, len: u64, count: usize, seed: u64) -> anyhow::Result<()> {
    let (mut numbers, mut buffer) = (Numbers::new(seed), Buffer::new(RANDOM_LEN));
    for _ in 0..count {
        let page = numbers.below(len / RANDOM_LEN as u64);
        file.read_exact_at(buffer.get(), page * RANDOM_LEN as u64)?;
    }
    Ok(())
}

/// Makes a tree of `count` small files, each with its own content.
pub(crate) fn plant(root: &Path, count: usize) -> anyhow::Result<()> {
    for index in 0..count {
        let folder = root.join(format!("folder-{:03}", index / FOLDER_COUNT));
        if index % FOLDER_COUNT == 0 {
            fs::create_dir_all(&folder)?;
        }
        let mut content = vec![0; SMALL_LEN];
        blake3::Hasher::new()
            .update(&index.to_le_bytes())
            .finalize_xof()
            .fill(&mut content);
        fs::write(folder.join(format!("file-{index:05}")), content)?;
    }
    Ok(())
}

/// Walks a tree, calls stat on every entry, and returns the time.
pub(crate) fn walk(root: &Path, count: usize) -> anyhow::Result<Duration> {
    let started = now();
    let (mut pending, mut found) = (vec![root.to_owned()], 0);
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            match entry.metadata()?.is_dir() {
                true => pending.push(entry.path()),
                false => found += 1,
            }
        }
    }
    let elapsed = now() - started;
    ensure!(found == count, "{found} files instead of {count}");
    Ok(elapsed)
}

/// The peak memory of a process, in bytes (proc_pid_status(5)).
pub(crate) fn memory_max(process: u32) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    Ok(kib.context("could not find the peak memory of the process in `/proc`")? * 1024)
}
