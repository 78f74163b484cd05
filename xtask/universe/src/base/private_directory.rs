//! Directories that only we can enter, or only we can write to, whatever the umask says.

use std::path::Path;

/// Makes the directory below which all scratch directories of a run are; private.
pub(crate) fn make_scratch(path: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Makes a directory, unless it is there, to which no other user can write; those above it that are
/// missing are as the umask says.
pub(crate) fn make_closed(path: &Path) -> std::io::Result<()> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o755);
    builder.recursive(true).create(path)
}
