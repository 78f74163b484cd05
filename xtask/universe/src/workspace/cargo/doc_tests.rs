//! How cargo has doc tests run: the calls of rustdoc that `cargo test --doc` makes.
//!
//! Only cargo knows the features, dependencies, editions and flags of each of them. So it runs with
//! this program in the place of rustdoc, which prints the call as one more of cargo's messages and
//! starts nothing. The runner makes the call later, once for each test.
//!
//! Does not know which doc tests there are; rustdoc lists them.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::build::{Harness, TestBinary};
use super::platform::Platform;
use super::settings;
use crate::base::this_program;
use crate::workspace::cargo::{Build, BuildArgs};
use crate::workspace::doc_comments;
use crate::workspace::metadata::{Package, Workspace};

/// The variable that makes this program stand for rustdoc; its value is the real one.
const REAL: &str = "XTASK_RUSTDOC";

/// The variable by which cargo chooses rustdoc.
const CHOSEN: &str = "RUSTDOC";

/// The options that say whether doc tests run.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct DocTestArgs {
    /// Run the doc tests only
    #[arg(long, conflicts_with_all = ["no_doc", "lib", "bin", "bins", "test", "tests", "example", "examples", "bench", "benches", "all_targets"])]
    doc: bool,
    /// Run everything but the doc tests
    #[arg(long)]
    no_doc: bool,
}

/// Which tests to build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DocTests {
    /// All but the doc tests.
    Without,
    /// All, and the doc tests.
    With,
    /// The doc tests only.
    Only,
}

impl DocTestArgs {
    pub(super) fn wanted(&self) -> DocTests {
        match (self.doc, self.no_doc) {
            (true, _) => DocTests::Only,
            (false, true) => DocTests::Without,
            (false, false) => DocTests::With,
        }
    }

    /// The same for tests of which none is a doc test. A person who asks for doc tests still gets
    /// an answer about them.
    #[must_use]
    pub(crate) fn without(&self) -> DocTestArgs {
        DocTestArgs {
            no_doc: !self.doc,
            ..self.clone()
        }
    }

    /// Whether nothing else runs.
    pub(crate) fn is_only(&self) -> bool {
        self.doc
    }

    /// As a person types them.
    pub(super) fn words(&self) -> impl Iterator<Item = String> {
        let flags = [(self.doc, "--doc"), (self.no_doc, "--no-doc")];
        let flags = flags.into_iter().filter(|(on, _)| *on);
        flags.map(|(_, flag)| flag.to_owned())
    }
}

/// A call of rustdoc that tests the documentation of one library, as cargo makes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RustdocCall {
    pub(crate) arguments: Vec<OsString>,
    pub(crate) directory: PathBuf,
    /// The whole environment; later only the variables that cargo set.
    pub(crate) variables: Vec<(OsString, OsString)>,
}

/// The call as one of cargo's messages.
#[derive(Serialize)]
struct Message<'a> {
    reason: &'static str,
    call: &'a RustdocCall,
}

/// The `reason` of this message.
pub(super) const REASON: &str = "universe-rustdoc-call";

/// Takes the part of rustdoc, if the environment says so; `None` if it says nothing.
pub(crate) fn run_if_asked() -> Option<ExitCode> {
    let real = std::env::var_os(REAL)?;
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    if !arguments.iter().any(|argument| argument == "--test") {
        // A build script may ask rustdoc for its version.
        let status = Command::new(real).args(arguments).env_remove(REAL).status();
        let code = status.ok().and_then(|status| u8::try_from(status.code()?).ok());
        return Some(code.map_or(ExitCode::FAILURE, ExitCode::from));
    }
    let printed = std::env::current_dir().and_then(|directory| {
        let call = RustdocCall {
            arguments,
            directory,
            variables: std::env::vars_os().collect(),
        };
        print(&call)
    });
    Some(match printed {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // If standard error is closed, there is no way to report it.
            writeln!(io::stderr(), "error: could not record a call of rustdoc: {error}").ok();
            ExitCode::FAILURE
        }
    })
}

fn print(call: &RustdocCall) -> io::Result<()> {
    let mut line = serde_json::to_vec(&Message { reason: REASON, call })?;
    line.push(b'\n');
    io::stdout().write_all(&line)
}

/// The variables with which cargo calls this program instead of rustdoc.
pub(super) fn variables(workspace: &Workspace) -> [(&'static str, OsString); 2] {
    [
        (CHOSEN, this_program::path_for_others().into_os_string()),
        (REAL, program(&workspace.directory)),
    ]
}

/// The rustdoc that cargo would call: by its variables, its configuration, or its name.
fn program(root: &Path) -> OsString {
    let given = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    given(CHOSEN)
        .map(|program| located(&program))
        .or_else(|| given("CARGO_BUILD_RUSTDOC").map(|program| located(&program)))
        .or_else(|| settings::rustdoc(root))
        .unwrap_or_else(|| CHOSEN.to_lowercase().into())
}

/// A path is relative to the directory of the person; a name is looked up.
fn located(program: &OsStr) -> OsString {
    let is_name = Path::new(program).components().count() == 1;
    match std::env::current_dir() {
        Ok(directory) if !is_name => directory.join(program).into_os_string(),
        Ok(_) | Err(_) => program.to_owned(),
    }
}

impl BuildArgs {
    /// Whether to run doc tests. As in cargo, a person who names targets means no doc tests.
    pub(super) fn doc_tests_wanted(&self) -> DocTests {
        match self.doc_tests.wanted() {
            DocTests::With if self.targets.are_named() => DocTests::Without,
            wanted => wanted,
        }
    }

    /// Whether all tests of the workspace run, doc tests and others.
    pub(crate) fn takes_all_tests(&self, workspace: &Workspace) -> bool {
        self.takes_all(workspace) && self.doc_tests_wanted() == DocTests::With
    }

    /// Whether there may be doc tests to run.
    pub(crate) fn has_doc_tests(&self, workspace: &Workspace) -> bool {
        !self.documented(workspace)().is_empty()
    }

    /// The libraries whose documentation is tested, by the ids of their packages. A library whose
    /// own sources contain no example is one only if a person asks for doc tests. The answer reads
    /// these sources, which takes a while.
    pub(super) fn documented(&self, workspace: &Workspace) -> impl FnOnce() -> Vec<String> + use<> {
        let wanted = self.doc_tests_wanted();
        let members: Vec<Arc<Package>> = self.members(workspace).into_iter().cloned().collect();
        let is_tested = move |package: &Arc<Package>| {
            let root = package.doc_tested_library();
            root.is_some_and(|root| match wanted {
                DocTests::Without => false,
                DocTests::Only => true,
                DocTests::With => doc_comments::may_have_examples(package.directory(), root),
            })
        };
        move || {
            let tested = members.iter().filter(|package| is_tested(package));
            tested.map(|package| package.id.clone()).collect()
        }
    }
}

impl Build {
    /// Adds the doc tests of these packages to the tests, one binary for each library.
    pub(super) fn add_doc_tests(&mut self, calls: Vec<RustdocCall>, workspace: &Workspace, ids: &[String]) {
        let program = program(&workspace.directory);
        let binaries = calls
            .into_iter()
            .filter_map(|call| call.binary(workspace, &program));
        let mut binaries: Vec<TestBinary> = binaries.collect();
        binaries.retain(|binary| ids.contains(&binary.package.id));
        binaries.sort_by_key(TestBinary::id);
        self.tests.extend(binaries.into_iter().map(Arc::new));
    }
}

impl RustdocCall {
    /// The library's doc tests, with rustdoc as their binary. `None` if no package of the workspace
    /// is concerned.
    fn binary(mut self, workspace: &Workspace, program: &OsStr) -> Option<TestBinary> {
        let mut variables = self.variables.iter();
        let (_, directory) = variables.find(|(name, _)| name == "CARGO_MANIFEST_DIR")?;
        let directory = Path::new(directory);
        let mut packages = workspace.packages.values();
        let package = Arc::clone(packages.find(|package| package.directory() == directory)?);
        let name = self.value_of("--crate-name")?.to_str()?.to_owned();
        let source = package.doc_tested_library()?.to_owned();
        self.arguments = plainly(self.arguments);
        self.variables.retain(|(name, value)| is_of_cargo(name, value));
        Some(TestBinary {
            package,
            target: format!("doc/{name}"),
            executable: PathBuf::from(program),
            source,
            harness: Harness::Rustdoc(Box::new(self)),
            platform: Platform::Host,
        })
    }

    fn value_of(&self, option: &str) -> Option<&OsStr> {
        let mut after = self.arguments.iter().skip_while(|argument| *argument != option);
        after.nth(1).map(OsString::as_os_str)
    }
}

/// Without the options by which cargo has messages printed for itself, as JSON and in colours.
fn plainly(arguments: Vec<OsString>) -> Vec<OsString> {
    let is_for_cargo = |argument: &OsString| {
        ["--error-format", "--color", "--json"]
            .iter()
            .any(|of| argument == of)
    };
    let mut plain = Vec::new();
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        match is_for_cargo(&argument) {
            true => drop(arguments.next()),
            false => plain.push(argument),
        }
    }
    plain
}

/// Whether cargo set this variable for the call, and not we for cargo.
fn is_of_cargo(name: &OsStr, value: &OsStr) -> bool {
    let is_ours = name == REAL || name == CHOSEN || name.as_encoded_bytes().starts_with(b"CARGO_TERM_");
    !is_ours && std::env::var_os(name).is_none_or(|inherited| inherited != value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_options_for_cargos_own_messages_are_left_out() {
        let words = "--crate-name a --color always --test src/lib.rs --error-format json -L dependency=d";
        let arguments = words.split(' ').map(OsString::from).collect();
        let plain = "--crate-name a --test src/lib.rs -L dependency=d";
        assert_eq!(plainly(arguments), plain.split(' ').collect::<Vec<_>>());
    }

    #[test]
    fn only_variables_that_cargo_adds_are_kept() {
        let kept = |name: &str, value: &str| is_of_cargo(OsStr::new(name), OsStr::new(value));
        let path = std::env::var("PATH").unwrap();
        assert!(kept("CARGO_PKG_NAME", "a b c") && kept("PATH", "/elsewhere"));
        for (name, value) in [
            ("PATH", path.as_str()),
            (REAL, "x"),
            (CHOSEN, "x"),
            ("CARGO_TERM_COLOR", "x y"),
        ] {
            assert!(!kept(name, value), "{name}");
        }
    }
}
