//! Cargo as a child process: its command line, its environment, and the build's results.
//!
//! Decides neither which features to build nor what to do with the binaries.

mod build;
mod cfg;
mod diagnostics;
pub(crate) mod doc_tests;
pub(crate) mod platform;
mod selection;
pub(crate) mod settings;
mod targets;
pub(crate) mod test_runner;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use xshell::{Cmd, Shell};

use crate::base::compile_error::CompileError;
use crate::base::disarm::PassedOn;
use crate::base::exit::{Exit, Stop};
use crate::base::failure_kind::FailureKind;
use crate::base::interrupt::Interrupts;
use crate::base::limits::BUILD_OUTPUT_LEN_MAX;
use crate::base::terminal::{Colour, stderr_is_a_terminal};
use crate::base::text::plain_line;
use crate::sandbox::build_guard::{Line, guarded};
use crate::workspace::metadata::Workspace;
use build::collect;
pub(crate) use build::{Build, Harness, TestBinary};
pub use doc_tests::DocTestArgs;
use doc_tests::DocTests;
use platform::Compiler;
pub use selection::{BuildArgs, Selection};
use settings::Settings;

/// `cargo` without the variables that `cargo run` set for this process: build scripts watch some of
/// them, and would run again whenever a person alternates `cargo check` and an xtask.
pub fn command(sh: &Shell) -> Cmd<'_> {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = sh.cmd(program);
    for name in variables_about_us() {
        command = command.env_remove(name);
    }
    command
}

/// The variables in our environment that cargo set only because it started this program.
pub(crate) fn variables_about_us() -> Vec<String> {
    let mut names = variables_of_cargo_run();
    names.extend(settings::set_by_cargo().iter().cloned());
    names
}

/// The variables in our environment that describe xtask's own package and build.
pub fn variables_of_cargo_run() -> Vec<String> {
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

/// The directory of the libraries with which a test of a procedural macro is linked.
pub(crate) fn compiler_libraries(directory: &Path) -> Option<PathBuf> {
    let settings = Settings::read(directory);
    let answer = Compiler::new(&settings, directory).ask(&["--print", "target-libdir"]);
    answer.ok().map(PathBuf::from)
}

/// Builds everything selected with one command. Cargo's messages appear on our stderr as they
/// arrive.
pub(crate) async fn build(
    workspace: &Workspace,
    selection: Selection<'_>,
    args: &BuildArgs,
    interrupts: &mut Interrupts,
) -> Result<Build, Stop> {
    Cargo::start(workspace, selection, args)?
        .finish(workspace, interrupts)
        .await
}

/// Cargo at work. On Linux it ends if this is dropped; elsewhere it ends by itself.
#[derive(Debug)]
struct Cargo {
    child: Child,
    line: Line,
    shown: Shown,
}

impl Cargo {
    fn start(workspace: &Workspace, selection: Selection<'_>, args: &BuildArgs) -> Result<Cargo, Stop> {
        let (command, line) = build_command(workspace, selection, args)?;
        let shown = match selection {
            Selection::DocTests { .. } => Shown::WithoutStatus,
            Selection::Tests { .. } | Selection::Binaries { .. } => Shown::All,
        };
        let child = spawn(command)?;
        Ok(Cargo { child, line, shown })
    }

    /// Ends it, and waits for its end.
    async fn end(mut self) {
        self.line.cut(self.child.id());
        self.child.wait().await.ok();
    }

    /// Shows what it says, and waits for it.
    async fn finish(self, workspace: &Workspace, interrupts: &mut Interrupts) -> Result<Build, Stop> {
        let Cargo {
            mut child,
            line,
            shown,
        } = self;
        let group = child.id();
        let said = Said::new();
        let output = async {
            let (out, err) = (child.stdout.take(), child.stderr.take());
            let shown = tee(err, &said, shown);
            let (built, ()) = tokio::join!(collect(out, workspace, &said), shown);
            (child.wait().await, built)
        };
        let (status, built) = tokio::select! {
            ended = output => ended,
            signal = interrupts.next() => {
                line.cut(group);
                child.wait().await.ok();
                return Err(signal.stop());
            }
        };
        match status {
            Ok(status) if status.success() => Ok(built),
            Ok(status) => Err(failure(status, &said.kept(), built.compile_errors)),
            Err(error) => Err(Stop::new(
                Exit::BuildFailed,
                FailureKind::Build,
                format!("could not wait for cargo: {error}"),
            )),
        }
    }
}

/// A build of all tests with one command. Another one asks cargo how it would run doc tests, unless
/// there can't be any.
#[derive(Debug)]
pub(crate) struct Building {
    features: Vec<String>,
    /// `None` if only doc tests run.
    tests: Option<Cargo>,
    /// The packages that have doc tests, by id.
    documented: JoinHandle<Vec<String>>,
}

impl Building {
    /// Starts the first command, inside a runtime.
    ///
    /// # Errors
    /// When cargo cannot be started.
    pub(crate) fn start(
        workspace: &Workspace,
        features: &[String],
        args: &BuildArgs,
    ) -> Result<Building, Stop> {
        let selection = Selection::Tests { features };
        let tests = match args.doc_tests_wanted() {
            DocTests::Only => None,
            DocTests::With | DocTests::Without => Some(Cargo::start(workspace, selection, args)?),
        };
        Ok(Building {
            features: features.to_vec(),
            tests,
            documented: tokio::task::spawn_blocking(args.documented(workspace)),
        })
    }

    /// Ends it, and waits for its end.
    pub(crate) async fn end(self) {
        if let Some(cargo) = self.tests {
            cargo.end().await;
        }
    }

    /// Waits for what it builds. `workspace` and `args` are those of the start.
    ///
    /// # Errors
    /// When the build fails or is interrupted.
    pub(crate) async fn finish(
        self,
        workspace: &Workspace,
        args: &BuildArgs,
        interrupts: &mut Interrupts,
    ) -> Result<Build, Stop> {
        let features = &*self.features;
        let mut built = match self.tests {
            None => Build::default(),
            Some(cargo) => cargo.finish(workspace, interrupts).await?,
        };
        let documented = self.documented.await.map_err(anyhow::Error::from)?;
        if !documented.is_empty() {
            let asked = build(workspace, Selection::DocTests { features }, args, interrupts).await?;
            built.add_doc_tests(asked.rustdoc_calls, workspace, &documented);
        }
        Ok(built)
    }
}

/// Cargo with its streams, and the line that holds it.
fn build_command(
    workspace: &Workspace,
    selection: Selection<'_>,
    args: &BuildArgs,
) -> Result<(Command, Line), Stop> {
    let sh = Shell::new().map_err(anyhow::Error::from)?;
    let command = command(&sh)
        .args(selection.subcommand())
        .args([diagnostics::message_format(), "--manifest-path"])
        .arg(workspace.root.join("Cargo.toml"))
        .args(selection.arguments(workspace, args));
    let mut command = std::process::Command::from(command);
    command.current_dir(&workspace.directory);
    if let Selection::DocTests { .. } = selection {
        command.envs(doc_tests::variables(workspace));
    } else if stderr_is_a_terminal() {
        command
            .env("CARGO_TERM_PROGRESS_WHEN", "always")
            .env("CARGO_TERM_PROGRESS_WIDTH", "100");
    }
    // Its stderr is a pipe to us, where cargo by itself would not colour.
    if stderr_is_a_terminal() || Colour::chosen() != Colour::Auto {
        let colour = match Colour::chosen().applies(stderr_is_a_terminal) {
            true => "always",
            false => "never",
        };
        command.env("CARGO_TERM_COLOR", colour);
    }
    let (command, line) = guarded(&command).map_err(anyhow::Error::from)?;
    let mut command = Command::from(command);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    crate::base::os::own_group(&mut command);
    Ok((command, line))
}

fn spawn(mut command: Command) -> Result<Child, Stop> {
    command.spawn().map_err(|error| {
        let program = command.as_std().get_program().display().to_string();
        Stop::new(
            Exit::SetupFailed,
            FailureKind::Setup,
            format!("could not start `{program}`: {error}"),
        )
    })
}

/// What of cargo's stderr is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    All,
    /// Cargo is only asked how it calls rustdoc: nothing runs yet, and the build is over already.
    WithoutStatus,
}

/// Whether a line says that cargo calls rustdoc, or that the build is over.
fn is_status(line: &str) -> bool {
    let line = plain_line(line);
    let line = line.trim_start();
    line.starts_with("Doc-tests ") || line.starts_with("Finished `")
}

/// Copies cargo's stderr to ours.
async fn tee(stream: Option<impl AsyncRead + Unpin>, said: &Said, shown: Shown) {
    let Some(mut stream) = stream else { return };
    if shown == Shown::WithoutStatus {
        let mut lines = BufReader::new(stream).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            if !is_status(&line) {
                said.push(format!("{line}\n").as_bytes());
            }
        }
        return said.finish();
    }
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(len @ 1..) = stream.read(&mut buffer).await {
        said.push(buffer.get(..len).unwrap_or_default());
    }
    said.finish();
}

/// What cargo and rustc say to a person: it goes to our stderr, and the end of it is kept.
struct Said {
    shown: Mutex<PassedOn<std::io::Stderr>>,
    kept: Mutex<Vec<u8>>,
}

// If our standard error is closed, there is no way to report that.
impl Said {
    fn new() -> Said {
        Said {
            shown: Mutex::new(PassedOn::to_stderr()),
            kept: Mutex::default(),
        }
    }

    /// Cargo says something, perhaps a part of a line.
    fn push(&self, chunk: &[u8]) {
        lock(&self.shown).push(chunk).ok();
        keep_end(&mut lock(&self.kept), chunk);
    }

    /// Rustc says something, in whole lines.
    fn interject(&self, lines: &str) {
        lock(&self.shown).interject(lines.as_bytes()).ok();
        keep_end(&mut lock(&self.kept), lines.as_bytes());
    }

    fn finish(&self) {
        lock(&self.shown).finish().ok();
    }

    fn kept(&self) -> Vec<u8> {
        lock(&self.kept).clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Appends to the kept text, of which only the end stays.
fn keep_end(kept: &mut Vec<u8>, chunk: &[u8]) {
    kept.extend_from_slice(chunk);
    let excess = kept.len().saturating_sub(BUILD_OUTPUT_LEN_MAX);
    kept.drain(..excess);
}

fn failure(status: ExitStatus, stderr: &[u8], compile_errors: Vec<CompileError>) -> Stop {
    let text = crate::base::text::report_text(stderr);
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("Building ["));
    let detail = lines.collect::<Vec<_>>().join("\n");
    let first = match compile_errors.first() {
        Some(error) => error.headline(),
        None => headline(&detail),
    };
    let message = format!("the build failed ({status}): {first}");
    Stop {
        detail,
        compile_errors,
        ..Stop::new(Exit::BuildFailed, FailureKind::Build, message)
    }
}

/// The error that cargo reports, with the one of rustc that caused it, if there is one.
fn headline(text: &str) -> String {
    let mut lines = text.lines().skip_while(|line| !line.starts_with("error"));
    let Some(first) = lines.next() else {
        return "see cargo's output".to_owned();
    };
    let causes = lines.filter(|line| line.starts_with(' '));
    let cause = causes
        .filter_map(|line| line.trim_start().strip_prefix("error: "))
        .next();
    cause.map_or_else(|| first.to_owned(), |cause| format!("{first}: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_headline_of_a_failed_build_names_the_cause() {
        let text = "  Compiling a\nerror: failed to ask `rustc`\n\nCaused by:\n  --- stderr\n  error: no such platform\n";
        assert_eq!(headline(text), "error: failed to ask `rustc`: no such platform");
        assert_eq!(headline("error[E1]: one\nerror: two\n"), "error[E1]: one");
        assert_eq!(headline(""), "see cargo's output");
    }

    #[test]
    fn the_status_of_a_call_of_rustdoc_is_known_in_colours_too() {
        for line in [
            "   Doc-tests a",
            "\x1b[1m\x1b[92m   Doc-tests\x1b[0m a",
            "\x1b[1m\x1b[92m    Finished\x1b[0m `test` profile [unoptimized]",
        ] {
            assert!(is_status(line), "{line:?}");
        }
        for line in ["   Compiling a v0.1.0", "1 | println!(\"Doc-tests a\");", ""] {
            assert!(!is_status(line), "{line:?}");
        }
    }

    #[test]
    fn the_end_of_a_long_build_log_is_kept() {
        let mut kept = Vec::new();
        keep_end(&mut kept, &[b'a'; BUILD_OUTPUT_LEN_MAX]);
        assert_eq!(kept, [b'a'; BUILD_OUTPUT_LEN_MAX]);
        keep_end(&mut kept, b"b");
        assert_eq!((kept.len(), kept.last()), (BUILD_OUTPUT_LEN_MAX, Some(&b'b')));
    }
}
