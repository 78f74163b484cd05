//! Visible folders, and which entries have which name in them.
//!
//! A visible folder is made of all entries that are folders of its name: nearly always one or two,
//! but a peer may make any number of them. For a folder of many entries the names are collected
//! once; otherwise each name would be looked up in each entry.

use std::collections::HashMap;

use super::Catalog;
use super::share_path::{Name, SharePath};
use super::state::EntryId;
use crate::limits::FOLDER_ENTRIES_ASKED_MAX;

/// One visible folder.
pub(super) struct Folder<'a> {
    catalog: &'a Catalog,
    entries: Vec<EntryId>,
    /// The entries of each name, if they were collected.
    gathered: Option<HashMap<&'a str, Vec<EntryId>>>,
}

impl<'a> Folder<'a> {
    /// The folder that `entries` make up.
    pub(super) fn new(catalog: &'a Catalog, entries: Vec<EntryId>) -> Self {
        let is_large = entries.len() > FOLDER_ENTRIES_ASKED_MAX;
        let gathered = is_large.then(|| {
            let mut gathered: HashMap<_, Vec<_>> = HashMap::new();
            for (name, id) in entries.iter().flat_map(|entry| catalog.folders.children(*entry)) {
                gathered.entry(name.as_str()).or_default().push(id);
            }
            gathered
        });
        Self {
            catalog,
            entries,
            gathered,
        }
    }

    /// The entries that the folder is made of.
    pub(super) fn entries(&self) -> &[EntryId] {
        &self.entries
    }

    /// All entries of that name, tombstones included.
    pub(super) fn named(&self, name: &str) -> Vec<EntryId> {
        match &self.gathered {
            Some(gathered) => gathered.get(name).cloned().unwrap_or_default(),
            None => self.catalog.named_in(&self.entries, name).collect(),
        }
    }

    /// Whether anything visible has that name.
    pub(super) fn is_claimed(&self, name: &Name) -> bool {
        let named = self.named(name.as_str());
        named.into_iter().any(|id| self.catalog.folders.is_visible(id))
    }
}

/// The folders that were looked up. Each is collected once, however often it is needed.
pub(super) struct Folders<'a> {
    catalog: &'a Catalog,
    known: HashMap<Option<SharePath>, Option<Folder<'a>>>,
}

impl<'a> Folders<'a> {
    pub(super) fn new(catalog: &'a Catalog) -> Self {
        Self {
            catalog,
            known: HashMap::new(),
        }
    }

    /// The folder at a path, or the top of the share; `None` if there is no such folder.
    pub(super) fn at(&mut self, path: Option<&SharePath>) -> Option<&Folder<'a>> {
        let path = path.cloned();
        if !self.known.contains_key(&path) {
            let folder = self.find(path.as_ref());
            self.known.insert(path.clone(), folder);
        }
        self.known.get(&path)?.as_ref()
    }

    /// Recurses once per name of a path, so at most [`crate::limits::SHARE_DEPTH_MAX`] times.
    fn find(&mut self, path: Option<&SharePath>) -> Option<Folder<'a>> {
        let catalog = self.catalog;
        let Some(path) = path else {
            return Some(Folder::new(catalog, vec![EntryId::ROOT]));
        };
        let mut entries = self.at(path.parent().as_ref())?.named(path.name().as_str());
        entries.retain(|id| catalog.is_folder(*id));
        (!entries.is_empty()).then(|| Folder::new(catalog, entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::tests::{add, catalog_of};

    #[test]
    fn names_are_collected_past_the_limit_and_found_on_both_sides_of_it() {
        let mut catalog = catalog_of(1);
        for number in 0..=u8::try_from(FOLDER_ENTRIES_ASKED_MAX).unwrap() {
            add(&mut catalog, &format!("folder {number}/file {number}"), number);
        }
        let shown = catalog.list();
        let folders = shown.iter().filter(|shown| shown.file().is_none());
        let entries: Vec<_> = folders.map(|shown| shown.id).collect();
        let asked = Folder::new(&catalog, entries[..FOLDER_ENTRIES_ASKED_MAX].to_vec());
        let collected = Folder::new(&catalog, entries);
        assert!(asked.gathered.is_none() && collected.gathered.is_some());
        assert_eq!(asked.named("file 0"), collected.named("file 0"));
        assert!(!collected.named("file 0").is_empty());
    }
}
