//! A share while it runs: the peer that is its own, the search for the other side, and which side
//! follows which changes.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tandem_core::clock::Clock;
use tandem_core::identity::Fingerprint;
use tandem_core::mount::{Mount, MountOptions};
use tandem_core::peer::{Event, EventStream, LoopbackPeers, Peer, PeerConfig, Restored};
use tandem_core::session::dialable;

use crate::brought::{self, Brought};
use crate::exit::{Exit, Failure, OrExit};
use crate::follow::Follower;
use crate::home::Home;
use crate::limits::{FIRST_CONNECT_INTERVAL, FIRST_CONNECT_TIMEOUT, SEARCH_INTERVAL};
use crate::pair::Met;
use crate::relay_here;
use crate::screen::{self, GONE, clean, say};
use crate::shares::{Friend, Held, Root, Side};
use crate::watch::{self, Watch};

/// A share that runs in this process.
pub(crate) struct Running {
    pub(crate) name: String,
    pub(crate) peer: Peer,
    side: Side,
    held: Mutex<Held>,
    mount: Option<Mount>,
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
            mount: None,
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
        self.held().change(|record| record.friend = Some(met.to_friend()))
    }

    /// Connects to the other side for the first time.
    pub(crate) async fn connect(&self, met: &Met) -> Result<(), Failure> {
        let Friend {
            fingerprint: remote,
            addresses,
            ..
        } = met.to_friend();
        let clock = Clock::system();
        let limit = clock.now() + FIRST_CONNECT_TIMEOUT;
        // One side may dial before the other one is ready to let it in.
        while let Err(error) = self.peer.connect_directly(&remote, &addresses).await {
            if clock.now() >= limit {
                return Err(error.into());
            }
            clock.sleep_until(clock.now() + FIRST_CONNECT_INTERVAL).await;
        }
        let other = remote.fmt_short();
        say(format_args!("connected to {other}; Ctrl-C ends that"));
        Ok(())
    }

    /// Mounts the share on the folder `at`, which is made if it is missing.
    pub(crate) async fn mount(&mut self, at: &Path) -> Result<(), Failure> {
        std::fs::create_dir_all(at).map_err(|error| {
            let text = format!("could not make `{}`: {error}", screen::path(at));
            Failure::new(Exit::Mount, text)
        })?;
        let mounted = self.peer.mount(at, MountOptions::default()).await;
        self.mount = Some(mounted.or_exit(Exit::Mount)?);
        say(format_args!(
            "`{}` is mounted on `{}`",
            self.name,
            screen::path(at)
        ));
        Ok(())
    }

    /// Does what its side does, and looks for the other side, until the peer is closed.
    pub(crate) async fn run(&self) -> Result<(), Failure> {
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

    /// Shares changes of this side as they are made.
    pub(crate) async fn serve(&self, watch: &Watch) -> Result<(), Failure> {
        tokio::select! {
            failed = self.keep_connected() => failed.map(|never| match never {}),
            () = watch.follow(&self.peer) => Ok(()),
        }
    }

    /// Brings changes of the other side as they are reported.
    pub(crate) async fn follow(
        &self,
        follower: &mut Follower<'_>,
        events: &mut EventStream,
    ) -> Result<(), Failure> {
        tokio::select! {
            failed = self.keep_connected() => failed.map(|never| match never {}),
            () = follower.follow(events) => Ok(()),
        }
    }

    /// What was brought into the folder of this share.
    pub(crate) fn brought(&self) -> Result<Brought, Failure> {
        let path = brought::file_in(&self.held().share.dir);
        Brought::open(&path).or_exit(Exit::LocalDisk)
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
                "all {} files of the share `{}` are gone from this machine\n\
                 hint: is their disk there? If you removed them, end this share: tandem forget {0}",
                before.len(),
                clean(&self.name)
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
                    self.connected(peer)?;
                }
                Some(Event::Disconnected { .. }) => {
                    say(GONE);
                    again = Some(clock.now() + SEARCH_INTERVAL);
                }
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
        say(format_args!("`{}` is connected", clean(&self.name)));
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
        if let Some(mount) = self.mount
            && let Err(error) = mount.unmount().await
        {
            say(error);
        }
        if self.peer.close().await.is_err() {
            say("some tasks did not end in time");
        }
        self.held.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}
