//! Moving the bytes of files between peers, verified.
//!
//! Owns what is said on a data lane after its greeting, the holder's side (`serve`) and the puller's side (`queue`,
//! `fetch`). A group of bytes is hashed before it is written, so a wrong byte reaches neither a reader nor a disk; a lane
//! that breaks gives its unfinished work back to the queue, so a pull survives it. Knows contents and destinations,
//! not the catalog's names, and no sessions: lanes are handed to it.

mod fetch;
mod local;
mod progress;
mod protocol;
mod queue;
mod serve;
#[cfg(test)]
mod tests;

pub(crate) use fetch::{LaneEnd, fetch};
pub(crate) use local::copy_local;
pub use progress::Progress;
pub(crate) use protocol::Refusal;
pub(crate) use queue::{FileFailure, FileJob, Outcome, Queue};
pub(crate) use serve::{Holder, serve};
