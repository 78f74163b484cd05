//! The files that the user of this peer shared from where they are, and which entries are theirs.
//!
//! Owns the protection of these files: a pull puts nothing else in their place (see
//! [`super::claim`]). A file stays in this list even when the other peer removes or replaces its
//! entry, so it outlives the grant to serve it. It leaves the list when the user removes it from
//! the share or shares another file in its place, or when it is gone from its path and a pull has
//! put something else there. Pure: the caller says what an entry has.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use crate::catalog::{ContentId, EntryId, SharePath};
use crate::journal::OwnName;
use crate::store::FileStamp;
use crate::unsaved::Unsaved;

/// Files of the user by path, and their names in the share. See the head of this file.
#[derive(Debug, Default)]
pub(crate) struct OwnFiles {
    files: HashMap<PathBuf, OwnFile>,
    paths: HashMap<EntryId, BTreeSet<PathBuf>>,
    /// Files of which something has changed.
    pub(super) unsaved: Unsaved<PathBuf>,
}

#[derive(Debug)]
struct OwnFile {
    name: SharePath,
    /// What the file was when it was shared, or when a pull put its new version there.
    stamp: FileStamp,
    /// Each entry with the content that the file had when it became the entry's.
    entries: BTreeMap<EntryId, ContentId>,
}

impl OwnFiles {
    /// Notes that the user shares the file at `path` as `entry`, with this content.
    pub(crate) fn note(
        &mut self,
        (path, stamp): (&Path, &FileStamp),
        name: &SharePath,
        (entry, content): (EntryId, ContentId),
    ) {
        let file = self.files.entry(path.to_owned()).or_insert_with(|| OwnFile {
            name: name.clone(),
            stamp: stamp.clone(),
            entries: BTreeMap::new(),
        });
        if (&file.name, &file.stamp) != (name, stamp) {
            file.name = name.clone();
            file.stamp = stamp.clone();
            self.unsaved.note(path);
        }
        self.add(path, (entry, content));
    }

    /// Notes that a pull has put a version of `entry` at `path`. If the file there is the entry's,
    /// this is its new version.
    pub(crate) fn renew(&mut self, (path, stamp): (&Path, &FileStamp), entry: EntryId, content: ContentId) {
        if let Some(file) = self.files.get_mut(path) {
            file.stamp = stamp.clone();
            self.unsaved.note(path);
        }
        if self.content_as(path, entry).is_some() {
            self.add(path, (entry, content));
        }
    }

    /// Notes that the user has shared something else as the entry. It keeps the files for which
    /// `stays`.
    pub(crate) fn forget(&mut self, entry: EntryId, stays: impl Fn(&Path, &ContentId) -> bool) {
        for (path, content) in self.of(entry) {
            if !stays(&path, &content) {
                self.part(&path, entry);
            }
        }
    }

    /// Notes that the user has dropped versions of the entry `old`. Its files pass to those of its
    /// `heirs` that have their contents; if there is none, a file stays with `old` as long as
    /// `stays`, and then passes to all heirs. A file with neither is not the user's any more.
    pub(crate) fn pass(
        &mut self,
        old: EntryId,
        heirs: &[(EntryId, ContentId)],
        stays: impl Fn(&ContentId) -> bool,
    ) {
        for (path, content) in self.of(old) {
            let stays = stays(&content);
            let has_exact = heirs.iter().any(|(_, got)| *got == content);
            let inherits = |got: &ContentId| *got == content || !(has_exact || stays);
            for (heir, _) in heirs.iter().filter(|(_, got)| inherits(got)) {
                self.add(&path, (*heir, content));
            }
            if !stays {
                self.part(&path, old);
            }
        }
    }

    /// Notes that the file at `path` is gone and something else is there.
    pub(crate) fn release(&mut self, path: &Path) {
        let released = self.files.remove(path).into_iter();
        self.unsaved.note(path);
        for entry in released.flat_map(|file| file.entries.into_keys()) {
            self.forget_path(entry, path);
        }
    }

    /// What to remember of the file at `path`, for [`OwnFiles::remember`].
    pub(super) fn to_remember(&self, path: &Path) -> Option<OwnName> {
        let file = self.files.get(path)?;
        Some(OwnName {
            name: file.name.clone(),
            stamp: file.stamp.clone(),
            entries: file
                .entries
                .iter()
                .map(|(entry, content)| (*entry, *content))
                .collect(),
        })
    }

    /// Notes what was known of the file at `path` before a restart.
    pub(super) fn remember(&mut self, path: &Path, own: OwnName) {
        let OwnName { name, stamp, entries } = own;
        let stamp = stamp.after_restart(path);
        for entry in entries {
            self.note((path, &stamp), &name, entry);
        }
    }

    /// The content with which the file at `path` became that of `entry`, if it is.
    pub(crate) fn content_as(&self, path: &Path, entry: EntryId) -> Option<ContentId> {
        self.files.get(path)?.entries.get(&entry).copied()
    }

    /// The places of all of them.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.keys().map(PathBuf::as_path)
    }

    /// The name under which the user shared the file at `path`, if the user did.
    pub(crate) fn name_at(&self, path: &Path) -> Option<&SharePath> {
        self.files.get(path).map(|file| &file.name)
    }

    /// What the file at `path` was when it was shared or pulled last, if the user shared it.
    pub(crate) fn stamp_at(&self, path: &Path) -> Option<&FileStamp> {
        self.files.get(path).map(|file| &file.stamp)
    }

    /// The files of an entry.
    fn of(&self, entry: EntryId) -> Vec<(PathBuf, ContentId)> {
        let paths = self.paths.get(&entry).into_iter().flatten();
        let files = paths.filter_map(|path| Some((path.clone(), self.content_as(path, entry)?)));
        files.collect()
    }

    fn add(&mut self, path: &Path, (entry, content): (EntryId, ContentId)) {
        if let Some(file) = self.files.get_mut(path) {
            if file.entries.insert(entry, content) != Some(content) {
                self.unsaved.note(path);
            }
            self.paths.entry(entry).or_default().insert(path.to_owned());
        }
    }

    fn part(&mut self, path: &Path, entry: EntryId) {
        self.forget_path(entry, path);
        if let Some(file) = self.files.get_mut(path) {
            file.entries.remove(&entry);
            self.unsaved.note(path);
            if file.entries.is_empty() {
                self.files.remove(path);
            }
        }
    }

    fn forget_path(&mut self, entry: EntryId, path: &Path) {
        if let Some(paths) = self.paths.get_mut(&entry) {
            paths.remove(path);
            if paths.is_empty() {
                self.paths.remove(&entry);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(byte: u8) -> ContentId {
        ContentId {
            hash: [byte; 32],
            len: 1,
        }
    }

    fn entry(byte: u8) -> EntryId {
        EntryId::from_bytes([byte; 16])
    }

    /// The entries of the file `/f`, which the user shared as entry 1 with content 1.
    fn after(change: impl Fn(&mut OwnFiles)) -> Vec<EntryId> {
        let (mut own, name) = (OwnFiles::default(), SharePath::parse("notes.txt").unwrap());
        let stamp = FileStamp::of(&Path::new("/").metadata().unwrap());
        own.note((Path::new("/f"), &stamp), &name, (entry(1), content(1)));
        change(&mut own);
        let is_own = |id: &EntryId| own.content_as(Path::new("/f"), *id) == Some(content(1));
        let entries: Vec<_> = (0..9).map(entry).filter(is_own).collect();
        assert_eq!(own.name_at(Path::new("/f")).is_some(), !entries.is_empty());
        assert_eq!(own.files.is_empty() && own.paths.is_empty(), entries.is_empty());
        entries
    }

    #[test]
    fn a_file_passes_to_the_entries_that_got_its_content_and_to_no_others() {
        let heirs = [(entry(2), content(2)), (entry(3), content(1))];
        let passed = after(|own| own.pass(entry(1), &heirs, |_| false));
        assert_eq!(passed, [entry(3)]);
        let kept = after(|own| own.pass(entry(1), &heirs, |content| content.len == 1));
        assert_eq!(kept, [entry(1), entry(3)]);
    }

    #[test]
    fn a_file_that_another_version_replaced_stays_or_passes_to_what_the_user_made_of_that() {
        let heirs = [(entry(2), content(2))];
        assert_eq!(after(|own| own.pass(entry(1), &heirs, |_| true)), [entry(1)]);
        assert_eq!(after(|own| own.pass(entry(1), &heirs, |_| false)), [entry(2)]);
        assert_eq!(after(|own| own.pass(entry(7), &heirs, |_| false)), [entry(1)]);
    }

    #[test]
    fn a_file_without_entries_is_not_the_users_any_more() {
        assert_eq!(after(|own| own.pass(entry(1), &[], |_| false)), []);
        assert_eq!(after(|own| own.forget(entry(1), |_, _| false)), []);
        assert_eq!(after(|own| own.release(Path::new("/f"))), []);
        assert_eq!(
            after(|own| own.forget(entry(1), |path, _| path == "/f")),
            [entry(1)]
        );
        assert_eq!(after(|own| own.release(Path::new("/g"))), [entry(1)]);
    }
}
