//! Archives: what a build made and a run needs, in one file, so that tests run on a machine that
//! has neither the target directory nor cargo.
//!
//! An archive is a tar file, compressed by the program `zstd` if its name ends in `.zst`. Its first
//! entry, `archive.json`, describes the workspace and the build and lists every other entry; these
//! are regular files below `target/`, `workspace/` or `compiler/`. `contents` chooses the files,
//! `pack` and `unpack` write and read them, and `extraction` owns the directory that they are
//! unpacked to.
//!
//! An archive is outside input. Nothing is written but the listed files, below a new directory of
//! our own.

mod compression;
mod contents;
mod description;
mod entries;
mod extraction;
mod pack;
mod path;
mod unpack;

use std::path::{Path, PathBuf};

use crate::base::exit::{Exit, Stop};
use crate::base::failure_kind::FailureKind;
use crate::workspace::cargo::Build;
use crate::workspace::cargo::settings::EnvTable;
use crate::workspace::metadata::Workspace;

pub(crate) use contents::files_below;
pub(crate) use extraction::sweep;
pub(crate) use pack::{Packed, can_write, pack};

/// What an unpacked archive has that cargo would otherwise say. The files are removed when this
/// value is dropped.
#[derive(Debug)]
pub(crate) struct Archived {
    /// The features that were built, as `package/feature`.
    pub(crate) features: Vec<String>,
    pub(crate) build: Build,
    /// The table `[env]` of cargo's configuration.
    pub(crate) settings: EnvTable,
    extraction: extraction::Extraction,
}

impl Archived {
    /// The directory for files of integration tests, as cargo provides it.
    pub(crate) fn temporary(&self) -> PathBuf {
        self.extraction.path().join(path::TARGET).join("tmp")
    }

    /// The libraries of the compiler that the archive has.
    pub(crate) fn compiler_libraries(&self) -> PathBuf {
        self.extraction.path().join(path::COMPILER)
    }
}

/// Unpacks an archive into the target directory of this machine. `remap` is where the sources are;
/// without them, the tests run in the files of the archive.
///
/// # Errors
/// When the archive is not one that this program and this machine can use, or it cannot be
/// unpacked.
pub(crate) fn open(file: &Path, remap: Option<&Path>) -> Result<Workspace, Stop> {
    unpack::open(file, remap).map_err(|error| {
        let message = format!("could not use the archive `{}`: {error:#}", file.display());
        Stop::new(Exit::SetupFailed, FailureKind::Setup, message)
    })
}
