//! Why two peers did not get to know each other.

use std::time::Duration;

use crate::identity::IdentityError;
use crate::rendezvous::{RecordError, RelayError};
use crate::session::SessionError;

/// Why an invitation or a joining failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PairingError {
    /// Nothing is known of the code.
    #[error(
        "there is no invitation with this code\nhint: it may be mistyped or no longer open; ask the other side"
    )]
    Unknown,
    /// Someone joined with the code before.
    #[error("this code was used already\nhint: ask the other side who used it, and for a new one")]
    Used,
    /// The time of the invitation ran out.
    #[error("this code has expired\nhint: a new one is needed: `tandem share` prints one")]
    Expired,
    /// The inviter took the invitation back.
    #[error("the other side took this code back\nhint: ask for a new one")]
    Withdrawn,
    /// The invitation has the identity of this peer.
    #[error("this is your own invitation\nhint: give the code to the other person")]
    Oneself,
    /// A second answer appeared while the first one was served.
    #[error(
        "someone else has answered the same code\nhint: the code is known to others; make a new one and give it by another way"
    )]
    Interfered,
    /// The other side did not come, or could not be reached, in time.
    #[error("the other side could not be reached within {} s{}", limit.as_secs(), last.as_ref().map(|error| format!(": {error}")).unwrap_or_default())]
    NotReached {
        /// How long it was tried.
        limit: Duration,
        /// What went wrong last.
        last: Option<SessionError>,
    },
    /// The other side said no.
    #[error(
        "the other side declined\nhint: begin again with a new code, and compare the check on both screens"
    )]
    Declined,
    /// The other side ended before it had agreed.
    #[error("the other side stopped before it had agreed\nhint: begin again, with a new code")]
    Left,
    /// The other side has not said yes in time.
    #[error("the other side has not confirmed within {} s", limit.as_secs())]
    NotConfirmed {
        /// How long it had.
        limit: Duration,
    },
    /// What the other side sent is invalid.
    #[error("the other side broke the protocol: {problem}")]
    Protocol {
        /// How.
        problem: String,
    },
    /// The card is too long to hand over.
    #[error("a card of {len} bytes is longer than {limit}")]
    CardTooLong {
        /// Its length, in bytes.
        len: usize,
        /// The limit, in bytes.
        limit: usize,
    },
    /// The relay can't be asked.
    #[error(transparent)]
    Relay(#[from] RelayError),
    /// A record can't be made or opened.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The single-use identity or its lane can't be made.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// A key can't be made.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes for a code")]
    NoRandomness(#[source] getrandom::Error),
    /// The socket can't be used.
    #[error("could not listen for the other side: {source}")]
    Socket {
        /// The system's error.
        source: std::io::Error,
    },
}
