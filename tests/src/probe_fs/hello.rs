//! The file system itself: what the kernel asks, answered from one byte vector. Nothing here can panic, since a panic in
//! a handler ends fuser's event loop and every later call on the mount hangs.

use std::ffi::OsStr;
use std::time::{Duration, UNIX_EPOCH};

use fuser::{
    Errno, FileAttr, FileHandle, FileType, Filesystem, Generation, INodeNo, LockOwner, OpenFlags, ReplyAttr,
    ReplyData, ReplyDirectory, ReplyEntry, Request,
};

/// The name of the only file.
pub const FILE_NAME: &str = "hello";

const FILE: INodeNo = INodeNo(2);
/// How long the kernel may remember what it was told; nothing ever changes.
const TTL: Duration = Duration::from_secs(60);
const BLOCK_LEN: u32 = 512;

/// One directory, one file, read-only.
#[derive(Debug)]
pub struct HelloFs {
    content: Vec<u8>,
}

impl HelloFs {
    /// A file system whose only file holds `content`.
    #[must_use]
    pub fn new(content: impl Into<Vec<u8>>) -> Self {
        Self {
            content: content.into(),
        }
    }

    fn attributes(&self, inode: INodeNo, request: &Request) -> Option<FileAttr> {
        let len = self.content.len() as u64;
        match inode {
            INodeNo::ROOT => Some(attributes(inode, (FileType::Directory, 0o555, 0), request)),
            FILE => Some(attributes(inode, (FileType::RegularFile, 0o444, len), request)),
            _ => None,
        }
    }

    /// The bytes from `offset` on, at most `len` of them; fewer at the end, none behind it.
    fn slice(&self, offset: u64, len: u32) -> &[u8] {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let rest = self.content.get(start..).unwrap_or_default();
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        rest.get(..len).unwrap_or(rest)
    }
}

fn attributes(ino: INodeNo, (kind, perm, size): (FileType, u16, u64), request: &Request) -> FileAttr {
    FileAttr {
        ino,
        size,
        blocks: size.div_ceil(u64::from(BLOCK_LEN)),
        atime: UNIX_EPOCH,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        crtime: UNIX_EPOCH,
        kind,
        perm,
        nlink: 1,
        uid: request.uid(),
        gid: request.gid(),
        rdev: 0,
        blksize: BLOCK_LEN,
        flags: 0,
    }
}

impl Filesystem for HelloFs {
    fn lookup(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let found = self
            .attributes(FILE, request)
            .filter(|_| parent == INodeNo::ROOT && name == FILE_NAME);
        match found {
            Some(attributes) => reply.entry(&TTL, &attributes, Generation(0)),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, request: &Request, inode: INodeNo, _handle: Option<FileHandle>, reply: ReplyAttr) {
        match self.attributes(inode, request) {
            Some(attributes) => reply.attr(&TTL, &attributes),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn read(
        &self,
        _request: &Request,
        inode: INodeNo,
        _handle: FileHandle,
        offset: u64,
        len: u32,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match inode {
            FILE => reply.data(self.slice(offset, len)),
            _ => reply.error(Errno::EISDIR),
        }
    }

    fn readdir(
        &self,
        _request: &Request,
        inode: INodeNo,
        _handle: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        if inode != INodeNo::ROOT {
            return reply.error(Errno::ENOTDIR);
        }
        let root = INodeNo::ROOT;
        let entries = [
            (root, FileType::Directory, "."),
            (root, FileType::Directory, ".."),
            (FILE, FileType::RegularFile, FILE_NAME),
        ];
        let rest = (1_u64..).zip(entries).filter(|(next, _)| *next > offset);
        for (next, (inode, kind, name)) in rest {
            if reply.add(inode, next, kind, name) {
                break;
            }
        }
        reply.ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_end_where_the_content_ends() {
        let filesystem = HelloFs::new(*b"abcdef");
        assert_eq!(filesystem.slice(0, 4), b"abcd");
        assert_eq!(filesystem.slice(4, 4), b"ef");
        assert_eq!(filesystem.slice(6, 4), b"");
        assert_eq!(filesystem.slice(u64::MAX, u32::MAX), b"");
    }
}
