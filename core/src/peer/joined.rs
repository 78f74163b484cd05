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
use crate::catalog::{SharePath, Shown};
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
    /// too.
    ///
    /// # Errors
    /// When it can't be opened.
    pub fn join_folder(&self, path: impl AsRef<Path>) -> Result<JoinedFolder, PullError> {
        self.check_open(PullError::Closed)?;
        self.share.received_links().refuse_on(path.as_ref())?;
        let root = Destination::folder(path.as_ref())?.keeping_what_is_there();
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
        let plan = Plan::of_folder(&self.context.share, &self.root, None);
        pull::pull(&self.context, plan, progress).await
    }

    /// Pulls the file `name` to the place `at` in this folder.
    ///
    /// # Errors
    /// As [`Peer::pull`]. If something of the user's is there, [`PullError::keeps_what_is_there`].
    pub async fn pull(&self, name: &SharePath, at: &SharePath) -> Result<Pulled, PullError> {
        let file = file_to_pull(&self.context.share, name)?;
        let plan = Plan::of_file(&self.context.share, file, self.place(at)?)?;
        pull::pull(&self.context, plan, &Progress::default()).await
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
        Ok(self.place(at)?.remove()?)
    }

    /// Removes the folder `at` and those in it, as far as they hold nothing.
    ///
    /// # Errors
    /// What the system refuses.
    pub fn remove_empty(&self, at: &SharePath) -> Result<(), PullError> {
        Ok(self.place(at)?.remove_if_empty()?)
    }

    fn place(&self, at: &SharePath) -> Result<Destination, StoreError> {
        let mut names = at.names();
        names.try_fold(self.root.clone(), |reached, name| reached.join_name(name))
    }
}
