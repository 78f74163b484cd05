//! The façade: one peer, from its start to its close.
//!
//! Owns no logic of its own; each call is carried out by the module of its subject. Programs and
//! tests use this file, [`PeerConfig`], [`Event`] and the errors.

mod config;
mod connector;
mod contact;
mod context;
mod control;
mod current_session;
mod demand;
mod dialling;
mod error;
mod event;
mod gate;
mod joined;
mod keeper;
mod lane_work;
mod lanes;
mod mounting;
mod pull;
mod restored;
mod session;
mod start;
mod status;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

pub use config::PeerConfig;
pub use error::{CloseError, ConnectError, PullError, StartError};
pub use event::{DisconnectReason, Event, EventStream, Initiator};
pub use joined::JoinedFolder;
pub use pull::Pulled;
pub use restored::Restored;
pub use status::{SessionState, Status};

pub use crate::session::LoopbackPeers;
pub use crate::share::{AddedTree, ShareError, SkippedFile};

use crate::catalog::{Kind, SharePath, Shown};
use crate::identity::Fingerprint;
use crate::journal::JournalError;
use crate::limits::CLOSE_TIMEOUT;
#[cfg(unix)]
use crate::mount::Mounts;
use crate::share::{Ending, OnTaken, Share, SharedFile, shared_file};
use crate::store::Destination;
use crate::transfer::Progress;
use context::Context;
use current_session::AfterLoss;
use pull::Plan;

/// A running peer. Close it with [`Peer::close`]; dropping it stops it without the goodbyes.
#[derive(Debug)]
pub struct Peer {
    context: Arc<Context>,
    share: Arc<Share>,
    local: SocketAddr,
    keeper: Mutex<Option<(Fingerprint, CancellationToken)>>,
    #[cfg(unix)]
    mounts: Mounts,
}

impl Peer {
    /// Starts a peer. It is ready when this returns: it listens, but refuses every peer until
    /// [`Peer::connect`] or [`Peer::expect`] names one.
    ///
    /// # Errors
    /// [`StartError`] names the address, the identity or the relay that can't be used.
    pub async fn start(config: PeerConfig) -> Result<Self, StartError> {
        let (context, local) = start::start(config).await?;
        Ok(Self {
            #[cfg(unix)]
            mounts: Mounts::new(context.share.clone()),
            share: context.share.clone(),
            context,
            local,
            keeper: Mutex::new(None),
        })
    }

    /// The fingerprint of this peer. Its user gives it to the other person, out of band.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.context.fingerprint
    }

    /// Where this peer listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Connects to the peer with that fingerprint, at the addresses that the relay has for it. The
    /// other peer must connect to us too. Returns when there is a session, at once if there is one
    /// already. From then on a lost session is taken up again by itself.
    ///
    /// # Errors
    /// [`ConnectError`] after the time limit of the configuration, or sooner if waiting can't help.
    pub async fn connect(&self, remote: &Fingerprint) -> Result<(), ConnectError> {
        let searching = Box::pin(connector::connect(&self.context, *remote));
        self.connect_by(searching, *remote).await
    }

    /// Connects to the peer with that fingerprint at one of these addresses, without asking the
    /// relay. The other peer must expect us ([`Peer::expect`]) or be connecting to us. Returns when
    /// there is a session, from either side. From then on a lost session is taken up again by
    /// itself.
    ///
    /// # Errors
    /// [`ConnectError::Session`] lists what each address answered.
    pub async fn connect_directly(
        &self,
        remote: &Fingerprint,
        addresses: &[SocketAddr],
    ) -> Result<(), ConnectError> {
        let dialling = Box::pin(connector::connect_at(&self.context, *remote, addresses));
        self.connect_by(dialling, *remote).await
    }

    /// Looks for the peer with that fingerprint from now on, and lets it in: at these addresses,
    /// where it was before, and at those that the relay has for it. Returns at once. A session is
    /// reported as [`Event::Connected`]; when the search is given up, that is
    /// [`Event::ReconnectFailed`], and another call starts it again. Whoever calls this dials at
    /// once: the other peer may not be looking for us.
    ///
    /// # Errors
    /// Those of [`Peer::connect`] that concern the fingerprint.
    pub fn seek(&self, remote: &Fingerprint, addresses: &[SocketAddr]) -> Result<(), ConnectError> {
        self.check_open(ConnectError::Closed)?;
        let is_connected = self.engage(*remote, AfterLoss::TakeUpAgain)?;
        if !is_connected {
            self.context.current.remember_addresses(addresses);
            self.context.current.set_searching(SessionState::Reconnecting);
        }
        self.keep(*remote);
        if !is_connected {
            let (context, remote, addresses) = (self.context.clone(), *remote, addresses.to_vec());
            let cancel = self.context.runtime.cancel.clone();
            self.context.runtime.spawn(async move {
                let dialling = connector::connect_at(&context, remote, &addresses);
                if let Some(Err(error)) = cancel.run_until_cancelled(dialling).await {
                    tracing::debug!(%error, "the other peer is not there yet");
                }
            });
        }
        Ok(())
    }

    /// Where the other peer was reached last.
    #[must_use]
    pub fn remote_addresses(&self) -> Vec<SocketAddr> {
        self.context.current.known_addresses()
    }

    /// Where others can reach this peer, best first.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        self.context.contact.addresses()
    }

    /// Lets the peer with that fingerprint in, and no other, without looking for it.
    ///
    /// # Errors
    /// Those of [`Peer::connect`] that concern the fingerprint.
    pub fn expect(&self, remote: &Fingerprint) -> Result<(), ConnectError> {
        self.check_open(ConnectError::Closed)?;
        self.engage(*remote, AfterLoss::AsBefore).map(drop)
    }

    /// Shares the file at `path` under its own name, from where it is. For a file that is shared
    /// already, shares its new content.
    ///
    /// # Errors
    /// [`ShareError`] names the path and what is wrong with it.
    pub async fn add(&self, path: impl AsRef<Path>) -> Result<SharePath, ShareError> {
        let path = path.as_ref();
        let name = Share::own_name(path)?;
        self.add_as(path, &name).await?;
        Ok(name)
    }

    /// Shares the file at `path` under `name`.
    ///
    /// # Errors
    /// As [`Peer::add`]; [`ShareError::NameTaken`] when something else is shared under that name.
    pub async fn add_as(&self, path: impl AsRef<Path>, name: &SharePath) -> Result<(), ShareError> {
        self.check_open(ShareError::Closed)?;
        self.share.add(path.as_ref(), name, OnTaken::Refuse).await
    }

    /// Shares the file at `path` under `name`, in place of what either peer shares under it.
    ///
    /// # Errors
    /// As [`Peer::add`].
    pub async fn replace(&self, path: impl AsRef<Path>, name: &SharePath) -> Result<(), ShareError> {
        self.check_open(ShareError::Closed)?;
        self.share.add(path.as_ref(), name, OnTaken::Replace).await
    }

    /// Shares every file beneath the folder `root`, under `prefix` if there is one. Links are not
    /// followed. Links, devices, pipes and sockets are not shared; the answer lists what was left
    /// out. Part files of pulls are not shared either.
    ///
    /// # Errors
    /// When the folder itself can't be read, or when sharing fails for a reason that concerns more
    /// than one file.
    pub async fn add_tree(
        &self,
        root: impl AsRef<Path>,
        prefix: Option<&SharePath>,
    ) -> Result<AddedTree, ShareError> {
        self.check_open(ShareError::Closed)?;
        self.share.add_tree(root.as_ref(), prefix).await
    }

    /// Shares what is at `path` now: a file under `name`, as [`Peer::add_as`] does, or a folder, as
    /// [`Peer::add_tree`] does. `path` is as [`std::fs::canonicalize`] returns it, or beneath such
    /// a path. If there is a link in it now, nothing is there. A file that is as it was when it was
    /// shared is left as the other peer has it by now: removed, renamed or replaced.
    ///
    /// # Errors
    /// As these.
    pub async fn add_resolved(
        &self,
        path: impl AsRef<Path>,
        name: Option<&SharePath>,
    ) -> Result<AddedTree, ShareError> {
        self.check_open(ShareError::Closed)?;
        self.share.add_resolved(path.as_ref(), name).await
    }

    /// Stops sharing a file, or a whole folder. Local files stay as they are, on both sides.
    ///
    /// # Errors
    /// When nothing is shared under that name.
    pub fn remove(&self, name: &SharePath) -> Result<(), ShareError> {
        self.check_open(ShareError::Closed)?;
        Ok(self.share.remove(name)?)
    }

    /// The files of this machine that this peer shares from their places, in no particular order.
    #[must_use]
    pub fn shared_files(&self) -> Vec<PathBuf> {
        self.share.own_paths()
    }

    /// How many bytes of local files this peer has read to find out what is in them. A file that
    /// has not changed since it was shared is not read again, even by the next peer with the same
    /// [`PeerConfig::state`].
    #[must_use]
    pub fn hashed_len(&self) -> u64 {
        self.share.hashed_len()
    }

    /// Renames a file, or a whole folder with everything in it, within the share. Local files stay
    /// as they are.
    ///
    /// # Errors
    /// When nothing is shared as `from`, or something is already shared as `to`.
    pub fn rename(&self, from: &SharePath, to: &SharePath) -> Result<(), ShareError> {
        self.check_open(ShareError::Closed)?;
        Ok(self.share.rename(from, to)?)
    }

    /// Everything that both peers share at this moment, in the order of the paths.
    #[must_use]
    pub fn list(&self) -> Vec<Shown> {
        self.share.files().catalog.list()
    }

    /// What is shared under `name` at this moment.
    #[must_use]
    pub fn lookup(&self, name: &SharePath) -> Option<Shown> {
        self.share.files().catalog.lookup(name)
    }

    /// Pulls the file `name` to the path `target`. What is at `target` stays until the new file is
    /// whole, verified and durable; a file that this peer shares from there is replaced by its own
    /// new version only.
    ///
    /// Dropping the future ends the pull. What has arrived stays beside `target` in a part file,
    /// whose name begins with `.tandem-`, and so does what has arrived when the process is killed
    /// or the session is lost. The next pull of the same content to the same target verifies it,
    /// and fetches only what is missing. A pull removes part files of other versions of its target,
    /// and those that no pull has worked on for two weeks.
    ///
    /// # Errors
    /// [`PullError`] names the file and what went wrong.
    pub async fn pull(&self, name: &SharePath, target: impl AsRef<Path>) -> Result<Pulled, PullError> {
        self.pull_tracked(name, target, &Progress::default()).await
    }

    /// As [`Peer::pull`], with counters that can be read meanwhile.
    ///
    /// # Errors
    /// The same.
    pub async fn pull_tracked(
        &self,
        name: &SharePath,
        target: impl AsRef<Path>,
        progress: &Progress,
    ) -> Result<Pulled, PullError> {
        self.check_open(PullError::Closed)?;
        let file = file_to_pull(&self.share, name)?;
        let target = target.as_ref();
        let way = target.parent().unwrap_or(target);
        self.share.received_links().refuse_on(way)?;
        let destination = Destination::file(target)?;
        let plan = Plan::of_file(&self.share, file, destination)?;
        pull::pull(&self.context, plan, progress).await
    }

    /// Pulls every file of the folder `name`, or of the whole share, into the folder `target`,
    /// which must exist.
    ///
    /// Folders and symbolic links are made as well. Links are never followed: a link in the place
    /// of a folder is an error. A link is left out if it leads out of `target`, if its text alone
    /// does not prove that it stays inside, or if it leads through a link that is not in the share;
    /// [`Pulled::left_out`] names these. A file that this peer shares from there is replaced by its
    /// own new version only.
    ///
    /// # Errors
    /// [`PullError::Incomplete`] when only some files could be pulled; the others are in place.
    pub async fn pull_tree(
        &self,
        name: Option<&SharePath>,
        target: impl AsRef<Path>,
        progress: &Progress,
    ) -> Result<Pulled, PullError> {
        self.check_open(PullError::Closed)?;
        if let Some(name) = name {
            let shown = self.share.files().catalog.lookup(name);
            let shown = shown.ok_or_else(|| PullError::Unknown { name: name.clone() })?;
            match shown.kind {
                Kind::File(_) => return Err(PullError::IsFile { name: name.clone() }),
                Kind::Link(_) => return Err(PullError::IsLink { name: name.clone() }),
                Kind::Folder => {}
            }
        }
        self.share.received_links().refuse_on(target.as_ref())?;
        let root = Destination::folder(target.as_ref())?;
        let plan = Plan::of_folder(&self.share, &root, name);
        pull::pull(&self.context, plan, progress).await
    }

    /// What this peer began with.
    #[must_use]
    pub fn restored(&self) -> &Restored {
        &self.context.restored
    }

    /// Returns when everything that has changed so far is durable, in the folder of
    /// [`PeerConfig::state`]. Does nothing without one.
    ///
    /// # Errors
    /// When it can't be written. It is tried again later.
    pub async fn save(&self) -> Result<(), JournalError> {
        self.share.save_later().await
    }

    /// How this peer is.
    #[must_use]
    pub fn status(&self) -> Status {
        self.context.current.status()
    }

    /// What happens to this peer from now on.
    #[must_use]
    pub fn events(&self) -> EventStream {
        self.context.events.subscribe()
    }

    /// The share of this peer, for the tests of mounts.
    #[cfg(test)]
    pub(crate) fn share(&self) -> &Share {
        &self.share
    }

    /// Unmounts, says goodbye, withdraws the record from the relay, and waits until everything that
    /// this peer started has ended.
    ///
    /// # Errors
    /// [`CloseError::TasksLeft`] when something did not end in time, and
    /// [`CloseError::NotSaved`].
    pub async fn close(self) -> Result<(), CloseError> {
        #[cfg(unix)]
        self.mounts.end().await;
        let was_published = self.context.current.expect_nobody();
        if let Some(session) = self.context.current.session() {
            session.say_goodbye();
        }
        self.context.runtime.cancel.cancel();
        self.share.demand.close();
        if was_published {
            self.context.contact.withdraw().await;
        }
        self.context.runtime.tasks.close();
        let limit = CLOSE_TIMEOUT;
        let ended = timeout(limit, self.context.runtime.tasks.wait()).await;
        let count = self.context.runtime.tasks.len();
        let ending = ended.map_or(Ending::WithTasksLeft, |()| Ending::InOrder);
        let share = self.share.clone();
        // Waiting fails only if it panicked.
        let saved = tokio::task::spawn_blocking(move || share.end_saving(ending)).await;
        match ending {
            Ending::WithTasksLeft => Err(CloseError::TasksLeft { count, limit }),
            Ending::InOrder => Ok(saved.unwrap_or(Ok(()))?),
        }
    }

    /// Connects to `remote` by `way`, unless there is a session already. If there is a session at
    /// the end, it is kept even when `way` failed. `way` is a large future: box it, or each future
    /// that contains this one contains it twice.
    async fn connect_by(
        &self,
        way: impl Future<Output = Result<(), ConnectError>>,
        remote: Fingerprint,
    ) -> Result<(), ConnectError> {
        self.check_open(ConnectError::Closed)?;
        let is_connected = self.engage(remote, AfterLoss::TakeUpAgain)?;
        let _search = Search { peer: self, remote };
        if !is_connected
            && let Err(error) = way.instrument(self.context.runtime.span.clone()).await
            && !self.settle(remote)
        {
            return Err(error);
        }
        self.keep(remote);
        Ok(())
    }

    /// Expects `remote` from now on. No session with a former peer is taken up again. `true` if
    /// there is a session with `remote` already.
    fn engage(&self, remote: Fingerprint, after_loss: AfterLoss) -> Result<bool, ConnectError> {
        let is_connected = self.context.current.expect(remote, after_loss)?;
        let mut keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, former)) = keeper.take_if(|(kept, _)| *kept != remote) {
            former.cancel();
        }
        Ok(is_connected)
    }

    /// Keeps the session with `remote` if there is one, and returns whether there is one. Without
    /// one, and without a keeper of an earlier call, a later session is not taken up again when it
    /// is lost.
    fn settle(&self, remote: Fingerprint) -> bool {
        if self.context.current.is_connected_to(remote) {
            self.keep(remote);
            return true;
        }
        let keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner);
        if keeper.as_ref().is_none_or(|(kept, _)| *kept != remote) {
            self.context.current.set_after_loss(remote, AfterLoss::LeaveIt);
        }
        false
    }

    fn keep(&self, remote: Fingerprint) {
        let mut keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner);
        if keeper.as_ref().is_some_and(|(kept, _)| *kept == remote) {
            return;
        }
        self.context
            .current
            .set_after_loss(remote, AfterLoss::TakeUpAgain);
        let cancel = self.context.runtime.cancel.child_token();
        let (context, ending) = (self.context.clone(), cancel.clone());
        self.context.runtime.spawn(async move {
            ending
                .run_until_cancelled(keeper::keep(context, remote))
                .await
                .unwrap_or(())
        });
        if let Some((_, previous)) = keeper.replace((remote, cancel)) {
            previous.cancel();
        }
    }

    fn check_open<E>(&self, closed: E) -> Result<(), E> {
        if self.context.runtime.cancel.is_cancelled() {
            Err(closed)
        } else {
            Ok(())
        }
    }
}

/// The file that is shared under `name`.
fn file_to_pull(share: &Share, name: &SharePath) -> Result<SharedFile, PullError> {
    let shown = share.files().catalog.lookup(name);
    let shown = shown.ok_or_else(|| PullError::Unknown { name: name.clone() })?;
    match (shared_file(&shown), &shown.kind) {
        (Some(file), _) => Ok(file),
        (None, Kind::Link(_)) => Err(PullError::IsLink { name: name.clone() }),
        (None, _) => Err(PullError::IsFolder { name: name.clone() }),
    }
}

/// A call that connects to `remote`; it is settled when it ends or is dropped.
struct Search<'a> {
    peer: &'a Peer,
    remote: Fingerprint,
}

impl Drop for Search<'_> {
    fn drop(&mut self) {
        self.peer.settle(self.remote);
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // After `close` all of this has happened.
        #[cfg(unix)]
        self.mounts.end_now();
        self.context.runtime.cancel.cancel();
        self.share.demand.close();
        if let Some(session) = self.context.current.session() {
            session.end(DisconnectReason::Closed);
        }
    }
}
