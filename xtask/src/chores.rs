//! The commands that only this repository needs: CI checks, rules, demo, mutations, the readers of
//! reports, the long checks and the benchmarks.

pub(crate) mod bench;
pub(crate) mod ci;
pub(crate) mod compat;
pub(crate) mod conformance;
pub(crate) mod demo;
pub(crate) mod limits;
pub(crate) mod mutations;
pub(crate) mod readers;
pub(crate) mod tidy;
