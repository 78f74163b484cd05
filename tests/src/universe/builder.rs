//! The settings of a universe, and how it is built.
//!
//! By default alice and bob use one relay, reach each other directly, and are connected when the
//! test gets them.

use std::fmt;
use std::panic::Location;
use std::sync::{Arc, Mutex};

use tandem_core::peer::PeerConfig;

use super::Universe;
use super::closing::Before;
use super::ground::Ground;
use crate::failure::Caller;
use crate::ports;
use crate::relay::RelayActor;

/// The settings of a universe.
#[derive(Debug, Default)]
pub struct Builder {
    start: Start,
    paths: Paths,
    configure: Configure,
}

/// The state of alice and bob when the test gets the universe.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Start {
    #[default]
    Connected,
    Strangers,
}

/// Which paths go through a link that a test can break.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Paths {
    pub(super) between_peers: Path,
    pub(super) to_relay: Path,
}

/// How one party reaches another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Path {
    #[default]
    Direct,
    Linked,
}

/// A test's change to the configuration of every peer.
#[derive(Clone, Default)]
pub(super) struct Configure(Option<Arc<dyn Fn(PeerConfig) -> PeerConfig + Send + Sync>>);

impl Configure {
    pub(super) fn apply(&self, config: PeerConfig) -> PeerConfig {
        match &self.0 {
            None => config,
            Some(change) => change(config),
        }
    }
}

impl fmt::Debug for Configure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() {
            "Configure(changed)"
        } else {
            "Configure(default)"
        })
    }
}

impl Builder {
    /// Starts alice and bob without connecting them.
    #[must_use]
    pub fn strangers(mut self) -> Self {
        self.start = Start::Strangers;
        self
    }

    /// Peers reach each other only through [`Universe::link`].
    #[must_use]
    pub fn linked(mut self) -> Self {
        self.paths.between_peers = Path::Linked;
        self
    }

    /// Peers reach the relay only through [`Universe::relay_link`].
    #[must_use]
    pub fn relay_linked(mut self) -> Self {
        self.paths.to_relay = Path::Linked;
        self
    }

    /// Changes the configuration of every peer.
    #[must_use]
    pub fn configure(mut self, change: impl Fn(PeerConfig) -> PeerConfig + Send + Sync + 'static) -> Self {
        self.configure = Configure(Some(Arc::new(change)));
        self
    }

    /// Starts everything.
    #[track_caller]
    pub fn build(self) -> impl Future<Output = Universe> {
        self.build_at(Location::caller())
    }

    pub(super) async fn build_at(self, at: Caller) -> Universe {
        let before = Before::look();
        let relay = RelayActor::start(at).await;
        let ground = Ground::lay(&relay, self.paths, self.configure, at);
        let alice = ground.start("alice", Some(ports::ALICE), at).await;
        let bob = ground.start("bob", Some(ports::BOB), at).await;
        let others = Mutex::default();
        let universe = Universe {
            alice,
            bob,
            relay,
            others,
            before,
            ground: Some(ground),
        };
        if self.start == Start::Connected {
            universe.connect_at(at).await;
        }
        universe
    }
}
