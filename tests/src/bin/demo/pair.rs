//! What the relay and the two peers do, in the order in which it happens.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use tandem_core::catalog::SharePath;
use tandem_core::clock::Clock;
use tandem_core::peer::{Event, EventStream, Initiator, Peer, PeerConfig};
use tandem_core::transfer::Progress;
use tandem_relay::{Relay, RelayConfig};
use tempfile::TempDir;
use tokio::task::JoinSet;
use url::Url;

use crate::files::{self, Inventory, Original};
use crate::story::{Story, amount, pace, progress_bar};

/// Files that are being hashed at the same time.
const ADDS_AT_ONCE: usize = 8;
/// How often a progress bar moves.
const TICK: Duration = Duration::from_millis(50);

/// What becomes of the received files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Received {
    /// They stay, and it is printed where.
    Keep,
    /// They are removed after they were checked.
    Remove,
}

/// The whole demo.
pub(crate) async fn run(path: &Path, received: Received) -> anyhow::Result<()> {
    let story = Story::begin();
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let inventory = Inventory::of(&path)?;
    story.tell(
        "files",
        format_args!("{} in `{}`", inventory.amount(), path.display()),
    )?;
    for reason in &inventory.left_out {
        story.tell("files", format_args!("left out {reason}"))?;
    }
    let (relay, alice, bob) = start(&story).await?;
    connect(&story, &alice, &bob).await?;
    let mut news = bob.events();
    let alice = share(&story, alice, &inventory).await?;
    listed(&story, &bob, &mut news, inventory.files.len()).await?;
    let target = tempfile::Builder::new().prefix("tandem-demo-").tempdir();
    let target = target.context("could not make a directory for the received files")?;
    pull(&story, &bob, &inventory, target.path()).await?;
    check(&story, inventory, target.path()).await?;
    close(&story, relay, [alice, bob]).await?;
    finish(&story, received, &path, target)
}

async fn start(story: &Story) -> anyhow::Result<(Relay, Peer, Peer)> {
    let relay = start_relay().await?;
    story.tell("relay", format_args!("listens on {}", relay.url()))?;
    let url: Url = relay
        .url()
        .parse()
        .context("could not read the relay's address")?;
    let config = || PeerConfig::new(url.clone());
    let alice = Peer::start(config()).await.context("could not start alice")?;
    story.tell(
        "alice",
        format_args!(
            "listens on {}, fingerprint {}",
            alice.local_addr(),
            alice.fingerprint()
        ),
    )?;
    let bob = Peer::start(config()).await.context("could not start bob")?;
    story.tell(
        "bob",
        format_args!(
            "listens on {}, fingerprint {}",
            bob.local_addr(),
            bob.fingerprint()
        ),
    )?;
    Ok((relay, alice, bob))
}

/// A relay on the loopback of this machine, with IPv6 where there is any.
async fn start_relay() -> anyhow::Result<Relay> {
    let on = |addr: SocketAddr| Relay::bind(RelayConfig::listen_on(addr));
    match on((Ipv6Addr::LOCALHOST, 0).into()).await {
        Ok(relay) => Ok(relay),
        Err(_) => on((Ipv4Addr::LOCALHOST, 0).into())
            .await
            .context("could not start the relay"),
    }
}

async fn connect(story: &Story, alice: &Peer, bob: &Peer) -> anyhow::Result<()> {
    let started = story.now();
    let (alices, bobs) = (alice.fingerprint(), bob.fingerprint());
    tokio::try_join!(alice.connect(&bobs), bob.connect(&alices))
        .context("could not connect alice and bob")?;
    let dialled = match alice.status().initiator {
        Some(Initiator::Us) => "alice dialled bob",
        _ => "bob dialled alice",
    };
    let millis = (story.now() - started).as_secs_f64() * 1e3;
    story.tell(
        "both",
        format_args!("connected in {millis:.1} ms: TLS 1.3, both keys pinned, {dialled}"),
    )?;
    Ok(())
}

async fn share(story: &Story, alice: Peer, inventory: &Inventory) -> anyhow::Result<Peer> {
    let (started, alice) = (story.now(), Arc::new(alice));
    let bar = progress_bar(inventory.total_len());
    let mut adding = JoinSet::new();
    for file in inventory.files.clone() {
        if adding.len() == ADDS_AT_ONCE {
            bar.inc(next(&mut adding).await?);
        }
        adding.spawn(add(alice.clone(), file));
    }
    while !adding.is_empty() {
        bar.inc(next(&mut adding).await?);
    }
    bar.finish_and_clear();
    let pace = pace(inventory.total_len(), story.now() - started);
    story.tell(
        "alice",
        format_args!("shares {}: hashed {pace}", inventory.amount()),
    )?;
    Arc::into_inner(alice).context("alice is still busy")
}

async fn add(alice: Arc<Peer>, file: Original) -> anyhow::Result<u64> {
    let name =
        SharePath::parse(&file.name).with_context(|| format!("could not share `{}`", file.path.display()))?;
    alice
        .add_as(&file.path, &name)
        .await
        .context("could not share a file")?;
    Ok(file.len)
}

async fn next(adding: &mut JoinSet<anyhow::Result<u64>>) -> anyhow::Result<u64> {
    adding.join_next().await.context("nothing is being added")??
}

/// Waits until bob lists all files. Each event brings at most one of them, so between two looks as many must come as
/// are missing.
async fn listed(story: &Story, bob: &Peer, news: &mut EventStream, count: usize) -> anyhow::Result<()> {
    let missing = || {
        let files = bob.list().into_iter().filter(|shown| shown.file().is_some());
        count.saturating_sub(files.count())
    };
    let mut due = missing();
    while due > 0 {
        match news.next().await {
            Some(Event::Missed { count }) => {
                due = due.saturating_sub(usize::try_from(count).unwrap_or(usize::MAX))
            }
            Some(Event::Disconnected { reason }) => return Err(anyhow!("the session ended: {reason:?}")),
            Some(_) => due -= 1,
            None => return Err(anyhow!("bob has closed")),
        }
        if due == 0 {
            due = missing();
        }
    }
    story.tell("bob", format_args!("sees all {count} of them"))?;
    Ok(())
}

async fn pull(story: &Story, bob: &Peer, inventory: &Inventory, target: &Path) -> anyhow::Result<()> {
    let (progress, clock) = (Progress::default(), Clock::system());
    let bar = progress_bar(inventory.total_len());
    let pulling = bob.pull_tree(None, target, &progress);
    tokio::pin!(pulling);
    let pulled = loop {
        tokio::select! {
            pulled = &mut pulling => break pulled.context("could not pull the files")?,
            () = clock.sleep_until(clock.now() + TICK) => bar.set_position(progress.verified_len()),
        }
    };
    bar.finish_and_clear();
    let (all, sync) = (pulled.elapsed, pulled.sync_elapsed);
    story.tell(
        "bob",
        format_args!(
            "pulled {} {}, verified",
            amount(pulled.count, pulled.len),
            pace(pulled.len, all)
        ),
    )?;
    let sync_millis = sync.as_secs_f64() * 1e3;
    match all.checked_sub(sync) {
        Some(rest) => {
            let pace = pace(pulled.len, rest);
            story.tell(
                "bob",
                format_args!("of that {sync_millis:.1} ms to make them durable; without it {pace}"),
            )?;
        }
        // Two lanes wait for the disk at the same time.
        None => story.tell(
            "bob",
            format_args!("its lanes spent {sync_millis:.1} ms in all to make them durable"),
        )?,
    }
    Ok(())
}

async fn check(story: &Story, inventory: Inventory, target: &Path) -> anyhow::Result<()> {
    let started = story.now();
    let (total, amount, target) = (inventory.total_len(), inventory.amount(), target.to_owned());
    let comparing = tokio::task::spawn_blocking(move || files::compare(&inventory.files, &target));
    comparing.await.context("could not compare the files")??;
    let pace = pace(2 * total, story.now() - started);
    story.tell(
        "check",
        format_args!("{amount}: every byte is the same, by BLAKE3 on both sides {pace}"),
    )?;
    Ok(())
}

async fn close(story: &Story, relay: Relay, peers: [Peer; 2]) -> anyhow::Result<()> {
    for peer in peers {
        peer.close().await.context("could not close a peer")?;
    }
    let drained = relay.shutdown().await;
    story.tell(
        "all",
        format_args!("closed; the relay cut {} requests off", drained.cut_off_count),
    )?;
    Ok(())
}

fn finish(story: &Story, received: Received, path: &Path, target: TempDir) -> anyhow::Result<()> {
    if received == Received::Keep {
        let kept = target.keep();
        story.tell("kept", format_args!("alice's files: `{}`", path.display()))?;
        story.tell("kept", format_args!("bob's files:   `{}`", kept.display()))?;
        story.done()?;
    } else {
        story.done()?;
        target.close().context("could not remove the received files")?;
    }
    Ok(())
}
