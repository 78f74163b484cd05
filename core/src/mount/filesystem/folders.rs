//! Folders: listing them, in an order that holds while they change.
//!
//! An open folder is a snapshot of its names. A file that is made or removed meanwhile may or may
//! not be listed, as POSIX allows, but no other file is listed twice or left out. Reading from the
//! start again takes a new snapshot.

use std::sync::PoisonError;

use super::super::attributes::{Attributes, Handle, Inode, NodeKind};
use super::super::fs_error::FsError;
use super::FileSystem;
use crate::catalog::{Kind, SharePath, Shown};
use crate::share::Files;

/// An open folder.
#[derive(Debug, Default)]
pub(super) struct FolderStream {
    folder: Option<Inode>,
    listing: Listing,
}

/// The names of a folder.
#[derive(Debug, Default)]
struct Listing {
    items: Vec<Item>,
    /// The revision of the catalog that they are from.
    revision: u64,
}

#[derive(Debug, Clone)]
struct Item {
    /// As it was in the catalog, its path relative to the folder; `None` for `.` and `..`.
    entry: Option<Shown>,
    shown: FolderItem,
}

/// One name in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderItem {
    /// The offset of the next name.
    pub next: u64,
    /// The name; `.` and `..` come first.
    pub name: String,
    /// What it names.
    pub inode: Inode,
    /// Its kind.
    pub kind: NodeKind,
}

impl FileSystem {
    /// Opens a folder for listing.
    ///
    /// # Errors
    /// [`FsError::NotAFolder`].
    pub fn open_folder(&self, inode: Inode) -> Result<Handle, FsError> {
        let files = self.view.share.files();
        self.view.folder(&files, &self.view.nodes(), inode)?;
        let handle = self.new_handle();
        let stream = FolderStream {
            folder: Some(inode),
            listing: Listing::default(),
        };
        self.streams().insert(handle, stream);
        Ok(handle)
    }

    /// The names from `offset` on, 0 for the start; calls `take` for each until that returns
    /// [`Room::Full`].
    ///
    /// # Errors
    /// [`FsError::BadHandle`]; [`FsError::NotFound`] once the folder is gone.
    pub fn read_folder(
        &self,
        handle: Handle,
        offset: u64,
        mut take: impl FnMut(&FolderItem) -> Room,
    ) -> Result<(), FsError> {
        self.refresh(handle, offset)?;
        let streams = self.streams();
        let stream = streams.get(&handle).ok_or(FsError::BadHandle)?;
        let first = usize::try_from(offset).unwrap_or(usize::MAX);
        for item in stream.listing.items.iter().skip(first) {
            if take(&item.shown) == Room::Full {
                break;
            }
        }
        Ok(())
    }

    /// As [`FileSystem::read_folder`], with the attributes of each; every one but `.` and `..` that
    /// was taken counts as a lookup.
    ///
    /// # Errors
    /// The same.
    pub fn read_folder_with_attributes(
        &self,
        handle: Handle,
        offset: u64,
        mut take: impl FnMut(&FolderItem, &Attributes) -> Room,
    ) -> Result<(), FsError> {
        self.refresh(handle, offset)?;
        let files = self.view.share.files();
        let streams = self.streams();
        let stream = streams.get(&handle).ok_or(FsError::BadHandle)?;
        let inode = stream.folder.ok_or(FsError::BadHandle)?;
        let folder = self.view.folder(&files, &self.view.nodes(), inode);
        // Searching for each again takes time in proportion to the entries of its name.
        let is_current = stream.listing.revision == files.catalog.revision();
        let first = usize::try_from(offset).unwrap_or(usize::MAX);
        for item in stream.listing.items.iter().skip(first) {
            let path = folder.as_ref().ok().map(Option::as_ref);
            let known = item.entry.as_ref().filter(|_| is_current);
            let found = match known {
                Some(shown) => Some((self.introduce(inode, shown), true)),
                None => self.attributes_of_item(&files, (inode, path), item),
            };
            let Some((attributes, is_counted)) = found else {
                // It was removed since the folder was opened.
                continue;
            };
            let room = take(&item.shown, &attributes);
            if is_counted && room == Room::Full {
                self.forget(attributes.inode, 1);
            }
            if room == Room::Full {
                break;
            }
        }
        Ok(())
    }

    /// Closes an open folder.
    pub fn close_folder(&self, handle: Handle) {
        self.streams().remove(&handle);
    }

    /// Takes a new snapshot when a listing starts.
    fn refresh(&self, handle: Handle, offset: u64) -> Result<(), FsError> {
        if offset > 0 {
            return Ok(());
        }
        let files = self.view.share.files();
        let folder = self
            .streams()
            .get(&handle)
            .and_then(|stream| stream.folder)
            .ok_or(FsError::BadHandle)?;
        let path = match self.view.folder(&files, &self.view.nodes(), folder) {
            // A folder that was removed while it is open is empty.
            Err(FsError::NotFound) => {
                return self.fill(handle, Listing::default());
            }
            path => path?,
        };
        let items = self.snapshot(&files, folder, path.as_ref());
        let revision = files.catalog.revision();
        self.fill(handle, Listing { items, revision })
    }

    fn fill(&self, handle: Handle, listing: Listing) -> Result<(), FsError> {
        let mut streams = self.streams();
        streams.get_mut(&handle).ok_or(FsError::BadHandle)?.listing = listing;
        Ok(())
    }

    fn snapshot(&self, files: &Files, folder: Inode, path: Option<&SharePath>) -> Vec<Item> {
        let above = self.above(files, path);
        let listed = files.catalog.list_names(path).unwrap_or_default();
        let nodes = self.view.nodes();
        let mut items = Vec::with_capacity(listed.len() + 2);
        for (name, inode) in [(".", folder), ("..", above)] {
            items.push(item(None, name, inode, NodeKind::Folder));
        }
        for mut shown in listed {
            let key = shown.key();
            let inode = nodes.known_inode(&key).unwrap_or(Inode::preferred(&key));
            let (name, kind) = (shown.path.name(), kind_of(&shown));
            // No caller needs the holders of a file in a listing, and there may be many.
            shown.holders.clear();
            items.push(item(Some(shown), name.as_str(), inode, kind));
        }
        for (next, item) in (1..).zip(&mut items) {
            item.shown.next = next;
        }
        items
    }

    fn above(&self, files: &Files, path: Option<&SharePath>) -> Inode {
        let above = path.and_then(SharePath::parent);
        let shown = above.and_then(|above| files.catalog.lookup(&above));
        shown.map_or(Inode::ROOT, |shown| {
            let key = shown.key();
            let known = self.view.nodes().known_inode(&key);
            known.unwrap_or(Inode::preferred(&key))
        })
    }

    /// The attributes of an item that still has its name in that folder, and whether they count as
    /// a lookup.
    fn attributes_of_item(
        &self,
        files: &Files,
        (inode, folder): (Inode, Option<Option<&SharePath>>),
        item: &Item,
    ) -> Option<(Attributes, bool)> {
        match &item.entry {
            Some(entry) => {
                let shown = files.catalog.locate(entry.key())?;
                let is_here = folder == Some(shown.path.parent().as_ref());
                let is_named = shown.path.name().as_str() == item.shown.name;
                (is_here && is_named).then(|| (self.introduce(inode, &shown), true))
            }
            None => {
                let nodes = self.view.nodes();
                let attributes = self.view.attributes_of(files, &nodes, item.shown.inode);
                Some((attributes.unwrap_or(self.view.top_attributes(&nodes)), false))
            }
        }
    }

    fn streams(&self) -> std::sync::MutexGuard<'_, std::collections::HashMap<Handle, FolderStream>> {
        self.folders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the caller that lists a folder takes more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// It was taken, and there may be room for another one.
    More,
    /// It was not taken.
    Full,
}

fn item(entry: Option<Shown>, name: &str, inode: Inode, kind: NodeKind) -> Item {
    let shown = FolderItem {
        next: 0,
        name: name.to_owned(),
        inode,
        kind,
    };
    Item { entry, shown }
}

fn kind_of(shown: &Shown) -> NodeKind {
    match shown.kind {
        Kind::Folder => NodeKind::Folder,
        Kind::File(_) => NodeKind::File,
        Kind::Link(_) => NodeKind::Link,
    }
}
