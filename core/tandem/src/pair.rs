//! What `share` and `join` have in common: a peer of this person's identity, the relay to ask, and
//! the steps from a meeting to a session.

use std::net::SocketAddr;
use std::sync::Arc;

use tandem_core::clock::Clock;
use tandem_core::identity::{Fingerprint, Identity};
use tandem_core::pairing::{Meeting, PairingConfig};
use tandem_core::peer::{LoopbackPeers, Peer, PeerConfig};
use tandem_core::rendezvous::RelayClient;
use tandem_core::session::dialable;
use url::Url;

use crate::card::Card;
use crate::exit::{Exit, Failure, OrExit};
use crate::home::Home;
use crate::relay_here;
use crate::screen;

/// Whether both people compare the check before anything is shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verify {
    /// Each side asks its person.
    Ask,
    /// The check is only shown.
    Show,
}

/// This person's peer, and the identity that signs introductions.
#[derive(Debug)]
pub(crate) struct Own {
    pub(crate) peer: Peer,
    pub(crate) identity: Arc<Identity>,
}

impl Own {
    /// Starts the peer.
    pub(crate) async fn start(home: &Home, relay: &Url) -> Result<Self, Failure> {
        let listener = relay_here::listen().or_exit(Exit::LocalDisk)?;
        let config = PeerConfig::new(relay.clone())
            .identity(home.identity()?)
            .listener(listener);
        Ok(Self {
            peer: Peer::start(config).await.or_exit(Exit::LocalDisk)?,
            identity: Arc::new(home.identity()?),
        })
    }

    /// How this side pairs by that relay.
    pub(crate) fn pairing(&self, relay: &Url) -> Result<PairingConfig, Failure> {
        Ok(PairingConfig {
            relay: RelayClient::new(relay.clone()).or_exit(Exit::Usage)?,
            listener: relay_here::listen().or_exit(Exit::LocalDisk)?,
            advertised: Vec::new(),
            loopback_peers: LoopbackPeers::default(),
            clock: Clock::system(),
        })
    }

    /// Shows the check, lets the person compare it if that is wanted, and agrees.
    pub(crate) async fn agree(meeting: Meeting, verify: Verify) -> Result<Friend, Failure> {
        let friend = Friend {
            fingerprint: meeting.remote(),
            card: Card::read(meeting.card())?,
        };
        screen::say(format_args!(
            "check of this pair: {} (both screens must show the same)",
            meeting.check()
        ));
        if verify == Verify::Ask {
            let question = "is it the same on the other side's screen?";
            let asked = tokio::task::spawn_blocking(|| screen::agrees(question)).await;
            if !asked.or_exit(Exit::LocalDisk)?? {
                meeting.decline().await;
                return Err(Failure::new(Exit::Refused, "you declined; nothing was shared"));
            }
        }
        meeting.confirm().await?;
        Ok(friend)
    }

    /// Closes the peer.
    pub(crate) async fn close(self) {
        if self.peer.close().await.is_err() {
            screen::say("some tasks did not end in time");
        }
    }

    /// Connects to the other side, at the addresses that it has named.
    pub(crate) async fn connect(&self, friend: &Friend) -> Result<(), Failure> {
        let addresses = friend.addresses();
        Ok(self
            .peer
            .connect_directly(&friend.fingerprint, &addresses)
            .await?)
    }
}

/// The other side, as we know it after a meeting.
#[derive(Debug)]
pub(crate) struct Friend {
    pub(crate) fingerprint: Fingerprint,
    pub(crate) card: Card,
}

impl Friend {
    fn addresses(&self) -> Vec<SocketAddr> {
        dialable(&self.card.addresses, LoopbackPeers::default())
    }
}
