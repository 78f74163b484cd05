//! The outline of a file: one BLAKE3 chaining value per 1 MiB group, which together fold to the
//! root hash.
//!
//! With it every group can be checked when it arrives, in any order, from any source. It is the
//! BLAKE3 tree cut at a subtree of 1024 chunks (BLAKE3 paper, section 2.4; `blake3::hazmat`), so
//! checking costs no more than hashing, and the outline of a GiB takes 32 KiB. A file of at most
//! one group has no outline: its root hash is its check.
//!
//! A group has a fine outline, too: one chaining value per block of 16 KiB, which together fold to
//! the group's value. A fine outline is fetched only if single blocks are read.

use blake3::Hasher;
use blake3::hazmat::{
    ChainingValue, HasherExt, Mode, left_subtree_len, merge_subtrees_non_root, merge_subtrees_root,
};

/// Length of a group in bytes: a whole subtree of the BLAKE3 tree.
pub(crate) const GROUP_LEN: u64 = 1024 * 1024;
/// Length of a block in bytes: a whole subtree as well. A group has as many blocks as a word has
/// bits.
pub(crate) const BLOCK_LEN: u64 = GROUP_LEN / u64::BITS as u64;
/// Length of a chaining value in bytes.
pub(crate) const VALUE_LEN: usize = 32;

/// How many groups a file of `len` bytes has; an empty file has one (empty) group.
pub(crate) fn group_count(len: u64) -> u64 {
    len.div_ceil(GROUP_LEN).max(1)
}

/// Length in bytes of group `index` of a file of `len` bytes.
pub(crate) fn group_len(len: u64, index: u64) -> u64 {
    len.saturating_sub(index.saturating_mul(GROUP_LEN)).min(GROUP_LEN)
}

/// The chaining values of a file's groups; empty for a file of one group.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Outline(Vec<ChainingValue>);

impl Outline {
    /// Makes an outline of the values of all groups, in order.
    pub(crate) fn new(values: Vec<ChainingValue>) -> Self {
        Self(values)
    }

    /// Reads an outline from the wire and checks it: its number of values must match `len`, and
    /// they must fold to `root`.
    pub(crate) fn verified(bytes: &[u8], len: u64, root: &[u8; 32]) -> Option<Self> {
        let (values, rest) = bytes.as_chunks::<VALUE_LEN>();
        let outline = Self(values.to_vec());
        let complete = rest.is_empty() && values.len() as u64 == group_count(len) && values.len() > 1;
        (complete && outline.root(len)? == *root).then_some(outline)
    }

    /// The values one after the other, as on the wire.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_flattened()
    }

    /// The root hash that the values fold to; `None` for an outline of fewer than two groups.
    pub(crate) fn root(&self, len: u64) -> Option<[u8; 32]> {
        let (left, right) = split(&self.0, len, GROUP_LEN)?;
        Some(*merge_subtrees_root(&left, &right, Mode::Hash).as_bytes())
    }

    /// The value of group `index`.
    pub(crate) fn value(&self, index: u64) -> Option<&ChainingValue> {
        self.0.get(usize::try_from(index).ok()?)
    }
}

/// The chaining values of the blocks of one group, in a file with more than one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FineOutline(Box<[ChainingValue]>);

impl FineOutline {
    /// Makes a fine outline of the values of all blocks of a group of `len` bytes, if they fold to
    /// the group's `value`.
    pub(crate) fn new(values: Vec<ChainingValue>, len: u64, value: &ChainingValue) -> Option<Self> {
        let complete = values.len() as u64 == len.div_ceil(BLOCK_LEN);
        (complete && fold(&values, len, BLOCK_LEN)? == *value).then(|| Self(values.into()))
    }

    /// Reads a fine outline from the wire and checks it like [`FineOutline::new`].
    pub(crate) fn verified(bytes: &[u8], len: u64, value: &ChainingValue) -> Option<Self> {
        let (values, rest) = bytes.as_chunks::<VALUE_LEN>();
        Self::new(values.to_vec(), len, value).filter(|_| rest.is_empty())
    }

    /// The values one after the other, as on the wire.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_flattened()
    }

    /// The value of block `index` of the group.
    pub(crate) fn value(&self, index: u32) -> Option<&ChainingValue> {
        self.0.get(index as usize)
    }
}

/// The values of both halves of a tree of `len` bytes whose leaves are subtrees of `unit_len`.
fn split(values: &[ChainingValue], len: u64, unit_len: u64) -> Option<(ChainingValue, ChainingValue)> {
    if values.len() < 2 {
        return None;
    }
    let left_len = left_subtree_len(len);
    let (left, right) = values.split_at_checked(usize::try_from(left_len / unit_len).ok()?)?;
    Some((
        fold(left, left_len, unit_len)?,
        fold(right, len.checked_sub(left_len)?, unit_len)?,
    ))
}

fn fold(values: &[ChainingValue], len: u64, unit_len: u64) -> Option<ChainingValue> {
    if let [value] = values {
        return Some(*value);
    }
    let (left, right) = split(values, len, unit_len)?;
    Some(merge_subtrees_non_root(&left, &right, Mode::Hash))
}

/// The chaining value of the block (or the group) `bytes` that starts at `offset` of its file.
pub(crate) fn subtree_value(bytes: &[u8], offset: u64) -> ChainingValue {
    let mut hasher = Hasher::new();
    hasher.set_input_offset(offset);
    hasher.update(bytes);
    hasher.finalize_non_root()
}

/// Hashes one group in several steps, wherever it is in the file.
pub(crate) struct GroupHasher(Hasher);

impl GroupHasher {
    /// For group `index` of a file with more than one group.
    pub(crate) fn new(index: u64) -> Self {
        let mut hasher = Hasher::new();
        hasher.set_input_offset(index * GROUP_LEN);
        Self(hasher)
    }

    /// Adds the next bytes of the group.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The chaining value of the whole group.
    pub(crate) fn finish(&self) -> ChainingValue {
        self.0.finalize_non_root()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outline_of(bytes: &[u8]) -> Outline {
        let groups = bytes.chunks(GROUP_LEN as usize).enumerate();
        let value = |(index, group): (usize, &[u8])| {
            let mut hasher = GroupHasher::new(index as u64);
            hasher.update(group);
            hasher.finish()
        };
        Outline::new(groups.map(value).collect())
    }

    fn bytes(len: usize) -> Vec<u8> {
        (0..len).map(|i| (i * 31 + i / 251) as u8).collect()
    }

    #[test]
    fn values_fold_to_the_hash_of_the_file_for_every_shape_of_tree() {
        let group = GROUP_LEN as usize;
        for len in [
            group + 1,
            2 * group,
            3 * group,
            3 * group + 7,
            5 * group,
            7 * group - 1,
        ] {
            let bytes = bytes(len);
            assert_eq!(
                outline_of(&bytes).root(len as u64),
                Some(*blake3::hash(&bytes).as_bytes()),
                "{len}"
            );
        }
    }

    #[test]
    fn an_outline_is_accepted_whole_and_refused_with_one_bit_flipped_or_one_value_missing() {
        let bytes = bytes(3 * GROUP_LEN as usize + 9);
        let (len, root) = (bytes.len() as u64, *blake3::hash(&bytes).as_bytes());
        let mut wire = outline_of(&bytes).as_bytes().to_vec();
        assert!(Outline::verified(&wire, len, &root).is_some());
        assert!(Outline::verified(&wire[..96], len, &root).is_none());
        wire[50] ^= 1;
        assert!(Outline::verified(&wire, len, &root).is_none());
    }

    #[test]
    fn blocks_fold_to_their_group_at_every_place_and_of_every_length() {
        let group = GROUP_LEN as usize;
        for last in [1, 1024, 16_384, 16_385, 300_000, group] {
            let bytes = bytes(2 * group + last);
            let outline = outline_of(&bytes);
            for (index, group) in bytes.chunks(group).enumerate() {
                let offset = index as u64 * GROUP_LEN;
                let blocks = group.chunks(BLOCK_LEN as usize).enumerate();
                let values: Vec<_> = blocks
                    .map(|(block, bytes)| subtree_value(bytes, offset + block as u64 * BLOCK_LEN))
                    .collect();
                let (len, value) = (group.len() as u64, outline.value(index as u64).unwrap());
                let mut wire = values.as_flattened().to_vec();
                assert!(FineOutline::new(values, len, value).is_some(), "{last} {index}");
                assert!(FineOutline::verified(&wire[..wire.len() - 1], len, value).is_none());
                wire[31] ^= 1;
                assert!(FineOutline::verified(&wire, len, value).is_none());
            }
        }
    }

    #[test]
    fn a_file_of_one_group_has_no_outline() {
        assert_eq!(
            (group_count(0), group_count(GROUP_LEN), group_count(GROUP_LEN + 1)),
            (1, 1, 2)
        );
        assert_eq!(
            (group_len(GROUP_LEN + 1, 0), group_len(GROUP_LEN + 1, 1)),
            (GROUP_LEN, 1)
        );
        assert!(Outline::verified(&[0; 32], GROUP_LEN, &[0; 32]).is_none());
        assert!(Outline::verified(&[], u64::MAX, &[0; 32]).is_none());
    }
}
