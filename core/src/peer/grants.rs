//! For which entries of the catalog a local file is served.
//!
//! Owns the invariant that a file is served for entries alone that the user of this peer gave it to: by sharing it, by
//! receiving it, by writing it through a mount. An entry of the other side that has the same content gives nobody a right
//! to our file. Pure: what an entry has is asked of the caller.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::catalog::{ContentId, EntryId};

/// Entries by content and local file.
#[derive(Debug, Default)]
pub(crate) struct Grants {
    entries: HashMap<ContentId, HashMap<PathBuf, BTreeSet<EntryId>>>,
    /// The contents under which a file is in `entries`.
    contents: HashMap<PathBuf, HashSet<ContentId>>,
}

impl Grants {
    /// The file at `path` is served as `content` for that entry too.
    pub(crate) fn grant(&mut self, content: ContentId, path: &Path, entry: EntryId) {
        let files = self.entries.entry(content).or_default();
        files.entry(path.to_owned()).or_default().insert(entry);
        self.contents.entry(path.to_owned()).or_default().insert(content);
    }

    /// The entries for which the file at `path` is served as `content`.
    pub(crate) fn of(&self, content: &ContentId, path: &Path) -> impl Iterator<Item = EntryId> {
        let entries = self.entries.get(content).and_then(|files| files.get(path));
        entries.into_iter().flatten().copied()
    }

    /// The entries for which the file at `path` is served, and as what.
    pub(crate) fn at(&self, path: &Path) -> Vec<(ContentId, EntryId)> {
        let mut found = Vec::new();
        for content in self.contents.get(path).into_iter().flatten() {
            found.extend(self.of(content, path).map(|entry| (*content, entry)));
        }
        found
    }

    /// Whether any file is served as `content`.
    pub(crate) fn has_content(&self, content: &ContentId) -> bool {
        self.entries.contains_key(content)
    }

    /// Files that are served for one of the entries `before` are served for `entry` too.
    pub(crate) fn follow(&mut self, content: &ContentId, before: &[EntryId], entry: EntryId) {
        for entries in self
            .entries
            .get_mut(content)
            .into_iter()
            .flat_map(HashMap::values_mut)
        {
            if before.iter().any(|before| entries.contains(before)) {
                entries.insert(entry);
            }
        }
    }

    /// Forgets the entries that are not `alive` any more, for ever. Returns the files that are served for none then; they
    /// are forgotten with them.
    #[must_use]
    pub(crate) fn prune(&mut self, content: &ContentId, alive: impl Fn(EntryId) -> bool) -> Vec<PathBuf> {
        let Some(files) = self.entries.get_mut(content) else {
            return Vec::new();
        };
        let mut left = Vec::new();
        for (path, entries) in files {
            entries.retain(|entry| alive(*entry));
            if entries.is_empty() {
                left.push(path.clone());
            }
        }
        for path in &left {
            self.revoke(content, path);
        }
        left
    }

    /// The file at `path` is not served as `content` any more.
    pub(crate) fn revoke(&mut self, content: &ContentId, path: &Path) {
        drop(self.take(content, path));
    }

    /// The file has moved.
    pub(crate) fn rehome(&mut self, content: ContentId, from: &Path, to: &Path) {
        for entry in self.take(&content, from) {
            self.grant(content, to, entry);
        }
    }

    fn take(&mut self, content: &ContentId, path: &Path) -> BTreeSet<EntryId> {
        if let Some(contents) = self.contents.get_mut(path) {
            contents.remove(content);
            if contents.is_empty() {
                self.contents.remove(path);
            }
        }
        let Some(files) = self.entries.get_mut(content) else {
            return BTreeSet::new();
        };
        let taken = files.remove(path).unwrap_or_default();
        if files.is_empty() {
            self.entries.remove(content);
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const X: ContentId = ContentId {
        hash: [1; 32],
        len: 1,
    };

    fn entry(byte: u8) -> EntryId {
        EntryId::from_bytes([byte; 16])
    }

    fn of(grants: &Grants, path: &str) -> Vec<EntryId> {
        grants.of(&X, Path::new(path)).collect()
    }

    #[test]
    fn a_file_without_a_living_entry_is_forgotten_and_no_other() {
        let mut grants = Grants::default();
        grants.grant(X, Path::new("/f"), entry(1));
        grants.grant(X, Path::new("/f"), entry(2));
        grants.grant(X, Path::new("/g"), entry(2));
        assert_eq!(grants.prune(&X, |id| id == entry(1)), [Path::new("/g")]);
        assert_eq!(of(&grants, "/f"), [entry(1)]);
        assert!(grants.at(Path::new("/g")).is_empty());
        // An entry that comes back to life has lost its files.
        assert_eq!(grants.prune(&X, |id| id == entry(2)), [Path::new("/f")]);
        assert!(!grants.has_content(&X) && grants.contents.is_empty());
    }

    #[test]
    fn an_entry_follows_those_that_it_comes_from_and_no_others() {
        let mut grants = Grants::default();
        grants.grant(X, Path::new("/f"), entry(1));
        grants.grant(X, Path::new("/g"), entry(2));
        grants.follow(&X, &[entry(1), entry(3)], entry(3));
        assert_eq!(of(&grants, "/f"), [entry(1), entry(3)]);
        assert_eq!(of(&grants, "/g"), [entry(2)]);
    }

    #[test]
    fn a_file_that_moves_keeps_its_entries() {
        let mut grants = Grants::default();
        grants.grant(X, Path::new("/f"), entry(1));
        grants.rehome(X, Path::new("/f"), Path::new("/g"));
        assert_eq!(grants.at(Path::new("/g")), [(X, entry(1))]);
        assert!(grants.at(Path::new("/f")).is_empty());
    }
}
