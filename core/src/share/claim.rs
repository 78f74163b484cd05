//! Which paths of this machine a pull may write to. It replaces a file that the user shares from
//! there only by that file's own new version: another version of its entry, once none that came
//! from the file is left.
//!
//! Does not own which files those are; see [`super::own_files`].

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use super::files::Files;
use super::{Share, SharedFile};
use crate::catalog::{ContentId, EntryId};
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
        let refused = self.share.files().refuses(path, self.file);
        // If there is nothing at the path, nothing is replaced.
        refused.filter(|_| !is_vacant(path)).map_or(Ok(()), Err)
    }
}

fn is_vacant(path: &Path) -> bool {
    let there = path.symlink_metadata();
    there.is_err_and(|error| error.kind() == ErrorKind::NotFound)
}

impl Files {
    /// Why nothing but the file of the user may be at `path`, unless `claimed` may replace it: a
    /// new version of its entry, or the same content.
    fn refuses(&self, path: &Path, claimed: Option<(EntryId, ContentId)>) -> Option<StoreError> {
        let name = self.own.name_at(path)?;
        let (entry, content) = claimed.unzip();
        let is_other = |(_, shared): &(_, ContentId)| Some(*shared) != content;
        let other = self.shared_as(path).find(is_other);
        let shown = other.and_then(|(entry, content)| self.catalog.locate_content(entry, &content));
        if let Some(shown) = shown {
            return Some(StoreError::StillShared {
                path: path.to_owned(),
                name: shown.path.to_string(),
            });
        }
        let is_version = entry.is_some_and(|entry| self.own.content_as(path, entry).is_some());
        let is_same = self.shared_as(path).any(|shared| !is_other(&shared));
        let may_replace = other.is_none() && (is_version || is_same);
        (!may_replace).then(|| StoreError::SharedFromThere {
            path: path.to_owned(),
            name: name.to_string(),
        })
    }

    /// Notes that a pull has put a file at `path`, or a link if the file is `None`. Nothing else is
    /// there any more. If it is the new version of the file that the user shares from there, that
    /// file stays shared. If it is something else, the user's file was already gone.
    pub(crate) fn note_pulled(&mut self, path: &Path, file: Option<&SharedFile>) {
        let claimed = file.map(|file| (file.entry, file.content));
        let pulled = claimed.map(|(_, content)| content);
        let mut gone: Vec<_> = self.grants.contents_at(path).collect();
        gone.retain(|content| Some(*content) != pulled);
        gone.iter().for_each(|content| self.forget_path(content, path));
        if self.refuses(path, claimed).is_some() {
            self.own.release(path);
        }
        if let Some((entry, content)) = claimed {
            self.own.renew(path, entry, content);
        }
    }
}
