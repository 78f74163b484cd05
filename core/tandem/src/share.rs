//! `tandem share`: offers a folder or files to one other person, by a code.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use tandem_core::pairing::Invitation;
use tandem_core::peer::{Event, Peer, SkippedFile};
use tandem_core::rendezvous::InvitationCode;
use url::Url;

use crate::card::Card;
use crate::exit::{Exit, Failure, OrExit};
use crate::limits::MINUTE;
use crate::pair::{Own, Verify};
use crate::place::{Invited, Place};
use crate::relay_here::RelayHere;
use crate::screen::{self, say};
use crate::signals::{Ended, Signals};
use crate::watch::{Root, Watch};

/// Share a folder or files with one other person: prints a code, and serves until Ctrl-C
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder to share, or files and folders
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Let the other person find you through this relay; without it, the code has this machine's
    /// address
    #[arg(long, value_name = "URL", env = "TANDEM_RELAY")]
    relay: Option<Url>,
    /// Put this address into the code instead of the one that tandem finds, such as
    /// `192.0.2.1:26000` or `http://name:26000`; only without `--relay`
    #[arg(long, value_name = "HOST[:PORT]", conflicts_with = "relay")]
    at: Option<String>,
    /// How long the code is good, in minutes, at most 1440
    #[arg(long, value_name = "MINUTES", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1440))]
    expires: u32,
    /// Ask you whether both screens show the same check, and share nothing before you say yes
    #[arg(long)]
    verify: bool,
}

/// Runs until the person or the other side ends it.
pub(crate) async fn run(args: &Args, signals: &mut Signals) -> Result<(), Failure> {
    let code = InvitationCode::generate().or_exit(Exit::LocalDisk)?;
    let (relay, here) = match &args.relay {
        Some(relay) => (relay.clone(), None),
        None => {
            let here = RelayHere::start(&code).await?;
            (here.own_url(), Some(here))
        }
    };
    let own = Own::start(&relay).await?;
    let ended = signals
        .until(serve(args, &own, (code, &relay), here.as_ref()))
        .await;
    if own.peer.close().await.is_err() {
        say("some tasks did not end in time");
    }
    if let Some(here) = here {
        here.stop().await;
    }
    match ended {
        Ended::ByItself(result) => result,
        Ended::BySignal(exit) => Err(exit.into()),
    }
}

async fn serve(
    args: &Args,
    own: &Own,
    (code, relay): (InvitationCode, &Url),
    here: Option<&RelayHere>,
) -> Result<(), Failure> {
    let roots = roots(&args.paths)?;
    let watch = Watch::start(roots.clone()).or_exit(Exit::LocalDisk)?;
    add(&own.peer, &roots).await?;
    let name = roots.first().filter(|root| root.name.is_none());
    let name = name.and_then(|root| name_of(&root.path));
    let place = match (&args.at, here) {
        (Some(at), _) => at.parse::<Place>().or_exit(Exit::Usage)?,
        (None, Some(here)) => here.place(own.peer.addresses()),
        (None, None) => Place::of_relay(relay.clone()),
    };
    let lifetime = MINUTE * args.expires;
    let mut invitation = Invitation::offer(code, lifetime, own.pairing(relay)?).await?;
    show(invitation.code(), &place, args.expires)?;
    let card = Card::new(name, own.peer.list().len(), own.peer.addresses()).to_bytes()?;
    let meeting = invitation.meet(&own.identity, &card).await?;
    invitation.close().await;
    let verify = if args.verify { Verify::Ask } else { Verify::Show };
    let friend = Own::agree(meeting, verify).await?;
    own.connect(&friend).await?;
    say(format_args!(
        "connected to {}; Ctrl-C stops sharing",
        friend.fingerprint.fmt_short()
    ));
    tokio::select! {
        () = narrate(&own.peer) => {}
        () = watch.follow(&own.peer) => {}
    }
    Ok(())
}

/// What is shared, by its whole path, and under which name. A single folder is the share itself;
/// otherwise each path has its own name in it.
fn roots(paths: &[PathBuf]) -> Result<Vec<Root>, Failure> {
    let mut roots = Vec::new();
    for given in paths {
        let whole = given.canonicalize().map_err(|error| {
            let text = format!("could not share `{}`: {error}", given.display());
            Failure::new(Exit::LocalDisk, text)
        })?;
        let name = if paths.len() == 1 && whole.is_dir() {
            None
        } else {
            Some(prefix_of(&whole)?)
        };
        roots.push(Root { path: whole, name });
    }
    Ok(roots)
}

/// Shares the paths, and says how much that is and what was left out.
async fn add(peer: &Peer, roots: &[Root]) -> Result<(), Failure> {
    let (mut count, mut len) = (0, 0);
    for root in roots {
        match &root.name {
            Some(name) if root.path.is_file() => {
                peer.add_as(&root.path, name).await.or_exit(Exit::LocalDisk)?;
                count += 1;
                len += root.path.metadata().map_or(0, |metadata| metadata.len());
            }
            name => {
                let added = peer.add_tree(&root.path, name.as_ref()).await;
                let added = added.or_exit(Exit::LocalDisk)?;
                count += added.count;
                len += added.len;
                added.skipped.iter().for_each(tell_left_out);
            }
        }
    }
    let (files, bytes) = (screen::count(count, "file"), screen::bytes(len));
    say(format_args!("sharing {files}, {bytes}"));
    Ok(())
}

fn tell_left_out(skipped: &SkippedFile) {
    let path = screen::clean(&skipped.path.display().to_string());
    match &skipped.reason {
        Some(reason) => say(format_args!("left out `{path}`: {reason}")),
        None => say(format_args!(
            "left out `{path}`: it is a link, or no ordinary file"
        )),
    }
}

fn prefix_of(path: &Path) -> Result<tandem_core::catalog::SharePath, Failure> {
    let no_name = || {
        let text = format!(
            "`{}` has no name of its own\nhint: share it alone",
            path.display()
        );
        Failure::new(Exit::Usage, text)
    };
    let name = name_of(path).ok_or_else(no_name)?;
    tandem_core::catalog::SharePath::parse(&name).or_exit(Exit::Usage)
}

fn name_of(path: &Path) -> Option<String> {
    Some(path.file_name()?.to_str()?.to_owned())
}

/// The code alone on standard output, everything else for the person.
fn show(code: &InvitationCode, place: &Place, minutes: u32) -> Result<(), Failure> {
    let text = format!("{code}@{place}");
    // What is shown can be read again.
    debug_assert_eq!(
        text.parse().ok(),
        Some(Invited {
            code: code.clone(),
            place: Some(place.clone())
        })
    );
    screen::answer(&text)?;
    if std::io::stderr().is_terminal()
        && let Some(qr) = screen::qr(&text)
    {
        say(qr);
    }
    say(format_args!(
        "the other person types `tandem join` and then the code above;\nit is good for one person, for {}",
        screen::count(usize::try_from(minutes).unwrap_or(usize::MAX), "minute")
    ));
    Ok(())
}

/// Says what happens until the peer is closed.
async fn narrate(peer: &Peer) {
    let mut events = peer.events();
    while let Some(event) = events.next().await {
        match event {
            Event::Connected { .. } => say("connected again"),
            Event::Disconnected { .. } => {
                say("the other side is gone; it comes back by itself, unless it was stopped")
            }
            Event::ReconnectFailed { .. } => say("gave up reaching the other side; it may still come back"),
            _ => {}
        }
    }
}
