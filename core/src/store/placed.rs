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
use crate::catalog::ContentId;
use crate::unsaved::Unsaved;

/// The files that pulls have put there, as they were when they got their names.
#[derive(Debug, Default)]
pub(crate) struct Placed(Mutex<Places>);

#[derive(Debug, Default)]
struct Places {
    files: HashMap<PathBuf, Place>,
    /// Paths at which something has changed.
    unsaved: Unsaved<PathBuf>,
}

/// One path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// What a pull has put there.
    pub(crate) stamp: Option<FileStamp>,
    /// What a pull is about to put there. If this process is killed in between, the file that it
    /// has put there is known by its content.
    pub(crate) coming: Option<ContentId>,
}

impl Placed {
    /// What was known before a restart. Notes from now on what changes.
    pub(crate) fn remembered(files: impl IntoIterator<Item = (PathBuf, FileStamp)>) -> Self {
        let place = |(path, stamp): (PathBuf, FileStamp)| {
            let stamp = Some(stamp.after_restart(&path));
            (path, Place { stamp, coming: None })
        };
        let mut unsaved = Unsaved::default();
        unsaved.track();
        let files = files.into_iter().map(place).collect();
        Self(Mutex::new(Places { files, unsaved }))
    }

    /// Refuses a path at which there is something that no pull has put there, or that was changed
    /// since.
    pub(super) fn check(&self, path: &Path) -> Result<(), StoreError> {
        let is_placed = match path.symlink_metadata() {
            Err(error) if error.kind() == ErrorKind::NotFound => true,
            Err(_) => false,
            Ok(there) => self.at(path).stamp == Some(FileStamp::of(&there)),
        };
        let path = path.to_owned();
        is_placed.then_some(()).ok_or(StoreError::NotPulled { path })
    }

    /// Notes that a pulled file has got its name.
    pub(super) fn note(&self, path: &Path, metadata: &Metadata) {
        let stamp = Some(FileStamp::of(metadata));
        self.set(path, Place { stamp, coming: None });
    }

    /// Notes that the file is gone.
    pub(super) fn forget(&self, path: &Path) {
        self.set(path, Place::default());
    }

    /// Notes that a pull is about to put `content` at `path`, if it may.
    pub(crate) fn expect(&self, path: &Path, content: ContentId) {
        if self.check(path).is_ok() {
            let coming = Some(content);
            let stamp = self.at(path).stamp;
            self.set(path, Place { stamp, coming });
        }
    }

    /// What is known of a path.
    pub(crate) fn at(&self, path: &Path) -> Place {
        self.lock().files.get(path).cloned().unwrap_or_default()
    }

    /// The paths of all files.
    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        self.lock().files.keys().cloned().collect()
    }

    /// Takes some of the paths at which something has changed.
    pub(crate) fn take_unsaved(&self, count_max: usize) -> Vec<PathBuf> {
        self.lock().unsaved.take(count_max)
    }

    fn set(&self, path: &Path, place: Place) {
        let mut places = self.lock();
        if place == Place::default() {
            places.files.remove(path);
        } else {
            places.files.insert(path.to_owned(), place);
        }
        places.unsaved.note(path);
    }

    fn lock(&self) -> MutexGuard<'_, Places> {
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
        let destination = Destination::file(&path)
            .unwrap()
            .keeping_what_is_there(Arc::default());
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
