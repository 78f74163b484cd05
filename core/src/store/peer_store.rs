//! The directory of a peer's own store. It holds contents that were fetched to be read, and files
//! that were written through a mount.
//!
//! Owns the lock that keeps a second peer out, the contents in `fetched/`, and the bound on the
//! disk that they take. The files in `written/` belong to the mount; this file makes the folder for
//! them. No other user may be able to write to these folders: such a user could make this peer
//! serve or remove files of its own user elsewhere.
//!
//! Fetched contents go when the peer ends. Written files stay, and the next peer uses them if it
//! knows them from its journal. Those that the journal does not name may be the only copy of what
//! was written right before a crash: they are put into `recovered/`, and nobody removes them but
//! the user.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::cached::{Cached, Home, Usage};
use super::no_follow;
use super::own_folder::{OwnFolderError, failed, own_folder, take_lock};
use crate::catalog::ContentId;
use crate::limits::PEER_STORE_OUTLINES_LEN_MAX;

/// A peer's own directory. It has one owner at a time. Fetched contents are removed when it is
/// dropped.
#[derive(Debug)]
pub(crate) struct PeerStore {
    fetched: PathBuf,
    written: PathBuf,
    /// Distinguishes the files of this life from leftovers of earlier ones.
    token: u64,
    fetched_len_max: u64,
    usage: Arc<Usage>,
    shelf: Arc<Mutex<Shelf>>,
    _lock: File,
}

/// The contents that have a place. Lock it only for a look-up: a content removes itself from here
/// when its last handle is dropped.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    contents: HashMap<ContentId, Slot>,
    use_count: u64,
    file_count: u64,
}

#[derive(Debug)]
struct Slot {
    place: Weak<Cached>,
    /// The same content, once some of it is here. A place with nothing in it goes with its last
    /// handle: any number of files may be opened and never read.
    kept: Option<Arc<Cached>>,
    used_at: u64,
}

impl Slot {
    /// Whether anything other than the peer store has a handle.
    fn is_held(&self) -> bool {
        self.place.strong_count() > usize::from(self.kept.is_some())
    }
}

impl Shelf {
    /// Keeps the content from now on, because some of it is here.
    pub(super) fn keep(&mut self, cached: Arc<Cached>) {
        if let Some(slot) = self.contents.get_mut(&cached.content())
            && slot.place.ptr_eq(&Arc::downgrade(&cached))
        {
            slot.kept = Some(cached);
        }
    }

    /// Removes a place that is gone, unless the content has another one by now.
    pub(super) fn clear(&mut self, content: &ContentId, place: &Weak<Cached>) {
        if self
            .contents
            .get(content)
            .is_some_and(|slot| slot.place.ptr_eq(place))
        {
            self.contents.remove(content);
        }
    }

    fn find(&mut self, content: &ContentId) -> Option<Arc<Cached>> {
        self.use_count += 1;
        let slot = self.contents.get_mut(content)?;
        slot.used_at = self.use_count;
        slot.place.upgrade()
    }
}

impl PeerStore {
    /// Opens the directory at `dir`, and creates it if it does not exist. Fetched contents that
    /// nothing uses take at most `fetched_len_max` bytes.
    ///
    /// # Errors
    /// [`OwnFolderError::InUse`] while another peer uses it; a folder that other users own or can
    /// write to; and the system's errors.
    pub(crate) fn open(dir: &Path, fetched_len_max: u64) -> Result<Self, OwnFolderError> {
        let dir = own_folder(dir)?;
        let lock = take_lock(&dir)?;
        let fetched = own_folder(&dir.join("fetched"))?;
        let written = own_folder(&dir.join("written"))?;
        empty(&fetched)?;
        let token = getrandom::u64().map_err(|e| failed("name files in", &fetched, e.into()))?;
        Ok(Self {
            fetched,
            written,
            token,
            fetched_len_max,
            usage: Arc::default(),
            shelf: Arc::default(),
            _lock: lock,
        })
    }

    /// Moves the files that were written through a mount before, except those that are `known`,
    /// into the folder `recovered`. Those without contents are removed.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) fn recover_unknown(&self, known: &HashSet<PathBuf>) -> Result<(), OwnFolderError> {
        let unread = |e| failed("read", &self.written, e);
        let mut names = Vec::new();
        for entry in self.written.read_dir().map_err(unread)? {
            let entry = entry.map_err(unread)?;
            if !known.contains(&entry.path()) {
                names.push((entry.file_name(), entry.metadata().map_err(unread)?.len()));
            }
        }
        for (name, len) in names {
            let path = self.written.join(&name);
            if len == 0 {
                std::fs::remove_file(&path).map_err(|e| failed("remove", &path, e))?;
                continue;
            }
            let recovered = own_folder(&self.written.with_file_name("recovered"))?.join(&name);
            std::fs::rename(&path, &recovered).map_err(|e| failed("move", &path, e))?;
            tracing::warn!(path = %recovered.display(), "kept a file that nothing in the share has");
        }
        Ok(())
    }

    /// The folder for files that are written through a mount.
    pub(crate) fn written_dir(&self) -> &Path {
        &self.written
    }

    /// The place of `content`, whether it is complete, in part or empty. Creating one downloads
    /// nothing and takes no disk. An empty place goes with its last handle.
    pub(crate) fn fetched(&self, content: ContentId) -> io::Result<Arc<Cached>> {
        let mut shelf = self.shelf();
        if let Some(cached) = shelf.find(&content) {
            return Ok(cached);
        }
        shelf.file_count += 1;
        let name = format!("{:016x}-{}", self.token, shelf.file_count);
        let home = |this| Home {
            usage: self.usage.clone(),
            shelf: Arc::downgrade(&self.shelf),
            this,
        };
        let cached = Cached::create(self.fetched.join(name), content, home)?;
        let slot = Slot {
            place: Arc::downgrade(&cached),
            kept: None,
            used_at: shelf.use_count,
        };
        shelf.contents.insert(content, slot);
        Ok(cached)
    }

    /// The place of `content`, if it has one.
    pub(crate) fn find(&self, content: &ContentId) -> Option<Arc<Cached>> {
        self.shelf().find(content)
    }

    /// Whether anything other than this peer store has a handle to the place of a content.
    pub(crate) fn is_held(&self, content: &ContentId) -> bool {
        self.shelf().contents.get(content).is_some_and(Slot::is_held)
    }

    /// Gives the file of a content away; the next reader gets a new place. Returns `false` while a
    /// handle to it exists.
    pub(crate) fn release(&self, content: &ContentId) -> bool {
        let mut shelf = self.shelf();
        if shelf.contents.get(content).is_some_and(Slot::is_held) {
            return false;
        }
        let slot = shelf.contents.remove(content);
        // The last handle is dropped only after the shelf is unlocked.
        drop(shelf);
        if let Some(kept) = slot.and_then(|slot| slot.kept) {
            kept.give_away();
        }
        true
    }

    /// Takes out the least recently used contents to which there are no handles, until the others
    /// and their outlines fit. Their files are removed with the last handle, so the caller must
    /// first forget them as sources.
    #[must_use]
    pub(crate) fn trim(&self) -> Vec<Arc<Cached>> {
        let mut stored = excess(&self.usage.stored_len, self.fetched_len_max);
        let mut outlines = excess(&self.usage.outlines_len, PEER_STORE_OUTLINES_LEN_MAX);
        if stored == 0 && outlines == 0 {
            return Vec::new();
        }
        let mut shelf = self.shelf();
        // New handles are made only under this lock: a content without handles now gets none
        // meanwhile.
        let idle = shelf
            .contents
            .iter()
            .filter(|(_, slot)| slot.kept.is_some() && !slot.is_held());
        let mut idle: Vec<_> = idle.map(|(content, slot)| (slot.used_at, *content)).collect();
        idle.sort_unstable_by_key(|(used_at, _)| *used_at);
        let mut trimmed = Vec::new();
        for (_, content) in idle {
            if stored == 0 && outlines == 0 {
                break;
            }
            if let Some(cached) = shelf.contents.remove(&content).and_then(|slot| slot.kept) {
                stored = stored.saturating_sub(cached.present_len());
                outlines = outlines.saturating_sub(cached.outlines_len());
                trimmed.push(cached);
            }
        }
        trimmed
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn excess(usage: &AtomicU64, limit: u64) -> u64 {
    usage.load(Ordering::Relaxed).saturating_sub(limit)
}

/// Removes what an earlier life left behind.
fn empty(fetched: &Path) -> Result<(), OwnFolderError> {
    let unread = |e| failed("read", fetched, e);
    let folder = no_follow::open_folder(fetched).map_err(unread)?;
    for entry in folder.entries().map_err(unread)? {
        let name = entry.map_err(unread)?.file_name();
        let removed = folder.remove_file(&name);
        removed.map_err(|e| failed("remove", &fetched.join(&name), e))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::PEER_STORE_FETCHED_LEN_MAX;
    use crate::store::{FineOutline, Outline};

    fn content(hash: u8, len: u64) -> ContentId {
        ContentId {
            hash: [hash; 32],
            len,
        }
    }

    fn fetched_count(root: &tempfile::TempDir) -> usize {
        std::fs::read_dir(root.path().join("fetched")).unwrap().count()
    }

    #[test]
    fn a_store_has_one_owner_at_a_time() {
        let root = tempfile::tempdir().unwrap();
        let peer_store = PeerStore::open(root.path(), PEER_STORE_FETCHED_LEN_MAX).unwrap();
        let second = PeerStore::open(root.path(), PEER_STORE_FETCHED_LEN_MAX);
        let path = root.path().canonicalize().unwrap();
        assert!(matches!(second, Err(OwnFolderError::InUse { path: named }) if named == path));
        drop(peer_store);
        PeerStore::open(root.path(), PEER_STORE_FETCHED_LEN_MAX).unwrap();
    }

    #[test]
    fn fetched_contents_go_with_the_owner_and_written_files_stay() {
        let root = tempfile::tempdir().unwrap();
        let peer_store = PeerStore::open(root.path(), PEER_STORE_FETCHED_LEN_MAX).unwrap();
        peer_store
            .fetched(content(1, 5))
            .unwrap()
            .write(0, 0, b"fetch")
            .unwrap();
        std::fs::write(peer_store.written_dir().join("draft"), b"draft").unwrap();
        assert_eq!(fetched_count(&root), 1);
        drop(peer_store);
        assert_eq!(fetched_count(&root), 0);
        std::fs::write(root.path().join("fetched/left"), b"left").unwrap();
        let peer_store = PeerStore::open(root.path(), PEER_STORE_FETCHED_LEN_MAX).unwrap();
        assert_eq!(fetched_count(&root), 0);
        assert!(peer_store.written_dir().join("draft").exists());
    }

    #[test]
    fn the_same_content_has_one_place() {
        let root = tempfile::tempdir().unwrap();
        let peer_store = PeerStore::open(root.path(), PEER_STORE_FETCHED_LEN_MAX).unwrap();
        assert!(peer_store.find(&content(1, 5)).is_none());
        let first = peer_store.fetched(content(1, 5)).unwrap();
        assert!(Arc::ptr_eq(&first, &peer_store.fetched(content(1, 5)).unwrap()));
        assert!(Arc::ptr_eq(&first, &peer_store.find(&content(1, 5)).unwrap()));
    }

    #[test]
    fn beyond_the_bound_the_least_recently_used_contents_without_handles_go_first() {
        let root = tempfile::tempdir().unwrap();
        let peer_store = PeerStore::open(root.path(), 3_000).unwrap();
        let place = |hash| {
            let cached = peer_store.fetched(content(hash, 1_000)).unwrap();
            cached.write(0, 0, &[hash; 1_000]).unwrap();
            cached
        };
        let held = place(1);
        for hash in 2..=4 {
            drop(place(hash));
        }
        drop(peer_store.find(&content(2, 1_000)));
        let trimmed = peer_store.trim();
        assert_eq!(
            trimmed.iter().map(|cached| cached.content()).collect::<Vec<_>>(),
            [content(3, 1_000)]
        );
        drop(trimmed);
        assert!(peer_store.trim().is_empty());
        assert_eq!(fetched_count(&root), 3);
        assert!(peer_store.find(&held.content()).is_some());
    }

    #[test]
    fn a_place_with_nothing_in_it_goes_with_its_last_handle() {
        let root = tempfile::tempdir().unwrap();
        let peer_store = PeerStore::open(root.path(), PEER_STORE_FETCHED_LEN_MAX).unwrap();
        let place = peer_store.fetched(content(1, 1 << 40)).unwrap();
        let again = peer_store.fetched(content(1, 1 << 40)).unwrap();
        drop(place);
        assert!(peer_store.is_held(&again.content()) && fetched_count(&root) == 1);
        again.outlined(Outline::new(vec![[7; 32]; 1000]));
        drop(again);
        assert!(peer_store.find(&content(1, 1 << 40)).is_none() && !peer_store.is_held(&content(1, 1 << 40)));
        assert_eq!((fetched_count(&root), peer_store.shelf().contents.len()), (0, 0));
        assert_eq!(peer_store.usage.outlines_len.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_place_with_something_in_it_stays_without_handles() {
        let root = tempfile::tempdir().unwrap();
        let peer_store = PeerStore::open(root.path(), PEER_STORE_FETCHED_LEN_MAX).unwrap();
        drop(peer_store.fetched(content(1, 5)).unwrap());
        let place = peer_store.fetched(content(1, 5)).unwrap();
        place.write(0, 0, b"fetch").unwrap();
        assert!(peer_store.is_held(&place.content()));
        drop(place);
        assert!(!peer_store.is_held(&content(1, 5)));
        assert!(peer_store.find(&content(1, 5)).unwrap().is_complete());
        assert_eq!(fetched_count(&root), 1);
    }

    #[test]
    fn beyond_the_bound_of_outlines_contents_without_handles_go() {
        let root = tempfile::tempdir().unwrap();
        let peer_store = PeerStore::open(root.path(), PEER_STORE_FETCHED_LEN_MAX).unwrap();
        let outlined_len = PEER_STORE_OUTLINES_LEN_MAX / 4;
        let place = |hash| {
            let cached = peer_store.fetched(content(hash, 1 << 40)).unwrap();
            cached.outlined(Outline::new(vec![[hash; 32]; outlined_len as usize / 32]));
            cached.write(0, 0, &[hash; 16_384]).unwrap();
            cached
        };
        let held = place(1);
        for hash in 2..=4 {
            drop(place(hash));
        }
        assert!(peer_store.trim().is_empty(), "at the limit");
        let one = FineOutline::new(vec![[9; 32]], 1, &[9; 32]).unwrap();
        held.keep_fine(0, one);
        let trimmed = peer_store.trim();
        let gone: Vec<_> = trimmed.iter().map(|cached| cached.content()).collect();
        assert_eq!(gone, [content(2, 1 << 40)]);
        drop(trimmed);
        assert_eq!(
            peer_store.usage.outlines_len.load(Ordering::Relaxed),
            3 * outlined_len + 32
        );
    }

    #[cfg(unix)]
    #[test]
    fn no_other_user_can_read_a_store() {
        use std::os::unix::fs::PermissionsExt;
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("store");
        let peer_store = PeerStore::open(&dir, PEER_STORE_FETCHED_LEN_MAX).unwrap();
        for folder in [&dir, &peer_store.fetched, &peer_store.written] {
            assert_eq!(
                std::fs::metadata(folder).unwrap().permissions().mode() & 0o777,
                0o700
            );
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_store_behind_a_link_is_refused_and_nothing_in_it_removed() {
        use std::os::unix::fs::symlink;
        let root = tempfile::tempdir().unwrap();
        let (docs, store) = (root.path().join("docs"), root.path().join("store"));
        std::fs::create_dir(&docs).unwrap();
        std::fs::write(docs.join("thesis.odt"), b"years of work").unwrap();
        for link in ["fetched", "written"] {
            std::fs::create_dir(&store).unwrap();
            symlink(&docs, store.join(link)).unwrap();
            let refused = PeerStore::open(&store, PEER_STORE_FETCHED_LEN_MAX);
            assert!(matches!(refused, Err(OwnFolderError::IsLink { path }) if path.ends_with(link)));
            std::fs::remove_dir_all(&store).unwrap();
        }
        symlink(&docs, &store).unwrap();
        let refused = PeerStore::open(&store, PEER_STORE_FETCHED_LEN_MAX);
        assert!(matches!(refused, Err(OwnFolderError::IsLink { path }) if path == store));
        assert_eq!(std::fs::read_dir(&docs).unwrap().count(), 1);
        std::fs::remove_file(&store).unwrap();
        std::fs::create_dir(&store).unwrap();
        symlink(root.path().join("elsewhere"), store.join("lock")).unwrap();
        assert!(PeerStore::open(&store, PEER_STORE_FETCHED_LEN_MAX).is_err());
        assert!(!root.path().join("elsewhere").exists());
    }

    #[cfg(unix)]
    #[test]
    fn a_store_that_other_users_can_write_to_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let root = tempfile::tempdir().unwrap();
        for (folder, mode) in [("", 0o777), ("", 0o720), ("fetched", 0o702), ("written", 0o777)] {
            let store = root.path().join("store");
            let exposed = store.join(folder);
            std::fs::create_dir_all(&exposed).unwrap();
            for folder in [&store, &exposed] {
                let mode = if *folder == exposed { mode } else { 0o755 };
                std::fs::set_permissions(folder, std::fs::Permissions::from_mode(mode)).unwrap();
            }
            let refused = PeerStore::open(&store, PEER_STORE_FETCHED_LEN_MAX).unwrap_err();
            assert!(
                matches!(&refused, OwnFolderError::Exposed { path, mode: named } if path.ends_with(folder) && *named == mode),
                "{folder} {mode:o}: {refused}"
            );
            std::fs::remove_dir_all(&store).unwrap();
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_store_of_another_user_is_refused() {
        use std::os::unix::fs::chown;
        let root = tempfile::tempdir().unwrap();
        // As root, the test gives the folder to another user. Other users take a folder of root's
        // instead.
        let foreign = match chown(root.path(), Some(65_534), None) {
            Ok(()) => root.path(),
            Err(_) => Path::new("/"),
        };
        let refused = own_folder(foreign).unwrap_err();
        let user = rustix::process::geteuid().as_raw();
        assert!(
            matches!(&refused, OwnFolderError::NotOwn { owner, user: named, .. } if *named == user && *owner != user),
            "{refused}"
        );
    }

    /// A peer that shares many small files would otherwise leave the process without descriptors.
    #[cfg(target_os = "linux")]
    #[test]
    fn contents_that_nothing_reads_keep_no_file_open() {
        let root = tempfile::tempdir().unwrap();
        let peer_store = PeerStore::open(root.path(), PEER_STORE_FETCHED_LEN_MAX).unwrap();
        let open_count = || {
            let handles = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
            let files = handles.filter_map(|handle| std::fs::read_link(handle.path()).ok());
            files.filter(|file| file.starts_with(&peer_store.fetched)).count()
        };
        for hash in 0..20 {
            let place = peer_store.fetched(content(hash, 5)).unwrap();
            let reader = place.file().unwrap();
            assert_eq!(open_count(), 1);
            assert!(place.write(0, 0, b"bytes").unwrap());
            drop(reader);
        }
        assert_eq!((open_count(), fetched_count(&root)), (0, 20));
        let mut buffer = [0; 5];
        let place = peer_store.find(&content(7, 5)).unwrap();
        place.read_at(&mut buffer, 0).unwrap();
        assert_eq!(&buffer, b"bytes");
    }
}
