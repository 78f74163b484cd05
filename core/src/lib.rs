//! The tandem peer.
