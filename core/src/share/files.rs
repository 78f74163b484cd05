//! The catalog together with what this peer holds of it.
//!
//! Owns which local file belongs to which entry: **a file belongs to exactly those entries that
//! have a version which came from it**. A version comes from a file if the user shared or received
//! the file as that version, or if a change made it of one that came from the file. After a change
//! by the user of this peer, [`Files::settle`] passes files from the versions that are gone to
//! those that were made of them; after a change by the other peer, [`Files::pass_on`] does.
//! A file that the user shared stays *protected* when the other peer has taken it from all its
//! entries; see [`super::own_files`].
//!
//! Every operation here is one step under the lock of [`Share`](super::Share). A file is served
//! only while one of its entries is shown with its content (see [`super::grants`]): what was
//! removed or replaced here can't be fetched any more, even if the other peer has renamed or edited
//! it.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use super::error::ShareError;
use super::grants::Grants;
use super::own_files::OwnFiles;
use super::served::{Served, ServedAsOf};
use super::shared_file::{SharedFile, shared_file, version_of};
use crate::catalog::{Catalog, Change, ContentId, EntryId, EntryState, MergedPiece, SharePath};
use crate::limits::CONTENT_ENTRIES_MAX;
use crate::store::{Cached, Owner, Source, SourceError, Sources};

/// The catalog and the local files behind it.
#[derive(Debug)]
pub(crate) struct Files {
    pub(crate) catalog: Catalog,
    pub(super) sources: Sources,
    /// Files that were made through a mount and not closed yet. Their states are not sent to the
    /// other peer.
    pub(super) withheld: HashSet<EntryId>,
    /// Entries that have a content which is held, made by either peer.
    pub(super) held_for: HashMap<ContentId, BTreeSet<EntryId>>,
    pub(super) grants: Grants,
    served: Served,
    pub(super) own: OwnFiles,
    /// Files of mounts that nothing needs any more, to be removed once that is saved.
    pub(super) unneeded: Vec<Arc<Source>>,
}

/// What to do when something else is shared under the name already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnTaken {
    /// Refuse.
    Refuse,
    /// Share the new file in its place.
    Replace,
    /// Refuse, but only a file that is new or has changed. One that is as it was when it was shared
    /// under this name is left as the other peer has it by now: removed, renamed or replaced.
    Leave,
}

impl Files {
    pub(crate) fn new(catalog: Catalog) -> Self {
        Self {
            catalog,
            sources: Sources::default(),
            held_for: HashMap::new(),
            grants: Grants::default(),
            served: Served::default(),
            own: OwnFiles::default(),
            withheld: HashSet::new(),
            unneeded: Vec::new(),
        }
    }

    /// Withholds an entry from the other peer, and from the journal, until
    /// [`Files::stop_withholding`].
    pub(crate) fn withhold(&mut self, entry: EntryId) {
        self.withheld.insert(entry);
    }

    /// Allows the entry to be sent to the other peer.
    pub(crate) fn stop_withholding(&mut self, entry: EntryId) {
        if self.withheld.remove(&entry) {
            self.catalog.note_unsaved(entry);
        }
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
        let is_known = present.as_ref().is_some_and(|present| {
            let known = [
                Some(source.content),
                self.own.content_as(&source.path, present.id),
            ];
            let file = present.file();
            file.is_some_and(|file| known.contains(&Some(file.content)))
        });
        if on_taken == OnTaken::Leave && !is_known && self.was_shared(path, &source) {
            return Ok(Vec::new());
        }
        if on_taken != OnTaken::Replace && !is_known && present.is_some() {
            return Err(ShareError::NameTaken {
                name: path.clone(),
                path: source.path.clone(),
            });
        }
        let change = self.catalog.add_file(path, version_of(&source))?;
        self.settle(&change);
        // If the other peer has counted too far ahead under that name, another file may have it.
        let shown = self.catalog.lookup(path).map(|shown| (shown.id, shown.dot));
        let mut versions = shown.into_iter().chain(change.made.iter().copied());
        let is_entered = |version: &_| self.catalog.content_of(version) == Some(source.content);
        if let Some((entry, _)) = versions.find(is_entered) {
            for entry in self.given_as(path, entry, &source.content) {
                let file = (source.path.as_path(), source.stamp());
                self.own.note(file, path, (entry, source.content));
                let catalog = &self.catalog;
                let stays = |other: &Path, content: &ContentId| {
                    other == source.path || catalog.has_content(entry, content)
                };
                self.own.forget(entry, stays);
                self.hold(entry, source.clone());
            }
        }
        Ok(change.touched)
    }

    /// Whether the user has shared the file under that name before, as it is now.
    fn was_shared(&self, name: &SharePath, source: &Source) -> bool {
        let path = &source.path;
        self.own.stamp_at(path) == Some(source.stamp()) && self.own.name_at(path) == Some(name)
    }

    /// The entries that get a file which the user has as `entry`, shown at `path`. The other peer
    /// may have made a twin, which is shown as the same entry. So the file goes to the entries that
    /// the user gave it to before, and to `entry` only if there are none.
    pub(super) fn given_as(&self, path: &SharePath, entry: EntryId, content: &ContentId) -> Vec<EntryId> {
        let is_shown = self.catalog.lookup(path).is_some_and(|shown| shown.id == entry);
        let mut entries = self.catalog.entries_at(path);
        entries.retain(|other| {
            is_shown && self.grants.is_given(content, *other) && self.catalog.has_content(*other, content)
        });
        if entries.is_empty() { vec![entry] } else { entries }
    }

    /// Call this after each change that the user of this peer has made. The files of each version
    /// that it dropped pass to the versions that it made of that one: those with its content, or
    /// what an entry got that was made anew. A version that only has the same content may be a twin
    /// that the other peer has made; it gets nothing. A file without a version left is not served
    /// any more, even if the other peer has made an entry with its content. What was written
    /// through a mount is deleted with it; programs that have it open keep it.
    pub(crate) fn settle(&mut self, change: &Change) {
        self.note_holding(&change.touched);
        let mut heirs: HashMap<EntryId, Vec<(EntryId, ContentId)>> = HashMap::new();
        for (heir, content, before) in self.made_of(change) {
            self.grants.follow(&content, &before, heir);
            for old in before {
                heirs.entry(old).or_default().push((heir, content));
            }
        }
        let dropped: HashSet<_> = change.dropped.iter().copied().collect();
        let edited: HashSet<_> = change.made.iter().map(|(entry, _)| *entry).collect();
        let catalog = &self.catalog;
        for old in dropped.iter().map(|(old, _)| *old).collect::<HashSet<_>>() {
            let is_alive = catalog.state(old).is_some_and(EntryState::is_alive);
            let is_left = |content: &ContentId| {
                is_alive
                    && (edited.contains(&old)
                        || catalog.has_content(old, content)
                        || !dropped.contains(&(old, Some(*content))))
            };
            let heirs = heirs.get(&old).map_or(&[][..], Vec::as_slice);
            self.own.pass(old, heirs, is_left);
        }
        let contents: HashSet<_> = dropped.into_iter().filter_map(|(_, content)| content).collect();
        contents.iter().for_each(|content| self.let_go(content));
    }

    /// The entries that have got a version by a change of ours, with its content, and the entries
    /// that this version comes from.
    fn made_of(&self, change: &Change) -> Vec<(EntryId, ContentId, Vec<EntryId>)> {
        let is_remade: HashSet<_> = change.remade.iter().map(|(old, _)| *old).collect();
        let mut remade: HashMap<EntryId, Vec<EntryId>> = HashMap::new();
        for (old, new) in &change.remade {
            remade.entry(*new).or_default().push(*old);
        }
        let mut dropped: HashMap<ContentId, Vec<EntryId>> = HashMap::new();
        for (old, content) in &change.dropped {
            if let Some(content) = content.filter(|_| !is_remade.contains(old)) {
                dropped.entry(content).or_default().push(*old);
            }
        }
        let made = change.made.iter().filter_map(|version| {
            let content = self.catalog.content_of(version)?;
            let remade = remade.get(&version.0).into_iter().flatten();
            let before = remade.chain(dropped.get(&content).into_iter().flatten());
            Some((version.0, content, before.copied().collect()))
        });
        made.collect()
    }

    /// Forgets the files that have no entry left with this content.
    fn let_go(&mut self, content: &ContentId) {
        let catalog = &self.catalog;
        let has_it = |entry| catalog.has_content(entry, content);
        for path in self.grants.prune(content, has_it) {
            if let Some(source) = self.sources.take(content, &path) {
                self.discard(source);
            }
        }
        self.forget_ungranted(content);
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
        hidden.retain(|(entry, content)| !self.catalog.shows_among(&shown, *entry, content));
        let contents: HashSet<_> = before.union(&hidden).map(|(_, content)| *content).collect();
        let mut left_of = Vec::new();
        for content in contents {
            let catalog = &self.catalog;
            let stays = |entry| catalog.has_content(entry, &content) && !hidden.contains(&(entry, content));
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
            let is_shown = |entry: &EntryId| self.catalog.shows_among(&shown, *entry, &content);
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
            self.discard(source);
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
        entries.filter(|id| self.catalog.has_content(*id, content))
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
        let is_shown = |entry| catalog.shows_content(entry, content);
        let paths = self
            .served
            .of(content, as_of, || grants.files_of(content, is_shown));
        sources.retain(|source| paths.contains(&source.path));
        sources
    }

    /// The contents that entries have, as far as they are held.
    pub(super) fn held_by<'a>(
        &self,
        entries: impl IntoIterator<Item = &'a EntryId>,
    ) -> HashSet<(EntryId, ContentId)> {
        let contents = entries
            .into_iter()
            .flat_map(|id| self.catalog.contents_of(*id).map(|content| (*id, content)));
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

    /// Notes which of `entries` have contents that are held, up to the limit of entries per
    /// content.
    pub(super) fn note_holding(&mut self, entries: &[EntryId]) -> Vec<(EntryId, ContentId)> {
        let mut noted = Vec::new();
        for id in entries {
            for content in self.catalog.contents_of(*id) {
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

    /// Notes that the content of `file` may be held soon, in the peer store at `path`.
    pub(crate) fn expect_content(&mut self, file: &SharedFile, path: &Path) {
        self.held_for.entry(file.content).or_default().insert(file.entry);
        self.grants.grant(file.content, path, file.entry);
    }

    /// Serves a content that is whole in the peer store from now on, and lets pulls copy it from
    /// there.
    /// Does nothing if the entry that it was fetched for is gone.
    pub(crate) fn hold_cached(&mut self, cached: &Cached) -> Result<(), SourceError> {
        let content = cached.content();
        let mut entries = self.grants.of(&content, cached.path());
        if !entries.any(|entry| self.catalog.has_content(entry, &content)) {
            return Ok(());
        }
        let outline = cached.outline().cloned().unwrap_or_default();
        let source = Source::owned(cached.path(), content, outline)?;
        self.sources.insert(Arc::new(source));
        Ok(())
    }

    /// Forgets a content of the peer store that is about to go.
    pub(crate) fn forget_cached(&mut self, cached: &Cached) {
        self.forget_path(&cached.content(), cached.path());
    }

    /// What the file at `path` is shared as: the entries that have a content which it had.
    pub(super) fn shared_as(&self, path: &Path) -> impl Iterator<Item = (EntryId, ContentId)> {
        let contents = self.grants.contents_at(path);
        let shared = contents.flat_map(move |content| {
            let entries: Vec<_> = self.grants.of(&content, path).collect();
            entries.into_iter().map(move |entry| (entry, content))
        });
        shared.filter(|(entry, content)| self.catalog.has_content(*entry, content))
    }

    /// The paths under which the user of this peer shares the local file of `source`.
    pub(super) fn shared_from(&self, source: &Source) -> BTreeSet<SharePath> {
        let path = &source.path;
        let shared = self.shared_as(path);
        let own = shared.filter(|(entry, content)| self.own.content_as(path, *entry) == Some(*content));
        let shown = own.filter_map(|(entry, content)| self.catalog.locate_content(entry, &content));
        shown.map(|shown| shown.path).collect()
    }
}
