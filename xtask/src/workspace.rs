//! What cargo knows about the workspace: its root, its packages, their features.
//!
//! Read from `cargo metadata --no-deps`, which needs neither network nor lock file. Builds nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use serde::Deserialize;
use serde_json::{Map, Value};
use xshell::Shell;

use crate::capability::{self, Capabilities, FuseMode};
use crate::cargo;
use crate::exit::{Exit, Stop};

/// The workspace that a subcommand works on.
#[derive(Debug)]
pub(crate) struct Workspace {
    /// Where the root `Cargo.toml` lies.
    pub(crate) root: PathBuf,
    /// Cargo's target directory.
    pub(crate) target_directory: PathBuf,
    /// Its members, by package id.
    pub(crate) packages: BTreeMap<String, Arc<Package>>,
    /// `[workspace.metadata.xtask]` of the root manifest, as it stands there; null where there is none.
    metadata: Value,
}

/// A member of the workspace, with what cargo tells a test of it through `CARGO_PKG_*`.
#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    /// The opaque id by which cargo's messages name it.
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) version: String,
    /// Its `Cargo.toml`.
    pub(crate) manifest_path: PathBuf,
    #[serde(default)]
    pub(crate) authors: Vec<String>,
    pub(crate) description: Option<String>,
    pub(crate) homepage: Option<String>,
    pub(crate) repository: Option<String>,
    pub(crate) license: Option<String>,
    pub(crate) rust_version: Option<String>,
    /// The features it declares, and what each turns on.
    pub(crate) features: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_root: PathBuf,
    target_directory: PathBuf,
    /// `[workspace.metadata]`.
    #[serde(default)]
    metadata: Value,
}

impl Workspace {
    /// The workspace of `manifest`, or else the one around the current directory.
    pub(crate) fn load(manifest: Option<&Path>) -> anyhow::Result<Workspace> {
        let sh = Shell::new().context("could not read the current directory")?;
        let mut command = cargo::command(&sh).args(["metadata", "--no-deps", "--format-version=1"]);
        if let Some(path) = manifest {
            command = command.arg("--manifest-path").arg(path);
        }
        let json = command.quiet().read().context("could not read the workspace")?;
        let metadata: Metadata =
            serde_json::from_str(&json).context("could not understand `cargo metadata`")?;
        let workspace = Workspace {
            root: metadata.workspace_root,
            target_directory: metadata.target_directory,
            packages: metadata
                .packages
                .into_iter()
                .map(|p| (p.id.clone(), Arc::new(p)))
                .collect(),
            metadata: metadata.metadata.get("xtask").cloned().unwrap_or_default(),
        };
        workspace.test_table()?;
        Ok(workspace)
    }

    /// The table `[workspace.metadata.xtask.test]`, as it stands in the root manifest; empty where there is none.
    ///
    /// # Errors
    /// When it is something else than a table.
    pub(crate) fn test_table(&self) -> Result<Map<String, Value>, Stop> {
        match self.metadata.get("test") {
            None => Ok(Map::new()),
            Some(Value::Object(table)) => Ok(table.clone()),
            Some(other) => Err(Stop::new(
                Exit::SetupFailed,
                "config",
                format!(
                    "could not understand `{}`: `workspace.metadata.xtask.test` is a table, not `{other}`",
                    self.root.join("Cargo.toml").display()
                ),
            )),
        }
    }

    /// Where tools lie that `cargo xtask conformance --install` has built.
    pub(crate) fn tools(&self) -> PathBuf {
        self.target_directory.join("xtask").join("tools").join("bin")
    }

    /// Stage 1 of finding out what this machine can do.
    pub(crate) fn detect(&self, fuse: FuseMode) -> Capabilities {
        capability::detect(fuse, &self.tools())
    }

    /// Whether this package is a member.
    pub(crate) fn contains(&self, package: &str) -> bool {
        self.packages.values().any(|p| p.name == package)
    }

    /// The names of all features that any member declares.
    pub(crate) fn feature_names(&self) -> Vec<String> {
        let names = self.packages.values().flat_map(|package| package.features.keys());
        names.cloned().collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Of the `wanted` features those that exist, as `package/feature`.
    pub(crate) fn features(&self, wanted: &[String]) -> Vec<String> {
        let declared = |p: &&Arc<Package>, feature: &String| p.features.contains_key(feature);
        let mut found = Vec::new();
        for feature in wanted {
            let packages = self.packages.values().filter(|p| declared(p, feature));
            found.extend(packages.map(|p| format!("{}/{feature}", p.name)));
        }
        found
    }
}

impl Package {
    /// The directory of its `Cargo.toml`, where its tests run.
    pub(crate) fn directory(&self) -> &Path {
        self.manifest_path.parent().unwrap_or(Path::new("."))
    }
}
