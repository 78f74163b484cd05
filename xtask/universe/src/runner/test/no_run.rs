//! `--no-run`: builds what `test` would run, and prints where the test binaries are.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;

use super::Args;
use crate::base::exit::{Exit, Stop};
use crate::base::interrupt::Interrupts;
use crate::base::runtime;
use crate::machine::capability::detect;
use crate::runner::console;
use crate::runner::discover;
use crate::runner::execution::Owner;
use crate::workspace::metadata::Workspace;

/// Builds, prints.
///
/// # Errors
/// When the build fails.
pub(super) fn run(args: &Args, workspace: &Workspace) -> anyhow::Result<ExitCode> {
    Ok(runtime::block_on(story(args, workspace))??.into())
}

async fn story(args: &Args, workspace: &Workspace) -> Result<Exit, Stop> {
    let mut interrupts = Interrupts::listen()?;
    let mut capabilities = detect(args.build.fuse.mode, &workspace.config);
    let scratch = tempfile::tempdir().context("could not create a temporary directory")?;
    let isolation = args.limits_and_leaks.isolate;
    let owner = Arc::new(Owner::choose(isolation, &scratch.path().join("box"))?);
    let tried = discover::try_capabilities(&mut capabilities, workspace, &owner, &mut interrupts);
    tried.await?;
    let (build, _) = discover::build(workspace, &capabilities, &args.build, &mut interrupts).await?;
    if let Some(owner) = Arc::into_inner(owner) {
        owner.close().await;
    }
    let lines = build
        .tests
        .iter()
        .map(|binary| format!("{}  {}", binary.id(), binary.executable.display()));
    let lines: Vec<String> = lines.collect();
    console::print(&lines.join("\n"))?;
    Ok(Exit::Success)
}
