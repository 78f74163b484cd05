//! The workspace as cargo describes it: its root, its packages, their features.
//!
//! Read from `cargo metadata --no-deps`, which needs neither network nor lock file. Builds nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, OnceLock};

use anyhow::Context;
use serde::Deserialize;
use serde_json::Value;
use xshell::Shell;

use crate::base::text::plain_line;
use crate::workspace::archive::Archived;
use crate::workspace::cargo::settings;
use crate::workspace::cargo::{self, Harness};
use crate::workspace::config::Config;

/// The workspace that a subcommand works on.
#[derive(Debug)]
pub struct Workspace {
    /// The directory of the root `Cargo.toml`.
    pub root: PathBuf,
    /// Where cargo runs, which decides which configuration it reads: the current directory if that
    /// is part of the workspace, otherwise the root.
    pub(crate) directory: PathBuf,
    /// Cargo's target directory.
    pub target_directory: PathBuf,
    /// Its members, by package id.
    pub(crate) packages: BTreeMap<String, Arc<Package>>,
    /// The ids of the members that cargo selects if none is named.
    pub(crate) default_members: BTreeSet<String>,
    /// The settings for the runner in its root manifest.
    pub config: Config,
    /// What cargo printed about it.
    pub(crate) metadata: Value,
    /// The build, if it comes from an archive.
    pub(crate) archived: Option<Archived>,
}

/// A member of the workspace, with the values that cargo passes to its tests in `CARGO_PKG_*`.
#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    /// The opaque id that names it in cargo's messages.
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
    pub(crate) license_file: Option<String>,
    pub(crate) readme: Option<String>,
    pub(crate) rust_version: Option<String>,
    /// The features it declares, and what each enables.
    pub(crate) features: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    targets: Vec<Target>,
    /// The information about its targets that cargo does not print.
    #[serde(skip)]
    custom_harnesses: OnceLock<BTreeSet<(String, String)>>,
}

#[derive(Debug, Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
    #[serde(default)]
    src_path: PathBuf,
    /// Whether cargo tests its documentation.
    #[serde(default)]
    doctest: bool,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    #[serde(default)]
    workspace_default_members: BTreeSet<String>,
    workspace_root: PathBuf,
    target_directory: PathBuf,
    /// `[workspace.metadata]`.
    #[serde(default)]
    metadata: Value,
}

const NOT_UNDERSTOOD: &str = "could not parse the output of `cargo metadata`";

impl Workspace {
    /// The workspace of `manifest`, otherwise the one around the current directory.
    pub fn load(given: Option<&Path>) -> anyhow::Result<Workspace> {
        let sh = Shell::new().context("could not read the current directory")?;
        let mut command = cargo::command(&sh).args(["metadata", "--no-deps", "--format-version=1"]);
        if let Some(path) = given {
            command = command.arg("--manifest-path").arg(path);
        }
        let json = command.quiet().read().context("could not read the workspace")?;
        let metadata = serde_json::from_str(&json).context(NOT_UNDERSTOOD)?;
        Workspace::described(metadata, given)
    }

    fn described(json: Value, given: Option<&Path>) -> anyhow::Result<Workspace> {
        let metadata = Metadata::deserialize(&json).context(NOT_UNDERSTOOD)?;
        let manifest = metadata.workspace_root.join("Cargo.toml");
        let config = Config::parse(&metadata.metadata, &manifest)?;
        if let Some(remark) = &config.remark {
            // Nothing can be done for someone whose standard error is closed.
            writeln!(std::io::stderr(), "warning: {}", plain_line(remark)).ok();
        }
        if let Some(probe) = &config.probe
            && !metadata
                .packages
                .iter()
                .any(|package| package.name == probe.package)
        {
            let why = format!("`{}` is no package of this workspace", probe.package);
            return Err(config.home.misunderstood("probe.package", &why).into());
        }
        Ok(Workspace {
            config,
            directory: directory(&metadata.workspace_root),
            metadata: json,
            archived: None,
            default_members: metadata.default_members(given),
            root: metadata.workspace_root,
            target_directory: metadata.target_directory,
            packages: metadata
                .packages
                .into_iter()
                .map(|p| (p.id.clone(), Arc::new(p)))
                .collect(),
        })
    }

    /// The workspace that cargo described on another machine, with its root here.
    ///
    /// # Errors
    /// When it is not a description, or a package is outside of the workspace.
    pub(crate) fn of_archive(metadata: Value, root: PathBuf) -> anyhow::Result<Workspace> {
        let mut workspace = Workspace::described(metadata, None)?;
        let packages = std::mem::take(&mut workspace.packages).into_iter();
        let packages = packages.map(|(id, package)| {
            let mut package = Arc::into_inner(package).context("a package is in use")?;
            package.manifest_path = root.join(workspace.inside(&package)?);
            Ok((id, Arc::new(package)))
        });
        Ok(Workspace {
            packages: packages.collect::<anyhow::Result<_>>()?,
            root,
            ..workspace
        })
    }

    /// The manifest of a package, relative to the root.
    ///
    /// # Errors
    /// When it is not below the root, or the path has a part such as `..`.
    pub(crate) fn inside<'a>(&self, package: &'a Package) -> anyhow::Result<&'a Path> {
        let inside = package.manifest_path.strip_prefix(&self.root).ok();
        let is_plain = |path: &&Path| path.components().all(|part| matches!(part, Component::Normal(_)));
        inside.filter(is_plain).with_context(|| {
            format!(
                "the package `{}` is not below the root of the workspace",
                package.name
            )
        })
    }

    /// The table `[env]` of cargo's configuration, as variables for tests.
    pub(crate) fn settings(&self) -> BTreeMap<String, OsString> {
        match &self.archived {
            Some(archived) => archived.settings.clone().for_tests(),
            None => settings::variables(&self.directory),
        }
    }

    /// Where the root was when its archive was built, if it comes from one.
    pub(crate) fn origin(&self) -> Option<PathBuf> {
        self.archived.as_ref()?;
        let root = self.metadata.get("workspace_root")?.as_str()?;
        Some(root.into())
    }

    /// The root manifest.
    pub(crate) fn manifest(&self) -> PathBuf {
        self.root.join("Cargo.toml")
    }

    /// Its name in reports: the configured one, otherwise that of its directory.
    pub fn name(&self) -> String {
        let directory = || self.root.file_name().unwrap_or_default().to_string_lossy();
        self.config
            .name
            .clone()
            .unwrap_or_else(|| directory().into_owned())
    }

    /// The directory of tools that the workspace has built for its tests.
    pub fn tools(&self) -> PathBuf {
        self.target_directory.join("xtask").join("tools").join("bin")
    }

    /// Whether this package is a member.
    pub(crate) fn contains(&self, package: &str) -> bool {
        self.packages.values().any(|p| p.name == package)
    }

    /// The option by which cargo selects a target of this package, which is named as in the ids of
    /// tests. `None` if there is no such package, or no such option.
    pub fn option_for(&self, package: &str, target: &str) -> Option<String> {
        let package = self.packages.values().find(|p| p.name == package)?;
        match target.split_once('/') {
            Some(("doc", _)) => None,
            Some((table, name)) => Some(format!("--{table}={name}")),
            None if package.has_library(target) => Some("--lib".to_owned()),
            None => Some(format!("--test={target}")),
        }
    }

    /// The names of all features that any member declares.
    pub fn feature_names(&self) -> Vec<String> {
        let names = self.packages.values().flat_map(|package| package.features.keys());
        names.cloned().collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Those of the `wanted` features that exist, as `package/feature`.
    pub fn features(&self, wanted: &[String]) -> Vec<String> {
        let declared = |p: &&Arc<Package>, feature: &String| p.features.contains_key(feature);
        let mut found = Vec::new();
        for feature in wanted {
            let packages = self.packages.values().filter(|p| declared(p, feature));
            found.extend(packages.map(|p| format!("{}/{feature}", p.name)));
        }
        found
    }
}

/// Where cargo runs for the workspace with this root.
fn directory(root: &Path) -> PathBuf {
    let current = std::env::current_dir().ok();
    let is_inside = |current: &PathBuf| current.starts_with(root);
    current.filter(is_inside).unwrap_or_else(|| root.to_owned())
}

impl Metadata {
    /// As cargo decides: the package of the given manifest, unless it is the root's.
    fn default_members(&self, given: Option<&Path>) -> BTreeSet<String> {
        let given = given.and_then(|path| path.canonicalize().ok());
        let is_given = |package: &&Package| {
            let path = package.manifest_path.canonicalize().ok();
            path.is_some() && path == given && !package.directory().eq(&self.workspace_root)
        };
        match self.packages.iter().find(is_given) {
            Some(package) => BTreeSet::from([package.id.clone()]),
            None => self.workspace_default_members.clone(),
        }
    }
}

impl Package {
    /// Whether it has a library of this name.
    pub(crate) fn has_library(&self, name: &str) -> bool {
        let is_library = |target: &Target| {
            let other = ["bin", "test", "example", "bench", "custom-build"];
            !target.kind.iter().any(|kind| other.contains(&kind.as_str()))
        };
        self.targets
            .iter()
            .any(|target| target.name == name && is_library(target))
    }

    /// The root file of the library, if cargo tests its documentation.
    pub(crate) fn doc_tested_library(&self) -> Option<&Path> {
        let tested = self.targets.iter().find(|target| target.doctest)?;
        Some(&tested.src_path)
    }

    /// The harness of the target with this name in a `table` of the manifest (`lib`, `test`, `bin`,
    /// ...).
    pub(crate) fn harness(&self, table: &str, name: &str) -> Harness {
        let custom = self.custom_harnesses.get_or_init(|| {
            let text = std::fs::read_to_string(&self.manifest_path).unwrap_or_default();
            custom_harnesses(&text)
        });
        let is_custom = |name: &str| custom.contains(&(table.to_owned(), name.to_owned()));
        match is_custom(name) || table == "lib" && is_custom("") {
            true => Harness::Custom,
            false => Harness::Libtest,
        }
    }

    /// The directory of its `Cargo.toml`, where its tests run.
    pub(crate) fn directory(&self) -> &Path {
        self.manifest_path.parent().unwrap_or(Path::new("."))
    }
}

/// The targets with `harness = false`, as (table, name); a library may have no name there.
fn custom_harnesses(manifest: &str) -> BTreeSet<(String, String)> {
    let manifest: toml::Table = toml::from_str(manifest).unwrap_or_default();
    let mut found = BTreeSet::new();
    for table in ["lib", "bin", "test", "example", "bench"] {
        let targets = match manifest.get(table) {
            Some(toml::Value::Array(targets)) => targets.as_slice(),
            Some(target) => std::slice::from_ref(target),
            None => &[],
        };
        let custom =
            |target: &&toml::Value| target.get("harness").and_then(toml::Value::as_bool) == Some(false);
        for target in targets.iter().filter(custom) {
            let name = target
                .get("name")
                .and_then(toml::Value::as_str)
                .unwrap_or_default();
            found.insert((table.to_owned(), name.to_owned()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_must_be_in_a_package_of_the_workspace() {
        let described = |probe: &str| {
            let package = serde_json::json!({
                "id": "p", "name": "p", "version": "0.1.0", "manifest_path": "/w/Cargo.toml", "features": {},
            });
            let json = serde_json::json!({
                "packages": [package], "workspace_root": "/w", "target_directory": "/w/target",
                "metadata": {"universe": {"probe": {"package": probe, "binary": "b"}}},
            });
            Workspace::described(json, None)
                .map(|_| ())
                .map_err(|error| error.to_string())
        };
        assert_eq!(described("p"), Ok(()));
        let why = described("q").unwrap_err();
        assert!(
            why.contains("probe.package` in `/w/Cargo.toml`: `q` is no package"),
            "{why}"
        );
    }

    #[test]
    fn a_harness_of_its_own_is_read_from_the_manifest() {
        let manifest =
            "[lib]\nharness = false\n[[test]]\nname = \"ui\"\nharness = false\n[[test]]\nname = \"plain\"\n";
        let found = custom_harnesses(manifest);
        let expected = [("lib", ""), ("test", "ui")].map(|(table, name)| (table.to_owned(), name.to_owned()));
        assert_eq!(found, BTreeSet::from(expected));
        assert!(custom_harnesses("no manifest").is_empty());
    }
}
