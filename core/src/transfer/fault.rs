//! Why bytes that somebody reads could not be had.

use std::io;

use super::protocol::Refusal;

/// Why a read of a remote content failed. Every waiter of the same trouble gets a copy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FetchFault {
    /// There is no session, and none to wait for.
    #[error("there is no connection to the other peer\nhint: connect first")]
    Unreachable,
    /// Nothing came for too long.
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
    /// What arrives is not what the catalog says, again and again.
    #[error("what the other peer sends is not what it announced\nhint: its owner should share it again")]
    Corrupt,
    /// It could not be written here.
    #[error("could not keep it in the store: {reason}\nhint: is the disk full?")]
    Store {
        /// What kind of error it was.
        kind: io::ErrorKind,
        /// What the system said.
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
            // It takes a content for shorter than it is.
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
