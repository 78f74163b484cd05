//! How an actor mounts its share, and where. The verbs on a mount are in `mounted`.

use std::panic::Location;
use std::path::{Path, PathBuf};

use tandem_core::mount::{MountError, MountOptions};

use super::{Actor, lock};
use crate::failure::{Caller, OrFail};
use crate::mounted::Mounted;
use crate::wait::complete;

impl Actor {
    /// Mounts this party's share on a fresh folder. The universe unmounts it.
    #[track_caller]
    pub fn mount(&self) -> impl Future<Output = Mounted> + use<> {
        self.mount_with_at(MountOptions::default(), Location::caller())
    }

    /// The same with other options.
    #[track_caller]
    pub fn mount_with(&self, options: MountOptions) -> impl Future<Output = Mounted> + use<> {
        self.mount_with_at(options, Location::caller())
    }

    /// Mounts on `path`, or returns the peer's error.
    #[track_caller]
    pub fn try_mount(&self, path: &Path) -> impl Future<Output = Result<Mounted, MountError>> + use<> {
        self.try_mount_at(path.to_owned(), MountOptions::default(), Location::caller())
    }

    /// A fresh folder to mount on.
    #[track_caller]
    pub fn mount_point(&self) -> PathBuf {
        self.mount_point_at(Location::caller())
    }

    fn mount_with_at(&self, options: MountOptions, at: Caller) -> impl Future<Output = Mounted> + use<> {
        let (this, path) = (self.clone(), self.mount_point_at(at));
        async move {
            let mounted = this.try_mount_at(path, options, at).await;
            mounted.or_fail(at, format_args!("mount the share of {}", this.name()))
        }
    }

    fn try_mount_at(
        &self,
        path: PathBuf,
        options: MountOptions,
        at: Caller,
    ) -> impl Future<Output = Result<Mounted, MountError>> + use<> {
        let this = self.clone();
        async move {
            let peer = this.peer_at(at);
            let mount = complete(at, "a mount", peer.mount(&path, options)).await?;
            let mounted = Mounted::new(this.name(), mount);
            lock(&this.inner.mounts).push(mounted.clone());
            Ok(mounted)
        }
    }

    fn mount_point_at(&self, at: Caller) -> PathBuf {
        let dir = &self.inner.home.dir;
        // Folders are no leak, but each mount has its own.
        let taken = std::fs::read_dir(dir)
            .or_fail(at, "list a peer's directory")
            .count();
        let path = dir.join(format!("mount-{taken}"));
        std::fs::create_dir(&path).or_fail(at, format_args!("make `{}`", path.display()));
        path
    }

    /// Unmounts everything that this actor has mounted.
    pub(super) async fn unmount_all(&self, at: Caller) {
        let mounts = std::mem::take(&mut *lock(&self.inner.mounts));
        for mounted in mounts {
            mounted.end_at(at).await;
        }
    }

    /// Drops every guard at once: calls of programs that still use these mounts fail.
    pub(super) fn drop_mounts(&self) {
        let mounts = std::mem::take(&mut *lock(&self.inner.mounts));
        mounts.iter().for_each(Mounted::drop_guard);
    }
}
