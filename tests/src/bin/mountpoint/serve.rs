//! Starts the relay, the two peers and their mounts, and ends them.

use std::io::{self, Write as _};
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Parser, ValueEnum};
use tandem_core::mount::{Mount, MountOptions, Passthrough};
use tandem_core::peer::{Peer, PeerConfig};
use tandem_relay::Relay;
use tandem_tests::pair;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

/// Mount the shares of two connected peers at DIR/alice and DIR/bob, until standard input closes.
#[derive(Debug, Parser)]
struct Args {
    /// Whether the kernel may read and write complete files by itself
    #[arg(long, value_enum, default_value_t = Switch::On)]
    passthrough: Switch,
    /// Directory for the stores of the peers [default: a temporary directory, removed at the end]
    #[arg(long)]
    backing: Option<PathBuf>,
    /// Let other users use the mounts, for suites that switch users
    #[arg(long)]
    allow_other: bool,
    /// Directory to mount in
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

impl Args {
    fn options(&self) -> MountOptions {
        let options = match self.passthrough {
            Switch::On => MountOptions::default().passthrough(Passthrough::Auto),
            Switch::Off => MountOptions::default().passthrough(Passthrough::Off),
        };
        if self.allow_other {
            options.allow_other()
        } else {
            options
        }
    }
}

/// Runs until standard input closes or a signal arrives.
pub(crate) fn run() -> anyhow::Result<()> {
    let args = Args::parse();
    Runtime::new()?.block_on(serve(&args))
}

async fn serve(args: &Args) -> anyhow::Result<()> {
    let temporary = tempfile::Builder::new()
        .prefix("tandem-mountpoint-")
        .tempdir()
        .context("could not make a temporary directory")?;
    let backing = args.backing.as_deref().unwrap_or(temporary.path());
    let relay = pair::relay().await?;
    let alice = start(&relay, &backing.join("alice")).await?;
    let bob = start(&relay, &backing.join("bob")).await?;
    pair::connect(&alice, &bob).await?;
    let alices = mount(&alice, args, "alice").await?;
    let bobs = mount(&bob, args, "bob").await?;
    let (at_alice, at_bob) = (alices.path().display(), bobs.path().display());
    writeln!(io::stdout(), "mounted\t{at_alice}\t{at_bob}")?;
    told_to_end().await?;
    alices.end().await?;
    bobs.end().await?;
    pair::close(relay, [alice, bob]).await?;
    temporary
        .close()
        .context("could not remove the temporary directory")
}

async fn start(relay: &Relay, store: &std::path::Path) -> anyhow::Result<Peer> {
    std::fs::create_dir_all(store).with_context(|| format!("could not make `{}`", store.display()))?;
    let config = PeerConfig::new(relay.url().parse()?).store(store);
    Peer::start(config).await.context("could not start a peer")
}

async fn mount(peer: &Peer, args: &Args, name: &str) -> anyhow::Result<Mount> {
    let point = args.directory.join(name);
    // If an earlier process left a dead mount here, creating the directory fails although it
    // exists.
    if let Err(error) = std::fs::create_dir_all(&point)
        && error.raw_os_error() != Some(rustix::io::Errno::NOTCONN.raw_os_error())
        && error.kind() != io::ErrorKind::AlreadyExists
    {
        return Err(error).with_context(|| format!("could not make `{}`", point.display()));
    }
    let mounted = peer.mount(&point, args.options()).await;
    mounted.with_context(|| format!("could not mount on `{}`", point.display()))
}

/// Returns when standard input closes or a signal asks the process to end.
async fn told_to_end() -> anyhow::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let (at_end, mut ended) = tokio::sync::mpsc::channel::<()>(1);
    // A plain thread, because the runtime waits for its own blocking threads, and a read of
    // standard input may never return.
    std::thread::spawn(move || {
        let _read = io::copy(&mut io::stdin(), &mut io::sink());
        drop(at_end);
    });
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        _ = ended.recv() => {}
    }
    Ok(())
}
