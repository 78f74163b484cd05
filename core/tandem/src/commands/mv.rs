//! `tandem mv`: renames something in a running share, for both sides.

use tandem_core::catalog::SharePath;

use crate::commands::{change, path_in, share};
use crate::control::Request;
use crate::event::Change;
use crate::exit::Failure;
use crate::target::Target;

/// Rename a file or a folder in a running share, for both sides
///
/// What is shared from a folder of this machine is renamed there.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What to rename
    #[arg(value_name = "SHARE:PATH")]
    from: Target,
    /// Its new path in the share
    #[arg(value_name = "PATH")]
    to: SharePathArg,
}

/// A path in a share, as an argument.
#[derive(Debug, Clone)]
struct SharePathArg(SharePath);

impl std::str::FromStr for SharePathArg {
    type Err = tandem_core::catalog::PathError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        SharePath::parse(text).map(Self)
    }
}

/// Returns when it is renamed.
pub(crate) async fn run(args: &Args) -> Result<(), Failure> {
    let (from, to) = (path_in(&args.from)?, &args.to.0);
    let share = share(args.from.share.as_deref())?;
    let request = Request::Move {
        from: from.clone(),
        to: to.clone(),
    };
    change(&share, &request, Change::Moved { from, to })
        .await
        .map(drop)
}
