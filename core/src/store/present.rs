//! A wanted file that is at its place already, because an earlier pull was interrupted after it.

use super::hashing::Stop;
use super::part_file::{Attributes, Published};
use super::{Destination, FileStamp, Outline, Source, StoreError};
use crate::catalog::ContentId;

impl Destination {
    /// Checks whether what is there may be replaced, or needs no replacement.
    pub(crate) fn check_for(&self, content: &ContentId, attributes: &Attributes) -> Result<(), StoreError> {
        match self.check() {
            Err(StoreError::NotPulled { .. }) if self.looks_like(content, attributes) => Ok(()),
            checked => checked,
        }
    }

    /// The same for a link with the text `target`.
    pub(crate) fn check_for_link(&self, target: &str) -> Result<(), StoreError> {
        match self.check() {
            Err(StoreError::NotPulled { .. }) if self.is_link_to(target) => Ok(()),
            checked => checked,
        }
    }

    fn is_link_to(&self, target: &str) -> bool {
        let folder = self.parent_there().ok();
        let there = folder.and_then(|folder| folder.read_link_contents(self.name()).ok());
        there.is_some_and(|there| there.as_os_str() == target)
    }

    /// The file that is there, if it is the wanted one: the same bytes, time and rights. It counts
    /// as put there by this pull.
    ///
    /// # Errors
    /// If something is there that may not be replaced.
    pub(crate) fn present(
        &self,
        content: &ContentId,
        attributes: &Attributes,
        stop: Stop<'_>,
    ) -> Result<Option<(Published, Outline)>, StoreError> {
        if !self.looks_like(content, attributes) {
            return Ok(None);
        }
        match self.check() {
            Ok(()) | Err(StoreError::NotPulled { .. }) => {}
            Err(error) => return Err(error),
        }
        let path = self.path();
        let read = Source::read(&path, stop).ok();
        let read = read.filter(|source| source.content == *content);
        let there = read.and_then(|source| Some((source, path.symlink_metadata().ok()?)));
        let is_read = |source: &Source, there: &_| *source.stamp() == FileStamp::of(there);
        let Some((source, metadata)) = there.filter(|(source, there)| is_read(source, there)) else {
            return self.check().map(|()| None);
        };
        if let Some(placed) = &self.placed {
            placed.note(&path, &metadata);
        }
        Ok(Some((Published { path, metadata }, source.outline)))
    }

    /// Whether the file that is there may be the wanted one, without reading it.
    fn looks_like(&self, content: &ContentId, attributes: &Attributes) -> bool {
        let Ok(there) = self.path().symlink_metadata() else {
            return false;
        };
        there.is_file()
            && there.len() == content.len
            && there.modified().ok() == Some(attributes.modified)
            && self.has_rights(&there, attributes)
    }

    /// Whether the file has the rights that it would get if it were pulled now.
    #[cfg(unix)]
    fn has_rights(&self, there: &std::fs::Metadata, attributes: &Attributes) -> bool {
        use crate::limits::{RECEIVED_MODE_MAX, SHARED_MODE_MAX};
        use std::os::unix::fs::PermissionsExt;
        let permitted = self.parent_there().ok().and_then(|folder| {
            super::part_lock::permitted_mode(&folder, attributes.mode & RECEIVED_MODE_MAX).ok()
        });
        let bits = |mode: u32| mode & SHARED_MODE_MAX;
        permitted.is_some_and(|permitted| bits(permitted) == bits(there.permissions().mode()))
    }

    #[cfg(not(unix))]
    fn has_rights(&self, _there: &std::fs::Metadata, _attributes: &Attributes) -> bool {
        true
    }
}
