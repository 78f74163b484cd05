//! Directories that only we can enter.

use std::path::Path;

/// Makes the directory below which all scratch directories of a run are; private.
pub(crate) fn make_scratch(path: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}
