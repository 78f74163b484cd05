//! The share of one peer as all of its mounts see it: inodes, open files, and the viewers that are
//! notified of changes.
//!
//! Owns the translation between inodes, names and entries of the catalog, and the attributes for
//! stat(2). Lock order, everywhere in this module: a file's turn, the catalog, the inode table, a
//! file's state, the viewers. Nothing is locked under the table of links.

#[cfg(feature = "fuse")]
use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::attributes::{Attributes, Inode, NodeKind, Owner};
use super::fs_error::FsError;
use super::links::OwnLinks;
use super::nodes::{Nodes, Standing};
use super::open_file::{Body, OpenFile};
use super::uses::Uses;
use super::viewers::Viewers;
use crate::catalog::{ContentId, Kind, Name, SharePath, Shown};
use crate::share::{Files, Share};

/// Permission bits of a folder that were never changed.
const FOLDER_MODE: u32 = 0o755;
const LINK_MODE: u32 = 0o777;
const ORPHAN_MODE: u32 = 0o600;
const FOLDER_LEN: u64 = 4096;
const BLOCK_LEN: u64 = 512;

/// See the head of this file.
#[derive(Debug)]
pub(crate) struct ShareView {
    pub(super) share: Arc<Share>,
    pub(super) viewers: Viewers,
    pub(super) uses: Uses,
    nodes: Mutex<Nodes>,
    own_links: Mutex<OwnLinks>,
    owner: Owner,
    started_ns: i64,
}

/// What an inode stands for at this moment.
#[derive(Debug)]
pub(super) enum Seen {
    /// The top of the share.
    Top,
    /// Something in it.
    Entry(Shown),
    /// Nothing that is shared any more.
    Gone(Attributes),
}

impl ShareView {
    pub(super) fn new(share: Arc<Share>) -> Self {
        let started_ns = now_ns(&share);
        let mut nodes = Nodes::default();
        let root = nodes.inode_of(crate::catalog::EntryKey::TOP);
        nodes.look_up(root);
        Self {
            share,
            viewers: Viewers::default(),
            uses: Uses::default(),
            nodes: Mutex::new(nodes),
            own_links: Mutex::default(),
            owner: Owner::of_this_process(),
            started_ns,
        }
    }

    /// The inode table. Lock the catalog before it.
    pub(super) fn nodes(&self) -> MutexGuard<'_, Nodes> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The links that were made here.
    pub(super) fn own_links(&self) -> MutexGuard<'_, OwnLinks> {
        self.own_links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The owner of files that were neither made here nor given to another user.
    pub(super) fn owner(&self) -> Owner {
        self.owner
    }

    /// Wall time in nanoseconds since 1970.
    pub(super) fn now_ns(&self) -> i64 {
        now_ns(&self.share)
    }

    /// What the inode stands for.
    pub(super) fn seen(&self, files: &Files, nodes: &Nodes, inode: Inode) -> Result<Seen, FsError> {
        if inode == Inode::ROOT {
            return Ok(Seen::Top);
        }
        let node = nodes.get(inode).ok_or(FsError::NotFound)?;
        match node.standing {
            Standing::Gone(was) => Ok(Seen::Gone(was)),
            Standing::For(key) => {
                let shown = files.catalog.locate(key).ok_or(FsError::NotFound)?;
                Ok(Seen::Entry(shown))
            }
        }
    }

    /// As [`ShareView::seen`]; a file that the other peer removed while it is open here counts as
    /// gone.
    pub(super) fn seen_if_open(&self, files: &Files, nodes: &Nodes, inode: Inode) -> Result<Seen, FsError> {
        match self.seen(files, nodes, inode) {
            Err(FsError::NotFound) if self.open_file(nodes, inode).is_some() => {
                Ok(Seen::Gone(self.orphan(nodes, inode)))
            }
            seen => seen,
        }
    }

    /// The path of the folder that an inode stands for; `None` for the top of the share.
    pub(super) fn folder(
        &self,
        files: &Files,
        nodes: &Nodes,
        inode: Inode,
    ) -> Result<Option<SharePath>, FsError> {
        match self.seen(files, nodes, inode)? {
            Seen::Top => Ok(None),
            Seen::Entry(shown) if shown.kind == Kind::Folder => Ok(Some(shown.path)),
            Seen::Entry(_) => Err(FsError::NotAFolder),
            Seen::Gone(was) if was.kind == NodeKind::Folder => Err(FsError::NotFound),
            Seen::Gone(_) => Err(FsError::NotAFolder),
        }
    }

    /// Those of these names, each in a folder, that are folders. All at once, because a peer may
    /// have made a folder of any number of entries.
    #[cfg(feature = "fuse")]
    pub(super) fn folders_among(&self, names: Vec<(Inode, Name)>) -> HashSet<(Inode, Name)> {
        let files = self.share.files();
        let nodes = self.nodes();
        let mut folders = HashMap::new();
        let mut place_of = |(inode, name): (Inode, Name)| {
            let folder = folders.entry(inode);
            let folder = folder.or_insert_with(|| self.folder(&files, &nodes, inode).ok());
            let path = SharePath::within(folder.as_ref()?.as_ref(), &name).ok()?;
            Some((path, (inode, name)))
        };
        let places: Vec<_> = names.into_iter().filter_map(&mut place_of).collect();
        let paths = places.iter().map(|(path, _)| path.clone()).collect();
        let shown = files.catalog.lookup_all(paths);
        let is_folder = |path: &SharePath| shown.get(path).is_some_and(|shown| shown.kind == Kind::Folder);
        let found = places.into_iter().filter(|(path, _)| is_folder(path));
        found.map(|(_, named)| named).collect()
    }

    /// The path of `name` in a folder, even if nothing has that name.
    pub(super) fn path_in(
        &self,
        files: &Files,
        nodes: &Nodes,
        folder: Inode,
        name: &OsStr,
    ) -> Result<SharePath, FsError> {
        let folder = self.folder(files, nodes, folder)?;
        let name = Name::new(name.to_str().ok_or(FsError::NameNotUnicode)?)?;
        Ok(SharePath::within(folder.as_ref(), &name)?)
    }

    /// The inode of something shown. One that is open with another content than it has now gets a
    /// successor.
    pub(super) fn inode_of(&self, nodes: &mut Nodes, shown: &Shown) -> Inode {
        let inode = nodes.inode_of(shown.key());
        let open = self.open_file(nodes, inode);
        if open.is_none_or(|open| !open.is_outdated(shown)) {
            return inode;
        }
        let was = self.attributes(nodes, inode, shown);
        nodes.detach(inode, was);
        nodes.inode_of(shown.key())
    }

    /// The attributes of an inode, for stat(2).
    pub(super) fn attributes_of(
        &self,
        files: &Files,
        nodes: &Nodes,
        inode: Inode,
    ) -> Result<Attributes, FsError> {
        match self.seen_if_open(files, nodes, inode)? {
            Seen::Top => Ok(self.top_attributes(nodes)),
            Seen::Entry(shown) => Ok(self.attributes(nodes, inode, &shown)),
            Seen::Gone(was) => Ok(with_open(was, nodes)),
        }
    }

    /// A file that is no longer in the catalog.
    pub(super) fn orphan(&self, nodes: &Nodes, inode: Inode) -> Attributes {
        let now = self.now_ns();
        let unopened = Attributes {
            inode,
            kind: NodeKind::File,
            len: 0,
            block_count: 0,
            mode: ORPHAN_MODE,
            link_count: 0,
            owner: self.owner,
            modified_ns: now,
            changed_ns: now,
            accessed_ns: now,
        };
        with_open(unopened, nodes)
    }

    /// The attributes of the top of the share, for stat(2).
    pub(super) fn top_attributes(&self, nodes: &Nodes) -> Attributes {
        self.folder_attributes(nodes, Inode::ROOT, &crate::catalog::EntryKey::TOP)
    }

    /// The attributes of a shown entry, for stat(2).
    pub(super) fn attributes(&self, nodes: &Nodes, inode: Inode, shown: &Shown) -> Attributes {
        let local = nodes.local(&shown.key());
        let (kind, len, modified_ns, mode) = match &shown.kind {
            Kind::Folder => return self.folder_attributes(nodes, inode, &shown.key()),
            Kind::File(file) => {
                let mode = file.mode | local.mode.unwrap_or(0);
                (NodeKind::File, file.content.len, file.mtime_ns, mode)
            }
            Kind::Link(link) => {
                let len = link.target.as_str().len() as u64;
                (NodeKind::Link, len, link.mtime_ns, LINK_MODE)
            }
        };
        let attributes = Attributes {
            inode,
            kind,
            len,
            block_count: len.div_ceil(BLOCK_LEN),
            mode,
            link_count: 1,
            owner: local.owner.unwrap_or(self.owner),
            modified_ns,
            changed_ns: local.changed_ns.unwrap_or(modified_ns),
            accessed_ns: local.accessed_ns.unwrap_or(modified_ns),
        };
        with_open(attributes, nodes)
    }

    fn folder_attributes(&self, nodes: &Nodes, inode: Inode, key: &crate::catalog::EntryKey) -> Attributes {
        let local = nodes.local(key);
        let modified_ns = local.modified_ns.unwrap_or(self.started_ns);
        Attributes {
            inode,
            kind: NodeKind::Folder,
            len: FOLDER_LEN,
            block_count: FOLDER_LEN / BLOCK_LEN,
            mode: local.mode.unwrap_or(FOLDER_MODE),
            link_count: 1,
            owner: local.owner.unwrap_or(self.owner),
            modified_ns,
            changed_ns: local.changed_ns.unwrap_or(modified_ns),
            accessed_ns: local.accessed_ns.unwrap_or(modified_ns),
        }
    }

    /// Whether the kernel may be handed the file of a body: it has no other reader, so it can be
    /// written in place.
    pub(super) fn may_be_backed(&self, body: &Body, content: &ContentId) -> bool {
        match body {
            Body::Working(_) => true,
            Body::Local(local) => {
                self.uses.count(&local.source.path) == 1 && !self.share.is_read_elsewhere(content)
            }
            Body::Remote(_) => false,
        }
    }

    /// Makes the inode stand for what is shown there. Another inode that did so stands for nothing
    /// from now on.
    pub(super) fn rekey(&self, nodes: &mut Nodes, inode: Inode, shown: &Shown) {
        if let Some(other) = nodes.known_inode(&shown.key()).filter(|other| *other != inode) {
            let was = self.attributes(nodes, other, shown);
            nodes.detach(other, was);
        }
        nodes.rekey(inode, shown.key());
    }

    /// The open file of an inode.
    pub(super) fn open_file(&self, nodes: &Nodes, inode: Inode) -> Option<Arc<OpenFile>> {
        nodes.get(inode).and_then(|node| node.file.clone())
    }
}

fn now_ns(share: &Share) -> i64 {
    i64::try_from(share.runtime.clock.unix_ms())
        .unwrap_or(i64::MAX)
        .saturating_mul(1_000_000)
}

/// A file that is being written has the length and time of its working file.
fn with_open(attributes: Attributes, nodes: &Nodes) -> Attributes {
    let open = nodes.get(attributes.inode).and_then(|node| node.file.clone());
    let Some(open) = open else { return attributes };
    match open.body() {
        Body::Working(working) => working
            .file
            .metadata()
            .map_or(attributes, |metadata| with_metadata(attributes, &metadata)),
        Body::Local(_) | Body::Remote(_) => {
            let len = open.state().content.len;
            Attributes {
                len,
                block_count: len.div_ceil(BLOCK_LEN),
                ..attributes
            }
        }
    }
}

fn with_metadata(attributes: Attributes, metadata: &std::fs::Metadata) -> Attributes {
    use std::os::unix::fs::MetadataExt;
    let ns = |secs: i64, ns: i64| secs.saturating_mul(1_000_000_000).saturating_add(ns);
    let modified_ns = ns(metadata.mtime(), metadata.mtime_nsec());
    Attributes {
        len: metadata.len(),
        block_count: metadata.blocks(),
        modified_ns,
        changed_ns: attributes.changed_ns.max(modified_ns),
        ..attributes
    }
}
