//! Which tests run, in which order, and how each is treated: filter, plan, history, shards,
//! overrides.
//!
//! Pure functions of the list of tests, the options, the capabilities and the history.

pub mod demand;
pub(crate) mod doc_test;
pub mod filter;
pub mod history;
pub mod ignore;
pub mod ignored;
pub mod overrides;
pub mod plan;
pub mod repeat;
pub mod schedule;
pub mod scripts;
pub mod shuffle;
pub mod subset;
