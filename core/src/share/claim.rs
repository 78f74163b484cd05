//! Which paths of this machine a pull may write to. It replaces a file that the user shares from
//! there only by that file's own new version: another version of its entry, once none that came
//! from the file is left. And it replaces no edit that the user has not shared yet.
//!
//! Does not own which files those are; see [`super::own_files`].

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use super::files::Files;
use super::{Share, SharedFile};
use crate::catalog::{ContentId, EntryId};
use crate::store::{FileStamp, Guard, StoreError};

/// Keeps a pull from replacing a file that this peer shares, except by that file's own new version.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) share: Arc<Share>,
    /// The pulled file; `None` for a link, which is never the new version of a file.
    pub(crate) file: Option<(EntryId, ContentId)>,
}

impl Guard for Claim {
    fn check(&self, path: &Path) -> Result<(), StoreError> {
        let there = match path.symlink_metadata() {
            // If there is nothing at the path, nothing is replaced.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            there => there.ok().map(|there| FileStamp::of(&there)),
        };
        let files = self.share.files();
        let refused = files.refuses(path, self.file);
        refused
            .or_else(|| files.refuses_as_edited(path, there.as_ref()))
            .map_or(Ok(()), Err)
    }
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

    /// Why the file of the user at `path` stays: it is not any more what was shared or pulled last.
    /// `there` is what it is now, if that could be read.
    fn refuses_as_edited(&self, path: &Path, there: Option<&FileStamp>) -> Option<StoreError> {
        let name = self.own.name_at(path)?;
        (self.own.stamp_at(path) != there).then(|| StoreError::Edited {
            path: path.to_owned(),
            name: name.to_string(),
        })
    }

    /// Notes that a pull has put a file at `path`, or a link if the file is `None`. Nothing else is
    /// there any more. If it is the new version of the file that the user shares from there, that
    /// file stays shared. If it is something else, the user's file was already gone.
    pub(crate) fn note_pulled(&mut self, path: &Path, pulled: Option<(&SharedFile, &FileStamp)>) {
        let claimed = pulled.map(|(file, _)| (file.entry, file.content));
        let content = claimed.map(|(_, content)| content);
        let mut gone: Vec<_> = self.grants.contents_at(path).collect();
        gone.retain(|gone| Some(*gone) != content);
        gone.iter().for_each(|content| self.forget_path(content, path));
        if self.refuses(path, claimed).is_some() {
            self.own.release(path);
        }
        if let Some((file, stamp)) = pulled {
            self.own.renew((path, stamp), file.entry, file.content);
        }
    }
}
