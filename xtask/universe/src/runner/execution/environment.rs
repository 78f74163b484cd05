//! The environment of a test: what cargo would set, plus a temporary directory and a mark of its
//! own.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::process::Command;

use super::attempt::Ticket;
use crate::base::os::TEMPORARY;
use crate::select::plan::{Form, Test};
use crate::workspace::cargo::{self, Build, TestBinary, compiler_libraries};
use crate::workspace::metadata::{Package, Workspace};

/// The variable with the search path for dynamic libraries.
const LIBRARY_PATH: &str = if cfg!(windows) {
    "PATH"
} else if cfg!(target_os = "macos") {
    "DYLD_FALLBACK_LIBRARY_PATH"
} else {
    "LD_LIBRARY_PATH"
};

/// The beginning of the names of variables with the paths of binaries.
const EXECUTABLE: &str = "CARGO_BIN_EXE_";

/// What all tests of a run share.
#[derive(Debug, Clone, Default)]
pub(crate) struct Environment {
    removed: Vec<String>,
    shared: BTreeMap<String, OsString>,
    /// The variables that only the tests of one package get, by its id.
    of_packages: BTreeMap<String, BTreeMap<String, OsString>>,
}

/// What distinguishes one test from the others.
#[derive(Debug)]
pub(super) struct Own<'a> {
    pub(super) test: &'a Test,
    /// Its temporary directory.
    pub(super) scratch: &'a Path,
    pub(super) ticket: Ticket,
    /// `NAME=value`, which identifies its descendants.
    pub(super) mark: &'a str,
}

impl Environment {
    /// For the tests of `build`.
    pub(crate) fn new(workspace: &Workspace, build: &Build) -> Environment {
        let mut shared = workspace.settings();
        shared.extend(executables(&build.bins));
        shared.insert(
            "CARGO_TARGET_TMPDIR".to_owned(),
            match &workspace.archived {
                Some(archived) => archived.temporary(),
                None => workspace.target_directory.join("tmp"),
            }
            .into_os_string(),
        );
        shared.insert("PATH".to_owned(), program_path(workspace));
        shared.insert(
            LIBRARY_PATH.to_owned(),
            library_path(workspace, build, shared.get(LIBRARY_PATH)),
        );
        shared.insert("XTASK_TEST".to_owned(), "1".into());
        Environment {
            removed: removed(),
            shared,
            of_packages: of_packages(workspace, build),
        }
    }

    /// Adds a variable for all tests.
    pub(crate) fn set(&mut self, name: &str, value: impl Into<OsString>) {
        self.shared.insert(name.to_owned(), value.into());
    }

    /// A command that runs `binary` as cargo would: in the directory of its package.
    pub(crate) fn command(&self, binary: &Arc<TestBinary>) -> Command {
        let mut command = Command::new(&binary.executable);
        command.current_dir(binary.package.directory());
        self.removed.iter().for_each(|name| {
            command.env_remove(name);
        });
        let own = self.of_packages.get(&binary.package.id).into_iter().flatten();
        // As cargo does it: a unit test that has them may take itself for an integration test.
        let is_for_it = |name: &str| binary.is_integration() || !name.starts_with(EXECUTABLE);
        let all = self.shared.iter().chain(own);
        command.envs(all.filter(|(name, _)| is_for_it(name)));
        command.envs(of_package(&binary.package));
        command
    }

    /// Gives a command that is no test what tests have in common, and its own temporary directory.
    pub(super) fn prepare<'a>(
        &self,
        command: &'a mut Command,
        directory: &Path,
        scratch: &Path,
    ) -> &'a mut Command {
        command.current_dir(directory);
        self.removed.iter().for_each(|name| {
            command.env_remove(name);
        });
        command.envs(&self.shared);
        command.envs(TEMPORARY.map(|name| (name, scratch)))
    }

    /// A command that runs one test.
    pub(super) fn test_command(&self, own: &Own<'_>) -> Command {
        let mut command = self.command(&own.test.binary);
        if own.test.form == Form::One {
            command.args(crate::runner::libtest::run_arguments(
                &own.test.name,
                &own.test.ignore,
            ));
        }
        for name in TEMPORARY {
            command.env(name, own.scratch);
        }
        command.env("XTASK_TEST_NAME", &own.test.name);
        command.env("XTASK_TEST_BINARY", own.test.binary.id());
        command.env("XTASK_TEST_ROUND", own.ticket.round.to_string());
        command.env("XTASK_TEST_ATTEMPT", own.ticket.attempt.to_string());
        command.env("XTASK_TEST_SLOT", own.ticket.slot.to_string());
        if let Some((name, value)) = own.mark.split_once('=') {
            command.env(name, value);
        }
        command
    }
}

/// Variables of the runner that would mislead a test: those of its own package, and libtest's
/// switches, which change its output.
fn removed() -> Vec<String> {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let switches = names.filter(|name| name.starts_with("RUST_TEST_"));
    cargo::variables_of_cargo_run()
        .into_iter()
        .chain(switches)
        .collect()
}

/// For each package: what its build script set, its output directory, and its binaries.
fn of_packages(workspace: &Workspace, build: &Build) -> BTreeMap<String, BTreeMap<String, OsString>> {
    let of = |id: &String| {
        let mut variables = build.bins_of.get(id).map(executables).unwrap_or_default();
        let said = build.variables.get(id).into_iter().flatten();
        variables.extend(said.map(|(name, value)| (name.clone(), OsString::from(value))));
        let out_dir = build.out_dirs.get(id);
        variables.extend(out_dir.map(|path| ("OUT_DIR".to_owned(), path.clone().into())));
        variables
    };
    workspace.packages.keys().map(|id| (id.clone(), of(id))).collect()
}

fn executables(bins: &BTreeMap<String, PathBuf>) -> BTreeMap<String, OsString> {
    let variable = |(name, path): (&String, &PathBuf)| (format!("{EXECUTABLE}{name}"), path.clone().into());
    bins.iter().map(variable).collect()
}

fn of_package(package: &Package) -> BTreeMap<String, OsString> {
    let text = |value: &Option<String>| OsString::from(value.clone().unwrap_or_default());
    let (release, pre) = package.version.split_once('-').unwrap_or((&package.version, ""));
    let mut numbers = release.split('.').map(OsString::from);
    let mut number = || numbers.next().unwrap_or_default();
    let directory = package.directory().as_os_str().to_owned();
    let variables = [
        ("CARGO_MANIFEST_DIR", directory),
        (
            "CARGO_MANIFEST_PATH",
            package.manifest_path.clone().into_os_string(),
        ),
        ("CARGO_PKG_NAME", OsString::from(&package.name)),
        ("CARGO_PKG_VERSION", OsString::from(&package.version)),
        ("CARGO_PKG_VERSION_MAJOR", number()),
        ("CARGO_PKG_VERSION_MINOR", number()),
        ("CARGO_PKG_VERSION_PATCH", number()),
        ("CARGO_PKG_VERSION_PRE", pre.into()),
        ("CARGO_PKG_AUTHORS", package.authors.join(":").into()),
        ("CARGO_PKG_DESCRIPTION", text(&package.description)),
        ("CARGO_PKG_HOMEPAGE", text(&package.homepage)),
        ("CARGO_PKG_REPOSITORY", text(&package.repository)),
        ("CARGO_PKG_LICENSE", text(&package.license)),
        ("CARGO_PKG_LICENSE_FILE", text(&package.license_file)),
        ("CARGO_PKG_README", text(&package.readme)),
        ("CARGO_PKG_RUST_VERSION", text(&package.rust_version)),
    ];
    variables
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// The search path for programs: directories added for the tests, then the inherited ones.
fn program_path(workspace: &Workspace) -> OsString {
    let inherited = std::env::var_os("PATH").unwrap_or_default();
    let tools = Some(workspace.tools()).filter(|tools| tools.is_dir());
    let directories = tools.into_iter().chain(std::env::split_paths(&inherited));
    std::env::join_paths(directories).unwrap_or(inherited)
}

/// The search path for dynamic libraries as cargo sets it, then the inherited one (on Windows that
/// is PATH, to which tools may have been added).
fn library_path(workspace: &Workspace, build: &Build, given: Option<&OsString>) -> OsString {
    let mut directories: Vec<PathBuf> = Vec::new();
    for executable in build.tests.iter().map(|binary| &binary.executable) {
        let deps = executable.parent().map(Path::to_path_buf);
        let profile = deps.as_deref().and_then(Path::parent).map(Path::to_path_buf);
        directories.extend(deps.into_iter().chain(profile));
    }
    directories.extend(build.linked_paths.iter().cloned());
    directories.sort();
    directories.dedup();
    if build.has_macros {
        directories.extend(match &workspace.archived {
            Some(archived) => Some(archived.compiler_libraries()),
            None => compiler_libraries(&workspace.root),
        });
    }
    let inherited = given
        .cloned()
        .or_else(|| std::env::var_os(LIBRARY_PATH))
        .unwrap_or_default();
    directories.extend(std::env::split_paths(&inherited).filter(|path| !path.as_os_str().is_empty()));
    std::env::join_paths(directories).unwrap_or(inherited)
}
