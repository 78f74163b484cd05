//! `tandem peers`: the people with whom shares are, by the names that this person gives them.

use std::collections::BTreeMap;

use tandem_core::identity::Fingerprint;

use crate::commands::done;
use crate::commands::forget::{Sure, agree, forget};
use crate::control::{Client, Request};
use crate::event::Event;
use crate::exit::{Exit, Failure};
use crate::home::Home;
use crate::screen::{self, clean};
use crate::shares::{Share, Shares, is_peer_name};

/// List the other sides of your shares, name them, or end all shares with one of them
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Give one of them a name, on this machine alone
    Rename {
        /// Its present name, or its fingerprint as `tandem peers` shows it
        old: String,
        /// Its new name
        new: String,
    },
    /// End all shares with one of them for good
    Forget {
        /// Its name, or its fingerprint
        name: String,
        /// Do not ask whether you are sure
        #[arg(long)]
        yes: bool,
    },
}

/// One of them, with the shares.
struct Known {
    fingerprint: Fingerprint,
    name: Option<String>,
    shares: Vec<Share>,
}

/// Lists, renames or forgets.
pub(crate) async fn run(args: &Args) -> Result<(), Failure> {
    let known = known(&Home::open()?.shares()?)?;
    match &args.command {
        None => known.iter().try_for_each(print),
        Some(Command::Rename { old, new }) => rename(&known, (old, new)).await,
        Some(Command::Forget { name, yes }) => {
            let gone = position(&known, name)?;
            let gone = known.into_iter().nth(gone).map(|known| known.shares);
            let gone = gone.unwrap_or_default();
            agree(&gone.iter().collect::<Vec<_>>(), Sure::said(*yes)).await?;
            for share in gone {
                forget(share).await?;
            }
            Ok(())
        }
    }
}

fn known(shares: &Shares) -> Result<Vec<Known>, Failure> {
    let mut known: BTreeMap<String, Known> = BTreeMap::new();
    for share in shares.all()? {
        let Some(friend) = &share.record.friend else {
            continue;
        };
        let (fingerprint, name) = (friend.fingerprint, friend.name.clone());
        let entry = known.entry(fingerprint.to_string()).or_insert_with(|| Known {
            fingerprint,
            name: None,
            shares: Vec::new(),
        });
        entry.name = entry.name.take().or(name);
        entry.shares.push(share);
    }
    Ok(known.into_values().collect())
}

fn print(known: &Known) -> Result<(), Failure> {
    let shares: Vec<_> = known.shares.iter().map(|share| share.name.as_str()).collect();
    let fingerprint = known.fingerprint.to_string();
    let event = Event::Peer {
        name: known.name.as_deref(),
        fingerprint: &fingerprint,
        shares: &shares,
    };
    let name = known
        .name
        .as_deref()
        .map_or_else(|| "(no name)".to_owned(), clean);
    let line = format!("{name}  {}  {}", known.fingerprint.fmt_short(), shares.join(", "));
    screen::answer(&event, line)
}

async fn rename(known: &[Known], (old, new): (&str, &str)) -> Result<(), Failure> {
    let position = position(known, old)?;
    if !is_peer_name(new) {
        let text = format!("`{}` can't be a name", clean(new));
        return Err(Failure::new(Exit::Usage, text));
    }
    let others = known.iter().enumerate().filter(|(index, _)| *index != position);
    if others.into_iter().any(|(_, other)| other.is(new)) {
        let text = format!("another one is called `{}` already", clean(new));
        return Err(Failure::new(Exit::Usage, text));
    }
    for share in known
        .iter()
        .skip(position)
        .take(1)
        .flat_map(|known| &known.shares)
    {
        name_in(share, new).await?;
    }
    Ok(())
}

/// Names the other side of one share: by the process that runs it, which has its record.
async fn name_in(share: &Share, name: &str) -> Result<(), Failure> {
    let request = Request::Name {
        name: name.to_owned(),
    };
    if let Some(client) = Client::ask(&share.dir, &request).await? {
        return done(client).await.map(drop);
    }
    let share = Home::open()?.shares()?.named(&share.name)?;
    share.hold()?.change(|record| {
        if let Some(friend) = &mut record.friend {
            friend.name = Some(name.to_owned());
        }
    })
}

/// Which one is called so.
fn position(known: &[Known], name: &str) -> Result<usize, Failure> {
    let mut same = known.iter().enumerate().filter(|(_, known)| known.is(name));
    match (same.next(), same.next()) {
        (Some((position, _)), None) => Ok(position),
        (Some(_), Some(_)) => {
            let text = format!("several are called `{}`\nhint: use the fingerprint", clean(name));
            Err(Failure::new(Exit::Usage, text))
        }
        (None, _) => {
            let text = format!(
                "nobody is called `{}`\nhint: `tandem peers` lists all",
                clean(name)
            );
            Err(Failure::new(Exit::Usage, text))
        }
    }
}

impl Known {
    fn is(&self, name: &str) -> bool {
        let is_fingerprint = name.parse() == Ok(self.fingerprint) || name == self.fingerprint.fmt_short();
        is_fingerprint || self.name.as_deref() == Some(name)
    }
}
