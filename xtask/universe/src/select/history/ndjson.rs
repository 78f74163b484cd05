//! The files of the history: lines are only appended, their number is bounded, and concurrent runs
//! do not mix their lines.
//!
//! A writer holds a lock beside the file. A reader needs none: it skips an incomplete line.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::record::Record;
use crate::base::atomic_file::write_atomically;
use crate::base::limits::{HISTORY_LEN_MAX, HISTORY_READ_LEN_MAX};
use crate::base::lock_file;
use crate::base::regular_file;

/// The records in the file; none if it cannot be read.
pub(super) fn read(path: &Path) -> Vec<Record> {
    let bytes = regular_file::read(path, HISTORY_READ_LEN_MAX).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    text.lines().filter_map(Record::from_line).collect()
}

/// Where a shard's records go: `history.2-of-3.ndjson` beside `history.ndjson`.
pub(super) fn shard(path: &Path, shard: &str) -> PathBuf {
    path.with_extension(format!("{shard}.ndjson"))
}

/// The files of all shards beside this one.
pub(super) fn shards(path: &Path) -> Vec<PathBuf> {
    let (Some(directory), Some(stem)) = (path.parent(), path.file_stem()) else {
        return Vec::new();
    };
    let beginning = format!("{}.", stem.to_string_lossy());
    let is_shard = |found: &PathBuf| {
        let name = found.file_name().unwrap_or_default().to_string_lossy();
        let middle = name
            .strip_prefix(&beginning)
            .and_then(|rest| rest.strip_suffix(".ndjson"));
        middle.is_some_and(|middle| middle.contains("-of-"))
    };
    let entries = directory.read_dir().into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(is_shard).collect();
    found.sort();
    found
}

/// Appends records, all at once.
pub(super) fn append(path: &Path, records: &[Record]) -> anyhow::Result<()> {
    if records.is_empty() {
        return Ok(());
    }
    let mut text = String::new();
    for record in records {
        text.push_str(&record.to_line()?);
        text.push('\n');
    }
    let add = || -> std::io::Result<()> {
        regular_file::is_free(path)?;
        let _lock = lock(path)?;
        let mut options = OpenOptions::new();
        // Where another user may write, a link could lead to any of our files.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NOFOLLOW | libc::O_NONBLOCK);
        let mut file = options.create(true).read(true).append(true).open(path)?;
        let end = if is_torn(&mut file)? { "\n" } else { "" };
        file.write_all(format!("{end}{text}").as_bytes())?;
        match file.metadata()?.len() {
            0..=HISTORY_LEN_MAX => Ok(()),
            _ => shorten(path),
        }
    };
    add().with_context(|| format!("could not write the history `{}`", path.display()))
}

/// Held until it is dropped. A file system without locks has none: then two concurrent runs may
/// damage a line.
fn lock(path: &Path) -> std::io::Result<File> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let file = lock_file::open(&path.with_extension("lock"))?;
    match file.lock() {
        Err(error) if error.kind() != ErrorKind::Unsupported => Err(error),
        Ok(()) | Err(_) => Ok(file),
    }
}

/// Whether the last line is incomplete, because its writer was killed.
fn is_torn(file: &mut File) -> std::io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

/// Keeps the newer half of the lines; a reader sees the old file or the new one.
fn shorten(path: &Path) -> std::io::Result<()> {
    let text = String::from_utf8_lossy(&regular_file::read(path, HISTORY_READ_LEN_MAX)?).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    let kept = lines.get(lines.len() / 2..).unwrap_or_default().join("\n") + "\n";
    write_atomically(path, &kept).map_err(std::io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    fn record(run: &str) -> Record {
        Record {
            version: super::super::record::Version,
            run: run.to_owned(),
            test: "p::t$f".to_owned(),
            verdict: Verdict::Passed,
            attempts: 1,
            rounds: 1,
            started_ms: 1,
            ms: 1,
        }
    }

    fn runs(path: &Path) -> Vec<String> {
        read(path).into_iter().map(|record| record.run).collect()
    }

    #[test]
    fn added_records_are_read_again_even_after_a_torn_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new/history.ndjson");
        assert_eq!(runs(&path), [""; 0]);
        append(&path, &[record("1")]).unwrap();
        let mut text = std::fs::read_to_string(&path).unwrap();
        text.push_str("{\"v\":1,\"run\":\"to");
        std::fs::write(&path, text).unwrap();
        append(&path, &[record("2")]).unwrap();
        assert_eq!(runs(&path), ["1", "2"]);
    }

    #[test]
    fn a_file_that_grew_too_long_loses_its_older_half() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("history.ndjson");
        let line = record("old").to_line().unwrap() + "\n";
        let count = usize::try_from(HISTORY_LEN_MAX).unwrap() / line.len() - 1;
        std::fs::write(&path, line.repeat(count)).unwrap();
        append(&path, &[record("new")]).unwrap();
        assert_eq!(read(&path).len(), count + 1, "at the limit all stay");
        append(&path, &[record("newest")]).unwrap();
        let runs = runs(&path);
        let kept = (count + 2).div_ceil(2);
        assert_eq!(
            (runs.len(), runs.last().map(String::as_str)),
            (kept, Some("newest"))
        );
    }

    #[test]
    fn an_overlong_file_is_read_up_to_the_limit() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("history.ndjson");
        append(&path, &[record("1")]).unwrap();
        let file = File::options().append(true).open(&path).unwrap();
        file.set_len(HISTORY_READ_LEN_MAX).unwrap();
        assert_eq!(
            regular_file::read(&path, HISTORY_READ_LEN_MAX).unwrap().len() as u64,
            HISTORY_READ_LEN_MAX
        );
        assert_eq!(runs(&path), ["1"]);
        file.set_len(HISTORY_READ_LEN_MAX + 1).unwrap();
        assert_eq!(runs(&path), [""; 0]);
    }

    #[cfg(unix)]
    #[test]
    fn nothing_is_added_through_a_link() {
        let directory = tempfile::tempdir().unwrap();
        let [path, outside] = ["history.ndjson", "outside"].map(|name| directory.path().join(name));
        std::fs::write(&outside, "mine").unwrap();
        for name in ["history.lock", "history.ndjson"] {
            let link = directory.path().join(name);
            std::os::unix::fs::symlink(&outside, &link).unwrap();
            assert!(append(&path, &[record("1")]).is_err());
            assert_eq!(std::fs::read_to_string(&outside).unwrap(), "mine");
            std::fs::remove_file(link).unwrap();
        }
    }

    #[test]
    fn two_runs_at_once_do_not_mix() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("history.ndjson");
        std::thread::scope(|scope| {
            for name in ["a", "b", "c", "d"] {
                let (path, records) = (&path, vec![record(name); 500]);
                scope.spawn(move || append(path, &records).unwrap());
            }
        });
        assert_eq!(runs(&path).len(), 2000);
    }

    #[test]
    fn a_shard_has_a_file_of_its_own_that_can_be_found() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("history.ndjson");
        let mine = shard(&path, "2-of-3");
        append(&mine, &[record("1")]).unwrap();
        append(&path, &[record("1")]).unwrap();
        assert_eq!(shards(&path), [mine]);
    }
}
