//! `tandem join`: takes a code from the other person, and brings what they share into a folder.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tandem_core::catalog::{CatalogEvent, Shown};
use tandem_core::pairing::{self, PairingError};
use tandem_core::peer::{Event, EventStream, JoinedFolder, Peer, PullError, Pulled};
use tandem_core::session::candidates;
use tandem_core::transfer::Progress;
use tokio::time::timeout;
use url::Url;

use crate::attend::attend;
use crate::brought::What;
use crate::card::Card;
use crate::event::{Amount, Event as Reported};
use crate::exit::{Exit, Failure, OrExit};
use crate::follow::Follower;
use crate::home::Home;
use crate::limits::LIST_TIMEOUT;
use crate::pair::{self, Met, Verify};
use crate::place::Invited;
use crate::relay_here;
use crate::running::Running;
use crate::screen::{self, LEADS_OUT, say, tell};
use crate::shares::{Record, Side};
use crate::signals::Signals;

/// The folder for a share that has no name which can be used.
const UNNAMED: &str = "shared";

/// Bring what another person shares into a folder: asks for the code, then follows until Ctrl-C
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder that it goes to [default: a new folder here, with the name of the shared one]
    #[arg(value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Show what is shared on this folder, fetched when it is read, instead of bringing all of it;
    /// what you write there is shared too
    #[arg(long, value_name = "DIR", conflicts_with_all = ["dir", "once"])]
    mount: Option<PathBuf>,
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
        None => signals.until(code()).await.result()?,
    };
    let invited: Invited = text.parse().or_exit(Exit::Usage)?;
    let home = Home::open()?;
    let configured = args.relay.clone().or(home.config()?.relay);
    let relay = relay_of(&invited, configured.as_ref())?;
    say(format_args!(
        "asking {} for the other side",
        screen::clean(relay.as_str())
    ));
    let mut running = None;
    let ended = signals
        .until(bring(args, &home, (&invited, &relay), &mut running))
        .await;
    let result = ended.result();
    if let Some(running) = running {
        let held = running.close().await;
        let is_done = args.once && result.is_ok();
        if is_done || held.share.record.friend.is_none() {
            held.forget()?;
        } else {
            say(format_args!("`tandem up {}` goes on", held.share.name));
        }
    }
    result
}

/// Asks for the code; a signal can end that.
async fn code() -> Result<String, Failure> {
    let asked = tokio::task::spawn_blocking(|| screen::ask("the other person's code:")).await;
    asked.or_exit(Exit::LocalDisk)?
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

/// Meets the other side, and brings what it shares. Once it is known, its share is in `running`.
async fn bring(
    args: &Args,
    home: &Home,
    (invited, relay): (&Invited, &Url),
    running: &mut Option<Running>,
) -> Result<(), Failure> {
    let listener = relay_here::listen(None).or_exit(Exit::LocalDisk)?;
    let local = listener.local_addr().or_exit(Exit::LocalDisk)?;
    let card = Card::new(None, 0, &candidates(local)).to_bytes()?;
    let (identity, pairing) = (Arc::new(home.identity()?), pair::pairing(relay)?);
    let meeting = pairing::join(&invited.code, (&identity, &card), pairing).await;
    let meeting = meeting.map_err(|error| not_met(error, relay))?;
    let verify = Verify::asked(args.verify);
    let (met, side) = pair::agree(meeting, verify, |met| side(args, met)).await?;
    let name = match &side {
        Side::Joined { folder } => folder.file_name().and_then(OsStr::to_str),
        Side::Shared { .. } | Side::Mounted { .. } => met.card.folder_name(),
    };
    let relay = met.card.relay_stays.then(|| relay.clone());
    let held = home.shares()?.begin(name, Record::new(side.clone(), relay))?;
    let running = running.insert(Running::start_at(home, held, listener).await?);
    let joining = async {
        running.connect(&met).await?;
        match &side {
            Side::Joined { folder } => fill(args, running, &met, folder).await,
            Side::Mounted { at } => {
                running.mount(at).await?;
                running.keep(&met)?;
                running.run().await
            }
            Side::Shared { .. } => running.run().await,
        }
    };
    match attend(running, joining).await? {
        None if args.once => Err(Failure::new(
            Exit::Incomplete,
            "stopped before everything was there",
        )),
        _ => Ok(()),
    }
}

/// Where no relay is configured, the code names the machine that shares, and it serves the code.
fn not_met(error: PairingError, asked: &Url) -> Failure {
    let is_asked_in_vain = matches!(error, PairingError::Relay(_));
    let failure = Failure::from(error);
    match failure.text {
        Some(text) if is_asked_in_vain => {
            let hint = "hint: a code ends with `tandem share`: does it still run there, and is what follows the `@` right?";
            let asked = screen::clean(asked.as_str());
            let text = format!("nobody answers for this code at `{asked}`\n{hint}\n{text}");
            Failure::new(failure.exit, text)
        }
        text => Failure {
            exit: failure.exit,
            text,
        },
    }
}

/// What this side does: it fills a folder, or shows a mount.
fn side(args: &Args, met: &Met) -> Result<Side, Failure> {
    if let Some(at) = &args.mount {
        let at = std::path::absolute(at).or_exit(Exit::Mount)?;
        return Ok(Side::Mounted { at });
    }
    let folder = folder_for(args.dir.as_deref(), met)?;
    let folder = place_of(args.dir.as_deref(), &folder)?;
    // Before the other side counts on it.
    tempfile::tempfile_in(&folder).map_err(|error| not_made(&folder, &error))?;
    Ok(Side::Joined { folder })
}

/// Brings everything, then follows.
async fn fill(args: &Args, running: &Running, met: &Met, dir: &Path) -> Result<(), Failure> {
    let peer = &running.peer;
    let mut events = peer.events();
    list(peer, &mut events, met.card.entry_count).await?;
    let folder = peer.join_folder(dir)?;
    refuse_to_replace(peer, &folder, args.dir.as_deref().unwrap_or(dir))?;
    running.keep(met)?;
    let listed = peer.list();
    let pulled = running.while_searching(async { Ok(pull(&folder).await) }).await?;
    match pulled {
        Ok(pulled) => tell_arrived(&pulled, dir),
        // What is missing may come later.
        Err(error @ PullError::Incomplete { .. }) if !args.once => say(error),
        Err(error) => return Err(error.into()),
    }
    if args.once {
        return Ok(());
    }
    let mut brought = running.brought()?;
    // What could not be brought is brought later.
    let is_here = |shown: &&Shown| dir.join(shown.path.as_str()).symlink_metadata().is_ok();
    for shown in listed.iter().filter(is_here) {
        if let Some(what) = What::of(shown) {
            brought.note(&shown.path, what).or_exit(Exit::LocalDisk)?;
        }
    }
    // A process that is killed later has to know what it put there.
    brought.save().or_exit(Exit::LocalDisk)?;
    say("following the other side's changes; Ctrl-C ends that");
    let mut follower = Follower::new(peer, (&folder, dir), brought);
    running.follow(&mut follower, &mut events).await
}

/// Says what has arrived.
fn tell_arrived(pulled: &Pulled, dir: &Path) {
    let (files, bytes) = (screen::count(pulled.count, "file"), screen::bytes(pulled.len));
    let amount = Amount {
        files: pulled.count,
        bytes: pulled.len,
    };
    tell(
        &Reported::Arrived { amount, to: dir },
        format_args!("{files}, {bytes} in `{}`", screen::path(dir)),
    );
    for name in &pulled.left_out {
        let (path, reason) = (name.as_str(), LEADS_OUT);
        tell(
            &Reported::LeftOut { path, reason },
            format_args!("left out `{name}`: {reason}"),
        );
    }
}

/// The folder that everything goes to; made if it is missing. If the person names none, the other
/// side does: then it is a new one, or an empty one, so that nothing comes among files of this
/// person.
fn folder_for(dir: Option<&Path>, met: &Met) -> Result<PathBuf, Failure> {
    let Some(dir) = dir else {
        let name = met.card.folder_name().unwrap_or(UNNAMED);
        return new_folder(Path::new(name));
    };
    let made = std::fs::create_dir_all(dir);
    made.map_err(|error| not_made(dir, &error))?;
    Ok(dir.to_owned())
}

/// The whole path of the folder, without links. Whatever another user does to the path from now on,
/// the files go there or nowhere. A name that the other side chose is not followed at all.
fn place_of(named: Option<&Path>, dir: &Path) -> Result<PathBuf, Failure> {
    let place = match named {
        Some(_) => dir.canonicalize(),
        None => std::env::current_dir().map(|here| here.join(dir)),
    };
    place.map_err(|error| not_made(dir, &error))
}

fn new_folder(dir: &Path) -> Result<PathBuf, Failure> {
    let is_empty = |dir: &Path| {
        let is_folder = dir
            .symlink_metadata()
            .is_ok_and(|there| there.is_dir() && is_own(&there));
        is_folder && std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_none())
    };
    match std::fs::create_dir(dir) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists && !is_empty(dir) => {
            let text = format!(
                "`{}` is here already, and it is not an empty folder of yours\nhint: ask for a new code, and name a folder: tandem join DIR",
                screen::path(dir)
            );
            Err(Failure::new(Exit::LocalDisk, text))
        }
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(not_made(dir, &error)),
        Ok(()) | Err(_) => Ok(dir.to_owned()),
    }
}

/// Whether this user owns it. The owner of a folder may do anything with what is put there.
#[cfg(unix)]
fn is_own(there: &std::fs::Metadata) -> bool {
    std::os::unix::fs::MetadataExt::uid(there) == rustix::process::geteuid().as_raw()
}

#[cfg(not(unix))]
fn is_own(_there: &std::fs::Metadata) -> bool {
    true
}

fn not_made(dir: &Path, error: &std::io::Error) -> Failure {
    let text = format!(
        "could not write to `{}`: {error}\nhint: ask for a new code, and name another folder: tandem join DIR",
        screen::path(dir)
    );
    Failure::new(Exit::LocalDisk, text)
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
        screen::path(dir)
    );
    Err(Failure::new(Exit::LocalDisk, text))
}

async fn pull(folder: &JoinedFolder) -> Result<Pulled, PullError> {
    let progress = Progress::default();
    screen::with_bar(&progress, folder.pull_all(&progress)).await
}
