//! Pairing: two people get to know each other's peer by a code that one gives to the other.
//!
//! Each side makes an identity for this one use. The inviter leaves the address of its own at the
//! relay, the joiner answers with its own, and they connect, pinned to these. Inside they exchange
//! the fingerprints that last, signed over that connection. So a code that is found later opens
//! nothing, and the session that follows needs no second decision about trust. The first answer
//! wins; the inviter ends the invitation with it.
//!
//! Someone who has the code while it is open can still sit between the two: whoever knows a token
//! can replace the record under it at the relay. The [`PairCheck`] is the same on both screens only
//! if nobody does.
//!
//! Owns the invitation from its code to the [`Meeting`]. Does not own what the two share, nor what
//! is remembered of the other side: the *card* that each side hands over is bytes to this module.

mod doorway;
mod error;
mod introduction;
mod inviter;
mod joiner;
mod meeting;

use std::net::{SocketAddr, TcpListener};

pub use error::PairingError;
pub use introduction::PairCheck;
pub use inviter::Invitation;
pub use joiner::join;
pub use meeting::Meeting;

use crate::clock::Clock;
use crate::rendezvous::RelayClient;
use crate::session::LoopbackPeers;

/// How to pair: where the other side is looked for, and where it can reach us.
#[derive(Debug)]
pub struct PairingConfig {
    /// The relay that both sides ask.
    pub relay: RelayClient,
    /// A bound socket on which the other side may reach us.
    pub listener: TcpListener,
    /// Where others reach that socket; if empty, the addresses of this machine.
    pub advertised: Vec<SocketAddr>,
    /// Whether loopback addresses of the other side are dialled.
    pub loopback_peers: LoopbackPeers,
    /// The clock of records and deadlines.
    pub clock: Clock,
}
