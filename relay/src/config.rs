//! The configuration of a relay. Everything but the address has a default.

use std::collections::HashSet;
use std::fmt;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use axum::Router;

use crate::clock::Clock;
use crate::limits::{Limits, StoreLimits};
use crate::listen::Listen;
use crate::source::Sources;
use crate::store::{MemoryStore, Store};
use crate::token::LookupToken;

type Layer = Box<dyn FnOnce(Router) -> Router + Send>;

/// How a relay is to run; see [`Relay::bind`](crate::Relay::bind).
pub struct RelayConfig {
    pub(crate) listen: Listen,
    pub(crate) limits: Limits,
    pub(crate) sources: Sources,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) only: Option<HashSet<LookupToken>>,
    pub(crate) layer: Layer,
}

impl RelayConfig {
    /// Listens on `addr`; port 0 takes a free one. `[::]` takes IPv4 as well.
    #[must_use]
    pub fn listen_on(addr: SocketAddr) -> Self {
        Self::new(Listen::On(addr))
    }

    /// Serves `listener`, which already listens: a port that the caller claimed stays claimed.
    #[must_use]
    pub fn adopt(listener: TcpListener) -> Self {
        Self::new(Listen::Adopted(listener))
    }

    /// Applies `limits` to connections and requests instead of the defaults.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Determines the source of a request by `sources` instead of by its connection.
    #[must_use]
    pub fn sources(mut self, sources: Sources) -> Self {
        self.sources = sources;
        self
    }

    /// Keeps entries in `store` instead of a [`MemoryStore`] of its own. The caller can keep a
    /// handle and see the entries.
    #[must_use]
    pub fn store(mut self, store: Arc<dyn Store>) -> Self {
        self.store = store;
        self
    }

    /// Takes registrations of these tokens only, and answers those of others with 403. For a peer
    /// that is the relay of its own invitation.
    #[must_use]
    pub fn only(mut self, tokens: impl IntoIterator<Item = LookupToken>) -> Self {
        self.only = Some(tokens.into_iter().collect());
        self
    }

    /// Wraps the router of the API when the relay starts, in place of an earlier layer. The layer
    /// is between the connection and the API; a panic in it fails only its request, and its answers
    /// carry `no-store` like all others.
    #[must_use]
    pub fn layer(mut self, layer: impl FnOnce(Router) -> Router + Send + 'static) -> Self {
        self.layer = Box::new(layer);
        self
    }

    fn new(listen: Listen) -> Self {
        Self {
            listen,
            limits: Limits::default(),
            sources: Sources::default(),
            store: Arc::new(MemoryStore::new(StoreLimits::default(), Clock::system())),
            only: None,
            layer: Box::new(|router| router),
        }
    }
}

impl fmt::Debug for RelayConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut config = f.debug_struct("RelayConfig");
        config.field("listen", &self.listen).field("limits", &self.limits);
        config.finish_non_exhaustive()
    }
}
