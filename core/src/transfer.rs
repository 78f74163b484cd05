//! Moving the bytes of files between peers, verified.
//!
//! Owns the protocol of a data lane after its greeting, the holder's side (`serve`), the puller's
//! side (`queue`, `fetch`) and the reader's side (`demand`, `supply`, `read_ahead`). A group of
//! bytes is hashed before it is written, so a wrong byte reaches neither a reader nor a disk. A
//! lane that breaks gives its unfinished work back to the queue, so a pull survives it. Knows
//! contents and destinations, but no names of the catalog and no sessions: the caller provides the
//! lanes.
//!
//! Readers have lanes of their own with few bytes in flight, so a pull can't starve a read, and
//! read-ahead delays a waiting reader only for a moment. Single blocks are checked by a fine
//! outline, which is fetched with them.

mod demand;
mod fault;
mod fetch;
mod local;
mod progress;
mod protocol;
mod queue;
mod read_ahead;
mod resume;
mod serve;
mod supply;
#[cfg(test)]
mod tests;

pub(crate) use demand::{Demand, Done, Patience, Waiter, WorkersToStart};
pub use fault::FetchFault;
pub(crate) use fetch::{LaneEnd, fetch};
pub(crate) use local::{copy_fetched, copy_local};
pub use progress::Progress;
pub(crate) use protocol::Refusal;
pub(crate) use queue::{FileFailure, FileJob, Outcome, Queue};
pub(crate) use read_ahead::{Plan, ReadAhead};
pub(crate) use resume::{adopt_present, find_parts};
pub(crate) use serve::{Holder, serve};
pub(crate) use supply::{FetchEvents, supply};
