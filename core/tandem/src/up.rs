//! `tandem up`: runs shares that were begun before. No code is needed: both sides know each other.

use std::path::PathBuf;

use futures_util::future::join_all;
use tokio::sync::watch;

use crate::attend::attend;
use crate::exit::{Exit, Failure};
use crate::home::Home;
use crate::running::Running;
use crate::screen::{clean, say_always};
use crate::shares::{Share, Side};
use crate::signals::{Ended, Signals};

/// Go on with shares that you began before: no code is needed. Serves and follows until Ctrl-C
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Args {
    /// The shares [default: all of them]
    #[arg(value_name = "SHARE")]
    pub(crate) shares: Vec<String>,
    /// Show the share on this folder too; only with one share
    #[arg(long, value_name = "DIR")]
    pub(crate) mount: Option<PathBuf>,
}

/// Runs until the person ends it, or until no share is left that could go on.
pub(crate) async fn run(args: &Args, signals: &mut Signals) -> Result<(), Failure> {
    let home = Home::open()?;
    let shares = chosen(args, &home)?;
    let mut running = Vec::new();
    let started = start(args, &home, shares, &mut running);
    let started = signals.until(started).await.result();
    let (stop, stopped) = watch::channel(Stop::No);
    if started.is_err() {
        stop.send_replace(Stop::Yes);
    }
    let all = join_all(running.into_iter().map(|share| run_one(share, stopped.clone())));
    let mut all = std::pin::pin!(all);
    match signals.until(&mut all).await {
        Ended::ByItself(ended) => started.and(ended.into_iter().collect()),
        Ended::BySignal(exit) => {
            stop.send_replace(Stop::Yes);
            all.await;
            Err(exit.into())
        }
    }
}

/// Whether all shares have to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    No,
    Yes,
}

fn chosen(args: &Args, home: &Home) -> Result<Vec<Share>, Failure> {
    let shares = home.shares()?;
    let chosen = match args.shares.as_slice() {
        [] => shares.all()?,
        names => names
            .iter()
            .map(|name| shares.named(name))
            .collect::<Result<_, _>>()?,
    };
    let refusal = match (chosen.len(), &args.mount) {
        (0, _) => "there is no share yet\nhint: `tandem share` and `tandem join` begin one",
        (2.., Some(_)) => "one folder shows one share\nhint: name the share: tandem up SHARE --mount DIR",
        _ => return Ok(chosen),
    };
    Err(Failure::new(Exit::Usage, refusal))
}

/// Starts the shares. One that can't be started is named; it is an error if none can.
async fn start(
    args: &Args,
    home: &Home,
    shares: Vec<Share>,
    running: &mut Vec<Running>,
) -> Result<(), Failure> {
    let mut failed = None;
    for share in shares {
        let name = clean(&share.name);
        let started = async { Running::start(home, share.hold()?).await }.await;
        match started {
            Ok(share) => {
                if let Side::Mounted { at } = share.side() {
                    share.mount(&at).await?;
                }
                running.push(share);
            }
            Err(failure) => failed = Some(tell(&name, failure)),
        }
    }
    if let (Some(at), Some(share)) = (&args.mount, running.first()) {
        share.mount(at).await?;
    }
    match failed {
        Some(failure) if running.is_empty() => Err(failure),
        _ => Ok(()),
    }
}

/// Runs a share until it ends or has to stop, and closes it. If it fails, it is named.
async fn run_one(share: Running, mut stopped: watch::Receiver<Stop>) -> Result<(), Failure> {
    let ended = tokio::select! {
        biased;
        _ = stopped.wait_for(|stop| *stop == Stop::Yes) => Ok(None),
        ended = attend(&share, share.run()) => ended,
    };
    let name = clean(&share.name);
    share.close().await;
    ended.map(drop).map_err(|failure| tell(&name, failure))
}

/// Says why a share does not run.
fn tell(name: &str, failure: Failure) -> Failure {
    if let Some(text) = &failure.text {
        say_always(format_args!("`{name}` is not started: {text}"));
    }
    failure.exit.into()
}
