//! Which paths of this machine a pull may write to: it replaces a file that the user shares from
//! there only by that file's own new version.
//!
//! Does not own which files those are; see [`super::grants::OwnFiles`].

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use super::files::{Files, has};
use super::{Share, SharedFile};
use crate::catalog::{ContentId, EntryId, SharePath};
use crate::store::{Guard, StoreError};

/// Keeps a pull from replacing a file that this peer shares, except by that file's own new version.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) share: Arc<Share>,
    /// The pulled file; `None` for a link, which is never the new version of a file.
    pub(crate) file: Option<(EntryId, ContentId)>,
}

impl Guard for Claim {
    fn check(&self, path: &Path) -> Result<(), StoreError> {
        let name = self.share.files().shared_from_there(path, self.file);
        // If there is nothing at the path, nothing is replaced.
        let name = name.filter(|_| !is_vacant(path));
        name.map_or(Ok(()), |name| {
            let (path, name) = (path.to_owned(), name.to_string());
            Err(StoreError::SharedFromThere { path, name })
        })
    }
}

fn is_vacant(path: &Path) -> bool {
    let there = path.symlink_metadata();
    there.is_err_and(|error| error.kind() == ErrorKind::NotFound)
}

impl Files {
    /// What the user shared the local file at `path` as, unless that is `claimed`: the same entry,
    /// or the same content.
    fn shared_from_there(&self, path: &Path, claimed: Option<(EntryId, ContentId)>) -> Option<SharePath> {
        let entry = claimed.map(|(entry, _)| entry);
        let name = self.own.as_other_than(path, entry)?;
        let is_same = claimed.is_some_and(|(_, content)| {
            let mut entries = self.grants.of(&content, path);
            entries.any(|entry| has(&self.catalog, entry, &content))
        });
        (!is_same).then(|| name.clone())
    }

    /// Notes that a pull has put a file at `path`, or a link if the file is `None`. If it is the
    /// new version of the file that the user shares from there, that file stays shared. If it is
    /// something else, the user's file was already gone.
    pub(crate) fn note_pulled(&mut self, path: &Path, file: Option<&SharedFile>) {
        let claimed = file.map(|file| (file.entry, file.content));
        if self.shared_from_there(path, claimed).is_some() {
            self.own.release(path);
            self.origins.retain(|_, origin| origin != path);
        }
        if let Some(file) = file.filter(|file| self.own.is_shared_as(path, file.entry)) {
            let version = (file.entry, file.version);
            self.origins.insert(version, path.to_owned());
        }
    }
}
