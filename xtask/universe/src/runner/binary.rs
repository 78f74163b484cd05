//! Builds binaries of the package that contains the probe, with the features that fit this machine,
//! and returns where cargo put them.
//!
//! The runner depends on nothing of the workspace that it tests. Work that needs such a dependency
//! is in one of these binaries.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context;

use crate::base::exit::{Exit, Stop};
use crate::base::failure_kind::FailureKind;
use crate::base::interrupt::Interrupts;
use crate::base::os;
use crate::base::runtime;
use crate::machine::capability::Capabilities;
use crate::workspace::cargo::{self, BuildArgs, Selection};
use crate::workspace::metadata::Workspace;

/// Builds these binaries with one cargo call. The result has an entry for each of `names`.
pub async fn build(
    workspace: &Workspace,
    capabilities: &Capabilities,
    names: &[&str],
    args: &BuildArgs,
    interrupts: &mut Interrupts,
) -> Result<BTreeMap<String, PathBuf>, Stop> {
    let package = package(workspace)?;
    let features = workspace.features(&capabilities.features(&workspace.config));
    let features = match args.release {
        true => of(package, features),
        false => args.of_built_packages(workspace, features),
    };
    let selection = Selection::Binaries {
        package,
        names,
        features: &features,
    };
    let bins = cargo::build(workspace, selection, args, interrupts).await?.bins;
    match names.iter().find(|&&name| !bins.contains_key(name)) {
        Some(name) => {
            let message = format!("cargo built no binary `{name}` of `{package}`");
            Err(Stop::new(Exit::BuildFailed, FailureKind::Build, message))
        }
        None => Ok(bins),
    }
}

/// Builds one binary as the tests are built, for a subcommand that does nothing else meanwhile.
///
/// # Errors
/// When it cannot be built.
pub fn like_tests(workspace: &Workspace, capabilities: &Capabilities, name: &str) -> anyhow::Result<PathBuf> {
    one(workspace, capabilities, name, &BuildArgs::default())
}

/// Builds the probe that tries a real mount. `None` if the workspace has none or the build fails;
/// cargo has then printed the reason on standard error.
///
/// # Errors
/// When cargo cannot be started, or a signal ends it.
pub(crate) fn probe(workspace: &Workspace, capabilities: &Capabilities) -> anyhow::Result<Option<PathBuf>> {
    let Some(probe) = &workspace.config.probe else {
        return Ok(None);
    };
    match one(workspace, capabilities, &probe.binary, &BuildArgs::default()) {
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
    // The receiver is gone.
    os::reset_signals();
    built
        .remove(name)
        .with_context(|| format!("cargo built no binary `{name}`"))
}

/// The package that contains these binaries.
fn package(workspace: &Workspace) -> Result<&str, Stop> {
    let probe = workspace.config.probe.as_ref();
    probe.map(|probe| probe.package.as_str()).ok_or_else(|| {
        let message =
            "this workspace has no `workspace.metadata.universe.probe`, so no package with such binaries";
        Stop::new(Exit::SetupFailed, FailureKind::Config, message)
    })
}

/// Of these `package/feature`, those of this package. Its features enable those of the other
/// packages.
fn of(package: &str, mut features: Vec<String>) -> Vec<String> {
    features.retain(|feature| {
        feature
            .strip_prefix(package)
            .is_some_and(|rest| rest.starts_with('/'))
    });
    features
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_features_of_the_package_are_passed() {
        let features = ["core/fuse", "tests/fuse", "tests-more/fuse"];
        let features = features.map(str::to_owned).to_vec();
        assert_eq!(of("tests", features), ["tests/fuse"]);
    }
}
