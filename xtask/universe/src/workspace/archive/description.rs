//! `archive.json`: the workspace, the build and the list of files. All paths in it are as in
//! [`path`](super::path), or absolute where they are of neither.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::path::{self, Ground};
use crate::workspace::cargo::platform::Platform as Side;
use crate::workspace::cargo::settings::{EnvTable, Settings};
use crate::workspace::cargo::{Build, Harness, TestBinary};
use crate::workspace::metadata::Workspace;

/// The name of the entry.
pub(super) const NAME: &str = "archive.json";

/// The version of the format.
const VERSION: u32 = 1;

/// The whole text.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Description {
    version: u32,
    platform: Platform,
    /// The output of `cargo metadata`.
    metadata: Value,
    features: Vec<String>,
    /// The table `[env]` of cargo's configuration: each value, and whether it has `force`.
    settings: BTreeMap<String, (path::Value, bool)>,
    build: Built,
    /// Every other entry.
    pub(super) files: Vec<Listed>,
}

/// The system and the architecture that the binaries are for, in Rust's words.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Platform {
    os: String,
    arch: String,
}

/// A file in the archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Listed {
    pub(super) path: String,
    pub(super) len: u64,
    pub(super) is_executable: bool,
}

/// A [`Build`].
#[derive(Debug, Default, Serialize, Deserialize)]
struct Built {
    tests: Vec<Binary>,
    bins: BTreeMap<String, String>,
    bins_of: BTreeMap<String, BTreeMap<String, String>>,
    variables: BTreeMap<String, Vec<(String, path::Value)>>,
    has_macros: bool,
    linked_paths: Vec<String>,
    out_dirs: BTreeMap<String, String>,
}

/// A [`TestBinary`].
#[derive(Debug, Serialize, Deserialize)]
struct Binary {
    package: String,
    target: String,
    executable: String,
    source: String,
    has_own_harness: bool,
    /// Whether it runs on the machine that built it, whatever was built for.
    is_for_host: bool,
}

/// What was built, of which workspace.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) workspace: &'a Workspace,
    pub(super) build: &'a Build,
    pub(super) features: &'a [String],
}

impl Platform {
    fn current() -> Platform {
        Platform {
            os: std::env::consts::OS.to_owned(),
            arch: std::env::consts::ARCH.to_owned(),
        }
    }
}

impl Description {
    /// Of a build on this machine.
    pub(super) fn of(subject: Subject<'_>, ground: &Ground, files: Vec<Listed>) -> Description {
        let Subject {
            workspace,
            build,
            features,
        } = subject;
        let settings = Settings::read(&workspace.directory).env().0.into_iter();
        let settings = settings.map(|(name, (value, force))| {
            let value = path::Value::packed(&value.to_string_lossy(), ground);
            (name, (value, force))
        });
        Description {
            version: VERSION,
            platform: Platform::current(),
            metadata: workspace.metadata.clone(),
            features: features.to_vec(),
            settings: settings.collect(),
            build: Built::of(build, ground),
            files,
        }
    }

    /// Parses it.
    ///
    /// # Errors
    /// When it is of another version or platform, or is something else.
    pub(super) fn parse(json: &[u8]) -> anyhow::Result<Description> {
        #[derive(Deserialize)]
        struct Head {
            version: u32,
            platform: Platform,
        }
        let not_ours = || format!("its `{NAME}` is not that of an archive");
        let head: Head = serde_json::from_slice(json).with_context(not_ours)?;
        ensure!(
            head.version == VERSION,
            "its format has version {}; this program reads version {VERSION}",
            head.version
        );
        let (here, there) = (Platform::current(), head.platform);
        ensure!(
            here == there,
            "it was built for {}-{}, and this machine is {}-{}",
            there.os,
            there.arch,
            here.os,
            here.arch
        );
        serde_json::from_slice(json).with_context(not_ours)
    }

    /// The workspace and its build on this machine.
    ///
    /// # Errors
    /// When a path in it leads out of its directories.
    pub(super) fn restore(self, ground: &Ground) -> anyhow::Result<Restored> {
        let settings = self.settings.into_iter().map(|(name, (value, force))| {
            let value = OsString::from(value.unpacked(ground)?);
            Ok((name, (value, force)))
        });
        let settings = settings.collect::<anyhow::Result<_>>()?;
        let workspace = Workspace::of_archive(self.metadata, ground.workspace.clone())?;
        Ok(Restored {
            build: self.build.restore(&workspace, ground)?,
            workspace,
            features: self.features,
            settings: EnvTable(settings),
        })
    }
}

/// The reverse of a [`Subject`].
pub(super) struct Restored {
    pub(super) workspace: Workspace,
    pub(super) build: Build,
    pub(super) features: Vec<String>,
    pub(super) settings: EnvTable,
}

type Paths = BTreeMap<String, PathBuf>;

impl Built {
    fn of(build: &Build, ground: &Ground) -> Built {
        let all = |paths: &Paths| {
            let packed = paths
                .iter()
                .map(|(name, path)| (name.clone(), ground.packed(path)));
            packed.collect::<BTreeMap<_, _>>()
        };
        let of_packages = build.bins_of.iter().map(|(id, bins)| (id.clone(), all(bins)));
        let variables = build.variables.iter().map(|(id, pairs)| {
            let pairs = pairs.iter();
            let pairs = pairs.map(|(name, value)| (name.clone(), path::Value::packed(value, ground)));
            (id.clone(), pairs.collect())
        });
        Built {
            tests: build.tests.iter().map(|test| Binary::of(test, ground)).collect(),
            bins: all(&build.bins),
            bins_of: of_packages.collect(),
            variables: variables.collect(),
            has_macros: build.has_macros,
            linked_paths: build
                .linked_paths
                .iter()
                .map(|path| ground.packed(path))
                .collect(),
            out_dirs: all(&build.out_dirs),
        }
    }

    fn restore(self, workspace: &Workspace, ground: &Ground) -> anyhow::Result<Build> {
        let all = |paths: BTreeMap<String, String>| -> anyhow::Result<Paths> {
            let unpacked = paths
                .into_iter()
                .map(|(name, path)| Ok((name, ground.unpacked(&path)?)));
            unpacked.collect()
        };
        let tests = self.tests.into_iter().map(|test| test.restore(workspace, ground));
        let of_packages = self.bins_of.into_iter().map(|(id, bins)| Ok((id, all(bins)?)));
        let paths = self.linked_paths.iter().map(|path| ground.unpacked(path));
        let variables = self.variables.into_iter().map(|(id, pairs)| {
            let pairs = pairs.into_iter();
            let pairs = pairs.map(|(name, value)| Ok((name, value.unpacked(ground)?)));
            Ok((id, pairs.collect::<anyhow::Result<_>>()?))
        });
        Ok(Build {
            tests: tests.collect::<anyhow::Result<_>>()?,
            bins: all(self.bins)?,
            bins_of: of_packages.collect::<anyhow::Result<_>>()?,
            variables: variables.collect::<anyhow::Result<_>>()?,
            has_macros: self.has_macros,
            linked_paths: paths.collect::<anyhow::Result<_>>()?,
            out_dirs: all(self.out_dirs)?,
            ..Build::default()
        })
    }
}

impl Binary {
    fn of(test: &TestBinary, ground: &Ground) -> Binary {
        Binary {
            package: test.package.id.clone(),
            target: test.target.clone(),
            executable: ground.packed(&test.executable),
            source: ground.packed(&test.source),
            has_own_harness: test.harness == Harness::Custom,
            is_for_host: test.platform == Side::Host,
        }
    }

    fn restore(self, workspace: &Workspace, ground: &Ground) -> anyhow::Result<Arc<TestBinary>> {
        let package = workspace.packages.get(&self.package);
        let package = package.with_context(|| format!("it has no package `{}`", self.package))?;
        Ok(Arc::new(TestBinary {
            package: Arc::clone(package),
            target: self.target,
            executable: ground.unpacked(&self.executable)?,
            source: ground.unpacked(&self.source)?,
            harness: match self.has_own_harness {
                true => Harness::Custom,
                false => Harness::Libtest,
            },
            platform: match self.is_for_host {
                true => Side::Host,
                false => Side::Target,
            },
        }))
    }
}
