//! Removing what pulls have put into a folder, through handles that follow no link.

use std::ffi::OsStr;
use std::io;

use cap_std::fs::Dir;

use super::{Destination, StoreError, no_follow};

impl Destination {
    /// Removes the file that is there, if it may be replaced. It is fine if there is nothing.
    pub(crate) fn remove(&self) -> Result<(), StoreError> {
        self.check()?;
        let name = self.relative.file_name().unwrap_or_default();
        let folders = self.walk(self.parent_path(), no_follow::open_folder_in);
        let root = self.root()?;
        let removed = folders.and_then(|folders| {
            let removed = folders.last().unwrap_or(&root).remove_file(name);
            removed.map_err(|e| self.failed("remove", e))
        });
        if let Some(placed) = &self.placed {
            placed.forget(&self.path());
        }
        removed.or_else(is_gone)
    }

    /// Removes this folder and those in it that hold nothing. It is fine if there is nothing.
    pub(crate) fn remove_if_empty(&self) -> Result<(), StoreError> {
        let name = self.relative.file_name().unwrap_or_default();
        let folders = self.walk(self.parent_path(), no_follow::open_folder_in);
        let root = self.root()?;
        let removed = folders.and_then(|folders| {
            let removed = remove_if_empty(folders.last().unwrap_or(&root), name);
            removed.map_err(|e| self.failed("remove", e))
        });
        removed.or_else(is_gone)
    }
}

fn is_gone(error: StoreError) -> Result<(), StoreError> {
    match error {
        StoreError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => Ok(()),
        error => Err(error),
    }
}

fn remove_if_empty(folder: &Dir, name: &OsStr) -> io::Result<()> {
    let inside = no_follow::open_folder_in(folder, name)?;
    for entry in inside.entries()? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_if_empty(&inside, &entry.file_name())?;
        }
    }
    match folder.remove_dir(name) {
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
        removed => removed,
    }
}
