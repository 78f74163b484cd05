//! Connecting at given addresses while the other peer does the same: a session counts whichever
//! side dialled it, and a lost one is taken up again exactly if it has a keeper.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::super::event::DisconnectReason;
use super::super::{ConnectError, Peer, SessionState};
use super::lonely_peer;
use crate::reconnect::Role;
use crate::session::wire::RefusalReason;
use crate::session::{SessionError, lane};

/// Two peers, the one that has precedence first.
async fn pair() -> [Arc<Peer>; 2] {
    let (one, other) = (lonely_peer().await, lonely_peer().await);
    let mut pair = [Arc::new(one), Arc::new(other)];
    if Role::of(&pair[0].fingerprint(), &pair[1].fingerprint()) == Role::Responder {
        pair.reverse();
    }
    pair
}

async fn close(peers: [Arc<Peer>; 2]) {
    for peer in peers {
        Arc::into_inner(peer).unwrap().close().await.unwrap();
    }
}

/// `alice` connects to `bob` at the address of `socket`.
fn connecting(alice: &Arc<Peer>, bob: &Peer, socket: &TcpListener) -> JoinHandle<Result<(), ConnectError>> {
    let (alice, remote) = (alice.clone(), bob.fingerprint());
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move { alice.connect_directly(&remote, &[address]).await })
}

/// `bob` connects to `alice`, which is connecting to `bob`.
async fn dial_back(bob: &Peer, alice: &Peer) {
    let connected = bob
        .connect_directly(&alice.fingerprint(), &[alice.local_addr()])
        .await;
    connected.unwrap();
}

fn is_kept(peer: &Peer) -> bool {
    peer.keeper.lock().unwrap().is_some()
}

async fn socket() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

#[tokio::test]
async fn a_session_that_the_other_side_made_counts_as_connected_and_is_kept() {
    for alice_is in [0, 1] {
        let pair = pair().await;
        let (alice, bob) = (&pair[alice_is], &pair[1 - alice_is]);
        let silent = socket().await;
        let outcome = connecting(alice, bob, &silent);
        let _unanswered = silent.accept().await.unwrap();
        dial_back(bob, alice).await;
        outcome.await.unwrap().unwrap();
        assert!(is_kept(alice) && is_kept(bob));
        close(pair).await;
    }
}

/// Which side decides that the other side's dial has precedence.
#[derive(Debug, Clone, Copy)]
enum Decided {
    Here,
    There,
}

#[tokio::test]
async fn a_dial_that_gives_way_waits_for_the_session_that_it_gives_way_to() {
    for decided in [Decided::Here, Decided::There] {
        let pair = pair().await;
        let [bob, alice] = &pair;
        let bobs = socket().await;
        let outcome = connecting(alice, bob, &bobs);
        let (tcp, _) = bobs.accept().await.unwrap();
        bob.expect(&alice.fingerprint()).unwrap();
        let server = bob
            .context
            .dialling
            .tls
            .server_config(bob.context.current.expected.clone())
            .unwrap();
        match decided {
            Decided::Here => {
                assert!(alice.context.dialling.crossings.admit(Role::Responder));
                assert!(lane::accept(tcp, server).await.is_err());
            }
            Decided::There => {
                let lane = lane::accept(tcp, server).await.unwrap();
                lane.refuse(RefusalReason::Crossing).await.unwrap();
            }
        }
        dial_back(bob, alice).await;
        let outcome = outcome.await.unwrap();
        assert!(outcome.is_ok(), "{decided:?}: {outcome:?}");
        assert!(is_kept(alice));
        close(pair).await;
    }
}

/// How a call that connects ends without a session.
#[derive(Debug, Clone, Copy)]
enum End {
    Failed,
    Dropped,
}

#[tokio::test]
async fn a_session_made_after_the_call_has_ended_is_not_taken_up_again() {
    for end in [End::Failed, End::Dropped] {
        let (pair, mallory) = (pair().await, lonely_peer().await);
        let [alice, bob] = &pair;
        match end {
            End::Failed => {
                let outcome = alice
                    .connect_directly(&bob.fingerprint(), &[mallory.local_addr()])
                    .await;
                assert!(matches!(
                    outcome,
                    Err(ConnectError::Session(SessionError::WrongFingerprint { .. }))
                ));
            }
            End::Dropped => {
                let remote = bob.fingerprint();
                let mut call = Box::pin(alice.connect(&remote));
                let begun = poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx))).await;
                assert!(begun.is_pending(), "{begun:?}");
                assert_eq!(alice.status().state, SessionState::Connecting);
            }
        }
        assert_eq!(alice.status().state, SessionState::Disconnected, "{end:?}");
        dial_back(bob, alice).await;
        let mut status = alice.context.current.watch_status();
        drop(
            status
                .wait_for(|status| status.state == SessionState::Connected)
                .await,
        );
        // Bob does not get in again, so the state after the loss stays.
        assert!(alice.context.current.expect_nobody());
        alice
            .context
            .current
            .session()
            .unwrap()
            .end(DisconnectReason::Unresponsive);
        let lost = status
            .wait_for(|status| status.state != SessionState::Connected)
            .await;
        assert_eq!(lost.unwrap().state, SessionState::Disconnected, "{end:?}");
        assert!(!is_kept(alice));
        close(pair).await;
        mallory.close().await.unwrap();
    }
}
