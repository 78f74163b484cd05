//! What is moved.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, ensure};

use super::super::source::Source;

const SMALL_LEN: usize = 4096;
const SMALL_FILES_IN_A_FOLDER: u32 = 100;

/// The files of one measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Workload {
    /// That many files of 4 KiB.
    Small(u32),
    /// One file of that many MiB.
    Large(u32),
    /// One file of one KiB: the time is that of connecting.
    FirstKib,
}

impl Workload {
    /// As printed above its figures.
    pub(super) fn title(self) -> String {
        match self {
            Self::Small(count) => format!("{count} files of 4 KiB"),
            Self::Large(mib) => format!("one file of {mib} MiB"),
            Self::FirstKib => "1 KiB from nothing connected".to_owned(),
        }
    }

    /// Writes the files beneath `folder`.
    pub(super) fn write(self, folder: &Path) -> anyhow::Result<()> {
        fs::create_dir(folder).context("could not create a folder to share")?;
        let bytes = |number: u32, len: usize| -> Vec<u8> {
            let words = (u64::from(number) << 32..).map(|word| word.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            words.take(len / 8).flat_map(u64::to_le_bytes).collect()
        };
        match self {
            Self::Small(count) => {
                for number in 0..count {
                    let inner = folder.join((number / SMALL_FILES_IN_A_FOLDER).to_string());
                    fs::create_dir_all(&inner)?;
                    fs::write(inner.join(number.to_string()), bytes(number + 1, SMALL_LEN))?;
                }
                Ok(())
            }
            Self::Large(mib) => Source {
                directory: folder,
                mib,
            }
            .write(),
            Self::FirstKib => Ok(fs::write(folder.join("one"), bytes(1, 1024))?),
        }
    }

    /// Checks that everything has arrived in `folder`.
    pub(super) fn check(self, folder: &Path) -> anyhow::Result<()> {
        let (mut count, mut len, mut pending) = (0, 0, vec![folder.to_owned()]);
        while let Some(folder) = pending.pop() {
            for entry in fs::read_dir(&folder).context("nothing has arrived")? {
                let entry = entry?;
                let metadata = entry.metadata()?;
                match metadata.is_dir() {
                    true => pending.push(entry.path()),
                    false => (count, len) = (count + 1, len + metadata.len()),
                }
            }
        }
        let expected = match self {
            Self::Small(count) => (count, u64::from(count) * SMALL_LEN as u64),
            Self::Large(mib) => (1, u64::from(mib) << 20),
            Self::FirstKib => (1, 1024),
        };
        ensure!(
            (count, len) == expected,
            "{count} files with {len} bytes have arrived"
        );
        Ok(())
    }
}
