//! Who owns the processes of tests and builds, and what they leave behind.
//!
//! On Linux that is `linux`: namespaces, a supervisor for each running test, leaks and their
//! evidence.

pub mod build_guard;
pub mod isolation;
#[cfg(target_os = "linux")]
pub mod linux;
pub mod removal;
