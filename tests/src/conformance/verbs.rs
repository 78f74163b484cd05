//! Shorthands for facts, on any [`Directory`] and [`File`]. A failure names the line of the fact.

use super::{Directory, File, Kind, Listed, Listing, Open, Outcome, Rename};

/// Bytes per `read_at` when a whole file is read: not a power of two, so that reads straddle pages.
const PIECE_LEN: usize = 100_003;

/// Verbs on a folder.
pub trait Verbs: Directory {
    /// Makes or replaces a file with this content, and closes it.
    #[track_caller]
    fn write(&self, path: &str, bytes: &[u8]) {
        let file = self.open(path, Open::create().truncate()).unwrap();
        file.write(0, bytes);
    }

    /// The whole content of a file.
    #[track_caller]
    fn read(&self, path: &str) -> Vec<u8> {
        self.open(path, Open::read()).unwrap().all()
    }

    /// Makes a folder.
    #[track_caller]
    fn folder(&self, path: &str) {
        self.make_folder(path, 0o755).unwrap();
    }

    /// Renames, replacing the target.
    #[track_caller]
    fn move_to(&self, from: &str, to: &str) {
        self.rename(from, to, Rename::Plain).unwrap();
    }

    /// The inode number of the entry with this name.
    #[track_caller]
    fn inode(&self, path: &str) -> u64 {
        self.stat(path).unwrap().inode
    }

    /// All entries of a folder but `.` and `..`, in the order of the listing.
    #[track_caller]
    fn entries(&self, path: &str) -> Vec<Listed> {
        let mut listing = self.list(path).unwrap();
        rest(&mut listing)
    }

    /// The names in a folder, sorted; a name that is listed twice occurs twice.
    #[track_caller]
    fn names(&self, path: &str) -> Vec<String> {
        let mut names: Vec<String> = self.entries(path).into_iter().map(|entry| entry.name).collect();
        names.sort();
        names
    }

    /// Whether an entry has this name.
    fn exists(&self, path: &str) -> bool {
        self.stat(path).is_ok()
    }

    /// The kind of the entry with this name.
    fn kind(&self, path: &str) -> Outcome<Kind> {
        self.stat(path).map(|stat| stat.kind)
    }
}

impl<D: Directory + ?Sized> Verbs for D {}

/// Verbs on an open file.
pub trait FileVerbs: File {
    /// Writes all of `bytes` at `offset`.
    #[track_caller]
    fn write(&self, offset: u64, bytes: &[u8]) {
        let mut done = 0;
        while done < bytes.len() {
            let count = self.write_at(offset + done as u64, &bytes[done..]).unwrap();
            assert!(count > 0, "a write of {} bytes wrote 0 bytes", bytes.len() - done);
            done += count;
        }
    }

    /// The bytes that one read of `len` bytes at `offset` returns.
    #[track_caller]
    fn piece(&self, offset: u64, len: usize) -> Vec<u8> {
        let mut buffer = vec![0xa5; len];
        let count = self.read_at(offset, &mut buffer).unwrap();
        buffer.truncate(count);
        buffer
    }

    /// The whole content, read from the beginning to the end.
    #[track_caller]
    fn all(&self) -> Vec<u8> {
        let mut all = Vec::new();
        loop {
            match self.piece(all.len() as u64, PIECE_LEN) {
                piece if piece.is_empty() => return all,
                piece => all.extend(piece),
            }
        }
    }

    /// Its length according to stat(2).
    #[track_caller]
    fn told_len(&self) -> u64 {
        self.stat().unwrap().len
    }
}

impl<F: File + ?Sized> FileVerbs for F {}

/// The remaining entries of a listing, without `.` and `..`.
#[track_caller]
pub(super) fn rest(listing: &mut impl Listing) -> Vec<Listed> {
    let mut all = Vec::new();
    loop {
        let some = listing.next().unwrap();
        if some.is_empty() {
            return all;
        }
        all.extend(
            some.into_iter()
                .filter(|entry| entry.name != "." && entry.name != ".."),
        );
    }
}

/// `len` bytes in which no two pages are equal.
pub(super) fn pattern(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    bytes
}
