//! Builds the universe, opens the file, and ends.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;

use anyhow::Context as _;
use clap::{Parser, ValueEnum};
use tandem_tests::actor::Actor;
use tandem_tests::universe::Universe;
use tokio::runtime::Builder;

/// End while a file of an own mount is open at descriptor 0, which an exiting process closes first.
#[derive(Debug, Parser)]
struct Args {
    /// How the process ends
    #[arg(value_enum)]
    end: End,
}

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum End {
    /// The test panics while one of its threads goes on
    Panic,
    /// The test closes its universe while the mount is in use
    Close,
    /// The test unmounts, then closes its universe
    Unmount,
}

/// Ends as the arguments say.
pub(crate) fn run() -> anyhow::Result<()> {
    let args = Args::parse();
    // One thread, like the runtime of a test.
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(end(args.end))
}

async fn end(end: End) -> anyhow::Result<()> {
    let universe = Universe::new().await;
    universe.bob.add("notes.txt", b"in use").await;
    let mount = universe.alice.mount().await;
    mount.shows("notes.txt").await;
    mount.within(open_at_descriptor_0).await?;
    match end {
        End::Panic => {
            outlive(universe.alice.clone());
            panic!("on purpose");
        }
        End::Close => {}
        // Either outcome is fine: the mount is busy, or it was unmounted lazily.
        End::Unmount => drop(mount.try_unmount().await),
    }
    universe.close().await;
    Ok(())
}

/// Starts a thread that holds alice and her mount until the process exits.
fn outlive(alice: Actor) {
    std::thread::spawn(move || {
        let _held = alice;
        loop {
            std::thread::park();
        }
    });
}

fn open_at_descriptor_0(mount: &Path) -> anyhow::Result<()> {
    let file = OwnedFd::from(File::open(mount.join("notes.txt"))?);
    rustix::stdio::dup2_stdin(&file).context("could not open a file at descriptor 0")
}
