//! Tools that know nothing of tests: time, the operating system, files, text, exit codes.
//!
//! The lowest floor: nothing here imports another room.

pub mod atomic_file;
pub mod clock;
pub mod compile_error;
pub mod directory_identity;
pub mod disarm;
pub mod exit;
pub mod failure_kind;
#[cfg(unix)]
pub mod folder;
#[cfg(target_os = "linux")]
pub mod fuse_connections;
pub mod interrupt;
pub mod invocation;
pub mod limits;
pub mod lock_file;
pub mod mounts;
pub mod os;
pub mod private_directory;
pub mod procfs;
pub(crate) mod program;
pub mod regular_file;
pub mod runtime;
pub mod terminal;
pub mod text;
pub mod this_program;
pub mod truncation;
pub mod variables;
