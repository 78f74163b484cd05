//! Files: opening, reading, writing, closing.

use std::ffi::OsStr;
use std::fs::File;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::sync::{Arc, MutexGuard};

use super::super::attributes::{Attributes, Handle, Inode, OpenMode, Owner};
use super::super::error::FsError;
use super::super::nodes::Nodes;
use super::super::open_file::{Body, Keep, LocalFile, News, OpenFile, within};
use super::super::share::Seen;
use super::super::working::{Working, copy_range};
use super::meta::check_file;
use super::{FileSystem, OpenHandle};
use crate::aligned::AlignedBuffer;
use crate::catalog::Shown;
use crate::limits::FILE_LEN_MAX;
use crate::peer::{SharedFile, shared_file};
use crate::store::{Source, SourceError};
use crate::transfer::Holder;

/// How often a file on this machine that was changed from outside is looked at again while it is opened.
const OPEN_ATTEMPTS_MAX: u32 = 3;

/// How the bytes of an open file reach its reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Io {
    /// Through [`FileSystem::read`] and [`FileSystem::write`].
    Calls,
    /// Straight from and to the file that [`Opened::backing`] is, without us.
    Backed,
}

/// Which of the two whoever opens a file can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IoWish {
    /// Calls only.
    Calls,
    /// Backed where the content allows it, calls otherwise.
    Either,
}

impl IoWish {
    fn may_be_backed(self) -> bool {
        self == Self::Either
    }
}

/// An open file.
#[derive(Debug)]
pub struct Opened {
    /// Names it.
    pub handle: Handle,
    /// The file to read and write past us, if its handles are [`Io::Backed`].
    pub backing: Option<OwnedFd>,
    /// The hash of the content: whoever remembers bytes of another one must forget them. `None` while it is being written.
    pub content: Option<[u8; 32]>,
}

/// A part of an open file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Where it starts, in bytes.
    pub offset: u64,
    /// How long it is, in bytes.
    pub len: u64,
}

/// What [`FileSystem::seek`] looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whence {
    /// The next byte that is data. What was not fetched yet is data.
    Data,
    /// The next hole, or the end.
    Hole,
}

/// What is done with the bytes of a read, or with its failure.
pub(crate) type OnRead = Box<dyn FnOnce(Result<&[u8], FsError>) + Send>;

impl FileSystem {
    /// Makes a file and opens it; counts as one lookup of it.
    ///
    /// # Errors
    /// [`FsError::Exists`], and those of names and of the store.
    pub fn create(
        &self,
        (folder, name): (Inode, &OsStr),
        (mode, owner): (u32, Owner),
        open_mode: OpenMode,
        wish: IoWish,
    ) -> Result<(Attributes, Opened), FsError> {
        let working = Working::create(self.share.shared.written_dir()?)?;
        let mut files = self.share.shared.files();
        let (attributes, shown) = match self.make_file(&mut files, (folder, name), (mode, owner)) {
            Ok(made) => made,
            Err(error) => {
                working.remove();
                return Err(error);
            }
        };
        let content = shown.file().ok_or(FsError::Invalid)?.content;
        let body = Body::Working(Arc::new(working));
        let open = OpenFile::new(body, content, (shown.key(), shown.dot), News::Untold);
        let open = self.enter(attributes.inode, Arc::new(open))?;
        let opened = self.install(attributes.inode, open, open_mode, wish)?;
        let nodes = self.share.nodes();
        let attributes = self.share.attributes_of(&files, &nodes, attributes.inode)?;
        Ok((attributes, opened))
    }

    /// Opens a file. Costs no download, however large it is.
    ///
    /// # Errors
    /// [`FsError::IsAFolder`], and those of the store.
    pub fn open(&self, inode: Inode, mode: OpenMode, wish: IoWish) -> Result<Opened, FsError> {
        let open = self.open_file(inode)?;
        let open = self.enter(inode, open)?;
        // The kernel writes to a backing file by itself: it must be ours before it does.
        let keep = if mode.truncate {
            Keep::Nothing
        } else {
            Keep::Content
        };
        let is_next = mode.truncate || (wish.may_be_backed() && open.body().backing().is_some());
        if mode.write
            && is_next
            && let Err(error) = self.share.make_writable(&open, keep)
        {
            self.leave(inode, &open, Io::Calls);
            return Err(error);
        }
        self.install(inode, open, mode, wish)
    }

    /// Reads up to `len` bytes from `offset` on and hands them to `done`: fewer only at the end of the file. `done` is
    /// called at once if the bytes are here, and otherwise by another thread when they are, or when they can't be had.
    pub(crate) fn read_with(&self, handle: Handle, offset: u64, len: usize, done: OnRead) {
        match self.readable(handle).and_then(|open| open.file.body_and_len()) {
            Ok((body, content_len)) => {
                let range = within(content_len, offset, len);
                if let Body::Remote(remote) = &body
                    && !remote.is_ready(&self.share.shared, range.clone())
                {
                    let body = body.clone();
                    let then = move |fetched: Result<(), _>| match fetched {
                        Ok(()) => answer(&body, range, done),
                        Err(fault) => done(Err(FsError::Unavailable(fault))),
                    };
                    return remote.read(
                        &self.share.shared,
                        within(content_len, offset, len),
                        Box::new(then),
                    );
                }
                answer(&body, range, done);
            }
            Err(error) => done(Err(error)),
        }
    }

    /// Reads up to `len` bytes from `offset` on; fewer only at the end of the file. Waits until they are here.
    ///
    /// # Errors
    /// [`FsError::Unavailable`] when they could not be had in time, [`FsError::Changed`] when the file on this machine that
    /// has them was changed; never fewer bytes, never others.
    pub fn read(&self, handle: Handle, offset: u64, len: usize) -> Result<Vec<u8>, FsError> {
        let (sender, answer) = std::sync::mpsc::channel();
        let done = Box::new(move |read: Result<&[u8], FsError>| drop(sender.send(read.map(<[u8]>::to_vec))));
        self.read_with(handle, offset, len, done);
        answer
            .recv()
            .unwrap_or(Err(FsError::Unavailable(crate::transfer::FetchFault::Closed)))
    }

    /// Writes bytes at `offset`, or at the end if the handle was opened so. May take long the first time: a file of the
    /// other side that was not truncated is fetched first.
    ///
    /// # Errors
    /// [`FsError::BadHandle`] for a handle that is not open for writing, [`FsError::TooLarge`], and those of the store.
    pub fn write(&self, handle: Handle, offset: u64, bytes: &[u8]) -> Result<usize, FsError> {
        let open = self.writable_handle(handle)?;
        let working = self.share.make_writable(&open.file, Keep::Content)?;
        let offset = if open.mode.append {
            working.file.metadata()?.len()
        } else {
            offset
        };
        let end = offset.checked_add(bytes.len() as u64);
        if end.is_none_or(|end| end > FILE_LEN_MAX) {
            return Err(FsError::TooLarge);
        }
        crate::store::write_all_at(&working.file, bytes, offset)?;
        working.note_write();
        Ok(bytes.len())
    }

    /// Whether [`FileSystem::write`] would be done at once.
    #[must_use]
    pub fn is_quickly_written(&self, handle: Handle) -> bool {
        self.writable_handle(handle)
            .is_ok_and(|open| open.file.is_writable_now())
    }

    /// Whether [`FileSystem::flush`] and [`FileSystem::release`] would be done at once.
    #[must_use]
    pub fn is_quickly_flushed(&self, handle: Handle) -> bool {
        self.handle(handle).map_or(true, |open| {
            !open.mode.write || self.share.is_quickly_published(&open.file)
        })
    }

    /// Shares what was written. Called for each close(2); that the other side can't be reached is no error. A new file that
    /// nothing was written to may be closed by a shell that is about to: it is shared when its last handle is closed.
    ///
    /// # Errors
    /// When what was written can't be read again, or the catalog is full.
    pub fn flush(&self, handle: Handle) -> Result<(), FsError> {
        let open = self.handle(handle)?;
        match open.mode.write && !open.file.is_new_and_empty()? {
            true => self.share.publish(open.inode, &open.file, Some(self.viewer)),
            false => Ok(()),
        }
    }

    /// Makes what was written durable on this machine, and shares it.
    ///
    /// # Errors
    /// As [`FileSystem::flush`], and those of fsync(2).
    pub fn fsync(&self, handle: Handle) -> Result<(), FsError> {
        let open = self.handle(handle)?;
        if let Some(working) = open.file.working() {
            working.file.sync_all()?;
        }
        match open.mode.write {
            true => self.share.publish(open.inode, &open.file, Some(self.viewer)),
            false => Ok(()),
        }
    }

    /// Closes a handle; the last one shares what was written since it was flushed.
    ///
    /// # Errors
    /// As [`FileSystem::flush`]; the handle is closed all the same.
    pub fn release(&self, handle: Handle) -> Result<(), FsError> {
        let closed = self.open.write().ok().and_then(|mut open| open.remove(&handle));
        self.let_go(&closed.ok_or(FsError::BadHandle)?)
    }

    /// Makes room for a part of a file, or takes it away, as fallocate(2) does with these flags.
    ///
    /// # Errors
    /// Those of fallocate(2); [`FsError::Unsupported`] where the system has none.
    pub fn allocate(&self, handle: Handle, span: Span, flags: u32) -> Result<(), FsError> {
        let open = self.writable_handle(handle)?;
        if span
            .offset
            .checked_add(span.len)
            .is_none_or(|end| end > FILE_LEN_MAX)
        {
            return Err(FsError::TooLarge);
        }
        let working = self.share.make_writable(&open.file, Keep::Content)?;
        allocate(&working.file, span, flags)?;
        working.note_write();
        Ok(())
    }

    /// Finds data or a hole from `offset` on.
    ///
    /// # Errors
    /// `ENXIO` past the end, as lseek(2) says.
    pub fn seek(&self, handle: Handle, offset: u64, whence: Whence) -> Result<u64, FsError> {
        let (body, len) = self.handle(handle)?.file.body_and_len()?;
        if let Body::Working(working) = &body {
            return seek(&working.file, offset, whence);
        }
        match whence {
            _ if offset >= len => Err(rustix::io::Errno::NXIO.into()),
            Whence::Data => Ok(offset),
            Whence::Hole => Ok(len),
        }
    }

    /// Copies a part of one open file into another, within the kernel.
    ///
    /// # Errors
    /// [`FsError::Unsupported`] when the bytes are not all here; then they have to be read and written.
    pub fn copy_range(&self, from: Handle, span: Span, to: Handle, offset: u64) -> Result<u64, FsError> {
        let (source, len) = self.readable(from)?.file.body_and_len()?;
        let target = self.writable_handle(to)?;
        let end = span.offset.saturating_add(span.len).min(len);
        let wanted = end.saturating_sub(span.offset);
        if offset.checked_add(wanted).is_none_or(|end| end > FILE_LEN_MAX) {
            return Err(FsError::TooLarge);
        }
        let (Some(file), true) = (source.backing(), target.file.is_writable_now()) else {
            return Err(FsError::Unsupported);
        };
        if wanted == 0 {
            return Ok(0);
        }
        let working = self.share.make_writable(&target.file, Keep::Content)?;
        let copied = copy_range(file, span.offset, &working.file, offset, wanted)?;
        working.note_write();
        Ok(copied)
    }

    pub(super) fn handle(&self, handle: Handle) -> Result<OpenHandle, FsError> {
        let open = self.open.read().map_err(|_| FsError::BadHandle)?;
        open.get(&handle).cloned().ok_or(FsError::BadHandle)
    }

    fn readable(&self, handle: Handle) -> Result<OpenHandle, FsError> {
        self.handle(handle)
    }

    pub(super) fn writable_handle(&self, handle: Handle) -> Result<OpenHandle, FsError> {
        let open = self.handle(handle)?;
        if open.mode.write {
            Ok(open)
        } else {
            Err(FsError::BadHandle)
        }
    }

    /// Ends what a handle did. What was changed between publishing and the end, as its time is by whoever copies a file,
    /// is published too.
    pub(super) fn let_go(&self, closed: &OpenHandle) -> Result<(), FsError> {
        if !closed.mode.write {
            self.leave(closed.inode, &closed.file, closed.io);
            return Ok(());
        }
        loop {
            let published = self.share.publish(closed.inode, &closed.file, Some(self.viewer));
            let nodes = self.share.nodes();
            let is_complete = published.is_err() || !self.is_unpublished(&closed.file);
            if is_complete {
                self.leave_locked(nodes, (closed.inode, &closed.file), closed.io);
                return published;
            }
        }
    }

    /// Whether this is the last handle of a file that was changed since it was published.
    fn is_unpublished(&self, open: &OpenFile) -> bool {
        let state = open.state();
        let is_last = state.handle_count == 1 && state.version.is_some();
        match &state.body {
            Body::Working(working) if is_last => working.is_changed(self.share.now()).unwrap_or(false),
            Body::Working(_) | Body::Local(_) | Body::Remote(_) => false,
        }
    }

    /// Counts one handle more.
    fn enter(&self, inode: Inode, open: Arc<OpenFile>) -> Result<Arc<OpenFile>, FsError> {
        let mut nodes = self.share.nodes();
        let node = nodes.get_mut(inode).ok_or(FsError::NotFound)?;
        // Two may open it at once: the first one's file is everybody's.
        let open = node.file.get_or_insert(open).clone();
        open.state().handle_count += 1;
        Ok(open)
    }

    /// Counts one handle less. With the last one, what was removed is really gone.
    fn leave(&self, inode: Inode, open: &OpenFile, io: Io) {
        self.leave_locked(self.share.nodes(), (inode, open), io);
    }

    fn leave_locked(&self, mut nodes: MutexGuard<'_, Nodes>, (inode, open): (Inode, &OpenFile), io: Io) {
        let mut state = open.state();
        state.handle_count -= 1;
        state.backed_count -= usize::from(io == Io::Backed);
        if state.handle_count > 0 {
            return;
        }
        if let Some(node) = nodes.get_mut(inode) {
            node.file = None;
        }
        nodes.drop_unknown(inode);
        drop(nodes);
        match (&state.body, state.version) {
            (Body::Working(working), None) => working.remove(),
            (Body::Remote(remote), _) => remote.release(&self.share.shared),
            (Body::Working(_) | Body::Local(_), _) => {}
        }
    }

    /// What is open of an inode, or would be.
    fn open_file(&self, inode: Inode) -> Result<Arc<OpenFile>, FsError> {
        for _ in 0..OPEN_ATTEMPTS_MAX {
            let files = self.share.shared.files();
            let nodes = self.share.nodes();
            if let Some(open) = self.share.open_file(&nodes, inode) {
                return Ok(open);
            }
            let shown = match self.share.seen(&files, &nodes, inode)? {
                Seen::Entry(shown) => shown,
                Seen::Top => return Err(FsError::IsAFolder),
                Seen::Gone(was) => return Err(check_file(was.kind).err().unwrap_or(FsError::NotFound)),
            };
            let file = file_of(&shown)?;
            let sources = files.sources_of(&file.content);
            drop((nodes, files));
            if let Some(body) = self.body(&file, sources)? {
                let version = (shown.key(), shown.dot);
                return Ok(Arc::new(OpenFile::new(body, file.content, version, News::Told)));
            }
        }
        Err(FsError::Changed)
    }

    /// Where the bytes of a content are. `None` after a file on this machine turned out to be changed and was read again:
    /// the catalog may show another content by now.
    fn body(&self, file: &SharedFile, sources: Vec<Arc<Source>>) -> Result<Option<Body>, FsError> {
        for source in sources {
            match source.open() {
                Ok(file) => return Ok(Some(Body::Local(Arc::new(LocalFile { source, file })))),
                Err(SourceError::Changed { .. }) => {
                    // Read again and shared anew; what it is now is found in the next round.
                    drop(self.share.shared.refresh(&source));
                    return Ok(None);
                }
                Err(error) => tracing::debug!(%error, "a file that has the content can't be used"),
            }
        }
        let remote = self.share.shared.remote_file(file)?;
        Ok(Some(Body::Remote(Arc::new(remote))))
    }

    /// Hands out a handle for a file that was entered.
    fn install(
        &self,
        inode: Inode,
        open: Arc<OpenFile>,
        mode: OpenMode,
        wish: IoWish,
    ) -> Result<Opened, FsError> {
        let mut state = open.state();
        let backing = state.body.backing().filter(|_| wish.may_be_backed());
        let backing = backing.map(File::try_clone).transpose();
        let is_written = matches!(state.body, Body::Working(_));
        let content = Some(state.content.hash).filter(|_| !is_written);
        let io = match &backing {
            Ok(Some(_)) => Io::Backed,
            Ok(None) | Err(_) => Io::Calls,
        };
        state.backed_count += usize::from(io == Io::Backed);
        drop(state);
        let handle = self.new_handle();
        let installed = OpenHandle {
            inode,
            file: open.clone(),
            mode,
            io,
        };
        match (backing, self.open.write()) {
            (Ok(backing), Ok(mut handles)) => {
                handles.insert(handle, installed);
                let backing = backing.map(Into::into);
                Ok(Opened {
                    handle,
                    backing,
                    content,
                })
            }
            (backing, _) => {
                self.leave(inode, &open, io);
                backing?;
                Err(FsError::BadHandle)
            }
        }
    }
}

fn file_of(shown: &Shown) -> Result<SharedFile, FsError> {
    shared_file(shown).ok_or(match shown.link() {
        Some(_) => FsError::Invalid,
        None => FsError::IsAFolder,
    })
}

/// Reads a range that is here, in a page-aligned buffer of this thread.
fn answer(body: &Body, range: Range<u64>, done: OnRead) {
    thread_local! {
        static BUFFER: std::cell::RefCell<AlignedBuffer> = std::cell::RefCell::new(AlignedBuffer::new(0));
    }
    let len = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
    BUFFER.with_borrow_mut(|buffer| {
        if buffer.len() < len {
            *buffer = AlignedBuffer::new(len);
        }
        match body.read_here(&mut buffer[..len], range.start) {
            Ok(read) => done(Ok(&buffer[..read])),
            Err(error) => done(Err(error)),
        }
    });
}

#[cfg(target_os = "linux")]
fn allocate(file: &File, span: Span, flags: u32) -> Result<(), FsError> {
    let flags = rustix::fs::FallocateFlags::from_bits(flags).ok_or(FsError::Unsupported)?;
    Ok(rustix::fs::fallocate(file, flags, span.offset, span.len)?)
}

#[cfg(not(target_os = "linux"))]
fn allocate(_file: &File, _span: Span, _flags: u32) -> Result<(), FsError> {
    Err(FsError::Unsupported)
}

#[cfg(target_os = "linux")]
fn seek(file: &File, offset: u64, whence: Whence) -> Result<u64, FsError> {
    let from = match whence {
        Whence::Data => rustix::fs::SeekFrom::Data(offset),
        Whence::Hole => rustix::fs::SeekFrom::Hole(offset),
    };
    Ok(rustix::fs::seek(file, from)?)
}

#[cfg(not(target_os = "linux"))]
fn seek(file: &File, offset: u64, whence: Whence) -> Result<u64, FsError> {
    let len = file.metadata()?.len();
    match whence {
        _ if offset >= len => Err(rustix::io::Errno::NXIO.into()),
        Whence::Data => Ok(offset),
        Whence::Hole => Ok(len),
    }
}
