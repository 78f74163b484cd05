//! Why a file could not be received.

use std::io;
use std::path::PathBuf;

use super::local_names::NameFault;
use crate::printable;

/// Why a file could not be received.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The target names no file, as `/` or `..` do.
    #[error(
        "`{}` can't be the name of a file\nhint: give the path of the file to be written",
        printable::path(path)
    )]
    NoName {
        /// The target.
        path: PathBuf,
    },
    /// This system can't hold the name that the file has in the share.
    #[error("`{name}` can't be a name on this system: {fault}\nhint: ask the other side to rename it")]
    Unfit {
        /// The name, escaped so that it is safe to print.
        name: String,
        /// What is wrong with it.
        fault: NameFault,
    },
    /// The target is a folder.
    #[error(
        "`{}` is a folder\nhint: give the path of the file to be written",
        printable::path(path)
    )]
    IsFolder {
        /// The target.
        path: PathBuf,
    },
    /// A folder of the path is a link.
    #[error(
        "`{}` is a link, and files are not received through links\nhint: remove it, or pull to another folder",
        printable::path(path)
    )]
    Link {
        /// The link.
        path: PathBuf,
    },
    /// This peer shares the target file under another name than the one to be written there.
    #[error(
        "`{}` is shared from there as `{name}`, so no other file replaces it\nhint: move what is there away, or pull to another folder",
        printable::path(path)
    )]
    SharedFromThere {
        /// The target.
        path: PathBuf,
        /// Its name in the share, escaped so that it is safe to print.
        name: String,
    },
    /// The target file is still shared, as another version than the one to be written there.
    #[error(
        "`{}` is shared from there as `{name}`, which would be lost\nhint: pull to another folder, move the file away, or remove `{name}` from the share first",
        printable::path(path)
    )]
    StillShared {
        /// The target.
        path: PathBuf,
        /// The name of that version in the share, escaped so that it is safe to print.
        name: String,
    },
    /// The user shared the target file from there, and has edited it since.
    #[error(
        "`{}` is shared from there as `{name}` and was edited since, so the edit would be lost\nhint: share the edit first (with `replace` if the other side has a new version), move the file away, or pull to another folder",
        printable::path(path)
    )]
    Edited {
        /// The target.
        path: PathBuf,
        /// Its name in the share, escaped so that it is safe to print.
        name: String,
    },
    /// No pull has put there what is there now.
    #[error(
        "`{}` is not what was pulled there last, so it stays\nhint: move it away, or pull to another folder",
        printable::path(path)
    )]
    NotPulled {
        /// The target.
        path: PathBuf,
    },
    /// The folder that was joined is not at its path any more.
    #[error(
        "`{}` was moved or replaced\nhint: move it back, or join again with a new code",
        printable::path(path)
    )]
    Moved {
        /// The folder.
        path: PathBuf,
    },
    /// The system refused a step.
    #[error("could not {action} `{}`: {source}", printable::path(path))]
    Io {
        /// The step, as the message names it.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}
