//! `cargo universe sweep`: cleans up after killed runs now, as the next run would.

use std::process::ExitCode;

use crate::base::exit::Exit;
use crate::runner::console::Console;
use crate::runner::rundir::killed_runs::{self, Leftover, LeftoverState, Remaining};
use crate::workspace::archive;
use crate::workspace::metadata::Workspace;

/// Clean up after killed runs: kill their processes, unmount and remove what they left
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print what would be removed; remove nothing
    #[arg(long)]
    dry_run: bool,
    /// Also remove the logs, and the files of failed tests, of runs that ended
    #[arg(long)]
    kept: bool,
    /// Use the workspace of this Cargo.toml instead of the one around the current directory
    #[arg(long, value_name = "PATH")]
    manifest_path: Option<std::path::PathBuf>,
}

/// Cleans up. Exit code 100 if something cannot be removed.
///
/// # Errors
/// When there is no workspace.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let workspace = Workspace::load(args.manifest_path.as_deref())?;
    let console = Console::new();
    let mut found = killed_runs::find(&workspace.target_directory.join("xtask"));
    found.retain(|leftover| args.kept || leftover.state != LeftoverState::Kept);
    let (foreign, found): (Vec<_>, Vec<_>) = found
        .into_iter()
        .partition(|leftover| leftover.state == LeftoverState::Foreign);
    for Leftover { run, .. } in &foreign {
        console.line(&format!(
            "skipped (another user owns it, or can write there) {}",
            run.display()
        ));
    }
    if !args.dry_run {
        archive::sweep(&workspace.target_directory);
    }
    let mut left = 0;
    for leftover in &found {
        let remaining = match args.dry_run {
            true => Remaining::default(),
            false => killed_runs::take_away(leftover)?,
        };
        console.line(&line(leftover, args.dry_run, !remaining.directory));
        for number in &remaining.connections {
            console.line(&not_ended(*number));
        }
        left += usize::from(remaining != Remaining::default());
    }
    console.line(&match (found.len(), left) {
        (0, _) => "nothing to sweep".to_owned(),
        (count, _) if args.dry_run => format!("would sweep {}", runs(count)),
        (count, 0) => format!("swept {}", runs(count)),
        (count, left) => {
            let all = runs(count);
            format!("could not sweep {left} of {all}; is something still mounted or in use there?")
        }
    });
    Ok(if left == 0 {
        Exit::Success
    } else {
        Exit::TestsFailed
    }
    .into())
}

fn runs(count: usize) -> String {
    format!("{count} {}", if count == 1 { "run" } else { "runs" })
}

/// The message about a connection that a test may wait for.
fn not_ended(number: u32) -> String {
    format!(
        "could not abort connection {number}: this user may not; root can, by writing 1 to \
         `/sys/fs/fuse/connections/{number}/abort`"
    )
}

fn line(leftover: &Leftover, dry_run: bool, gone: bool) -> String {
    let whose = match leftover.state {
        LeftoverState::Killed => "killed",
        LeftoverState::Kept => "ended",
        LeftoverState::Rubbish => "put aside",
        LeftoverState::Foreign => "another user's",
    };
    let word = match (dry_run, gone) {
        (true, _) => "would sweep",
        (false, true) => "swept",
        (false, false) => "could not sweep",
    };
    let scratch = leftover
        .scratch
        .as_ref()
        .map(|path| format!(" and {}", path.display()));
    let stranger = leftover
        .stranger
        .as_ref()
        .map(|path| format!(", not {}, which the run did not make", path.display()));
    format!(
        "{word} ({whose}) {}{}{}",
        leftover.run.display(),
        scratch.unwrap_or_default(),
        stranger.unwrap_or_default()
    )
}
