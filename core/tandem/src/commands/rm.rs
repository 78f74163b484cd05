//! `tandem rm`: removes something from a running share, for both sides.

use crate::commands::{change, path_in, share};
use crate::control::Request;
use crate::event::Change;
use crate::exit::Failure;
use crate::target::Target;

/// Remove a file or a folder from a running share, for both sides
///
/// Files of this machine that are shared from where they are stay there. What is shared from a
/// folder that this side watches is removed in that folder.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What to remove
    #[arg(value_name = "SHARE:PATH")]
    target: Target,
}

/// Returns when it is removed.
pub(crate) async fn run(args: &Args) -> Result<(), Failure> {
    let path = path_in(&args.target)?;
    let share = share(args.target.share.as_deref())?;
    let request = Request::Remove { path: path.clone() };
    change(&share, &request, Change::Removed { path }).await.map(drop)
}
