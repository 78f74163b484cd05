//! The accept loop: which connections there are, and how many.
//!
//! Owns the cap. A connection takes a *place* before it is accepted: there are as many as may be served plus a few for
//! telling 503 to those beyond. With all places taken nothing is accepted, and the kernel's backlog holds the rest. So
//! a busy relay says so, and a flood costs it no more memory than its places.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock;
use crate::connection::{self, End};
use crate::limits::{ACCEPT_RETRY_PAUSE, Limits};
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
        let served_max = self.limits.connection_count_max;
        let served = semaphore(served_max);
        let places = semaphore(served_max.saturating_add(self.limits.refusal_count_max));
        let accepting = async {
            while let Ok(place) = Arc::clone(&places).acquire_owned().await {
                let (stream, ip) = accept(&listener).await;
                let origin = Origin {
                    ip,
                    sources: self.sources,
                };
                let served = Arc::clone(&served).try_acquire_owned().ok();
                self.serve(stream, origin, served, place);
            }
        };
        self.stop.run_until_cancelled(accepting).await;
    }

    fn serve(
        &self,
        stream: TcpStream,
        origin: Origin,
        served: Option<OwnedSemaphorePermit>,
        place: OwnedSemaphorePermit,
    ) {
        let router = match &served {
            Some(_) => &self.router,
            None => &self.refusing_router,
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
            if serving.await == End::CutOff {
                cut_off_count.fetch_add(1, Ordering::Relaxed);
            }
            drop((served, place));
        });
    }
}

/// More permits than tokio can count are as good as no limit.
fn semaphore(permits: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(permits.min(Semaphore::MAX_PERMITS)))
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

/// Whether only the connection at hand failed. A pause for these would let anyone stop the relay by connecting badly.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}
