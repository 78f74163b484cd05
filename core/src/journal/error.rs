//! Why a journal can't be used.

use std::io;
use std::path::PathBuf;

use crate::identity::Fingerprint;
use crate::store::OwnFolderError;

/// Why the journal of a peer can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// Its folder can't be used.
    #[error(transparent)]
    Folder(#[from] OwnFolderError),
    /// What is in the file can't be used.
    #[error("`{}` can't be used: {flaw}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        flaw: Flaw,
    },
    /// The system refused a step.
    #[error("could not {action} `{}`: {source}", path.display())]
    Io {
        /// The step, as the message names it.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

/// What is wrong with a journal as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Flaw {
    /// It does not begin as a journal does.
    #[error("it is not a journal of tandem")]
    NotAJournal,
    /// A newer version of this program has written it.
    #[error("it has version {version}, and this program knows version {known}\nhint: update tandem")]
    NewerVersion {
        /// Its version.
        version: u8,
        /// The newest version that this program knows.
        known: u8,
    },
    /// It belongs to another peer.
    #[error("it belongs to the peer `{}`", owner.fmt_short())]
    OtherPeer {
        /// The peer that it belongs to.
        owner: Fingerprint,
    },
    /// It is not what was written.
    #[error("it is damaged at byte {offset}")]
    Damaged {
        /// Where the first damaged record begins.
        offset: u64,
    },
}
