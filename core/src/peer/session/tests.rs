//! How a session handles single messages of the other side.

use std::time::Duration;

use tokio::time::timeout;
use tracing::Level;

use super::*;
use crate::catalog::{Catalog, Dot, ReplicaId};
use crate::peer::{Peer, PeerConfig};
use crate::recorded_log::RecordedLog;

const PATIENCE: Duration = Duration::from_secs(20);

async fn started() -> Peer {
    let config = PeerConfig::new("http://127.0.0.1:9".parse().unwrap());
    Peer::start(config.listen("127.0.0.1:0".parse().unwrap()))
        .await
        .unwrap()
}

#[tokio::test]
async fn a_lane_that_is_asked_for_too_often_is_not_dialled_at_once() {
    let (alice, bob) = (started().await, started().await);
    bob.expect(&alice.fingerprint()).unwrap();
    let (who, at) = (bob.fingerprint(), [bob.local_addr()]);
    alice.connect_directly(&who, &at).await.unwrap();
    let session = alice.context.current.session().unwrap();
    let mut slot = bob.context.current.watch_session();
    let found = timeout(PATIENCE, slot.wait_for(Option::is_some)).await;
    let other = found.unwrap().unwrap().clone().unwrap();
    // As after many messages of this kind: the next turn is far away.
    for _ in 0..10_000 {
        session.lanes.dial_turn(alice.context.runtime.clock.now());
    }
    let mut arrival = other.lanes.want();
    session.take_message(&alice.context, Some(Ok(ControlMessage::WantLane)));
    // What is dialled for this side has no such turn, and takes as long as a lane for the other.
    for _ in 0..3 {
        let lane = session.dial_lane(&alice.context, Requester::Dialler).await;
        drop(lane.unwrap());
    }
    assert!(arrival.try_recv().is_err(), "it was dialled at once");
    alice.close().await.unwrap();
    bob.close().await.unwrap();
}

// On one thread, so no task takes the marked entries before the test has looked.
#[tokio::test]
async fn one_digest_in_a_session_is_answered() {
    let (alice, bob) = (started().await, started().await);
    let root = tempfile::tempdir().unwrap();
    std::fs::write(root.path().join("file"), b"text").unwrap();
    drop(bob.add(root.path().join("file")).await.unwrap());
    let mut events = alice.events();
    bob.expect(&alice.fingerprint()).unwrap();
    let (who, at) = (bob.fingerprint(), [bob.local_addr()]);
    alice.connect_directly(&who, &at).await.unwrap();
    // Bob sends his file because of Alice's digest.
    let arrived = async { while !matches!(events.next().await.unwrap(), Event::Catalog(_)) {} };
    timeout(PATIENCE, arrived).await.unwrap();
    let session = bob.context.current.session().unwrap();
    let empty = Catalog::new(ReplicaId {
        fingerprint: who,
        incarnation: 1,
    });
    let again = ControlMessage::Digest(empty.digest());
    let health = session.take_message(&bob.context, Some(Ok(again)));
    assert_eq!(health, Some(HealthEvent::Received));
    assert!(!session.outgoing.has_any(), "all entries are sent again");
    alice.close().await.unwrap();
    bob.close().await.unwrap();
}

// On one thread, so no task takes the marked entries before the test has looked.
#[tokio::test]
async fn a_version_that_comes_back_because_it_was_undone_unseen_is_sent() {
    let (alice, bob) = (started().await, started().await);
    let root = tempfile::tempdir().unwrap();
    std::fs::write(root.path().join("file"), b"text").unwrap();
    let name = alice.add(root.path().join("file")).await.unwrap();
    let mut events = bob.events();
    bob.expect(&alice.fingerprint()).unwrap();
    let (who, at) = (bob.fingerprint(), [bob.local_addr()]);
    alice.connect_directly(&who, &at).await.unwrap();
    let arrived = async { while !matches!(events.next().await.unwrap(), Event::Catalog(_)) {} };
    timeout(PATIENCE, arrived).await.unwrap();
    let session = alice.context.current.session().unwrap();
    assert!(!session.outgoing.has_any());
    let mut states = alice.share.files().catalog.all_states();
    for (_, state) in &mut states {
        let replica = alice.share.files().catalog.replica();
        let counter = state.place.stamp.counter + 10;
        state.seen.note(Dot { counter, replica });
        state.versions.clear();
    }
    alice.share.merge(states).unwrap();
    assert!(alice.share.files().file(&name).is_some());
    assert!(session.outgoing.has_any());
    alice.close().await.unwrap();
    bob.close().await.unwrap();
}

// On one thread, so no task sends a message while the test receives pings.
#[tokio::test]
async fn a_peer_that_pings_and_never_reads_is_logged_once() {
    let (alice, bob) = (started().await, started().await);
    bob.expect(&alice.fingerprint()).unwrap();
    let (who, at) = (bob.fingerprint(), [bob.local_addr()]);
    alice.connect_directly(&who, &at).await.unwrap();
    let session = alice.context.current.session().unwrap();
    let warnings = RecordedLog::of("tandem_core", Level::WARN);
    tracing::subscriber::with_default(warnings.clone(), || {
        for nonce in 0..1000 {
            session.take_message(&alice.context, Some(Ok(ControlMessage::Ping { nonce })));
        }
    });
    assert_eq!(warnings.lines().len(), 1);
    alice.close().await.unwrap();
    bob.close().await.unwrap();
}
