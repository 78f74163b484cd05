//! One source gets its share of a relay, and the rest is left to other sources.

use tandem_relay::{Limits, Sources, StoreLimits};

use crate::target::{RelayUnderTest, Setup, Target, registration, request, token};
use crate::wait;
use crate::wire::Reply;

/// The share of one source in these checks, in entries.
const SHARE: usize = 2;

fn store() -> StoreLimits {
    StoreLimits {
        source_entry_count_max: SHARE,
        ..StoreLimits::default()
    }
}

async fn start(target: Target, store: StoreLimits, sources: Sources) -> RelayUnderTest {
    let setup = Setup {
        store,
        sources,
        ..Setup::default()
    };
    target.start_with(setup).await
}

/// Registers as a proxy would that forwards a request from `source`.
async fn register_from(relay: &RelayUnderTest, source: &str, name: &str) -> Reply {
    let forwarded = format!("\r\nX-Forwarded-For: {source}\r\n\r\n");
    relay
        .ask(&registration(&token(name), "x").replace("\r\n\r\n", &forwarded))
        .await
}

async fn health(relay: &RelayUnderTest) -> Reply {
    relay.ask(&request("GET", "/health", &token("anybody"))).await
}

pub(crate) async fn one_source_can_not_fill_a_relay(target: Target) {
    let store = StoreLimits {
        entry_count_max: 2 * SHARE,
        ..store()
    };
    let relay = start(target, store, Sources::ForwardedFor).await;
    // A household may have a /48, and so 65,536 networks.
    for index in 0..4 * SHARE {
        let mallory = format!("2001:db8:0:{index}::{index}");
        let reply = register_from(&relay, &mallory, &format!("mallory-{index}")).await;
        assert_eq!(reply.status, if index < SHARE { 201 } else { 429 });
    }
    assert_eq!(register_from(&relay, "2001:db8:1::1", "alice").await.status, 201);
    assert_eq!(register_from(&relay, "192.0.2.1", "bob").await.status, 201);
    relay.close().await;
}

fn few_connections(sources: Sources) -> Setup {
    let limits = Limits {
        source_connection_count_max: SHARE,
        ..Limits::default()
    };
    Setup {
        limits,
        sources,
        ..Setup::default()
    }
}

pub(crate) async fn the_connection_past_a_share_is_closed_until_another_one_ends(target: Target) {
    let relay = target.start_with(few_connections(Sources::Connections)).await;
    let (mut first, mut second) = (relay.connect().await, relay.connect().await);
    let health = request("GET", "/health", &token("anybody"));
    assert_eq!(first.ask(&health).await.status, 200);
    assert_eq!(second.ask(&health).await.status, 200);
    assert_eq!(relay.connect().await.reader.rest().await, "");
    assert_eq!(second.ask(&health).await.status, 200);
    drop(first);
    wait::until("a free place", async || {
        let mut wire = relay.connect().await;
        let sent = wire.writer.try_send(&health).await;
        sent.is_ok() && wire.reader.try_reply().await.is_ok()
    })
    .await;
    relay.close().await;
}

pub(crate) async fn behind_a_proxy_connections_have_no_share(target: Target) {
    let relay = target.start_with(few_connections(Sources::ForwardedFor)).await;
    let health = request("GET", "/health", &token("anybody"));
    let mut wires = Vec::new();
    for _ in 0..=SHARE {
        let mut wire = relay.connect().await;
        assert_eq!(wire.ask(&health).await.status, 200);
        wires.push(wire);
    }
    relay.close().await;
}

pub(crate) async fn one_entry_past_a_share_is_429_until_another_one_is_withdrawn(target: Target) {
    let relay = start(target, store(), Sources::Connections).await;
    for name in ["alice", "bob"] {
        assert_eq!(relay.register(name, "x").await.status, 201);
    }
    let error = relay.register("carol", "x").await.come_back(429);
    assert!(error.contains("2 entries") && error.contains("hint:"), "{error}");
    assert_eq!(relay.register("alice", "again").await.status, 201);
    assert_eq!(relay.withdraw("bob").await.status, 204);
    assert_eq!(relay.register("carol", "x").await.status, 201);
    relay.close().await;
}

pub(crate) async fn one_byte_past_a_share_is_429(target: Target) {
    let source_len_max = token("alice").len() + 100;
    let store = StoreLimits {
        source_len_max,
        ..StoreLimits::default()
    };
    let relay = start(target, store, Sources::Connections).await;
    assert_eq!(relay.register("alice", &"x".repeat(100)).await.status, 201);
    let error = relay.register("alice", &"x".repeat(101)).await.come_back(429);
    assert!(error.contains(&source_len_max.to_string()), "{error}");
    relay.close().await;
}

pub(crate) async fn a_client_that_names_another_source_is_not_believed(target: Target) {
    let relay = start(target, store(), Sources::Connections).await;
    for (source, status) in [("192.0.2.1", 201), ("192.0.2.2", 201), ("192.0.2.3", 429)] {
        assert_eq!(
            register_from(&relay, source, source).await.status,
            status,
            "{source}"
        );
    }
    relay.close().await;
}

pub(crate) async fn health_is_503_while_the_relay_is_full(target: Target) {
    let store = StoreLimits {
        entry_count_max: 1,
        ..StoreLimits::default()
    };
    let relay = start(target, store, Sources::Connections).await;
    assert_eq!(health(&relay).await.status, 200);
    assert_eq!(relay.register("alice", "x").await.status, 201);
    let error = health(&relay).await.busy();
    assert!(error.contains("1 entries"), "{error}");
    assert_eq!(relay.withdraw("alice").await.status, 204);
    assert_eq!(health(&relay).await.status, 200);
    relay.close().await;
}
