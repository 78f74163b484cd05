//! A lone peer: no relay, no other peer, only its own share, on a runtime of its own.
//!
//! It serves tests of a mount alone. The caller's thread does not belong to the runtime, so it may
//! call `std::fs` on the mount.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use tandem_core::identity::Identity;
use tandem_core::mount::{Mount, MountOptions};
use tandem_core::peer::{Peer, PeerConfig};
use tokio::runtime::Runtime;
use url::Url;

use crate::leaks::mounts_under;
use crate::ports;
use crate::temp::TempRoot;

/// Nothing listens there, and the peer never asks.
const NO_RELAY: &str = "http://127.0.0.1:9";

/// See the module's head. Fields are dropped in order: the mounts first, the directory last.
#[derive(Debug)]
pub struct Offline {
    mounts: Vec<Mount>,
    peer: Peer,
    runtime: Runtime,
    root: TempRoot,
}

impl Offline {
    /// Starts the peer, whose store is in a fresh directory.
    pub fn start() -> anyhow::Result<Offline> {
        let root = TempRoot::create().context("could not make a directory")?;
        let runtime = runtime().context("could not start a runtime")?;
        let claim = ports::claim_anywhere().context("could not claim a port")?;
        let config = PeerConfig::new(Url::parse(NO_RELAY)?)
            .listener(claim.listener)
            .store(root.path().join("store"))
            .identity(Identity::ephemeral()?);
        let peer = runtime.block_on(Peer::start(config))?;
        Ok(Offline {
            mounts: Vec::new(),
            peer,
            runtime,
            root,
        })
    }

    /// The peer itself.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// The runtime of the peer.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// The directory that holds everything of this peer.
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// Mounts the share on a fresh directory and returns its path.
    pub fn mount(&mut self, options: MountOptions) -> anyhow::Result<PathBuf> {
        let point = self.root.dir(&format!("mount-{}", self.mounts.len()))?;
        let mount = self.runtime.block_on(self.peer.mount(&point, options))?;
        let path = mount.path().to_owned();
        self.mounts.push(mount);
        Ok(path)
    }

    /// Unmounts, stops the peer, and checks that nothing is left behind.
    pub fn close(self) -> anyhow::Result<()> {
        for mount in self.mounts {
            self.runtime.block_on(mount.end())?;
        }
        self.runtime.block_on(self.peer.close())?;
        let left = mounts_under(self.root.path());
        ensure!(left.is_empty(), "still mounted: {left:?}");
        self.root.close().context("could not remove the directory")
    }
}

fn runtime() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
}
