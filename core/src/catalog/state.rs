//! The replicated state of one entry, and how two such states merge.
//!
//! Each entry merges on its own, so any set of whole entry states is a delta, and so is a page of a
//! catalog. The versions are a multi-value register with a version vector per entry (the dot stores
//! of Almeida, Shoker and Baquero, "Delta state replicated data types", 2018); the place is a
//! last-writer-wins register. How a tree of entries looks is decided elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::error::StateFault;
use super::link_target::LinkTarget;
use super::share_path::Name;
use super::version_vector::{Dot, Seen};
use crate::identity::Fingerprint;
use crate::limits::{
    ENTRY_LEN, ENTRY_REPLICAS_MAX, ENTRY_VERSIONS_MAX, FILE_LEN_MAX, HOLDER_LEN, REPLICA_LEN,
    SHARED_MODE_MAX, VERSION_HOLDERS_MAX, VERSION_LEN,
};

const ENTRY_ID_CONTEXT: &str = "tandem 2026-11 id of a catalog entry";

/// Identifies an entry for ever, wherever it is moved.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EntryId([u8; 16]);

impl EntryId {
    /// The top of the share. It has no state; every catalog has it.
    pub const ROOT: Self = Self([0; 16]);

    /// The id with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The id of the entry that `dot` creates. Ids are unique because dots are, and they are spread
    /// evenly.
    pub(super) fn created_by(dot: &Dot) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(ENTRY_ID_CONTEXT);
        hasher.update(dot.replica.fingerprint.as_bytes());
        hasher.update(&dot.replica.incarnation.to_le_bytes());
        hasher.update(&dot.counter.to_le_bytes());
        let hash = hasher.finalize();
        let mut bytes = [0; 16];
        bytes
            .iter_mut()
            .zip(hash.as_bytes())
            .for_each(|(byte, hashed)| *byte = *hashed);
        Self(bytes)
    }
}

impl fmt::Debug for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EntryId({})", crate::hex::encode(&self.0))
    }
}

/// A file's content: its hash and length, not where it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ContentId {
    /// The BLAKE3 root hash of all bytes.
    pub hash: [u8; 32],
    /// How many bytes there are.
    pub len: u64,
}

impl fmt::Debug for ContentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start: String = crate::hex::encode(&self.hash).chars().take(8).collect();
        write!(f, "ContentId({start}…, {} bytes)", self.len)
    }
}

/// One version of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FileVersion {
    /// Its bytes.
    pub content: ContentId,
    /// When the file was last modified, in nanoseconds since 1970; shown to people, decides
    /// nothing.
    pub mtime_ns: i64,
    /// At most [`SHARED_MODE_MAX`].
    pub mode: u32,
}

/// One version of a symbolic link.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LinkVersion {
    /// Where it leads.
    pub target: LinkTarget,
    /// When the link was made, in nanoseconds since 1970; shown to people, decides nothing.
    pub mtime_ns: i64,
}

/// What an entry is. The order is that of the wire; it only grows at its end.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// A folder. Its contents follow from the places of other entries.
    Folder,
    /// A file.
    File(FileVersion),
    /// A symbolic link.
    Link(LinkVersion),
}

/// One version of an entry. Several at once are concurrent: no maker knew of the others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// What it is.
    pub kind: Kind,
    /// The peers that have the bytes; none for a folder or a link.
    pub holders: BTreeSet<Fingerprint>,
}

impl Version {
    /// The same dot means the same version. A peer that lies must not make two others disagree, so
    /// the greater version wins.
    fn join(&mut self, other: Self) {
        match self.kind.cmp(&other.kind) {
            std::cmp::Ordering::Less => *self = other,
            std::cmp::Ordering::Equal => self.holders.extend(other.holders),
            std::cmp::Ordering::Greater => {}
        }
        self.trim_holders();
    }

    fn len(&self) -> usize {
        let target_len = match &self.kind {
            Kind::Link(link) => link.target.as_str().len(),
            Kind::File(_) | Kind::Folder => 0,
        };
        VERSION_LEN + target_len + self.holders.len() * HOLDER_LEN
    }

    pub(super) fn add_holder(&mut self, holder: Fingerprint) {
        self.holders.insert(holder);
        self.trim_holders();
    }

    /// Keeps the smallest holders of a union. Which ones those are does not depend on the order of
    /// merging, so this bound never makes two catalogs differ.
    pub(super) fn trim_holders(&mut self) {
        while self.holders.len() > VERSION_HOLDERS_MAX {
            self.holders.pop_last();
        }
    }
}

/// Where an entry is. Ordered by its stamp first: the greatest wins.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// The change that put it there.
    pub stamp: Dot,
    /// The folder that it is in.
    pub parent: EntryId,
    /// Its name there.
    pub name: Name,
}

/// Everything that is replicated of one entry. An entry without versions is a tombstone; tombstones
/// are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryState {
    /// Where it is, or was.
    pub place: Place,
    /// Its versions; none once it is removed.
    pub versions: BTreeMap<Dot, Version>,
    /// The dots on this entry that the state knows. A version that it knows but no longer has was
    /// replaced or removed.
    pub seen: Seen,
}

impl EntryState {
    /// An entry without versions, placed by a new change.
    pub(super) fn placed(place: Place) -> Self {
        let mut seen = Seen::default();
        seen.note(place.stamp);
        Self {
            place,
            versions: BTreeMap::new(),
            seen,
        }
    }

    /// Whether it still is a file, link or folder, not a tombstone.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        !self.versions.is_empty()
    }

    /// Whether it has the same place and the same versions, whichever peers hold these.
    pub(super) fn is_shown_as(&self, other: &Self) -> bool {
        let pairs = self.versions.iter().zip(&other.versions);
        let mut same =
            pairs.map(|((dot, own), (other_dot, other))| dot == other_dot && own.kind == other.kind);
        self.place == other.place && self.versions.len() == other.versions.len() && same.all(|same| same)
    }

    /// Moves the entry.
    pub(super) fn put(&mut self, place: Place) {
        self.seen.note(place.stamp);
        self.place = place;
    }

    /// Adds a version made by a new change.
    pub(super) fn add(&mut self, dot: Dot, version: Version) {
        self.seen.note(dot);
        self.versions.insert(dot, version);
    }

    /// Merges what another replica knows of the same entry. Commutative, associative and
    /// idempotent.
    ///
    /// A version survives if both sides have it, or if the side without it has not seen it.
    pub fn join(&mut self, other: Self) {
        let Self {
            place,
            versions,
            seen,
        } = other;
        self.versions
            .retain(|dot, _| versions.contains_key(dot) || !seen.covers(dot));
        for (dot, version) in versions {
            match self.versions.get_mut(&dot) {
                Some(known) => known.join(version),
                None if self.seen.covers(&dot) => {}
                None => drop(self.versions.insert(dot, version)),
            }
        }
        self.seen.join(&seen);
        if place > self.place {
            self.place = place;
        }
    }

    /// Checks, in a state that another peer made, what the merge relies on.
    pub(super) fn check(&self, id: EntryId) -> Result<(), StateFault> {
        self.check_sizes()?;
        if id == EntryId::ROOT {
            return Err(StateFault::Root);
        }
        if self.place.parent == id {
            return Err(StateFault::OwnParent);
        }
        let mut dots = self.versions.keys().chain([&self.place.stamp]);
        if !dots.all(|dot| dot.counter > 0 && self.seen.covers(dot)) {
            return Err(StateFault::UnseenDot);
        }
        self.versions.values().try_for_each(check_version)
    }

    /// How many bytes of memory the entry counts for. The same on every peer for the same state.
    pub(super) fn len(&self) -> u64 {
        let versions: usize = self.versions.values().map(Version::len).sum();
        let seen = self.seen.replica_count() * REPLICA_LEN;
        (ENTRY_LEN + self.place.name.as_str().len() + versions + seen) as u64
    }

    /// Checks the bounds that a merge can cross.
    pub(super) fn check_sizes(&self) -> Result<(), StateFault> {
        let versions = self.versions.len();
        if versions > ENTRY_VERSIONS_MAX {
            return Err(StateFault::TooManyVersions { count: versions });
        }
        let replicas = self.seen.replica_count();
        if replicas > ENTRY_REPLICAS_MAX {
            return Err(StateFault::TooManyReplicas { count: replicas });
        }
        Ok(())
    }
}

fn check_version(version: &Version) -> Result<(), StateFault> {
    let holders = version.holders.len();
    if holders > VERSION_HOLDERS_MAX {
        return Err(StateFault::TooManyHolders { count: holders });
    }
    match &version.kind {
        Kind::Folder | Kind::Link(_) => Ok(()),
        Kind::File(file) => file.check(),
    }
}

impl FileVersion {
    pub(super) fn check(&self) -> Result<(), StateFault> {
        if self.content.len > FILE_LEN_MAX {
            return Err(StateFault::FileTooLong {
                len: self.content.len,
            });
        }
        if self.mode > SHARED_MODE_MAX {
            return Err(StateFault::BadMode { mode: self.mode });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
