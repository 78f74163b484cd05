//! One relay, its peers, their directories and ports: everything that one test needs, shared with
//! no other test.
//!
//! [`Universe::new`] returns when alice and bob are connected; [`Universe::close`] stops everything
//! and proves that nothing is left. Forgetting `close` is an error: dropping a universe panics,
//! unless the test has already failed. When a test fails, its universe keeps its directory and
//! prints its logs.

mod builder;
mod closing;
mod ground;

use std::panic::Location;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

pub use builder::Builder;

use crate::actor::Actor;
use crate::failure::{Caller, fail};
use crate::link::Link;
use crate::relay::RelayActor;
use crate::seed::Seed;
use closing::Before;
use ground::Ground;

/// See the module's head.
#[derive(Debug)]
pub struct Universe {
    /// The first of the two peers.
    pub alice: Actor,
    /// The second of the two peers.
    pub bob: Actor,
    /// The relay where they find each other.
    pub relay: RelayActor,
    others: Mutex<Vec<Actor>>,
    before: Before,
    /// `None` once the universe is closed.
    ground: Option<Ground>,
}

impl Universe {
    /// Starts a relay, and alice and bob, and connects them.
    #[track_caller]
    pub fn new() -> impl Future<Output = Universe> {
        Universe::builder().build_at(Location::caller())
    }

    /// Builds a universe with other settings.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Connects alice and bob, if they were built as strangers.
    #[track_caller]
    pub fn connect(&self) -> impl Future<Output = ()> {
        self.connect_at(Location::caller())
    }

    /// Starts another peer on this relay; the universe closes it.
    #[track_caller]
    pub fn join(&self, name: &'static str) -> impl Future<Output = Actor> {
        let at = Location::caller();
        async move {
            let actor = self.ground(at).start(name, None, at).await;
            self.others
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(actor.clone());
            actor
        }
    }

    /// The link between the peers, in a universe built with `linked`.
    #[track_caller]
    pub fn link(&self) -> &Link {
        let at = Location::caller();
        self.ground(at)
            .link
            .as_ref()
            .unwrap_or_else(|| fail(at, "this universe was not built with `linked()`"))
    }

    /// The link to the relay, in a universe built with `relay_linked`.
    #[track_caller]
    pub fn relay_link(&self) -> &Link {
        let at = Location::caller();
        let link = self.ground(at).relay_link.as_ref();
        link.unwrap_or_else(|| fail(at, "this universe was not built with `relay_linked()`"))
    }

    /// The directory that holds everything of this universe.
    #[track_caller]
    pub fn root(&self) -> &Path {
        self.ground(Location::caller()).root.path()
    }

    /// `len` bytes that depend on this universe's seed and on `name`.
    #[track_caller]
    pub fn payload(&self, name: &str, len: usize) -> Vec<u8> {
        self.seed(Location::caller()).payload(name, len)
    }

    async fn connect_at(&self, at: Caller) {
        tokio::join!(
            self.alice.connect_at(&self.bob, at),
            self.bob.connect_at(&self.alice, at)
        );
    }

    fn seed(&self, at: Caller) -> Seed {
        self.ground(at).seed
    }

    fn ground(&self, at: Caller) -> &Ground {
        self.ground
            .as_ref()
            .unwrap_or_else(|| fail(at, "this universe is closed"))
    }

    fn actors(&self) -> Vec<Actor> {
        let others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        [&self.alice, &self.bob]
            .into_iter()
            .chain(others.iter())
            .cloned()
            .collect()
    }
}
