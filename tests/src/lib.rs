//! The harness of tandem's tests: one universe per test, and everything a universe is made of.
//!
//! It starts the real relay and real peers. It manages ports, directories, seeds, logs, faults and
//! waiting, so that tests don't have to, and it proves that a test leaves nothing behind. It has no
//! expectations about the product; those are in `suite/`.

pub mod actor;
#[cfg(unix)]
pub mod conformance;
pub mod failure;
pub mod faults;
pub mod leaks;
pub mod link;
pub mod log;
#[cfg(target_os = "linux")]
pub mod machines;
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
