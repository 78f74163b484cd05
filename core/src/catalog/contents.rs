//! Which entries have a content, and where it is shown.

use std::collections::HashSet;

use super::Catalog;
use super::key::EntryKey;
use super::state::{ContentId, EntryId, Kind, Version};
use super::version_vector::Dot;
use super::view::Shown;

impl Version {
    /// The bytes of a file; `None` for a folder or a link.
    pub(crate) fn content(&self) -> Option<ContentId> {
        match &self.kind {
            Kind::File(file) => Some(file.content),
            Kind::Folder | Kind::Link(_) => None,
        }
    }
}

impl Catalog {
    /// The contents of all versions of an entry.
    pub(crate) fn contents_of(&self, id: EntryId) -> impl Iterator<Item = ContentId> {
        let versions = self.state(id).into_iter();
        let versions = versions.flat_map(|state| state.versions.values());
        versions.filter_map(Version::content)
    }

    /// The content of one version.
    pub(crate) fn content_of(&self, (id, dot): &(EntryId, Dot)) -> Option<ContentId> {
        self.state(*id)?.versions.get(dot)?.content()
    }

    /// Whether an entry has the content.
    pub(crate) fn has_content(&self, id: EntryId, content: &ContentId) -> bool {
        self.contents_of(id).any(|held| held == *content)
    }

    /// Whether an entry is shown with the content.
    pub(crate) fn shows_content(&self, id: EntryId, content: &ContentId) -> bool {
        self.locate_content(id, content).is_some()
    }

    /// Where an entry is shown with the content, if it is.
    pub(crate) fn locate_content(&self, id: EntryId, content: &ContentId) -> Option<Shown> {
        let mut dots = self.dots_of(id, content);
        dots.find_map(|dot| self.locate(EntryKey::of_copy(id, dot)))
    }

    /// Whether one of the versions that are `shown` is the content, in that entry. For many entries
    /// this is faster than [`Catalog::shows_content`]; see [`Catalog::shown_with`].
    pub(crate) fn shows_among(
        &self,
        shown: &HashSet<(EntryId, Dot)>,
        id: EntryId,
        content: &ContentId,
    ) -> bool {
        self.dots_of(id, content).any(|dot| shown.contains(&(id, dot)))
    }

    /// The versions of an entry that are the content.
    fn dots_of(&self, id: EntryId, content: &ContentId) -> impl Iterator<Item = Dot> {
        let versions = self.state(id).into_iter().flat_map(|state| &state.versions);
        let is_content = |version: &Version| version.content() == Some(*content);
        versions
            .filter(move |(_, version)| is_content(version))
            .map(|(dot, _)| *dot)
    }
}
