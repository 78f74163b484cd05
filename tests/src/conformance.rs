//! The behaviour of any POSIX folder, as functions of a [`Directory`]: each checks one fact, and
//! panics if the fact does not hold.
//!
//! They run on a plain directory (which shows that the facts themselves are right), on the
//! kernel-free file system and on a mount, through the table [`crate::for_each_fact`]. They know
//! nothing of peers. Facts that the kernel alone decides (locks, `.` and `..`, the mode of a
//! descriptor) are in [`kernel`]. They run only on directories that are used through the kernel.

#![expect(clippy::unwrap_used, reason = "a panic in a fact fails the test that runs it")]

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
