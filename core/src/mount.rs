//! The share as a folder: a file system over the catalog, the store and the transfer, and its mounts.
//!
//! [`FileSystem`] is kernel-free and decides everything; `fuse` adapts it to the kernel and decides nothing; `errno` is the
//! only file that names an errno. Reading order: `attributes error errno viewers uses nodes working open_file share
//! changes writing publish filesystem`, then `options preflight mount_table guard fuse`. Any number of mounts, of any number of peers, per
//! process. Without the feature `fuse` the API is there and answers [`MountError::NoBackend`].

mod attributes;
mod changes;
mod errno;
mod error;
mod filesystem;
#[cfg(feature = "fuse")]
mod fuse;
#[cfg(feature = "fuse")]
mod guard;
mod mount_error;
#[cfg(feature = "fuse")]
mod mount_table;
mod nodes;
mod open_file;
mod options;
mod peer;
#[cfg(feature = "fuse")]
mod preflight;
mod publish;
mod share;
#[cfg(test)]
mod tests;
mod uses;
mod viewers;
mod working;
mod writing;

pub use attributes::{Attributes, Changes, Handle, Inode, NodeKind, OpenMode, Owner};
pub use error::FsError;
pub use filesystem::{FileSystem, FolderItem, Io, IoWish, Opened, Renaming, Room, Span, Statistics, Whence};
pub use mount_error::MountError;
pub use options::{MountOptions, Passthrough};
pub use peer::Mount;
pub(crate) use share::MountedShare;

/// What mounts of tandem are called in the table of mounts.
#[cfg(feature = "fuse")]
const SUBTYPE: &str = "tandem";
