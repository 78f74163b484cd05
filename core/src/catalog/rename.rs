//! Renames: moving what is shown to another place, and what happens to what is there.
//!
//! A file that is renamed over another one becomes a new version of that one's entry. Many editors
//! save this way: edits of both sides then meet in one entry, and saving does not use up the
//! catalog.

use std::collections::BTreeSet;

use super::Catalog;
use super::draft::Draft;
use super::edit::Change;
use super::error::CatalogError;
use super::share_path::SharePath;
use super::state::{EntryId, Version};
use super::view::{Item, LeafGroup};

/// What a rename does when something is shown at its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnExisting {
    /// Refuse.
    Refuse,
    /// Put the source there instead, as rename(2) does.
    Replace,
    /// Swap the two, as RENAME_EXCHANGE of Linux does.
    Exchange,
}

impl Catalog {
    /// Renames or moves what is shown at `from`. Makes the folders that `to` needs.
    ///
    /// This is one change of place, however much is in a folder; contents keep their ids and
    /// holders. Concurrent versions of a renamed file move with it; a conflict copy becomes a file
    /// of its own. Refuses an unknown source, a target that exists, and a folder that would be
    /// moved into itself.
    pub fn rename(&mut self, from: &SharePath, to: &SharePath) -> Result<Change, CatalogError> {
        self.rename_with(from, to, OnExisting::Refuse)
    }

    /// As [`Catalog::rename`], with a choice of what to do if something is at `to`.
    ///
    /// [`OnExisting::Replace`]: a file or link over another one is an edit of the *target*, which
    /// keeps its key and gets the version of the source. The source's entry stays as a tombstone,
    /// which the next file created under that name reuses, so that editors which save by renaming
    /// do not use up the catalog. Conflict copies of either stay where they are, so that a copy of
    /// the source may take its name. A folder replaces only an empty folder.
    ///
    /// [`OnExisting::Exchange`]: both must exist, and swap their places in one change.
    pub fn rename_with(
        &mut self,
        from: &SharePath,
        to: &SharePath,
        on_existing: OnExisting,
    ) -> Result<Change, CatalogError> {
        let item = self.find(from).ok_or_else(|| missing(from))?;
        if from == to {
            return Ok(Change::default());
        }
        self.check_move(&item, from, to)?;
        let target = self.find(to);
        let mut draft = Draft::new(self);
        draft.settle_lifted()?;
        match (target, on_existing) {
            (None, OnExisting::Exchange) => return Err(missing(to)),
            (None, OnExisting::Refuse | OnExisting::Replace) => draft.move_to(item, to)?,
            (Some(_), OnExisting::Refuse) => return Err(CatalogError::Exists { path: to.clone() }),
            (Some(target), OnExisting::Replace) => draft.move_over(item, target, to)?,
            (Some(target), OnExisting::Exchange) => {
                self.check_move(&target, to, from)?;
                draft.exchange((item, from), (target, to))?;
            }
        }
        let drafted = draft.finish()?;
        Ok(self.store_change(drafted))
    }

    /// Checks that a move keeps all paths within their limits, and no folder in itself.
    fn check_move(&self, item: &Item, from: &SharePath, to: &SharePath) -> Result<(), CatalogError> {
        let Item::Folder(entries) = item else {
            return Ok(());
        };
        if to.starts_with(from) {
            return Err(CatalogError::IntoItself {
                from: from.clone(),
                to: to.clone(),
            });
        }
        for shown in self.list_below(entries, Some(from)) {
            shown.path.moved(from, to).transpose()?;
        }
        Ok(())
    }
}

impl Draft<'_> {
    /// Moves something to a path where nothing is shown.
    fn move_to(&mut self, item: Item, to: &SharePath) -> Result<(), CatalogError> {
        match item {
            Item::Folder(entries) => self.put_all(entries, to),
            Item::Leaf(group) if self.can_move(&group) => self.put_all(group.entries(), to),
            Item::Leaf(group) | Item::Copy(group) => self.split(&group, to, group.version()).map(drop),
        }
    }

    fn move_over(&mut self, item: Item, target: Item, to: &SharePath) -> Result<(), CatalogError> {
        match (item, target) {
            (Item::Folder(entries), Item::Folder(replaced)) => {
                if !self.catalog.are_empty(&replaced) {
                    return Err(CatalogError::NotEmpty { path: to.clone() });
                }
                replaced.into_iter().for_each(|id| self.remove_folder(id));
                self.put_all(entries, to)
            }
            (Item::Folder(_), _) => Err(CatalogError::NotFolder { path: to.clone() }),
            (_, Item::Folder(_)) => Err(CatalogError::IsFolder { path: to.clone() }),
            (Item::Leaf(source) | Item::Copy(source), target) => {
                self.drop_versions(&source);
                self.put_version(&target, to, source.version())
            }
        }
    }

    fn exchange(
        &mut self,
        (item, from): (Item, &SharePath),
        (target, to): (Item, &SharePath),
    ) -> Result<(), CatalogError> {
        let (moved, replaced) = (item.clone(), target.clone());
        self.move_to(item, to)?;
        self.move_to(target, from)?;
        self.outrank(&moved, &replaced, to)?;
        self.outrank(&replaced, &moved, from)
    }

    /// Makes sure that a leaf that was moved to `to`, in place of `replaced`, has that name also if
    /// conflict copies stay there.
    fn outrank(&mut self, moved: &Item, replaced: &Item, to: &SharePath) -> Result<(), CatalogError> {
        let Item::Leaf(group) = moved else { return Ok(()) };
        if !self.can_move(group) {
            // A new entry has the newest version there already.
            return Ok(());
        }
        let leaving = match replaced {
            Item::Folder(entries) => entries.clone(),
            Item::Leaf(group) | Item::Copy(group) => group.entries(),
        };
        let stays = |group: &LeafGroup| group.entries().iter().any(|id| !leaving.contains(id));
        if self.catalog.leaves_at(to).iter().any(stays) {
            self.replace(group, group.version())?;
        }
        Ok(())
    }
}

impl LeafGroup {
    fn entries(&self) -> Vec<EntryId> {
        let entries: BTreeSet<_> = self.members.iter().map(|(_, id)| *id).collect();
        entries.into_iter().collect()
    }

    /// The group as one version.
    pub(super) fn version(&self) -> Version {
        let mut version = Version {
            kind: self.kind.clone(),
            holders: self.holders.clone(),
        };
        version.trim_holders();
        version
    }
}

fn missing(path: &SharePath) -> CatalogError {
    CatalogError::Missing { path: path.clone() }
}

#[cfg(test)]
mod tests;
