//! What the relay and the two peers do, in order.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, ensure};
use indicatif::ProgressBar;
use tandem_core::catalog::SharePath;
use tandem_core::clock::Clock;
use tandem_core::peer::{Event, EventStream, Initiator, Peer, PeerConfig};
use tandem_core::transfer::Progress;
use tandem_relay::Relay;
use tandem_tests::pair;
use tempfile::TempDir;
use tokio::task::JoinSet;
use url::Url;

use crate::files::{self, Inventory, Original};
use crate::look::{self, Wishes};
use crate::story::{Story, amount, duration, progress_bar};

/// Files that are hashed at the same time.
const ADDS_AT_ONCE: usize = 8;
/// How often a progress bar moves.
const TICK: Duration = Duration::from_millis(50);

/// What happens to the received files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Received {
    /// They stay, and the demo prints where.
    Keep,
    /// They are removed after the check.
    Remove,
}

/// The whole demo.
pub(crate) async fn run(path: &Path, received: Received, wishes: &Wishes) -> anyhow::Result<()> {
    let story = Story::begin();
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let mut inventory = Inventory::of(&path)?;
    story.tell(
        "files",
        format_args!("{} in `{}`", inventory.amount(), path.display()),
    )?;
    for reason in &inventory.left_out {
        story.tell("files", format_args!("left out {reason}"))?;
    }
    let store = tempfile::Builder::new().prefix("tandem-store-").tempdir();
    let store = store.context("could not make a directory for bob's store")?;
    let (relay, alice, bob) = start(&story, store.path()).await?;
    connect(&story, &alice, &bob).await?;
    let mut news = bob.events();
    let alice = share(&story, alice, &mut inventory).await?;
    listed(&story, &bob, &mut news, inventory.files.len()).await?;
    let target = tempfile::Builder::new().prefix("tandem-demo-").tempdir();
    let target = target.context("could not make a directory for the received files")?;
    pull(&story, &bob, &inventory, target.path()).await?;
    check(&story, &inventory, target.path()).await?;
    look::look(&story, &bob, &inventory, wishes).await?;
    close(&story, relay, [alice, bob]).await?;
    store.close().context("could not remove bob's store")?;
    finish(&story, received, &path, target)
}

async fn start(story: &Story, store: &Path) -> anyhow::Result<(Relay, Peer, Peer)> {
    let relay = pair::relay().await?;
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
    let bob = Peer::start(config().store(store))
        .await
        .context("could not start bob")?;
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

async fn connect(story: &Story, alice: &Peer, bob: &Peer) -> anyhow::Result<()> {
    let started = story.now();
    pair::connect(alice, bob).await?;
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

/// Shares every file of the inventory. Files that can't be shared are removed from it, and the
/// reason is printed.
async fn share(story: &Story, alice: Peer, inventory: &mut Inventory) -> anyhow::Result<Peer> {
    let (started, alice) = (story.now(), Arc::new(alice));
    let bar = progress_bar(inventory.total_len());
    let (mut adding, mut shared) = (JoinSet::new(), Vec::new());
    for file in std::mem::take(&mut inventory.files) {
        if adding.len() == ADDS_AT_ONCE {
            shared.extend(next(story, &mut adding, &bar).await?);
        }
        adding.spawn(add(alice.clone(), file));
    }
    while !adding.is_empty() {
        shared.extend(next(story, &mut adding, &bar).await?);
    }
    bar.finish_and_clear();
    ensure!(!shared.is_empty(), "none of the files can be shared");
    shared.sort_by(|a, b| a.name.cmp(&b.name));
    inventory.files = shared;
    let took = duration(story.now() - started);
    story.tell(
        "alice",
        format_args!("shares {}: hashed {took}", inventory.amount()),
    )?;
    Arc::into_inner(alice).context("alice is still in use")
}

/// Shares one file; returns the file and, if it could not be shared, the reason.
async fn add(alice: Arc<Peer>, file: Original) -> (Original, Option<String>) {
    let refusal = match SharePath::parse(&file.name) {
        Err(error) => Some(error.to_string()),
        Ok(name) => alice
            .add_as(&file.path, &name)
            .await
            .err()
            .map(|error| error.to_string()),
    };
    (file, refusal)
}

/// The next file that was shared; prints why a file could not be shared.
async fn next(
    story: &Story,
    adding: &mut JoinSet<(Original, Option<String>)>,
    bar: &ProgressBar,
) -> anyhow::Result<Option<Original>> {
    let (file, refusal) = adding.join_next().await.context("nothing is being added")??;
    bar.inc(file.len);
    match refusal {
        None => Ok(Some(file)),
        Some(why) => {
            let why = why.replace('\n', "; ");
            bar.suspend(|| story.tell("alice", format_args!("left out `{}`: {why}", file.path.display())))?;
            Ok(None)
        }
    }
}

/// Waits until bob lists all files. An event announces at most one file, so the next check is due
/// only after one event per missing file.
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
            duration(all)
        ),
    )?;
    let sync_millis = sync.as_secs_f64() * 1e3;
    match all.checked_sub(sync) {
        Some(rest) => {
            let took = duration(rest);
            story.tell(
                "bob",
                format_args!("{sync_millis:.1} ms of that made the files durable; without it: {took}"),
            )?;
        }
        // Two lanes can wait for the disk at the same time, so the sum may exceed the whole time.
        None => story.tell(
            "bob",
            format_args!("its lanes spent {sync_millis:.1} ms in total on making the files durable"),
        )?,
    }
    Ok(())
}

async fn check(story: &Story, inventory: &Inventory, target: &Path) -> anyhow::Result<()> {
    let started = story.now();
    let (amount, target) = (inventory.amount(), target.to_owned());
    let files = inventory.files.clone();
    let comparing = tokio::task::spawn_blocking(move || files::compare(&files, &target));
    comparing.await.context("could not compare the files")??;
    let took = duration(story.now() - started);
    story.tell(
        "check",
        format_args!("{amount}: every byte is the same, by BLAKE3 on both sides {took}"),
    )?;
    Ok(())
}

async fn close(story: &Story, relay: Relay, peers: [Peer; 2]) -> anyhow::Result<()> {
    let cut_off_count = pair::close(relay, peers).await?;
    story.tell(
        "all",
        format_args!("closed; the relay cut off {cut_off_count} requests"),
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
