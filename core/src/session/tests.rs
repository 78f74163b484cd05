//! Handshakes that must succeed, and handshakes that must not.

mod racing;
mod resumption;

use std::net::Ipv4Addr;
use std::sync::Arc;

use rustls::ClientConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::lane::{self, KnockingLane, OpenLane};
use super::tls::{self, Expected, TlsIdentity};
use super::wire::{self, Greeting, Hello, Purpose};
use super::{RefusalReason, SessionError, WireError};
use crate::clock::Clock;
use crate::identity::{Fingerprint, Identity};
use crate::limits::{GREETING_LEN_MAX, HANDSHAKE_TIMEOUT};

struct Party {
    fingerprint: Fingerprint,
    tls: TlsIdentity,
}

fn party() -> Party {
    let identity = Identity::ephemeral().unwrap();
    Party {
        fingerprint: identity.fingerprint(),
        tls: TlsIdentity::new(&identity).unwrap(),
    }
}

async fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let dialled = TcpStream::connect(listener.local_addr().unwrap());
    let (dialled, accepted) = tokio::join!(dialled, listener.accept());
    (dialled.unwrap(), accepted.unwrap().0)
}

async fn dial(tcp: TcpStream, config: Arc<ClientConfig>) -> Result<OpenLane, SessionError> {
    let deadline = Clock::system().now() + HANDSHAKE_TIMEOUT;
    lane::reach(tcp, config, deadline)
        .await?
        .ask(Purpose::Control)
        .await
}

/// Both outcomes of one lane when `config` dials a listener of `listener` that expects `expected`.
async fn meet(
    config: Arc<ClientConfig>,
    listener: &Party,
    expected: Fingerprint,
) -> (Result<OpenLane, SessionError>, Result<OpenLane, SessionError>) {
    let (dialled, accepted) = tcp_pair().await;
    let gate = Expected::default();
    gate.set(Some(expected));
    let server = listener.tls.server_config(gate).unwrap();
    let welcome = async { lane::accept(accepted, server).await?.welcome().await };
    tokio::join!(dial(dialled, config), welcome)
}

fn changed(config: &Arc<ClientConfig>, change: impl FnOnce(&mut ClientConfig)) -> Arc<ClientConfig> {
    let mut config = ClientConfig::clone(config);
    change(&mut config);
    Arc::new(config)
}

#[tokio::test]
async fn peers_that_expect_each_other_share_a_secret() {
    let (alice, bob) = (party(), party());
    let config = alice.tls.client_config(bob.fingerprint).unwrap();
    let (dialled, accepted) = meet(config, &bob, alice.fingerprint).await;
    let (dialled, accepted) = (dialled.unwrap(), accepted.unwrap());
    assert_eq!(
        (dialled.remote, accepted.remote),
        (bob.fingerprint, alice.fingerprint)
    );
    assert!(dialled.session == accepted.session);
}

#[tokio::test]
async fn a_dialler_sends_nothing_to_a_listener_with_another_identity() {
    let (alice, bob, mallory) = (party(), party(), party());
    let config = alice.tls.client_config(bob.fingerprint).unwrap();
    let (dialled, accepted) = meet(config, &mallory, alice.fingerprint).await;
    assert!(
        matches!(dialled, Err(SessionError::WrongFingerprint { .. })),
        "{dialled:?}"
    );
    assert!(accepted.is_err());
}

#[tokio::test]
async fn a_dialler_that_is_not_expected_is_refused() {
    let (alice, bob, mallory) = (party(), party(), party());
    let config = mallory.tls.client_config(bob.fingerprint).unwrap();
    let (dialled, accepted) = meet(config, &bob, alice.fingerprint).await;
    assert!(
        matches!(dialled, Err(SessionError::Refused { .. })),
        "{dialled:?}"
    );
    assert!(
        matches!(accepted, Err(SessionError::WrongFingerprint { .. })),
        "{accepted:?}"
    );
}

#[tokio::test]
async fn a_dialler_without_the_application_protocol_is_refused() {
    let (alice, bob) = (party(), party());
    let config = alice.tls.client_config(bob.fingerprint).unwrap();
    let config = changed(&config, |config| config.alpn_protocols.clear());
    let (dialled, accepted) = meet(config, &bob, alice.fingerprint).await;
    assert!(dialled.is_err() && accepted.is_err());
}

#[tokio::test]
async fn a_dialler_without_the_post_quantum_key_exchange_is_refused() {
    let (alice, bob) = (party(), party());
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    provider.kx_groups = vec![rustls::crypto::aws_lc_rs::kx_group::X25519];
    let config = alice
        .tls
        .client_config_with(&Arc::new(provider), bob.fingerprint)
        .unwrap();
    let (dialled, accepted) = meet(config, &bob, alice.fingerprint).await;
    assert!(
        matches!(accepted, Err(SessionError::Handshake { .. })),
        "{accepted:?}"
    );
    assert!(dialled.is_err());
}

#[tokio::test]
async fn a_dialler_of_another_version_receives_ours() {
    let (alice, bob) = (party(), party());
    let (dialled, accepted) = tcp_pair().await;
    let gate = Expected::default();
    gate.set(Some(alice.fingerprint));
    let listening = lane::accept(accepted, bob.tls.server_config(gate).unwrap());
    let config = alice.tls.client_config(bob.fingerprint).unwrap();
    let dialling = async {
        let name = tls::server_name().unwrap();
        let mut stream = tokio_rustls::TlsConnector::from(config)
            .connect(name, dialled)
            .await
            .unwrap();
        let hello = Hello {
            version: 99,
            purpose: Purpose::Control,
        };
        stream
            .write_all(&wire::encode(&hello, GREETING_LEN_MAX).unwrap())
            .await
            .unwrap();
        stream.flush().await.unwrap();
        wire::read::<Greeting>(&mut stream, GREETING_LEN_MAX)
            .await
            .unwrap()
    };
    let (greeting, accepted): (_, Result<KnockingLane, _>) = tokio::join!(dialling, listening);
    assert_eq!(
        greeting,
        Greeting::Refused(RefusalReason::Version {
            spoken: wire::PROTOCOL_VERSION
        })
    );
    assert!(matches!(accepted, Err(SessionError::Declined { .. })));
}

#[tokio::test]
async fn bytes_that_are_no_handshake_get_an_alert_at_most() {
    let (alice, bob) = (party(), party());
    let (mut dialled, accepted) = tcp_pair().await;
    let gate = Expected::default();
    gate.set(Some(alice.fingerprint));
    let listening = lane::accept(accepted, bob.tls.server_config(gate).unwrap());
    let babbling = async {
        dialled.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        // An alert, or nothing: never our key.
        drop(dialled.read_to_end(&mut answer).await);
        answer.len()
    };
    let (len, accepted) = tokio::join!(babbling, async { listening.await.map(drop) });
    assert!(len <= 16 && accepted.is_err());
}

/// Announces a frame of `len` bytes and fills it with zeros.
async fn send_frame(stream: &mut (impl AsyncWriteExt + Unpin), len: usize) {
    let prefix = u32::try_from(len).unwrap().to_be_bytes();
    let frame = [prefix.as_slice(), &vec![0; len]].concat();
    stream.write_all(&frame).await.unwrap();
    stream.flush().await.unwrap();
}

fn is_too_long<T>(outcome: &Result<T, SessionError>) -> bool {
    let Err(SessionError::Protocol { source, .. }) = outcome else {
        panic!("zeros are neither a hello nor a greeting")
    };
    matches!(source, WireError::FrameTooLong { .. })
}

#[tokio::test]
async fn a_listener_reads_a_hello_up_to_the_limit_and_refuses_one_byte_more() {
    let (alice, bob) = (party(), party());
    for len in [GREETING_LEN_MAX, GREETING_LEN_MAX + 1] {
        let (dialled, accepted) = tcp_pair().await;
        let gate = Expected::default();
        gate.set(Some(alice.fingerprint));
        let listening = lane::accept(accepted, bob.tls.server_config(gate).unwrap());
        let config = alice.tls.client_config(bob.fingerprint).unwrap();
        let dialling = async {
            let connector = tokio_rustls::TlsConnector::from(config);
            let connecting = connector.connect(tls::server_name().unwrap(), dialled);
            let mut stream = connecting.await.unwrap();
            send_frame(&mut stream, len).await;
            stream
        };
        let (_open, accepted) = tokio::join!(dialling, listening);
        assert_eq!(is_too_long(&accepted), len > GREETING_LEN_MAX);
    }
}

#[tokio::test]
async fn a_dialler_reads_a_greeting_up_to_the_limit_and_refuses_one_byte_more() {
    let (alice, bob) = (party(), party());
    for len in [GREETING_LEN_MAX, GREETING_LEN_MAX + 1] {
        let (dialled, accepted) = tcp_pair().await;
        let gate = Expected::default();
        gate.set(Some(alice.fingerprint));
        let server = bob.tls.server_config(gate).unwrap();
        let config = alice.tls.client_config(bob.fingerprint).unwrap();
        let answering = async {
            let acceptor = tokio_rustls::TlsAcceptor::from(server);
            let mut stream = acceptor.accept(accepted).await.unwrap();
            send_frame(&mut stream, len).await;
            stream
        };
        let (dialled, _open) = tokio::join!(dial(dialled, config), answering);
        assert_eq!(is_too_long(&dialled), len > GREETING_LEN_MAX);
    }
}
