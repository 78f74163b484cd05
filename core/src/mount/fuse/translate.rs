//! Translates between the kernel's types and ours.

use fuser::{FileAttr, FileType, INodeNo, RenameFlags, Request, TimeOrNow};

use super::super::attributes::{Attributes, NodeKind, OpenMode, Owner};
use super::super::filesystem::{Renaming, Whence};
use super::super::fs_error::FsError;
use crate::limits::KERNEL_IO_LEN;
use crate::unix_time::{system_time, unix_ns};

pub(super) fn file_attr(attributes: &Attributes) -> FileAttr {
    let modified = system_time(attributes.modified_ns);
    FileAttr {
        ino: INodeNo(attributes.inode.0),
        size: attributes.len,
        blocks: attributes.block_count,
        atime: system_time(attributes.accessed_ns),
        mtime: modified,
        ctime: system_time(attributes.changed_ns),
        crtime: modified,
        kind: file_type(attributes.kind),
        perm: u16::try_from(attributes.mode & 0o7777).unwrap_or(0),
        nlink: attributes.link_count,
        uid: attributes.owner.uid,
        gid: attributes.owner.gid,
        rdev: 0,
        blksize: KERNEL_IO_LEN,
        flags: 0,
    }
}

pub(super) fn file_type(kind: NodeKind) -> FileType {
    match kind {
        NodeKind::Folder => FileType::Directory,
        NodeKind::File => FileType::RegularFile,
        NodeKind::Link => FileType::Symlink,
    }
}

pub(super) fn owner(request: &Request) -> Owner {
    Owner {
        uid: request.uid(),
        gid: request.gid(),
    }
}

pub(super) fn open_mode(flags: i32) -> OpenMode {
    let flags = rustix::fs::OFlags::from_bits_retain(flags.cast_unsigned());
    let access = flags & rustix::fs::OFlags::RWMODE;
    OpenMode {
        write: access != rustix::fs::OFlags::RDONLY,
        append: flags.contains(rustix::fs::OFlags::APPEND),
        truncate: flags.contains(rustix::fs::OFlags::TRUNC),
    }
}

pub(super) fn is_regular(mode: u32) -> bool {
    // `mode_t` has 16 bits on some systems and 32 on others.
    let kind = rustix::fs::FileType::from_raw_mode(mode as _);
    matches!(kind, rustix::fs::FileType::RegularFile) || mode >> 12 == 0
}

pub(super) fn time_ns(time: TimeOrNow, now_ns: i64) -> i64 {
    match time {
        TimeOrNow::Now => now_ns,
        TimeOrNow::SpecificTime(time) => unix_ns(time),
    }
}

#[cfg(target_os = "linux")]
pub(super) fn renaming(flags: RenameFlags) -> Result<Renaming, FsError> {
    match flags {
        flags if flags.is_empty() => Ok(Renaming::Replace),
        RenameFlags::RENAME_NOREPLACE => Ok(Renaming::NoReplace),
        RenameFlags::RENAME_EXCHANGE => Ok(Renaming::Exchange),
        _ => Err(FsError::Invalid),
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn renaming(flags: RenameFlags) -> Result<Renaming, FsError> {
    if flags.is_empty() {
        Ok(Renaming::Replace)
    } else {
        Err(FsError::Invalid)
    }
}

/// `SEEK_DATA` and `SEEK_HOLE` of lseek(2); the kernel answers the others itself.
pub(super) fn whence(from: i32) -> Result<Whence, FsError> {
    match from {
        3 => Ok(Whence::Data),
        4 => Ok(Whence::Hole),
        _ => Err(FsError::Invalid),
    }
}
