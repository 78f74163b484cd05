//! Attributes: reading and changing them, and the free room.

use super::super::answer::Answer;
use super::super::attributes::{Attributes, Changes, Handle, Inode, NodeKind, OpenMode};
use super::super::fs_error::FsError;
use super::super::open_file::{Announcement, Body, Keep};
use super::super::share_view::Seen;
use super::{FileSystem, IoWish, OpenHandle};
use crate::catalog::{FileVersion, Holding, Kind, LinkVersion, Shown};
use crate::limits::{FILE_LEN_MAX, SHARE_NAME_LEN_MAX};
use crate::share::Files;

/// The answer to statfs(2): the room in the store, where everything written goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statistics {
    /// Bytes in one block.
    pub block_len: u64,
    /// Blocks in all.
    pub block_count: u64,
    /// Blocks that are free.
    pub free_count: u64,
    /// Blocks that are free for an ordinary user.
    pub available_count: u64,
    /// Files that there can be in all.
    pub file_count: u64,
    /// Files that can still be made.
    pub free_file_count: u64,
    /// Longest name in bytes.
    pub name_len_max: u32,
}

impl FileSystem {
    /// The attributes of an inode, for stat(2).
    ///
    /// # Errors
    /// [`FsError::NotFound`] for an inode that is gone.
    pub fn attributes(&self, inode: Inode) -> Result<Attributes, FsError> {
        let files = self.view.share.files();
        let nodes = self.view.nodes();
        self.view.attributes_of(&files, &nodes, inode)
    }

    /// Changes attributes; `handle` may name an open file to truncate. May take long when a file of
    /// the other peer is truncated to another length than 0, since the rest of it is fetched.
    ///
    /// # Errors
    /// [`FsError::IsAFolder`] for the length of a folder, [`FsError::TooLarge`],
    /// [`FsError::Unavailable`].
    pub fn set_attributes(
        &self,
        inode: Inode,
        handle: Option<Handle>,
        changes: &Changes,
    ) -> Result<Attributes, FsError> {
        self.set_attributes_or_later(inode, handle, changes).wait(self)
    }

    /// As [`FileSystem::set_attributes`], without waiting.
    pub(crate) fn set_attributes_or_later(
        &self,
        inode: Inode,
        handle: Option<Handle>,
        changes: &Changes,
    ) -> Answer<Attributes> {
        // A file without an access time of its own was read when it was modified: until it is
        // modified again.
        let accessed_ns = match self.attributes(inode) {
            Ok(attributes) => Some(attributes.accessed_ns),
            Err(error) => return Answer::Done(Err(error)),
        };
        let changes = Changes {
            accessed_ns: changes.accessed_ns.or(accessed_ns),
            ..*changes
        };
        let truncated = match changes.len {
            Some(len) => self.truncate_or_later(inode, handle, len),
            None => Answer::Done(Ok(())),
        };
        match truncated {
            Answer::Done(truncated) => Answer::Done(truncated.and_then(|()| self.change(inode, &changes))),
            Answer::Later(job) => Answer::later(move |fs| {
                job.run(fs)?;
                fs.change(inode, &changes)
            }),
        }
    }

    /// Changes everything but the length.
    fn change(&self, inode: Inode, changes: &Changes) -> Result<Attributes, FsError> {
        if changes.modified_ns.is_some() {
            self.set_working_time(inode, changes)?;
        }
        let mut files = self.view.share.files();
        let nodes = self.view.nodes();
        let seen = self.view.seen_if_open(&files, &nodes, inode)?;
        drop(nodes);
        let touched = match &seen {
            Seen::Entry(shown) => self.set_version(&mut files, inode, shown, changes)?,
            Seen::Top | Seen::Gone(_) => Vec::new(),
        };
        self.set_local(inode, &seen, changes);
        let nodes = self.view.nodes();
        let attributes = self.view.attributes_of(&files, &nodes, inode);
        drop((nodes, files));
        self.view.share.announce(touched);
        attributes
    }

    /// The room in the store, for statfs(2).
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn statistics(&self) -> Result<Statistics, FsError> {
        let store = rustix::fs::statvfs(self.view.share.written_dir()?)?;
        Ok(Statistics {
            block_len: store.f_frsize,
            block_count: store.f_blocks,
            free_count: store.f_bfree,
            available_count: store.f_bavail,
            file_count: store.f_files,
            free_file_count: store.f_ffree,
            name_len_max: u32::try_from(SHARE_NAME_LEN_MAX).unwrap_or(u32::MAX),
        })
    }

    /// Sets the length of a file. One that is not open is opened and closed, which shares it.
    fn truncate_or_later(&self, inode: Inode, handle: Option<Handle>, len: u64) -> Answer<()> {
        if len > FILE_LEN_MAX {
            return Answer::Done(Err(FsError::TooLarge));
        }
        let keep = if len == 0 { Keep::Nothing } else { Keep::Content };
        if let Some(open) = self.truncatable(handle) {
            return match self.view.make_writable_at_once(&open.file, keep) {
                Some(working) => Answer::Done(working.and_then(|working| Ok(working.set_len(len)?))),
                None => Answer::later(move |fs| fs.set_len(&open, keep, len)),
            };
        }
        let emptying = OpenMode {
            truncate: true,
            ..OpenMode::WRITE
        };
        let emptied = match keep {
            Keep::Nothing => self.open_at_once(inode, emptying, IoWish::Calls),
            Keep::Content => None,
        };
        match emptied {
            Some(Ok(opened)) => self.release_or_later(opened.handle),
            Some(Err(error)) => Answer::Done(Err(error)),
            None => Answer::later(move |fs| {
                let handle = fs.open(inode, OpenMode::WRITE, IoWish::Calls)?.handle;
                let open = fs.writable_handle(handle);
                let truncated = open.and_then(|open| fs.set_len(&open, keep, len));
                fs.release(handle)?;
                truncated
            }),
        }
    }

    /// The open file to truncate, if the handle is open for writing.
    fn truncatable(&self, handle: Option<Handle>) -> Option<OpenHandle> {
        handle.and_then(|handle| self.writable_handle(handle).ok())
    }

    fn set_len(&self, open: &OpenHandle, keep: Keep, len: u64) -> Result<(), FsError> {
        let working = self.view.make_writable(&open.file, keep)?;
        Ok(working.set_len(len)?)
    }

    /// The time of a file that is being written is that of its working file.
    fn set_working_time(&self, inode: Inode, changes: &Changes) -> Result<(), FsError> {
        // Under the lock, so that the thread that closes the file sees it.
        let nodes = self.view.nodes();
        let open = self.view.open_file(&nodes, inode);
        if let (Some(open), Some(modified_ns)) = (open, changes.modified_ns)
            && let Body::Working(working) = open.body()
        {
            let _writing = working.begin_write();
            working
                .file
                .set_modified(crate::unix_time::system_time(modified_ns))?;
        }
        Ok(())
    }

    /// Mode and time of a file, or time of a link, are a version of their own. The content stays,
    /// and so do its holders.
    fn set_version(
        &self,
        files: &mut Files,
        inode: Inode,
        shown: &Shown,
        changes: &Changes,
    ) -> Result<Vec<crate::catalog::EntryId>, FsError> {
        let open = self.view.open_file(&self.view.nodes(), inode);
        let is_written = open.is_some_and(|open| open.working().is_some());
        // The time of a file that is being written is that of its working file, and shared with
        // what was written.
        let changes = &Changes {
            modified_ns: changes.modified_ns.filter(|_| !is_written),
            ..*changes
        };
        let Some(kind) = changed_kind(&shown.kind, changes) else {
            return Ok(Vec::new());
        };
        let edited = files
            .catalog
            .edit(shown.key(), shown.dot, kind, Holding::NotHeld)?;
        files.settle(&edited.change);
        let mut nodes = self.view.nodes();
        if edited.shown.key() != shown.key() {
            self.view.rekey(&mut nodes, inode, &edited.shown);
        }
        let mut announcement = Announcement::Made;
        if let Some(open) = self.view.open_file(&nodes, inode) {
            let mut state = open.state();
            // A program that still writes to an older version has not seen this one, so this one
            // stays.
            let is_current = state.version == Some((shown.key(), shown.dot));
            if is_current || (state.version.is_some() && edited.shown.has_content(&state.content)) {
                state.version = Some((edited.shown.key(), edited.shown.dot));
            }
            announcement = state.announcement;
        }
        drop(nodes);
        let path = &edited.shown.path;
        self.view.report_content(files, path, Some(self.viewer));
        match announcement {
            Announcement::Made => Ok(edited.change.touched),
            Announcement::Withheld => Ok(Vec::new()),
        }
    }

    fn set_local(&self, inode: Inode, seen: &Seen, changes: &Changes) {
        let now = self.view.now_ns();
        let (key, is_folder) = match seen {
            Seen::Top => (crate::catalog::EntryKey::TOP, true),
            Seen::Entry(shown) => (shown.key(), shown.kind == Kind::Folder),
            Seen::Gone(_) => return self.set_gone(inode, changes),
        };
        let mut nodes = self.view.nodes();
        let owner = self.owner_after(&nodes, &key, changes);
        nodes.change_local(key, |local| {
            local.owner = owner;
            local.changed_ns = Some(now);
            local.accessed_ns = changes.accessed_ns.or(local.accessed_ns);
            match changes.mode {
                Some(mode) if is_folder => local.mode = Some(mode & 0o7777),
                Some(mode) => local.mode = Some(mode & 0o7000),
                None => {}
            }
            if is_folder {
                local.modified_ns = changes.modified_ns.or(local.modified_ns);
            }
        });
    }

    fn owner_after(
        &self,
        nodes: &super::super::nodes::Nodes,
        key: &crate::catalog::EntryKey,
        changes: &Changes,
    ) -> Option<super::super::attributes::Owner> {
        let before = nodes.local(key).owner;
        if changes.uid.is_none() && changes.gid.is_none() {
            return before;
        }
        let mut owner = before.unwrap_or(self.view.owner());
        owner.uid = changes.uid.unwrap_or(owner.uid);
        owner.gid = changes.gid.unwrap_or(owner.gid);
        Some(owner)
    }

    /// A file that is removed but still open has attributes of its own.
    fn set_gone(&self, inode: Inode, changes: &Changes) {
        let now = self.view.now_ns();
        self.view.nodes().change_gone(inode, |was| {
            was.mode = changes.mode.map_or(was.mode, |mode| mode & 0o7777);
            was.owner.uid = changes.uid.unwrap_or(was.owner.uid);
            was.owner.gid = changes.gid.unwrap_or(was.owner.gid);
            was.modified_ns = changes.modified_ns.unwrap_or(was.modified_ns);
            was.accessed_ns = changes.accessed_ns.unwrap_or(was.accessed_ns);
            was.changed_ns = now;
        });
    }
}

/// The entry with other attributes; `None` if the catalog does not keep these attributes.
fn changed_kind(kind: &Kind, changes: &Changes) -> Option<Kind> {
    let changed = match kind {
        Kind::File(file) => Kind::File(FileVersion {
            mode: changes
                .mode
                .map_or(file.mode, |mode| mode & crate::limits::SHARED_MODE_MAX),
            mtime_ns: changes.modified_ns.unwrap_or(file.mtime_ns),
            ..*file
        }),
        Kind::Link(link) => Kind::Link(LinkVersion {
            mtime_ns: changes.modified_ns.unwrap_or(link.mtime_ns),
            ..link.clone()
        }),
        Kind::Folder => return None,
    };
    (changed != *kind).then_some(changed)
}

/// Whether an inode of that kind has a length that can be set.
pub(super) fn check_file(kind: NodeKind) -> Result<(), FsError> {
    match kind {
        NodeKind::File => Ok(()),
        NodeKind::Folder => Err(FsError::IsAFolder),
        NodeKind::Link => Err(FsError::Invalid),
    }
}
