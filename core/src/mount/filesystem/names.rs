//! Names: looking up, making, removing, renaming.

use std::ffi::OsStr;
use std::sync::Arc;

use super::super::answer::Answer;
use super::super::attributes::{Attributes, Inode, NewFile, OpenMode, Owner};
use super::super::fs_error::FsError;
use super::super::links::stays_inside;
use super::super::open_file::OpenFile;
use super::super::options::Links;
use super::super::publish::Check;
use super::super::share_view::Seen;
use super::{FileSystem, IoWish};
use crate::catalog::{
    Catalog, CatalogError, Change, ContentId, FileVersion, LinkTarget, LinkVersion, OnExisting, SharePath,
    Shown,
};
use crate::share::Files;

/// What renaming does if the new name is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renaming {
    /// It is replaced, as rename(2) does.
    Replace,
    /// It is an error (`RENAME_NOREPLACE`).
    NoReplace,
    /// The two are exchanged (`RENAME_EXCHANGE`).
    Exchange,
}

impl FileSystem {
    /// The entry called `name` in a folder; counts as one lookup, to be taken back with
    /// [`FileSystem::forget`].
    ///
    /// # Errors
    /// [`FsError::NotFound`] if there is nothing.
    pub fn lookup(&self, folder: Inode, name: &OsStr) -> Result<Attributes, FsError> {
        let files = self.view.share.files();
        let path = self.child(&files, folder, name)?;
        let shown = files.catalog.lookup(&path).ok_or(FsError::NotFound)?;
        Ok(self.introduce(folder, &shown))
    }

    /// Takes back `count` lookups of an inode.
    pub fn forget(&self, inode: Inode, count: u64) {
        let count = self.known().forget(inode, count);
        if count > 0 {
            self.view.nodes().forget(inode, count);
        }
    }

    /// Makes a folder; counts as one lookup of it.
    ///
    /// # Errors
    /// [`FsError::Exists`], and those of names.
    pub fn make_folder(
        &self,
        folder: Inode,
        name: &OsStr,
        mode: u32,
        owner: Owner,
    ) -> Result<Attributes, FsError> {
        let mut files = self.view.share.files();
        let path = self.free_child(&files, folder, name)?;
        let change = files.catalog.add_folder(&path)?;
        files.settle(&change);
        let attributes = self.made(&files, (folder, &path), (Some(mode & 0o7777), owner))?;
        drop(files);
        self.announce(change);
        Ok(attributes)
    }

    /// Makes an empty file and announces it at once; counts as one lookup of it.
    ///
    /// # Errors
    /// [`FsError::Exists`], and those of names and of the store.
    pub fn make_empty_file(
        &self,
        folder: Inode,
        name: &OsStr,
        mode: u32,
        owner: Owner,
    ) -> Result<Attributes, FsError> {
        let made = self.create(
            (folder, name),
            NewFile { mode, owner },
            OpenMode::WRITE,
            IoWish::Calls,
        )?;
        let (attributes, opened) = made;
        self.release(opened.handle)?;
        Ok(attributes)
    }

    /// Makes a symbolic link; counts as one lookup of it. The target is kept as it is and never
    /// followed here; wherever it leads, it can be read through the mounts of this peer until the
    /// other peer changes or moves the link.
    ///
    /// # Errors
    /// [`FsError::Exists`], [`FsError::Invalid`] for a target that no link can have, and those of
    /// names.
    pub fn make_link(
        &self,
        folder: Inode,
        name: &OsStr,
        target: &str,
        owner: Owner,
    ) -> Result<Attributes, FsError> {
        let target = LinkTarget::new(target).map_err(|_| FsError::Invalid)?;
        let mut files = self.view.share.files();
        let path = self.free_child(&files, folder, name)?;
        let link = LinkVersion {
            target: target.clone(),
            mtime_ns: self.view.now_ns(),
        };
        let change = files.catalog.add_link(&path, link)?;
        files.settle(&change);
        let attributes = self.made(&files, (folder, &path), (None, owner))?;
        self.view.own_links().note(path, target);
        drop(files);
        self.announce(change);
        Ok(attributes)
    }

    /// Where a symbolic link points to.
    ///
    /// # Errors
    /// [`FsError::Invalid`] for an inode that is no link, [`FsError::LeadsOut`] for a link that may
    /// not be followed; see [`Links`].
    pub fn read_link(&self, inode: Inode) -> Result<String, FsError> {
        let files = self.view.share.files();
        let seen = self.view.seen(&files, &self.view.nodes(), inode)?;
        let Seen::Entry(shown) = seen else {
            return Err(FsError::Invalid);
        };
        let target = &shown.link().ok_or(FsError::Invalid)?.target;
        match self.may_be_read(&files, inode, (&shown.path, target)) {
            true => Ok(target.as_str().to_owned()),
            false => Err(FsError::LeadsOut),
        }
    }

    fn may_be_read(&self, files: &Files, inode: Inode, (path, target): (&SharePath, &LinkTarget)) -> bool {
        if self.links == Links::Anywhere {
            return true;
        }
        let depth = path.depth() - 1;
        let seen_depth = self.known().least_depth(inode).unwrap_or(depth);
        // From another folder than it was made in, its text may lead elsewhere.
        let is_in_place = seen_depth >= depth;
        (is_in_place && self.view.own_links().contains(path, target))
            || stays_inside(&files.catalog, path, target, depth.min(seen_depth))
    }

    /// Removes a file or a link. A process that has it open goes on using it.
    ///
    /// # Errors
    /// [`FsError::NotFound`], [`FsError::IsAFolder`].
    pub fn remove(&self, folder: Inode, name: &OsStr) -> Result<(), FsError> {
        self.take_away(folder, name, Catalog::remove_leaf)
    }

    /// Removes an empty folder.
    ///
    /// # Errors
    /// [`FsError::NotFound`], [`FsError::NotAFolder`], [`FsError::NotEmpty`].
    pub fn remove_folder(&self, folder: Inode, name: &OsStr) -> Result<(), FsError> {
        self.take_away(folder, name, Catalog::remove_empty_folder)
    }

    fn take_away(
        &self,
        folder: Inode,
        name: &OsStr,
        from_catalog: fn(&mut Catalog, &SharePath) -> Result<Change, CatalogError>,
    ) -> Result<(), FsError> {
        let mut files = self.view.share.files();
        let path = self.child(&files, folder, name)?;
        let shown = files.catalog.lookup(&path).ok_or(FsError::NotFound)?;
        let change = from_catalog(&mut files.catalog, &path)?;
        files.settle(&change);
        self.view.own_links().forget(&path);
        self.detach(&mut files, &shown);
        self.view.report_name(&files, &path, Some(self.viewer));
        drop(files);
        self.announce(change);
        Ok(())
    }

    /// Gives something another name, or another folder, with all that is in it. An open file that
    /// was not published yet is published first, so that its new content replaces the other file.
    ///
    /// # Errors
    /// As rename(2).
    pub fn rename(
        &self,
        from: (Inode, &OsStr),
        to: (Inode, &OsStr),
        renaming: Renaming,
    ) -> Result<(), FsError> {
        self.rename_or_later(from, to, renaming).wait(self)
    }

    /// As [`FileSystem::rename`], without waiting.
    pub(crate) fn rename_or_later(
        &self,
        (folder, name): (Inode, &OsStr),
        (new_folder, new_name): (Inode, &OsStr),
        renaming: Renaming,
    ) -> Answer<()> {
        let rename = |fs: &Self| fs.rename_published((folder, name), (new_folder, new_name), renaming);
        let (inode, open) = match self.open_at(folder, name) {
            Ok(Some(open)) => open,
            Ok(None) => return Answer::Done(rename(self)),
            Err(error) => return Answer::Done(Err(error)),
        };
        let by = Some(self.viewer);
        if let Some(published) = self.view.publish_at_once((inode, &open), by, Check::Stamp) {
            return Answer::Done(published.and_then(|()| rename(self)));
        }
        let (name, new_name) = (name.to_owned(), new_name.to_owned());
        Answer::later(move |fs| {
            fs.view.publish((inode, &open), by, Check::Stamp)?;
            fs.rename_published((folder, &name), (new_folder, &new_name), renaming)
        })
    }

    fn rename_published(
        &self,
        (folder, name): (Inode, &OsStr),
        (new_folder, new_name): (Inode, &OsStr),
        renaming: Renaming,
    ) -> Result<(), FsError> {
        let mut files = self.view.share.files();
        let from = self.child(&files, folder, name)?;
        let to = self.child(&files, new_folder, new_name)?;
        let moved = files.catalog.lookup(&from).ok_or(FsError::NotFound)?;
        let replaced = files.catalog.lookup(&to);
        if from == to {
            return no_change(renaming);
        }
        let change = files.catalog.rename_with(&from, &to, on_existing(renaming))?;
        files.settle(&change);
        match replaced {
            Some(other) if renaming == Renaming::Exchange => {
                self.view.own_links().exchange(&from, &to);
                self.follow(&files, (&other, new_folder), (&from, folder));
            }
            Some(other) => {
                self.view.own_links().rename(&from, &to);
                self.detach(&mut files, &other);
            }
            None => self.view.own_links().rename(&from, &to),
        }
        self.follow(&files, (&moved, folder), (&to, new_folder));
        for path in [&from, &to] {
            self.view.report_name(&files, path, Some(self.viewer));
        }
        drop(files);
        self.announce(change);
        Ok(())
    }

    /// Makes the entry of a new file, which is announced when it is closed for the first time.
    pub(super) fn make_file(
        &self,
        files: &mut Files,
        (folder, name): (Inode, &OsStr),
        NewFile { mode, owner }: NewFile,
    ) -> Result<(Attributes, Shown), FsError> {
        let path = self.free_child(files, folder, name)?;
        let version = FileVersion {
            content: empty(),
            mtime_ns: self.view.now_ns(),
            mode: mode & crate::limits::SHARED_MODE_MAX,
        };
        let announced_when_closed = files.catalog.add_file(&path, version)?;
        files.settle(&announced_when_closed);
        if let Some(made) = files.catalog.lookup(&path) {
            files.withhold(made.id);
        }
        let special = Some(mode & 0o7000).filter(|special| *special != 0);
        let attributes = self.made(files, (folder, &path), (special, owner))?;
        let shown = files.catalog.lookup(&path).ok_or(FsError::NotFound)?;
        Ok((attributes, shown))
    }

    /// The path of `name` in a folder. A catalog is never asked for `.` and `..`.
    pub(super) fn child(&self, files: &Files, folder: Inode, name: &OsStr) -> Result<SharePath, FsError> {
        let nodes = self.view.nodes();
        self.view.path_in(files, &nodes, folder, name)
    }

    fn free_child(&self, files: &Files, folder: Inode, name: &OsStr) -> Result<SharePath, FsError> {
        let path = self.child(files, folder, name)?;
        match files.catalog.lookup(&path) {
            Some(_) => Err(FsError::Exists),
            None => Ok(path),
        }
    }

    /// The attributes of an entry in `folder`, for the kernel, which knows the entry from now on.
    pub(super) fn introduce(&self, folder: Inode, shown: &Shown) -> Attributes {
        let mut nodes = self.view.nodes();
        let inode = self.view.inode_of(&mut nodes, shown);
        nodes.look_up(inode);
        let mut known = self.known();
        known.count(inode);
        if shown.file().is_none() {
            known.show(inode, folder);
        }
        drop(known);
        self.view.attributes(&nodes, inode, shown)
    }

    /// Finishes making an entry: its local attributes, its inode, and the notification of other
    /// viewers.
    fn made(
        &self,
        files: &Files,
        (folder, path): (Inode, &SharePath),
        (mode, owner): (Option<u32>, Owner),
    ) -> Result<Attributes, FsError> {
        let shown = files.catalog.lookup(path).ok_or(FsError::NotFound)?;
        let now = self.view.now_ns();
        let mut nodes = self.view.nodes();
        nodes.forget_local(&shown.key());
        nodes.change_local(shown.key(), |local| {
            local.owner = Some(owner);
            local.mode = mode;
            local.changed_ns = Some(now);
            local.modified_ns = Some(now);
            local.accessed_ns = Some(now);
        });
        drop(nodes);
        self.view.report_new(files, path, Some(self.viewer));
        Ok(self.introduce(folder, &shown))
    }

    /// Handles a removed entry: its inode stands for nothing, and its open file is not published
    /// any more.
    fn detach(&self, files: &mut Files, shown: &Shown) {
        let mut nodes = self.view.nodes();
        if let Some(inode) = nodes.known_inode(&shown.key()) {
            let was = self.view.attributes(&nodes, inode, shown);
            if let Some(open) = self.view.open_file(&nodes, inode) {
                open.state().version = None;
            }
            let now = self.view.now_ns();
            let gone = Attributes {
                link_count: 0,
                changed_ns: now,
                ..was
            };
            nodes.detach(inode, gone);
        }
        nodes.forget_local(&shown.key());
        drop(nodes);
        files.stop_withholding(shown.id);
    }

    /// After a rename: the inode that stood for `old`, in the folder `from`, stands for the entry
    /// that is now shown at `path`, in the folder `to`. A file that is open with another content
    /// than that of `old` stays behind: the other peer has replaced it.
    fn follow(&self, files: &Files, (old, from): (&Shown, Inode), (path, to): (&SharePath, Inode)) {
        let Some(now) = files.catalog.lookup(path) else {
            return;
        };
        let mut nodes = self.view.nodes();
        if let Some(inode) = nodes.known_inode(&old.key()) {
            let open = self.view.open_file(&nodes, inode);
            if open.as_ref().is_some_and(|open| open.is_outdated(old)) {
                let was = self.view.attributes(&nodes, inode, old);
                nodes.detach(inode, was);
            } else {
                self.view.rekey(&mut nodes, inode, &now);
                if now.file().is_none() {
                    self.known().relocate(inode, from, to);
                }
                if let Some(mut state) = open.as_ref().map(|open| open.state())
                    && state.version.is_some()
                {
                    state.version = Some((now.key(), now.dot));
                }
            }
        }
        let changed = self.view.now_ns();
        nodes.change_local(now.key(), |local| local.changed_ns = Some(changed));
    }

    /// The open file that is called `name` in a folder.
    fn open_at(&self, folder: Inode, name: &OsStr) -> Result<Option<(Inode, Arc<OpenFile>)>, FsError> {
        let files = self.view.share.files();
        let path = self.child(&files, folder, name)?;
        let nodes = self.view.nodes();
        let shown = files.catalog.lookup(&path);
        let inode = shown.and_then(|shown| nodes.known_inode(&shown.key()));
        Ok(inode.and_then(|inode| Some((inode, self.view.open_file(&nodes, inode)?))))
    }

    /// Announces a change to the other peer.
    fn announce(&self, change: Change) {
        self.view.share.announce(change.touched);
    }
}

/// The content of an empty file.
fn empty() -> ContentId {
    ContentId {
        hash: *blake3::hash(b"").as_bytes(),
        len: 0,
    }
}

fn on_existing(renaming: Renaming) -> OnExisting {
    match renaming {
        Renaming::Replace => OnExisting::Replace,
        Renaming::NoReplace => OnExisting::Refuse,
        Renaming::Exchange => OnExisting::Exchange,
    }
}

fn no_change(renaming: Renaming) -> Result<(), FsError> {
    match renaming {
        Renaming::NoReplace => Err(FsError::Exists),
        Renaming::Replace | Renaming::Exchange => Ok(()),
    }
}
