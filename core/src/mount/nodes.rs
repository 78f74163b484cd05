//! The inode table: which entry of the catalog an inode stands for, and how many lookups of it the
//! kernel has.
//!
//! An inode names an entry, not a path: paths are looked up in the catalog each time, so a rename
//! on either side needs no upkeep here. An inode whose entry was removed, or got another content
//! while it was open, stands for nothing that is shared any more; it keeps the attributes it had
//! and its open file. No I/O here.
//!
//! Names are in the catalog alone: a mount keeps no tree of its own.

use std::collections::HashMap;
use std::sync::Arc;

use super::attributes::{Attributes, Inode, Local};
use super::open_file::OpenFile;
use crate::catalog::EntryKey;

/// All inodes that a kernel knows or a program has open.
#[derive(Debug, Default)]
pub(super) struct Nodes {
    nodes: HashMap<Inode, Node>,
    by_key: HashMap<EntryKey, Inode>,
    locals: HashMap<EntryKey, Local>,
    counted: u64,
}

/// One inode.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) standing: Standing,
    /// Its open file, if there is one.
    pub(super) file: Option<Arc<OpenFile>>,
    lookup_count: u64,
}

/// What an inode stands for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Standing {
    /// An entry.
    For(EntryKey),
    /// Nothing that is shared any more; this is what it was.
    Gone(Attributes),
}

impl Nodes {
    /// The inode of an entry; a new one if it has none. Does not count as a lookup.
    pub(super) fn inode_of(&mut self, key: EntryKey) -> Inode {
        if let Some(inode) = self.by_key.get(&key) {
            return *inode;
        }
        let inode = self.free_inode(&key);
        self.by_key.insert(key, inode);
        let node = Node {
            standing: Standing::For(key),
            file: None,
            lookup_count: 0,
        };
        self.nodes.insert(inode, node);
        inode
    }

    /// The inode of an entry, if it has one.
    pub(super) fn known_inode(&self, key: &EntryKey) -> Option<Inode> {
        self.by_key.get(key).copied()
    }

    fn free_inode(&mut self, key: &EntryKey) -> Inode {
        let preferred = Inode::preferred(key);
        if !self.nodes.contains_key(&preferred) {
            return preferred;
        }
        self.counted += 1;
        Inode(Inode::COUNTED + self.counted)
    }

    pub(super) fn get(&self, inode: Inode) -> Option<&Node> {
        self.nodes.get(&inode)
    }

    pub(super) fn get_mut(&mut self, inode: Inode) -> Option<&mut Node> {
        self.nodes.get_mut(&inode)
    }

    /// Counts one lookup by the kernel.
    pub(super) fn look_up(&mut self, inode: Inode) {
        if let Some(node) = self.nodes.get_mut(&inode) {
            node.lookup_count += 1;
        }
    }

    /// Takes back `count` lookups; an inode that no kernel knows and no program has open is
    /// dropped.
    pub(super) fn forget(&mut self, inode: Inode, count: u64) {
        if let Some(node) = self.nodes.get_mut(&inode) {
            node.lookup_count = node.lookup_count.saturating_sub(count);
        }
        self.drop_unknown(inode);
    }

    /// Drops an inode that no kernel knows and no program has open.
    pub(super) fn drop_unknown(&mut self, inode: Inode) {
        let unknown = |node: &Node| node.lookup_count == 0 && node.file.is_none();
        if self.nodes.get(&inode).is_some_and(unknown)
            && let Some(Node {
                standing: Standing::For(key),
                ..
            }) = self.nodes.remove(&inode)
        {
            self.unlink(key, inode);
        }
    }

    /// Makes the inode stand for nothing; the next lookup of its entry gets another one.
    pub(super) fn detach(&mut self, inode: Inode, was: Attributes) {
        if let Some(node) = self.nodes.get_mut(&inode)
            && let Standing::For(key) = std::mem::replace(&mut node.standing, Standing::Gone(was))
        {
            self.unlink(key, inode);
        }
        self.drop_unknown(inode);
    }

    fn unlink(&mut self, key: EntryKey, inode: Inode) {
        if self.by_key.get(&key) == Some(&inode) {
            self.by_key.remove(&key);
        }
    }

    /// Changes the last attributes of an inode that stands for nothing.
    pub(super) fn change_gone(&mut self, inode: Inode, change: impl FnOnce(&mut Attributes)) {
        if let Some(Standing::Gone(was)) = self.nodes.get_mut(&inode).map(|node| &mut node.standing) {
            change(was);
        }
    }

    /// Makes the inode stand for another entry, with the attributes that this machine keeps for it.
    pub(super) fn rekey(&mut self, inode: Inode, key: EntryKey) {
        let Some(node) = self.nodes.get_mut(&inode) else {
            return;
        };
        let Standing::For(old) = std::mem::replace(&mut node.standing, Standing::For(key)) else {
            return;
        };
        self.unlink(old, inode);
        self.by_key.insert(key, inode);
        if let Some(local) = self.locals.remove(&old) {
            self.locals.insert(key, local);
        }
    }

    /// Whether an entry has an inode or attributes here.
    pub(super) fn remembers(&self, key: &EntryKey) -> bool {
        self.by_key.contains_key(key) || self.locals.contains_key(key)
    }

    /// The attributes of an entry that this machine keeps for itself.
    pub(super) fn local(&self, key: &EntryKey) -> Local {
        self.locals.get(key).copied().unwrap_or_default()
    }

    /// Changes these attributes.
    pub(super) fn change_local(&mut self, key: EntryKey, change: impl FnOnce(&mut Local)) {
        change(self.locals.entry(key).or_default());
    }

    /// Forgets these attributes; the entry is removed.
    pub(super) fn forget_local(&mut self, key: &EntryKey) {
        self.locals.remove(key);
    }
}
