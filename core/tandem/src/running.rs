//! A share while it runs: the peer that is its own, the search for the other side, and which side
//! follows which changes.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tandem_core::catalog::{CatalogEvent, SharePath};
use tandem_core::clock::Clock;
use tandem_core::identity::Fingerprint;
use tandem_core::mount::{Mount, MountOptions};
use tandem_core::peer::{
    DisconnectReason, Event, EventStream, LoopbackPeers, Peer, PeerConfig, Restored, SessionState,
};
use tandem_core::session::dialable;
use tokio::sync::Notify;

use crate::brought::{self, Brought};
use crate::control::Server;
use crate::event::Event as Reported;
use crate::exit::{Exit, Failure, OrExit};
use crate::follow::Follower;
use crate::home::Home;
use crate::limits::{FIRST_CONNECT_INTERVAL, FIRST_CONNECT_TIMEOUT, SEARCH_INTERVAL};
use crate::pair::Met;
use crate::relay_here;
use crate::screen::{self, GONE, clean, say, say_always, tell, tell_of};
use crate::shares::{Friend, Held, Root, Shares, Side};
use crate::watch::{self, Watch};

/// A share that runs in this process.
pub(crate) struct Running {
    pub(crate) name: String,
    pub(crate) peer: Peer,
    side: Side,
    held: Mutex<Held>,
    shares: Shares,
    mounts: Mutex<Vec<(PathBuf, Mount)>>,
    /// Notified when this person has changed something in the share by a command.
    pub(crate) changed_here: Notify,
    /// Where other processes of this person ask; `None` where they can't.
    pub(crate) control: Option<Server>,
}

impl Running {
    /// Starts the peer of a share; at the port where it was before, if that is free.
    pub(crate) async fn start(home: &Home, held: Held) -> Result<Self, Failure> {
        let listener = relay_here::listen(held.share.record.port).or_exit(Exit::LocalDisk)?;
        Self::start_at(home, held, listener).await
    }

    /// As [`Running::start`], with this socket.
    pub(crate) async fn start_at(
        home: &Home,
        mut held: Held,
        listener: TcpListener,
    ) -> Result<Self, Failure> {
        let control = Server::listen(&held.share.dir)
            .inspect_err(|error| {
                say(format_args!(
                    "`tandem status` and other commands can't reach this process: {error}"
                ));
            })
            .ok();
        let config = match &held.share.record.relay {
            Some(relay) => PeerConfig::new(relay.clone()),
            None => PeerConfig::without_relay(),
        };
        let config = config
            .identity(home.identity()?)
            .listener(listener)
            .store(held.share.store())
            .state(held.share.state());
        let peer = Peer::start(config).await.or_exit(Exit::LocalDisk)?;
        if let Restored::SetAside { path, flaw } = peer.restored() {
            say(format_args!(
                "what was known of `{}` can't be used ({flaw}); it is in `{}` now, and everything is compared anew",
                clean(&held.share.name),
                screen::path(path)
            ));
        }
        let port = peer.local_addr().port();
        held.change(|record| record.port = Some(port))?;
        Ok(Self {
            name: held.share.name.clone(),
            peer,
            side: held.share.record.side.clone(),
            held: Mutex::new(held),
            shares: home.shares()?,
            mounts: Mutex::default(),
            changed_here: Notify::new(),
            control,
        })
    }

    /// What this side does.
    pub(crate) fn side(&self) -> Side {
        self.side.clone()
    }

    /// What is kept of it.
    pub(crate) fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps who the other side is: from now on the share goes on after a restart.
    pub(crate) fn keep(&self, met: &Met) -> Result<(), Failure> {
        let friend = self.friend_of(met)?;
        self.held().change(|record| record.friend = Some(friend))
    }

    /// The other side, by the name that this person has given it before.
    fn friend_of(&self, met: &Met) -> Result<Friend, Failure> {
        let mut friend = met.to_friend();
        friend.name = self.shares.name_of(&friend.fingerprint)?;
        Ok(friend)
    }

    /// Connects to the other side for the first time.
    pub(crate) async fn connect(&self, met: &Met) -> Result<(), Failure> {
        let friend = self.friend_of(met)?;
        let (remote, called) = (friend.fingerprint, friend.called());
        let clock = Clock::system();
        let limit = clock.now() + FIRST_CONNECT_TIMEOUT;
        // One side may dial before the other one is ready to let it in.
        while let Err(error) = self.peer.connect_directly(&remote, &friend.addresses).await {
            if clock.now() >= limit {
                return Err(error.into());
            }
            clock.sleep_until(clock.now() + FIRST_CONNECT_INTERVAL).await;
        }
        tell(
            &Reported::Connected { peer: &called },
            format_args!("connected to {called}; Ctrl-C ends that"),
        );
        Ok(())
    }

    /// Mounts the share on the folder `at`, which is made if it is missing.
    pub(crate) async fn mount(&self, at: &Path) -> Result<(), Failure> {
        // What a killed process has left mounted there can't be looked at; mounting removes it.
        let is_missing = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
        if at.symlink_metadata().is_err_and(|error| is_missing(&error)) {
            std::fs::create_dir_all(at).map_err(|error| {
                let text = format!("could not make `{}`: {error}", screen::path(at));
                Failure::new(Exit::Mount, text)
            })?;
        }
        if std::fs::read_dir(at).is_ok_and(|mut entries| entries.next().is_some()) {
            let text = format!(
                "`{}` is not empty, and a mount would hide what is in it\nhint: name an empty folder",
                screen::path(at)
            );
            return Err(Failure::new(Exit::Mount, text));
        }
        self.refuse_shared(at)?;
        let mounted = self.peer.mount(at, MountOptions::default()).await;
        let mounted = (at.to_owned(), mounted.or_exit(Exit::Mount)?);
        self.mounts().push(mounted);
        let line = format!("`{}` is mounted on `{}`", clean(&self.name), screen::path(at));
        tell_of(&self.name, &Reported::Mounted { at }, line);
        Ok(())
    }

    /// A mount in a folder that is shared would be shared again, within itself.
    fn refuse_shared(&self, at: &Path) -> Result<(), Failure> {
        let Side::Shared { paths } = &self.side else {
            return Ok(());
        };
        let whole = at.canonicalize().unwrap_or_else(|_| at.to_owned());
        if !paths.iter().any(|root| whole.starts_with(&root.path)) {
            return Ok(());
        }
        let text = format!(
            "`{}` is in a folder that this share shares\nhint: name a folder elsewhere",
            screen::path(at)
        );
        Err(Failure::new(Exit::Mount, text))
    }

    /// Where this process shows the share.
    pub(crate) fn mount_points(&self) -> Vec<PathBuf> {
        self.mounts().iter().map(|(at, _)| at.clone()).collect()
    }

    fn mounts(&self) -> MutexGuard<'_, Vec<(PathBuf, Mount)>> {
        self.mounts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does what its side does, and looks for the other side, until the peer is closed.
    pub(crate) async fn run(&self) -> Result<(), Failure> {
        self.put_again().await;
        match &self.side {
            Side::Shared { paths } => {
                let watch = Watch::start(paths.clone()).or_exit(Exit::LocalDisk)?;
                self.share_again(paths).await?;
                self.serve(&watch).await
            }
            Side::Joined { folder } => {
                let joined = self.peer.join_folder(folder).or_exit(Exit::LocalDisk)?;
                let mut events = self.peer.events();
                let mut follower = Follower::new(&self.peer, (&joined, folder), self.brought()?);
                self.follow(&mut follower, &mut events).await
            }
            Side::Mounted { .. } => self.keep_connected().await.map(|never| match never {}),
        }
    }

    /// Does `work`, and looks for the other side again if it gets lost meanwhile.
    pub(crate) async fn while_searching<T>(
        &self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        tokio::select! {
            done = work => done,
            failed = self.keep_connected() => failed.map(|never| match never {}),
        }
    }

    /// Shares changes of this side as they are made.
    pub(crate) async fn serve(&self, watch: &Watch) -> Result<(), Failure> {
        let watching = async {
            watch.follow(&self.peer).await;
            Ok(())
        };
        self.while_searching(watching).await
    }

    /// Brings changes of the other side as they are reported.
    pub(crate) async fn follow(
        &self,
        follower: &mut Follower<'_>,
        events: &mut EventStream,
    ) -> Result<(), Failure> {
        let following = async {
            follower.follow(events, &self.changed_here).await;
            Ok(())
        };
        self.while_searching(following).await
    }

    /// What was brought into the folder of this share.
    pub(crate) fn brought(&self) -> Result<Brought, Failure> {
        let path = brought::file_in(&self.held().share.dir);
        Brought::open(&path).or_exit(Exit::LocalDisk)
    }

    /// Shares again what `tandem put` has shared, as far as it is there. What the other side has
    /// put in its place stays.
    async fn put_again(&self) {
        let put = self.held().share.record.put.clone();
        for root in put {
            let Some(name) = &root.name else { continue };
            let shared = self.peer.add_resolved(&root.path, Some(name)).await;
            if let Err(error) = shared {
                say(format_args!("not shared: {}", clean(&error.to_string())));
            }
        }
    }

    /// Shares what is there now, and no longer what is gone.
    async fn share_again(&self, paths: &[Root]) -> Result<(), Failure> {
        let peer = &self.peer;
        for root in paths {
            root.path.symlink_metadata().map_err(|error| {
                let text = format!(
                    "could not share `{}`: {error}\nhint: is its disk there? If you moved it, share it anew",
                    screen::path(&root.path)
                );
                Failure::new(Exit::LocalDisk, text)
            })?;
        }
        let before = peer.shared_files();
        let gone = watch::vanished(peer);
        if gone.len() == before.len() && gone.len() > 1 {
            let text = format!(
                "all {} files of the share `{name}` are gone from this machine\n\
                 hint: is their disk there? If you removed them, end this share: tandem forget {name}",
                before.len(),
                name = clean(&self.name)
            );
            return Err(Failure::new(Exit::LocalDisk, text));
        }
        watch::add(peer, paths).await?;
        watch::forget(peer, paths, &gone);
        Ok(())
    }

    /// Looks for the other side whenever it is not connected, and says what happens.
    async fn keep_connected(&self) -> Result<Infallible, Failure> {
        let Some((remote, addresses)) = self.friend() else {
            return std::future::pending().await;
        };
        let (peer, clock) = (&self.peer, Clock::system());
        let mut is_connected = peer.status().state == SessionState::Connected;
        let mut events = peer.events();
        peer.seek(&remote, &addresses)?;
        let mut again = None;
        loop {
            let due = async {
                match again {
                    Some(at) => clock.sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let event = tokio::select! {
                event = events.next() => event,
                () = due => {
                    again = None;
                    peer.seek(&remote, &addresses)?;
                    continue;
                }
            };
            match event {
                Some(Event::Connected { .. }) => {
                    again = None;
                    if !std::mem::replace(&mut is_connected, true) {
                        self.connected(peer)?;
                    }
                }
                // Both sides have dialled; a session goes on.
                Some(Event::Disconnected {
                    reason: DisconnectReason::Replaced,
                }) => {}
                Some(Event::Catalog(change)) if matches!(self.side, Side::Shared { .. }) => {
                    say_change(&change);
                }
                Some(Event::Disconnected { .. }) => {
                    is_connected = false;
                    tell(&Reported::Disconnected, GONE);
                    again = Some(clock.now() + SEARCH_INTERVAL);
                }
                Some(Event::NotSaved { error }) => say_always(format_args!(
                    "what is known of `{}` can't be saved: {}",
                    clean(&self.name),
                    clean(&error)
                )),
                Some(Event::ReconnectFailed { .. }) => again = Some(clock.now() + SEARCH_INTERVAL),
                Some(_) => {}
                None => return std::future::pending().await,
            }
        }
    }

    /// The other side, and where it may be.
    fn friend(&self) -> Option<(Fingerprint, Vec<SocketAddr>)> {
        let held = self.held();
        let friend = held.share.record.friend.as_ref()?;
        let addresses = dialable(&friend.addresses, LoopbackPeers::default());
        Some((friend.fingerprint, addresses))
    }

    /// Keeps where the other side was found.
    fn connected(&self, peer: &Peer) -> Result<(), Failure> {
        let called = self.held().share.record.friend.as_ref().map(Friend::called);
        let line = format!("`{}` is connected", clean(&self.name));
        let called = called.unwrap_or_default();
        tell(&Reported::Connected { peer: &called }, line);
        let addresses = peer.remote_addresses();
        if addresses.is_empty() {
            return Ok(());
        }
        self.held().change(|record| {
            if let Some(friend) = &mut record.friend {
                friend.addresses = addresses;
            }
        })
    }

    /// Unmounts and closes. What is kept stays.
    pub(crate) async fn close(self) -> Held {
        let mounts = std::mem::take(&mut *self.mounts());
        for (_, mount) in mounts {
            if let Err(error) = mount.unmount().await {
                say_always(error);
            }
        }
        if let Err(error) = self.peer.close().await {
            say_always(error);
        }
        self.held.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says what the other side has changed in a share whose files are here: they stay as they are.
fn say_change(change: &CatalogEvent) {
    let name = |path: &SharePath| clean(path.as_str());
    match change {
        CatalogEvent::Added { path } => say(format_args!("the other side has added `{}`", name(path))),
        CatalogEvent::Changed { path } => say(format_args!(
            "the other side has changed `{}` in the share",
            name(path)
        )),
        CatalogEvent::Removed { path } => say(format_args!(
            "the other side has removed `{}` from the share; your file stays",
            name(path)
        )),
        CatalogEvent::Renamed { from, to } => say(format_args!(
            "the other side has renamed `{}` to `{}` in the share; your file stays",
            name(from),
            name(to)
        )),
        CatalogEvent::Conflict { path, copy } => say(format_args!(
            "`{}` was changed on both sides: the other side's is `{}` in the share",
            name(path),
            name(copy)
        )),
        // Of a later version of the library.
        _ => {}
    }
}
