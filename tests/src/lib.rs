//! The harness.

#[cfg(feature = "fuse")]
pub mod probe_fs;
