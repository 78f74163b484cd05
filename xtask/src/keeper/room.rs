//! Whether there is room left where the temporary directories lie, and if not, how much each of them holds.
//!
//! Enters no other file system. Directories of other tests may hold anything, so a child looks, which may hang.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use super::bounded::bounded;
use crate::shortage::Shortage;

/// With less than this, a file system has no room; also with less than a [`PART_MIN`]th of all that it has.
const FREE_LEN_MIN: u64 = 32 << 20;

const PART_MIN: u64 = 20;

/// How long it may take to find out who holds what.
const TIMEOUT: Duration = Duration::from_secs(1);

/// What there is to say of the file system on which `home`, the directory of all temporary directories, lies; `None` if
/// there is room.
pub(super) fn shortage(home: &Path) -> Option<Shortage> {
    let status = rustix::fs::statvfs(home).ok()?;
    let [free_len, len] =
        [status.f_bavail, status.f_blocks].map(|count| count.saturating_mul(status.f_frsize));
    if free_len >= FREE_LEN_MIN.min(len / PART_MIN) {
        return None;
    }
    let held = bounded(TIMEOUT, || serde_json::to_vec(&held(home)).unwrap_or_default());
    let held = held.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    Some(Shortage {
        free_len,
        len,
        held: held.unwrap_or_default(),
    })
}

/// What each directory in `home` holds, most first.
fn held(home: &Path) -> Vec<(String, u64)> {
    let entries = std::fs::read_dir(home).into_iter().flatten().flatten();
    let held = |entry: std::fs::DirEntry| (entry.file_name().display().to_string(), len_of(&entry.path()));
    let mut all: Vec<(String, u64)> = entries.map(held).collect();
    all.sort_by_key(|(_, len)| std::cmp::Reverse(*len));
    all
}

/// The bytes that a directory takes on its file system, with all that is below.
fn len_of(directory: &Path) -> u64 {
    let Ok(top) = directory.symlink_metadata() else {
        return 0;
    };
    let (mut left, mut len) = (vec![directory.to_owned()], 0);
    while let Some(directory) = left.pop() {
        let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
        for (path, metadata) in entries.filter_map(|entry| Some((entry.path(), entry.metadata().ok()?))) {
            if metadata.dev() == top.dev() {
                // Counted in 512 bytes, whatever the file system's blocks are (stat(2)).
                len += metadata.blocks() * 512;
                left.extend(metadata.is_dir().then_some(path));
            }
        }
    }
    len
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_holds_more_comes_first_and_links_are_not_followed() {
        let home = tempfile::tempdir().unwrap();
        for (name, len) in [("small/below", 5_000), ("large/below", 500_000)] {
            std::fs::create_dir_all(home.path().join(name)).unwrap();
            std::fs::write(home.path().join(name).join("file"), vec![7; len]).unwrap();
        }
        std::os::unix::fs::symlink("../large", home.path().join("small/link")).unwrap();
        let held = held(home.path());
        assert_eq!([&*held[0].0, &*held[1].0], ["large", "small"]);
        assert!(held[0].1 >= 500_000 && held[1].1 < 100_000, "{held:?}");
    }

    #[test]
    fn where_there_is_room_nobody_is_looked_at() {
        assert_eq!(shortage(Path::new("/nonexistent")), None);
        assert_eq!(shortage(Path::new("/proc")), None);
    }
}
