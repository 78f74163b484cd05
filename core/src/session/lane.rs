//! One TLS connection from TCP to the end of its greeting, for both sides.
//!
//! Owns the deadlines before authentication, and translates TLS failures into session errors. In
//! TLS 1.3 the dialler finishes before the listener has checked its key, so a lane counts as open
//! only when the dialler has read the listener's greeting.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::{AlertDescription, CertificateError, ClientConfig, ServerConfig};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

use super::SessionError;
use super::crossing::Crossing;
use super::tls;
use super::wire::{self, Greeting, Hello, PROTOCOL_VERSION, Purpose, RefusalReason, WireError};
use crate::identity::Fingerprint;
use crate::limits::{GREETING_LEN_MAX, HANDSHAKE_TIMEOUT};

/// The session's id, which both ends of a control lane derive from its handshake. A lane can join
/// the session only by naming it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct SessionId(pub(crate) [u8; 32]);

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId(…)")
    }
}

/// A lane whose ends have proved their identities and finished the greeting.
#[derive(Debug)]
pub(crate) struct OpenLane {
    pub(crate) stream: TlsStream<TcpStream>,
    pub(crate) remote: Fingerprint,
    pub(crate) address: SocketAddr,
    /// Meaningful for a control lane: the id of the session it begins. What is said on a pairing
    /// lane is signed over it.
    pub(crate) session: SessionId,
    /// Held by a control lane that this side dialled until its session is in place.
    pub(crate) crossing: Option<Crossing>,
}

/// A lane whose dialler has proved its identity and sent its hello, which is not answered yet.
#[derive(Debug)]
pub(crate) struct KnockingLane {
    lane: OpenLane,
    pub(crate) purpose: Purpose,
}

/// A lane whose listener has proved its identity, before our hello. Dropping it is harmless: the
/// listener has only seen a handshake.
#[derive(Debug)]
pub(crate) struct ProvedLane {
    lane: OpenLane,
    deadline: Instant,
}

/// Completes the TLS handshake over `tcp`. When this returns, the listener has proved to be the
/// expected peer. The whole greeting must end before `deadline`.
///
/// # Errors
/// [`SessionError::WrongFingerprint`] when another peer answers, timeouts and I/O errors with the
/// address.
pub(crate) async fn reach(
    tcp: TcpStream,
    config: Arc<ClientConfig>,
    deadline: Instant,
) -> Result<ProvedLane, SessionError> {
    let address = tcp.peer_addr()?;
    prepare(&tcp)?;
    let connected = TlsConnector::from(config).connect(tls::server_name()?, tcp);
    let connected = timeout_at(deadline, connected).await.map_err(|_| late(address))?;
    let stream = connected.map_err(|source| dial_failure(address, source))?;
    let lane = OpenLane::new(TlsStream::Client(stream), address)?;
    Ok(ProvedLane { lane, deadline })
}

impl ProvedLane {
    /// Where the peer was reached.
    pub(crate) fn address(&self) -> SocketAddr {
        self.lane.address
    }

    /// Sends the hello and waits for the listener's welcome.
    ///
    /// # Errors
    /// [`SessionError::Refused`] when we are not expected there, [`SessionError::Declined`] when
    /// the listener does not want this lane, timeouts and I/O errors with the address.
    pub(crate) async fn ask(self, purpose: Purpose) -> Result<OpenLane, SessionError> {
        let Self { mut lane, deadline } = self;
        let address = lane.address;
        let version = PROTOCOL_VERSION;
        let hello = wire::encode(&Hello { version, purpose }, GREETING_LEN_MAX);
        let hello = hello.map_err(|source| SessionError::Protocol { address, source })?;
        let greeting = async {
            lane.stream.write_all(&hello).await?;
            lane.stream.flush().await?;
            wire::read(&mut lane.stream, GREETING_LEN_MAX).await
        };
        let greeting = timeout_at(deadline, greeting).await.map_err(|_| late(address))?;
        match greeting {
            Ok(Greeting::Welcome) => Ok(lane),
            Ok(Greeting::Refused(reason)) => Err(SessionError::Declined { address, reason }),
            Err(WireError::Closed) => Err(SessionError::Refused { address }),
            Err(WireError::Io { source }) => Err(greeting_failure(address, source)),
            Err(source) => Err(SessionError::Protocol { address, source }),
        }
    }
}

fn late(address: SocketAddr) -> SessionError {
    let limit = HANDSHAKE_TIMEOUT;
    SessionError::HandshakeTimeout { address, limit }
}

/// Does the listener's part up to the dialler's hello. The caller answers with
/// [`KnockingLane::welcome`] or [`KnockingLane::refuse`].
pub(crate) async fn accept(tcp: TcpStream, config: Arc<ServerConfig>) -> Result<KnockingLane, SessionError> {
    let address = tcp.peer_addr()?;
    let accepted = timeout(HANDSHAKE_TIMEOUT, accept_unlimited(tcp, address, config)).await;
    accepted.unwrap_or_else(|_| Err(late(address)))
}

async fn accept_unlimited(
    tcp: TcpStream,
    address: SocketAddr,
    config: Arc<ServerConfig>,
) -> Result<KnockingLane, SessionError> {
    prepare(&tcp)?;
    let accepted = TlsAcceptor::from(config).accept(tcp).await;
    let stream = accepted.map_err(|source| accept_failure(address, source))?;
    let mut lane = OpenLane::new(TlsStream::Server(stream), address)?;
    let hello = wire::read::<Hello>(&mut lane.stream, GREETING_LEN_MAX).await;
    let hello = hello.map_err(|source| SessionError::Protocol { address, source })?;
    let knocking = KnockingLane {
        lane,
        purpose: hello.purpose,
    };
    if hello.version == PROTOCOL_VERSION {
        return Ok(knocking);
    }
    let reason = RefusalReason::Version {
        spoken: PROTOCOL_VERSION,
    };
    knocking.refuse(reason.clone()).await?;
    Err(SessionError::Declined { address, reason })
}

impl OpenLane {
    fn new(stream: TlsStream<TcpStream>, address: SocketAddr) -> Result<Self, SessionError> {
        let connection = stream.get_ref().1;
        tls::check_protocol(connection)?;
        let remote = tls::remote_fingerprint(connection)?;
        let secret = match &stream {
            TlsStream::Client(s) => {
                tls::session_secret(|o, l, c| s.get_ref().1.export_keying_material(o, l, c))
            }
            TlsStream::Server(s) => {
                tls::session_secret(|o, l, c| s.get_ref().1.export_keying_material(o, l, c))
            }
        };
        let session = SessionId(secret?);
        Ok(Self {
            stream,
            remote,
            address,
            session,
            crossing: None,
        })
    }
}

impl KnockingLane {
    /// The dialler's fingerprint; its key has been proved.
    pub(crate) fn remote(&self) -> Fingerprint {
        self.lane.remote
    }

    /// Opens the lane.
    pub(crate) async fn welcome(mut self) -> Result<OpenLane, SessionError> {
        self.answer(&Greeting::Welcome).await?;
        Ok(self.lane)
    }

    /// Declines the lane and closes it.
    pub(crate) async fn refuse(mut self, reason: RefusalReason) -> Result<(), SessionError> {
        self.answer(&Greeting::Refused(reason)).await?;
        Ok(self.lane.stream.shutdown().await?)
    }

    async fn answer(&mut self, greeting: &Greeting) -> Result<(), SessionError> {
        let address = self.lane.address;
        let frame = wire::encode(greeting, GREETING_LEN_MAX);
        let frame = frame.map_err(|source| SessionError::Protocol { address, source })?;
        self.lane.stream.write_all(&frame).await?;
        Ok(self.lane.stream.flush().await?)
    }
}

/// Small messages are sent at once. On loopback the default congestion control would only slow the
/// bytes down.
fn prepare(tcp: &TcpStream) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    #[cfg(target_os = "linux")]
    if tcp.peer_addr()?.ip().is_loopback() {
        // Not allowed everywhere, and only for speed: a failure changes nothing.
        drop(socket2::SockRef::from(tcp).set_tcp_congestion(b"reno"));
    }
    Ok(())
}

fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref().and_then(|inner| inner.downcast_ref())
}

fn dial_failure(address: SocketAddr, source: io::Error) -> SessionError {
    use rustls::Error::{AlertReceived, InvalidCertificate};
    match tls_error(&source) {
        Some(InvalidCertificate(CertificateError::ApplicationVerificationFailure)) => {
            SessionError::WrongFingerprint { address }
        }
        Some(AlertReceived(AlertDescription::AccessDenied)) => SessionError::Refused { address },
        _ => SessionError::Handshake { address, source },
    }
}

/// The listener checks us after our half of the handshake. An alert, an end or a reset then means
/// that it refused us (a reset overtakes the alert if our hello was still unread).
fn greeting_failure(address: SocketAddr, source: io::Error) -> SessionError {
    let refused = matches!(
        tls_error(&source),
        Some(rustls::Error::AlertReceived(AlertDescription::AccessDenied))
    );
    let gone = matches!(
        source.kind(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
    );
    if refused || gone {
        SessionError::Refused { address }
    } else {
        SessionError::Handshake { address, source }
    }
}

fn accept_failure(address: SocketAddr, source: io::Error) -> SessionError {
    use rustls::Error::InvalidCertificate;
    match tls_error(&source) {
        Some(InvalidCertificate(CertificateError::ApplicationVerificationFailure)) => {
            SessionError::WrongFingerprint { address }
        }
        _ => SessionError::Handshake { address, source },
    }
}
