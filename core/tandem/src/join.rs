//! `tandem join`: takes a code from the other person, and brings what they share into a folder.

use std::convert::Infallible;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use indicatif::ProgressBar;
use tandem_core::catalog::{CatalogEvent, Shown};
use tandem_core::clock::Clock;
use tandem_core::pairing;
use tandem_core::peer::{Event, EventStream, JoinedFolder, Peer, PullError, Pulled};
use tandem_core::transfer::Progress;
use tokio::time::timeout;
use url::Url;

use crate::card::Card;
use crate::exit::{Exit, Failure, OrExit};
use crate::follow::Follower;
use crate::home::Home;
use crate::limits::{BAR_INTERVAL, LIST_TIMEOUT};
use crate::pair::{Friend, Own, Verify};
use crate::place::Invited;
use crate::screen::{self, say};
use crate::signals::Signals;

/// The folder for a share that has no name which can be used.
const UNNAMED: &str = "shared";

/// Bring what another person shares into a folder: asks for the code, then follows until Ctrl-C
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder that it goes to [default: a new folder here, with the name of the shared one]
    #[arg(value_name = "DIR")]
    dir: Option<PathBuf>,
    /// End when everything is there, and do not follow the other side's changes
    #[arg(long)]
    once: bool,
    /// Ask this relay, if the code names none
    #[arg(long, value_name = "URL", env = "TANDEM_RELAY")]
    relay: Option<Url>,
    /// Ask you whether both screens show the same check, and bring nothing before you say yes
    #[arg(long)]
    verify: bool,
    /// Take the code from here, where every user of this machine can read it
    #[arg(long, value_name = "CODE")]
    code_on_command_line: Option<String>,
}

/// Runs until everything is there, or until the person ends it.
pub(crate) async fn run(args: &Args, signals: &mut Signals) -> Result<(), Failure> {
    refuse_code(args.dir.as_deref())?;
    let text = match &args.code_on_command_line {
        Some(text) => text.clone(),
        None => screen::ask("the other person's code:")?,
    };
    let invited: Invited = text.parse().or_exit(Exit::Usage)?;
    let relay = relay_of(&invited, args.relay.as_ref())?;
    say(format_args!(
        "asking {} for the other side",
        screen::clean(relay.as_str())
    ));
    let own = Own::start(&Home::open()?, &relay).await?;
    let ended = signals.until(bring(args, &own, (&invited, &relay))).await;
    own.close().await;
    ended.result()
}

/// A code in the place of the folder was readable for every user of this machine.
fn refuse_code(dir: Option<&Path>) -> Result<(), Failure> {
    let text = dir.and_then(Path::to_str).unwrap_or_default();
    if text.parse::<Invited>().is_err() {
        return Ok(());
    }
    let text = "a code on the command line can be read by every user of this machine\n\
                hint: type `tandem join` alone, and the code when it asks;\n\
                or use --code-on-command-line if that is no danger here";
    Err(Failure::new(Exit::Usage, text))
}

fn relay_of(invited: &Invited, configured: Option<&Url>) -> Result<Url, Failure> {
    let named = invited.place.as_ref().map(|place| place.url());
    named.or(configured).cloned().ok_or_else(|| {
        let text = "the code names no relay, and none is configured\n\
                    hint: type the whole code, with the `@` and what follows it, or name the relay by --relay";
        Failure::new(Exit::Usage, text)
    })
}

async fn bring(args: &Args, own: &Own, (invited, relay): (&Invited, &Url)) -> Result<(), Failure> {
    let card = Card::new(None, 0, own.peer.addresses()).to_bytes()?;
    let pairing = own.pairing(relay)?;
    let meeting = pairing::join(&invited.code, (&own.identity, &card), pairing).await?;
    let verify = if args.verify { Verify::Ask } else { Verify::Show };
    let friend = Own::agree(meeting, verify).await?;
    let dir = folder_for(args.dir.as_deref(), &friend)?;
    let mut events = own.peer.events();
    own.connect(&friend).await?;
    list(&own.peer, &mut events, friend.card.entry_count).await?;
    let folder = own.peer.join_folder(&dir)?;
    refuse_to_replace(&own.peer, &folder, &dir)?;
    let listed = own.peer.list();
    match pull(&folder).await {
        Ok(pulled) => tell(&pulled, &dir),
        // What is missing may come later.
        Err(error @ PullError::Incomplete { .. }) if !args.once => say(error),
        Err(error) => return Err(error.into()),
    }
    if args.once {
        return Ok(());
    }
    say("following the other side's changes; Ctrl-C ends that");
    let mut follower = Follower::new(&own.peer, (&folder, &dir), &listed);
    follower.follow(&mut events).await;
    Ok(())
}

/// Says what has arrived.
fn tell(pulled: &Pulled, dir: &Path) {
    let (files, bytes) = (screen::count(pulled.count, "file"), screen::bytes(pulled.len));
    say(format_args!("{files}, {bytes} in `{}`", text_of(dir)));
    for name in &pulled.left_out {
        let name = screen::clean(name.as_str());
        say(format_args!(
            "left out `{name}`: a link that leads out of the folder, or may"
        ));
    }
}

/// The folder that everything goes to; made if it is missing. If the person names none, the other
/// side does: then it is a new one, or an empty one, so that nothing comes among files of this
/// person.
fn folder_for(dir: Option<&Path>, friend: &Friend) -> Result<PathBuf, Failure> {
    let Some(dir) = dir else {
        let name = friend.card.folder_name().unwrap_or(UNNAMED);
        return new_folder(Path::new(name));
    };
    let made = std::fs::create_dir_all(dir);
    made.map_err(|error| not_made(dir, &error))?;
    Ok(dir.to_owned())
}

fn new_folder(dir: &Path) -> Result<PathBuf, Failure> {
    let is_empty = |dir: &Path| {
        let is_folder = dir.symlink_metadata().is_ok_and(|there| there.is_dir());
        is_folder && std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_none())
    };
    match std::fs::create_dir(dir) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists && !is_empty(dir) => {
            let text = format!(
                "`{}` is here already, and it is not an empty folder\nhint: ask for a new code, and name a folder: tandem join DIR",
                text_of(dir)
            );
            Err(Failure::new(Exit::LocalDisk, text))
        }
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(not_made(dir, &error)),
        Ok(()) | Err(_) => Ok(dir.to_owned()),
    }
}

fn not_made(dir: &Path, error: &std::io::Error) -> Failure {
    let text = format!(
        "could not make `{}`: {error}\nhint: ask for a new code, and name another folder: tandem join DIR",
        text_of(dir)
    );
    Failure::new(Exit::LocalDisk, text)
}

fn text_of(dir: &Path) -> String {
    screen::clean(&dir.display().to_string())
}

/// Waits until the list of what is shared has arrived.
async fn list(peer: &Peer, events: &mut EventStream, entry_count: usize) -> Result<(), Failure> {
    let arriving = async {
        let mut count = peer.list().len();
        while count < entry_count {
            match events.next().await {
                None => return,
                Some(Event::Catalog(CatalogEvent::Added { .. } | CatalogEvent::Conflict { .. })) => {
                    count += 1
                }
                Some(Event::Missed { .. }) => count = peer.list().len(),
                Some(_) => {}
            }
            // What was counted may have been in the list before.
            if count >= entry_count {
                count = peer.list().len();
            }
        }
    };
    let late = |_| {
        let text = format!(
            "only {} of {} had been listed after {} s\nhint: try again with a new code",
            peer.list().len(),
            screen::count(entry_count, "entry").replace("entrys", "entries"),
            LIST_TIMEOUT.as_secs()
        );
        Failure::new(Exit::Incomplete, text)
    };
    timeout(LIST_TIMEOUT, arriving).await.map_err(late)
}

/// Nothing that was here before is replaced. What an interrupted pull has brought can stay.
fn refuse_to_replace(peer: &Peer, folder: &JoinedFolder, dir: &Path) -> Result<(), Failure> {
    let keeps = |shown: &Shown| {
        let checked = folder.check(shown);
        checked.is_err_and(|error| error.keeps_what_is_there())
    };
    let there = peer.list().into_iter().find(keeps);
    let Some(there) = there else { return Ok(()) };
    let text = format!(
        "`{}` is in `{}` already, and nothing is replaced\nhint: ask for a new code, and name an empty folder: tandem join DIR",
        screen::clean(there.path.as_str()),
        text_of(dir)
    );
    Err(Failure::new(Exit::LocalDisk, text))
}

async fn pull(folder: &JoinedFolder) -> Result<Pulled, PullError> {
    let (progress, bar) = (Progress::default(), screen::bar());
    let pulled = tokio::select! {
        pulled = folder.pull_all(&progress) => pulled,
        never = draw(&bar, &progress) => match never {},
    };
    bar.finish_and_clear();
    pulled
}

/// Shows the progress until it is dropped.
async fn draw(bar: &ProgressBar, progress: &Progress) -> Infallible {
    let clock = Clock::system();
    loop {
        screen::show_progress(bar, progress);
        clock.sleep_until(clock.now() + BAR_INTERVAL).await;
    }
}
