//! `cp` of a file on the disk that the backing directories lie on: what reading and writing cost without a mount.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};

use super::measurement::{Measurement, NATIVE, Unit, median};
use crate::clock;

/// What the peers move in the same run: 1 GiB.
pub(super) const FILE_MIB: u32 = 1024;

const BLOCK_LEN: usize = 1 << 20;

const RUN_COUNT: usize = 3;

/// A file to copy.
#[derive(Debug)]
pub(super) struct Source<'a> {
    pub(super) directory: &'a Path,
    pub(super) mib: u32,
}

impl Source<'_> {
    /// The file's name in its directory.
    pub(super) const NAME: &'static str = "source";

    /// What copying it to nowhere is compared with.
    pub(super) const READ: &'static str = "cold sequential read";

    /// What copying it to a disk or a mount is compared with.
    pub(super) const WRITE: &'static str = "sequential write";

    /// Writes it: not zeros, which some file systems do not store.
    ///
    /// # Errors
    /// When there is no room.
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

    /// Where it lies.
    pub(super) fn file(&self) -> PathBuf {
        self.directory.join(Self::NAME)
    }
}

/// Copies the source a few times, to nowhere and to its own directory.
///
/// # Errors
/// When it cannot be copied.
pub(super) fn measure(source: &Source<'_>) -> anyhow::Result<Vec<Measurement>> {
    let to = source.directory.join("copy");
    let figure = |what: &str, to: &Path| -> anyhow::Result<Measurement> {
        let runs = (0..RUN_COUNT).map(|_| copy(&source.file(), to, source.mib));
        let runs = runs.collect::<anyhow::Result<Vec<f64>>>()?;
        Ok(Measurement {
            what: what.to_owned(),
            by: NATIVE.to_owned(),
            value: median(&runs).unwrap_or_default(),
            unit: Unit::MegabytesPerSecond,
        })
    };
    Ok(vec![
        figure(Source::READ, Path::new("/dev/null"))?,
        figure(Source::WRITE, &to)?,
    ])
}

/// Copies `from` to `to`, which is overwritten; megabytes a second.
pub(super) fn copy(from: &Path, to: &Path, mib: u32) -> anyhow::Result<f64> {
    let start = clock::now();
    let status = Command::new("cp").arg(from).arg(to).stdin(Stdio::null()).status();
    let elapsed = clock::now() - start;
    let status = status.context("could not start `cp`")?;
    ensure!(status.success(), "`cp` ended with {status}");
    Ok(f64::from(mib) * BLOCK_LEN as f64 / 1e6 / elapsed.as_secs_f64())
}
