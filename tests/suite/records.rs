//! Which contact records from a relay a peer accepts.

use std::time::Duration;

use tandem_core::clock::Clock;
use tandem_core::identity::Identity;
use tandem_core::peer::{ConnectError, LoopbackPeers, PeerConfig};
use tandem_core::rendezvous::{ContactRecord, LookupToken, RecordError, RelayClient};
use tandem_tests::ports::{self, Claim};
use tandem_tests::universe::Universe;

/// An attacker that publishes records by hand. Connections to its port are never accepted.
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

    /// The error that alice gets when she can't connect.
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
async fn a_record_older_than_one_seen_before_is_refused() {
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
async fn a_loopback_address_in_a_record_is_not_dialled_by_default() {
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
    assert!(
        mallory.port.listener.accept().is_err(),
        "a peer dialled the address of the record"
    );
    drop(mallory);
    universe.close().await;
}
