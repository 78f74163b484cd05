//! Notifies the mounts of a share of what has changed.
//!
//! Called with the catalog locked, right after a change, so what it reports of folders and inodes
//! is true at that moment. The viewer that made the change is not notified.

use std::collections::{HashMap, HashSet};

use super::attributes::Inode;
use super::share_view::ShareView;
use super::viewers::{Stale, ViewerId};
use crate::catalog::{CatalogEvent, EntryId, EntryKey, Kind, SharePath, Shown};
use crate::share::{Files, Observer};

impl Observer for ShareView {
    fn catalog_changed(&self, files: &Files, events: &[CatalogEvent]) {
        // Many events may concern one folder, which is looked up once.
        let sights = files
            .catalog
            .lookup_all(events.iter().flat_map(paths_of).collect());
        let mut contested = HashSet::new();
        for event in events {
            match event {
                CatalogEvent::Added { path } => self.report_new_of(&sights, path, None),
                CatalogEvent::Removed { path } => {
                    self.own_links().forget(path);
                    self.report_name_of(&sights, path, None);
                }
                CatalogEvent::Changed { path } => self.report_content_of(&sights, path, None),
                CatalogEvent::Renamed { from, to } => {
                    // It was not moved there through a mount of this peer.
                    self.own_links().forget(from);
                    self.report_name_of(&sights, from, None);
                    self.report_new_of(&sights, to, None);
                }
                CatalogEvent::Conflict { path, copy } => {
                    if contested.insert(path) {
                        self.report_content_of(&sights, path, None);
                    }
                    self.report_new_of(&sights, copy, None);
                }
            }
        }
    }

    /// Handles entries whose states have changed. An entry that is gone is forgotten: a new entry
    /// of the same name is another file, even if it has the same id. Bytes that were written to the
    /// old one are shared when it is closed.
    fn entries_changed(&self, files: &Files, entries: &[EntryId]) {
        let mut nodes = self.nodes();
        let key_of = |id: EntryId| EntryKey { id, copy: None };
        // Only those that a mount knows, and all at once: a peer may have made any number of
        // entries of one name, and a folder of any number of entries.
        let known = entries.iter().copied().filter(|id| nodes.remembers(&key_of(*id)));
        let known: Vec<_> = known.collect();
        let shown = files.catalog.entries_shown_with(known.iter().copied());
        for key in known.into_iter().filter(|id| !shown.contains(id)).map(key_of) {
            if let Some(inode) = nodes.known_inode(&key) {
                let was = self.orphan(&nodes, inode);
                nodes.detach(inode, was);
            }
            nodes.forget_local(&key);
        }
    }
}

impl ShareView {
    /// Handles something that appeared under a free name. No kernel caches that a name is free; and
    /// a kernel that uses the new entry already must not get a notification to forget it.
    pub(super) fn report_new(&self, files: &Files, path: &SharePath, by: Option<ViewerId>) {
        self.report_new_of(&sights_of(files, path.parent()), path, by);
    }

    /// Handles something that has lost its name.
    pub(super) fn report_name(&self, files: &Files, path: &SharePath, by: Option<ViewerId>) {
        self.report_name_of(&sights_of(files, path.parent()), path, by);
    }

    /// Handles a file that has another content, mode or time.
    pub(super) fn report_content(&self, files: &Files, path: &SharePath, by: Option<ViewerId>) {
        if self.viewers.has_listeners(by) {
            let paths = path.parent().into_iter().chain([path.clone()]);
            self.report_content_of(&sights_of(files, paths), path, by);
        }
    }

    fn report_new_of(&self, sights: &Sights, path: &SharePath, by: Option<ViewerId>) {
        let folder = self.touch_folder(sights, path);
        if let Some(inode) = folder {
            self.viewers.report(by, &Stale::Attributes { inode });
        }
    }

    fn report_name_of(&self, sights: &Sights, path: &SharePath, by: Option<ViewerId>) {
        let folder = self.touch_folder(sights, path);
        if let Some(inode) = folder.filter(|_| self.viewers.has_listeners(by)) {
            let name = path.name();
            self.viewers.report(by, &Stale::Name { folder: inode, name });
            self.viewers.report(by, &Stale::Attributes { inode });
        }
    }

    /// Notes that the folder of `path` was modified. Returns its inode, if a viewer knows it.
    fn touch_folder(&self, sights: &Sights, path: &SharePath) -> Option<Inode> {
        let folder = folder_key(sights, path)?;
        let mut nodes = self.nodes();
        let now = self.now_ns();
        nodes.change_local(folder, |local| {
            local.modified_ns = Some(now);
            local.changed_ns = Some(now);
        });
        nodes.known_inode(&folder)
    }

    fn report_content_of(&self, sights: &Sights, path: &SharePath, by: Option<ViewerId>) {
        if !self.viewers.has_listeners(by) {
            return;
        }
        let Some(folder) = folder_key(sights, path) else {
            return;
        };
        let nodes = self.nodes();
        let shown = sights.get(path);
        let is_folder = shown.is_some_and(|shown| shown.kind == Kind::Folder);
        if let Some(folder) = nodes.known_inode(&folder).filter(|_| !is_folder) {
            let name = path.name();
            self.viewers.report(by, &Stale::Name { folder, name });
        }
        let inode = shown.and_then(|shown| nodes.known_inode(&shown.key()));
        // An open file keeps the content it was opened with; its name leads to the new inode.
        let open = |inode| self.open_file(&nodes, inode).is_some();
        if let Some(inode) = inode {
            let stale = if open(inode) && by.is_none() {
                Stale::Attributes { inode }
            } else {
                Stale::Content { inode }
            };
            self.viewers.report(by, &stale);
        }
    }
}

/// What is shown now at the changed paths, and at those of their folders.
type Sights = HashMap<SharePath, Shown>;

fn sights_of(files: &Files, paths: impl IntoIterator<Item = SharePath>) -> Sights {
    files.catalog.lookup_all(paths.into_iter().collect())
}

/// The paths that the news of an event depends on.
fn paths_of(event: &CatalogEvent) -> impl Iterator<Item = SharePath> {
    let (paths, content) = match event {
        CatalogEvent::Added { path } | CatalogEvent::Removed { path } => ([Some(path), None], None),
        CatalogEvent::Changed { path } | CatalogEvent::Conflict { path, .. } => {
            ([Some(path), None], Some(path.clone()))
        }
        CatalogEvent::Renamed { from, to } => ([Some(from), Some(to)], None),
    };
    let folders = paths.map(|path| path.and_then(SharePath::parent));
    folders.into_iter().flatten().chain(content)
}

fn folder_key(sights: &Sights, path: &SharePath) -> Option<EntryKey> {
    match path.parent() {
        None => Some(crate::catalog::EntryKey::TOP),
        Some(folder) => sights.get(&folder).map(Shown::key),
    }
}
