//! The share as a folder: a file system over the catalog, the store and the transfer, and its
//! mounts.
//!
//! `FileSystem` is kernel-free and decides everything; `fuse` adapts it to the kernel and decides
//! nothing; `errno` is the only file that names an errno. Reading order: `attributes fs_error errno
//! answer viewers uses writers nodes links working_file open_file share_view changes writing
//! publish filesystem`, then `options preflight mount_point connection guard live fuse mounts`.
//! Knows the share and no peer: a peer keeps `Mounts`, and ends them. Any number of mounts, of any
//! number of peers, per process. Without the feature `fuse`, and on Windows, the API is there and
//! answers [`MountError::NoBackend`].

#[cfg(unix)]
mod answer;
#[cfg(unix)]
mod attributes;
#[cfg(unix)]
mod changes;
#[cfg(all(unix, feature = "fuse"))]
mod connection;
#[cfg(unix)]
mod errno;
#[cfg(unix)]
mod filesystem;
#[cfg(unix)]
mod fs_error;
#[cfg(all(unix, feature = "fuse"))]
mod fuse;
#[cfg(all(unix, feature = "fuse"))]
mod guard;
#[cfg(unix)]
mod links;
#[cfg(all(unix, feature = "fuse"))]
mod live;
mod mount_error;
#[cfg(all(unix, feature = "fuse"))]
mod mount_point;
mod mounts;
#[cfg(unix)]
mod nodes;
#[cfg(unix)]
mod open_file;
mod options;
#[cfg(all(unix, feature = "fuse"))]
mod preflight;
#[cfg(unix)]
mod publish;
#[cfg(unix)]
mod share_view;
#[cfg(test)]
#[cfg(unix)]
mod tests;
#[cfg(unix)]
mod uses;
#[cfg(unix)]
mod viewers;
#[cfg(unix)]
mod working_file;
#[cfg(unix)]
mod writers;
#[cfg(unix)]
mod writing;

#[cfg(unix)]
pub use attributes::{Attributes, Changes, Handle, Inode, NewFile, NodeKind, OpenMode, Owner};
#[cfg(unix)]
pub use filesystem::{FileSystem, FolderItem, Io, IoWish, Opened, Renaming, Room, Span, Statistics, Whence};
#[cfg(unix)]
pub use fs_error::FsError;
pub use mount_error::MountError;
pub use mounts::Mount;
#[cfg(unix)]
pub(crate) use mounts::Mounts;
pub use options::{Links, MountOptions, Passthrough};

/// What mounts of tandem are called in the table of mounts.
#[cfg(all(unix, feature = "fuse"))]
const SUBTYPE: &str = "tandem";
