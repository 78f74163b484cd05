//! How one process asks another one that runs a share: a socket in the share's folder, which only
//! its owner may enter.
//!
//! One connection carries one request and its answer, both as lines of JSON. This room knows the
//! lines and the socket, and neither shares nor peers: `attend` answers, and `commands` asks.

#[cfg(unix)]
mod client;
#[cfg(unix)]
mod lines;
#[cfg(unix)]
mod server;
#[cfg(unix)]
mod socket;
#[cfg(not(unix))]
mod unbuilt;
mod wire;

#[cfg(unix)]
pub(crate) use client::Client;
#[cfg(unix)]
pub(crate) use server::{Answers, Server};
#[cfg(not(unix))]
pub(crate) use unbuilt::{Answers, Client, Server};
pub(crate) use wire::{Answer, OnTaken, Request};

/// Why the other process can't be asked or answered any more: it is gone, or it does not read.
#[derive(Debug)]
pub(crate) struct Gone;
