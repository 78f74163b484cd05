//! The suite: what tandem promises, each promise a test with a universe of its own. One module per topic.

#![expect(clippy::unwrap_used, reason = "what fails in here fails a test, as it should")]

mod connect;
mod error;
mod fuse_probe;
mod harness;
mod nofuse;
mod nofuse_sync;
mod relay;
mod resilience;
mod temper;
