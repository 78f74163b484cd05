//! Files that a reader sees whole or not at all: written to a temporary file, then renamed.

use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::regular_file;

/// Writes `text` to `path` so that a reader sees the old file or the new one, never a part. Creates
/// missing directories.
///
/// # Errors
/// When the directory cannot be created or written to. `path` is unchanged then.
pub(crate) fn write_atomically(path: &Path, text: &str) -> Result<()> {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    std::fs::create_dir_all(parent).with_context(|| format!("could not create `{}`", parent.display()))?;
    let replace = || -> std::io::Result<()> {
        // Never replaces a device, which nobody intends.
        if regular_file::is_device(path) {
            return std::fs::write(path, text);
        }
        regular_file::is_free(path)?;
        let mut file = temporary_file(parent).map_err(without_path)?;
        file.as_file_mut().write_all(text.as_bytes())?;
        file.persist(path)?;
        Ok(())
    };
    replace().with_context(|| format!("could not write `{}`", path.display()))
}

/// Readable for everyone the umask allows: other tools of a CI system publish the file.
fn temporary_file(parent: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".junit-").suffix(".tmp");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(parent)
}

/// The same error without the name of the temporary file, which `tempfile` adds and no reader
/// knows.
fn without_path(error: std::io::Error) -> std::io::Error {
    let text = error.to_string();
    match text.rsplit_once(" at path ") {
        Some((why, _)) => std::io::Error::new(error.kind(), why),
        None => error,
    }
}
