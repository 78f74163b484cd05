//! Building the tests without running them, with the features that fit this machine, as `test`
//! does.

use std::sync::Arc;

use anyhow::Context as _;

use crate::base::exit::{Exit, Stop};
use crate::base::failure_kind::FailureKind;
use crate::base::interrupt::Interrupts;
use crate::machine::capability::detect;
use crate::runner::discover::{self, Built};
use crate::runner::execution::Owner;
use crate::sandbox::isolation::Isolation;
use crate::workspace::cargo::BuildArgs;
use crate::workspace::metadata::Workspace;

/// Builds the tests, without the doc tests, which rustdoc builds when they run. Capabilities are
/// tried at that level of isolation.
///
/// # Errors
/// When only doc tests were requested, the build fails, or is interrupted.
pub(crate) async fn build_only(
    workspace: &Workspace,
    args: &BuildArgs,
    isolation: Isolation,
) -> Result<Built, Stop> {
    if args.doc_tests.is_only() {
        let message = "`--doc` has nothing to build: rustdoc builds each doc test when it runs";
        return Err(Stop::new(Exit::Usage, FailureKind::Usage, message));
    }
    let args = &BuildArgs {
        doc_tests: args.doc_tests.without(),
        ..args.clone()
    };
    let mut interrupts = Interrupts::listen()?;
    let mut capabilities = detect(args.fuse.mode, &workspace.config);
    let scratch = tempfile::tempdir().context("could not create a temporary directory")?;
    let owner = Arc::new(Owner::choose(isolation, &scratch.path().join("box"))?);
    discover::try_capabilities(&mut capabilities, workspace, &owner, &mut interrupts).await?;
    let built = discover::built(workspace, &capabilities, args, &mut interrupts).await;
    if let Some(owner) = Arc::into_inner(owner) {
        owner.close().await;
    }
    built
}
