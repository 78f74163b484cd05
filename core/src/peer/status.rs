//! How a peer is, at a glance.

use std::time::Duration;

use super::event::Initiator;
use crate::health::Health;
use crate::identity::Fingerprint;

/// How a peer is at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Status {
    /// Whether it has a session.
    pub state: SessionState,
    /// Whom it is, or was last, connected to.
    pub peer: Option<Fingerprint>,
    /// Which side dialled the present session.
    pub initiator: Option<Initiator>,
    /// How the present session is; `None` before its first judgement, which means healthy.
    pub health: Option<Health>,
    /// The moving average of the heartbeat's round trip in the present session.
    pub round_trip: Option<Duration>,
}

/// Whether a peer has a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum SessionState {
    /// There is none, and no search for one.
    #[default]
    Disconnected,
    /// The peer searches for its first session.
    Connecting,
    /// There is one.
    Connected,
    /// The session was lost and is being taken up again.
    Reconnecting,
}
