//! What cargo says: the workspace and its packages, its metadata for the runner, builds, sources;
//! and archives, which say the same where there is no cargo.

pub(crate) mod archive;
pub mod cargo;
pub mod config;
pub(crate) mod doc_comments;
pub mod fuse_mode;
pub mod metadata;
pub mod repository;
pub mod source;
