//! A short summary of a catalog, by which two peers find out what to send after they connect.
//!
//! 256 hashes, one per first byte of the entry ids. Equal catalogs have equal digests, and
//! different ones differ, short of a collision in 128 bits of BLAKE3. Each bucket hashes the hashes
//! of its states in the order of their ids, so that no sum or XOR of hashes can cancel out.

use std::fmt;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::state::{EntryId, EntryState};

/// How many buckets there are.
const BUCKET_COUNT: usize = 256;
/// Length of a bucket's hash, in bytes.
const BUCKET_LEN: usize = 16;
const DIGEST_LEN: usize = BUCKET_COUNT * BUCKET_LEN;

/// The hash of one entry's state.
pub(super) type StateHash = [u8; 32];

/// A summary of 4 KiB, however large the catalog is.
#[derive(Clone, PartialEq, Eq)]
pub struct Digest(Vec<u8>);

impl Digest {
    /// Summarises a catalog from the hashes of its states. `bucket` gives those of each first byte,
    /// in the order of ids.
    pub(super) fn of<'a, H: Iterator<Item = &'a StateHash>>(bucket: impl Fn(u8) -> H) -> Self {
        let hash_bucket = |first| {
            let mut hasher = blake3::Hasher::new();
            for hash in bucket(first) {
                hasher.update(hash);
            }
            *hasher.finalize().as_bytes()
        };
        Self(
            (0..=u8::MAX)
                .flat_map(|first| hash_bucket(first).into_iter().take(BUCKET_LEN))
                .collect(),
        )
    }

    /// The buckets in which two catalogs differ, as first bytes of ids.
    pub(super) fn differing(&self, other: &Self) -> Vec<u8> {
        let pairs = self
            .0
            .chunks_exact(BUCKET_LEN)
            .zip(other.0.chunks_exact(BUCKET_LEN));
        (0..=u8::MAX)
            .zip(pairs)
            .filter(|(_, (ours, theirs))| ours != theirs)
            .map(|(bucket, _)| bucket)
            .collect()
    }
}

/// The hash of an entry: of its id and of its state's wire encoding, which is canonical.
pub(super) fn hash_of(id: &EntryId, state: &EntryState) -> StateHash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(id.as_bytes());
    // Writing a plain value into a hasher can't fail; if it did, the hash would only cover less.
    drop(postcard::to_io(state, &mut hasher));
    hasher.finalize().into()
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Digest({}…)",
            crate::hex::encode(blake3::hash(&self.0).as_bytes()).split_at(8).0
        )
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(DigestVisitor)
    }
}

struct DigestVisitor;

impl Visitor<'_> for DigestVisitor {
    type Value = Digest;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{DIGEST_LEN} bytes")
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Digest, E> {
        if bytes.len() == DIGEST_LEN {
            Ok(Digest(bytes.to_vec()))
        } else {
            Err(E::invalid_length(bytes.len(), &self))
        }
    }
}
