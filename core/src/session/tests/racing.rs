//! Several addresses of one peer, dialled at once.

use std::net::SocketAddr;

use tokio::io::AsyncReadExt as _;
use tokio::task::JoinHandle;

use super::super::crossing::Crossings;
use super::super::dial::Dialler;
use super::*;
use crate::reconnect::Role;

/// Alice, who dials, and Bob, whom she dials.
struct Race {
    dialler: Dialler,
    server: Arc<rustls::ServerConfig>,
}

impl Race {
    fn new() -> Self {
        let (alice, bob) = (party(), party());
        let expected = Expected::default();
        expected.set(Some(alice.fingerprint));
        let dialler = Dialler {
            config: alice.tls.client_config(bob.fingerprint).unwrap(),
            clock: Clock::system(),
            crossings: Crossings::default(),
            outbound_ports: None,
        };
        let server = bob.tls.server_config(expected).unwrap();
        Self { dialler, server }
    }

    fn dial(&self, listeners: &[&TcpListener]) -> JoinHandle<Result<OpenLane, SessionError>> {
        let addresses: Vec<SocketAddr> = listeners.iter().map(|l| l.local_addr().unwrap()).collect();
        let dialler = self.dialler.clone();
        tokio::spawn(async move { dialler.dial(&addresses, Purpose::Control).await })
    }

    async fn accept(&self, listener: &TcpListener) -> Result<KnockingLane, SessionError> {
        let (tcp, _) = listener.accept().await.unwrap();
        lane::accept(tcp, self.server.clone()).await
    }
}

async fn listener() -> TcpListener {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap()
}

#[tokio::test]
async fn an_address_that_stays_silent_does_not_delay_another() {
    let (race, silent, real) = (Race::new(), listener().await, listener().await);
    let dialling = race.dial(&[&silent, &real]);
    let (mut unanswered, _) = silent.accept().await.unwrap();
    let lane = race.accept(&real).await.unwrap();
    // The attempt at the silent address is still under way: the dial did not wait for it.
    let mut hello = [0; 4096];
    assert!(unanswered.read(&mut hello).await.unwrap() > 0);
    let unread = unanswered.try_read(&mut hello);
    assert!(
        matches!(&unread, Err(error) if error.kind() == std::io::ErrorKind::WouldBlock),
        "{unread:?}"
    );
    lane.welcome().await.unwrap();
    dialling.await.unwrap().unwrap();
}

#[tokio::test]
async fn of_two_addresses_of_one_peer_only_one_gets_a_hello() {
    let (race, first, second) = (Race::new(), listener().await, listener().await);
    let dialling = race.dial(&[&first, &second]);
    let lane = race.accept(&first).await.unwrap();
    // The second handshake is also complete when the first lane is welcomed.
    let (tcp, _) = second.accept().await.unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(race.server.clone());
    let mut other = acceptor.accept(tcp).await.unwrap();
    lane.welcome().await.unwrap();
    dialling.await.unwrap().unwrap();
    let mut hello = Vec::new();
    drop(other.read_to_end(&mut hello).await);
    assert!(hello.is_empty(), "{hello:?}");
}

#[tokio::test]
async fn a_dial_sends_no_hello_once_the_other_side_was_admitted() {
    let (race, real) = (Race::new(), listener().await);
    let dialling = race.dial(&[&real]);
    let (tcp, _) = real.accept().await.unwrap();
    assert!(race.dialler.crossings.admit(Role::Initiator));
    let accepted = lane::accept(tcp, race.server.clone()).await;
    let dialled = dialling.await.unwrap();
    assert!(
        matches!(
            dialled,
            Err(SessionError::Declined {
                reason: RefusalReason::Crossing,
                ..
            })
        ),
        "{dialled:?}"
    );
    assert!(accepted.is_err());
}

#[tokio::test]
async fn a_dial_that_came_second_waits_for_no_other_address() {
    let (race, silent, real) = (Race::new(), listener().await, listener().await);
    let dialling = race.dial(&[&silent, &real]);
    let (_unanswered, _) = silent.accept().await.unwrap();
    let (tcp, _) = real.accept().await.unwrap();
    assert!(race.dialler.crossings.admit(Role::Initiator));
    assert!(lane::accept(tcp, race.server.clone()).await.is_err());
    let dialled = dialling.await.unwrap();
    assert!(
        matches!(
            dialled,
            Err(SessionError::Declined {
                reason: RefusalReason::Crossing,
                ..
            })
        ),
        "{dialled:?}"
    );
}
