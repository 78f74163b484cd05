//! The file system of a share without a kernel: this file does the kernel's part (paths, lookup
//! counts, handles) and no more.
//!
//! It follows no links and checks no permissions. It maps errors to errno by a table of its own, so
//! that a fact fails where a mount should return another errno.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::panic::resume_unwind;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use tandem_core::mount::{
    Attributes, Changes, FileSystem, FsError, Handle, Inode, IoWish, NewFile, NodeKind, OpenMode, Owner,
    Renaming, Room as Taken, Span, Whence,
};

use super::{
    Access, Allocate, Creation, Directory, Errno, File, Kind, Listed, Listing, Open, Outcome, Rename, Room,
    Stat, Time,
};

/// Entries per step of a listing.
const STEP_COUNT: usize = 10;
const NANOS: i64 = 1_000_000_000;
/// The flags of fallocate(2).
const KEEP_SIZE: u32 = 1;
const PUNCH_HOLE: u32 = 2;

/// See the module's head.
#[derive(Debug, Clone)]
pub struct KernelFree {
    fs: Arc<FileSystem>,
    /// Inodes that were looked up by name, kept while they have that name: a kernel keeps them too,
    /// because programs may ask for them again.
    names: Arc<Mutex<HashMap<Inode, Held>>>,
    releaser: Arc<Releaser>,
}

/// An inode that was looked up; its lookup is taken back when this is dropped.
#[derive(Debug)]
struct Held {
    fs: Arc<FileSystem>,
    inode: Inode,
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.inode != Inode::ROOT {
            self.fs.forget(self.inode, 1);
        }
    }
}

/// Releases handles some time after they were closed, as a kernel does: close(2) waits only for the
/// flush.
#[derive(Debug)]
struct Releaser {
    /// `None` once nothing more will be released.
    closed: Option<Sender<(Held, Handle)>>,
    thread: Option<JoinHandle<()>>,
}

impl Releaser {
    fn start() -> Releaser {
        let (closed, closing) = channel::<(Held, Handle)>();
        let thread = std::thread::spawn(move || {
            for (held, handle) in closing {
                // close(2) has returned already, so no caller is left to get this result.
                let _released = held.fs.release(handle);
            }
        });
        Releaser {
            closed: Some(closed),
            thread: Some(thread),
        }
    }
}

impl Drop for Releaser {
    fn drop(&mut self) {
        drop(self.closed.take());
        let ended = self.thread.take().map(JoinHandle::join);
        if let (Some(Err(cause)), false) = (ended, std::thread::panicking()) {
            resume_unwind(cause);
        }
    }
}

/// An open file.
#[derive(Debug)]
pub struct KernelFreeFile {
    held: Held,
    handle: Handle,
    releaser: Arc<Releaser>,
}

/// An open folder.
#[derive(Debug)]
pub struct KernelFreeListing {
    held: Held,
    handle: Handle,
    offset: u64,
}

impl KernelFree {
    /// The root folder of `fs`.
    pub fn new(fs: FileSystem) -> KernelFree {
        KernelFree {
            fs: Arc::new(fs),
            names: Arc::default(),
            releaser: Arc::new(Releaser::start()),
        }
    }

    fn held(&self, inode: Inode) -> Held {
        Held {
            fs: self.fs.clone(),
            inode,
        }
    }

    fn find(&self, path: &str) -> Outcome<Held> {
        let mut here = self.held(Inode::ROOT);
        for name in path.split('/').filter(|name| !name.is_empty()) {
            let attributes = self.fs.lookup(here.inode, OsStr::new(name)).map_err(errno)?;
            self.remember(attributes.inode);
            let looked_up_again = self.fs.lookup(here.inode, OsStr::new(name)).map_err(errno)?;
            here = self.held(looked_up_again.inode);
        }
        Ok(here)
    }

    fn remember(&self, inode: Inode) {
        // Dropping the older `Held` takes its lookup back.
        drop(self.names().insert(inode, self.held(inode)));
    }

    /// Forgets the name; open handles still hold the inode.
    fn forget(&self, inode: Inode) {
        drop(self.names().remove(&inode));
    }

    fn names(&self) -> MutexGuard<'_, HashMap<Inode, Held>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The parent folder of a path, and the name in it.
    fn split<'a>(&self, path: &'a str) -> Outcome<(Held, &'a OsStr)> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        Ok((self.find(folder)?, OsStr::new(name)))
    }

    fn change(&self, path: &str, changes: Changes) -> Outcome<()> {
        let held = self.find(path)?;
        let changed = self.fs.set_attributes(held.inode, None, &changes);
        changed.map(drop).map_err(errno)
    }

    fn opened(&self, held: Held, handle: Handle) -> KernelFreeFile {
        KernelFreeFile {
            held,
            handle,
            releaser: self.releaser.clone(),
        }
    }

    fn create(&self, path: &str, how: Open) -> Outcome<KernelFreeFile> {
        let (folder, name) = self.split(path)?;
        let new = NewFile {
            mode: how.mode,
            owner: owner(),
        };
        let place = (folder.inode, name);
        let created = self.fs.create(place, new, open_mode(how), IoWish::Calls);
        let (attributes, opened) = created.map_err(errno)?;
        Ok(self.opened(self.held(attributes.inode), opened.handle))
    }
}

impl Directory for KernelFree {
    type File = KernelFreeFile;
    type Listing = KernelFreeListing;

    fn open(&self, path: &str, how: Open) -> Outcome<KernelFreeFile> {
        let held = match (self.find(path), how.creation) {
            (Err(Errno::NOENT), Creation::IfMissing | Creation::Always) => return self.create(path, how),
            (Ok(_), Creation::Always) => return Err(Errno::EXIST),
            (found, _) => found?,
        };
        let opened = self.fs.open(held.inode, open_mode(how), IoWish::Calls);
        Ok(self.opened(held, opened.map_err(errno)?.handle))
    }

    fn stat(&self, path: &str) -> Outcome<Stat> {
        let held = self.find(path)?;
        self.fs.attributes(held.inode).map(told).map_err(errno)
    }

    fn set_mode(&self, path: &str, mode: u32) -> Outcome<()> {
        let changes = Changes {
            mode: Some(mode),
            ..Changes::default()
        };
        self.change(path, changes)
    }

    fn set_times(&self, path: &str, accessed: Time, modified: Time) -> Outcome<()> {
        let changes = Changes {
            accessed_ns: Some(nanos(accessed)),
            modified_ns: Some(nanos(modified)),
            ..Changes::default()
        };
        self.change(path, changes)
    }

    fn set_len(&self, path: &str, len: u64) -> Outcome<()> {
        let changes = Changes {
            len: Some(len),
            ..Changes::default()
        };
        self.change(path, changes)
    }

    fn make_folder(&self, path: &str, mode: u32) -> Outcome<()> {
        let (folder, name) = self.split(path)?;
        let made = self.fs.make_folder(folder.inode, name, mode, owner());
        made.map(|made| drop(self.held(made.inode))).map_err(errno)
    }

    fn remove_folder(&self, path: &str) -> Outcome<()> {
        let gone = self.find(path)?;
        let (folder, name) = self.split(path)?;
        self.fs.remove_folder(folder.inode, name).map_err(errno)?;
        self.forget(gone.inode);
        Ok(())
    }

    fn unlink(&self, path: &str) -> Outcome<()> {
        let gone = self.find(path)?;
        let (folder, name) = self.split(path)?;
        self.fs.remove(folder.inode, name).map_err(errno)?;
        self.forget(gone.inode);
        Ok(())
    }

    fn rename(&self, from: &str, to: &str, how: Rename) -> Outcome<()> {
        let renaming = match how {
            Rename::Plain => Renaming::Replace,
            Rename::NoReplace => Renaming::NoReplace,
            Rename::Exchange => Renaming::Exchange,
        };
        let ((folder, name), (new_folder, new_name)) = (self.split(from)?, self.split(to)?);
        let renamed = self
            .fs
            .rename((folder.inode, name), (new_folder.inode, new_name), renaming);
        renamed.map_err(errno)
    }

    fn make_link(&self, target: &str, path: &str) -> Outcome<()> {
        let (folder, name) = self.split(path)?;
        let made = self.fs.make_link(folder.inode, name, target, owner());
        made.map(|made| drop(self.held(made.inode))).map_err(errno)
    }

    fn read_link(&self, path: &str) -> Outcome<String> {
        let held = self.find(path)?;
        self.fs.read_link(held.inode).map_err(errno)
    }

    fn hard_link(&self, _from: &str, _to: &str) -> Outcome<()> {
        // The file system has no such operation.
        Err(Errno::PERM)
    }

    fn list(&self, path: &str) -> Outcome<KernelFreeListing> {
        let held = self.find(path)?;
        let handle = self.fs.open_folder(held.inode).map_err(errno)?;
        Ok(KernelFreeListing {
            held,
            handle,
            offset: 0,
        })
    }

    fn room(&self) -> Outcome<Room> {
        let told = self.fs.statistics().map_err(errno)?;
        Ok(Room {
            total_len: told.block_count * told.block_len,
            available_len: told.available_count * told.block_len,
            name_len_max: told.name_len_max.into(),
            file_count: told.file_count,
        })
    }

    fn copy_range(
        &self,
        from: (&KernelFreeFile, u64),
        to: (&KernelFreeFile, u64),
        len: usize,
    ) -> Outcome<usize> {
        let span = Span {
            offset: from.1,
            len: len as u64,
        };
        let copied = self.fs.copy_range(from.0.handle, span, to.0.handle, to.1);
        copied.map(|count| count as usize).map_err(errno)
    }
}

impl KernelFreeFile {
    fn fs(&self) -> &FileSystem {
        &self.held.fs
    }
}

impl File for KernelFreeFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Outcome<usize> {
        let read = self.fs().read(self.handle, offset, buffer.len());
        let bytes = read.map_err(errno)?;
        buffer
            .get_mut(..bytes.len())
            .ok_or(Errno::OVERFLOW)?
            .copy_from_slice(&bytes);
        Ok(bytes.len())
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Outcome<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        self.fs().write(self.handle, offset, bytes).map_err(errno)
    }

    fn append(&self, bytes: &[u8]) -> Outcome<usize> {
        self.write_at(0, bytes)
    }

    fn set_len(&self, len: u64) -> Outcome<()> {
        let changes = Changes {
            len: Some(len),
            ..Changes::default()
        };
        let changed = self
            .fs()
            .set_attributes(self.held.inode, Some(self.handle), &changes);
        changed.map(drop).map_err(errno)
    }

    fn sync(&self) -> Outcome<()> {
        self.fs().fsync(self.handle).map_err(errno)
    }

    fn stat(&self) -> Outcome<Stat> {
        self.fs().attributes(self.held.inode).map(told).map_err(errno)
    }

    fn allocate(&self, how: Allocate, offset: u64, len: u64) -> Outcome<()> {
        let flags = match how {
            Allocate::Grow => 0,
            Allocate::KeepLen => KEEP_SIZE,
            Allocate::Punch => PUNCH_HOLE | KEEP_SIZE,
        };
        let span = Span { offset, len };
        self.fs().allocate(self.handle, span, flags).map_err(errno)
    }

    fn next_data(&self, offset: u64) -> Outcome<u64> {
        self.fs().seek(self.handle, offset, Whence::Data).map_err(errno)
    }

    fn next_hole(&self, offset: u64) -> Outcome<u64> {
        self.fs().seek(self.handle, offset, Whence::Hole).map_err(errno)
    }
}

impl Drop for KernelFreeFile {
    fn drop(&mut self) {
        let flushed = self.fs().flush(self.handle);
        let held = Held {
            fs: self.held.fs.clone(),
            inode: std::mem::replace(&mut self.held.inode, Inode::ROOT),
        };
        if let Some(closed) = &self.releaser.closed {
            // Sending fails if an earlier release panicked; the end of the releaser reports that.
            drop(closed.send((held, self.handle)));
        }
        if !std::thread::panicking() {
            flushed.unwrap();
        }
    }
}

impl Listing for KernelFreeListing {
    fn next(&mut self) -> Outcome<Vec<Listed>> {
        let mut some = Vec::new();
        let read = self.held.fs.read_folder(self.handle, self.offset, |item| {
            if some.len() == STEP_COUNT {
                return Taken::Full;
            }
            some.push(Listed {
                name: item.name.clone(),
                inode: item.inode.0,
                kind: kind(item.kind),
                offset: item.next,
            });
            Taken::More
        });
        read.map_err(errno)?;
        self.offset = some.last().map_or(self.offset, |last| last.offset);
        Ok(some)
    }

    fn seek(&mut self, offset: u64) -> Outcome<()> {
        self.offset = offset;
        Ok(())
    }
}

impl Drop for KernelFreeListing {
    fn drop(&mut self) {
        self.held.fs.close_folder(self.handle);
    }
}

fn owner() -> Owner {
    Owner {
        uid: rustix::process::geteuid().as_raw(),
        gid: rustix::process::getegid().as_raw(),
    }
}

fn open_mode(how: Open) -> OpenMode {
    OpenMode {
        write: how.access != Access::Read,
        append: how.appends,
        truncate: how.truncates,
    }
}

fn kind(kind: NodeKind) -> Kind {
    match kind {
        NodeKind::File => Kind::File,
        NodeKind::Folder => Kind::Folder,
        NodeKind::Link => Kind::Link,
    }
}

fn told(attributes: Attributes) -> Stat {
    Stat {
        kind: kind(attributes.kind),
        inode: attributes.inode.0,
        len: attributes.len,
        mode: attributes.mode,
        link_count: attributes.link_count.into(),
        modified: Time {
            secs: attributes.modified_ns.div_euclid(NANOS),
            nanos: attributes.modified_ns.rem_euclid(NANOS) as u32,
        },
    }
}

fn nanos(time: Time) -> i64 {
    time.secs * NANOS + i64::from(time.nanos)
}

/// The errno that a program would get.
fn errno(error: FsError) -> Errno {
    Errno::from_raw_os_error(error.errno())
}
