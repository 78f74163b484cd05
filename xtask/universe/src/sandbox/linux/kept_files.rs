//! Copies the files of a failed test to a place that outlives the box. Bounded, because the copies
//! are only for a person to examine.
//!
//! Files are read by handle, so a link that a test puts in the place of a file or a directory is
//! never followed. The copies give no user more access than the originals did, and only their owner
//! may write to them.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{FileType, readlinkat};

use crate::base::folder::{Access, Folder};
use crate::base::limits::{KEEPSAKE_ENTRIES_MAX, KEEPSAKE_LEN_MAX};
use crate::report::kept_files::KeptFiles;

/// How much more may be copied.
struct Budget {
    len: u64,
    entries: usize,
    /// Whether something was left out.
    is_exceeded: bool,
}

/// The mode bits that are kept. Not the set-user-id bits, because the copy has another owner. Not
/// write access for others, because they could put links where the next file is copied to.
const MODE_KEPT: u32 = 0o755;

/// The owner of the copies may read them.
const MODE_FOLDER: u32 = 0o700;
const MODE_FILE: u32 = 0o600;

/// The mode of a copy: the kept bits of the original, and at least `least`.
fn kept(mode: u32, least: u32) -> u32 {
    mode & MODE_KEPT | least
}

/// Copies folders, files and links. Returns where to, if anything could be copied.
pub(super) fn copy(from: &Path, to: &Path) -> Option<KeptFiles> {
    let mut budget = Budget {
        len: KEEPSAKE_LEN_MAX,
        entries: KEEPSAKE_ENTRIES_MAX,
        is_exceeded: false,
    };
    // A link in its place leads to foreign files.
    let from = Folder::open(from, Access::Unchanged).ok()?;
    fs::create_dir_all(to.parent()?).ok()?;
    // A file that cannot be copied is missing there; the failure itself is reported elsewhere.
    folder(&from, to, &mut budget).ok();
    to.exists().then(|| KeptFiles {
        path: to.to_owned(),
        is_cut: budget.is_exceeded,
    })
}

fn folder(from: &Folder, to: &Path, budget: &mut Budget) -> io::Result<()> {
    DirBuilder::new()
        .mode(kept(from.metadata().mode(), MODE_FOLDER))
        .create(to)?;
    for (name, kind) in from.entries()? {
        let Some(entries) = budget.entries.checked_sub(1) else {
            budget.is_exceeded = true;
            return Ok(());
        };
        budget.entries = entries;
        let target = to.join(OsStr::from_bytes(name.to_bytes()));
        let copied = match kind {
            FileType::Directory => from
                .enter(&name, Access::Unchanged)
                .and_then(|below| folder(&below, &target, budget)),
            FileType::Symlink => readlinkat(from, &*name, Vec::new())
                .map_err(io::Error::from)
                .and_then(|text| std::os::unix::fs::symlink(OsStr::from_bytes(text.to_bytes()), &target)),
            FileType::RegularFile => from
                .file(&name)
                .and_then(|(source, metadata)| file(source, &metadata, &target, budget)),
            _ => Ok(()),
        };
        // If one fails, the others are still copied.
        copied.ok();
    }
    Ok(())
}

fn file(mut source: File, metadata: &Metadata, to: &Path, budget: &mut Budget) -> io::Result<()> {
    let mode = kept(metadata.mode(), MODE_FILE);
    let mut copy = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(to)?;
    let copied = io::copy(&mut (&mut source).take(budget.len), &mut copy)?;
    budget.len -= copied;
    budget.is_exceeded |= budget.len == 0 && source.read(&mut [0])? > 0;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_tree_is_copied_with_its_links_and_without_its_sockets() {
        let directory = tempfile::tempdir().unwrap();
        let (from, to) = (directory.path().join("from"), directory.path().join("to"));
        fs::create_dir_all(from.join("a")).unwrap();
        fs::write(from.join("a/file"), "hello").unwrap();
        std::os::unix::fs::symlink("a/file", from.join("link")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(from.join("socket")).unwrap();
        let kept = copy(&from, &to).unwrap();
        assert_eq!((&kept.path, kept.is_cut), (&to, false));
        assert_eq!(fs::read_to_string(to.join("link")).unwrap(), "hello");
        assert!(!to.join("socket").exists());
    }

    #[test]
    fn files_beyond_the_limits_are_not_copied() {
        let directory = tempfile::tempdir().unwrap();
        let (from, to) = (directory.path().join("from"), directory.path().join("to"));
        fs::write(&from, [7; 100]).unwrap();
        let budget = |len, entries| Budget {
            len,
            entries,
            is_exceeded: false,
        };
        for (len, kept, is_cut) in [(60, 60, true), (100, 100, false), (101, 100, false)] {
            let mut budget = budget(len, 1);
            let source = File::open(&from).unwrap();
            let metadata = source.metadata().unwrap();
            file(source, &metadata, &to, &mut budget).unwrap();
            assert_eq!(
                (fs::metadata(&to).unwrap().len(), budget.is_exceeded),
                (kept, is_cut)
            );
            fs::remove_file(&to).unwrap();
        }
        let full = directory.path().join("full");
        fs::create_dir(&full).unwrap();
        fs::write(full.join("file"), "").unwrap();
        for (entries, is_cut) in [(0, true), (1, false)] {
            let (mut budget, to) = (budget(100, entries), directory.path().join(entries.to_string()));
            let full = Folder::open(&full, Access::Unchanged).unwrap();
            folder(&full, &to, &mut budget).unwrap();
            assert_eq!((budget.is_exceeded, to.join("file").exists()), (is_cut, !is_cut));
        }
    }

    #[test]
    fn a_link_in_its_place_is_not_followed_and_copies_give_no_more_access() {
        let directory = tempfile::tempdir().unwrap();
        let [from, to, link] = ["from", "to", "link"].map(|name| directory.path().join(name));
        fs::create_dir(&from).unwrap();
        fs::write(from.join("secret"), "mine").unwrap();
        fs::set_permissions(from.join("secret"), fs::Permissions::from_mode(0o4600)).unwrap();
        std::os::unix::fs::symlink(&from, &link).unwrap();
        assert_eq!(copy(&link, &to), None);
        assert!(copy(&from, &to).is_some());
        assert_eq!(fs::metadata(to.join("secret")).unwrap().mode() & 0o7777, 0o600);
    }

    #[test]
    fn only_the_owner_may_write_to_the_copies_and_no_program_runs_as_another_user() {
        assert_eq!(
            (kept(0o7777, MODE_FILE), kept(0o007, MODE_FOLDER)),
            (0o755, 0o705)
        );
    }
}
