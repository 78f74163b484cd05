//! What cargo knows about the workspace: its root, its packages, their features.
//!
//! Read from `cargo metadata --no-deps`, which needs neither network nor lock file. Builds nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use serde::Deserialize;
use serde_json::Value;
use xshell::Shell;

use crate::capability::{self, Capabilities, FuseMode};
use crate::cargo;
use crate::config::Config;

/// The workspace that a subcommand works on.
#[derive(Debug)]
pub(crate) struct Workspace {
    /// Where the root `Cargo.toml` lies.
    pub(crate) root: PathBuf,
    /// Cargo's target directory.
    pub(crate) target_directory: PathBuf,
    /// Its members, by package id.
    pub(crate) packages: BTreeMap<String, Arc<Package>>,
    /// What its root manifest tells the runner.
    pub(crate) config: Config,
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
        let manifest = metadata.workspace_root.join("Cargo.toml");
        let table = metadata.metadata.get("xtask").unwrap_or(&Value::Null);
        Ok(Workspace {
            config: Config::parse(table, &manifest)?,
            root: metadata.workspace_root,
            target_directory: metadata.target_directory,
            packages: metadata
                .packages
                .into_iter()
                .map(|p| (p.id.clone(), Arc::new(p)))
                .collect(),
        })
    }

    /// The root manifest.
    pub(crate) fn manifest(&self) -> PathBuf {
        self.root.join("Cargo.toml")
    }

    /// What reports call it: the name that it gives itself, else that of its directory.
    pub(crate) fn name(&self) -> String {
        let directory = || self.root.file_name().unwrap_or_default().to_string_lossy();
        self.config
            .name
            .clone()
            .unwrap_or_else(|| directory().into_owned())
    }

    /// Where tools lie that `cargo xtask conformance --install` has built.
    pub(crate) fn tools(&self) -> PathBuf {
        self.target_directory.join("xtask").join("tools").join("bin")
    }

    /// Stage 1 of finding out what this machine can do.
    pub(crate) fn detect(&self, fuse: FuseMode) -> Capabilities {
        capability::detect(fuse, &self.tools(), &self.config)
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
