//! The harness of tandem's tests: a universe per test, and everything a universe is made of.
//!
//! It starts the real relay and real peers, and owns what a test must not care about: ports,
//! directories, seeds, logs, faults, waiting, and the proof that nothing is left. It holds no
//! expectations of its own about the product; those are in `suite/`.

pub mod actor;
#[cfg(unix)]
pub mod conformance;
pub mod failure;
pub mod faults;
pub mod leaks;
pub mod link;
pub mod log;
#[cfg(unix)]
pub mod mapping;
#[cfg(unix)]
pub mod mounted;
#[cfg(unix)]
pub mod mountpoint;
#[cfg(target_os = "linux")]
pub mod namespace;
#[cfg(unix)]
pub mod offline;
pub mod pair;
pub mod ports;
pub mod privileges;
pub mod program;
pub mod relay;
pub mod seed;
pub mod temp;
pub mod tree;
pub mod universe;
pub mod wait;
