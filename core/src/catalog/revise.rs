//! Edits by key: a new version of something that was opened some time ago, whatever its name is
//! now.
//!
//! A writer knows which version it started from. Its edit replaces that version. A version that
//! arrived from elsewhere meanwhile stays beside the new one as a conflict copy. So both are kept
//! without a lock during the write.

use super::Catalog;
use super::conflict_name::conflict_name;
use super::draft::Draft;
use super::edit::{Change, checked};
use super::error::CatalogError;
use super::key::{EntryKey, Spot};
use super::share_path::SharePath;
use super::state::{EntryId, Kind, Version};
use super::version_vector::Dot;
use super::view::{LeafGroup, Shown};

/// Whether this peer has the bytes of a version that it makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holding {
    /// It has them.
    Held,
    /// It does not: only mode or time are new.
    NotHeld,
}

/// What an edit by key did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edited {
    /// What must be sent to the other side.
    pub change: Change,
    /// The result as it is shown now, with the key and the version for the next edit.
    pub shown: Shown,
}

impl Catalog {
    /// Makes `kind` the new version of the file or link `key`. It was made from that one's version
    /// `base`.
    ///
    /// It replaces `base`, and whatever has the same content under that name. If `base` was
    /// replaced meanwhile, both stay: ours has the name, unless a folder took it, and the other one
    /// becomes a conflict copy. If `base` was removed, the edit brings the file back, with its
    /// folders. If the entry has no path any more, since the other side has put it into a folder
    /// that does not exist or is too deep, the new version becomes a file at the top of the share.
    /// An edit of a conflict copy makes it a file of its own. If the content is the same,
    /// the holders are kept; this peer is one if it was, or if the bytes are [`Holding::Held`]. A
    /// new time alone is a change here.
    ///
    /// A new mode or time of a file whose bytes this peer does not have applies only to its `base`:
    /// if that is gone there is no change, and what is shown instead is returned; for an entry
    /// without a path it is refused. Refuses folders and files that exceed the limits.
    pub fn edit(
        &mut self,
        key: EntryKey,
        base: Dot,
        kind: Kind,
        holding: Holding,
    ) -> Result<Edited, CatalogError> {
        let Some(spot) = self.spot_of(key.id) else {
            return self.edit_unreachable((key.id, base), kind, holding);
        };
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

    /// An edit of an entry that has no path. If its name is taken at the top of the share, the new
    /// version gets a conflict copy's name.
    fn edit_unreachable(
        &mut self,
        (id, base): (EntryId, Dot),
        kind: Kind,
        holding: Holding,
    ) -> Result<Edited, CatalogError> {
        let state = self.state(id).ok_or(CatalogError::NotShown { id })?;
        let name = &state.place.name;
        let others = (0..).map_while(|attempt| conflict_name(name, (&base, id), attempt));
        let names = std::iter::once(name.clone()).chain(others);
        let mut paths = names.map(|name| SharePath::within(None, &name));
        let free = paths.find(|path| path.as_ref().is_ok_and(|path| self.find(path).is_none()));
        let path = free.ok_or(CatalogError::NotShown { id })??;
        let kind = checked(kind, &path)?;
        let version = Version {
            holders: self.own_holders(&kind, holding),
            kind,
        };
        if is_hollow(&version) {
            return Err(CatalogError::NotShown { id });
        }
        let mut draft = Draft::new(self);
        let made = draft.surface((id, base), path.name(), version.clone())?;
        let written = (made, draft.last_dot());
        let drafted = draft.finish()?;
        let change = self.store_change(drafted);
        let shown = self.shown_as(written, &path, version);
        Ok(Edited { change, shown })
    }

    /// The path at which a conflict copy becomes a file of its own; `None` for a leaf that has its
    /// name, or has taken it.
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
        // The peer that edited the copy made it a file of its own, with the copy's name.
        let name = conflict_name(&spot.path.name(), (&copy, key.id), 0);
        let name = name.ok_or(CatalogError::NotShown { id: key.id })?;
        match self.slot(&spot.folder, name.as_str()).newest() {
            Some(id) => draft.add_version(id, version.clone()),
            None => draft.place(&spot.folder, name, version.clone()),
        }
    }

    /// A version as it is shown. One that is not shown, because the name of its copy is too long,
    /// is returned as if it had the name itself.
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

/// Whether no peer is known to have the bytes of a file.
fn is_hollow(version: &Version) -> bool {
    matches!(version.kind, Kind::File(_)) && version.holders.is_empty()
}

#[cfg(test)]
mod tests;
