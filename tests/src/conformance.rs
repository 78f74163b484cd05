//! What any POSIX folder does, as functions of a [`Directory`]: each states one fact, and fails by
//! panicking.
//!
//! They run on a plain directory (which tests the facts), on the kernel-free file system and on a
//! mount, through the table [`crate::for_each_fact`]. They know nothing of peers. Facts that the
//! kernel alone decides (locks, `.` and `..`, the mode of a descriptor) are in [`kernel`] and run
//! only where there is a kernel in between.

#![expect(
    clippy::unwrap_used,
    reason = "what fails in a fact fails the test that asks for it"
)]

pub mod attributes;
pub mod contents;
mod directory;
pub mod errors;
pub mod exerciser;
pub mod folders;
#[cfg(target_os = "linux")]
pub mod kernel;
mod kernel_free;
pub mod links;
pub mod names;
#[cfg(target_os = "linux")]
mod plain;
pub mod ranges;
pub mod renames;
mod table;
pub mod unlinked;
mod verbs;

pub use directory::{
    Access, Allocate, Creation, Directory, Errno, File, Kind, Listed, Listing, Open, Outcome, Rename, Room,
    Stat, Time,
};
pub use kernel_free::{KernelFree, KernelFreeFile, KernelFreeListing};
#[cfg(target_os = "linux")]
pub use plain::{Plain, PlainFile, PlainListing};
pub use verbs::{FileVerbs, Verbs};
