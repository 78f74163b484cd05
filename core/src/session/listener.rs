//! Letting peers in: an accept loop that bounds what a stranger may cost before it has proved who it is.
//!
//! Owns the listening socket and the handshakes in flight. Each handshake has a deadline (in `lane`) and their number is
//! limited; whoever comes beyond it waits in the kernel's queue. What becomes of an authenticated lane is decided by
//! the [`Gate`].

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use super::lane::{self, KnockingLane};
use crate::clock::Clock;
use crate::limits::{ACCEPT_PAUSE, PENDING_HANDSHAKES_MAX};

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

    /// Where it listens.
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
        let slots = Arc::new(Semaphore::new(PENDING_HANDSHAKES_MAX));
        let handshakes = tasks.clone();
        let serving = async move {
            let accepting = async {
                loop {
                    let Ok(slot) = slots.clone().acquire_owned().await else {
                        return;
                    };
                    let Some(tcp) = self.accept().await else { continue };
                    let (config, gate, cancel) = (config.clone(), gate.clone(), cancel.clone());
                    let greeting = async move {
                        cancel.run_until_cancelled(greet(tcp, config, gate)).await;
                        drop(slot);
                    };
                    handshakes.spawn(greeting.in_current_span());
                }
            };
            cancel.run_until_cancelled(accepting).await;
        };
        tasks.spawn(serving.in_current_span());
    }

    async fn accept(&self) -> Option<TcpStream> {
        match self.tcp.accept().await {
            Ok((tcp, _)) => Some(tcp),
            Err(error) => {
                // Out of descriptors, or the dialler was gone already: neither is a reason to stop listening.
                tracing::warn!(%error, "could not accept a connection");
                self.clock.sleep_until(self.clock.now() + ACCEPT_PAUSE).await;
                None
            }
        }
    }
}

async fn greet<G: Gate>(tcp: TcpStream, config: Arc<ServerConfig>, gate: Arc<G>) {
    match lane::accept(tcp, config).await {
        Ok(lane) => gate.knock(lane).await,
        Err(error) => tracing::debug!(%error, "turned a connection away"),
    }
}
