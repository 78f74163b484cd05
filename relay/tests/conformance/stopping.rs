//! A stopping relay lets requests in flight finish, accepts nothing new, and ends in time.

use std::net::SocketAddr;
use std::time::Duration;

use tandem_relay::Limits;
use tokio::net::{TcpListener, TcpStream};

use crate::target::{Setup, Target, registration, registration_head, request, token};
use crate::wait;
use crate::wire::Wire;

/// A registration whose header the relay has read and whose body it waits for.
pub(crate) async fn begin_registration(addr: SocketAddr, body_len: usize) -> Wire {
    let mut wire = Wire::connect(addr).await;
    let head = registration_head(&token("alice"), body_len).replace("Host:", "Expect: 100-continue\r\nHost:");
    assert_eq!(wire.ask(&head).await.status, 100);
    wire
}

pub(crate) async fn a_request_in_flight_is_finished_before_the_relay_stops(target: Target) {
    let relay = target.start().await;
    let (addr, body) = (relay.addr, r#"{"blob":"late"}"#);
    let mut idle = relay.connect().await;
    assert_eq!(
        idle.ask(&request("GET", "/health", &token("bob"))).await.status,
        200
    );
    let mut wire = begin_registration(relay.addr, body.len()).await;
    let finish = async {
        assert_eq!(idle.reader.rest().await, "", "idle connections are closed first");
        wait::until("no new connection", async || {
            TcpStream::connect(addr).await.is_err()
        })
        .await;
        assert_eq!(wire.ask(body).await.status, 201);
        assert_eq!(wire.reader.rest().await, "");
    };
    tokio::join!(relay.close(), finish);
}

pub(crate) async fn a_request_that_does_not_end_is_cut_off(target: Target) {
    let limits = Limits {
        drain_timeout: Duration::from_millis(50),
        ..Limits::default()
    };
    let relay = target
        .start_with(Setup {
            limits,
            ..Setup::default()
        })
        .await;
    let mut wire = begin_registration(relay.addr, 100).await;
    let (_log, reply) = tokio::join!(relay.close(), wire.reader.try_reply());
    assert!(reply.is_err(), "{reply:?}");
}

pub(crate) async fn the_port_is_free_when_the_relay_has_stopped(target: Target) {
    let relay = target.start().await;
    let addr = relay.addr;
    let mut wire = relay.connect().await;
    assert_eq!(
        wire.ask(&registration(&token("alice"), "sealed")).await.status,
        201
    );
    relay.close().await;
    drop(TcpListener::bind(addr).await.unwrap());
}
