//! `tandem share`: offers a folder or files to one other person, by a code.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use tandem_core::pairing::Invitation;
use tandem_core::peer::{Event, Peer, SkippedFile};
use tandem_core::rendezvous::InvitationCode;
use url::Url;

use crate::card::Card;
use crate::exit::{Exit, Failure, OrExit};
use crate::home::Home;
use crate::limits::MINUTE;
use crate::pair::{Own, Verify};
use crate::place::{Invited, Place};
use crate::relay_here::RelayHere;
use crate::screen::{self, GAVE_UP, GONE, say};
use crate::signals::Signals;
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
    /// Put this address into the code instead of the one that tandem finds; the port is the one on
    /// which it answers, unless you give another; only without `--relay`
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
    let (home, roots) = (Home::open()?, roots(&args.paths)?);
    refuse_own_home(&home, &roots)?;
    let code = InvitationCode::generate().or_exit(Exit::LocalDisk)?;
    let (relay, here) = match &args.relay {
        Some(relay) => (relay.clone(), None),
        None => {
            let here = RelayHere::start(&code).await?;
            (here.own_url(), Some(here))
        }
    };
    let own = Own::start(&home, &relay).await?;
    let place = match (&args.at, &here) {
        (Some(at), Some(here)) => here.place_at(at)?,
        (None, Some(here)) => here.place(own.peer.addresses()),
        (_, None) => Place::of_relay(relay.clone()),
    };
    let mut open = None;
    let offer = Offer {
        args,
        roots,
        code,
        place,
        relay: &relay,
    };
    let ended = signals.until(serve(offer, &own, &mut open)).await;
    if let Some(invitation) = open {
        invitation.withdraw().await;
    }
    own.close().await;
    if let Some(here) = here {
        here.stop().await;
    }
    ended.result()
}

/// What is offered, and how.
struct Offer<'a> {
    args: &'a Args,
    roots: Vec<Root>,
    code: InvitationCode,
    /// What the code names.
    place: Place,
    /// How this process asks it.
    relay: &'a Url,
}

/// Shares, meets, and serves. While nobody has answered, the invitation is in `open`.
async fn serve(offer: Offer<'_>, own: &Own, open: &mut Option<Invitation>) -> Result<(), Failure> {
    let Offer {
        args,
        roots,
        code,
        place,
        relay,
    } = offer;
    let watch = Watch::start(roots.clone()).or_exit(Exit::LocalDisk)?;
    add(&own.peer, &roots).await?;
    let name = roots.first().filter(|root| root.name.is_none());
    let name = name.and_then(|root| name_of(&root.path));
    let lifetime = MINUTE * args.expires;
    let invitation = Invitation::offer(code, lifetime, own.pairing(relay)?).await?;
    let invitation = open.insert(invitation);
    show(invitation.code(), &place, args.expires)?;
    let card = Card::new(name, own.peer.list().len(), own.peer.addresses()).to_bytes()?;
    let meeting = invitation.meet(&own.identity, &card).await;
    if let Some(invitation) = open.take() {
        invitation.close().await;
    }
    let meeting = meeting?;
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

/// The folder of tandem itself has this person's secret key, which must not be shared.
fn refuse_own_home(home: &Home, roots: &[Root]) -> Result<(), Failure> {
    let Some(root) = roots.iter().find(|root| home.overlaps(&root.path)) else {
        return Ok(());
    };
    let text = format!(
        "`{}` can't be shared: it and tandem's own folder `{}`, which has your secret key, overlap\n\
         hint: share folders inside of it, or set TANDEM_HOME to another place",
        root.path.display(),
        home.path().display()
    );
    Err(Failure::new(Exit::Usage, text))
}

/// Shares the paths, and says how much that is and what was left out.
async fn add(peer: &Peer, roots: &[Root]) -> Result<(), Failure> {
    let (mut count, mut len) = (0, 0);
    for root in roots {
        // Another user may have put a link into the path since it was resolved.
        let added = peer.add_resolved(&root.path, root.name.as_ref()).await;
        let added = added.or_exit(Exit::LocalDisk)?;
        count += added.count;
        len += added.len;
        added.skipped.iter().for_each(tell_left_out);
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
            Event::Disconnected { .. } => say(GONE),
            Event::ReconnectFailed { .. } => say(GAVE_UP),
            _ => {}
        }
    }
}
