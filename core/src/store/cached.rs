//! A content that is being fetched for readers: a sparse file, and which of its blocks are here.
//!
//! Owns the invariant that a byte can be read only after it was verified and written: the caller
//! verifies bytes, this file writes them, and only then sets their bits. The file takes no disk
//! until something is written. It is open only while a reader has it open or blocks are written:
//! any number of contents may be here, and a process may open only some hundred files. The record
//! of its blocks takes memory only for those that are here. The file and the record are gone with
//! the last handle.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use super::outline::{BLOCK_LEN, FineOutline, GROUP_LEN, Outline, group_count, group_len};
use super::peer_store::Shelf;
use super::{read_exact_at, write_all_at};
use crate::catalog::ContentId;
use crate::limits::FINE_OUTLINES_KEPT_MAX;

/// A content of which some or all blocks may be here.
#[derive(Debug)]
pub(crate) struct Cached {
    content: ContentId,
    path: PathBuf,
    /// The sparse file, while anything uses it.
    open: Mutex<Weak<File>>,
    /// By which it is known again.
    file_id: Option<FileId>,
    outline: OnceLock<Outline>,
    fine: Mutex<HashMap<u64, Arc<FineOutline>>>,
    /// Bytes of memory that the outlines take.
    outlines_len: AtomicU64,
    present: Presence,
    missing_len: AtomicU64,
    home: Home,
    is_given_away: AtomicBool,
}

/// The device and the inode of a file, where the system has them.
type FileId = (u64, u64);

/// The disk and memory that the contents of a peer store take.
#[derive(Debug, Default)]
pub(super) struct Usage {
    /// Bytes of disk.
    pub(super) stored_len: AtomicU64,
    /// Bytes of memory that their outlines take.
    pub(super) outlines_len: AtomicU64,
}

/// The peer store that a content is in.
#[derive(Debug, Default)]
pub(super) struct Home {
    /// The disk and memory that all contents of the same peer store take.
    pub(super) usage: Arc<Usage>,
    /// Where the content is kept once some of it is here; gone with the peer store.
    pub(super) shelf: Weak<Mutex<Shelf>>,
    /// The content itself.
    pub(super) this: Weak<Cached>,
}

impl Cached {
    /// Creates the file at `path`, which no other user can read. `home` gets the content itself.
    pub(super) fn create(
        path: PathBuf,
        content: ContentId,
        home: impl FnOnce(Weak<Self>) -> Home,
    ) -> io::Result<Arc<Self>> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&path)?;
        let made = file.set_len(content.len).and_then(|()| file_id(&file));
        let file_id = made.inspect_err(|_| drop(std::fs::remove_file(&path)))?;
        Ok(Arc::new_cyclic(|this| Self {
            content,
            path,
            open: Mutex::default(),
            file_id,
            outline: OnceLock::new(),
            fine: Mutex::default(),
            outlines_len: AtomicU64::new(0),
            present: Presence::of(content.len.div_ceil(GROUP_LEN)),
            missing_len: AtomicU64::new(content.len),
            home: home(this.clone()),
            is_given_away: AtomicBool::new(false),
        }))
    }

    /// The content's hash and length.
    pub(crate) fn content(&self) -> ContentId {
        self.content
    }

    /// The sparse file, which stays open for as long as the result is kept. Blocks that were not
    /// written yet read as zeros in it.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] if another file is in its place, and the system's errors.
    pub(crate) fn file(&self) -> io::Result<Arc<File>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = open.upgrade() {
            return Ok(file);
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        #[cfg(unix)]
        {
            let at_once = libc::O_NOFOLLOW | libc::O_NONBLOCK;
            std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, at_once);
        }
        let file = Arc::new(options.open(&self.path)?);
        if file_id(&file)? != self.file_id {
            return Err(io::ErrorKind::NotFound.into());
        }
        *open = Arc::downgrade(&file);
        Ok(file)
    }

    /// Where the sparse file is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The outline, once it has arrived. A content of one group has an empty one from the start.
    pub(crate) fn outline(&self) -> Option<&Outline> {
        if group_count(self.content.len) == 1 {
            return Some(self.outline.get_or_init(Outline::default));
        }
        self.outline.get()
    }

    /// Accepts the outline, which the caller has verified.
    pub(crate) fn outlined(&self, outline: Outline) {
        let len = outline.as_bytes().len() as u64;
        // This fails if it arrived twice; then both are the same.
        if self.outline.set(outline).is_ok() {
            self.count_outlines(0, len);
        }
    }

    /// The fine outline of a group, if it was used lately.
    pub(crate) fn fine(&self, group: u64) -> Option<Arc<FineOutline>> {
        self.kept().get(&group).cloned()
    }

    /// Keeps the fine outline of a group, which the caller has verified.
    pub(crate) fn keep_fine(&self, group: u64, fine: FineOutline) -> Arc<FineOutline> {
        let fine = Arc::new(fine);
        let mut kept = self.kept();
        let len_before = fine_len(&kept);
        if kept.len() >= FINE_OUTLINES_KEPT_MAX {
            // An old one is rarely needed again, and cheap to fetch again.
            kept.clear();
        }
        kept.insert(group, fine.clone());
        self.count_outlines(len_before, fine_len(&kept));
        fine
    }

    fn count_outlines(&self, before_len: u64, after_len: u64) {
        for len in [&self.outlines_len, &self.home.usage.outlines_len] {
            len.fetch_add(after_len, Ordering::Relaxed);
            len.fetch_sub(before_len, Ordering::Relaxed);
        }
    }

    /// How many bytes of memory the outlines take.
    pub(super) fn outlines_len(&self) -> u64 {
        self.outlines_len.load(Ordering::Relaxed)
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<u64, Arc<FineOutline>>> {
        self.fine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether all of `range` is here. Bytes beyond the end never are.
    pub(crate) fn has(&self, range: Range<u64>) -> bool {
        range.end <= self.content.len
            && groups_of(&range).all(|group| blocks_within(&range, group) & !self.present(group) == 0)
    }

    /// Which blocks of a group are here, a bit for each.
    pub(crate) fn present(&self, group: u64) -> u64 {
        self.present.of_group(group)
    }

    /// All blocks that a group has, a bit for each.
    pub(crate) fn blocks(&self, group: u64) -> u64 {
        first_bits(group_len(self.content.len, group).div_ceil(BLOCK_LEN))
    }

    /// Whether every byte is here.
    pub(crate) fn is_complete(&self) -> bool {
        self.missing_len.load(Ordering::Acquire) == 0
    }

    /// How many bytes are here.
    pub(crate) fn present_len(&self) -> u64 {
        self.content.len - self.missing_len.load(Ordering::Acquire)
    }

    /// Fills `buffer` from `offset`.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if not all of it is here, and the system's errors.
    pub(crate) fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let end = offset.checked_add(buffer.len() as u64);
        if !end.is_some_and(|end| self.has(offset..end)) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        read_exact_at(self.file()?.as_ref(), buffer, offset)
    }

    /// Writes consecutive verified blocks of `group`, starting at block `first`. They can be read
    /// from then on. Returns `true` if this write made the content complete.
    pub(crate) fn write(&self, group: u64, first: u32, bytes: &[u8]) -> io::Result<bool> {
        let offset = group * GROUP_LEN + u64::from(first) * BLOCK_LEN;
        let count = (bytes.len() as u64).div_ceil(BLOCK_LEN);
        let word = self.present.word(group);
        let Some(word) = word.filter(|_| offset + bytes.len() as u64 <= self.content.len) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        write_all_at(self.file()?.as_ref(), bytes, offset)?;
        let bits = first_bits(count) << first;
        let fresh = bits & !word.fetch_or(bits, Ordering::AcqRel);
        let fresh_len = self.len_of(group, fresh);
        self.home.usage.stored_len.fetch_add(fresh_len, Ordering::Relaxed);
        let missing_len = self.missing_len.fetch_sub(fresh_len, Ordering::AcqRel);
        if fresh_len > 0 && missing_len == self.content.len {
            self.home.put_on_shelf();
        }
        Ok(fresh_len > 0 && missing_len == fresh_len)
    }

    /// Keeps the file when this is dropped: it has another use.
    pub(crate) fn give_away(&self) {
        self.is_given_away.store(true, Ordering::Release);
    }

    /// How many bytes the blocks `mask` of a group have.
    pub(crate) fn len_of(&self, group: u64, mask: u64) -> u64 {
        let last = self.blocks(group) ^ (self.blocks(group) >> 1);
        let short =
            BLOCK_LEN * u64::from(self.blocks(group).count_ones()) - group_len(self.content.len, group);
        BLOCK_LEN * u64::from(mask.count_ones()) - if mask & last == 0 { 0 } else { short }
    }
}

impl Drop for Cached {
    fn drop(&mut self) {
        let usage = &self.home.usage;
        usage.stored_len.fetch_sub(self.present_len(), Ordering::Relaxed);
        usage
            .outlines_len
            .fetch_sub(self.outlines_len(), Ordering::Relaxed);
        self.home.clear_place(&self.content);
        if *self.is_given_away.get_mut() {
            return;
        }
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::debug!(%error, "could not remove a file of the peer store");
        }
    }
}

impl Home {
    /// Some of the content is here, so the peer store keeps it from now on.
    fn put_on_shelf(&self) {
        if let (Some(shelf), Some(this)) = (self.shelf.upgrade(), self.this.upgrade()) {
            lock(&shelf).keep(this);
        }
    }

    /// The last handle is gone.
    fn clear_place(&self, content: &ContentId) {
        if let Some(shelf) = self.shelf.upgrade() {
            lock(&shelf).clear(content, &self.this);
        }
    }
}

/// Groups whose words are allocated together: 8 KiB of words, for the blocks of 1 GiB.
const PAGE_GROUPS: usize = 1024;

/// Which blocks are here: a word for each group, with one bit for each of its blocks. Words exist
/// only where blocks are here.
#[derive(Debug)]
struct Presence {
    pages: Box<[OnceLock<Box<[AtomicU64]>>]>,
    groups: u64,
}

impl Presence {
    fn of(groups: u64) -> Self {
        let pages = groups.div_ceil(PAGE_GROUPS as u64);
        Self {
            pages: (0..pages).map(|_| OnceLock::new()).collect(),
            groups,
        }
    }

    fn of_group(&self, group: u64) -> u64 {
        let (page, index) = position(group);
        let page = self.pages.get(page).and_then(OnceLock::get);
        let word = page.and_then(|page| page.get(index));
        word.map_or(0, |word| word.load(Ordering::Acquire))
    }

    /// The word of a group of the content; allocated if it does not exist yet.
    fn word(&self, group: u64) -> Option<&AtomicU64> {
        let (page, index) = position(group);
        let page = self.pages.get(page).filter(|_| group < self.groups)?;
        let words = page.get_or_init(|| (0..PAGE_GROUPS).map(|_| AtomicU64::new(0)).collect());
        words.get(index)
    }
}

/// The page that holds the word of a group, and its place in the page.
fn position(group: u64) -> (usize, usize) {
    let group = usize::try_from(group).unwrap_or(usize::MAX);
    (group / PAGE_GROUPS, group % PAGE_GROUPS)
}

fn lock(shelf: &Mutex<Shelf>) -> MutexGuard<'_, Shelf> {
    shelf.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(unix)]
fn file_id(file: &File) -> io::Result<Option<FileId>> {
    use std::os::unix::fs::MetadataExt;
    let metadata = file.metadata()?;
    Ok(Some((metadata.dev(), metadata.ino())))
}

/// Other systems have no inodes; there a file of the store is known by its path.
#[cfg(not(unix))]
fn file_id(_: &File) -> io::Result<Option<FileId>> {
    Ok(None)
}

fn fine_len(kept: &HashMap<u64, Arc<FineOutline>>) -> u64 {
    kept.values().map(|fine| fine.as_bytes().len() as u64).sum()
}

/// The groups that `range` touches.
pub(crate) fn groups_of(range: &Range<u64>) -> Range<u64> {
    if range.is_empty() {
        return 0..0;
    }
    range.start / GROUP_LEN..range.end.div_ceil(GROUP_LEN)
}

/// The blocks of `group` that `range` touches, a bit for each.
pub(crate) fn blocks_within(range: &Range<u64>, group: u64) -> u64 {
    let start = group.saturating_mul(GROUP_LEN);
    let from = range.start.clamp(start, start + GROUP_LEN) - start;
    let to = range.end.clamp(start, start + GROUP_LEN) - start;
    if from >= to {
        return 0;
    }
    first_bits(to.div_ceil(BLOCK_LEN)) & !first_bits(from / BLOCK_LEN)
}

fn first_bits(count: u64) -> u64 {
    match u32::try_from(count) {
        Ok(count) if count < u64::BITS => (1 << count) - 1,
        _ => u64::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cached(root: &tempfile::TempDir, len: u64) -> Arc<Cached> {
        let content = ContentId { hash: [1; 32], len };
        Cached::create(root.path().join("cached"), content, |_| Home::default()).unwrap()
    }

    #[test]
    fn bytes_can_be_read_once_they_are_written_and_not_before() {
        let root = tempfile::tempdir().unwrap();
        let cached = cached(&root, GROUP_LEN + 20_000);
        let mut buffer = [0; 3];
        assert!(cached.read_at(&mut buffer, GROUP_LEN + 17_000).is_err());
        assert!(!cached.write(1, 1, &[7; 3_616]).unwrap());
        cached.read_at(&mut buffer, GROUP_LEN + 17_000).unwrap();
        assert_eq!(buffer, [7; 3]);
        assert!(!cached.has(GROUP_LEN + 16_383..GROUP_LEN + 16_385));
        assert!(cached.read_at(&mut buffer, GROUP_LEN + 19_998).is_err());
    }

    #[test]
    fn fine_outlines_are_kept_up_to_the_limit_and_dropped_for_one_more() {
        let root = tempfile::tempdir().unwrap();
        let cached = cached(&root, crate::limits::FILE_LEN_MAX);
        let block = crate::store::subtree_value(&[0; 16], 0);
        let fine = FineOutline::new(vec![block], 16, &block).unwrap();
        let limit = FINE_OUTLINES_KEPT_MAX as u64;
        for group in 0..limit {
            cached.keep_fine(group, fine.clone());
        }
        assert!(cached.fine(0).is_some() && cached.fine(limit - 1).is_some());
        cached.keep_fine(limit, fine);
        assert!(cached.fine(0).is_none() && cached.fine(limit).is_some());
    }

    #[test]
    fn a_block_whose_write_fails_is_not_here() {
        let root = tempfile::tempdir().unwrap();
        let cached = cached(&root, 30_000);
        let file = Arc::new(File::open(&cached.path).unwrap());
        *cached.open.lock().unwrap() = Arc::downgrade(&file);
        assert!(cached.write(0, 0, &[7; 30_000]).is_err());
        assert!(!cached.has(0..1) && !cached.is_complete());
    }

    #[test]
    fn a_content_is_complete_with_its_last_block_even_if_some_arrive_twice() {
        let root = tempfile::tempdir().unwrap();
        let cached = cached(&root, GROUP_LEN + 20_000);
        assert!(!cached.write(1, 0, &[7; 16_384]).unwrap());
        assert!(!cached.write(1, 0, &[7; 20_000]).unwrap());
        assert!(!cached.is_complete());
        assert!(cached.write(0, 0, &[7; 1 << 20]).unwrap());
        assert!(cached.is_complete() && cached.has(0..GROUP_LEN + 20_000));
        assert!(!cached.write(0, 0, &[7; 1 << 20]).unwrap());
        assert_eq!(
            cached.home.usage.stored_len.load(Ordering::Relaxed),
            GROUP_LEN + 20_000
        );
    }

    #[test]
    fn the_map_of_blocks_takes_memory_only_where_blocks_are_here() {
        let root = tempfile::tempdir().unwrap();
        let cached = cached(&root, crate::limits::FILE_LEN_MAX);
        let pages = || {
            cached
                .present
                .pages
                .iter()
                .filter(|page| page.get().is_some())
                .count()
        };
        assert!(!cached.has(0..1) && !cached.has((1 << 39)..(1 << 40)));
        assert!(pages() == 0 && size_of_val(&*cached.present.pages) <= 32 << 10);
        let last = group_count(cached.content.len) - 1;
        for group in [0, 1, last] {
            assert!(!cached.write(group, 3, &[7; BLOCK_LEN as usize]).unwrap());
        }
        assert_eq!(pages(), 2);
        assert_eq!(
            [0, 1, 2, last, last + 1, u64::MAX].map(|group| cached.present(group)),
            [8, 8, 0, 8, 0, 0]
        );
        assert!(cached.write(last + 1, 0, &[7; 1]).is_err());
        assert_eq!(cached.present_len(), 3 * BLOCK_LEN);
    }

    #[test]
    fn an_empty_content_is_complete_and_has_nothing_beyond_its_end() {
        let root = tempfile::tempdir().unwrap();
        let cached = cached(&root, 0);
        assert!(cached.is_complete() && cached.has(0..0));
        assert!(!cached.has(0..1) && cached.write(0, 0, &[1]).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn another_file_or_a_link_in_the_place_of_a_content_is_neither_read_nor_written() {
        let root = tempfile::tempdir().unwrap();
        let cached = cached(&root, 5);
        let (moved, other) = (root.path().join("moved"), root.path().join("other"));
        std::fs::rename(&cached.path, &moved).unwrap();
        std::fs::write(&other, b"other").unwrap();
        for in_place in [
            std::os::unix::fs::symlink::<&Path, &Path>,
            |other: &Path, at: &Path| std::fs::copy(other, at).map(drop),
        ] {
            in_place(&other, &cached.path).unwrap();
            assert!(cached.write(0, 0, b"bytes").is_err() && !cached.has(0..5));
            std::fs::remove_file(&cached.path).unwrap();
        }
        assert_eq!(std::fs::read(&other).unwrap(), b"other");
        std::fs::rename(&moved, &cached.path).unwrap();
        assert!(cached.write(0, 0, b"bytes").unwrap());
    }

    #[cfg(unix)]
    #[test]
    fn a_new_file_takes_no_disk_and_no_other_user_can_read_it() {
        use std::os::unix::fs::MetadataExt;
        let root = tempfile::tempdir().unwrap();
        let cached = cached(&root, 10 << 30);
        let metadata = cached.path.metadata().unwrap();
        assert_eq!((metadata.blocks(), metadata.mode() & 0o777), (0, 0o600));
    }

    #[test]
    fn blocks_of_a_range_are_those_it_touches() {
        assert_eq!(blocks_within(&(0..1), 0), 1);
        assert_eq!(blocks_within(&(16_383..16_385), 0), 3);
        assert_eq!(blocks_within(&(0..GROUP_LEN), 0), u64::MAX);
        assert_eq!(blocks_within(&(0..GROUP_LEN), 1), 0);
        assert_eq!(blocks_within(&(GROUP_LEN - 1..GROUP_LEN + 1), 0), 1 << 63);
        assert_eq!(groups_of(&(GROUP_LEN - 1..GROUP_LEN + 1)), 0..2);
        assert_eq!(groups_of(&(5..5)), 0..0);
    }
}
