//! The tandem peer: everything between a folder on this machine and the same folder on one other machine.
//!
//! Reading order, each module knowing only those before it: [`limits`], [`clock`], [`identity`], [`rendezvous`],
//! [`session`], [`catalog`], [`store`], [`transfer`], [`peer`], [`mount`]. There is no server in this crate;
//! the relay is `tandem_relay`, of which only the shared API is used here.

mod aligned;
pub mod catalog;
pub mod clock;
pub mod health;
mod hex;
pub mod identity;
pub mod limits;
pub mod mount;
pub mod peer;
mod printable;
pub mod reconnect;
pub mod rendezvous;
pub mod session;
pub mod store;
pub mod transfer;
