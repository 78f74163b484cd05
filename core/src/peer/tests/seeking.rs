//! Two peers that know each other find each other again, without a relay.

use std::net::SocketAddr;

use tokio::time::timeout;

use super::super::{ConnectError, Event, Peer, PeerConfig};
use crate::identity::Identity;
use crate::limits::RECONNECT_PATIENCE;

async fn peer(identity: Identity, at: SocketAddr) -> Peer {
    let config = PeerConfig::without_relay().identity(identity).listen(at);
    Peer::start(config).await.unwrap()
}

/// Two identities, the one with the lower fingerprint first: it is the one that dials when a
/// session was lost.
fn identities() -> [Identity; 2] {
    let mut both = [(), ()].map(|()| Identity::ephemeral().unwrap());
    both.sort_by_key(Identity::fingerprint);
    both
}

#[tokio::test]
async fn whoever_seeks_dials_at_once_though_the_other_side_only_waits() {
    let [lower, higher] = identities();
    let any = "127.0.0.1:0".parse().unwrap();
    let (waits, seeks) = (peer(lower, any).await, peer(higher, any).await);
    waits.expect(&seeks.fingerprint()).unwrap();
    let mut events = seeks.events();
    seeks.seek(&waits.fingerprint(), &[waits.local_addr()]).unwrap();
    let connected = async { while !matches!(events.next().await.unwrap(), Event::Connected { .. }) {} };
    // Without that dial, the higher fingerprint waits for its patience first.
    timeout(RECONNECT_PATIENCE / 2, connected).await.unwrap();
    assert_eq!(seeks.remote_addresses(), [waits.local_addr()]);
    seeks.close().await.unwrap();
    waits.close().await.unwrap();
}

#[tokio::test]
async fn a_peer_without_a_relay_can_not_be_found_by_its_fingerprint_alone() {
    let [one, other] = identities();
    let peer = peer(one, "127.0.0.1:0".parse().unwrap()).await;
    let error = peer.connect(&other.fingerprint()).await.unwrap_err();
    assert!(matches!(error, ConnectError::NoRelay), "{error}");
    peer.close().await.unwrap();
}
