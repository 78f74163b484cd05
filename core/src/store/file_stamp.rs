//! The state of a file as its metadata show it: two different states of one path have different
//! stamps.

use std::fs::Metadata;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::limits::STAMP_SETTLED_AFTER;
use crate::unix_time::unix_ns;

/// Distinguishes the states of a file without reading it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileStamp {
    len: u64,
    /// In nanoseconds since 1970, where the system has this time.
    modified_ns: Option<i64>,
    /// Where the platform has them.
    inode: Option<Inode>,
}

/// Which file it is, and when it last changed. They reveal an edit that kept size and mtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Inode {
    device: u64,
    number: u64,
    changed_s: i64,
    changed_ns: i64,
}

impl FileStamp {
    /// The stamp of what `metadata` describes.
    pub(crate) fn of(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        let inode = {
            use std::os::unix::fs::MetadataExt;
            Some(Inode {
                device: metadata.dev(),
                number: metadata.ino(),
                changed_s: metadata.ctime(),
                changed_ns: metadata.ctime_nsec(),
            })
        };
        #[cfg(not(unix))]
        let inode = None;
        Self {
            len: metadata.len(),
            modified_ns: metadata.modified().ok().map(unix_ns),
            inode,
        }
    }

    /// When the file was modified, in nanoseconds since 1970; 0 where the system does not say.
    pub(crate) fn modified_ns(&self) -> i64 {
        self.modified_ns.unwrap_or(0)
    }

    /// Whether two stamps are of one file that was not written in between, even if it was renamed
    /// or unlinked.
    pub(super) fn is_same_content(&self, other: &Self) -> bool {
        let place = |stamp: &Self| stamp.inode.map(|inode| (inode.device, inode.number));
        self.len == other.len && self.modified_ns == other.modified_ns && place(self) == place(other)
    }

    /// Whether each write after `unix_ms` gives the file another stamp. A file system gives the
    /// same time to all that happens within one tick of its clock. `false` where the system does
    /// not say when a file changed.
    pub(crate) fn is_settled_at(&self, unix_ms: u64) -> bool {
        let changed_s = self.inode.map(|inode| inode.changed_s);
        let settled_s = changed_s.and_then(|at| at.checked_add(STAMP_SETTLED_AFTER.as_secs().cast_signed()));
        settled_s.is_some_and(|settled_s| (unix_ms / 1000).cast_signed() > settled_s)
    }

    /// This stamp as the system shows it now: numbers of devices may differ after a restart of the
    /// machine. If the file at `path` differs in anything else, the stamp stays.
    pub(crate) fn after_restart(self, path: &Path) -> Self {
        let now = path.symlink_metadata().map(|there| Self::of(&there));
        now.ok().filter(|now| now.is_on_any_device(&self)).unwrap_or(self)
    }

    fn is_on_any_device(&self, other: &Self) -> bool {
        let elsewhere = |stamp: &Self| Self {
            inode: stamp.inode.map(|inode| Inode { device: 0, ..inode }),
            ..stamp.clone()
        };
        elsewhere(self) == elsewhere(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(device: u64, changed_s: i64) -> FileStamp {
        let inode = Inode {
            device,
            number: 7,
            changed_s,
            changed_ns: 0,
        };
        FileStamp {
            len: 1,
            modified_ns: Some(2),
            inode: Some(inode),
        }
    }

    #[test]
    fn a_stamp_is_settled_once_the_file_has_not_changed_for_a_while() {
        let settled_after = u64::try_from(STAMP_SETTLED_AFTER.as_millis()).unwrap();
        assert!(!stamp(1, 1_000).is_settled_at(1_000_000 + settled_after));
        assert!(stamp(1, 1_000).is_settled_at(1_001_000 + settled_after));
        assert!(!stamp(1, i64::MAX).is_settled_at(u64::MAX));
    }

    #[cfg(unix)]
    #[test]
    fn a_stamp_from_before_a_restart_takes_the_new_number_of_its_device_and_nothing_else() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let now = FileStamp::of(&file.path().metadata().unwrap());
        let with = |adapt: fn(&mut Inode)| {
            let mut stamp = now.clone();
            stamp.inode.as_mut().map(adapt).unwrap();
            stamp
        };
        let elsewhere = with(|inode| inode.device += 1);
        assert_eq!(elsewhere.after_restart(file.path()), now);
        let other = with(|inode| inode.changed_ns += 1);
        assert_eq!(other.clone().after_restart(file.path()), other);
        assert_eq!(now.clone().after_restart(Path::new("/no such file")), now);
    }
}
