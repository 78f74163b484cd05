//! For which entries of the catalog a local file is served.
//!
//! Owns the invariant that a file is served only for entries that the user of this peer gave it to:
//! by sharing it, by receiving it, or by writing it through a mount. An entry that the other peer
//! made with the same content does not count. Pure: the caller says what an entry has.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::catalog::{ContentId, EntryId};
use crate::unsaved::Unsaved;

/// Entries by content and local file.
#[derive(Debug, Default)]
pub(crate) struct Grants {
    entries: HashMap<ContentId, HashMap<PathBuf, BTreeSet<EntryId>>>,
    /// What each file is served as.
    contents: HashMap<PathBuf, BTreeSet<ContentId>>,
    /// Counts the changes.
    revision: u64,
    /// Files whose entries have changed.
    pub(super) unsaved: Unsaved<PathBuf>,
}

impl Grants {
    /// Serves the file at `path` as `content` for that entry too.
    pub(crate) fn grant(&mut self, content: ContentId, path: &Path, entry: EntryId) {
        let files = self.entries.entry(content).or_default();
        let is_new = files.entry(path.to_owned()).or_default().insert(entry);
        self.contents.entry(path.to_owned()).or_default().insert(content);
        if is_new {
            self.revision += 1;
            self.unsaved.note(path);
        }
    }

    /// A number that differs after each change.
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    /// The files that are served as `content` for an entry that `is_shown`.
    pub(crate) fn files_of(
        &self,
        content: &ContentId,
        is_shown: impl Fn(EntryId) -> bool,
    ) -> HashSet<PathBuf> {
        let files = self.entries.get(content).into_iter().flatten();
        let shown = files.filter(|(_, entries)| entries.iter().any(|entry| is_shown(*entry)));
        shown.map(|(path, _)| path.clone()).collect()
    }

    /// The entries for which the file at `path` is served as `content`.
    pub(crate) fn of(&self, content: &ContentId, path: &Path) -> impl Iterator<Item = EntryId> {
        let entries = self.entries.get(content).and_then(|files| files.get(path));
        entries.into_iter().flatten().copied()
    }

    /// What the file at `path` is served as: several contents if it was edited and shared again
    /// under another name.
    pub(crate) fn contents_at(&self, path: &Path) -> impl Iterator<Item = ContentId> {
        self.contents.get(path).into_iter().flatten().copied()
    }

    /// Whether any file is served as `content` for that entry.
    pub(crate) fn is_given(&self, content: &ContentId, entry: EntryId) -> bool {
        let files = self.entries.get(content).into_iter();
        let mut entries = files.flat_map(HashMap::values);
        entries.any(|entries| entries.contains(&entry))
    }

    /// Whether any file is served as `content`.
    pub(crate) fn has_content(&self, content: &ContentId) -> bool {
        self.entries.contains_key(content)
    }

    /// Serves the files of the entries `before` for `entry` too.
    pub(crate) fn follow(&mut self, content: &ContentId, before: &[EntryId], entry: EntryId) {
        for (path, entries) in self.entries.get_mut(content).into_iter().flatten() {
            if before.iter().any(|before| entries.contains(before)) && entries.insert(entry) {
                self.revision += 1;
                self.unsaved.note(path.as_path());
            }
        }
    }

    /// Forgets the entries that are not `alive` any more, for good. Returns the files that have no
    /// entry left; they are forgotten too.
    #[must_use]
    pub(crate) fn prune(&mut self, content: &ContentId, alive: impl Fn(EntryId) -> bool) -> Vec<PathBuf> {
        let Some(files) = self.entries.get_mut(content) else {
            return Vec::new();
        };
        let mut left = Vec::new();
        for (path, entries) in files {
            let count = entries.len();
            entries.retain(|entry| alive(*entry));
            if entries.len() != count {
                self.revision += 1;
                self.unsaved.note(path.as_path());
            }
            if entries.is_empty() {
                left.push(path.clone());
            }
        }
        for path in &left {
            self.revoke(content, path);
        }
        left
    }

    /// Stops serving the file at `path` as `content`.
    pub(crate) fn revoke(&mut self, content: &ContentId, path: &Path) {
        drop(self.take(content, path));
    }

    /// Notes that the file has moved.
    pub(crate) fn rehome(&mut self, content: ContentId, from: &Path, to: &Path) {
        for entry in self.take(&content, from) {
            self.grant(content, to, entry);
        }
    }

    fn take(&mut self, content: &ContentId, path: &Path) -> BTreeSet<EntryId> {
        let Some(files) = self.entries.get_mut(content) else {
            return BTreeSet::new();
        };
        let taken = files.remove(path).unwrap_or_default();
        if !taken.is_empty() {
            self.revision += 1;
            self.unsaved.note(path);
        }
        if files.is_empty() {
            self.entries.remove(content);
        }
        if let Some(contents) = self.contents.get_mut(path) {
            contents.remove(content);
            if contents.is_empty() {
                self.contents.remove(path);
            }
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
        assert_eq!(of(&grants, "/g"), []);
        // An entry that comes back to life has lost its files.
        assert_eq!(grants.prune(&X, |id| id == entry(2)), [Path::new("/f")]);
        assert!(!grants.has_content(&X));
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
        assert_eq!((of(&grants, "/f"), of(&grants, "/g")), (vec![], vec![entry(1)]));
        let contents = |path| grants.contents_at(Path::new(path)).collect::<Vec<_>>();
        assert_eq!((contents("/f"), contents("/g")), (vec![], vec![X]));
        grants.revoke(&X, Path::new("/g"));
        assert!(grants.entries.is_empty() && grants.contents.is_empty());
    }

    #[test]
    fn each_change_and_nothing_else_makes_another_revision() {
        let mut grants = Grants::default();
        let path = Path::new("/f");
        let mut is_another = |change: &dyn Fn(&mut Grants)| {
            let before = grants.revision();
            change(&mut grants);
            grants.revision() != before
        };
        for expected in [true, false] {
            assert_eq!(is_another(&|grants| grants.grant(X, path, entry(1))), expected);
        }
        for expected in [true, false] {
            let follow = |grants: &mut Grants| grants.follow(&X, &[entry(1)], entry(2));
            assert_eq!(is_another(&follow), expected);
        }
        for expected in [true, false] {
            let prune = |grants: &mut Grants| drop(grants.prune(&X, |id| id == entry(2)));
            assert_eq!(is_another(&prune), expected);
        }
        for expected in [true, false] {
            let rehome = |grants: &mut Grants| grants.rehome(X, path, Path::new("/g"));
            assert_eq!(is_another(&rehome), expected);
        }
        for expected in [true, false] {
            assert_eq!(is_another(&|grants| grants.revoke(&X, Path::new("/g"))), expected);
        }
    }
}
