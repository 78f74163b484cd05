//! Why operations on a catalog fail, by situation.

use super::share_path::{PathError, SharePath};
use super::state::EntryId;
use crate::limits::{
    CATALOG_ENTRIES_MAX, ENTRY_REPLICAS_MAX, ENTRY_VERSIONS_MAX, FILE_LEN_MAX, VERSION_HOLDERS_MAX,
};

/// Why an operation on a catalog was refused. The catalog is as it was before.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogError {
    /// Nothing is shared at the path.
    #[error("nothing is shared as `{path}`\nhint: list what is shared; it may have been renamed or removed")]
    Missing {
        /// The path.
        path: SharePath,
    },
    /// Something is shared at the path already.
    #[error("`{path}` is shared already\nhint: remove it first, or choose another name")]
    Exists {
        /// The path.
        path: SharePath,
    },
    /// There is a folder where a file or link should be.
    #[error("`{path}` is a folder\nhint: remove the folder first, or choose another name")]
    IsFolder {
        /// The path.
        path: SharePath,
    },
    /// There is a file or link where a folder is needed.
    #[error("`{path}` is not a folder\nhint: choose another folder")]
    NotFolder {
        /// Its path.
        path: SharePath,
    },
    /// A folder that must be empty is not.
    #[error("the folder `{path}` is not empty\nhint: remove what is in it first")]
    NotEmpty {
        /// The path.
        path: SharePath,
    },
    /// An entry that is unknown, or that has no path at present.
    #[error(
        "{id:?} is not shown anywhere\nhint: list what is shared; its folders may not have arrived, or lie too deep"
    )]
    NotShown {
        /// The entry.
        id: EntryId,
    },
    /// A folder can't be moved into itself.
    #[error(
        "`{from}` can't be moved to `{to}`, which lies in it\nhint: choose a place outside of the folder"
    )]
    IntoItself {
        /// The folder.
        from: SharePath,
        /// Where it should have gone.
        to: SharePath,
    },
    /// Something would get a path that is not allowed.
    #[error("could not put it there: {source}")]
    Path {
        /// Which path, and why not.
        #[from]
        source: PathError,
    },
    /// The file's properties are not allowed.
    #[error("`{path}` can't be shared: {fault}")]
    BadFile {
        /// The path.
        path: SharePath,
        /// What is wrong.
        fault: StateFault,
    },
    /// The catalog has its maximum number of entries, removed ones included.
    #[error(
        "the catalog is full: it has {CATALOG_ENTRIES_MAX} entries, removed ones included\nhint: share fewer, larger files"
    )]
    Full,
    /// The entries of the catalog would take more memory than is allowed.
    #[error(
        "the catalog is full: its entries would take {len} bytes of memory, at most {limit} are allowed\nhint: remove what is not needed, conflict copies first, or share fewer files"
    )]
    TooLarge {
        /// How many bytes they would take.
        len: u64,
        /// How many are allowed.
        limit: u64,
    },
    /// Two valid states of an entry have too much together.
    #[error(
        "the changes of {id:?} on both sides can't be merged: {fault}\nhint: remove it, and share it anew"
    )]
    EntryFull {
        /// The entry.
        id: EntryId,
        /// What there is too much of.
        fault: StateFault,
    },
    /// The catalog's counter has reached its end.
    #[error("the catalog can't count any further\nhint: restart both peers and share anew")]
    CounterExhausted,
    /// A state from elsewhere can't be merged; nothing of its batch was merged.
    #[error("the state of {id:?} can't be merged: {fault}")]
    BadState {
        /// Its entry.
        id: EntryId,
        /// What is wrong.
        fault: StateFault,
    },
}

impl CatalogError {
    /// Whether it was refused only for lack of room: a catalog with less in it would accept it.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full | Self::TooLarge { .. } | Self::EntryFull { .. })
    }
}

/// What is wrong with the state of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StateFault {
    /// A state for the top of the share, which has none.
    #[error("it claims to be the top of the share")]
    Root,
    /// An entry that is in itself.
    #[error("it claims to be in itself")]
    OwnParent,
    /// A dot that its own version vector does not cover, or a counter of 0.
    #[error("it holds a dot that it claims not to have seen")]
    UnseenDot,
    /// Too many concurrent versions.
    #[error("it has {count} versions, at most {ENTRY_VERSIONS_MAX} are kept")]
    TooManyVersions {
        /// How many.
        count: usize,
    },
    /// Too many replicas have changed it.
    #[error("{count} replicas have changed it, at most {ENTRY_REPLICAS_MAX} are counted")]
    TooManyReplicas {
        /// How many.
        count: usize,
    },
    /// Too many holders of one version.
    #[error("one version has {count} holders, at most {VERSION_HOLDERS_MAX} are kept")]
    TooManyHolders {
        /// How many.
        count: usize,
    },
    /// A file longer than the limit.
    #[error("it has {len} bytes, at most {FILE_LEN_MAX} can be shared")]
    FileTooLong {
        /// Its length in bytes.
        len: u64,
    },
    /// A mode with other than permission bits.
    #[error("its mode `{mode:o}` has more than permission bits (777)")]
    BadMode {
        /// The mode.
        mode: u32,
    },
}
