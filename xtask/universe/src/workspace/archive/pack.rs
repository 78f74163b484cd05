//! Writes an archive: the description first, then the files in the order of their paths.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

use super::compression::Compression;
use super::contents::Contents;
use super::description::{Description, Listed, NAME, Subject};
use super::path::Ground;
use crate::base::regular_file;
use crate::workspace::cargo::Build;
use crate::workspace::metadata::Workspace;

/// What was written.
#[derive(Debug)]
pub(crate) struct Packed {
    pub(crate) file_count: usize,
    /// Bytes of the files.
    pub(crate) len: u64,
    /// Bytes of the archive.
    pub(crate) packed_len: u64,
}

/// Whether an archive of this name can be compressed here.
///
/// # Errors
/// When the name is not that of an archive, or the program that it needs is missing.
pub(crate) fn can_write(to: &Path) -> anyhow::Result<()> {
    Compression::of(to)?.is_here()
}

/// Writes the archive `to`, which a reader sees whole or not at all.
///
/// # Errors
/// When a file cannot be read or may not be in an archive, or the archive cannot be written.
pub(crate) fn pack(
    workspace: &Workspace,
    (build, features): (&Build, &[String]),
    included: &[PathBuf],
    to: &Path,
) -> anyhow::Result<Packed> {
    let compression = Compression::of(to)?;
    let subject = Subject {
        workspace,
        build,
        features,
    };
    let ground = Ground {
        target: workspace.target_directory.clone(),
        workspace: workspace.root.clone(),
    };
    let files = Contents::of(subject, &ground, included)?.listed()?;
    let listed: Vec<Listed> = files.iter().map(|(listed, _)| listed.clone()).collect();
    let len = listed.iter().map(|file| file.len).sum();
    let file_count = listed.len();
    let description = Description::of(subject, &ground, listed);
    let json = serde_json::to_vec(&description).context("could not describe the build")?;
    let not_written = || format!("could not write `{}`", to.display());
    regular_file::is_free(to).with_context(not_written)?;
    let parent = to.parent().filter(|parent| !parent.as_os_str().is_empty());
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let temporary = builder.tempfile_in(parent.unwrap_or(Path::new(".")));
    let temporary = temporary.with_context(not_written)?;
    write(compression, temporary.reopen()?, &json, &files).with_context(not_written)?;
    let packed_len = temporary.as_file().metadata()?.len();
    temporary.persist(to).with_context(not_written)?;
    Ok(Packed {
        file_count,
        len,
        packed_len,
    })
}

fn write(compression: Compression, to: File, json: &[u8], files: &[(Listed, PathBuf)]) -> anyhow::Result<()> {
    let mut stream = compression.writer(to)?;
    let written = entries(stream.end(), json, files);
    // If the program failed, its failure is the reason.
    stream.finish()?;
    written
}

fn entries(to: &mut dyn Write, json: &[u8], files: &[(Listed, PathBuf)]) -> anyhow::Result<()> {
    let mut builder = tar::Builder::new(to);
    let description = Listed {
        path: NAME.to_owned(),
        len: u64::try_from(json.len()).unwrap_or(u64::MAX),
        is_executable: false,
    };
    builder.append_data(&mut header(&description), NAME, json)?;
    for (listed, path) in files {
        let file = File::open(path).with_context(|| format!("could not read `{}`", path.display()))?;
        let mut content = file.take(listed.len);
        builder.append_data(&mut header(listed), &listed.path, &mut content)?;
        ensure!(
            content.limit() == 0,
            "`{}` became shorter meanwhile",
            path.display()
        );
    }
    builder.into_inner()?.flush()?;
    Ok(())
}

/// Only what a reader needs: the same build gives the same archive.
fn header(listed: &Listed) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_size(listed.len);
    header.set_mode(if listed.is_executable { 0o755 } else { 0o644 });
    header.set_mtime(0);
    header.set_cksum();
    header
}
