//! Which open files the kernel reads and writes by itself (passthrough, Linux 6.9), one decision
//! per inode.
//!
//! The kernel refuses (EIO) to have an inode open in both ways at once, so the first handle decides
//! and the others follow, until the last one is closed. It also wants one and the same backing id
//! for all handles of an inode. Only CAP_SYS_ADMIN in the initial user namespace may register one:
//! a first refusal is remembered, and everything works through calls from then on.
//!
//! Without passthrough the kernel caches what was read, and reads it again without asking us. Linux
//! 6.18 still caches FUSE in single pages and has no flag that changes it, while ext4 and XFS are
//! cached in pieces of up to 1 MiB. That alone makes a native read 1.2 to 1.5 times faster, which
//! is why `bench mount` also reads a native file that is cached in single pages.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use fuser::{BackingId, FopenFlags, InitFlags, KernelConfig};

use super::super::attributes::{Attributes, Handle, Inode, NewFile, OpenMode};
use super::super::filesystem::{FileSystem, IoWish, Opened};
use super::super::fs_error::FsError;
use crate::limits::KERNEL_STACK_DEPTH;

/// Whether passthrough is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Wished {
    /// Where it is possible.
    Yes,
    /// Not at all.
    No,
}

/// How an open file was opened.
pub(super) enum Chosen {
    /// Its reads and writes come to us.
    Calls(Handle, FopenFlags),
    /// The kernel does them itself.
    Backed(Handle, Arc<BackingId>),
}

/// See the head of this file.
pub(in super::super) struct Backings {
    /// Whether the kernel may be asked.
    is_possible: AtomicBool,
    inodes: Mutex<HashMap<Inode, Arc<Mutex<InodeIo>>>>,
    /// The content whose pages the kernel has cached, by inode.
    remembered: Mutex<HashMap<Inode, [u8; 32]>>,
}

/// All handles of one inode.
#[derive(Default)]
struct InodeIo {
    count: usize,
    backing: Option<Arc<BackingId>>,
}

/// Registers a backing file with the kernel, as only the reply to an opening can.
pub(super) type Register<'a> = &'a dyn Fn(BorrowedFd<'_>) -> std::io::Result<BackingId>;

/// How the kernel wants a file to be opened.
#[derive(Clone, Copy)]
pub(super) struct Opening<'a> {
    pub(super) inode: Inode,
    pub(super) mode: OpenMode,
    pub(super) register: Register<'a>,
}

impl Backings {
    /// Asks the kernel for passthrough if that is wanted.
    pub(in super::super) fn new(wished: Wished) -> Self {
        Self {
            is_possible: AtomicBool::new(wished == Wished::Yes),
            inodes: Mutex::default(),
            remembered: Mutex::default(),
        }
    }

    /// Called when the mount begins.
    pub(super) fn negotiate(&self, config: &mut KernelConfig) {
        let is_agreed = self.is_possible()
            && config.add_capabilities(InitFlags::FUSE_PASSTHROUGH).is_ok()
            && config.set_max_stack_depth(KERNEL_STACK_DEPTH).is_ok();
        self.is_possible.store(is_agreed, Ordering::Relaxed);
    }

    /// Opens a file in the way in which it is open already, or in the best one. Waits for other
    /// threads that open or close the inode.
    pub(super) fn open(&self, fs: &FileSystem, opening: Opening<'_>) -> Result<Chosen, FsError> {
        let Opening { inode, mode, .. } = opening;
        let entry = self.entry(inode);
        let mut io = entry.lock().unwrap_or_else(PoisonError::into_inner);
        let chosen = fs.open(inode, mode, self.wish(&io));
        let chosen = chosen.and_then(|opened| self.choose(fs, &mut io, opened, opening));
        drop(io);
        drop(entry);
        self.drop_closed(inode);
        chosen
    }

    /// As [`Backings::open`]; `None`, and nothing is done, where that may take long.
    pub(super) fn open_at_once(
        &self,
        fs: &FileSystem,
        opening: Opening<'_>,
    ) -> Option<Result<Chosen, FsError>> {
        let Opening { inode, mode, .. } = opening;
        let entry = self.entry(inode);
        let mut io = lock_at_once(&entry)?;
        let chosen = fs.open_at_once(inode, mode, self.wish(&io));
        let chosen = chosen.map(|opened| self.choose(fs, &mut io, opened?, opening));
        drop(io);
        drop(entry);
        self.drop_closed(inode);
        chosen
    }

    /// Decides how the handle is served. One that the kernel refuses to serve by itself is opened
    /// anew.
    fn choose(
        &self,
        fs: &FileSystem,
        io: &mut InodeIo,
        opened: Opened,
        opening: Opening<'_>,
    ) -> Result<Chosen, FsError> {
        let Opening {
            inode,
            mode,
            register,
        } = opening;
        // It is truncated already.
        let again = OpenMode {
            truncate: false,
            ..mode
        };
        match self.settle(io, inode, opened, register) {
            Ok(chosen) => Ok(chosen),
            Err(refused) => self.open_by_calls(fs, (io, inode), again, refused),
        }
    }

    /// Makes a file of that name and opens it. The inode of `opening` is that of its folder.
    pub(super) fn create(
        &self,
        fs: &FileSystem,
        name: &OsStr,
        new: NewFile,
        opening: Opening<'_>,
    ) -> Result<(Attributes, Chosen), FsError> {
        let (place, mode) = ((opening.inode, name), opening.mode);
        let (attributes, opened) = fs.create(place, new, mode, self.wish(&InodeIo::default()))?;
        let inode = attributes.inode;
        let entry = self.entry(inode);
        let mut io = entry.lock().unwrap_or_else(PoisonError::into_inner);
        let opening = Opening { inode, ..opening };
        let chosen = self.choose(fs, &mut io, opened, opening)?;
        Ok((attributes, chosen))
    }

    /// Opens a file anew whose handle the kernel refused to serve by itself.
    fn open_by_calls(
        &self,
        fs: &FileSystem,
        (io, inode): (&mut InodeIo, Inode),
        mode: OpenMode,
        refused: Handle,
    ) -> Result<Chosen, FsError> {
        let opened = fs.open(inode, mode, IoWish::Calls);
        fs.release(refused)?;
        Ok(self.by_calls(io, inode, &opened?))
    }

    /// A handle of the inode was closed. Waits for other threads that open or close the inode.
    pub(super) fn release(&self, inode: Inode) {
        let entry = self.entry(inode);
        release_one(&mut entry.lock().unwrap_or_else(PoisonError::into_inner));
        drop(entry);
        self.drop_closed(inode);
    }

    /// As [`Backings::release`]; `false`, and nothing is done, where it would wait.
    #[must_use]
    pub(super) fn release_at_once(&self, inode: Inode) -> bool {
        let entry = self.entry(inode);
        let Some(mut io) = lock_at_once(&entry) else {
            return false;
        };
        release_one(&mut io);
        drop(io);
        drop(entry);
        self.drop_closed(inode);
        true
    }

    fn drop_closed(&self, inode: Inode) {
        let mut inodes = self.lock();
        // Unless another thread is about to open it.
        if inodes
            .get(&inode)
            .is_some_and(|entry| Arc::strong_count(entry) == 1 && !is_open(entry))
        {
            inodes.remove(&inode);
        }
    }

    fn entry(&self, inode: Inode) -> Arc<Mutex<InodeIo>> {
        self.lock().entry(inode).or_default().clone()
    }

    fn wish(&self, io: &InodeIo) -> IoWish {
        match (io.count, &io.backing) {
            (0, _) if self.is_possible() => IoWish::Either,
            (0, _) | (_, None) => IoWish::Calls,
            (_, Some(_)) => IoWish::Either,
        }
    }

    /// Registers the backing file, if there is one. `Err` with the handle when the kernel refuses.
    fn settle(
        &self,
        io: &mut InodeIo,
        inode: Inode,
        opened: Opened,
        register: Register<'_>,
    ) -> Result<Chosen, Handle> {
        let Some(file) = &opened.backing else {
            return Ok(self.by_calls(io, inode, &opened));
        };
        let known = io.backing.clone();
        let backing = match known.map_or_else(|| register(file.as_fd()).map(Arc::new), Ok) {
            Ok(backing) => backing,
            Err(error) => {
                tracing::info!(%error, "the kernel does not read files by itself here; they go through calls");
                self.is_possible.store(false, Ordering::Relaxed);
                return Err(opened.handle);
            }
        };
        io.backing = Some(backing.clone());
        io.count += 1;
        self.remembered().remove(&inode);
        Ok(Chosen::Backed(opened.handle, backing))
    }

    /// Lets the kernel keep cached pages of the same content.
    fn by_calls(&self, io: &mut InodeIo, inode: Inode, opened: &Opened) -> Chosen {
        io.count += 1;
        let mut remembered = self.remembered();
        let before = match opened.content {
            Some(content) => remembered.insert(inode, content),
            None => remembered.remove(&inode),
        };
        let is_same = before.is_some() && before == opened.content;
        let keep = if is_same {
            FopenFlags::FOPEN_KEEP_CACHE
        } else {
            FopenFlags::empty()
        };
        Chosen::Calls(opened.handle, keep)
    }

    fn is_possible(&self) -> bool {
        self.is_possible.load(Ordering::Relaxed)
    }

    /// Forgets the cached content of an inode that the kernel has forgotten.
    pub(super) fn forget(&self, inode: Inode) {
        self.remembered().remove(&inode);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Inode, Arc<Mutex<InodeIo>>>> {
        self.inodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remembered(&self) -> MutexGuard<'_, HashMap<Inode, [u8; 32]>> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn release_one(io: &mut InodeIo) {
    io.count = io.count.saturating_sub(1);
    if io.count == 0 {
        io.backing = None;
    }
}

fn lock_at_once(entry: &Mutex<InodeIo>) -> Option<MutexGuard<'_, InodeIo>> {
    match entry.try_lock() {
        Ok(io) => Some(io),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

fn is_open(entry: &Mutex<InodeIo>) -> bool {
    entry.try_lock().map_or(true, |io| io.count > 0)
}
