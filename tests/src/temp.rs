//! The directory of one universe: private (0700), under `TMPDIR`; removed at the end, with an error
//! if that fails, and kept when the test fails.
//!
//! It does not know its contents; `leaks` finds files that must not be there at the end.

use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A directory that only this user can enter.
#[derive(Debug)]
pub struct TempRoot {
    dir: TempDir,
}

impl TempRoot {
    /// Makes a fresh directory under `TMPDIR`. Its name is short, because the path of a unix socket
    /// has at most 104 bytes.
    pub fn create() -> io::Result<TempRoot> {
        let mut builder = tempfile::Builder::new();
        builder.prefix("tandem-");
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
        Ok(TempRoot {
            dir: builder.tempdir()?,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Makes a directory in it and returns its path.
    pub fn dir(&self, name: &str) -> io::Result<PathBuf> {
        let path = self.path().join(name);
        std::fs::create_dir_all(&path)?;
        Ok(path)
    }

    /// Removes the directory and everything in it; unlike a drop, it returns the error if that
    /// fails.
    pub fn close(self) -> io::Result<()> {
        self.dir.close()
    }

    /// Keeps the directory for a person to inspect.
    pub fn keep(self) -> PathBuf {
        self.dir.keep()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn nobody_else_can_enter_a_temp_root() {
        use std::os::unix::fs::PermissionsExt;
        let root = TempRoot::create().unwrap();
        assert_eq!(
            root.path().metadata().unwrap().permissions().mode() & 0o777,
            0o700
        );
    }

    #[test]
    fn close_removes_the_directory_with_everything_in_it() {
        let root = TempRoot::create().unwrap();
        let path = root.path().to_owned();
        std::fs::write(root.dir("alice").unwrap().join("a"), b"a").unwrap();
        root.close().unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn a_kept_directory_stays() {
        let path = TempRoot::create().unwrap().keep();
        assert!(path.exists());
        std::fs::remove_dir(path).unwrap();
    }
}
