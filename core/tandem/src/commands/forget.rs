//! `tandem forget`: ends a share for good on this machine.

use crate::commands::stop::stop;
use crate::event::{Change, Event};
use crate::exit::{Exit, Failure, OrExit};
use crate::home::Home;
use crate::screen::{self, clean, tell_of};
use crate::shares::Share;

/// End a share for good on this machine; your own files stay
///
/// What is kept of the share is removed, also what was written into a mount and is nowhere else.
/// The other side is not told; it can't connect to you for this share any more.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The share
    #[arg(value_name = "SHARE")]
    share: String,
    /// Do not ask whether you are sure
    #[arg(long)]
    yes: bool,
}

/// Whether the person is asked first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sure {
    Yes,
    Ask,
}

impl Sure {
    /// As `--yes` says.
    pub(super) fn said(is_said: bool) -> Self {
        if is_said { Self::Yes } else { Self::Ask }
    }
}

/// Returns when it is forgotten.
pub(crate) async fn run(args: &Args) -> Result<(), Failure> {
    let share = Home::open()?.shares()?.named(&args.share)?;
    agree(&[&share], Sure::said(args.yes)).await?;
    forget(share).await
}

/// Asks whether these shares shall end.
pub(super) async fn agree(shares: &[&Share], sure: Sure) -> Result<(), Failure> {
    if sure == Sure::Yes {
        return Ok(());
    }
    let names: Vec<_> = shares
        .iter()
        .map(|share| format!("`{}`", clean(&share.name)))
        .collect();
    let question = format!(
        "end {} for good? what was written into a mount and is nowhere else goes too",
        names.join(", ")
    );
    let asked = tokio::task::spawn_blocking(move || screen::agrees(&question)).await;
    if asked.or_exit(Exit::LocalDisk)?? {
        Ok(())
    } else {
        Err(Failure::new(Exit::Refused, "you declined; nothing was changed"))
    }
}

/// Stops the share if it runs, and removes what is kept of it.
pub(super) async fn forget(share: Share) -> Result<(), Failure> {
    let (name, dir) = (share.name.clone(), share.dir.clone());
    stop(&share).await?;
    // A share that nobody had answered is gone when it has stopped.
    if dir.exists() {
        share.forget()?;
    }
    let line = format!("`{}` is ended; your own files stay", clean(&name));
    tell_of(&name, &Event::Changed(Change::Forgotten), line);
    Ok(())
}
