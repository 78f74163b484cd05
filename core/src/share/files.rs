//! The catalog together with what this peer holds of it.
//!
//! Every operation here is one step under the lock of [`Share`](super::Share): it changes the
//! catalog, or keeps the sources in line with it. A file is served only while a visible entry that
//! it was given to has its content (see [`super::grants`]): what was removed or replaced here can't
//! be fetched any more, even if the other peer has renamed or edited it.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::ShareError;
use super::grants::{Grants, OwnFiles};
use super::served::{Served, ServedAsOf};
use super::shared_file::{SharedFile, shared_file, version_of};
use crate::catalog::{
    Catalog, Change, ContentId, Dot, EntryId, EntryKey, EntryState, Kind, MergedPiece, SharePath, Shown,
    Version,
};
use crate::limits::CONTENT_ENTRIES_MAX;
use crate::store::{Cached, Owner, Source, SourceError, Sources};

/// The catalog and the local files behind it.
#[derive(Debug)]
pub(crate) struct Files {
    pub(crate) catalog: Catalog,
    pub(super) sources: Sources,
    /// Which local file a version was shared from by this peer.
    pub(super) origins: HashMap<(EntryId, Dot), PathBuf>,
    /// Files that were made through a mount and not closed yet. Their states are not sent to the
    /// other peer.
    withheld: HashSet<EntryId>,
    /// Entries that have a content which is held, made by either peer.
    held_for: HashMap<ContentId, BTreeSet<EntryId>>,
    pub(super) grants: Grants,
    served: Served,
    pub(super) own: OwnFiles,
}

/// What to do when something else is shared under the name already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnTaken {
    /// Refuse.
    Refuse,
    /// Share the new file in its place.
    Replace,
}

impl Files {
    pub(crate) fn new(catalog: Catalog) -> Self {
        Self {
            catalog,
            sources: Sources::default(),
            origins: HashMap::new(),
            held_for: HashMap::new(),
            grants: Grants::default(),
            served: Served::default(),
            own: OwnFiles::default(),
            withheld: HashSet::new(),
        }
    }

    /// Withholds an entry from the other peer until [`Files::stop_withholding`].
    pub(crate) fn withhold(&mut self, entry: EntryId) {
        self.withheld.insert(entry);
    }

    /// Allows the entry to be sent to the other peer.
    pub(crate) fn stop_withholding(&mut self, entry: EntryId) {
        self.withheld.remove(&entry);
    }

    /// Those of `entries` that may be sent to the other peer.
    pub(crate) fn not_withheld(&self, mut entries: Vec<EntryId>) -> Vec<EntryId> {
        entries.retain(|entry| !self.withheld.contains(entry));
        entries
    }

    /// The file that is visible at `path`.
    pub(crate) fn file(&self, path: &SharePath) -> Option<SharedFile> {
        self.catalog.lookup(path).and_then(|shown| shared_file(&shown))
    }

    /// Notes that the user shares a local file under `path`. Returns the entries that have changed.
    pub(super) fn enter(
        &mut self,
        path: &SharePath,
        source: Arc<Source>,
        on_taken: OnTaken,
    ) -> Result<Vec<EntryId>, ShareError> {
        let present = self.catalog.lookup(path);
        if let Some(present) = &present {
            let same_file = self.origins.get(&(present.id, present.dot)) == Some(&source.path);
            let same_content = present.file().is_some_and(|file| file.content == source.content);
            if !same_file && !same_content && on_taken == OnTaken::Refuse {
                return Err(ShareError::NameTaken {
                    name: path.clone(),
                    path: source.path.clone(),
                });
            }
        }
        let change = self.catalog.add_file(path, version_of(&source))?;
        self.follow_remade(&change);
        let remade: HashSet<_> = change.remade.iter().map(|(_, new)| *new).collect();
        let touched = change.touched.iter().copied();
        let forgotten: Vec<_> = touched.filter(|entry| !remade.contains(entry)).collect();
        self.forget_own(&forgotten);
        let shown = self.catalog.lookup(path).map(|shown| (shown.id, shown.dot));
        let mut versions = shown.into_iter().chain(change.made.iter().copied());
        if let Some((entry, dot)) = versions.find(|version| self.is_version(version, &source.content)) {
            self.origins.insert((entry, dot), source.path.clone());
            for entry in self.given_as(path, entry, &source.content) {
                self.own.note(&source.path, path, entry);
                self.hold(entry, source.clone());
            }
        }
        if let Some(replaced) = present.as_ref().filter(|_| !change.is_empty()) {
            self.origins.remove(&(replaced.id, replaced.dot));
            self.let_go(replaced.file().map(|file| file.content));
        }
        Ok(change.touched)
    }

    /// Whether a version has the content. Under the name of a file that was just shared there may
    /// be another one, if the other peer has counted too far ahead under it.
    fn is_version(&self, (id, dot): &(EntryId, Dot), content: &ContentId) -> bool {
        let state = self.catalog.state(*id);
        let version = state.and_then(|state| state.versions.get(dot));
        version.and_then(content_of) == Some(*content)
    }

    /// The entries that get a file which the user has as `entry`, shown at `path`. The other peer
    /// may have made a twin, which is shown as the same entry. So the file goes to the entries that
    /// the user gave it to before, and to `entry` only if there are none.
    pub(super) fn given_as(&self, path: &SharePath, entry: EntryId, content: &ContentId) -> Vec<EntryId> {
        let is_shown = self.catalog.lookup(path).is_some_and(|shown| shown.id == entry);
        let mut entries = self.catalog.entries_at(path);
        entries.retain(|other| {
            is_shown && self.grants.is_given(content, *other) && has(&self.catalog, *other, content)
        });
        if entries.is_empty() { vec![entry] } else { entries }
    }

    /// Call this after the user of this peer has removed or replaced an entry that had `content`.
    /// Forgets the files that the user gave to no other entry with this content, even if the other
    /// side has made one. What was written through a mount is deleted with it; programs that have
    /// it open keep it.
    pub(crate) fn let_go(&mut self, content: Option<ContentId>) {
        let Some(content) = content else { return };
        let catalog = &self.catalog;
        for path in self.grants.prune(&content, |entry| has(catalog, entry, &content)) {
            let is_alive = |entry| catalog.state(entry).is_some_and(EntryState::is_alive);
            self.own.prune(&path, is_alive);
            if let Some(source) = self.sources.take(&content, &path) {
                source.discard();
            }
        }
        self.forget_ungranted(&content);
    }

    /// Call this after the other peer has changed the entries of `piece`, which had the contents
    /// `before`. When an entry has lost its content, or is not shown with it any more, its file
    /// passes to an entry that has just got this content, as by a rename onto another file, or else
    /// to one that has it. The user sees that entry and can remove it. If there is none, the file
    /// is not served any more: the user could not remove an entry that is not shown, and the other
    /// peer could show it again. What was written through a mount may be nowhere else, so it stays
    /// for a hidden entry.
    pub(super) fn pass_on(&mut self, piece: &MergedPiece, before: &HashSet<(EntryId, ContentId)>) {
        let held = self.note_holding(&piece.entries).into_iter();
        let gained = held.filter(|held| !before.contains(held));
        let gained: HashMap<_, _> = gained.map(|(entry, content)| (content, entry)).collect();
        let had = self.held_by(piece.entries.iter().chain(&piece.displaced));
        let is_given = |(entry, content): &&(EntryId, ContentId)| self.grants.is_given(content, *entry);
        let mut hidden: HashSet<_> = had.iter().filter(is_given).copied().collect();
        let shown = self.catalog.shown_with(hidden.iter().map(|(entry, _)| *entry));
        hidden.retain(|(entry, content)| !shows_among(&self.catalog, &shown, *entry, content));
        let contents: HashSet<_> = before.union(&hidden).map(|(_, content)| *content).collect();
        let mut left_of = Vec::new();
        for content in contents {
            let catalog = &self.catalog;
            let stays = |entry| has(catalog, entry, &content) && !hidden.contains(&(entry, content));
            let left = self.grants.prune(&content, stays);
            if !left.is_empty() {
                let others = self.held_for.get(&content).into_iter().flatten();
                let heirs: Vec<_> = gained.get(&content).into_iter().chain(others).copied().collect();
                left_of.push((content, left, heirs));
            }
        }
        let heirs = left_of.iter().flat_map(|(.., heirs)| heirs).copied();
        let shown = self.catalog.shown_with(heirs);
        let had: HashSet<_> = had.into_iter().map(|(_, content)| content).collect();
        for (content, left, heirs) in left_of {
            let is_shown = |entry: &EntryId| shows_among(&self.catalog, &shown, *entry, &content);
            let heir = heirs.into_iter().find(is_shown);
            let is_had = had.contains(&content);
            for path in left {
                match heir {
                    Some(heir) => self.grants.grant(content, &path, heir),
                    None => self.drop_source(&content, &path, is_had),
                }
            }
            self.forget_ungranted(&content);
        }
    }

    /// Forgets a source that nothing is served from. What was written through a mount is deleted
    /// with it, unless an entry still has the content.
    fn drop_source(&mut self, content: &ContentId, path: &Path, is_had: bool) {
        let Some(source) = self.sources.take(content, path) else {
            return;
        };
        if is_had && source.owner == Owner::Mount {
            self.sources.insert(source);
        } else {
            source.discard();
        }
    }

    fn forget_ungranted(&mut self, content: &ContentId) {
        if !self.grants.has_content(content) {
            self.held_for.remove(content);
        }
    }

    /// The files on this machine that had a content when they were hashed.
    pub(crate) fn sources_of(&self, content: &ContentId) -> Vec<Arc<Source>> {
        self.sources.holding(content)
    }

    /// How many entries have a content that is held.
    pub(crate) fn entry_count(&self, content: &ContentId) -> usize {
        self.entries_with(content).count()
    }

    fn entries_with(&self, content: &ContentId) -> impl Iterator<Item = EntryId> {
        let entries = self.held_for.get(content).into_iter().flatten().copied();
        entries.filter(|id| has(&self.catalog, *id, content))
    }

    /// The files on this machine that are served as a content: those that were given to a visible
    /// entry.
    pub(super) fn served(&mut self, content: &ContentId) -> Vec<Arc<Source>> {
        let mut sources = self.sources.holding(content);
        if sources.is_empty() {
            return sources;
        }
        let (catalog, grants) = (&self.catalog, &self.grants);
        let as_of = ServedAsOf {
            catalog: catalog.revision(),
            grants: grants.revision(),
        };
        let is_shown = |entry| shows(catalog, entry, content);
        let paths = self
            .served
            .of(content, as_of, || grants.files_of(content, is_shown));
        sources.retain(|source| paths.contains(&source.path));
        sources
    }

    /// Notes that the user has removed these entries, or shared something else as them. An entry
    /// may still have the user's file, if what was removed or replaced is a rival of it.
    pub(super) fn forget_own(&mut self, entries: &[EntryId]) {
        for entry in entries {
            let contents: Vec<_> = contents_of(&self.catalog, *entry).collect();
            let stays = |path: &Path| {
                let mut given = contents.iter().flat_map(|content| self.grants.of(content, path));
                given.any(|given| given == *entry)
            };
            self.own.forget(*entry, stays);
        }
    }

    /// The contents that entries have, as far as they are held.
    pub(super) fn held_by<'a>(
        &self,
        entries: impl IntoIterator<Item = &'a EntryId>,
    ) -> HashSet<(EntryId, ContentId)> {
        let contents = entries
            .into_iter()
            .flat_map(|id| contents_of(&self.catalog, *id).map(|content| (*id, content)));
        contents
            .filter(|(_, content)| self.held_for.contains_key(content))
            .collect()
    }

    /// Notes that a source has moved. If its file is no longer shared, it is no source at the new
    /// place either.
    pub(crate) fn rehome(&mut self, old: &Source, new: Source) {
        self.grants.rehome(old.content, &old.path, &new.path);
        if self.sources.forget(old) {
            self.sources.insert(Arc::new(new));
        }
    }

    /// Notes that a file is not a source of its content any more.
    pub(crate) fn forget(&mut self, source: &Source) {
        self.forget_path(&source.content, &source.path);
    }

    /// Notes that the file at `path` does not have that content any more.
    pub(crate) fn forget_path(&mut self, content: &ContentId, path: &Path) {
        self.sources.take(content, path);
        self.grants.revoke(content, path);
        self.forget_ungranted(content);
    }

    /// Serves a content from there from now on, for that entry.
    pub(crate) fn hold(&mut self, entry: EntryId, source: Arc<Source>) {
        self.held_for.entry(source.content).or_default().insert(entry);
        self.grants.grant(source.content, &source.path, entry);
        self.sources.insert(source);
    }

    /// Call this after the user of this peer has renamed or revised something. A file of one of the
    /// entries is then served for those of them that got its content by this, as by a rename onto a
    /// file. Those that had it before may be twins that the other peer has made.
    pub(crate) fn follow(&mut self, change: &Change) {
        let made = change.made.iter();
        let made: HashSet<_> = made
            .filter_map(|(id, dot)| Some((*id, content_of(self.catalog.state(*id)?.versions.get(dot)?)?)))
            .collect();
        let mut held = self.note_holding(&change.touched);
        held.retain(|held| made.contains(held));
        let mut remade: HashMap<EntryId, Vec<EntryId>> = HashMap::new();
        for (old, new) in &change.remade {
            remade.entry(*new).or_default().push(*old);
        }
        for (id, content) in held {
            let before = remade.get(&id).unwrap_or(&change.touched);
            self.grants.follow(&content, before, id);
            self.own.follow(before, id);
        }
    }

    /// Call this after the user of this peer has shared something under a name. If the other peer
    /// counted too far ahead on an entry there, a new entry has its content now. The user's file of
    /// that entry is then served for the new one.
    pub(crate) fn follow_remade(&mut self, change: &Change) {
        for (old, new) in &change.remade {
            for (_, content) in self.note_holding(&[*new]) {
                self.grants.follow(&content, &[*old], *new);
            }
            self.own.follow(&[*old], *new);
        }
    }

    /// Notes which of `entries` have contents that are held, up to the limit of entries per
    /// content.
    fn note_holding(&mut self, entries: &[EntryId]) -> Vec<(EntryId, ContentId)> {
        let mut noted = Vec::new();
        for id in entries {
            for content in contents_of(&self.catalog, *id) {
                if let Some(entries) = self.held_for.get_mut(&content) {
                    if entries.len() < CONTENT_ENTRIES_MAX {
                        entries.insert(*id);
                    }
                    noted.push((*id, content));
                }
            }
        }
        noted
    }

    /// Notes that the content of `file` may be held soon, in the depot at `path`.
    pub(crate) fn expect_content(&mut self, file: &SharedFile, path: &Path) {
        self.held_for.entry(file.content).or_default().insert(file.entry);
        self.grants.grant(file.content, path, file.entry);
    }

    /// Serves a content that is whole in the depot from now on, and lets pulls copy it from there.
    /// Does nothing if the entry that it was fetched for is gone.
    pub(crate) fn hold_cached(&mut self, cached: &Cached) -> Result<(), SourceError> {
        let content = cached.content();
        let mut entries = self.grants.of(&content, cached.path());
        if !entries.any(|entry| has(&self.catalog, entry, &content)) {
            return Ok(());
        }
        let outline = cached.outline().cloned().unwrap_or_default();
        let source = Source::owned(cached.path(), content, outline)?;
        self.sources.insert(Arc::new(source));
        Ok(())
    }

    /// Forgets a content of the depot that is about to go.
    pub(crate) fn forget_cached(&mut self, cached: &Cached) {
        self.forget_path(&cached.content(), cached.path());
    }

    /// The paths under which this peer shares the local file of `source`.
    pub(super) fn shared_from(&self, source: &Source) -> Vec<SharePath> {
        let shown = self.catalog.list();
        let from = |shown: &Shown| self.origins.get(&(shown.id, shown.dot)) == Some(&source.path);
        shown.into_iter().filter(from).map(|shown| shown.path).collect()
    }
}

/// The contents of all versions of an entry.
fn contents_of(catalog: &Catalog, id: EntryId) -> impl Iterator<Item = ContentId> {
    let versions = catalog.state(id).into_iter();
    let versions = versions.flat_map(|state| state.versions.values());
    versions.filter_map(content_of)
}

fn content_of(version: &Version) -> Option<ContentId> {
    match &version.kind {
        Kind::File(file) => Some(file.content),
        Kind::Folder | Kind::Link(_) => None,
    }
}

/// Whether an entry has the content.
pub(super) fn has(catalog: &Catalog, id: EntryId, content: &ContentId) -> bool {
    contents_of(catalog, id).any(|held| held == *content)
}

/// Whether one of the versions that are `shown` is the content, in that entry.
fn shows_among(catalog: &Catalog, shown: &HashSet<(EntryId, Dot)>, id: EntryId, content: &ContentId) -> bool {
    let state = catalog.state(id).into_iter();
    let mut versions = state.flat_map(|state| &state.versions);
    versions.any(|(dot, version)| content_of(version) == Some(*content) && shown.contains(&(id, *dot)))
}

/// Whether an entry is shown with the content.
fn shows(catalog: &Catalog, id: EntryId, content: &ContentId) -> bool {
    shown_with(catalog, id, content).is_some()
}

/// Where this entry is shown with this content, if it is.
fn shown_with(catalog: &Catalog, id: EntryId, content: &ContentId) -> Option<Shown> {
    let state = catalog.state(id)?;
    let mut shown = state.versions.iter().filter_map(|(dot, version)| {
        let has_content = matches!(&version.kind, Kind::File(file) if file.content == *content);
        let copy = Some(*dot).filter(|_| has_content)?;
        catalog.locate(EntryKey { id, copy: Some(copy) })
    });
    shown.next()
}
