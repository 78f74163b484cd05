//! Cargo as a child: its command line, its environment, and what it built.
//!
//! Decides neither which features to build nor what to do with the binaries.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;

use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};
use xshell::{Cmd, Shell};

use crate::capability::FuseMode;
use crate::exit::{Exit, Stop};
use crate::interrupt::Interrupts;
use crate::workspace::{Package, Workspace};

/// Of what cargo wrote to stderr, this much of the end goes into the report of a failed build.
const BUILD_OUTPUT_LEN_MAX: usize = 64 * 1024;

/// The options that a subcommand hands on to cargo.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Build")]
pub(crate) struct BuildArgs {
    /// Build and run the tests with optimisation
    #[arg(long, short)]
    pub(crate) release: bool,
    /// Build with FUSE and run the tests that need it
    #[arg(
        long,
        value_name = "WHEN",
        value_enum,
        default_value_t,
        env = "XTASK_TEST_FUSE"
    )]
    pub(crate) fuse: FuseMode,
    /// Fail if Cargo.lock would have to change
    #[arg(long)]
    pub(crate) locked: bool,
    /// Do not touch the network
    #[arg(long)]
    pub(crate) offline: bool,
    /// Work on the workspace of this Cargo.toml instead of the one around the current directory
    #[arg(long, value_name = "PATH")]
    pub(crate) manifest_path: Option<PathBuf>,
}

/// What one `cargo build` left behind.
#[derive(Debug, Default)]
pub(crate) struct Build {
    /// The test binaries, in cargo's order of packages and targets.
    pub(crate) tests: Vec<Arc<TestBinary>>,
    /// The ordinary binaries of the workspace, by name.
    pub(crate) bins: BTreeMap<String, PathBuf>,
    /// Where dynamic libraries may lie that build scripts asked for.
    pub(crate) linked_paths: Vec<PathBuf>,
    /// `OUT_DIR`, by package id.
    pub(crate) out_dirs: BTreeMap<String, PathBuf>,
}

/// One executable full of tests.
#[derive(Debug)]
pub(crate) struct TestBinary {
    pub(crate) package: Arc<Package>,
    /// `suite`; unit tests of a binary are `bin/NAME`, as its library may have the same name.
    pub(crate) target: String,
    pub(crate) executable: PathBuf,
    /// The root source file of the target.
    pub(crate) source: PathBuf,
}

impl TestBinary {
    /// `package::target`, unique within the workspace.
    pub(crate) fn id(&self) -> String {
        format!("{}::{}", self.package.name, self.target)
    }
}

/// `cargo` with the variables removed that `cargo run` gave to us: build scripts watch some of them, and would run
/// again each time somebody alternates `cargo check` and `cargo xtask`.
pub(crate) fn command(sh: &Shell) -> Cmd<'_> {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = sh.cmd(program);
    for name in variables_of_cargo_run() {
        command = command.env_remove(name);
    }
    command
}

/// The variables in our environment that describe xtask's own package and build.
pub(crate) fn variables_of_cargo_run() -> Vec<String> {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    names.filter(|name| describes_a_package(name)).collect()
}

fn describes_a_package(name: &str) -> bool {
    const NAMES: [&str; 6] = [
        "CARGO_MANIFEST_DIR",
        "CARGO_MANIFEST_PATH",
        "CARGO_CRATE_NAME",
        "CARGO_BIN_NAME",
        "CARGO_PRIMARY_PACKAGE",
        "OUT_DIR",
    ];
    NAMES.contains(&name)
        || ["CARGO_PKG_", "CARGO_BIN_EXE_"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
}

/// What to build.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Selection<'a> {
    /// Every binary and every test of the workspace but xtask (Windows cannot overwrite a running executable), with
    /// these features, given as `package/feature`.
    Tests { features: &'a [String] },
    /// Some binaries of one package, with these features, given as `package/feature`.
    Binaries {
        package: &'a str,
        names: &'a [&'a str],
        features: &'a [String],
    },
}

/// Builds all that is selected in one go. What cargo says goes to our stderr as it comes.
pub(crate) async fn build(
    workspace: &Workspace,
    selection: Selection<'_>,
    args: &BuildArgs,
    interrupts: &mut Interrupts,
) -> Result<Build, Stop> {
    let mut child = spawn(build_command(workspace, selection, args)?)?;
    let group = child.id();
    let mut stderr = Vec::new();
    let output = async {
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let (built, ()) = tokio::join!(collect(out, workspace), tee(err, &mut stderr));
        (child.wait().await, built)
    };
    let (status, built) = tokio::select! {
        ended = output => ended,
        signal = interrupts.next() => {
            crate::os::kill_group(group, crate::os::Kill::Now);
            return Err(signal.stop());
        }
    };
    match status {
        Ok(status) if status.success() => Ok(built),
        Ok(status) => Err(failure(status, &stderr)),
        Err(error) => Err(Stop::new(
            Exit::BuildFailed,
            "build",
            format!("could not wait for cargo: {error}"),
        )),
    }
}

fn build_command(workspace: &Workspace, selection: Selection<'_>, args: &BuildArgs) -> Result<Command, Stop> {
    let sh = Shell::new().map_err(anyhow::Error::from)?;
    let flags = [
        (args.release, "--release"),
        (args.locked, "--locked"),
        (args.offline, "--offline"),
    ];
    let command = command(&sh)
        .args([
            "build",
            "--message-format=json-render-diagnostics",
            "--manifest-path",
        ])
        .arg(workspace.root.join("Cargo.toml"))
        .args(selection.arguments(workspace))
        .args(flags.iter().filter(|(on, _)| *on).map(|(_, flag)| flag));
    let mut command = Command::from(std::process::Command::from(command));
    command
        .current_dir(&workspace.root)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if crate::console::stderr_is_a_terminal() {
        command
            .env("CARGO_TERM_PROGRESS_WHEN", "always")
            .env("CARGO_TERM_PROGRESS_WIDTH", "100");
        command.env(
            "CARGO_TERM_COLOR",
            if crate::console::colours() {
                "always"
            } else {
                "never"
            },
        );
    }
    crate::os::own_group(&mut command);
    command.kill_on_drop(true);
    Ok(command)
}

impl Selection<'_> {
    fn arguments(self, workspace: &Workspace) -> Vec<String> {
        let mut arguments = match self {
            Selection::Tests { .. } => vec!["--workspace", "--bins", "--tests"],
            Selection::Binaries { package, .. } => vec!["--package", package],
        };
        if let Selection::Binaries { names, .. } = self {
            arguments.extend(names.iter().flat_map(|name| ["--bin", name]));
        }
        // It is no member when the runner's own tests run it on a fixture.
        let this = env!("CARGO_PKG_NAME");
        if matches!(self, Selection::Tests { .. }) && workspace.contains(this) {
            arguments.extend(["--exclude", this]);
        }
        let (Selection::Tests { features } | Selection::Binaries { features, .. }) = self;
        let features = features.iter().map(|feature| format!("--features={feature}"));
        arguments.into_iter().map(str::to_owned).chain(features).collect()
    }
}

fn spawn(mut command: Command) -> Result<Child, Stop> {
    command.spawn().map_err(|error| {
        let program = command.as_std().get_program().display().to_string();
        Stop::new(
            Exit::SetupFailed,
            "setup",
            format!("could not start `{program}`: {error}"),
        )
    })
}

/// Hands cargo's stderr on to ours and keeps the end of it.
async fn tee(stream: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>) {
    let Some(mut stream) = stream else { return };
    let mut buffer = vec![0; 16 * 1024];
    let mut terminal = std::io::stderr();
    while let Ok(len @ 1..) = stream.read(&mut buffer).await {
        let chunk = buffer.get(..len).unwrap_or_default();
        terminal.write_all(chunk).ok();
        kept.extend_from_slice(chunk);
        let excess = kept.len().saturating_sub(BUILD_OUTPUT_LEN_MAX);
        kept.drain(..excess);
    }
}

fn failure(status: ExitStatus, stderr: &[u8]) -> Stop {
    let text = crate::console::plain_text(stderr);
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("Building ["));
    let detail = lines.collect::<Vec<_>>().join("\n");
    let first = detail
        .lines()
        .find(|line| line.starts_with("error"))
        .unwrap_or("see cargo's output");
    let message = format!("the build failed ({status}): {first}");
    Stop {
        exit: Exit::BuildFailed,
        kind: "build",
        message,
        detail,
    }
}

/// The messages of `--message-format=json` that matter here.
#[derive(Deserialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
enum Message {
    CompilerArtifact(Artifact),
    BuildScriptExecuted {
        package_id: String,
        linked_paths: Vec<String>,
        out_dir: PathBuf,
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

/// Reads cargo's messages to their end.
async fn collect(stream: Option<impl AsyncRead + Unpin>, workspace: &Workspace) -> Build {
    let mut build = Build::default();
    let Some(stream) = stream else { return build };
    let mut lines = BufReader::new(stream).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        // Anything else on cargo's stdout is not ours to judge.
        if let Ok(message) = serde_json::from_str(&line) {
            build.add(message, workspace);
        }
    }
    build.tests.sort_by_key(|binary| binary.id());
    build
}

impl Build {
    fn add(&mut self, message: Message, workspace: &Workspace) {
        match message {
            Message::CompilerArtifact(artifact) => self.add_artifact(artifact, workspace),
            Message::BuildScriptExecuted {
                package_id,
                linked_paths,
                out_dir,
            } => {
                self.linked_paths
                    .extend(linked_paths.iter().map(|path| search_path(path)));
                self.out_dirs.insert(package_id, out_dir);
            }
            Message::Other => {}
        }
    }

    fn add_artifact(&mut self, artifact: Artifact, workspace: &Workspace) {
        let Artifact {
            package_id,
            target,
            profile,
            executable: Some(executable),
        } = artifact
        else {
            return;
        };
        let Some(package) = workspace.packages.get(&package_id) else {
            return;
        };
        let is_bin = target.kind.iter().any(|kind| kind == "bin");
        if profile.test {
            let name = if is_bin {
                format!("bin/{}", target.name)
            } else {
                target.name
            };
            let package = Arc::clone(package);
            let binary = TestBinary {
                package,
                target: name,
                executable,
                source: target.src_path,
            };
            self.tests.push(Arc::new(binary));
        } else if is_bin {
            self.bins.insert(target.name, executable);
        }
    }
}

/// `native=/some/path` → `/some/path`.
fn search_path(linked: &str) -> PathBuf {
    let path = linked.split_once('=').map_or(linked, |(_, path)| path);
    Path::new(path).to_path_buf()
}
