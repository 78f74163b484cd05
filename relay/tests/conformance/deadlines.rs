//! No client holds a connection for longer than its deadlines allow.

use std::time::Duration;

use tandem_relay::api::{BLOB_LEN_MAX, BODY_LEN_MAX};
use tandem_relay::{Limits, StoreLimits};

use crate::target::{RelayUnderTest, Setup, Target, registration_head, request, token};
use crate::wait;
use crate::wire::Wire;

/// Short enough for a test; no check fails because the relay was slow.
const SHORT: Duration = Duration::from_millis(150);

async fn start(target: Target, limits: Limits) -> RelayUnderTest {
    target
        .start_with(Setup {
            limits,
            ..Setup::default()
        })
        .await
}

async fn start_with_header_timeout(target: Target) -> RelayUnderTest {
    start(
        target,
        Limits {
            header_timeout: SHORT,
            ..Limits::default()
        },
    )
    .await
}

async fn start_with_body_timeout(target: Target) -> RelayUnderTest {
    start(
        target,
        Limits {
            body_timeout: SHORT,
            ..Limits::default()
        },
    )
    .await
}

pub(crate) async fn half_a_header_is_closed_in_time(target: Target) {
    let relay = start_with_header_timeout(target).await;
    let mut wire = relay.connect().await;
    wire.writer.send("GET /health HTTP/1.1\r\nHost: re").await;
    assert_eq!(wire.reader.rest().await, "");
    relay.close().await;
}

pub(crate) async fn a_header_that_drips_is_closed_in_time(target: Target) {
    let relay = start_with_header_timeout(target).await;
    let mut wire = relay.connect().await;
    wire.writer.send("GET /health HTTP/1.1\r\nX: ").await;
    let drip = async || drop(wire.writer.try_send("y").await);
    assert_eq!(wait::dripping(drip, wire.reader.rest()).await, "");
    relay.close().await;
}

pub(crate) async fn an_idle_connection_is_closed_in_time(target: Target) {
    let relay = start_with_header_timeout(target).await;
    let mut fresh = relay.connect().await;
    let mut used = relay.connect().await;
    assert_eq!(
        used.ask(&request("GET", "/health", &token("alice"))).await.status,
        200
    );
    assert_eq!(fresh.reader.rest().await, "");
    assert_eq!(used.reader.rest().await, "");
    relay.close().await;
}

pub(crate) async fn half_a_body_is_408_in_time(target: Target) {
    let relay = start_with_body_timeout(target).await;
    let mut wire = relay.connect().await;
    let head = registration_head(&token("alice"), 100);
    let error = wire.ask(&format!("{head}{{\"blob\":\"half")).await.refusal(408);
    assert!(error.contains("0.15 s"), "{error}");
    assert_eq!(wire.reader.rest().await, "");
    relay.close().await;
}

pub(crate) async fn a_body_that_drips_is_408_in_time(target: Target) {
    let relay = start_with_body_timeout(target).await;
    let mut wire = relay.connect().await;
    wire.writer
        .send(&registration_head(&token("alice"), BODY_LEN_MAX))
        .await;
    let drip = async || drop(wire.writer.try_send("y").await);
    wait::dripping(drip, wire.reader.reply()).await.refusal(408);
    relay.close().await;
}

pub(crate) async fn a_busy_connection_is_closed_at_its_age(target: Target) {
    let relay = start(
        target,
        Limits {
            connection_lifetime_max: SHORT,
            ..Limits::default()
        },
    )
    .await;
    let mut wire = relay.connect().await;
    let health = request("GET", "/health", &token("alice"));
    let ended = async || {
        let sent = wire.writer.try_send(&health).await;
        sent.is_err() || wire.reader.try_reply().await.is_err()
    };
    wait::until("the end of an old connection", ended).await;
    relay.close().await;
}

/// The relay has one place. It becomes free again although the client still holds its socket.
pub(crate) async fn a_client_that_does_not_read_is_cut_off(target: Target) {
    let limits = Limits {
        connection_count_max: 1,
        connection_lifetime_max: SHORT,
        drain_timeout: SHORT,
        ..Limits::default()
    };
    let relay = start(target, limits).await;
    relay.register("alice", &"x".repeat(BLOB_LEN_MAX)).await;
    let fetch = request("GET", "/fetch", &token("alice"));
    let mut greedy = Wire::connect_with_small_buffer(relay.addr).await;
    // The connection of the registration may keep its place for a moment.
    wait::until("a place", async || {
        greedy = Wire::connect_with_small_buffer(relay.addr).await;
        greedy.ask(&fetch).await.status == 200
    })
    .await;
    // The answers fill the socket's buffers; then the relay has to wait.
    let flood = fetch.repeat(10_000);
    drop(wait::soon("the flood", greedy.writer.try_send(&flood)).await);
    wait::until("its place again", async || {
        relay.fetch("alice").await.status == 200
    })
    .await;
    relay.close().await;
}

pub(crate) async fn an_entry_expires(target: Target) {
    let store = StoreLimits {
        entry_ttl: SHORT,
        ..StoreLimits::default()
    };
    let relay = target
        .start_with(Setup {
            store,
            ..Setup::default()
        })
        .await;
    assert_eq!(relay.register("alice", "sealed").await.status, 201);
    wait::until("the end of the entry", async || {
        relay.fetch("alice").await.status == 404
    })
    .await;
    relay.withdraw("alice").await.refusal(404);
    relay.close().await;
}
