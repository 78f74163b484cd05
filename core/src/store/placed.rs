//! What pulls have put into a folder that the user works in too.
//!
//! Owns the promise that nothing of the user's is lost there: a file is replaced or removed only
//! while it is what a pull has put there.

use std::collections::HashMap;
use std::fs::Metadata;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{FileStamp, StoreError};

/// The files that pulls have put there, as they were when they got their names.
#[derive(Debug, Default)]
pub(crate) struct Placed(Mutex<HashMap<PathBuf, FileStamp>>);

impl Placed {
    /// Refuses a path at which there is something that no pull has put there, or that was changed
    /// since.
    pub(super) fn check(&self, path: &Path) -> Result<(), StoreError> {
        let is_placed = match path.symlink_metadata() {
            Err(error) if error.kind() == ErrorKind::NotFound => true,
            Err(_) => false,
            Ok(there) => self.lock().get(path) == Some(&FileStamp::of(&there)),
        };
        let path = path.to_owned();
        is_placed.then_some(()).ok_or(StoreError::NotPulled { path })
    }

    /// Notes that a pulled file has got its name.
    pub(super) fn note(&self, path: &Path, metadata: &Metadata) {
        self.lock().insert(path.to_owned(), FileStamp::of(metadata));
    }

    /// Notes that the file is gone.
    pub(super) fn forget(&self, path: &Path) {
        self.lock().remove(path);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PathBuf, FileStamp>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::UNIX_EPOCH;

    use crate::catalog::ContentId;
    use crate::store::{Attributes, Destination, PartFile, StoreError, publish_all};

    #[test]
    fn a_file_that_is_made_or_changed_while_its_pull_runs_stays() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("notes.txt");
        let destination = Destination::file(&path).unwrap().keeping_what_is_there();
        let attributes = Attributes {
            modified: UNIX_EPOCH,
            mode: 0o644,
        };
        let content = ContentId {
            hash: [1; 32],
            len: 0,
        };
        let begin = || Arc::new(PartFile::create(&destination, attributes, &content).unwrap());
        let end = |part| publish_all(&[part]).remove(0).map(drop);
        let part = begin();
        std::fs::write(&path, b"made").unwrap();
        assert!(matches!(end(part), Err(StoreError::NotPulled { .. })));
        std::fs::remove_file(&path).unwrap();
        assert!(end(begin()).is_ok());
        let part = begin();
        std::fs::write(&path, b"changed").unwrap();
        assert!(matches!(end(part), Err(StoreError::NotPulled { .. })));
        assert_eq!(std::fs::read(&path).unwrap(), b"changed");
    }
}
