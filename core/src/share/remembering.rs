//! What is remembered of local files over a restart, and how [`Files`] begins again with it.
//!
//! Everything is as it was: a file that was served is served again, if it is as it was when it is
//! opened; a file of the user stays the user's, with the stamp that it had. So whoever changed or
//! removed a file while no peer was running is in the same position as with a running one. No file
//! is read, except those that a pull was about to put into a joined folder when the peer was
//! killed.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::files::Files;
use crate::catalog::{Catalog, EntryId};
use crate::journal::{KnownContent, LocalFile, Record};
use crate::limits::{PAGE_ENTRIES_MAX, PAGE_LEN_MAX};
use crate::store::{Owner, Place, Source};

/// Finds out what pulls had put into joined folders right before the peer was killed. Blocks. A
/// file that is there was put there if it has the content that was to come.
pub(crate) fn settle_coming(local: &mut [LocalFile]) {
    for file in local {
        let path = &file.path.0;
        let Some(coming) = file.coming.take() else {
            continue;
        };
        let is_possible = path
            .symlink_metadata()
            .is_ok_and(|there| there.len() == coming.len);
        if let Some(there) = is_possible
            .then(|| Source::read(path, &|| false))
            .and_then(Result::ok)
            && there.content == coming
        {
            file.placed = Some(there.stamp().clone());
        }
    }
}

impl Files {
    /// What was known when these records were written, with changes noted from now on.
    pub(super) fn remembered(catalog: Catalog, local: Vec<LocalFile>) -> Self {
        let mut files = Self::new(catalog);
        for file in local {
            files.remember(file);
        }
        let ids = files.catalog.ids();
        files.note_holding(&ids);
        files.catalog.track_unsaved();
        files.sources.unsaved.track();
        files.grants.unsaved.track();
        files.own.unsaved.track();
        files
    }

    fn remember(&mut self, file: LocalFile) {
        let LocalFile {
            path, contents, own, ..
        } = file;
        for KnownContent { source, entries } in contents {
            let Some(source) = Source::remembered(&path.0, source) else {
                tracing::warn!("what is remembered of a file is not valid");
                continue;
            };
            for entry in entries {
                self.held_for.entry(source.content).or_default().insert(entry);
                self.grants.grant(source.content, &source.path, entry);
            }
            self.sources.insert(Arc::new(source));
        }
        if let Some(own) = own {
            self.own.remember(&path.0, own);
        }
    }

    /// Whether anything has changed since it was taken.
    pub(super) fn has_unsaved(&self) -> bool {
        let paths = [&self.sources.unsaved, &self.grants.unsaved, &self.own.unsaved];
        self.catalog.has_unsaved() || paths.iter().any(|unsaved| !unsaved.is_empty())
    }

    /// Takes some of the paths of which something else is known by now.
    pub(super) fn take_unsaved_paths(&mut self, count_max: usize) -> BTreeSet<PathBuf> {
        let all = [
            &mut self.sources.unsaved,
            &mut self.grants.unsaved,
            &mut self.own.unsaved,
        ];
        all.into_iter()
            .flat_map(|unsaved| unsaved.take(count_max))
            .collect()
    }

    /// Takes some of the entries that have changed.
    pub(super) fn take_unsaved_entries(&mut self) -> Option<Record> {
        loop {
            let page = self.catalog.take_unsaved(&self.withheld)?;
            if !page.states.is_empty() {
                let (counter, states) = (page.counter, page.states);
                return Some(Record::Entries { counter, states });
            }
        }
    }

    /// Notes that these records were not saved.
    pub(super) fn note_unsaved(&mut self, records: &[Record]) {
        for record in records {
            match record {
                Record::Entries { states, .. } => {
                    states.iter().for_each(|(id, _)| self.catalog.note_unsaved(*id));
                }
                Record::Local(file) => self.own.unsaved.note(file.path.0.clone()),
                Record::Gone(path) => self.own.unsaved.note(path.0.clone()),
                Record::Started { .. } | Record::Synced | Record::Closed => {}
            }
        }
    }

    /// The present states of the last of `ids`, which are taken out; `None` if none are left.
    pub(super) fn record_of_last(&self, ids: &mut Vec<EntryId>) -> Option<Record> {
        while !ids.is_empty() {
            let mut next = ids.split_off(ids.len().saturating_sub(PAGE_ENTRIES_MAX));
            next.retain(|id| !self.withheld.contains(id));
            let states = self
                .catalog
                .states_within(&next, PAGE_LEN_MAX, &mut HashSet::new());
            let (states, left) = states;
            ids.extend(left);
            if !states.is_empty() {
                let counter = self.catalog.counter();
                return Some(Record::Entries { counter, states });
            }
        }
        None
    }

    /// What is known of the file at `path`, which pulls know as `place`.
    pub(super) fn record_of(&self, path: &Path, place: Place) -> Record {
        let kept = self
            .sources
            .at(path)
            .filter(|source| source.owner != Owner::PeerStore);
        let contents = kept.map(|source| KnownContent {
            source: source.to_remember(),
            entries: self.grants.of(&source.content, path).collect(),
        });
        let file = LocalFile {
            path: path.into(),
            contents: contents.collect(),
            own: self.own.to_remember(path),
            placed: place.stamp,
            coming: place.coming,
        };
        if file.is_empty() {
            Record::Gone(file.path)
        } else {
            Record::Local(Box::new(file))
        }
    }

    /// The paths of all files of which something is known.
    pub(super) fn known_paths(&self) -> Vec<PathBuf> {
        let own = self.own.paths().map(Path::to_owned);
        self.sources.paths().cloned().chain(own).collect()
    }

    /// The user's file at `path`, with each content that it had.
    pub(super) fn known_at(&self, path: &Path) -> Vec<Arc<Source>> {
        let known = self.sources.at(path).filter(|source| source.owner == Owner::User);
        known.cloned().collect()
    }
}
