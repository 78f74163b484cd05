//! `tandem ls`: what is in a share.

use tandem_core::catalog::SharePath;
use tandem_core::journal;

use crate::commands::does_not_run;
use crate::control::{Answer, Client, Request};
use crate::event::{Entry, Event, What};
use crate::exit::{Exit, Failure, OrExit};
use crate::home::Home;
use crate::listing;
use crate::report;
use crate::screen::{self, clean};
use crate::shares::{Share, Shares};
use crate::target::Target;

/// List your shares, or what is in one of them
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The share, and a folder in it; `:` alone is your only share [default: the names of your
    /// shares]
    #[arg(value_name = "SHARE[:PATH]")]
    target: Option<Target>,
}

/// Prints one line for each.
pub(crate) async fn run(args: &Args) -> Result<(), Failure> {
    let shares = Home::open()?.shares()?;
    let Some(Target { share, path }) = &args.target else {
        return list_shares(&shares);
    };
    let share = shares.chosen(share.as_deref())?;
    screen::in_share(&share.name, list(&share, path.as_ref())).await
}

/// Prints what is in that folder of the share.
async fn list(share: &Share, path: Option<&SharePath>) -> Result<(), Failure> {
    let request = Request::List { path: path.cloned() };
    let Some(mut client) = Client::ask(&share.dir, &request).await? else {
        return kept_entries(share, path)?.iter().try_for_each(print);
    };
    loop {
        match client.next().await? {
            Answer::Entry(entry) => print(&entry)?,
            Answer::Done(_) => return Ok(()),
            _ => {}
        }
    }
}

fn list_shares(shares: &Shares) -> Result<(), Failure> {
    for share in shares.present()? {
        screen::answer(&Event::Share(&report::of(&share)), clean(&share.name))?;
    }
    Ok(())
}

/// What was in a share that does not run now.
fn kept_entries(share: &Share, path: Option<&SharePath>) -> Result<Vec<Entry>, Failure> {
    let saved = journal::read(&share.state()).or_exit(Exit::LocalDisk)?;
    let saved = saved.ok_or_else(|| does_not_run(share))?;
    listing::entries(&saved.catalog.list(), path)
}

fn print(entry: &Entry) -> Result<(), Failure> {
    let name = clean(entry.path.as_str());
    let line = match &entry.what {
        What::Folder => format!("{:>11}  {name}/", "-"),
        What::File { bytes, .. } => format!("{:>11}  {name}", screen::bytes(*bytes)),
        What::Link { target } => format!("{:>11}  {name} -> {}", "-", clean(target)),
    };
    screen::answer(&Event::Entry(entry), line)
}
