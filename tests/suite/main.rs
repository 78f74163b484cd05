//! The suite: each promise of tandem is a test with a universe of its own. One module per topic.

#![expect(clippy::unwrap_used, reason = "in a test, a panic is the report")]

#[cfg(target_os = "linux")]
mod conformance_flaws;
#[cfg(unix)]
mod conformance_kernel_free;
#[cfg(target_os = "linux")]
mod conformance_mount;
#[cfg(target_os = "linux")]
mod conformance_plain;
mod connect;
mod error;
#[cfg(unix)]
mod fuse;
#[cfg(target_os = "linux")]
mod fuse_ends;
#[cfg(target_os = "linux")]
mod fuse_faults;
#[cfg(target_os = "linux")]
mod fuse_fsx;
#[cfg(target_os = "linux")]
mod fuse_links;
#[cfg(target_os = "linux")]
mod fuse_mapping;
#[cfg(unix)]
mod fuse_mounts;
#[cfg(unix)]
mod fuse_programs;
#[cfg(unix)]
mod fuse_sqlite;
#[cfg(unix)]
mod fuse_sync;
mod harness;
mod nofuse;
mod nofuse_sync;
mod pairing;
mod records;
mod relay;
mod resilience;
mod resume;
mod temper;
