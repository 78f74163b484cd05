//! `tandem get`: brings a file or a folder of a running share to a place of the person.

use std::path::{Path, PathBuf};

use crate::commands::{ask, share, tell_left_out};
use crate::control::{Answer, Client, Request};
use crate::event::{Amount, Event};
use crate::exit::{Exit, Failure, OrExit};
use crate::screen::{self, tell_of};
use crate::target::Target;

/// Bring a file or a folder of a running share to a place of yours
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What to bring; without a path, all of the share
    #[arg(value_name = "SHARE:PATH")]
    target: Target,
    /// The new file or folder, or a folder that it goes into; nothing is replaced [default: this
    /// folder]
    #[arg(value_name = "TO")]
    to: Option<PathBuf>,
}

/// Returns when everything is there.
pub(crate) async fn run(args: &Args) -> Result<(), Failure> {
    let share = share(args.target.share.as_deref())?;
    let name = args
        .target
        .path
        .as_ref()
        .map(|path| path.name().as_str().to_owned());
    let to = place(args.to.as_deref(), name.as_deref().unwrap_or(&share.name))?;
    let request = Request::Get {
        path: args.target.path.clone(),
        to: to.clone(),
    };
    let following = async { follow(ask(&share, &request).await?).await };
    let amount = screen::in_share(&share.name, following).await?;
    let (files, bytes) = (screen::count(amount.files, "file"), screen::bytes(amount.bytes));
    let line = format!("{files}, {bytes}: `{}`", screen::path(&to));
    tell_of(&share.name, &Event::Arrived { amount, to: &to }, line);
    Ok(())
}

/// Where it goes: into a folder that is there, or to a new name.
fn place(to: Option<&Path>, name: &str) -> Result<PathBuf, Failure> {
    let to = std::path::absolute(to.unwrap_or(Path::new("."))).or_exit(Exit::LocalDisk)?;
    if to.is_dir() { Ok(to.join(name)) } else { Ok(to) }
}

async fn follow(mut client: Client) -> Result<Amount, Failure> {
    let bar = screen::bar();
    let ended = loop {
        match client.next().await {
            Ok(Answer::Progress(step)) => {
                screen::show_step(&bar, step);
                screen::report(&Event::Progress(step));
            }
            Ok(Answer::LeftOut { path, reason }) => tell_left_out(&path, &reason),
            Ok(Answer::Done(amount)) => break Ok(amount),
            Ok(_) => {}
            Err(failure) => break Err(failure),
        }
    };
    bar.finish_and_clear();
    ended
}
