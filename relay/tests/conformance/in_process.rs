//! What only the library has: a layer, a store and a socket from the caller, and tasks that can be
//! counted.

use std::net::{IpAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use axum::routing::get;
use tandem_relay::clock::{Clock, ManualClock};
use tandem_relay::{BindError, Drained, Limits, LookupToken, MemoryStore, Relay, RelayConfig, StoreLimits};
use tokio::net::TcpStream;
use tokio::runtime::Handle;

use crate::stopping::begin_registration;
use crate::target::{loopback, registration, request, token};
use crate::wait;
use crate::wire::{Reply, Wire};

fn config() -> RelayConfig {
    RelayConfig::listen_on((loopback(), 0).into())
}

async fn ask(relay: &Relay, bytes: &str) -> Reply {
    Wire::connect(relay.addr()).await.ask(bytes).await
}

fn panics() -> &'static str {
    panic!("on purpose")
}

#[tokio::test]
async fn a_socket_that_the_caller_bound_is_served() {
    let listener = TcpListener::bind((loopback(), 0)).unwrap();
    let addr = listener.local_addr().unwrap();
    let relay = Relay::bind(RelayConfig::adopt(listener)).await.unwrap();
    assert_eq!((relay.addr(), relay.url()), (addr, format!("http://{addr}")));
    assert_eq!(
        ask(&relay, &request("GET", "/health", &token("alice")))
            .await
            .status,
        200
    );
    let _drained = relay.shutdown().await;
}

#[tokio::test]
async fn a_relay_for_some_tokens_takes_no_registration_of_another_one() {
    let alice = LookupToken::parse(&token("alice")).unwrap();
    let relay = Relay::bind(config().only([alice])).await.unwrap();
    let served = ask(&relay, &registration(&token("alice"), "sealed")).await;
    assert_eq!(served.status, 201);
    ask(&relay, &registration(&token("bob"), "sealed"))
        .await
        .refusal(403);
    ask(&relay, &request("GET", "/fetch", &token("bob")))
        .await
        .refusal(404);
    let _drained = relay.shutdown().await;
}

#[tokio::test]
#[ignore = "needs ipv6"]
async fn listening_on_every_address_takes_ipv4_as_well() {
    let relay = Relay::bind(RelayConfig::listen_on("[::]:0".parse().unwrap()))
        .await
        .unwrap();
    for ip in ["::1", "127.0.0.1"] {
        let addr = (ip.parse::<IpAddr>().unwrap(), relay.addr().port()).into();
        let reply = Wire::connect(addr)
            .await
            .ask(&request("GET", "/health", &token("alice")))
            .await;
        assert_eq!(reply.status, 200, "{ip}");
    }
    let _drained = relay.shutdown().await;
}

#[tokio::test]
async fn a_port_in_use_is_an_error_that_names_it() {
    let relay = Relay::bind(config()).await.unwrap();
    let error = Relay::bind(RelayConfig::listen_on(relay.addr()))
        .await
        .unwrap_err();
    assert!(
        matches!(error, BindError::PortInUse { addr } if addr == relay.addr()),
        "{error:?}"
    );
    assert!(
        error.to_string().contains(&relay.addr().port().to_string()),
        "{error}"
    );
    let _drained = relay.shutdown().await;
}

/// Each source holds its full share of connections and keeps sending requests, so none of them
/// misses a deadline.
#[cfg(target_os = "linux")]
#[tokio::test]
#[ignore = "needs ipv4"]
async fn a_few_sources_that_hold_every_place_can_not_keep_another_source_out() {
    let limits = Limits {
        connection_count_max: 4,
        source_connection_count_max: 2,
        refusal_count_max: 2,
        ..Limits::default()
    };
    let listen = RelayConfig::listen_on("127.0.0.1:0".parse().unwrap());
    let relay = Relay::bind(listen.limits(limits)).await.unwrap();
    let health = request("GET", "/health", &token("anybody"));
    let mut held = Vec::new();
    for source in ["127.0.0.2", "127.0.0.3", "127.0.0.4"] {
        for _ in 0..2 {
            let mut wire = Wire::connect_from(source.parse().unwrap(), relay.addr()).await;
            wire.writer.send(&health).await;
            held.push((source, wire));
        }
    }
    let mut served = Vec::new();
    for (source, wire) in &mut held {
        served.push((
            *source,
            wire.reader.try_reply().await.map(|reply| reply.status).ok(),
        ));
    }
    let mut honest = Wire::connect_from("127.0.0.5".parse().unwrap(), relay.addr()).await;
    assert_eq!(honest.ask(&health).await.status, 200, "beside {served:?}");
    let _drained = relay.shutdown().await;
}

#[tokio::test]
async fn the_layer_is_between_the_connection_and_the_api() {
    let teapot = async || StatusCode::IM_A_TEAPOT;
    let config = config().layer(move |router| router.route("/teapot", get(teapot)));
    let relay = Relay::bind(config).await.unwrap();
    let reply = ask(&relay, &request("GET", "/teapot", &token("alice"))).await;
    assert_eq!(
        (reply.status, reply.header("cache-control")),
        (418, Some("no-store"))
    );
    assert_eq!(
        ask(&relay, &request("GET", "/health", &token("alice")))
            .await
            .status,
        200
    );
    let _drained = relay.shutdown().await;
}

#[tokio::test]
async fn a_panic_fails_only_its_request() {
    let config = config().layer(|router| router.route("/panic", get(async || panics())));
    let relay = Relay::bind(config).await.unwrap();
    let mut wire = Wire::connect(relay.addr()).await;
    let error = wire
        .ask(&request("GET", "/panic", &token("alice")))
        .await
        .refusal(500);
    assert!(!error.contains("on purpose"), "{error}");
    assert_eq!(
        wire.ask(&request("GET", "/health", &token("alice"))).await.status,
        200
    );
    let _drained = relay.shutdown().await;
}

#[tokio::test]
async fn the_callers_store_shows_what_the_relay_holds() {
    let store = Arc::new(MemoryStore::new(StoreLimits::default(), Clock::system()));
    let relay = Relay::bind(config().store(Arc::clone(&store) as _))
        .await
        .unwrap();
    assert_eq!(
        ask(&relay, &registration(&token("alice"), "sealed")).await.status,
        201
    );
    let [held] = store.entries().try_into().unwrap();
    assert_eq!(
        (held.token.as_str(), held.blob.as_str()),
        (token("alice").as_str(), "sealed")
    );
    let _drained = relay.shutdown().await;
}

#[tokio::test]
async fn the_relay_sweeps_expired_entries_without_any_request() {
    let manual = ManualClock::new();
    let store = Arc::new(MemoryStore::new(StoreLimits::default(), manual.clock()));
    let limits = Limits {
        sweep_interval: Duration::from_millis(5),
        ..Limits::default()
    };
    let relay = Relay::bind(config().limits(limits).store(Arc::clone(&store) as _))
        .await
        .unwrap();
    assert_eq!(
        ask(&relay, &registration(&token("alice"), "sealed")).await.status,
        201
    );
    manual.advance(StoreLimits::default().entry_ttl);
    wait::until("a sweep", async || store.entries().is_empty()).await;
    assert_eq!(store.total_len(), 0);
    let _drained = relay.shutdown().await;
}

#[tokio::test]
async fn the_longest_deadlines_and_the_shortest_sweep_interval_work() {
    let manual = ManualClock::new();
    let store = Arc::new(MemoryStore::new(StoreLimits::default(), manual.clock()));
    let limits = Limits {
        header_timeout: Duration::MAX,
        body_timeout: Duration::MAX,
        connection_lifetime_max: Duration::MAX,
        sweep_interval: Duration::ZERO,
        ..Limits::default()
    };
    let relay = Relay::bind(config().limits(limits).store(Arc::clone(&store) as _))
        .await
        .unwrap();
    let reply = ask(&relay, &registration(&token("alice"), "sealed")).await;
    assert_eq!(reply.status, 201);
    manual.advance(StoreLimits::default().entry_ttl);
    wait::until("a sweep", async || store.entries().is_empty()).await;
    let _drained = relay.shutdown().await;
}

#[tokio::test]
async fn a_connection_past_the_refusal_limit_does_not_wait_for_the_refused_ones() {
    let limits = Limits {
        connection_count_max: 1,
        refusal_count_max: 1,
        ..Limits::default()
    };
    let relay = Relay::bind(config().limits(limits)).await.unwrap();
    let health = request("GET", "/health", &token("alice"));
    let mut served = Wire::connect(relay.addr()).await;
    assert_eq!(served.ask(&health).await.status, 200);
    // It sends no request, so it would keep its place among the refused.
    let mut refused = Wire::connect(relay.addr()).await;
    ask(&relay, &health).await.busy();
    assert_eq!(refused.reader.rest().await, "");
    assert_eq!(served.ask(&health).await.status, 200);
    let _drained = relay.shutdown().await;
}

#[tokio::test]
async fn no_task_is_left_after_shutdown() {
    let relay = Relay::bind(config()).await.unwrap();
    let mut wire = Wire::connect(relay.addr()).await;
    assert_eq!(
        wire.ask(&request("GET", "/health", &token("alice"))).await.status,
        200
    );
    assert!(Handle::current().metrics().num_alive_tasks() > 0);
    assert_eq!(relay.shutdown().await, Drained { cut_off_count: 0 });
    assert_eq!(Handle::current().metrics().num_alive_tasks(), 0);
}

#[tokio::test]
async fn a_request_that_was_cut_off_is_counted() {
    let limits = Limits {
        drain_timeout: Duration::from_millis(20),
        ..Limits::default()
    };
    let relay = Relay::bind(config().limits(limits)).await.unwrap();
    let _wire = begin_registration(relay.addr(), 9).await;
    assert_eq!(relay.shutdown().await, Drained { cut_off_count: 1 });
    assert_eq!(Handle::current().metrics().num_alive_tasks(), 0);
}

#[tokio::test]
async fn a_dropped_relay_stops() {
    let relay = Relay::bind(config()).await.unwrap();
    let addr = relay.addr();
    drop(relay);
    wait::until("a closed port", async || TcpStream::connect(addr).await.is_err()).await;
}
