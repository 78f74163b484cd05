//! Edits by key: a new version of something that was opened some time ago, wherever it is called
//! now.
//!
//! A writer knows which version it started from. That one is replaced; a version that came from
//! elsewhere meanwhile is not, and stays beside the new one as a conflict copy. So both can be kept
//! without any lock held while somebody writes.

use super::Catalog;
use super::conflict_name::conflict_name;
use super::dot::Dot;
use super::draft::Draft;
use super::edit::{Change, checked};
use super::error::CatalogError;
use super::key::{EntryKey, Spot};
use super::share_path::SharePath;
use super::state::{EntryId, Kind, Version};
use super::view::{LeafGroup, Shown};

/// Whether this peer has the bytes of a version that it makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holding {
    /// It has.
    Held,
    /// It has not: only mode or time are new.
    NotHeld,
}

/// What an edit by key did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edited {
    /// What the other side has to be told.
    pub change: Change,
    /// The result as it is shown now, with the key and the version for the next edit.
    pub shown: Shown,
}

impl Catalog {
    /// Makes `kind` the new version of the file or link `key`, which was made from its version
    /// `base`.
    ///
    /// What is replaced is `base`, with whatever has the same content under that name. If `base`
    /// was replaced meanwhile, both stay: ours has the name, unless a folder took it, and the other
    /// is a conflict copy. If it was removed, this brings it back, with its folders. An edit of a
    /// conflict copy makes it a file of its own. Of the same content the holders are kept; we are
    /// one if we were, or if the bytes are [`Holding::Held`]. A new time alone is a change here.
    ///
    /// A new mode or time of a file whose bytes we don't have is nothing without its `base`: once
    /// that is gone there is no change, and what is shown instead is returned. Refused are folders,
    /// what no file can be, and entries that have no path.
    pub fn edit(
        &mut self,
        key: EntryKey,
        base: Dot,
        kind: Kind,
        holding: Holding,
    ) -> Result<Edited, CatalogError> {
        let spot = self
            .spot_of(key.id)
            .ok_or(CatalogError::NotShown { id: key.id })?;
        let kind = checked(kind, &spot.path)?;
        let mut version = Version {
            holders: self.own_holders(&kind, holding),
            kind,
        };
        let mut draft = Draft::new(self);
        let mut written = (key.id, base);
        match spot.slot.group_of(EntryKey::of_copy(key.id, base)) {
            Some(group) if group.kind == version.kind => draft.hold(group, &version),
            Some(group) => {
                group.pass_holders_to(&mut version);
                let id = match self.own_path(&spot, group, key) {
                    Some(path) => draft.split(group, &path, version.clone())?,
                    None => draft.replace(group, version.clone())?,
                };
                written = (id, draft.last_dot());
            }
            None if is_hollow(&version) => {
                let shown = self.locate(key);
                let shown = shown.ok_or(CatalogError::NotShown { id: key.id })?;
                let change = Change::default();
                return Ok(Edited { change, shown });
            }
            None => {
                let id = self.add_beside(&mut draft, &spot, key, &version)?;
                written = (id, draft.last_dot());
            }
        }
        let drafted = draft.finish()?;
        let change = self.store_change(drafted);
        let shown = self.shown_as(written, &spot.path, version);
        Ok(Edited { change, shown })
    }

    /// The path at which a conflict copy becomes a file of its own; `None` for what has its name,
    /// or has taken it.
    fn own_path(&self, spot: &Spot, group: &LeafGroup, key: EntryKey) -> Option<SharePath> {
        key.copy?;
        let shown = self.shown_leaf(spot, group)?;
        shown.conflict.then_some(shown.path)
    }

    /// Adds a version whose base is gone, and drops nothing.
    fn add_beside(
        &self,
        draft: &mut Draft<'_>,
        spot: &Spot,
        key: EntryKey,
        version: &Version,
    ) -> Result<EntryId, CatalogError> {
        let Some(copy) = key.copy else {
            return draft.add_version(key.id, version.clone());
        };
        // Whoever edited the copy made it a file of its own, called as the copy was.
        let name = conflict_name(&spot.path.name(), (&copy, key.id), 0);
        let name = name.ok_or(CatalogError::NotShown { id: key.id })?;
        match self.slot(&spot.folder, name.as_str()).newest() {
            Some(id) => draft.add_version(id, version.clone()),
            None => draft.place(&spot.folder, name, version.clone()),
        }
    }

    /// A version as it is shown; one that is not, because the name of a copy is too long, as if it
    /// had its own name.
    fn shown_as(&self, (id, dot): (EntryId, Dot), path: &SharePath, version: Version) -> Shown {
        self.locate(EntryKey::of_copy(id, dot)).unwrap_or_else(|| Shown {
            path: path.clone(),
            kind: version.kind,
            holders: version.holders,
            conflict: false,
            id,
            dot,
        })
    }
}

/// Whether nobody is known to have the bytes of a file.
fn is_hollow(version: &Version) -> bool {
    matches!(version.kind, Kind::File(_)) && version.holders.is_empty()
}

#[cfg(test)]
mod tests;
