//! Letting peers in: an accept loop that limits what a stranger can cost before it has proved its
//! identity.
//!
//! Owns the listening socket and the handshakes in flight. A connection must send its first bytes
//! soon, each handshake has a deadline (in `lane`), and their number is limited in total and per
//! source (in `slots`). The [`Gate`] decides about authenticated lanes.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use super::SessionError;
use super::lane::{self, KnockingLane};
use super::slots::{Slot, Slots};
use crate::clock::Clock;
use crate::limits::{ACCEPT_PAUSE, FIRST_BYTES_TIMEOUT};

/// Decides about lanes whose dialler has proved its identity.
pub(crate) trait Gate: Send + Sync + 'static {
    /// Welcomes or refuses one lane, and takes it over if it is welcome.
    fn knock(self: Arc<Self>, lane: KnockingLane) -> impl Future<Output = ()> + Send;
}

/// A bound listener that is not accepting yet.
#[derive(Debug)]
pub(crate) struct Listener {
    tcp: TcpListener,
    local: SocketAddr,
    clock: Clock,
}

impl Listener {
    /// Takes over a bound and listening socket.
    pub(crate) fn new(socket: std::net::TcpListener, clock: Clock) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let local = socket.local_addr()?;
        Ok(Self {
            tcp: TcpListener::from_std(socket)?,
            local,
            clock,
        })
    }

    /// The address that it listens on.
    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Accepts until `cancel`; every task it starts is in `tasks`, and in the current span.
    pub(crate) fn spawn<G: Gate>(
        self,
        config: Arc<ServerConfig>,
        gate: Arc<G>,
        tasks: &TaskTracker,
        cancel: CancellationToken,
    ) {
        let slots = Slots::default();
        let handshakes = tasks.clone();
        let serving = async move {
            let accepting = async {
                loop {
                    let Some((tcp, address)) = self.accept().await else {
                        continue;
                    };
                    let Some(slot) = slots.enter(address.ip(), &cancel) else {
                        continue;
                    };
                    let (config, gate) = (config.clone(), gate.clone());
                    let greeting = async move {
                        let greeting = greet(tcp, &slot, config, gate);
                        slot.lost().run_until_cancelled(greeting).await;
                    };
                    handshakes.spawn(greeting.in_current_span());
                }
            };
            cancel.run_until_cancelled(accepting).await;
        };
        tasks.spawn(serving.in_current_span());
    }

    async fn accept(&self) -> Option<(TcpStream, SocketAddr)> {
        match self.tcp.accept().await {
            Ok(accepted) => Some(accepted),
            // A pause for these would let anyone block the listener by connecting badly.
            Err(error) if is_of_one_connection(&error) => {
                tracing::debug!(%error, "a dialler left early");
                None
            }
            Err(error) => {
                // No descriptors are left, for instance, which is no reason to stop listening.
                tracing::warn!(%error, "could not accept a connection");
                self.clock.sleep_until(self.clock.now() + ACCEPT_PAUSE).await;
                None
            }
        }
    }
}

/// Whether only this one connection failed.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}

async fn greet<G: Gate>(tcp: TcpStream, slot: &Slot, config: Arc<ServerConfig>, gate: Arc<G>) {
    let accepted = async {
        first_bytes(&tcp, FIRST_BYTES_TIMEOUT).await?;
        lane::accept(tcp, config).await
    };
    match accepted.await {
        Ok(lane) => {
            slot.proved();
            gate.knock(lane).await;
        }
        Err(error) => tracing::debug!(%error, "refused a connection"),
    }
}

/// Waits until the other side has sent something, and leaves it unread.
async fn first_bytes(tcp: &TcpStream, limit: Duration) -> Result<(), SessionError> {
    let address = tcp.peer_addr()?;
    match timeout(limit, tcp.peek(&mut [0])).await {
        Ok(Ok(0)) => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
        Ok(spoken) => Ok(spoken.map(drop)?),
        Err(_) => Err(SessionError::HandshakeTimeout { address, limit }),
    }
}

#[cfg(test)]
mod tests;
