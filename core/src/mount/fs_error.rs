//! What can go wrong in a mounted share, by situation. Which errno that is, is decided in `errno`
//! alone.

use std::io;
use std::sync::Arc;

use crate::catalog::{CatalogError, PathError, PathFault};
use crate::store::SourceError;
use crate::transfer::FetchFault;

/// Why a call on the file system failed. Nothing that was there before is lost.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum FsError {
    /// There is nothing of that name.
    #[error("there is nothing of that name")]
    NotFound,
    /// There is something of that name already.
    #[error("there is something of that name already")]
    Exists,
    /// It is no folder.
    #[error("it is not a folder")]
    NotAFolder,
    /// It is a folder.
    #[error("it is a folder")]
    IsAFolder,
    /// The folder has something in it.
    #[error("the folder is not empty")]
    NotEmpty,
    /// The name or the path is too long, or too deep.
    #[error("the name or the path is too long")]
    NameTooLong,
    /// The name is no Unicode text.
    #[error("the name is not UTF-8\nhint: rename the file")]
    NameNotUnicode,
    /// An argument is invalid for this file.
    #[error("the argument is invalid for this file")]
    Invalid,
    /// A share has no such thing: hard links, devices, pipes.
    #[error("a share can't hold that")]
    NotPermitted,
    /// This file does not support the call at this moment; the caller has another way.
    #[error("this file can't do that")]
    Unsupported,
    /// A link of the other peer leads out of the share.
    #[error(
        "the link leads out of the share\nhint: mount with `Links::Anywhere` if the other side may decide what is followed"
    )]
    LeadsOut,
    /// The handle was closed, or is not open for this.
    #[error("the handle is not open for that")]
    BadHandle,
    /// The file would become longer than a shared file may be.
    #[error("the file would be longer than {} bytes", crate::limits::FILE_LEN_MAX)]
    TooLarge,
    /// There is nothing at or after that offset.
    #[error("there is nothing at or after that offset")]
    PastTheEnd,
    /// The catalog has no room.
    #[error("the share has no room for more files")]
    Full,
    /// The bytes could not be fetched from the other peer.
    #[error("could not get the bytes from the other peer: {0}")]
    Unavailable(FetchFault),
    /// The file on this machine that has the bytes was changed from outside.
    #[error("the shared file was changed meanwhile\nhint: open it again")]
    Changed,
    /// A file of the store could not be used.
    #[error("could not use the store: {0}")]
    Store(Arc<io::Error>),
}

impl From<io::Error> for FsError {
    fn from(error: io::Error) -> Self {
        Self::Store(Arc::new(error))
    }
}

impl From<rustix::io::Errno> for FsError {
    fn from(error: rustix::io::Errno) -> Self {
        io::Error::from(error).into()
    }
}

impl From<FetchFault> for FsError {
    fn from(fault: FetchFault) -> Self {
        Self::Unavailable(fault)
    }
}

impl From<SourceError> for FsError {
    fn from(error: SourceError) -> Self {
        match error {
            SourceError::Changed { .. } | SourceError::KeepsChanging { .. } => Self::Changed,
            SourceError::Unreadable { source, .. } => source.into(),
            SourceError::TooLarge { .. } => Self::TooLarge,
            other => io::Error::other(other).into(),
        }
    }
}

impl From<PathError> for FsError {
    fn from(error: PathError) -> Self {
        match error.fault {
            PathFault::NameTooLong { .. } | PathFault::PathTooLong { .. } | PathFault::TooDeep { .. } => {
                Self::NameTooLong
            }
            _ => Self::Invalid,
        }
    }
}

impl From<CatalogError> for FsError {
    fn from(error: CatalogError) -> Self {
        match error {
            CatalogError::Missing { .. } | CatalogError::NotShown { .. } => Self::NotFound,
            CatalogError::Exists { .. } => Self::Exists,
            CatalogError::IsFolder { .. } => Self::IsAFolder,
            CatalogError::NotFolder { .. } => Self::NotAFolder,
            CatalogError::NotEmpty { .. } => Self::NotEmpty,
            CatalogError::Path { source } => source.into(),
            CatalogError::Full | CatalogError::TooLarge { .. } | CatalogError::CounterExhausted => Self::Full,
            CatalogError::IntoItself { .. }
            | CatalogError::BadFile { .. }
            | CatalogError::EntryFull { .. }
            | CatalogError::BadState { .. } => Self::Invalid,
        }
    }
}
