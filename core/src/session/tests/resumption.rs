//! No lane resumes an earlier one: each is a handshake of its own, in which both keys are checked.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::server::ServerSessionMemoryCache;
use rustls::{ClientConfig, ClientConnection, HandshakeKind, ServerConfig, ServerConnection};

use super::{changed, party};
use crate::session::tls::{self, Expected};

/// The configurations of a dialler and a listener that expect each other.
fn pair() -> (Arc<ClientConfig>, Arc<ServerConfig>) {
    let (alice, bob) = (party(), party());
    let expected = Expected::default();
    expected.set(Some(alice.fingerprint));
    (
        alice.tls.client_config(bob.fingerprint).unwrap(),
        bob.tls.server_config(expected).unwrap(),
    )
}

fn eager_dialler(config: &Arc<ClientConfig>) -> Arc<ClientConfig> {
    changed(config, |config| {
        config.resumption = Resumption::in_memory_sessions(8);
    })
}

fn eager_listener(config: &ServerConfig) -> Arc<ServerConfig> {
    let mut config = config.clone();
    config.send_tls13_tickets = 2;
    config.session_storage = ServerSessionMemoryCache::new(8);
    Arc::new(config)
}

/// The second of two handshakes between the same parties.
fn second(client: &Arc<ClientConfig>, server: &Arc<ServerConfig>) -> HandshakeKind {
    shake(client, server);
    shake(client, server)
}

fn shake(client: &Arc<ClientConfig>, server: &Arc<ServerConfig>) -> HandshakeKind {
    let mut dialler = ClientConnection::new(client.clone(), tls::server_name().unwrap()).unwrap();
    let mut listener = ServerConnection::new(server.clone()).unwrap();
    while dialler.wants_write() || listener.wants_write() {
        let mut sent = Vec::new();
        dialler.write_tls(&mut sent).unwrap();
        listener.read_tls(&mut sent.as_slice()).unwrap();
        listener.process_new_packets().unwrap();
        let mut answered = Vec::new();
        listener.write_tls(&mut answered).unwrap();
        dialler.read_tls(&mut answered.as_slice()).unwrap();
        dialler.process_new_packets().unwrap();
    }
    dialler.handshake_kind().unwrap()
}

#[test]
fn a_dialler_that_would_resume_makes_a_full_handshake() {
    let (client, server) = pair();
    assert_eq!(second(&eager_dialler(&client), &server), HandshakeKind::Full);
}

#[test]
fn a_listener_that_hands_out_tickets_gets_a_full_handshake() {
    let (client, server) = pair();
    assert_eq!(second(&client, &eager_listener(&server)), HandshakeKind::Full);
}

#[test]
fn two_that_would_both_resume_do_so_in_this_test() {
    let (client, server) = pair();
    let (client, server) = (eager_dialler(&client), eager_listener(&server));
    assert_eq!(second(&client, &server), HandshakeKind::Resumed);
}
