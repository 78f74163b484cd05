//! The catalog together with what this peer holds of it.
//!
//! Every operation here is one step under the lock of [`Shared`]: it changes the catalog, keeps the sources in line with
//! it, and tells the session which entries the other side should see. A content is served only while some visible entry
//! has it: what was removed or replaced can't be fetched any more.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::error::ShareError;
use super::event::Event;
use super::shared::Shared;
use crate::catalog::{
    Batch, Catalog, CatalogError, CatalogEvent, ContentId, Dot, EntryId, EntryState, FileVersion, Kind,
    MergedPiece, SharePath, Shown,
};
use crate::store::{Attributes, Cached, Outline, Owner, Source, SourceError, Sources};
use crate::transfer::Holder;

/// The catalog and the local files behind it.
#[derive(Debug)]
pub(crate) struct Files {
    pub(crate) catalog: Catalog,
    sources: Sources,
    /// Which local file a version was shared from by this peer.
    origins: HashMap<(EntryId, Dot), PathBuf>,
    /// Files that were made through a mount and not closed yet: the other side is not told of them, whatever else it is told.
    untold: HashSet<EntryId>,
    /// For which entries a content is held. It is served while one of them still has it.
    held_for: HashMap<ContentId, BTreeSet<EntryId>>,
}

/// A file of the catalog as a pull needs it.
#[derive(Debug, Clone)]
pub(crate) struct SharedFile {
    pub(crate) path: SharePath,
    pub(crate) content: ContentId,
    pub(crate) attributes: Attributes,
    entry: EntryId,
    version: Dot,
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
            untold: HashSet::new(),
        }
    }

    /// Keeps an entry to ourselves until [`Files::tell`].
    pub(crate) fn keep_untold(&mut self, entry: EntryId) {
        self.untold.insert(entry);
    }

    /// From now on the other side may know of the entry.
    pub(crate) fn tell(&mut self, entry: EntryId) {
        self.untold.remove(&entry);
    }

    /// Those of `entries` that the other side may know of.
    pub(crate) fn told(&self, mut entries: Vec<EntryId>) -> Vec<EntryId> {
        entries.retain(|entry| !self.untold.contains(entry));
        entries
    }

    /// The file that is visible at `path`.
    pub(crate) fn file(&self, path: &SharePath) -> Option<SharedFile> {
        self.catalog.lookup(path).and_then(|shown| shared_file(&shown))
    }

    fn share(
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
        if let Some(entry) = self.catalog.lookup(path) {
            self.origins.insert((entry.id, entry.dot), source.path.clone());
            self.hold(entry.id, source);
        }
        if let Some(replaced) = present.as_ref().filter(|_| !change.is_empty()) {
            self.origins.remove(&(replaced.id, replaced.dot));
            self.let_go(replaced.file().map(|file| file.content));
        }
        Ok(change.touched)
    }

    /// Forgets where a content is, unless some entry still has it. What was written through a mount goes with it; whoever
    /// has it open still has it.
    pub(crate) fn let_go(&mut self, content: Option<ContentId>) {
        if let Some(content) = content.filter(|content| !self.is_shared(content)) {
            self.held_for.remove(&content);
            for source in self.sources.forget_content(&content) {
                source.discard();
            }
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
        entries.filter(|id| {
            let versions = self
                .catalog
                .state(*id)
                .into_iter()
                .flat_map(|state| state.versions.values());
            let mut kinds = versions.map(|version| &version.kind);
            kinds.any(|kind| matches!(kind, Kind::File(file) if file.content == *content))
        })
    }

    /// The contents of entries that are about to change, as far as they are held.
    fn held_contents(&self, entries: impl IntoIterator<Item = EntryId>) -> BTreeSet<ContentId> {
        let states = entries.into_iter().filter_map(|id| self.catalog.state(id));
        let versions = states.flat_map(|state| state.versions.values());
        let contents = versions.filter_map(|version| match &version.kind {
            Kind::File(file) => Some(file.content),
            Kind::Folder | Kind::Link(_) => None,
        });
        contents
            .filter(|content| self.held_for.contains_key(content))
            .collect()
    }

    /// A source has moved.
    pub(crate) fn rehome(&mut self, old: &Source, new: Source) {
        self.sources.forget(old);
        self.sources.insert(Arc::new(new));
    }

    /// A file is not a source of its content any more.
    pub(crate) fn forget(&mut self, source: &Source) {
        self.sources.forget(source);
    }

    /// The file at `path` does not have that content any more.
    pub(crate) fn forget_path(&mut self, content: &ContentId, path: &Path) {
        self.sources.forget_path(content, path);
    }

    /// From now on a content is served from there, for that entry.
    pub(crate) fn hold(&mut self, entry: EntryId, source: Arc<Source>) {
        self.held_for.entry(source.content).or_default().insert(entry);
        self.sources.insert(source);
    }

    /// Serves contents also for those entries that have got them from others, as by a rename onto a file.
    pub(crate) fn follow(&mut self, entries: impl IntoIterator<Item = EntryId>) {
        for id in entries {
            let state = self.catalog.state(id);
            for version in state.into_iter().flat_map(|state| state.versions.values()) {
                if let Kind::File(file) = &version.kind
                    && let Some(entries) = self.held_for.get_mut(&file.content)
                {
                    entries.insert(id);
                }
            }
        }
    }

    /// Notes that the content of `file` may be held soon, in the depot.
    pub(crate) fn expect_content(&mut self, file: &SharedFile) {
        self.held_for.entry(file.content).or_default().insert(file.entry);
    }

    /// From now on a content that is whole in the depot is served from there, and copied from there by pulls.
    pub(crate) fn hold_cached(&mut self, cached: &Cached) -> Result<(), SourceError> {
        let outline = cached.outline().cloned().unwrap_or_default();
        let source = Source::owned(cached.path(), cached.content(), outline)?;
        self.sources.insert(Arc::new(source));
        Ok(())
    }

    /// Forgets a content of the depot that is about to go.
    pub(crate) fn forget_cached(&mut self, cached: &Cached) {
        self.sources.forget_path(&cached.content(), cached.path());
    }

    /// Whether some entry that is neither removed nor changed has this content.
    fn is_shared(&self, content: &ContentId) -> bool {
        self.entries_with(content).next().is_some()
    }

    /// The paths under which this peer shares the local file of `source`.
    fn shared_from(&self, source: &Source) -> Vec<SharePath> {
        let shown = self.catalog.list();
        let from = |shown: &Shown| self.origins.get(&(shown.id, shown.dot)) == Some(&source.path);
        shown.into_iter().filter(from).map(|shown| shown.path).collect()
    }
}

impl Shared {
    /// Shares a file that was read, under `path`.
    pub(crate) fn share(
        &self,
        path: &SharePath,
        source: Source,
        on_taken: OnTaken,
    ) -> Result<(), ShareError> {
        let mut files = self.files();
        let touched = files.share(path, Arc::new(source), on_taken)?;
        if !touched.is_empty() {
            self.tell_mounts(&files, &[CatalogEvent::Changed { path: path.clone() }]);
        }
        drop(files);
        self.mark(touched);
        Ok(())
    }

    /// Shares an empty folder.
    pub(crate) fn share_folder(&self, path: &SharePath) -> Result<(), CatalogError> {
        let mut files = self.files();
        let change = files.catalog.add_folder(path)?;
        self.tell_mounts(&files, &[CatalogEvent::Added { path: path.clone() }]);
        drop(files);
        self.mark(change.touched);
        Ok(())
    }

    /// Removes a file or a whole folder from the share.
    pub(crate) fn remove(&self, path: &SharePath) -> Result<(), CatalogError> {
        let mut files = self.files();
        let shown = files.catalog.list_at(path);
        let contents: Vec<_> = shown
            .iter()
            .filter_map(|shown| Some(shown.file()?.content))
            .collect();
        let change = files.catalog.remove(path)?;
        contents
            .into_iter()
            .for_each(|content| files.let_go(Some(content)));
        self.tell_removed(&files, &change.touched);
        self.tell_mounts(&files, &[CatalogEvent::Removed { path: path.clone() }]);
        drop(files);
        self.mark(change.touched);
        Ok(())
    }

    /// Renames a file or a whole folder within the share.
    pub(crate) fn rename(&self, from: &SharePath, to: &SharePath) -> Result<(), CatalogError> {
        let mut files = self.files();
        let change = files.catalog.rename(from, to)?;
        files.follow(change.touched.iter().copied());
        let (from, to) = (from.clone(), to.clone());
        self.tell_mounts(&files, &[CatalogEvent::Renamed { from, to }]);
        drop(files);
        self.mark(change.touched);
        Ok(())
    }

    /// Takes in states from the other side and tells what they change: all of them, or none if one
    /// can't be right or if there is no room for them.
    ///
    /// They are merged in pieces, and the catalog is not locked between two of them. A change that
    /// is made here meanwhile may take the room of the rest, which is refused then.
    pub(crate) fn merge(&self, states: Vec<(EntryId, EntryState)>) -> Result<(), CatalogError> {
        let mut batch = self.files().catalog.checked(states)?;
        while !batch.is_empty() {
            for event in self.merge_piece(&mut batch)? {
                self.events.emit(match event {
                    CatalogEvent::Added { path } => Event::Added { path },
                    CatalogEvent::Changed { path } => Event::Changed { path },
                    CatalogEvent::Removed { path } => Event::Removed { path },
                    CatalogEvent::Renamed { from, to } => Event::Renamed { from, to },
                    CatalogEvent::Conflict { path, copy } => Event::Conflict { path, copy },
                });
            }
        }
        Ok(())
    }

    fn merge_piece(&self, batch: &mut Batch) -> Result<Vec<CatalogEvent>, CatalogError> {
        let mut files = self.files();
        let contents = files.held_contents(batch.next_entries());
        let MergedPiece { entries, events } = files.catalog.merge_piece(batch)?;
        files.follow(entries.iter().copied());
        contents
            .into_iter()
            .for_each(|content| files.let_go(Some(content)));
        self.tell_removed(&files, &entries);
        self.tell_mounts(&files, &events);
        Ok(events)
    }

    /// Notes that a pulled file is here now; from now on it is served from there as well.
    pub(crate) fn received(&self, file: &SharedFile, path: PathBuf, outline: Outline) {
        let source = Source::known(&path, file.content, outline);
        let mut files = self.files();
        if let Ok(source) = source {
            files.hold(file.entry, Arc::new(source));
        }
        let change = files
            .catalog
            .mark_held(file.entry, file.version, self.fingerprint);
        drop(files);
        self.mark(change.touched);
    }

    /// Looks at the local files again that are served as `content`: the other side got something else.
    pub(crate) fn recheck(&self, content: &ContentId) {
        let held = self.files().sources.holding(content);
        for source in held {
            // Fails when enough are waiting already, or when the peer is being closed.
            drop(self.stale.try_send(source));
        }
    }

    /// A file of the store has what it had, whatever its times are now, or it is of no use as a source: it is being written,
    /// and shared as what it becomes when it is closed.
    fn check_owned(&self, source: &Arc<Source>) -> Option<Arc<Source>> {
        let read = Source::read(&source.path, &|| self.cancel.is_cancelled()).ok();
        if self.cancel.is_cancelled() {
            return None;
        }
        let sound = read.filter(|read| read.content == source.content);
        let sound = sound.map(|read| Arc::new(read.of(source.owner)));
        let mut files = self.files();
        files.sources.forget(source);
        match &sound {
            Some(sound) => files.sources.insert(sound.clone()),
            None => tracing::debug!("a file of the store is not what it was"),
        }
        sound
    }

    /// Tells the other side of these entries soon.
    pub(crate) fn mark(&self, touched: Vec<EntryId>) {
        if let Some(session) = self.session() {
            session.outgoing.mark(touched);
        }
    }
}

impl Holder for Shared {
    fn sources(&self, content: &ContentId) -> Vec<Arc<Source>> {
        let files = self.files();
        if files.is_shared(content) {
            files.sources.holding(content)
        } else {
            Vec::new()
        }
    }

    /// One that has vanished is not served any more.
    fn refresh(&self, stale: &Arc<Source>) -> Option<Arc<Source>> {
        if stale.owner != Owner::User {
            return self.check_owned(stale);
        }
        let read = Source::read(&stale.path, &|| self.cancel.is_cancelled());
        let mut files = self.files();
        files.sources.forget(stale);
        let fresh = match read {
            Ok(fresh) => Arc::new(fresh),
            Err(error) => {
                tracing::warn!(%error, "a shared file is gone");
                return None;
            }
        };
        // Under one lock: what somebody else has shared under a name meanwhile is not replaced.
        let paths = files.shared_from(stale);
        files.sources.insert(fresh.clone());
        let shared: Vec<_> = paths
            .into_iter()
            .map(|path| (files.share(&path, fresh.clone(), OnTaken::Replace), path))
            .collect();
        for (_, path) in &shared {
            self.tell_mounts(&files, &[CatalogEvent::Changed { path: path.clone() }]);
        }
        drop(files);
        for (outcome, path) in shared {
            match outcome {
                Ok(touched) => {
                    self.mark(touched);
                    self.events.emit(Event::SourceRefreshed { path });
                }
                Err(error) => tracing::warn!(%error, "could not share the new content of a file"),
            }
        }
        Some(fresh)
    }
}

/// The file that `shown` is, unless it is a folder.
pub(crate) fn shared_file(shown: &Shown) -> Option<SharedFile> {
    let file = shown.file()?;
    let attributes = Attributes {
        modified: system_time(file.mtime_ns),
        mode: file.mode,
    };
    let path = shown.path.clone();
    Some(SharedFile {
        path,
        content: file.content,
        attributes,
        entry: shown.id,
        version: shown.dot,
    })
}

fn version_of(source: &Source) -> FileVersion {
    let mtime_ns = unix_nanos(&source.metadata);
    FileVersion {
        content: source.content,
        mtime_ns,
        mode: mode_of(&source.metadata),
    }
}

/// When a file was modified, in nanoseconds since 1970.
pub(crate) fn unix_nanos(metadata: &std::fs::Metadata) -> i64 {
    let modified = metadata.modified().unwrap_or(UNIX_EPOCH);
    since_epoch_ns(
        modified
            .duration_since(UNIX_EPOCH)
            .map_err(|before| before.duration()),
    )
}

/// So many nanoseconds after 1970, or before it.
pub(crate) fn since_epoch_ns(distance: Result<Duration, Duration>) -> i64 {
    let nanos = |duration: Duration| i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
    match distance {
        Ok(after) => nanos(after),
        Err(before) => -nanos(before),
    }
}

/// The time so many nanoseconds after 1970.
pub(crate) fn system_time(unix_nanos: i64) -> SystemTime {
    let distance = Duration::from_nanos(unix_nanos.unsigned_abs());
    let time = if unix_nanos < 0 {
        UNIX_EPOCH.checked_sub(distance)
    } else {
        UNIX_EPOCH.checked_add(distance)
    };
    time.unwrap_or(UNIX_EPOCH)
}

#[cfg(unix)]
fn mode_of(metadata: &std::fs::Metadata) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o777
}

#[cfg(not(unix))]
fn mode_of(metadata: &std::fs::Metadata) -> u32 {
    if metadata.permissions().readonly() {
        0o444
    } else {
        0o644
    }
}

/// The path of the local file as it is remembered: absolute, links in its folder resolved.
pub(crate) fn remembered(path: &Path) -> PathBuf {
    path.canonicalize()
        .or_else(|_| std::path::absolute(path))
        .unwrap_or_else(|_| path.to_owned())
}
