//! The tandem peer: everything between a folder on this machine and the same folder on one other
//! machine.
//!
//! Reading order, each module knowing only those before it: [`limits`], [`clock`], [`identity`],
//! [`rendezvous`], [`catalog`], [`health`], [`reconnect`], [`session`], [`pairing`], [`store`],
//! [`journal`], [`transfer`], `share`, [`mount`], and at last [`peer`], which starts and ends its
//! mounts. The relay is the crate `tandem_relay`. This crate uses only its API, with its feature
//! `server` off.

mod aligned;
pub mod catalog;
pub mod clock;
mod crockford;
pub mod health;
mod hex;
pub mod identity;
pub mod journal;
pub mod limits;
pub mod mount;
#[cfg(unix)]
mod ownership;
pub mod pairing;
pub mod peer;
pub mod printable;
pub mod reconnect;
#[cfg(test)]
mod recorded_log;
pub mod rendezvous;
mod runtime;
pub mod session;
mod share;
pub mod store;
pub mod transfer;
mod unix_time;
mod unsaved;
