//! A relay that does not answer, and a pair that has connected before.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::timeout;

use super::super::event::DisconnectReason;
use super::super::{Peer, PeerConfig};
use super::lonely_peer;
use crate::reconnect::ReconnectConfig;
use crate::rendezvous::RelayTimeouts;

const PATIENCE: Duration = Duration::from_secs(20);
/// Longer than the test waits.
const LONG: Duration = Duration::from_secs(1000);

/// Accepts records and never answers; it has no records to give out.
async fn stall(relay: TcpListener) {
    let mut held = Vec::new();
    while let Ok((mut client, _)) = relay.accept().await {
        let mut method = [0; 4];
        if client.read_exact(&mut method).await.is_ok() && method != *b"POST" {
            let nothing = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            drop(client.write_all(nothing).await);
        }
        held.push(client);
    }
}

#[tokio::test]
async fn a_lost_session_comes_back_even_if_the_relay_never_accepts_a_record() {
    let relay = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", relay.local_addr().unwrap()).parse().unwrap();
    let stalling = tokio::spawn(stall(relay));
    let config = PeerConfig::new(url)
        .listen("127.0.0.1:0".parse().unwrap())
        .relay_timeouts(RelayTimeouts {
            request: LONG,
            ..RelayTimeouts::default()
        })
        .reconnect(ReconnectConfig {
            patience: Duration::from_millis(5),
            attempt_timeout: LONG,
            ..ReconnectConfig::default()
        });
    let (alice, bob) = (Peer::start(config).await.unwrap(), lonely_peer().await);
    bob.expect(&alice.fingerprint()).unwrap();
    alice
        .connect_directly(&bob.fingerprint(), &[bob.local_addr()])
        .await
        .unwrap();
    let mut sessions = alice.context.current.watch_session();
    let lost = alice.context.current.session().unwrap();
    let error = "cut".to_owned();
    lost.end(DisconnectReason::Lost { error });
    let back = sessions.wait_for(|session| {
        let session = session.as_ref().filter(|session| !session.has_ended());
        session.is_some_and(|session| session.id != lost.id)
    });
    assert!(
        timeout(PATIENCE, back).await.is_ok(),
        "the session does not come back"
    );
    alice.close().await.unwrap();
    bob.close().await.unwrap();
    stalling.abort();
}
