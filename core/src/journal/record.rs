//! What a journal consists of, and its bytes.
//!
//! ```text
//! header   "tandem journal\0"  version (1 byte)  fingerprint (20)  checksum (8)
//! record   length of the payload (4, little-endian)  checksum (8)  payload (postcard)
//! ```
//! The checksum is the start of a BLAKE3 hash of the offset in the file and the bytes, so a record
//! counts only where it was written.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::catalog::{ContentId, EntryId, EntryState, SharePath};
use crate::identity::Fingerprint;
use crate::limits::JOURNAL_RECORD_LEN_MAX;
use crate::store::{FileStamp, Remembered};

const MAGIC: &[u8; 15] = b"tandem journal\0";
/// The version that this program writes.
pub(super) const VERSION: u8 = 1;
const CHECKSUM_CONTEXT: &str = "tandem 2026-11 checksum of a journal";
const CHECKSUM_LEN: usize = 8;
const FINGERPRINT_AT: usize = MAGIC.len() + 1;
const CHECKSUM_AT: usize = FINGERPRINT_AT + 20;
/// Length of the header in bytes.
pub(super) const HEADER_LEN: usize = CHECKSUM_AT + CHECKSUM_LEN;
/// Length of what is in front of each payload, in bytes.
pub(super) const HEAD_LEN: usize = 4 + CHECKSUM_LEN;

/// One thing that is remembered. The order of the variants is their number on disk: append only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Record {
    /// A peer uses the journal from here on, as the replica with this incarnation.
    Started {
        /// See [`crate::catalog::ReplicaId`].
        incarnation: u64,
    },
    /// Present states of some entries.
    Entries {
        /// Up to where the catalog has counted.
        counter: u64,
        /// They replace the earlier states of these entries.
        states: Vec<(EntryId, EntryState)>,
    },
    /// What is known of the file at a path; it replaces what was known before.
    Local(Box<LocalFile>),
    /// Nothing is known of the file at this path any more.
    Gone(LocalPath),
    /// All that is in front of this record was durable when it was written.
    Synced,
    /// The peer has ended in good order.
    Closed,
}

impl Record {
    /// The bytes of the outlines in it.
    pub(crate) fn outlines_len(&self) -> usize {
        match self {
            Self::Local(file) => file.contents.iter().map(|known| known.source.outline.len()).sum(),
            _ => 0,
        }
    }
}

/// What is known of the file at one path of this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LocalFile {
    pub(crate) path: LocalPath,
    /// The contents that it is a source of.
    pub(crate) contents: Vec<KnownContent>,
    /// Set if the user shares the file from there.
    pub(crate) own: Option<OwnName>,
    /// Set if a pull has put a file there, in a folder that the user works in too.
    pub(crate) placed: Option<FileStamp>,
    /// What a pull is about to put there.
    pub(crate) coming: Option<ContentId>,
}

impl LocalFile {
    /// Whether nothing is known of the file.
    pub(crate) fn is_empty(&self) -> bool {
        self.contents.is_empty() && self.own.is_none() && self.placed.is_none() && self.coming.is_none()
    }
}

/// A content that a file had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KnownContent {
    pub(crate) source: Remembered,
    /// The entries for which the file is served.
    pub(crate) entries: Vec<EntryId>,
}

/// How the user shares a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OwnName {
    pub(crate) name: SharePath,
    pub(crate) stamp: FileStamp,
    pub(crate) entries: Vec<(EntryId, ContentId)>,
}

/// A path of this machine, in whatever bytes the system has for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LocalPath(pub(crate) PathBuf);

impl From<&Path> for LocalPath {
    fn from(path: &Path) -> Self {
        Self(path.to_owned())
    }
}

impl Serialize for LocalPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0.as_os_str().as_encoded_bytes())
    }
}

impl<'de> Deserialize<'de> for LocalPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = Vec::deserialize(deserializer)?;
        let path = path_of(bytes).ok_or_else(|| D::Error::custom("the path is not valid Unicode"))?;
        Ok(Self(path.into()))
    }
}

#[cfg(unix)]
#[expect(
    clippy::unnecessary_wraps,
    reason = "other systems have names that are not bytes"
)]
fn path_of(bytes: Vec<u8>) -> Option<OsString> {
    Some(std::os::unix::ffi::OsStringExt::from_vec(bytes))
}

#[cfg(not(unix))]
fn path_of(bytes: Vec<u8>) -> Option<OsString> {
    String::from_utf8(bytes).ok().map(OsString::from)
}

/// The header of the journal of a peer.
pub(super) fn header(owner: Fingerprint) -> Vec<u8> {
    let mut bytes = [&MAGIC[..], &[VERSION], owner.as_bytes()].concat();
    bytes.extend(checksum(0, &bytes));
    bytes
}

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Header {
    /// A journal of this version and this peer.
    Of(Fingerprint),
    /// A journal of another version.
    Version(u8),
    /// No journal.
    Foreign,
    /// A journal of this version whose header has other bytes than were written.
    Damaged,
}

/// Reads a header.
pub(super) fn parse_header(bytes: &[u8; HEADER_LEN]) -> Header {
    let (signed, sum) = bytes.split_at(CHECKSUM_AT);
    let owner = signed
        .get(FINGERPRINT_AT..)
        .and_then(|owner| owner.try_into().ok());
    match (signed.strip_prefix(MAGIC).and_then(<[u8]>::first), owner) {
        (None, _) => Header::Foreign,
        (Some(version), _) if *version > VERSION => Header::Version(*version),
        (Some(&VERSION), Some(owner)) if checksum(0, signed) == sum => {
            Header::Of(Fingerprint::from_bytes(owner))
        }
        _ => Header::Damaged,
    }
}

/// The bytes of a record at `offset`; `None` if it is too long.
pub(super) fn encode(record: &Record, offset: u64) -> Option<Vec<u8>> {
    let payload = postcard::to_allocvec(record).ok()?;
    let len = u32::try_from(payload.len()).ok()?;
    let fits = payload.len() <= JOURNAL_RECORD_LEN_MAX;
    fits.then(|| [&len.to_le_bytes()[..], &checksum(offset, &payload), &payload].concat())
}

/// The length and the checksum of the payload of a record that begins with these bytes.
pub(super) fn parse_head(head: &[u8; HEAD_LEN]) -> (usize, [u8; CHECKSUM_LEN]) {
    let [a, b, c, d, sum @ ..] = *head;
    (u32::from_le_bytes([a, b, c, d]) as usize, sum)
}

/// The record with this payload, if it was written at `offset`.
pub(super) fn decode(payload: &[u8], sum: [u8; CHECKSUM_LEN], offset: u64) -> Option<Record> {
    if checksum(offset, payload) != sum {
        return None;
    }
    let (record, rest) = postcard::take_from_bytes(payload).ok()?;
    rest.is_empty().then_some(record)
}

fn checksum(offset: u64, bytes: &[u8]) -> [u8; CHECKSUM_LEN] {
    let mut hasher = blake3::Hasher::new_derive_key(CHECKSUM_CONTEXT);
    hasher.update(&offset.to_le_bytes());
    hasher.update(bytes);
    let mut sum = [0; CHECKSUM_LEN];
    hasher.finalize_xof().fill(&mut sum);
    sum
}
