//! Why a session could not be made, or why it ended.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::wire::{RefusalReason, WireError};

/// Why a lane or a whole session could not be made, or why it ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// No candidate address could be reached.
    #[error(
        "none of the peer's addresses could be reached ({tried})\nhint: is a firewall between you, or has the peer just moved?"
    )]
    Unreachable {
        /// Each address with its own error, for a person.
        tried: String,
    },
    /// The key that the other side proved is not the one its fingerprint commits to.
    #[error(
        "the peer at `{address}` has another identity than the fingerprint you gave\nhint: compare the fingerprint with its owner again"
    )]
    WrongFingerprint {
        /// The address that answered.
        address: SocketAddr,
    },
    /// The other side checked our identity and refused it.
    #[error(
        "the peer at `{address}` refused us\nhint: it must connect to your fingerprint, as you connect to its own"
    )]
    Refused {
        /// The address that refused.
        address: SocketAddr,
    },
    /// The peer of this lane was expected when the lane was opened, but no longer is.
    #[error("the peer at `{address}` is no longer expected\nhint: connect to its fingerprint again")]
    NotExpected {
        /// Where it is.
        address: SocketAddr,
    },
    /// The other side is a tandem peer but declined this lane.
    #[error("the peer at `{address}` declined the lane: {reason}")]
    Declined {
        /// The address that declined.
        address: SocketAddr,
        /// Its reason.
        reason: RefusalReason,
    },
    /// The TLS handshake failed for a reason that is not an identity.
    #[error("the handshake with `{address}` failed: {source}")]
    Handshake {
        /// The other side's address.
        address: SocketAddr,
        /// The error of TLS.
        source: io::Error,
    },
    /// The handshake or the greeting took too long.
    #[error("the handshake with `{address}` did not end within {limit:?}")]
    HandshakeTimeout {
        /// The other side's address.
        address: SocketAddr,
        /// The limit it had.
        limit: Duration,
    },
    /// What the other side wrote is not our protocol.
    #[error("the peer at `{address}` broke the protocol: {source}")]
    Protocol {
        /// The other side's address.
        address: SocketAddr,
        /// How.
        source: WireError,
    },
    /// The TLS configuration could not be built.
    #[error("could not prepare TLS: {source}")]
    Tls {
        /// The error of rustls.
        #[from]
        source: rustls::Error,
    },
    /// A socket could not be prepared.
    #[error("could not prepare the connection: {source}")]
    Io {
        /// The system's error.
        #[from]
        source: io::Error,
    },
    /// A lane broke while it was in use.
    #[error("a lane to the peer broke: {source}")]
    Lane {
        /// How.
        source: WireError,
    },
    /// The session ended while it was needed.
    #[error("the session with the peer ended")]
    Ended,
}

impl SessionError {
    /// Whether the other side is making the session by its own dial, which has precedence.
    pub(crate) fn is_crossing(&self) -> bool {
        let reason = RefusalReason::Crossing;
        matches!(self, Self::Declined { reason: found, .. } if *found == reason)
    }
}
