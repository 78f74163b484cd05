//! `tandem mount`: shows a share on a folder.

use std::path::PathBuf;

use crate::commands::{done, share};
use crate::control::{Client, Request};
use crate::event::Event;
use crate::exit::{Exit, Failure, OrExit};
use crate::screen::{self, clean, tell_of};
use crate::signals::Signals;
use crate::up;

/// Show a share on a folder, fetched when it is read; what you write there is shared
///
/// If the share runs, its process shows it, until it ends. Otherwise this command starts it, as
/// `tandem up SHARE --mount DIR` does.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The share, which you may leave out if you have only one, and the folder
    #[arg(required = true, num_args = 1..=2, value_names = ["SHARE", "DIR"])]
    share_and_dir: Vec<PathBuf>,
}

/// Returns when it is mounted, if the share runs; runs it otherwise.
pub(crate) async fn run(args: &Args, signals: &mut Signals) -> Result<(), Failure> {
    let (name, dir) = match args.share_and_dir.as_slice() {
        [dir] => (None, dir),
        [name, dir, ..] => (Some(name.to_string_lossy()), dir),
        [] => return Err(Failure::new(Exit::Usage, "which folder?")),
    };
    let share = share(name.as_deref())?;
    let at = std::path::absolute(dir).or_exit(Exit::Mount)?;
    let asked = async {
        match Client::ask(&share.dir, &Request::Mount { at: at.clone() }).await? {
            Some(client) => done(client).await.map(Some),
            None => Ok(None),
        }
    };
    if signals.until(asked).await.result()?.is_none() {
        let args = up::Args {
            shares: vec![share.name],
            mount: Some(at),
        };
        return up::run(&args, signals).await;
    }
    let line = format!("`{}` is mounted on `{}`", clean(&share.name), screen::path(&at));
    tell_of(&share.name, &Event::Mounted { at: &at }, line);
    Ok(())
}
