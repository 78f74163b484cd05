//! The results of a cargo build, parsed from its messages.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

use super::Said;
use super::diagnostics::{Diagnostic, Diagnostics};
use super::doc_tests::RustdocCall;
use super::platform::Platform;
use crate::base::compile_error::CompileError;
use crate::workspace::metadata::{Package, Workspace};

/// The results of one `cargo build`.
#[derive(Debug, Default, Clone)]
pub(crate) struct Build {
    /// The test binaries, in cargo's order of packages and targets.
    pub(crate) tests: Vec<Arc<TestBinary>>,
    /// The ordinary binaries of the workspace, by name.
    pub(crate) bins: BTreeMap<String, PathBuf>,
    /// The same, by package id and name: two packages may have binaries of the same name.
    pub(crate) bins_of: BTreeMap<String, BTreeMap<String, PathBuf>>,
    /// What build scripts set for their packages (`cargo::rustc-env`), by package id.
    pub(crate) variables: BTreeMap<String, Vec<(String, String)>>,
    /// Whether a test of a procedural macro is among them, which needs libraries of the compiler.
    pub(crate) has_macros: bool,
    /// Directories of dynamic libraries that build scripts requested.
    pub(crate) linked_paths: Vec<PathBuf>,
    /// `OUT_DIR`, by package id.
    pub(crate) out_dirs: BTreeMap<String, PathBuf>,
    /// The calls of rustdoc that would test documentation.
    pub(crate) rustdoc_calls: Vec<RustdocCall>,
    /// The examples, which tests may run.
    pub(crate) examples: Vec<PathBuf>,
    /// Dynamic libraries of packages, which binaries may load when they start.
    pub(crate) libraries: Vec<PathBuf>,
    /// The errors of the compiler.
    pub(crate) compile_errors: Vec<CompileError>,
}

/// One executable full of tests.
#[derive(Debug)]
pub(crate) struct TestBinary {
    pub(crate) package: Arc<Package>,
    /// `suite` for a test target; `bin/NAME` for the tests of a binary and `example/NAME` for those
    /// of an example, because the library may have the same name. A test target with the library's
    /// name is `test/NAME`. The doc tests of a library are `doc/NAME`.
    pub(crate) target: String,
    /// For doc tests it is rustdoc.
    pub(crate) executable: PathBuf,
    /// The root source file of the target.
    pub(crate) source: PathBuf,
    pub(crate) harness: Harness,
    pub(crate) platform: Platform,
}

/// The `main` of a test binary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Harness {
    /// The one that rustc links.
    Libtest,
    /// Its own (`harness = false`). It may or may not speak libtest's protocol.
    Custom,
    /// That of rustdoc, which also builds the tests.
    Rustdoc(Box<RustdocCall>),
}

impl TestBinary {
    /// `package::target`, unique within the workspace.
    pub(crate) fn id(&self) -> String {
        format!("{}::{}", self.package.name, self.target)
    }

    /// Whether it is an integration test. Only these get the paths of binaries.
    pub(crate) fn is_integration(&self) -> bool {
        match self.target.split_once('/') {
            Some((table, _)) => table == "test",
            None => !self.package.has_library(&self.target),
        }
    }
}

/// The messages of `--message-format=json` that matter here.
#[derive(Deserialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
enum Message {
    CompilerArtifact(Artifact),
    #[serde(rename = "compiler-message")]
    Diagnostic {
        message: Diagnostic,
    },
    BuildScriptExecuted {
        package_id: String,
        linked_paths: Vec<String>,
        env: Vec<(String, String)>,
        out_dir: PathBuf,
    },
    #[serde(rename = "universe-rustdoc-call")]
    Rustdoc {
        call: RustdocCall,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Artifact {
    package_id: String,
    target: Target,
    profile: Profile,
    executable: Option<PathBuf>,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
    src_path: PathBuf,
}

#[derive(Deserialize)]
struct Profile {
    test: bool,
}

/// Reads all of cargo's messages.
pub(super) async fn collect(
    stream: Option<impl AsyncRead + Unpin>,
    workspace: &Workspace,
    said: &Said,
) -> Build {
    let (mut build, mut diagnostics) = (Build::default(), Diagnostics::default());
    let Some(stream) = stream else { return build };
    let mut lines = BufReader::new(stream).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        // Other text on cargo's stdout is ignored.
        match serde_json::from_str(&line) {
            Ok(Message::Diagnostic { message }) => {
                diagnostics
                    .take(message)
                    .iter()
                    .for_each(|text| said.interject(text));
            }
            Ok(message) => build.add(message, workspace),
            Err(_) => {}
        }
    }
    build.tests.sort_by_key(|binary| binary.id());
    build.compile_errors = diagnostics.into_errors();
    build
}

impl Build {
    fn add(&mut self, message: Message, workspace: &Workspace) {
        match message {
            Message::CompilerArtifact(artifact) => self.add_artifact(artifact, workspace),
            Message::BuildScriptExecuted {
                package_id,
                linked_paths,
                env,
                out_dir,
            } => {
                self.variables.insert(package_id.clone(), env);
                self.linked_paths
                    .extend(linked_paths.iter().map(|path| search_path(path)));
                self.out_dirs.insert(package_id, out_dir);
            }
            Message::Rustdoc { call } => self.rustdoc_calls.push(call),
            Message::Diagnostic { .. } | Message::Other => {}
        }
    }

    fn add_artifact(&mut self, artifact: Artifact, workspace: &Workspace) {
        let Artifact {
            package_id,
            target,
            profile,
            executable,
            filenames,
        } = artifact;
        if target.is_dynamic() {
            self.libraries.extend(filenames);
        }
        let Some(executable) = executable else {
            return;
        };
        let Some(package) = workspace.packages.get(&package_id) else {
            return;
        };
        let is = |wanted: &str| target.kind.iter().any(|kind| kind == wanted);
        if profile.test {
            self.has_macros |= is("proc-macro");
            let binary = TestBinary {
                target: target.id(package),
                package: Arc::clone(package),
                executable,
                harness: package.harness(target.table(), &target.name),
                platform: match is("proc-macro") {
                    true => Platform::Host,
                    false => Platform::Target,
                },
                source: target.src_path,
            };
            self.tests.push(Arc::new(binary));
        } else if is("bin") {
            let own = self.bins_of.entry(package_id).or_default();
            own.insert(target.name.clone(), executable.clone());
            self.bins.insert(target.name, executable);
        } else if is("example") {
            self.examples.push(executable);
        }
    }
}

impl Target {
    /// Unique within its package.
    fn id(&self, package: &Package) -> String {
        match self.table() {
            "lib" => self.name.clone(),
            "test" if !package.has_library(&self.name) => self.name.clone(),
            kind => format!("{kind}/{}", self.name),
        }
    }

    /// Whether other binaries may load it when they start. The compiler loads procedural macros.
    fn is_dynamic(&self) -> bool {
        self.kind.iter().any(|kind| kind == "dylib" || kind == "cdylib")
    }

    /// The table of the manifest that describes it.
    fn table(&self) -> &'static str {
        let kind = self.kind.first().map_or("lib", String::as_str);
        let tables = ["bin", "test", "example", "bench"].into_iter();
        tables.into_iter().find(|table| *table == kind).unwrap_or("lib")
    }
}

/// `native=/some/path` → `/some/path`.
fn search_path(linked: &str) -> PathBuf {
    let path = linked.split_once('=').map_or(linked, |(_, path)| path);
    Path::new(path).to_path_buf()
}
