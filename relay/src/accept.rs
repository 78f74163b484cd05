//! The accept loop: a task for each connection that gets a place.
//!
//! Every connection is accepted at once, so that nobody keeps others waiting in the kernel's
//! backlog. Who gets a place is decided in [`crate::places`]: a busy relay says so, a flood costs
//! it no more than its places, and who is not wanted is closed without an answer.

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
    /// Connections that had to be closed in the middle of a request.
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
                    None => tracing::debug!("a connection is not wanted"),
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
            // Who loses the place is closed in the middle of whatever it does.
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
            Err(error) if is_of_one_connection(&error) => tracing::debug!(%error, "a client left early"),
            Err(error) => {
                tracing::warn!(%error, "could not accept a connection");
                clock::pause(ACCEPT_RETRY_PAUSE).await;
            }
        }
    }
}

/// Whether only the connection at hand failed. A pause for these would let anyone stop the relay by
/// connecting badly.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}
