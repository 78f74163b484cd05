//! What a failed test wrote, copied to where it outlives the box. Bounded: it is for a person to look at.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// So many bytes of contents are kept.
const LEN_MAX: u64 = 64 << 20;

/// And so many entries.
const ENTRIES_MAX: usize = 10_000;

/// What may still be copied.
struct Budget {
    len: u64,
    entries: usize,
}

/// Copies folders, files and links; says where to, if there was anything that could be copied.
pub(super) fn copy(from: &Path, to: &Path) -> Option<PathBuf> {
    let mut budget = Budget {
        len: LEN_MAX,
        entries: ENTRIES_MAX,
    };
    // What cannot be copied, or is too much, is missing there; the failure itself is told elsewhere.
    folder(from, to, &mut budget).ok();
    to.exists().then(|| to.to_owned())
}

fn folder(from: &Path, to: &Path, budget: &mut Budget) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        budget.entries = budget
            .entries
            .checked_sub(1)
            .ok_or_else(|| io::Error::other("too many entries"))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type()?;
        // One that fails does not hinder the others.
        if kind.is_dir() {
            folder(&source, &target, budget).ok();
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(&source)?, &target).ok();
        } else if kind.is_file() {
            file(&source, &target, budget).ok();
        }
    }
    Ok(())
}

fn file(from: &Path, to: &Path, budget: &mut Budget) -> io::Result<()> {
    let copied = io::copy(&mut File::open(from)?.take(budget.len), &mut File::create(to)?)?;
    budget.len -= copied;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_copied_with_its_links_and_without_its_sockets() {
        let directory = tempfile::tempdir().unwrap();
        let (from, to) = (directory.path().join("from"), directory.path().join("to"));
        fs::create_dir_all(from.join("a")).unwrap();
        fs::write(from.join("a/file"), "hello").unwrap();
        std::os::unix::fs::symlink("a/file", from.join("link")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(from.join("socket")).unwrap();
        assert_eq!(copy(&from, &to), Some(to.clone()));
        assert_eq!(fs::read_to_string(to.join("link")).unwrap(), "hello");
        assert!(!to.join("socket").exists());
    }

    #[test]
    fn what_is_too_much_is_cut() {
        let directory = tempfile::tempdir().unwrap();
        let (from, to) = (directory.path().join("from"), directory.path().join("to"));
        fs::write(&from, [7; 100]).unwrap();
        let mut budget = Budget { len: 60, entries: 1 };
        file(&from, &to, &mut budget).unwrap();
        assert_eq!((fs::metadata(&to).unwrap().len(), budget.len), (60, 0));
    }
}
