//! The status of a peer.

use std::time::Duration;

use super::event::Initiator;
use crate::health::Health;
use crate::identity::Fingerprint;

/// The status of a peer at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Status {
    /// Whether it has a session.
    pub state: SessionState,
    /// The peer that it is connected to, or was last.
    pub peer: Option<Fingerprint>,
    /// Which side dialled the present session.
    pub initiator: Option<Initiator>,
    /// The health of the present session; `None` until it is first measured, which counts as
    /// healthy.
    pub health: Option<Health>,
    /// The moving average of the heartbeat's round trip in the present session.
    pub round_trip: Option<Duration>,
}

/// Whether a peer has a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum SessionState {
    /// It has no session and does not search for one.
    #[default]
    Disconnected,
    /// The peer searches for its first session.
    Connecting,
    /// It has a session.
    Connected,
    /// The session was lost and is being taken up again.
    Reconnecting,
}
