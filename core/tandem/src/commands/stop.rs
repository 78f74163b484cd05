//! `tandem stop`: ends shares that run. What is kept of them stays.

use crate::commands::does_not_run;
use crate::control::{Answer, Client, Request};
use crate::event::{Change, Event};
use crate::exit::Failure;
use crate::home::Home;
use crate::screen::{clean, say, tell_of};
use crate::shares::Share;

/// Stop running shares; `tandem up` goes on with them
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The share [default: all that run]
    #[arg(value_name = "SHARE")]
    share: Option<String>,
}

/// Returns when they have stopped.
pub(crate) async fn run(args: &Args) -> Result<(), Failure> {
    let shares = Home::open()?.shares()?;
    if let Some(name) = &args.share {
        let share = shares.named(name)?;
        return match stop(&share).await? {
            Stopped::Now => Ok(()),
            Stopped::Before => Err(does_not_run(&share)),
        };
    }
    let mut count = 0;
    for share in shares.present()? {
        if stop(&share).await? == Stopped::Now {
            count += 1;
        }
    }
    if count == 0 {
        say("no share runs");
    }
    Ok(())
}

/// When a share has stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stopped {
    Now,
    /// It did not run.
    Before,
}

/// Stops the share, and returns when its process holds it no longer.
pub(super) async fn stop(share: &Share) -> Result<Stopped, Failure> {
    let Some(mut client) = Client::ask(&share.dir, &Request::Stop).await? else {
        return Ok(Stopped::Before);
    };
    while !matches!(client.next().await?, Answer::Done(_)) {}
    client.until_closed().await;
    let line = format!("`{}` has stopped", clean(&share.name));
    tell_of(&share.name, &Event::Changed(Change::Stopped), line);
    Ok(Stopped::Now)
}
