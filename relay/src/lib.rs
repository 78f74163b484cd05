//! The tandem rendezvous server, as a library: the production binary and every test start it with
//! the same call.
//!
//! A relay keeps sealed records under lookup tokens for ten minutes and learns nothing else.
//! Reading order, each layer knowing only those before it: `api limits clock token source store
//! answer body arrivals routes listen connection places accept config relay`. This crate has no
//! code for tests or faults; a test wraps the real router with [`RelayConfig::layer`].

pub mod api;

#[cfg(feature = "server")]
mod accept;
#[cfg(feature = "server")]
mod answer;
#[cfg(feature = "server")]
mod arrivals;
#[cfg(feature = "server")]
mod body;
#[cfg(feature = "server")]
pub mod clock;
#[cfg(feature = "server")]
mod config;
#[cfg(feature = "server")]
mod connection;
#[cfg(feature = "server")]
pub mod limits;
#[cfg(feature = "server")]
mod listen;
#[cfg(feature = "server")]
mod places;
#[cfg(feature = "server")]
mod relay;
#[cfg(feature = "server")]
mod routes;
#[cfg(feature = "server")]
mod source;
#[cfg(feature = "server")]
pub mod store;
#[cfg(feature = "server")]
mod token;

#[cfg(feature = "server")]
pub use self::{
    api::Source,
    config::RelayConfig,
    limits::{Limits, StoreLimits},
    listen::BindError,
    relay::{Drained, Relay},
    source::Sources,
    store::{MemoryStore, OnTaken, Registration, Store},
    token::{LookupToken, TokenError},
};
