//! A file on the measured disk, and copies of it with `cp`, to measure other programs.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};

use cargo_universe::base::clock;

const BLOCK_LEN: usize = 1 << 20;

/// A file to copy.
#[derive(Debug)]
pub(super) struct Source<'a> {
    pub(super) directory: &'a Path,
    pub(super) mib: u32,
}

impl Source<'_> {
    /// The file's name in its directory.
    pub(super) const NAME: &'static str = "source";

    /// Writes it. Not with zeros, which some file systems do not store.
    ///
    /// # Errors
    /// When the disk is full.
    pub(super) fn write(&self) -> anyhow::Result<()> {
        let mut block = vec![0; BLOCK_LEN];
        let mut file = File::create(self.file()).context("could not create a file to copy")?;
        for number in 0..u64::from(self.mib) {
            for (word, place) in (number..).zip(block.chunks_exact_mut(8)) {
                place.copy_from_slice(&word.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes());
            }
            file.write_all(&block).context("could not write a file to copy")?;
        }
        Ok(())
    }

    /// Its path.
    pub(super) fn file(&self) -> PathBuf {
        self.directory.join(Self::NAME)
    }

    /// Copies it, or a file of the same size, over `to`. Returns megabytes per second.
    ///
    /// # Errors
    /// When there is no `cp`, or it fails.
    pub(super) fn copy(&self, from: &Path, to: &Path) -> anyhow::Result<f64> {
        let start = clock::now();
        let status = Command::new("cp").arg(from).arg(to).stdin(Stdio::null()).status();
        let elapsed = clock::now() - start;
        let status = status.context("could not start `cp`")?;
        ensure!(status.success(), "`cp` ended with {status}");
        Ok(f64::from(self.mib) * BLOCK_LEN as f64 / 1e6 / elapsed.as_secs_f64())
    }
}
