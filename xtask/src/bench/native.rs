//! `cp` of a file on the disk that the backing directories lie on: what reading and writing cost without a mount.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};

use super::measurement::{Measurement, NATIVE, Unit, median};
use crate::clock;

/// What the peers move in the same run: 1 GiB.
pub(super) const FILE_MIB: u32 = 1024;

const BLOCK_LEN: usize = 1 << 20;

const RUN_COUNT: usize = 3;

/// The figures with which a plain copy is compared.
const WHAT: [&str; 2] = ["cold sequential read", "sequential write"];

/// Copies a file a few times, below `scratch`, and removes both. Nothing where there is no `cp`.
///
/// # Errors
/// When the file cannot be written or copied.
pub(super) fn measure(scratch: &Path, mib: u32) -> anyhow::Result<Vec<Measurement>> {
    let (from, to) = (scratch.join("source"), scratch.join("copy"));
    fill(&from, mib).context("could not write a file to copy")?;
    let runs = (0..RUN_COUNT)
        .map(|_| copy(&from, &to, mib))
        .collect::<anyhow::Result<Vec<f64>>>()?;
    std::fs::remove_file(&from).context("could not remove the copied file")?;
    let value = median(&runs).unwrap_or_default();
    let figure = |what: &str| Measurement {
        what: what.to_owned(),
        by: NATIVE.to_owned(),
        value,
        unit: Unit::MegabytesPerSecond,
    };
    Ok(WHAT.map(figure).to_vec())
}

/// Not of zeros, which some file systems do not store.
fn fill(path: &Path, mib: u32) -> std::io::Result<()> {
    let mut block = vec![0; BLOCK_LEN];
    let mut file = File::create(path)?;
    for number in 0..u64::from(mib) {
        for (word, place) in (number..).zip(block.chunks_exact_mut(8)) {
            place.copy_from_slice(&word.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes());
        }
        file.write_all(&block)?;
    }
    Ok(())
}

/// Megabytes a second.
fn copy(from: &Path, to: &Path, mib: u32) -> anyhow::Result<f64> {
    let start = clock::now();
    let status = Command::new("cp").arg(from).arg(to).stdin(Stdio::null()).status();
    let elapsed = clock::now() - start;
    let status = status.context("could not start `cp`")?;
    ensure!(status.success(), "`cp` ended with {status}");
    std::fs::remove_file(to).context("could not remove a copy")?;
    Ok(f64::from(mib) * BLOCK_LEN as f64 / 1e6 / elapsed.as_secs_f64())
}
