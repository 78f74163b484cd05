//! Bob's share as a folder: mounted where this machine can mount, listed, read, and compared with
//! alice's files.
//!
//! Where this machine can't mount, the demo prints the reason and goes on: pulling gives the same
//! files.

use std::sync::atomic::AtomicBool;

#[cfg(unix)]
pub(crate) use mounted::look;
#[cfg(not(unix))]
pub(crate) use unmounted::look;

/// The options for the mount.
#[derive(Debug)]
pub(crate) struct Wishes {
    pub(crate) fuse: Fuse,
    pub(crate) then: Then,
}

/// Whether to mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum Fuse {
    /// Mount if this machine can.
    #[default]
    Auto,
    /// Mount, or fail.
    On,
    /// Don't try to mount.
    Off,
}

/// What happens to the mount after everything was read.
#[derive(Debug)]
pub(crate) enum Then {
    /// It is unmounted.
    Unmount,
    /// It stays until Ctrl-C. The flag is set while it stays, because that Ctrl-C ends the demo
    /// successfully; the handler of interrupts clears the flag.
    Hold(AtomicBool),
}

#[cfg(unix)]
mod mounted {
    use std::path::Path;
    use std::sync::atomic::{AtomicBool, Ordering};

    use anyhow::Context;
    use tandem_core::mount::{Mount, MountOptions};
    use tandem_core::peer::Peer;
    use tempfile::TempDir;

    use super::{Fuse, Then, Wishes};
    use crate::files::{self, Inventory};
    use crate::story::{Story, amount, duration};

    /// Lists, reads and compares through a mount of bob's; holds the mount if asked to.
    pub(crate) async fn look(
        story: &Story,
        bob: &Peer,
        inventory: &Inventory,
        wishes: &Wishes,
    ) -> anyhow::Result<()> {
        if wishes.fuse == Fuse::Off {
            return Ok(story.tell("bob", "does not mount the share: switched off by `--fuse off`")?);
        }
        let point = tempfile::Builder::new().prefix("tandem-bob-").tempdir();
        let point = point.context("could not make a directory to mount on")?;
        let started = story.now();
        let mount = match bob.mount(point.path(), MountOptions::default()).await {
            Ok(mount) => mount,
            Err(error) if wishes.fuse == Fuse::On => return Err(error).context("could not mount the share"),
            Err(error) => {
                let why = error.to_string().replace('\n', "; ");
                return Ok(story.tell("bob", format_args!("does not mount the share: {why}"))?);
            }
        };
        let millis = (story.now() - started).as_secs_f64() * 1e3;
        story.tell(
            "bob",
            format_args!(
                "mounted the share on `{}` in {millis:.1} ms",
                mount.path().display()
            ),
        )?;
        // A failure drops the mount, which unmounts it.
        list(story, mount.path()).await?;
        read(story, mount.path(), inventory).await?;
        if let Then::Hold(is_holding) = &wishes.then {
            hold(story, mount.path(), is_holding).await?;
        }
        unmount(story, mount, point).await
    }

    async fn list(story: &Story, mounted: &Path) -> anyhow::Result<()> {
        let (started, path) = (story.now(), mounted.to_owned());
        let listing = tokio::task::spawn_blocking(move || Inventory::of(&path));
        let shown = listing.await.context("could not list the mount")??;
        let millis = (story.now() - started).as_secs_f64() * 1e3;
        story.tell(
            "bob",
            format_args!("lists {} through the mount in {millis:.1} ms", shown.amount()),
        )?;
        Ok(())
    }

    async fn read(story: &Story, mounted: &Path, inventory: &Inventory) -> anyhow::Result<()> {
        let (started, path, files) = (story.now(), mounted.to_owned(), inventory.files.clone());
        let comparing = tokio::task::spawn_blocking(move || files::compare(&files, &path));
        comparing
            .await
            .context("could not compare the files in the mount")??;
        let (count, len) = (inventory.files.len(), inventory.total_len());
        let took = duration(story.now() - started);
        story.tell(
            "check",
            format_args!(
                "{}: every byte is the same through the mount {took}",
                amount(count, len)
            ),
        )?;
        Ok(())
    }

    async fn hold(story: &Story, mounted: &Path, is_holding: &AtomicBool) -> anyhow::Result<()> {
        is_holding.store(true, Ordering::SeqCst);
        story.tell(
            "hold",
            format_args!("look around in `{}`; Ctrl-C ends it", mounted.display()),
        )?;
        tokio::signal::ctrl_c().await.context("could not wait for Ctrl-C")
    }

    async fn unmount(story: &Story, mount: Mount, point: TempDir) -> anyhow::Result<()> {
        let started = story.now();
        mount.end().await.context("could not unmount")?;
        let millis = (story.now() - started).as_secs_f64() * 1e3;
        story.tell("bob", format_args!("unmounted in {millis:.1} ms"))?;
        point.close().context("could not remove the mount point")
    }
}

#[cfg(not(unix))]
mod unmounted {
    use tandem_core::peer::Peer;

    use super::Wishes;
    use crate::files::Inventory;
    use crate::story::Story;

    /// Prints that this system has no mounts.
    #[expect(clippy::unused_async, reason = "the same call on every system")]
    pub(crate) async fn look(
        story: &Story,
        _bob: &Peer,
        _all: &Inventory,
        _wishes: &Wishes,
    ) -> anyhow::Result<()> {
        story.tell(
            "bob",
            "does not mount the share: tandem can't mount on this system",
        )?;
        Ok(())
    }
}
