//! Builds binaries of the tests package, each with the features that fit this machine, and finds where cargo put them.
//!
//! xtask depends on nothing of what it tests: whatever needs the peer or fuser is such a binary.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context;

use crate::capability::Capabilities;
use crate::cargo::{self, BuildArgs, Selection};
use crate::exit::{Exit, Stop};
use crate::interrupt::Interrupts;
use crate::os;
use crate::runtime;
use crate::workspace::Workspace;

/// Mounts for real, in the second stage of the capability probe.
pub(crate) const PROBE: &str = "capability_probe";

const PACKAGE: &str = "tandem-tests";

/// Builds these binaries in one go. The result has each of `names`.
pub(crate) async fn build(
    workspace: &Workspace,
    capabilities: &Capabilities,
    names: &[&str],
    args: &BuildArgs,
    interrupts: &mut Interrupts,
) -> Result<BTreeMap<String, PathBuf>, Stop> {
    let features = workspace.features(&capabilities.features(&workspace.feature_names()));
    let selection = Selection::Binaries {
        package: PACKAGE,
        names,
        features: &ours(features),
    };
    let bins = cargo::build(workspace, selection, args, interrupts).await?.bins;
    match names.iter().find(|&&name| !bins.contains_key(name)) {
        Some(name) => {
            let message = format!("cargo built no binary `{name}` of `{PACKAGE}`");
            Err(Stop::new(Exit::BuildFailed, "build", message))
        }
        None => Ok(bins),
    }
}

/// Builds one binary with optimisation, for a subcommand that does nothing else meanwhile.
///
/// # Errors
/// When it cannot be built.
pub(crate) fn release(
    workspace: &Workspace,
    capabilities: &Capabilities,
    name: &str,
) -> anyhow::Result<PathBuf> {
    let args = BuildArgs {
        release: true,
        ..BuildArgs::default()
    };
    one(workspace, capabilities, name, &args)
}

/// Builds the probe that mounts for real; `None` where the build fails (cargo has then said why on standard error).
///
/// # Errors
/// When cargo cannot be started, or a signal ends it.
pub(crate) fn probe(workspace: &Workspace, capabilities: &Capabilities) -> anyhow::Result<Option<PathBuf>> {
    match one(workspace, capabilities, PROBE, &BuildArgs::default()) {
        Err(error) if is_failed_build(&error) => Ok(None),
        built => built.map(Some),
    }
}

fn is_failed_build(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<Stop>()
        .is_some_and(|stop| stop.exit == Exit::BuildFailed)
}

fn one(
    workspace: &Workspace,
    capabilities: &Capabilities,
    name: &str,
    args: &BuildArgs,
) -> anyhow::Result<PathBuf> {
    let mut built = runtime::block_on(async {
        let mut interrupts = Interrupts::listen()?;
        let built = build(workspace, capabilities, &[name], args, &mut interrupts).await;
        built.map_err(anyhow::Error::from)
    })??;
    // Nobody listens any more.
    os::reset_signals();
    built
        .remove(name)
        .with_context(|| format!("cargo built no binary `{name}`"))
}

/// Of `package/feature` those of the tests package; its features turn on those of the others.
fn ours(mut features: Vec<String>) -> Vec<String> {
    features.retain(|feature| {
        feature
            .strip_prefix(PACKAGE)
            .is_some_and(|rest| rest.starts_with('/'))
    });
    features
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_packages_own_features_are_asked_for() {
        let features = ["tandem-core/fuse", "tandem-tests/fuse", "tandem-tests-more/fuse"];
        assert_eq!(ours(features.map(str::to_owned).to_vec()), ["tandem-tests/fuse"]);
    }
}
