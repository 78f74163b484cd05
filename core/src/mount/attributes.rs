//! The attributes of one file, folder or link, and which of them can be changed.
//!
//! Plain values without behaviour. Times are nanoseconds since 1970, as in the catalog.
//!
//! Users, special mode bits, modes and times of folders, and which links were made here are known
//! on this machine only, for as long as the peer runs. A share has no hard links, devices, pipes or
//! extended attributes.

use crate::catalog::{EntryId, EntryKey};

/// Names a file, folder or link within one mounted share. It is never used for another one while a
/// viewer knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Inode(pub u64);

impl Inode {
    /// The top of the share.
    pub const ROOT: Self = Self(1);
    /// From here on inodes are counted; below they are derived from entries, so that they are the
    /// same after a restart.
    pub(super) const COUNTED: u64 = 1 << 63;

    /// The inode that an entry gets, unless it is taken.
    pub(super) fn preferred(key: &EntryKey) -> Self {
        if key.id == EntryId::ROOT {
            return Self::ROOT;
        }
        let (bytes, _) = key.id.as_bytes().split_first_chunk().unwrap_or((&[0; 8], &[]));
        let copy = key
            .copy
            .map_or(0, |dot| dot.counter.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        Self(((u64::from_be_bytes(*bytes) ^ copy) % Self::COUNTED).max(2))
    }
}

/// Names an open file or an open folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Handle(pub u64);

/// The attributes that a new file gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewFile {
    /// Permission bits and the three above them, at most `0o7777`.
    pub mode: u32,
    /// Whose it is.
    pub owner: Owner,
}

/// The owner of a file. Only this machine knows it; peers do not share users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
}

impl Owner {
    /// The user and group of this process.
    pub(super) fn of_this_process() -> Self {
        Self {
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
        }
    }
}

/// What an inode is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeKind {
    /// A folder.
    Folder,
    /// A file.
    File,
    /// A symbolic link.
    Link,
}

/// The attributes that stat(2) reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attributes {
    /// Which file, folder or link.
    pub inode: Inode,
    /// What it is.
    pub kind: NodeKind,
    /// Length in bytes; of a link, that of its target.
    pub len: u64,
    /// Its size on disk, in units of 512 bytes. Bytes that were not fetched yet count: they are no
    /// hole.
    pub block_count: u64,
    /// Permission bits and the three above them, at most `0o7777`.
    pub mode: u32,
    /// 0 once it was removed; folders always have 1, as in btrfs: their subfolders are not counted.
    pub link_count: u32,
    /// Whose it is.
    pub owner: Owner,
    /// When the content was modified.
    pub modified_ns: i64,
    /// When anything of it was changed.
    pub changed_ns: i64,
    /// When it was read; not kept up to date by reading.
    pub accessed_ns: i64,
}

/// What setattr changes; `None` leaves an attribute as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Changes {
    /// Permission bits and the three above them.
    pub mode: Option<u32>,
    /// The user.
    pub uid: Option<u32>,
    /// The group.
    pub gid: Option<u32>,
    /// The length in bytes; more than before adds zeros.
    pub len: Option<u64>,
    /// When it was read.
    pub accessed_ns: Option<i64>,
    /// When it was modified.
    pub modified_ns: Option<i64>,
}

/// How a file is opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OpenMode {
    /// For writing.
    pub write: bool,
    /// Every write goes to the end.
    pub append: bool,
    /// Its content is dropped first.
    pub truncate: bool,
}

impl OpenMode {
    /// For reading only.
    pub const READ: Self = Self {
        write: false,
        append: false,
        truncate: false,
    };
    /// For reading and writing.
    pub const WRITE: Self = Self {
        write: true,
        ..Self::READ
    };
}

/// Attributes that this machine keeps for itself: catalogs have no users, and folders in them no
/// modes and times.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Local {
    pub(super) owner: Option<Owner>,
    /// Set-user-id, set-group-id and sticky of a file; all bits of a folder.
    pub(super) mode: Option<u32>,
    /// Of a folder only.
    pub(super) modified_ns: Option<i64>,
    pub(super) changed_ns: Option<i64>,
    pub(super) accessed_ns: Option<i64>,
}
