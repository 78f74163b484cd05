//! A fetch may wait until its token is registered.

use std::time::Duration;

use tandem_relay::Limits;

use crate::target::{Setup, Target, request, token};
use crate::wire::Wire;

/// A fetch of alice's blob that would wait for `secs`, sent and not answered yet.
async fn begin_fetch(addr: std::net::SocketAddr, secs: u64) -> Wire {
    let mut wire = Wire::connect(addr).await;
    let fetch = request("GET", "/fetch", &token("alice"));
    wire.writer
        .send(&fetch.replace("Host:", &format!("Prefer: wait={secs}\r\nHost:")))
        .await;
    wire
}

pub(crate) async fn a_fetch_that_waits_is_answered_when_its_token_is_registered(target: Target) {
    let relay = target.start().await;
    let mut waiting = begin_fetch(relay.addr, 20).await;
    for round in 0..8 {
        assert_eq!(
            relay
                .register(&format!("other{round}"), "of another")
                .await
                .status,
            201
        );
    }
    assert_eq!(relay.register("alice", "of alice").await.status, 201);
    let reply = waiting.reader.reply().await;
    assert_eq!((reply.status, &*reply.body), (200, r#"{"blob":"of alice"}"#));
    let at_once = begin_fetch(relay.addr, 20).await.reader.reply().await;
    assert_eq!(at_once.status, 200);
    relay.close().await;
}

pub(crate) async fn a_fetch_that_waits_in_vain_is_404(target: Target) {
    let relay = target.start().await;
    let mut waiting = begin_fetch(relay.addr, 1).await;
    waiting.reader.reply().await.refusal(404);
    relay.close().await;
}

pub(crate) async fn a_stopping_relay_waits_no_longer(target: Target) {
    let limits = Limits {
        drain_timeout: Duration::from_secs(60),
        ..Limits::default()
    };
    let relay = target
        .start_with(Setup {
            limits,
            ..Setup::default()
        })
        .await;
    let mut waiting = begin_fetch(relay.addr, 20).await;
    // The fetch was read when a later connection has been answered.
    relay.fetch("bob").await.refusal(404);
    let (_, reply) = tokio::join!(relay.close(), waiting.reader.reply());
    reply.refusal(404);
}
