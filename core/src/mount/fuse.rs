//! The adapter from the kernel's requests to [`FileSystem`]. It translates and decides nothing.
//!
//! Invariants: no handler waits (what may take long is done by another thread, which answers), and
//! none panics out of here, or every later call on the mount would hang. Answers that the kernel
//! remembers: no extended attributes, no access checks of our own (it checks modes itself), no
//! locks of our own (it keeps them, on this machine).
//!
//! Writeback caching is not used: the kernel has it only without passthrough, and where we are not
//! root it would let the kernel decide the sizes of files.

mod backing;
mod notify;
#[cfg(test)]
mod tests;
mod translate;

use std::convert::Infallible;
use std::ffi::OsStr;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::SystemTime;

use fuser::{
    BsdFileFlags, CopyFileRangeFlags, Errno, FileHandle, Filesystem, FopenFlags, Generation, INodeNo,
    InitFlags, KernelConfig, LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData,
    ReplyDirectory, ReplyDirectoryPlus, ReplyEmpty, ReplyEntry, ReplyLseek, ReplyOpen, ReplyStatfs,
    ReplyWrite, Request, TimeOrNow, WriteFlags,
};
use tokio::sync::Semaphore;

use super::answer::Answer;
use super::attributes::{Attributes, Changes, Handle, Inode, NewFile};
use super::filesystem::{FileSystem, Room, Span};
use super::fs_error::FsError;
use crate::limits::{KERNEL_BACKGROUND_MAX, KERNEL_TTL, SLOW_CALLS_MAX};
use backing::{Chosen, Opening};
use translate::{file_attr, file_type, open_mode, renaming, time_ns, whence};

pub(super) use backing::{Backings, Wished};
pub(super) use notify::Notifying;

/// Never used again for another file, so one generation is enough.
const GENERATION: Generation = Generation(0);

/// See the head of this file.
pub(super) struct Adapter {
    fs: Arc<FileSystem>,
    backings: Arc<Backings>,
    slow_calls: Arc<Semaphore>,
    /// Dropped with the adapter, when the last call was answered.
    _serving: Sender<Infallible>,
}

impl Adapter {
    /// An adapter for one mount. It drops `serving` when it stops serving the mount.
    pub(super) fn new(fs: Arc<FileSystem>, backings: Backings, serving: Sender<Infallible>) -> Self {
        Self {
            _serving: serving,
            fs,
            backings: Arc::new(backings),
            slow_calls: Arc::new(Semaphore::new(SLOW_CALLS_MAX)),
        }
    }

    /// Runs one handler on the kernel's thread. Its log lines belong to the peer.
    fn guarded(&self, handler: impl FnOnce()) {
        self.fs.runtime().span.in_scope(|| guarded(handler));
    }

    /// Runs `call` on another thread, which also answers.
    fn later(&self, call: impl FnOnce(&FileSystem) + Send + 'static) {
        let (fs, slow_calls) = (self.fs.clone(), self.slow_calls.clone());
        let runtime = self.fs.runtime().clone();
        runtime.clone().spawn(async move {
            // The semaphore is never closed.
            if let Ok(turn) = slow_calls.acquire_owned().await {
                runtime.spawn_blocking(move || {
                    guarded(|| call(&fs));
                    drop(turn);
                });
            }
        });
    }

    /// Replies at once, or from another thread after the job.
    fn reply<T: 'static>(&self, answer: Answer<T>, reply: impl FnOnce(Result<T, FsError>) + Send + 'static) {
        match answer {
            Answer::Done(result) => reply(result),
            Answer::Later(job) => self.later(move |fs| reply(job.run(fs))),
        }
    }

    fn read_ready_or_later(&self, handle: Handle, offset: u64, len: usize, reply: ReplyData) {
        let answer = move |read: Result<&[u8], FsError>| match read {
            Ok(bytes) => reply.data(bytes),
            Err(error) => reply.error(refusal("read", &error)),
        };
        self.fs.read_with(handle, offset, len, Box::new(answer));
    }
}

/// Runs one handler. One that panics leaves its reply unanswered, which fuser turns into EIO.
fn guarded(handler: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(handler)).is_err() {
        tracing::error!("a call on a mount panicked; it was answered with EIO");
    }
}

/// The errno of a failed call. The calling program gets only that number; the log has the text and
/// what to do.
pub(super) fn refusal(call: &'static str, error: &FsError) -> Errno {
    tracing::debug!(call, %error, "a call on a mount failed");
    Errno::from_i32(error.errno())
}

fn done(call: &'static str, outcome: Result<(), FsError>, reply: ReplyEmpty) {
    match outcome {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(refusal(call, &error)),
    }
}

fn entry(call: &'static str, outcome: Result<Attributes, FsError>, reply: ReplyEntry) {
    match outcome {
        Ok(attributes) => reply.entry(&KERNEL_TTL, &file_attr(&attributes), GENERATION),
        Err(error) => reply.error(refusal(call, &error)),
    }
}

fn attr(call: &'static str, outcome: Result<Attributes, FsError>, reply: ReplyAttr) {
    match outcome {
        Ok(attributes) => reply.attr(&KERNEL_TTL, &file_attr(&attributes)),
        Err(error) => reply.error(refusal(call, &error)),
    }
}

fn written(call: &'static str, outcome: Result<usize, FsError>, reply: ReplyWrite) {
    match outcome {
        Ok(len) => reply.written(u32::try_from(len).unwrap_or(u32::MAX)),
        Err(error) => reply.error(refusal(call, &error)),
    }
}

fn opened(chosen: Result<Chosen, FsError>, reply: ReplyOpen) {
    match chosen {
        Ok(Chosen::Calls(handle, keep)) => reply.opened(FileHandle(handle.0), keep),
        Ok(Chosen::Backed(handle, backing)) => {
            reply.opened_passthrough(FileHandle(handle.0), FopenFlags::empty(), &backing);
        }
        Err(error) => reply.error(refusal("open", &error)),
    }
}

fn inode(ino: INodeNo) -> Inode {
    Inode(ino.0)
}

fn handle(fh: FileHandle) -> Handle {
    Handle(fh.0)
}

impl Filesystem for Adapter {
    fn init(&mut self, _request: &Request, config: &mut KernelConfig) -> io::Result<()> {
        let wanted = [
            InitFlags::FUSE_PARALLEL_DIROPS,
            InitFlags::FUSE_DO_READDIRPLUS,
            InitFlags::FUSE_READDIRPLUS_AUTO,
            InitFlags::FUSE_ATOMIC_O_TRUNC,
            InitFlags::FUSE_ASYNC_DIO,
        ];
        for flag in wanted {
            // A kernel that does not have the feature needs no request for it.
            let _known = config.add_capabilities(flag);
        }
        self.backings.negotiate(config);
        // If the value is impossible, the nearest possible one is used.
        let _nearest = config.set_max_background(KERNEL_BACKGROUND_MAX);
        Ok(())
    }

    fn lookup(&self, _request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        self.guarded(|| entry("lookup", self.fs.lookup(inode(parent), name), reply));
    }

    fn forget(&self, _request: &Request, ino: INodeNo, count: u64) {
        self.guarded(|| {
            self.backings.forget(inode(ino));
            self.fs.forget(inode(ino), count);
        });
    }

    fn getattr(&self, _request: &Request, ino: INodeNo, _fh: Option<FileHandle>, reply: ReplyAttr) {
        self.guarded(|| attr("getattr", self.fs.attributes(inode(ino)), reply));
    }

    fn setattr(
        &self,
        _request: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        len: Option<u64>,
        accessed: Option<TimeOrNow>,
        modified: Option<TimeOrNow>,
        _changed: Option<SystemTime>,
        fh: Option<FileHandle>,
        _created: Option<SystemTime>,
        _change_time: Option<SystemTime>,
        _backup_time: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let now = self.fs.now_ns();
        let changes = Changes {
            mode,
            uid,
            gid,
            len,
            accessed_ns: accessed.map(|time| time_ns(time, now)),
            modified_ns: modified.map(|time| time_ns(time, now)),
        };
        let (ino, fh) = (inode(ino), fh.map(handle));
        self.guarded(|| {
            let answer = self.fs.set_attributes_or_later(ino, fh, &changes);
            self.reply(answer, |changed| attr("setattr", changed, reply));
        });
    }

    fn readlink(&self, _request: &Request, ino: INodeNo, reply: ReplyData) {
        self.guarded(|| match self.fs.read_link(inode(ino)) {
            Ok(target) => reply.data(target.as_bytes()),
            Err(error) => reply.error(refusal("readlink", &error)),
        });
    }

    fn mknod(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _umask: u32,
        _rdev: u32,
        reply: ReplyEntry,
    ) {
        let made = || match translate::is_regular(mode) {
            true => self
                .fs
                .make_empty_file(inode(parent), name, mode & 0o7777, translate::owner(request)),
            false => Err(FsError::NotPermitted),
        };
        self.guarded(|| entry("mknod", made(), reply));
    }

    fn mkdir(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _umask: u32,
        reply: ReplyEntry,
    ) {
        let owner = translate::owner(request);
        self.guarded(|| {
            entry(
                "mkdir",
                self.fs.make_folder(inode(parent), name, mode, owner),
                reply,
            )
        });
    }

    fn unlink(&self, _request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        self.guarded(|| done("unlink", self.fs.remove(inode(parent), name), reply));
    }

    fn rmdir(&self, _request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        self.guarded(|| done("rmdir", self.fs.remove_folder(inode(parent), name), reply));
    }

    fn symlink(&self, request: &Request, parent: INodeNo, name: &OsStr, target: &Path, reply: ReplyEntry) {
        let owner = translate::owner(request);
        let made = || {
            let target = target.to_str().ok_or(FsError::NameNotUnicode)?;
            self.fs.make_link(inode(parent), name, target, owner)
        };
        self.guarded(|| entry("symlink", made(), reply));
    }

    fn rename(
        &self,
        _request: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let (from, to) = ((inode(parent), name), (inode(new_parent), new_name));
        self.guarded(|| {
            let answer = match renaming(flags) {
                Ok(renaming) => self.fs.rename_or_later(from, to, renaming),
                Err(error) => Answer::Done(Err(error)),
            };
            self.reply(answer, |renamed| done("rename", renamed, reply));
        });
    }

    fn link(&self, _request: &Request, _ino: INodeNo, _parent: INodeNo, _name: &OsStr, reply: ReplyEntry) {
        reply.error(refusal("link", &FsError::NotPermitted));
    }

    fn open(&self, _request: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let (ino, mode) = (inode(ino), open_mode(flags.0));
        self.guarded(|| {
            let opening = Opening {
                inode: ino,
                mode,
                register: &|file| reply.open_backing(file),
            };
            match self.backings.open_at_once(&self.fs, opening) {
                Some(chosen) => opened(chosen, reply),
                None => {
                    let backings = self.backings.clone();
                    self.later(move |fs| {
                        let opening = Opening {
                            inode: ino,
                            mode,
                            register: &|file| reply.open_backing(file),
                        };
                        opened(backings.open(fs, opening), reply);
                    });
                }
            }
        });
    }

    fn read(
        &self,
        _request: &Request,
        _ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        len: u32,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        self.guarded(|| self.read_ready_or_later(handle(fh), offset, len, reply));
    }

    fn write(
        &self,
        _request: &Request,
        _ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        bytes: &[u8],
        _write_flags: WriteFlags,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let fh = handle(fh);
        self.guarded(|| {
            let answer = self.fs.write_or_later(fh, offset, bytes);
            self.reply(answer, |len| written("write", len, reply));
        });
    }

    fn flush(&self, _request: &Request, _ino: INodeNo, fh: FileHandle, _owner: LockOwner, reply: ReplyEmpty) {
        let fh = handle(fh);
        self.guarded(|| {
            self.reply(self.fs.flush_or_later(fh), |flushed| {
                done("flush", flushed, reply)
            })
        });
    }

    fn release(
        &self,
        _request: &Request,
        ino: INodeNo,
        fh: FileHandle,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        let (ino, fh) = (inode(ino), handle(fh));
        self.guarded(|| {
            if self.backings.release_at_once(ino) {
                self.reply(self.fs.release_or_later(fh), |released| {
                    done("release", released, reply)
                });
                return;
            }
            let backings = self.backings.clone();
            self.later(move |fs| {
                backings.release(ino);
                done("release", fs.release(fh), reply);
            });
        });
    }

    fn fsync(&self, _request: &Request, _ino: INodeNo, fh: FileHandle, _datasync: bool, reply: ReplyEmpty) {
        let fh = handle(fh);
        self.guarded(|| self.later(move |fs| done("fsync", fs.fsync(fh), reply)));
    }

    fn opendir(&self, _request: &Request, ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        self.guarded(|| match self.fs.open_folder(inode(ino)) {
            Ok(handle) => reply.opened(FileHandle(handle.0), FopenFlags::empty()),
            Err(error) => reply.error(refusal("opendir", &error)),
        });
    }

    fn readdir(
        &self,
        _request: &Request,
        _ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        self.guarded(|| {
            let listed = self.fs.read_folder(handle(fh), offset, |item| {
                room(reply.add(INodeNo(item.inode.0), item.next, file_type(item.kind), &item.name))
            });
            match listed {
                Ok(()) => reply.ok(),
                Err(error) => reply.error(refusal("readdir", &error)),
            }
        });
    }

    fn readdirplus(
        &self,
        _request: &Request,
        _ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        mut reply: ReplyDirectoryPlus,
    ) {
        self.guarded(|| {
            let listed = self
                .fs
                .read_folder_with_attributes(handle(fh), offset, |item, attributes| {
                    let attr = file_attr(attributes);
                    room(reply.add(attr.ino, item.next, &item.name, &KERNEL_TTL, &attr, GENERATION))
                });
            match listed {
                Ok(()) => reply.ok(),
                Err(error) => reply.error(refusal("readdirplus", &error)),
            }
        });
    }

    fn releasedir(
        &self,
        _request: &Request,
        _ino: INodeNo,
        fh: FileHandle,
        _flags: OpenFlags,
        reply: ReplyEmpty,
    ) {
        self.guarded(|| {
            self.fs.close_folder(handle(fh));
            reply.ok();
        });
    }

    fn statfs(&self, _request: &Request, _ino: INodeNo, reply: ReplyStatfs) {
        self.guarded(|| match self.fs.statistics() {
            Ok(room) => reply.statfs(
                room.block_count,
                room.free_count,
                room.available_count,
                room.file_count,
                room.free_file_count,
                u32::try_from(room.block_len).unwrap_or(u32::MAX),
                room.name_len_max,
                u32::try_from(room.block_len).unwrap_or(u32::MAX),
            ),
            Err(error) => reply.error(refusal("statfs", &error)),
        });
    }

    fn create(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _umask: u32,
        flags: i32,
        reply: ReplyCreate,
    ) {
        let new = NewFile {
            mode: mode & 0o7777,
            owner: translate::owner(request),
        };
        self.guarded(|| {
            let opening = Opening {
                inode: inode(parent),
                mode: open_mode(flags),
                register: &|file| reply.open_backing(file),
            };
            match self.backings.create(&self.fs, name, new, opening) {
                Ok((attributes, Chosen::Calls(handle, keep))) => {
                    let attr = file_attr(&attributes);
                    reply.created(&KERNEL_TTL, &attr, GENERATION, FileHandle(handle.0), keep);
                }
                Ok((attributes, Chosen::Backed(handle, backing))) => {
                    let (attr, handle) = (file_attr(&attributes), FileHandle(handle.0));
                    let none = FopenFlags::empty();
                    reply.created_passthrough(&KERNEL_TTL, &attr, GENERATION, handle, none, &backing);
                }
                Err(error) => reply.error(refusal("create", &error)),
            }
        });
    }

    fn fallocate(
        &self,
        _request: &Request,
        _ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        len: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        let (fh, span) = (handle(fh), Span { offset, len });
        let flags = mode.cast_unsigned();
        self.guarded(|| {
            let answer = self.fs.allocate_or_later(fh, span, flags);
            self.reply(answer, |allocated| done("fallocate", allocated, reply));
        });
    }

    fn lseek(
        &self,
        _request: &Request,
        _ino: INodeNo,
        fh: FileHandle,
        offset: i64,
        from: i32,
        reply: ReplyLseek,
    ) {
        let found = || {
            let offset = u64::try_from(offset).map_err(|_| FsError::Invalid)?;
            self.fs.seek(handle(fh), offset, whence(from)?)
        };
        self.guarded(|| match found() {
            Ok(offset) => reply.offset(i64::try_from(offset).unwrap_or(i64::MAX)),
            Err(error) => reply.error(refusal("lseek", &error)),
        });
    }

    fn copy_file_range(
        &self,
        _request: &Request,
        _ino_in: INodeNo,
        fh_in: FileHandle,
        offset_in: u64,
        _ino_out: INodeNo,
        fh_out: FileHandle,
        offset_out: u64,
        len: u64,
        _flags: CopyFileRangeFlags,
        reply: ReplyWrite,
    ) {
        let span = Span {
            offset: offset_in,
            len,
        };
        let copy = move |fs: &FileSystem| {
            let copied = fs.copy_range(handle(fh_in), span, handle(fh_out), offset_out);
            written(
                "copy_file_range",
                copied.map(|len| usize::try_from(len).unwrap_or(usize::MAX)),
                reply,
            );
        };
        self.guarded(|| self.later(copy));
    }
}

fn room(is_full: bool) -> Room {
    if is_full { Room::Full } else { Room::More }
}
