//! What a peer believes of the contact record that a relay hands out.

use std::time::Duration;

use tandem_core::clock::Clock;
use tandem_core::identity::Identity;
use tandem_core::peer::{ConnectError, LoopbackPeers, PeerConfig};
use tandem_core::rendezvous::{ContactRecord, LookupToken, RecordError, RelayClient};
use tandem_tests::ports::{self, Claim};
use tandem_tests::universe::Universe;

/// Somebody who publishes records by hand. Nobody accepts what reaches the claimed port.
struct Mallory {
    identity: Identity,
    port: Claim,
}

impl Mallory {
    fn new() -> Self {
        Self {
            identity: Identity::ephemeral().unwrap(),
            port: ports::claim_anywhere().unwrap(),
        }
    }

    async fn publishes(&self, universe: &Universe, issued_unix_ms: u64) {
        let record = ContactRecord::new(self.identity.public_key(), vec![self.port.addr], issued_unix_ms);
        let sealed = record.unwrap().seal(&self.identity).unwrap();
        let token = LookupToken::of(&self.identity.fingerprint());
        let client = RelayClient::new(universe.relay.url()).unwrap();
        client.publish(&token, &sealed).await.unwrap();
    }

    /// What alice says when she can't connect.
    async fn refused_by_alice(&self, universe: &Universe) -> ConnectError {
        let fingerprint = self.identity.fingerprint();
        universe.alice.peer().connect(&fingerprint).await.unwrap_err()
    }
}

fn impatient(config: PeerConfig) -> PeerConfig {
    config
        .connect_timeout(Duration::from_millis(150))
        .initiator_patience(Duration::ZERO)
}

#[tokio::test]
async fn a_record_older_than_one_that_was_seen_is_refused() {
    let universe = Universe::builder().strangers().configure(impatient).build().await;
    let (mallory, now) = (Mallory::new(), Clock::system().unix_ms());
    mallory.publishes(&universe, now).await;
    let refusal = mallory.refused_by_alice(&universe).await;
    assert!(!matches!(refusal, ConnectError::Record(_)), "{refusal:?}");
    mallory.publishes(&universe, now - 90_000).await;
    let refusal = mallory.refused_by_alice(&universe).await;
    assert!(
        matches!(&refusal, ConnectError::Record(RecordError::Superseded { by }) if by.as_secs() == 90),
        "{refusal:?}"
    );
    let text = refusal.to_string();
    assert!(text.contains("90 s older") && text.contains("hint:"), "{text}");
    drop(mallory);
    universe.close().await;
}

#[tokio::test]
async fn a_loopback_address_in_a_record_is_not_dialled_where_that_was_not_asked_for() {
    let careful = |config| impatient(config).loopback_peers(LoopbackPeers::Refused);
    let universe = Universe::builder().strangers().configure(careful).build().await;
    let mallory = Mallory::new();
    mallory.publishes(&universe, Clock::system().unix_ms()).await;
    let refusal = mallory.refused_by_alice(&universe).await;
    assert!(
        matches!(refusal, ConnectError::NothingToDial { .. }),
        "{refusal:?}"
    );
    let text = refusal.to_string();
    assert!(
        text.contains(&mallory.port.addr.to_string()) && text.contains("hint:"),
        "{text}"
    );
    mallory.port.listener.set_nonblocking(true).unwrap();
    assert!(mallory.port.listener.accept().is_err(), "somebody dialled");
    drop(mallory);
    universe.close().await;
}
