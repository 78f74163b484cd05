//! The accept loop: which connections there are, and how many.
//!
//! Owns the caps. A connection takes a *place* before it is accepted: there are as many as may be
//! served plus a few for telling 503 to those beyond. With all places taken nothing is accepted,
//! and the kernel's backlog holds the rest. So a busy relay says so, and a flood costs it no more
//! memory than its places. A source that has its share of places gets no more: its next connection
//! is closed without an answer, so that it can't keep others from theirs.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock;
use crate::connection::{self, End};
use crate::limits::{ACCEPT_RETRY_PAUSE, Limits};
use crate::source::{Origin, Source, Sources};

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
    /// The share of a connection from `ip`; `None` if its source has all it may have. A proxy has
    /// no limit: it is not the source.
    fn share(&self, shares: &Shares, ip: IpAddr) -> Option<Share> {
        let count_max = match self.sources {
            Sources::Connections => self.limits.source_connection_count_max,
            Sources::ForwardedFor => usize::MAX,
        };
        shares.take(Source::of(ip), count_max)
    }

    /// Runs until `stop`; the listener is closed when this returns.
    pub(crate) async fn run(self, listener: TcpListener) {
        let served_max = self.limits.connection_count_max;
        let served = semaphore(served_max);
        let places = semaphore(served_max.saturating_add(self.limits.refusal_count_max));
        let shares = Shares::default();
        let accepting = async {
            while let Ok(place) = Arc::clone(&places).acquire_owned().await {
                let (stream, ip) = accept(&listener).await;
                let Some(share) = self.share(&shares, ip) else {
                    tracing::debug!("a source has its share of connections");
                    continue;
                };
                let served = Arc::clone(&served).try_acquire_owned().ok();
                let taken = Taken {
                    served,
                    _place: place,
                    _share: share,
                };
                self.serve(stream, ip, taken);
            }
        };
        self.stop.run_until_cancelled(accepting).await;
    }

    fn serve(&self, stream: TcpStream, ip: IpAddr, taken: Taken) {
        let sources = self.sources;
        let origin = Origin { ip, sources };
        let router = match &taken.served {
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
            drop(taken);
        });
    }
}

/// What one connection has taken; dropping it gives all of it back.
struct Taken {
    /// `None` for a connection that is only told 503.
    served: Option<OwnedSemaphorePermit>,
    _place: OwnedSemaphorePermit,
    _share: Share,
}

/// How many connections each source has; one that has none is not in it.
#[derive(Clone, Default)]
struct Shares(Arc<Mutex<HashMap<Source, usize>>>);

/// One connection of a source; dropping it ends its counting.
struct Share {
    shares: Shares,
    source: Source,
}

impl Shares {
    fn take(&self, source: Source, count_max: usize) -> Option<Share> {
        let mut counts = self.lock();
        let count = counts.get(&source).copied().unwrap_or(0);
        if count >= count_max {
            return None;
        }
        counts.insert(source, count + 1);
        let shares = self.clone();
        Some(Share { shares, source })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Source, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut counts = self.shares.lock();
        match counts.get(&self.source).copied() {
            Some(count @ 2..) => counts.insert(self.source, count - 1),
            _ => counts.remove(&self.source),
        };
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
