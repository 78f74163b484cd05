//! Directories that only this user can enter, or only this user can write to, whatever the umask
//! is.

use std::path::Path;

/// Creates the directory that contains all scratch directories of a run; private.
pub(crate) fn make_scratch(path: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Creates a directory, unless it exists, to which no other user can write. Missing parents get the
/// modes that the umask gives.
pub(crate) fn make_closed(path: &Path) -> std::io::Result<()> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o755);
    builder.recursive(true).create(path)
}
