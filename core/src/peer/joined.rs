//! A folder that pulls fill and that the user works in too.
//!
//! Owns the promise that nothing of the user's is lost there, and that nothing lands elsewhere:
//! what no pull has put there, or what was changed since, is neither replaced nor removed; no link
//! in the folder is followed.

use std::path::Path;
use std::sync::Arc;

use super::context::Context;
use super::error::PullError;
use super::pull::{self, Plan, Pulled};
use super::{Peer, file_to_pull};
use crate::catalog::{ContentId, SharePath, Shown};
use crate::share::shared_file;
use crate::store::{Destination, StoreError};
use crate::transfer::Progress;

/// A folder of this machine that follows what is shared. See [`Peer::join_folder`].
#[derive(Debug)]
pub struct JoinedFolder {
    context: Arc<Context>,
    root: Destination,
}

impl Peer {
    /// The folder at `path`, which must exist, as one that pulls fill and that the user works in
    /// too. `path` is as [`std::fs::canonicalize`] returns it: no link is followed, so that another
    /// user who replaces a folder of the path by a link chooses no place for the files.
    ///
    /// # Errors
    /// When it can't be opened, or is behind a link.
    pub fn join_folder(&self, path: impl AsRef<Path>) -> Result<JoinedFolder, PullError> {
        self.check_open(PullError::Closed)?;
        let root =
            Destination::resolved_folder(path.as_ref())?.keeping_what_is_there(self.share.placed.clone());
        let context = self.context.clone();
        Ok(JoinedFolder { context, root })
    }
}

impl JoinedFolder {
    /// Pulls everything that is shared, as [`Peer::pull_tree`] does.
    ///
    /// # Errors
    /// As [`Peer::pull_tree`].
    pub async fn pull_all(&self, progress: &Progress) -> Result<Pulled, PullError> {
        self.pull_folder(None, progress).await
    }

    /// Pulls everything in the folder `name`, or in the whole share, as [`Peer::pull_tree`] does.
    ///
    /// # Errors
    /// As [`Peer::pull_tree`]; if there is no such folder, nothing is pulled.
    pub async fn pull_folder(
        &self,
        name: Option<&SharePath>,
        progress: &Progress,
    ) -> Result<Pulled, PullError> {
        let mut listed = self.context.share.files().catalog.list();
        listed.retain(|shown| name.is_none_or(|name| shown.path.starts_with(name)));
        self.expect(
            listed
                .iter()
                .filter_map(|shown| Some((&shown.path, shown.file()?.content))),
        );
        self.save().await;
        let plan = Plan::of_folder(&self.context.share, &self.root, name);
        pull::pull(&self.context, plan, progress).await
    }

    /// Pulls the file `name` to the place `at` in this folder.
    ///
    /// # Errors
    /// As [`Peer::pull`]. If something of the user's is there, [`PullError::keeps_what_is_there`].
    pub async fn pull(&self, name: &SharePath, at: &SharePath) -> Result<Pulled, PullError> {
        self.pull_tracked(name, at, &Progress::default()).await
    }

    /// As [`JoinedFolder::pull`], with counters that can be read meanwhile.
    ///
    /// # Errors
    /// The same.
    pub async fn pull_tracked(
        &self,
        name: &SharePath,
        at: &SharePath,
        progress: &Progress,
    ) -> Result<Pulled, PullError> {
        let file = file_to_pull(&self.context.share, name)?;
        self.expect([(at, file.content)]);
        self.save().await;
        let plan = Plan::of_file(&self.context.share, file, self.place(at)?)?;
        pull::pull(&self.context, plan, progress).await
    }

    /// Checks whether pulling `shown` to its place in this folder would replace nothing of the
    /// user's: nothing is there, or what a pull has put there, or a file that looks like `shown`
    /// itself, because a pull was interrupted after it.
    ///
    /// # Errors
    /// [`PullError::keeps_what_is_there`] if something else is there.
    pub fn check(&self, shown: &Shown) -> Result<(), PullError> {
        let place = self.place(&shown.path)?;
        match (shared_file(shown), shown.link()) {
            (Some(file), _) => place.check_for(&file.content, &file.attributes)?,
            (None, Some(link)) => place.check_for_link(link.target.as_str())?,
            (None, None) => {}
        }
        Ok(())
    }

    /// Makes the folder `at` in this one, unless it is there.
    ///
    /// # Errors
    /// When something else is there, or the system refuses.
    pub fn make_folder(&self, at: &SharePath) -> Result<(), PullError> {
        Ok(self.place(at)?.create_folder()?)
    }

    /// Removes the file `at`, if it is as a pull has put it there.
    ///
    /// # Errors
    /// [`PullError::keeps_what_is_there`] if it is not, or what the system refuses.
    pub fn remove(&self, at: &SharePath) -> Result<(), PullError> {
        let removed = self.place(at)?.remove();
        self.context.share.save_soon();
        Ok(removed?)
    }

    /// Removes the folder `at` and those in it, as far as they hold nothing.
    ///
    /// # Errors
    /// What the system refuses.
    pub fn remove_empty(&self, at: &SharePath) -> Result<(), PullError> {
        Ok(self.place(at)?.remove_if_empty()?)
    }

    /// Notes what is about to appear. If this process is killed before it notes that a file has its
    /// name, the next one knows by the content that a pull has put it there.
    fn expect<'a>(&self, files: impl IntoIterator<Item = (&'a SharePath, ContentId)>) {
        for (at, content) in files {
            if let Ok(place) = self.place(at) {
                self.context.share.placed.expect(&place.path(), content);
            }
        }
    }

    /// Saves it. If that fails, the saver reports it; a pull needs no journal.
    async fn save(&self) {
        if self.context.share.save_later().await.is_err() {
            self.context.share.save_soon();
        }
    }

    fn place(&self, at: &SharePath) -> Result<Destination, StoreError> {
        let mut names = at.names();
        names.try_fold(self.root.clone(), |reached, name| reached.join_name(name))
    }
}
