//! Which peer is let in when the expectation changes at the worst moment.

use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::super::event::{DisconnectReason, Initiator};
use super::super::{ConnectError, Peer, SessionState};
use super::lonely_peer;
use crate::clock::Clock;
use crate::session::SessionError;
use crate::session::lane::{self, KnockingLane, OpenLane};
use crate::session::listener::Gate as _;
use crate::session::wire::{Purpose, Requester};

const PATIENCE: Duration = Duration::from_secs(20);

type Dialling = JoinHandle<Result<OpenLane, SessionError>>;

/// `dialler` dials `listener`: the key is checked and the hello is read, but not answered yet.
async fn judged(dialler: &Peer, listener: &Peer, purpose: Purpose) -> (Dialling, KnockingLane) {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let config = dialler
        .context
        .dialling
        .tls
        .client_config(listener.fingerprint())
        .unwrap();
    let dialling = tokio::spawn(async move {
        let tcp = TcpStream::connect(address).await?;
        let deadline = Clock::system().now() + PATIENCE;
        lane::reach(tcp, config, deadline).await?.ask(purpose).await
    });
    let (tcp, _) = socket.accept().await.unwrap();
    let expected = listener.context.current.expected.clone();
    let config = listener.context.dialling.tls.server_config(expected).unwrap();
    (dialling, lane::accept(tcp, config).await.unwrap())
}

async fn answer(dialling: Dialling) -> Result<OpenLane, SessionError> {
    timeout(PATIENCE, dialling).await.unwrap().unwrap()
}

async fn connect(dialler: &Peer, listener: &Peer) {
    listener.expect(&dialler.fingerprint()).unwrap();
    dialler
        .connect_directly(&listener.fingerprint(), &[listener.local_addr()])
        .await
        .unwrap();
}

async fn close(peers: [Peer; 3]) {
    for peer in peers {
        peer.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_peer_that_is_no_longer_expected_is_refused_at_its_late_hello() {
    let (alice, bob, carol) = (lonely_peer().await, lonely_peer().await, lonely_peer().await);
    alice.expect(&bob.fingerprint()).unwrap();
    let (dialling, late) = judged(&bob, &alice, Purpose::Control).await;
    connect(&carol, &alice).await;
    alice.context.clone().knock(late).await;
    let answered = answer(dialling).await;
    assert!(
        matches!(answered, Err(SessionError::Refused { .. })),
        "{answered:?}"
    );
    let session = alice.context.current.session().unwrap();
    assert!(session.remote == carol.fingerprint() && !session.has_ended());
    close([alice, bob, carol]).await;
}

#[tokio::test]
async fn a_lane_whose_peer_is_no_longer_expected_does_not_become_the_session() {
    let (alice, bob, carol) = (lonely_peer().await, lonely_peer().await, lonely_peer().await);
    alice.expect(&bob.fingerprint()).unwrap();
    let (dialling, lane) = judged(&bob, &alice, Purpose::Control).await;
    let welcomed = lane.welcome().await.unwrap();
    let dialled = answer(dialling).await.unwrap();
    alice.expect(&carol.fingerprint()).unwrap();
    assert!(alice.context.install(welcomed, Initiator::Them).is_err());
    assert!(alice.context.current.session().is_none());
    // The same for a lane that this side dialled.
    bob.expect(&carol.fingerprint()).unwrap();
    assert!(bob.context.install(dialled, Initiator::Us).is_err());
    assert!(bob.context.current.session().is_none());
    close([alice, bob, carol]).await;
}

#[tokio::test]
async fn no_other_peer_can_be_expected_during_a_session() {
    let (alice, bob, carol) = (lonely_peer().await, lonely_peer().await, lonely_peer().await);
    connect(&bob, &alice).await;
    let refusal = alice.expect(&carol.fingerprint()).unwrap_err();
    assert!(matches!(refusal, ConnectError::Engaged { other } if other == bob.fingerprint()));
    assert_eq!(alice.context.current.expected.current(), Some(bob.fingerprint()));
    close([alice, bob, carol]).await;
}

#[tokio::test]
async fn a_data_lane_is_only_for_the_peer_of_its_session() {
    let (alice, bob, carol) = (lonely_peer().await, lonely_peer().await, lonely_peer().await);
    // Bob has learned the secret of the session of alice and carol, and was expected a moment ago.
    alice.expect(&bob.fingerprint()).unwrap();
    let mut knocking = Vec::new();
    for _ in 0..2 {
        // Its purpose is replaced once the session exists.
        knocking.push(judged(&bob, &alice, Purpose::Control).await);
    }
    connect(&carol, &alice).await;
    let session = alice.context.current.session().unwrap();
    for (requester, (dialling, mut lane)) in [Requester::Dialler, Requester::Listener]
        .into_iter()
        .zip(knocking)
    {
        lane.purpose = Purpose::Data {
            session: session.id.0,
            requester,
        };
        alice.context.clone().knock(lane).await;
        let answered = answer(dialling).await;
        assert!(
            matches!(answered, Err(SessionError::Refused { .. })),
            "{requester:?}: {answered:?}"
        );
    }
    close([alice, bob, carol]).await;
}

#[tokio::test]
async fn a_peer_that_turned_to_another_does_not_take_up_the_former_session() {
    let (alice, bob, carol) = (lonely_peer().await, lonely_peer().await, lonely_peer().await);
    connect(&alice, &bob).await;
    let session = alice.context.current.session().unwrap();
    // Bob does not let alice in again, so alice goes on trying.
    assert!(bob.context.current.expect_nobody());
    session.end(DisconnectReason::Unresponsive);
    let mut status = alice.context.current.watch_status();
    let reconnecting = status.wait_for(|status| status.state == SessionState::Reconnecting);
    timeout(PATIENCE, reconnecting).await.unwrap().unwrap();
    assert!(alice.keeper.lock().unwrap().is_some());
    alice.expect(&carol.fingerprint()).unwrap();
    assert!(alice.keeper.lock().unwrap().is_none());
    assert_eq!(alice.status().state, SessionState::Disconnected);
    close([alice, bob, carol]).await;
}
