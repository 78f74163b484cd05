//! Whether the file system of the temporary directories has free space and inodes, and if not, how
//! much each directory holds.
//!
//! Enters no other file system. Directories of other tests may contain anything, and reading them
//! may hang, so a child does it.

use std::path::Path;

use rustix::fs::{StatVfs, fstat};

use super::bounded::bounded;
use crate::base::folder::{Access, Folder, Step};
use crate::base::limits::{FREE_FILES_MIN, FREE_LEN_MIN, FREE_PART_MIN, ROOM_TIMEOUT};
use crate::report::shortage::{Scarce, Shortage};

/// The shortage of the file system that contains `home`, the directory of all temporary
/// directories; `None` if there is room.
pub(super) fn shortage(home: &Path) -> Option<Shortage> {
    let (of, free, total) = scarce(&rustix::fs::statvfs(home).ok()?)?;
    let held = bounded(ROOM_TIMEOUT, || {
        serde_json::to_vec(&held(home, of)).unwrap_or_default()
    });
    let held = held.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    Some(Shortage {
        of,
        free,
        total,
        held: held.unwrap_or_default(),
    })
}

/// What is scarce on a file system, how much of it is free, and the total. A total of zero means
/// that the file system does not count it.
fn scarce(status: &StatVfs) -> Option<(Scarce, u64, u64)> {
    let [free_len, len] =
        [status.f_bavail, status.f_blocks].map(|count| count.saturating_mul(status.f_frsize));
    let looks = [
        (Scarce::Bytes, free_len, len, FREE_LEN_MIN),
        (Scarce::Files, status.f_favail, status.f_files, FREE_FILES_MIN),
    ];
    let is_scarce =
        |(_, free, total, min): &(Scarce, u64, u64, u64)| *free < *min.min(&(total / FREE_PART_MIN));
    let (of, free, total, _) = looks.into_iter().find(is_scarce)?;
    Some((of, free, total))
}

/// The usage of each directory in `home`, largest first.
fn held(home: &Path, of: Scarce) -> Vec<(String, u64)> {
    let entries = std::fs::read_dir(home).into_iter().flatten().flatten();
    let held = |entry: std::fs::DirEntry| {
        (
            entry.file_name().display().to_string(),
            held_in(&entry.path(), of),
        )
    };
    let mut all: Vec<(String, u64)> = entries.map(held).collect();
    all.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    all
}

/// The bytes or the files in a directory and everything below it.
fn held_in(directory: &Path, of: Scarce) -> u64 {
    let Ok(top) = Folder::open(directory, Access::Unchanged) else {
        return 0;
    };
    let (device, mut count) = (fstat(&top).ok().map(|stat| stat.st_dev), 0);
    let walked = top.walk(Access::Unchanged, |step| {
        if let Step::Entry(folder, name, _) = step
            && let Ok(stat) = folder.look(name)
            && Some(stat.st_dev) == device
        {
            count += match of {
                // In units of 512 bytes, whatever the file system's block size (stat(2)).
                Scarce::Bytes => u64::try_from(stat.st_blocks).unwrap_or_default() * 512,
                Scarce::Files => 1,
            };
        }
    });
    // The usage of an unreadable directory is unknown.
    walked.map_or(0, |()| count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_directory_comes_first_and_links_are_not_followed() {
        let home = tempfile::tempdir().unwrap();
        for (name, len) in [("small/below", 5_000), ("large/below", 500_000)] {
            std::fs::create_dir_all(home.path().join(name)).unwrap();
            std::fs::write(home.path().join(name).join("file"), vec![7; len]).unwrap();
        }
        std::os::unix::fs::symlink("../large", home.path().join("small/link")).unwrap();
        let bytes = held(home.path(), Scarce::Bytes);
        assert_eq!([&*bytes[0].0, &*bytes[1].0], ["large", "small"]);
        assert!(bytes[0].1 >= 500_000 && bytes[1].1 < 100_000, "{bytes:?}");
        // A directory, a file and a link; a directory and a file.
        let files = held(home.path(), Scarce::Files);
        assert_eq!(files, [("small".to_owned(), 3), ("large".to_owned(), 2)]);
    }

    /// A file system with blocks of 1 KiB: free blocks, all blocks, and the same for files.
    fn status([f_bavail, f_blocks]: [u64; 2], [f_favail, f_files]: [u64; 2]) -> StatVfs {
        let frame = rustix::fs::statvfs("/").unwrap();
        StatVfs {
            f_frsize: 1024,
            f_bavail,
            f_blocks,
            f_favail,
            f_files,
            ..frame
        }
    }

    #[test]
    fn a_file_system_is_full_when_few_bytes_or_files_and_a_small_part_are_free() {
        let (much, mib) = ([1 << 30, 1 << 31], 1024);
        let of = |status: StatVfs| scarce(&status).map(|(of, ..)| of);
        assert_eq!(of(status(much, [1000, 1 << 20])), None);
        assert_eq!(of(status(much, [999, 1 << 20])), Some(Scarce::Files));
        assert_eq!(of(status(much, [2, 40])), None);
        assert_eq!(scarce(&status(much, [1, 40])), Some((Scarce::Files, 1, 40)));
        assert_eq!(of(status(much, [0, 0])), None, "it does not count them");
        assert_eq!(of(status([32 * mib, 4000 * mib], [0, 0])), None);
        assert_eq!(
            of(status([32 * mib - 1, 4000 * mib], [0, 40])),
            Some(Scarce::Bytes)
        );
        assert_eq!(of(status([2 * mib, 40 * mib], [0, 0])), None);
        assert_eq!(of(status([2 * mib - 1, 40 * mib], [0, 0])), Some(Scarce::Bytes));
    }

    #[test]
    fn no_directory_is_measured_while_there_is_room() {
        assert_eq!(shortage(Path::new("/nonexistent")), None);
        assert_eq!(shortage(Path::new("/proc")), None);
    }
}
