//! Why a read of remote bytes failed.

use std::io;

use super::protocol::Refusal;

/// Why a read of a remote content failed. Every read that waits for it gets a copy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FetchFault {
    /// There is no session, and none is expected.
    #[error("there is no connection to the other peer\nhint: connect first")]
    Unreachable,
    /// Nothing arrived for too long.
    #[error("the other peer did not send it in time\nhint: is the connection still good?")]
    TimedOut,
    /// The other peer does not have the content any more.
    #[error("the other peer does not have it any more")]
    NotHeld,
    /// The file has changed at the other peer.
    #[error("it has changed at the other peer\nhint: open it again to read what it is now")]
    Changed,
    /// The other peer can't read the file.
    #[error("the other peer can't read it\nhint: its owner should check the permissions")]
    Unreadable,
    /// Too often the bytes that arrived were not those of the catalog.
    #[error("the other peer sends other bytes than it announced\nhint: its owner should share it again")]
    Corrupt,
    /// The bytes could not be written here.
    #[error("could not keep it in the store: {reason}\nhint: is the disk full?")]
    Store {
        /// What kind of error it was.
        kind: io::ErrorKind,
        /// The system's error.
        reason: String,
    },
    /// The peer was closed.
    #[error("this peer was closed")]
    Closed,
}

impl From<Refusal> for FetchFault {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotHeld => Self::NotHeld,
            Refusal::Changed => Self::Changed,
            Refusal::Unreadable => Self::Unreadable,
            // This makes the content appear shorter than it is.
            Refusal::OutOfRange => Self::Corrupt,
        }
    }
}

impl From<io::Error> for FetchFault {
    fn from(error: io::Error) -> Self {
        Self::Store {
            kind: error.kind(),
            reason: error.to_string(),
        }
    }
}
