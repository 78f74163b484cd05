//! Published crates, fetched by cargo and unpacked where they can be built.
//!
//! A scratch package depends on exactly these versions; cargo's metadata then has the path of each.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr;

use anyhow::{Context, ensure};
use serde::Deserialize;

/// The directory beside the crates where all of them are built.
pub(super) const TARGET: &str = "target";

/// A crate in one version, with the features that its tests need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Crate {
    name: String,
    version: String,
    features: Option<String>,
}

impl FromStr for Crate {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Crate> {
        let is_plain = |part: &str| {
            !part.is_empty()
                && part
                    .chars()
                    .all(|one| one.is_ascii_alphanumeric() || "-_.+,".contains(one))
        };
        let (package, features) = match text.split_once(':') {
            Some((package, features)) => (package, Some(features)),
            None => (text, None),
        };
        match package.split_once('@') {
            Some((name, version)) if [name, version].into_iter().chain(features).all(is_plain) => Ok(Crate {
                name: name.to_owned(),
                version: version.to_owned(),
                features: features.map(str::to_owned),
            }),
            _ => anyhow::bail!("a crate is given as `name@version` or `name@version:features`, not `{text}`"),
        }
    }
}

/// A crate that can be built.
#[derive(Debug)]
pub(super) struct Unpacked {
    pub(super) name: String,
    pub(super) directory: PathBuf,
    /// As cargo takes them.
    pub(super) features: Option<String>,
    pub(super) has_library: bool,
}

impl Unpacked {
    /// `cargo test` for the tests that this runner runs.
    pub(super) fn cargo_test(&self) -> Vec<&'static str> {
        let mut arguments = vec!["test", "--no-fail-fast", "--bins", "--tests"];
        arguments.extend(self.has_library.then_some("--lib"));
        arguments
    }
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    manifest_path: PathBuf,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
}

/// Fetches `crates` and copies each into its own directory below `directory`, as a separate
/// workspace.
pub(super) fn unpack(crates: &[Crate], directory: &Path) -> anyhow::Result<Vec<Unpacked>> {
    let scratch = directory.join("fetch");
    let lines = crates
        .iter()
        .enumerate()
        .map(|(number, Crate { name, version, .. })| {
            format!("c{number} = {{ package = \"{name}\", version = \"={version}\" }}\n")
        });
    let manifest = format!(
        "[package]\nname = \"fetch\"\nedition = \"2024\"\n[workspace]\n[dependencies]\n{}",
        lines.collect::<String>()
    );
    std::fs::create_dir_all(scratch.join("src"))?;
    std::fs::write(scratch.join("src/lib.rs"), "")?;
    std::fs::write(scratch.join("Cargo.toml"), manifest)?;
    let metadata = metadata(&scratch)?;
    crates
        .iter()
        .map(|wanted| copy(wanted, &metadata, directory))
        .collect()
}

fn metadata(scratch: &Path) -> anyhow::Result<Metadata> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .args(["metadata", "--format-version=1"])
        .current_dir(scratch);
    let output = command.output().context("could not start cargo")?;
    ensure!(
        output.status.success(),
        "could not fetch the crates:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).context("could not parse the output of `cargo metadata`")
}

fn copy(wanted: &Crate, metadata: &Metadata, directory: &Path) -> anyhow::Result<Unpacked> {
    let Crate {
        name,
        version,
        features,
    } = wanted;
    let mut packages = metadata.packages.iter();
    let package = packages
        .find(|package| package.name == *name && package.version == *version)
        .with_context(|| format!("cargo did not fetch `{name}@{version}`"))?;
    let from = package.manifest_path.parent().unwrap_or(Path::new("."));
    let to = directory.join(format!("{name}-{version}"));
    if !to.exists() {
        copy_tree(from, &to).with_context(|| format!("could not copy `{}`", from.display()))?;
        detach(&to.join("Cargo.toml"))?;
    }
    link_target(&to)?;
    let libraries = ["lib", "rlib", "dylib", "cdylib", "staticlib", "proc-macro"];
    let mut kinds = package.targets.iter().flat_map(|target| &target.kind);
    Ok(Unpacked {
        name: format!("{name}-{version}"),
        directory: to,
        features: features.clone(),
        has_library: kinds.any(|kind| libraries.contains(&kind.as_str())),
    })
}

fn copy_tree(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in from.read_dir()? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}

/// Some tests look for their binaries in `target/debug`, wherever cargo builds.
#[cfg(unix)]
fn link_target(package: &Path) -> std::io::Result<()> {
    match std::os::unix::fs::symlink(Path::new("..").join(TARGET), package.join("target")) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    }
}

#[cfg(not(unix))]
fn link_target(_: &Path) -> std::io::Result<()> {
    Ok(())
}

/// Makes it a separate workspace, because it is now inside another one.
fn detach(manifest: &Path) -> anyhow::Result<()> {
    let mut text = std::fs::read_to_string(manifest)?;
    if !text.lines().any(|line| line.starts_with("[workspace")) {
        text.push_str("\n[workspace]\n");
        std::fs::write(manifest, text)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_is_a_name_and_a_version() {
        let parsed: Crate = "itertools@0.15.0".parse().unwrap();
        assert_eq!(
            (parsed.name.as_str(), parsed.version.as_str()),
            ("itertools", "0.15.0")
        );
        assert_eq!(parsed.features, None);
        let parsed: Crate = "a@1:b,c".parse().unwrap();
        assert_eq!(parsed.features.as_deref(), Some("b,c"));
        for wrong in ["itertools", "@1", "a@", "a\"b@1", "a@1\n[x]", "a@1:", "a@1: b"] {
            assert!(wrong.parse::<Crate>().is_err(), "{wrong}");
        }
    }
}
