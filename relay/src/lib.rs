//! The tandem rendezvous server.

pub mod api;
