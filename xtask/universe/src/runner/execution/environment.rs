//! The environment of a test: what cargo would set, plus a temporary directory and a mark of its
//! own.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::process::Command;

use super::attempt::Ticket;
use crate::base::exit::Stop;
use crate::base::os::TEMPORARY;
use crate::runner::{doc_tests, libtest};
use crate::select::plan::{Form, Test};
use crate::workspace::cargo::test_runner::TestRunners;
use crate::workspace::cargo::{self, Build, Harness, TestBinary, compiler_libraries};
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
    /// The programs that run test binaries.
    runners: TestRunners,
    /// The program and arguments that come before a test; usually none.
    debugger: Vec<OsString>,
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
    /// For the tests of `build`, which `runners` run.
    ///
    /// # Errors
    /// When there is no such runner.
    pub(crate) fn new(
        workspace: &Workspace,
        build: &Build,
        runners: TestRunners,
    ) -> Result<Environment, Stop> {
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
        let programs = program_path(workspace, shared.get("PATH"));
        runners.check(&programs)?;
        shared.insert("PATH".to_owned(), programs);
        shared.insert(
            LIBRARY_PATH.to_owned(),
            library_path(workspace, build, shared.get(LIBRARY_PATH)),
        );
        shared.insert("XTASK_TEST".to_owned(), "1".into());
        Ok(Environment {
            removed: removed(),
            shared,
            of_packages: of_packages(workspace, build),
            runners,
            debugger: Vec::new(),
        })
    }

    /// Adds a variable for all tests.
    pub(crate) fn set(&mut self, name: &str, value: impl Into<OsString>) {
        self.shared.insert(name.to_owned(), value.into());
    }

    /// Has tests run under a debugger: its program and arguments.
    pub(crate) fn debug_by(&mut self, debugger: Vec<OsString>) {
        self.debugger = debugger;
    }

    /// A command that runs `binary` as cargo would: in the directory of its package, or, for doc
    /// tests, by the same call of rustdoc.
    pub(crate) fn command(&self, binary: &Arc<TestBinary>) -> Command {
        self.command_by(&[], binary)
    }

    fn command_by(&self, debugger: &[OsString], binary: &Arc<TestBinary>) -> Command {
        let mut words = debugger.to_vec();
        match &binary.harness {
            // Cargo tells rustdoc itself by what to run the tests.
            Harness::Rustdoc(_) => words.push(binary.executable.clone().into_os_string()),
            Harness::Libtest | Harness::Custom => {
                words.extend(self.runners.words(&binary.executable, binary.platform));
            }
        }
        let mut command = command_of(&words);
        self.removed.iter().for_each(|name| {
            command.env_remove(name);
        });
        if let Harness::Rustdoc(call) = &binary.harness {
            command.envs(&self.shared);
            command.current_dir(&call.directory).args(&call.arguments);
            // The search path for programs is ours, with the directories that are added for tests.
            let is_kept = |(name, _): &&(OsString, OsString)| name != "PATH" || LIBRARY_PATH == "PATH";
            command.envs(call.variables.iter().filter(is_kept).cloned());
            return command;
        }
        command.current_dir(binary.package.directory());
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
        let mut command = self.command_by(&self.debugger, &own.test.binary);
        match &own.test.form {
            Form::One => command.args(libtest::run_arguments(&own.test.name, &own.test.ignore)),
            Form::Doc(words) => command.args(doc_tests::run_arguments(words, &own.test.ignore)),
            Form::Whole => &mut command,
        };
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

/// The first word is the program.
fn command_of(words: &[OsString]) -> Command {
    let (program, arguments) = words.split_first().unzip();
    let mut command = Command::new(program.map_or(OsStr::new(""), OsString::as_os_str));
    command.args(arguments.into_iter().flatten());
    command
}

/// Variables of the runner that would mislead a test: those of its own package, and libtest's
/// switches, which change its output.
fn removed() -> Vec<String> {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let switches = names.filter(|name| name.starts_with("RUST_TEST_"));
    cargo::variables_about_us().into_iter().chain(switches).collect()
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

/// The search path for programs: directories added for the tests, then those of cargo's
/// configuration or the inherited ones.
fn program_path(workspace: &Workspace, given: Option<&OsString>) -> OsString {
    let inherited = given.cloned().or_else(|| std::env::var_os("PATH"));
    let inherited = inherited.unwrap_or_default();
    let tools = Some(workspace.tools()).filter(|tools| tools.is_dir());
    let directories = tools.into_iter().chain(std::env::split_paths(&inherited));
    std::env::join_paths(directories).unwrap_or(inherited)
}

/// The search path for dynamic libraries as cargo sets it, then the inherited one (on Windows that
/// is PATH, to which tools may have been added).
fn library_path(workspace: &Workspace, build: &Build, given: Option<&OsString>) -> OsString {
    let mut directories: Vec<PathBuf> = Vec::new();
    let linked = build
        .tests
        .iter()
        .filter(|binary| !matches!(binary.harness, Harness::Rustdoc(_)));
    for executable in linked.map(|binary| &binary.executable) {
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
            None => compiler_libraries(&workspace.directory),
        });
    }
    let inherited = given
        .cloned()
        .or_else(|| std::env::var_os(LIBRARY_PATH))
        .unwrap_or_default();
    directories.extend(std::env::split_paths(&inherited).filter(|path| !path.as_os_str().is_empty()));
    std::env::join_paths(directories).unwrap_or(inherited)
}
