//! `tandem share`: offers a folder or files to one other person, by a code.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tandem_core::identity::Identity;
use tandem_core::pairing::Invitation;
use tandem_core::rendezvous::InvitationCode;
use url::Url;

use crate::attend::attend;
use crate::card::Card;
use crate::event::Event;
use crate::exit::{Exit, Failure, OrExit};
use crate::home::Home;
use crate::limits::MINUTE;
use crate::pair::{self, Verify};
use crate::place::Place;
use crate::relay_here::RelayHere;
use crate::running::Running;
use crate::screen::{self, say};
use crate::shares::{Record, Root, Side, is_name};
use crate::signals::Signals;
use crate::watch::{self, Watch};

/// Share a folder or files with one other person: prints a code, and serves until Ctrl-C
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder to share, or files and folders
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// What the share is called on this machine [default: the name of the folder]
    #[arg(long)]
    name: Option<String>,
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
    roots
        .iter()
        .try_for_each(|root| home.refuse_to_share(&root.path))?;
    if let Some(name) = args.name.as_deref().filter(|name| !is_name(name)) {
        let text = format!(
            "`{}` can't be the name of a share\nhint: give a plain name, without `/`, `:` and a `.` or `-` at its beginning",
            screen::clean(name)
        );
        return Err(Failure::new(Exit::Usage, text));
    }
    let relay = args.relay.clone().or(home.config()?.relay);
    let code = InvitationCode::generate().or_exit(Exit::LocalDisk)?;
    let (asked, here) = match &relay {
        Some(relay) => (relay.clone(), None),
        None => {
            let here = RelayHere::start(&code).await?;
            (here.own_url(), Some(here))
        }
    };
    let name = args.name.clone().or_else(|| name_of(&roots.first()?.path));
    let record = Record::new(Side::Shared { paths: roots.clone() }, relay);
    let held = home.shares()?.begin(name.as_deref(), record)?;
    let running = Running::start(&home, held).await?;
    let place = match (&args.at, &here) {
        (Some(at), Some(here)) => here.place_at(at)?,
        (None, Some(here)) => here.place(running.peer.addresses()),
        (_, None) => Place::of_relay(asked.clone()),
    };
    let mut open = None;
    let offer = Offer {
        args,
        roots,
        code,
        place,
        relay: &asked,
        is_relay_kept: here.is_none(),
        identity: Arc::new(home.identity()?),
    };
    let serving = attend(&running, serve(offer, &running, &mut open));
    let ended = signals.until(serving).await;
    if let Some(invitation) = open {
        invitation.withdraw().await;
    }
    let held = running.close().await;
    if held.share.record.friend.is_none() {
        held.forget()?;
    } else {
        say(format_args!("`tandem up {}` shares it again", held.share.name));
    }
    if let Some(here) = here {
        here.stop().await;
    }
    ended.result().map(drop)
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
    /// Whether both find each other there later, too.
    is_relay_kept: bool,
    identity: Arc<Identity>,
}

/// Shares, meets, and serves. While nobody has answered, the invitation is in `open`.
async fn serve(offer: Offer<'_>, running: &Running, open: &mut Option<Invitation>) -> Result<(), Failure> {
    let Offer {
        args,
        roots,
        code,
        place,
        relay,
        is_relay_kept,
        identity,
    } = offer;
    let watch = Watch::start(roots.clone()).or_exit(Exit::LocalDisk)?;
    watch::add(&running.peer, &roots).await?;
    let name = roots.first().filter(|root| root.name.is_none());
    let name = name.and_then(|root| name_of(&root.path));
    let lifetime = MINUTE * args.expires;
    let invitation = Invitation::offer(code, lifetime, pair::pairing(relay)?).await?;
    let invitation = open.insert(invitation);
    show(invitation.code(), &place, args.expires)?;
    let mut card = Card::new(name, running.peer.list().len(), running.peer.addresses());
    card.relay_stays = is_relay_kept;
    let card = card.to_bytes()?;
    let meeting = invitation.meet(&identity, &card).await;
    if let Some(invitation) = open.take() {
        invitation.close().await;
    }
    let (met, ()) = pair::agree(meeting?, Verify::asked(args.verify), |_| Ok(())).await?;
    running.keep(&met)?;
    running.connect(&met).await?;
    running.serve(&watch).await
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
    let code = &text;
    // Before the text, which must not be pushed off the screen.
    if std::io::stderr().is_terminal()
        && let Some(qr) = screen::qr(&text)
    {
        say(qr);
    }
    screen::answer(&Event::Code { code, minutes }, code)?;
    say(format_args!(
        "the other person types `tandem join` and then the code above;\nit is good for one person, for {}",
        screen::count(usize::try_from(minutes).unwrap_or(usize::MAX), "minute")
    ));
    Ok(())
}
