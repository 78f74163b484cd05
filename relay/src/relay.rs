//! The relay as a value: bound and serving when [`Relay::bind`] returns, gone when
//! [`Relay::shutdown`] returns.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::accept::Acceptor;
use crate::clock;
use crate::config::RelayConfig;
use crate::limits::SWEEP_INTERVAL_MIN;
use crate::listen::BindError;
use crate::routes;
use crate::store::Store;

/// A running relay. Dropping it stops it as [`Relay::shutdown`] does, but without waiting for the
/// end or reporting it.
#[derive(Debug)]
#[must_use = "a relay that is dropped stops"]
pub struct Relay {
    addr: SocketAddr,
    stop: DropGuard,
    tasks: TaskTracker,
    cut_off_count: Arc<AtomicUsize>,
}

/// How a shutdown went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Drained {
    /// Connections, since the relay started, that were closed in the middle of a request that took
    /// too long.
    pub cut_off_count: usize,
}

impl Relay {
    /// Starts a relay. It serves when this returns.
    ///
    /// # Errors
    /// [`BindError`] if the relay can't listen there.
    pub async fn bind(config: RelayConfig) -> Result<Self, BindError> {
        let (listener, addr) = config.listen.start()?;
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let limits = Arc::new(config.limits);
        let api = routes::api(
            Arc::clone(&config.store),
            Arc::clone(&limits),
            config.only,
            stop.clone(),
        );
        let cut_off_count = Arc::new(AtomicUsize::new(0));
        tasks.spawn(sweep_regularly(config.store, limits.sweep_interval, stop.clone()));
        let acceptor = Acceptor {
            router: routes::enclose((config.layer)(api)),
            refusing_router: routes::refuse_all(&limits),
            limits,
            sources: config.sources,
            stop: stop.clone(),
            tasks: tasks.clone(),
            cut_off_count: Arc::clone(&cut_off_count),
        };
        tasks.spawn(acceptor.run(listener));
        Ok(Self {
            addr,
            stop: stop.drop_guard(),
            tasks,
            cut_off_count,
        })
    }

    /// The actual address of the relay: the port is never 0.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The address as a URL without a path, `http://[::1]:4711` for instance.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Accepts nothing from now on, closes idle connections, gives requests in flight
    /// [`Limits::drain_timeout`](crate::Limits::drain_timeout), and returns when the socket is
    /// closed and every task of the relay has ended. If this future is dropped, the relay still
    /// stops, but nothing reports when.
    pub async fn shutdown(self) -> Drained {
        drop(self.stop);
        self.tasks.close();
        self.tasks.wait().await;
        let cut_off_count = self.cut_off_count.load(Ordering::Relaxed);
        Drained { cut_off_count }
    }
}

async fn sweep_regularly(store: Arc<dyn Store>, interval: Duration, stop: CancellationToken) {
    let mut ticks = clock::ticks(interval.max(SWEEP_INTERVAL_MIN));
    let sweeping = async {
        loop {
            ticks.tick().await;
            if let Err(error) = store.sweep().await {
                tracing::warn!(%error, "could not sweep expired entries");
            }
        }
    };
    stop.run_until_cancelled(sweeping).await;
}
