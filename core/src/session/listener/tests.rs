//! What strangers at a listener cost a peer that is expected.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Mutex;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

use super::super::tls::{Expected, TlsIdentity};
use super::super::wire::Purpose;
use super::*;
use crate::identity::{Fingerprint, Identity};
use crate::limits::{HANDSHAKE_TIMEOUT, PENDING_HANDSHAKES_MAX, PENDING_HANDSHAKES_PER_SOURCE_MAX};

/// A listener that admits no peer for this long counts as shut. Strangers must not delay it for
/// longer.
const PATIENCE: Duration = Duration::from_secs(8);
const _: () = assert!(PATIENCE.as_secs() < HANDSHAKE_TIMEOUT.as_secs());

/// Welcomes every peer and reports its fingerprint.
#[derive(Debug)]
struct OpenGate(Mutex<mpsc::UnboundedSender<Fingerprint>>);

impl Gate for OpenGate {
    async fn knock(self: Arc<Self>, lane: KnockingLane) {
        let remote = lane.remote();
        drop(lane.welcome().await);
        self.0.lock().unwrap().send(remote).unwrap_or_default();
    }
}

/// A running listener that expects one peer.
struct Door {
    address: SocketAddr,
    bob: TlsIdentity,
    alice: Fingerprint,
    bobs_fingerprint: Fingerprint,
    welcomed: mpsc::UnboundedReceiver<Fingerprint>,
    tasks: TaskTracker,
    cancel: CancellationToken,
}

impl Door {
    fn open() -> Self {
        let (alice, bob) = (Identity::ephemeral().unwrap(), Identity::ephemeral().unwrap());
        let expected = Expected::default();
        expected.set(Some(bob.fingerprint()));
        let config = TlsIdentity::new(&alice).unwrap().server_config(expected).unwrap();
        let socket = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let listener = Listener::new(socket, Clock::system()).unwrap();
        let address = listener.local_addr();
        let (sender, welcomed) = mpsc::unbounded_channel();
        let (tasks, cancel) = (TaskTracker::new(), CancellationToken::new());
        let gate = Arc::new(OpenGate(Mutex::new(sender)));
        listener.spawn(config, gate, &tasks, cancel.clone());
        Self {
            address,
            bob: TlsIdentity::new(&bob).unwrap(),
            alice: alice.fingerprint(),
            bobs_fingerprint: bob.fingerprint(),
            welcomed,
            tasks,
            cancel,
        }
    }

    async fn strangers(&self, count: usize) -> Vec<TcpStream> {
        let mut strangers = Vec::new();
        for _ in 0..count {
            strangers.push(TcpStream::connect(self.address).await.unwrap());
        }
        strangers
    }

    /// Bob, whom the listener expects, connects and is welcomed.
    async fn admits_bob(&mut self) {
        let tcp = TcpStream::connect(self.address).await.unwrap();
        let config = self.bob.client_config(self.alice).unwrap();
        let deadline = Clock::system().now() + HANDSHAKE_TIMEOUT;
        let coming = async {
            lane::reach(tcp, config, deadline)
                .await?
                .ask(Purpose::Control)
                .await
        };
        timeout(PATIENCE, coming)
            .await
            .expect("the listener is not shut")
            .unwrap();
        assert_eq!(self.welcomed.recv().await, Some(self.bobs_fingerprint));
    }

    async fn close(self) {
        self.cancel.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

#[tokio::test]
async fn strangers_that_stay_silent_do_not_shut_a_listener() {
    let mut door = Door::open();
    let strangers = door.strangers(3 * PENDING_HANDSHAKES_MAX).await;
    door.admits_bob().await;
    drop(strangers);
    door.close().await;
}

#[tokio::test]
async fn strangers_that_stop_in_their_handshake_do_not_shut_a_listener() {
    let mut door = Door::open();
    let mut strangers = door.strangers(3 * PENDING_HANDSHAKES_MAX).await;
    for stranger in &mut strangers {
        // The head of a TLS record. Connections that have lost their slot may fail to take it.
        drop(stranger.write_all(&[22, 3, 1, 1, 0]).await);
    }
    door.admits_bob().await;
    drop(strangers);
    door.close().await;
}

#[tokio::test]
async fn a_source_keeps_its_share_of_slots_and_loses_the_oldest_beyond_it() {
    let door = Door::open();
    let mut strangers = door.strangers(PENDING_HANDSHAKES_PER_SOURCE_MAX + 1).await;
    let newest = strangers.split_off(1);
    let mut oldest = strangers.remove(0);
    let ended = timeout(PATIENCE, oldest.read(&mut [0]))
        .await
        .expect("it lost its slot");
    assert!(matches!(ended, Ok(0) | Err(_)));
    for stranger in &newest {
        let error = stranger.try_read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }
    door.close().await;
}

#[tokio::test]
async fn a_silent_connection_is_dropped_sooner_than_an_unfinished_handshake() {
    let (mut dialled, accepted) = {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let dialled = TcpStream::connect(listener.local_addr().unwrap());
        let (dialled, accepted) = tokio::join!(dialled, listener.accept());
        (dialled.unwrap(), accepted.unwrap().0)
    };
    let short = Duration::from_millis(5);
    let silent = first_bytes(&accepted, short).await;
    assert!(
        matches!(silent, Err(SessionError::HandshakeTimeout { limit, .. }) if limit == short),
        "{silent:?}"
    );
    dialled.write_all(b"x").await.unwrap();
    first_bytes(&accepted, PATIENCE).await.unwrap();
    drop(dialled);
    assert!(FIRST_BYTES_TIMEOUT < HANDSHAKE_TIMEOUT);
}

#[test]
fn an_error_of_one_connection_causes_no_pause() {
    let aborted = io::Error::from(io::ErrorKind::ConnectionAborted);
    assert!(is_of_one_connection(&aborted));
    #[cfg(unix)]
    assert!(!is_of_one_connection(&io::Error::from_raw_os_error(libc::EMFILE)));
}
