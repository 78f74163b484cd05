//! `tandem put`: shares files and folders of this machine in a running share, from where they are.

use std::path::{Path, PathBuf};

use tandem_core::catalog::SharePath;

use crate::commands::change;
use crate::control::{OnTaken, Request};
use crate::event::{Amount, Change};
use crate::exit::{Exit, Failure, OrExit};
use crate::home::Home;
use crate::screen::{self, say};
use crate::target::Target;

/// Share files and folders of this machine in a running share too, from where they are
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The files and folders
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The share, and a folder in it; `:` alone is your only share
    #[arg(value_name = "SHARE[:PATH]")]
    target: Target,
    /// If a file of that name is shared already, share yours in its place
    #[arg(long)]
    replace: bool,
}

/// Returns when everything is shared.
pub(crate) async fn run(args: &Args) -> Result<(), Failure> {
    let home = Home::open()?;
    let share = home.shares()?.chosen(args.target.share.as_deref())?;
    let on_taken = if args.replace {
        OnTaken::Replace
    } else {
        OnTaken::Refuse
    };
    let mut sum = Amount::default();
    for given in &args.files {
        let from = whole(&home, given)?;
        let name = name_in(args.target.path.as_ref(), &from)?;
        let request = Request::Put {
            from,
            name: name.clone(),
            on_taken,
        };
        let amount = change(&share, &request, Change::Put { path: &name }).await?;
        sum.files += amount.files;
        sum.bytes = sum.bytes.saturating_add(amount.bytes);
    }
    let (files, bytes) = (screen::count(sum.files, "file"), screen::bytes(sum.bytes));
    say(format_args!("sharing {files}, {bytes} more"));
    Ok(())
}

/// The whole path of a file that may be shared.
fn whole(home: &Home, given: &Path) -> Result<PathBuf, Failure> {
    let whole = given.canonicalize().map_err(|error| {
        let text = format!("could not share `{}`: {error}", screen::path(given));
        Failure::new(Exit::LocalDisk, text)
    })?;
    home.refuse_to_share(&whole)?;
    Ok(whole)
}

/// What it is called in the share.
fn name_in(folder: Option<&SharePath>, from: &Path) -> Result<SharePath, Failure> {
    let name = from.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| {
        let text = format!("`{}` has no name that can be shared", screen::path(from));
        Failure::new(Exit::Usage, text)
    })?;
    let name = SharePath::parse(name).or_exit(Exit::Usage)?;
    match folder {
        Some(folder) => folder.join(&name.name()).or_exit(Exit::Usage),
        None => Ok(name),
    }
}
