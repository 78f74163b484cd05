//! Helpers for the programs of this package that run two peers without a universe: start a relay,
//! connect, close.
//!
//! It prints nothing and measures nothing.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::Context as _;
use tandem_core::peer::Peer;
use tandem_relay::{Relay, RelayConfig};

/// Starts a relay on the loopback address of this machine, by IPv6 if available.
pub async fn relay() -> anyhow::Result<Relay> {
    let on = |addr: SocketAddr| Relay::bind(RelayConfig::listen_on(addr));
    match on((Ipv6Addr::LOCALHOST, 0).into()).await {
        Ok(relay) => Ok(relay),
        Err(_) => on((Ipv4Addr::LOCALHOST, 0).into())
            .await
            .context("could not start the relay"),
    }
}

/// Connects two peers of this process.
pub async fn connect(alice: &Peer, bob: &Peer) -> anyhow::Result<()> {
    let (alices, bobs) = (alice.fingerprint(), bob.fingerprint());
    tokio::try_join!(alice.connect(&bobs), bob.connect(&alices))
        .context("could not connect alice and bob")?;
    Ok(())
}

/// Closes the peers, then the relay, and returns how many requests it cut off.
pub async fn close(relay: Relay, peers: [Peer; 2]) -> anyhow::Result<u64> {
    for peer in peers {
        peer.close().await.context("could not close a peer")?;
    }
    Ok(relay.shutdown().await.cut_off_count as u64)
}
