//! The authenticated encrypted channel between two peers: TLS 1.3 lanes over TCP.
//!
//! Owns the handshake (`tls`), the first messages on a lane (`wire`, `lane`), dialling a peer
//! (`dial`) and letting one in (`listener`). A session is one control lane and the data lanes that
//! name its id. What later messages *mean* is decided by the layers above, the catalog and the
//! transfers.
//!
//! A session has no multiplexer. Small messages share one lane. Contents have lanes of their own,
//! each strictly request and answer, driven by blocking threads on page-aligned buffers, because
//! that moves bytes fastest.

pub(crate) mod addresses;
pub(crate) mod blocking;
pub(crate) mod crossing;
pub(crate) mod dial;
mod error;
pub(crate) mod lane;
pub(crate) mod listener;
mod slots;
#[cfg(test)]
mod tests;
pub(crate) mod tls;
pub(crate) mod wire;

pub use addresses::{LoopbackPeers, candidates, dialable};
pub use error::SessionError;
pub(crate) use lane::SessionId;
pub use wire::{RefusalReason, WireError};
