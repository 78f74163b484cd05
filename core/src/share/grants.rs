//! For which entries of the catalog a local file is served, and which files the user shared.
//!
//! Owns the invariant that a file is served only for entries that the user of this peer gave it to:
//! by sharing it, by receiving it, or by writing it through a mount. An entry that the other peer
//! made with the same content does not count. Pure: the caller says what an entry has.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::catalog::{ContentId, EntryId, SharePath};

/// Entries by content and local file.
#[derive(Debug, Default)]
pub(crate) struct Grants {
    entries: HashMap<ContentId, HashMap<PathBuf, BTreeSet<EntryId>>>,
    /// Counts the changes.
    revision: u64,
}

impl Grants {
    /// Serves the file at `path` as `content` for that entry too.
    pub(crate) fn grant(&mut self, content: ContentId, path: &Path, entry: EntryId) {
        let files = self.entries.entry(content).or_default();
        let is_new = files.entry(path.to_owned()).or_default().insert(entry);
        self.revision += u64::from(is_new);
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
        for entries in self
            .entries
            .get_mut(content)
            .into_iter()
            .flat_map(HashMap::values_mut)
        {
            if before.iter().any(|before| entries.contains(before)) {
                self.revision += u64::from(entries.insert(entry));
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
            self.revision += u64::from(entries.len() != count);
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
        self.revision += u64::from(!taken.is_empty());
        if files.is_empty() {
            self.entries.remove(content);
        }
        taken
    }
}

/// Files that the user of this peer shared, and their names in the share. A file stays in this list
/// even when the other peer removes or replaces its entry, so that no pull puts another file in its
/// place. It leaves the list when the user removes it from the share, or when it is gone from its
/// path and a pull has put something else there.
#[derive(Debug, Default)]
pub(crate) struct OwnFiles {
    files: HashMap<PathBuf, OwnFile>,
    paths: HashMap<EntryId, BTreeSet<PathBuf>>,
}

#[derive(Debug)]
struct OwnFile {
    name: SharePath,
    entries: BTreeSet<EntryId>,
}

impl OwnFiles {
    /// Notes that the user shares the file at `path` as `entry`.
    pub(crate) fn note(&mut self, path: &Path, name: &SharePath, entry: EntryId) {
        let file = self.files.entry(path.to_owned()).or_insert_with(|| OwnFile {
            name: name.clone(),
            entries: BTreeSet::new(),
        });
        file.name = name.clone();
        file.entries.insert(entry);
        self.paths.entry(entry).or_default().insert(path.to_owned());
    }

    /// Notes that the user has removed the entry, or shared something else as it. It keeps the
    /// files for which `stays`.
    pub(crate) fn forget(&mut self, entry: EntryId, stays: impl Fn(&Path) -> bool) {
        let paths = self.paths.remove(&entry).into_iter().flatten();
        let (kept, forgotten): (BTreeSet<_>, BTreeSet<_>) = paths.partition(|path| stays(path));
        if !kept.is_empty() {
            self.paths.insert(entry, kept);
        }
        for path in forgotten {
            if let Some(file) = self.files.get_mut(&path) {
                file.entries.remove(&entry);
                if file.entries.is_empty() {
                    self.files.remove(&path);
                }
            }
        }
    }

    /// Forgets the entries of the file at `path` that are not `alive`: the user has removed them.
    pub(crate) fn prune(&mut self, path: &Path, alive: impl Fn(EntryId) -> bool) {
        let entries = self.files.get(path).map(|file| file.entries.clone());
        for entry in entries.into_iter().flatten().filter(|entry| !alive(*entry)) {
            self.forget(entry, |_| false);
        }
    }

    /// Notes that the user has turned the entries `before` into `entry`, by a rename or an edit.
    /// Their files are its files too.
    pub(crate) fn follow(&mut self, before: &[EntryId], entry: EntryId) {
        let paths = before.iter().filter_map(|before| self.paths.get(before));
        let paths: Vec<_> = paths.flatten().cloned().collect();
        for path in paths {
            if let Some(file) = self.files.get_mut(&path) {
                file.entries.insert(entry);
            }
            self.paths.entry(entry).or_default().insert(path);
        }
    }

    /// Notes that the file at `path` is gone and something else is there.
    pub(crate) fn release(&mut self, path: &Path) {
        let released = self.files.remove(path).into_iter();
        for entry in released.flat_map(|file| file.entries) {
            if let Some(paths) = self.paths.get_mut(&entry) {
                paths.remove(path);
                if paths.is_empty() {
                    self.paths.remove(&entry);
                }
            }
        }
    }

    /// Whether the user shared the file at `path` as `entry`.
    pub(crate) fn is_shared_as(&self, path: &Path, entry: EntryId) -> bool {
        self.files
            .get(path)
            .is_some_and(|file| file.entries.contains(&entry))
    }

    /// The name under which the user shared the file at `path`, if it was not shared as `entry`.
    pub(crate) fn as_other_than(&self, path: &Path, entry: Option<EntryId>) -> Option<&SharePath> {
        let file = self.files.get(path)?;
        let is_own = entry.is_some_and(|entry| file.entries.contains(&entry));
        (!is_own).then_some(&file.name)
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

    #[test]
    fn a_file_of_the_user_is_one_until_the_user_has_removed_all_its_entries() {
        let (mut own, path) = (OwnFiles::default(), Path::new("/f"));
        let name = SharePath::parse("notes.txt").unwrap();
        own.note(path, &name, entry(1));
        own.note(path, &name, entry(2));
        assert_eq!(own.as_other_than(path, None), Some(&name));
        assert_eq!(own.as_other_than(path, Some(entry(3))), Some(&name));
        assert_eq!(own.as_other_than(path, Some(entry(2))), None);
        own.forget(entry(2), |_| false);
        assert_eq!(own.as_other_than(path, Some(entry(2))), Some(&name));
        own.follow(&[entry(1), entry(4)], entry(4));
        own.prune(path, |id| id == entry(4));
        assert_eq!(own.as_other_than(path, Some(entry(1))), Some(&name));
        assert_eq!(own.as_other_than(path, Some(entry(4))), None);
        own.forget(entry(4), |_| false);
        assert_eq!(own.as_other_than(path, None), None);
        assert!(own.files.is_empty() && own.paths.is_empty());
    }

    #[test]
    fn a_file_of_the_user_that_is_gone_is_released_and_no_other() {
        let (mut own, name) = (OwnFiles::default(), SharePath::parse("notes.txt").unwrap());
        own.note(Path::new("/f"), &name, entry(1));
        own.note(Path::new("/f"), &name, entry(2));
        own.note(Path::new("/g"), &name, entry(2));
        own.release(Path::new("/f"));
        assert!(!own.is_shared_as(Path::new("/f"), entry(2)) && own.is_shared_as(Path::new("/g"), entry(2)));
        own.forget(entry(2), |_| false);
        assert!(own.files.is_empty() && own.paths.is_empty());
    }
}
