//! The accept loop: a task for each connection that gets a place.
//!
//! Every connection is accepted at once, so that no client keeps others waiting in the kernel's
//! backlog. [`crate::places`] decides which connection gets a place: a busy relay answers 503, a
//! flood costs the relay no more than its places, and a connection without a place is closed
//! unanswered.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::Source;
use crate::clock;
use crate::connection::{self, End};
use crate::limits::{ACCEPT_RETRY_PAUSE, Limits};
use crate::places::{Place, Places, Treatment};
use crate::source::{Origin, Sources};

/// Accepts until `stop`; every connection is a task of `tasks`.
pub(crate) struct Acceptor {
    pub(crate) router: Router,
    pub(crate) refusing_router: Router,
    pub(crate) limits: Arc<Limits>,
    pub(crate) sources: Sources,
    pub(crate) stop: CancellationToken,
    pub(crate) tasks: TaskTracker,
    /// Connections that were closed in the middle of a request.
    pub(crate) cut_off_count: Arc<AtomicUsize>,
}

impl Acceptor {
    /// Runs until `stop`; the listener is closed when this returns.
    pub(crate) async fn run(self, listener: TcpListener) {
        let places = Places::new(&self.limits, self.sources);
        let accepting = async {
            loop {
                let (stream, ip) = accept(&listener).await;
                match places.enter(Source::of(ip)) {
                    Some(place) => self.serve(stream, ip, place),
                    None => tracing::debug!("a connection was closed: there is no place for it"),
                }
            }
        };
        self.stop.run_until_cancelled(accepting).await;
    }

    fn serve(&self, stream: TcpStream, ip: IpAddr, place: Place) {
        let sources = self.sources;
        let origin = Origin { ip, sources };
        let router = match place.treatment {
            Treatment::Served => &self.router,
            Treatment::Refused => &self.refusing_router,
        };
        let serving = connection::serve(
            stream,
            origin,
            router.clone(),
            Arc::clone(&self.limits),
            self.stop.clone(),
        );
        let cut_off_count = Arc::clone(&self.cut_off_count);
        self.tasks.spawn(async move {
            // A connection that loses its place is closed at once, even in the middle of a request.
            let end = place.lost().run_until_cancelled(serving).await;
            if end == Some(End::CutOff) {
                cut_off_count.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
}

async fn accept(listener: &TcpListener) -> (TcpStream, IpAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, client)) => return (stream, client.ip()),
            Err(error) if is_of_one_connection(&error) => {
                tracing::debug!(%error, "a client closed its connection before it was accepted")
            }
            Err(error) => {
                tracing::warn!(%error, "could not accept a connection");
                clock::pause(ACCEPT_RETRY_PAUSE).await;
            }
        }
    }
}

/// Whether the error concerns one connection only. A pause after such an error would let any client
/// stop the relay by breaking its own connections.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}
