//! `--no-run`: builds what `test` would run, and prints where the test binaries are.

use std::process::ExitCode;

use super::Args;
use crate::base::exit::{Exit, Stop};
use crate::base::runtime;
use crate::runner::build_only::build_only;
use crate::runner::console;
use crate::workspace::metadata::Workspace;

/// Builds, prints.
///
/// # Errors
/// When the build fails.
pub(super) fn run(args: &Args, workspace: &Workspace) -> anyhow::Result<ExitCode> {
    Ok(runtime::block_on(story(args, workspace))??.into())
}

async fn story(args: &Args, workspace: &Workspace) -> Result<Exit, Stop> {
    let built = build_only(workspace, &args.build, args.limits_and_leaks.isolate).await?;
    let lines = built
        .build
        .tests
        .iter()
        .map(|binary| format!("{}  {}", binary.id(), binary.executable.display()));
    let lines: Vec<String> = lines.collect();
    console::print(&lines.join("\n"))?;
    Ok(Exit::Success)
}
