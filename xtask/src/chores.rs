//! What only this repository needs: its gate, its rules, its demo, mutations, the heavy checks and
//! the figures.

pub(crate) mod bench;
pub(crate) mod ci;
pub(crate) mod compat;
pub(crate) mod conformance;
pub(crate) mod demo;
pub(crate) mod limits;
pub(crate) mod mutations;
pub(crate) mod tidy;
