//! Why something could not be shared, removed or renamed.

use std::path::PathBuf;

use crate::catalog::{CatalogError, PathError, SharePath};
use crate::printable;
use crate::store::SourceError;

/// Why something could not be shared, removed or renamed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShareError {
    /// The local file can't be shared.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The name can't be used in a share.
    #[error("`{}` can't be shared under its name: {source}", printable::path(path))]
    Name {
        /// The local file.
        path: PathBuf,
        /// What is wrong with it.
        source: PathError,
    },
    /// The name of the local file is not valid Unicode.
    #[error(
        "the name of `{}` is not valid Unicode\nhint: give it another name",
        printable::path(path)
    )]
    NotUnicode {
        /// The local file.
        path: PathBuf,
    },
    /// Something else is shared under that name.
    #[error(
        "`{name}` is shared already, from elsewhere\nhint: give `{}` another name",
        printable::path(path)
    )]
    NameTaken {
        /// The name in the share.
        name: SharePath,
        /// The local file.
        path: PathBuf,
    },
    /// The catalog refused.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The peer has been closed.
    #[error("this peer is closed")]
    Closed,
}
