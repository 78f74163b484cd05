//! Opening files, and counting their handles.
//!
//! Owns where the bytes of a content are found, and how a new handle is served. All handles of an
//! inode share one [`OpenFile`].

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::super::attributes::{Attributes, Handle, Inode, NewFile, OpenMode};
use super::super::fs_error::FsError;
use super::super::nodes::Standing;
use super::super::open_file::{Announcement, Body, Keep, LocalFile, OpenFile};
use super::super::share_view::{Seen, ShareView};
use super::super::working_file::Working;
use super::meta::check_file;
use super::{FileSystem, OpenHandle};
use crate::catalog::Shown;
use crate::limits::OPEN_ATTEMPTS_MAX;
use crate::share::{Asker, SharedFile, shared_file};
use crate::store::{Source, SourceError};

/// How the bytes of an open file reach its reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Io {
    /// Through [`FileSystem::read`] and [`FileSystem::write`].
    Calls,
    /// By the kernel alone, in the file [`Opened::backing`].
    Backed,
}

/// Which of the two the caller supports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IoWish {
    /// Calls only.
    Calls,
    /// Backed where the content allows it, calls otherwise.
    Either,
}

/// An open file.
#[derive(Debug)]
pub struct Opened {
    /// Names it.
    pub handle: Handle,
    /// The file that the kernel reads and writes by itself, if the handles are [`Io::Backed`].
    pub backing: Option<OwnedFd>,
    /// The hash of the content: a kernel that remembers bytes of another one must forget them.
    /// `None` while it is being written.
    pub content: Option<[u8; 32]>,
}

/// How long finding a file may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// No file is read.
    AtOnce,
    /// A file that has changed is read again.
    Patient,
}

/// Where something is found.
enum Place<T> {
    /// There.
    At(T),
    /// A file on this machine turned out to be changed or gone: the catalog may show another
    /// content by now, and should be asked again.
    Unknown,
    /// A file has to be read again first.
    AfterReading,
}

impl<T> Place<T> {
    fn map<U>(self, with: impl FnOnce(T) -> U) -> Place<U> {
        match self {
            Self::At(found) => Place::At(with(found)),
            Self::Unknown => Place::Unknown,
            Self::AfterReading => Place::AfterReading,
        }
    }
}

impl FileSystem {
    /// Makes a file and opens it; counts as one lookup of it.
    ///
    /// # Errors
    /// [`FsError::Exists`], and those of names and of the store.
    pub fn create(
        &self,
        (folder, name): (Inode, &OsStr),
        new: NewFile,
        open_mode: OpenMode,
        wish: IoWish,
    ) -> Result<(Attributes, Opened), FsError> {
        let working = Working::create(self.view.share.written_dir()?, &self.view.uses)?;
        let mut files = self.view.share.files();
        let (attributes, shown) = match self.make_file(&mut files, (folder, name), new) {
            Ok(made) => made,
            Err(error) => {
                working.remove();
                return Err(error);
            }
        };
        let content = shown.file().ok_or(FsError::Invalid)?.content;
        let body = Body::Working(Arc::new(working));
        let open = OpenFile::new(body, content, (shown.key(), shown.dot), Announcement::Withheld);
        let open = self.enter(attributes.inode, Arc::new(open))?;
        let opened = self.install(attributes.inode, open, open_mode, wish)?;
        let nodes = self.view.nodes();
        let attributes = self.view.attributes_of(&files, &nodes, attributes.inode)?;
        Ok((attributes, opened))
    }

    /// Opens a file. Downloads nothing, even if the file is large. May take long for a large file
    /// that was edited by its owner, or that is opened for writing.
    ///
    /// # Errors
    /// [`FsError::IsAFolder`], and those of the store.
    pub fn open(&self, inode: Inode, mode: OpenMode, wish: IoWish) -> Result<Opened, FsError> {
        let opened = self.open_at_pace((inode, mode), wish, Pace::Patient);
        // A call that may take long does nothing here.
        opened.unwrap_or(Err(FsError::Changed))
    }

    /// As [`FileSystem::open`]; `None`, and nothing is done, where that may take long.
    pub(crate) fn open_at_once(
        &self,
        inode: Inode,
        mode: OpenMode,
        wish: IoWish,
    ) -> Option<Result<Opened, FsError>> {
        self.open_at_pace((inode, mode), wish, Pace::AtOnce)
    }

    fn open_at_pace(
        &self,
        (inode, mode): (Inode, OpenMode),
        wish: IoWish,
        pace: Pace,
    ) -> Option<Result<Opened, FsError>> {
        let open = match self.enter_any(inode, pace)? {
            Ok(open) => open,
            Err(error) => return Some(Err(error)),
        };
        // The kernel writes to a backing file by itself, so that must be our working file first.
        let keep = if mode.truncate {
            Keep::Nothing
        } else {
            Keep::Content
        };
        let is_next = mode.truncate || (wish == IoWish::Either && open.body().backing().is_some());
        if mode.write && is_next {
            let writable = match pace {
                Pace::Patient => Some(self.view.make_writable(&open, keep)),
                Pace::AtOnce => self.view.make_writable_at_once(&open, keep),
            };
            if !matches!(writable, Some(Ok(_))) {
                self.view.leave(self.view.nodes(), (inode, &open), Io::Calls);
                return writable.map(|writable| Err(writable.err().unwrap_or(FsError::Changed)));
            }
        }
        Some(self.install(inode, open, mode, wish))
    }

    /// Counts one handle more of an inode. `None` where that may take longer than `pace` allows.
    fn enter_any(&self, inode: Inode, pace: Pace) -> Option<Result<Arc<OpenFile>, FsError>> {
        for _ in 0..OPEN_ATTEMPTS_MAX {
            let entered = match self.open_file(inode, pace) {
                Ok(Place::At(open)) => self.enter(inode, open),
                Ok(Place::Unknown) => continue,
                Ok(Place::AfterReading) => return None,
                Err(error) => Err(error),
            };
            match entered {
                Err(FsError::Changed) => {}
                entered => return Some(entered),
            }
        }
        Some(Err(FsError::Changed))
    }

    /// Counts one handle more. Fails with [`FsError::Changed`] if the inode stands for something
    /// else by now.
    fn enter(&self, inode: Inode, open: Arc<OpenFile>) -> Result<Arc<OpenFile>, FsError> {
        let mut nodes = self.view.nodes();
        let node = nodes.get_mut(inode).ok_or(FsError::NotFound)?;
        let entry = open.state().version.map(|(key, _)| key);
        // Two threads may open it at the same time: both use the file of the first.
        let open = match (&node.file, node.standing) {
            (Some(open), _) => open.clone(),
            (None, Standing::For(key)) if Some(key) == entry => node.file.insert(open).clone(),
            (None, Standing::For(_)) => return Err(FsError::Changed),
            (None, Standing::Gone(_)) => return Err(FsError::NotFound),
        };
        open.state().handle_count += 1;
        Ok(open)
    }

    /// The open file of an inode, or a new one.
    fn open_file(&self, inode: Inode, pace: Pace) -> Result<Place<Arc<OpenFile>>, FsError> {
        let files = self.view.share.files();
        let nodes = self.view.nodes();
        if let Some(open) = self.view.open_file(&nodes, inode) {
            return Ok(Place::At(open));
        }
        let shown = match self.view.seen(&files, &nodes, inode)? {
            Seen::Entry(shown) => shown,
            Seen::Top => return Err(FsError::IsAFolder),
            Seen::Gone(was) => return Err(check_file(was.kind).err().unwrap_or(FsError::NotFound)),
        };
        let file = file_of(&shown)?;
        let sources = files.sources_of(&file.content);
        drop((nodes, files));
        let place = self.view.body(&file, sources, pace)?;
        Ok(place.map(|body| {
            let version = (shown.key(), shown.dot);
            Arc::new(OpenFile::new(body, file.content, version, Announcement::Made))
        }))
    }

    /// Makes a handle for a file that is counted already.
    fn install(
        &self,
        inode: Inode,
        open: Arc<OpenFile>,
        mode: OpenMode,
        wish: IoWish,
    ) -> Result<Opened, FsError> {
        let mut state = open.state();
        let is_possible = state.backed_count > 0 || self.view.may_be_backed(&state.body, &state.content);
        let backing = state
            .body
            .backing()
            .filter(|_| wish == IoWish::Either && is_possible);
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
        match backing {
            Ok(backing) => {
                self.handles_mut().insert(handle, installed);
                let backing = backing.map(Into::into);
                Ok(Opened {
                    handle,
                    backing,
                    content,
                })
            }
            Err(error) => {
                self.view.leave(self.view.nodes(), (inode, &open), io);
                Err(error.into())
            }
        }
    }
}

impl ShareView {
    /// Where the bytes of a content are.
    fn body(&self, file: &SharedFile, sources: Vec<Arc<Source>>, pace: Pace) -> Result<Place<Body>, FsError> {
        let (mut is_outdated, mut unusable_count) = (false, 0);
        // Prefers one without other readers: it can be handed to the kernel.
        let mut sources = sources;
        sources.sort_by_key(|source| self.uses.count(&source.path));
        for source in sources {
            match source.open() {
                Ok(file) => {
                    let _in_use = self.uses.begin(&source.path);
                    let local = LocalFile {
                        source,
                        file,
                        _in_use,
                    };
                    return Ok(Place::At(Body::Local(Arc::new(local))));
                }
                Err(SourceError::Changed { .. } | SourceError::Missing { .. }) if pace == Pace::AtOnce => {
                    return Ok(Place::AfterReading);
                }
                Err(SourceError::Changed { .. } | SourceError::Missing { .. }) => {
                    // It is read again, and its new content is shared if it belongs to the user.
                    // The next round finds its present content.
                    is_outdated |= self.share.read_again(&source, Asker::Us).is_some();
                }
                Err(error) => {
                    tracing::debug!(%error, "a file that has the content can't be used");
                    unusable_count += 1;
                }
            }
        }
        let files = self.share.files();
        is_outdated |= files.sources_of(&file.content).len() > unusable_count;
        is_outdated |= files
            .file(&file.path)
            .is_none_or(|now| now.content != file.content);
        drop(files);
        if is_outdated {
            return Ok(Place::Unknown);
        }
        let remote = self.share.remote_file(file)?;
        Ok(Place::At(Body::Remote(Arc::new(remote))))
    }

    /// Finds another file to read an open file from than that of `body`, which has changed. May
    /// take long.
    pub(super) fn find_elsewhere(&self, open: &OpenFile, body: &Body) -> Result<(), FsError> {
        let Body::Local(stale) = body else {
            return Err(FsError::Changed);
        };
        let (version, content) = {
            let state = open.state();
            (state.version, state.content)
        };
        let files = self.share.files();
        let shown = version.and_then(|(key, _)| files.catalog.locate(key));
        let file = shown
            .as_ref()
            .and_then(shared_file)
            .filter(|file| file.content == content);
        let file = file.ok_or(FsError::Changed)?;
        let sources = files.sources_of(&content);
        drop(files);
        let found = self.body(&file, sources, Pace::Patient)?;
        let mut state = open.state();
        let is_stale = |body: &Body| matches!(body, Body::Local(local) if Arc::ptr_eq(local, stale));
        if let (Place::At(found), true) = (found, is_stale(&state.body)) {
            if state.backed_count > 0 {
                // The kernel reads the old file by itself and can't change to another.
                return Err(FsError::Changed);
            }
            state.body = found;
        }
        Ok(())
    }
}

fn file_of(shown: &Shown) -> Result<SharedFile, FsError> {
    shared_file(shown).ok_or(match shown.link() {
        Some(_) => FsError::Invalid,
        None => FsError::IsAFolder,
    })
}
