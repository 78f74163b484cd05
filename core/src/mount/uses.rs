//! Counts the open files that use each file of the store: one with several readers must not be
//! written in place.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many open files use each file of the store.
#[derive(Debug, Clone, Default)]
pub(super) struct Uses(Arc<Mutex<HashMap<PathBuf, usize>>>);

/// One use; it ends when it is dropped.
#[derive(Debug)]
pub(super) struct InUse {
    uses: Uses,
    path: PathBuf,
}

impl Uses {
    /// Counts one more use of the file at `path`, until the result is dropped.
    pub(super) fn begin(&self, path: &Path) -> InUse {
        *self.lock().entry(path.to_owned()).or_default() += 1;
        InUse {
            uses: self.clone(),
            path: path.to_owned(),
        }
    }

    /// The number of uses.
    pub(super) fn count(&self, path: &Path) -> usize {
        self.lock().get(path).copied().unwrap_or(0)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PathBuf, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        let mut uses = self.uses.lock();
        if let Some(count) = uses.get_mut(&self.path) {
            *count -= 1;
            if *count == 0 {
                uses.remove(&self.path);
            }
        }
    }
}
