//! The ownership of the processes of tests and builds, and their leftovers.
//!
//! On Linux: namespaces, a supervisor for each running test, leaks and their evidence. See `linux`.

pub mod build_guard;
pub mod isolation;
#[cfg(target_os = "linux")]
pub mod linux;
pub mod removal;
