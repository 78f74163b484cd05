//! The runs whose reports are read: of the fixture, and of a package that does not build.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, bail, ensure};
use cargo_universe::base::this_program;
use cargo_universe::report::junit::Dialect;
use cargo_universe::workspace::cargo;

use super::truth::{self, Expected};
use crate::chores::limits::SAMPLE_OUTPUT_LINES_MAX;

/// A report to be made: of one run, or of several as one.
pub(super) struct Sample {
    pub(super) name: String,
    /// The events of each run, and its label if there are several.
    runs: Vec<(Option<&'static str>, PathBuf)>,
}

/// A run of the fixture: its name, which tests, and the exit code.
type Spec = (&'static str, &'static [&'static str], i32);

const RUNS: [Spec; 3] = [
    ("green", &["good::"], 0),
    (
        "red",
        &[
            "bad::",
            "flaky::",
            "reported::",
            "leaks::",
            "skipped::",
            "--retries=1",
            "--count=3",
            "--timeout=5s",
        ],
        100,
    ),
    (
        "hostile",
        &[
            "hostile::",
            "--skip=starts_processes_without_end",
            "--count=2",
            "--timeout=5s",
        ],
        100,
    ),
];

/// One that passes and one that is running when the first has passed.
const INTERRUPTED: [&str; 4] = ["good::passes", "slow::hangs", "--exact", "--jobs=1"];

/// A package with two errors of the compiler.
const BROKEN: [(&str, &str); 2] = [
    (
        "Cargo.toml",
        "[workspace]\n[package]\nname = \"broken\"\nedition = \"2024\"\n",
    ),
    (
        "src/main.rs",
        "fn main() {\n    let number: u8 = \"it is 'text'\";\n    missing();\n}\n",
    ),
];

const NOT_STARTED: &str = "could not start this program again";

/// Runs them all.
///
/// # Errors
/// When a run does not end with the exit code that it should have.
pub(super) fn make(root: &Path, directory: &Path) -> anyhow::Result<Vec<Sample>> {
    let fixture = root.join("xtask").join("fixture").join("Cargo.toml");
    let events = |name: &str| directory.join(format!("{name}.ndjson"));
    let mut samples = Vec::new();
    for (name, words, code) in RUNS {
        run(&fixture, &events(name), words, code)?;
        samples.push(Sample::new(name, events(name)));
    }
    interrupt(&fixture, &events("interrupted"))?;
    samples.push(Sample::new("interrupted", events("interrupted")));
    cut(&events("red"), &events("killed"))?;
    samples.push(Sample::new("killed", events("killed")));
    run(&broken(directory)?, &events("failed build"), &[], 101)?;
    samples.push(Sample::new("failed build", events("failed build")));
    let merged = [
        ("linux", "red"),
        ("macos", "failed build"),
        ("windows-11.arm", "killed"),
    ];
    samples.push(Sample {
        name: "merged".to_owned(),
        runs: merged.map(|(label, name)| (Some(label), events(name))).into(),
    });
    Ok(samples)
}

fn test(manifest: &Path, events: &Path, words: &[&str]) -> Command {
    let mut command = this_program::command();
    for name in cargo::variables_of_cargo_run() {
        command.env_remove(name);
    }
    command.arg("test").args(words);
    command.arg("--manifest-path").arg(manifest);
    command.arg("--events").arg(events);
    command.stdin(Stdio::null());
    command
}

fn run(manifest: &Path, events: &Path, words: &[&str], code: i32) -> anyhow::Result<()> {
    let output = test(manifest, events, words).output().context(NOT_STARTED)?;
    let text = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    expect(output.status, code, &text.concat())
}

fn expect(status: ExitStatus, code: i32, output: &str) -> anyhow::Result<()> {
    let lines: Vec<&str> = output.lines().collect();
    let skipped = lines.len().saturating_sub(SAMPLE_OUTPUT_LINES_MAX);
    let end = lines.get(skipped..).unwrap_or_default().join("\n");
    ensure!(
        status.code() == Some(code),
        "a run ended with {status}, not with exit code {code}:\n{end}"
    );
    Ok(())
}

/// Ends a run as Ctrl-C does, when its first test has passed.
#[cfg(unix)]
fn interrupt(manifest: &Path, events: &Path) -> anyhow::Result<()> {
    use rustix::process::{Pid, Signal, kill_process};
    let mut child = test(manifest, events, &INTERRUPTED)
        .stdout(Stdio::piped())
        .spawn()
        .context(NOT_STARTED)?;
    let stdout = BufReader::new(child.stdout.take().context("it has no standard output")?);
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let pid = pid.context("its id is not an id")?;
    let mut text = String::new();
    for line in stdout.lines() {
        let line = line?;
        if line.starts_with("PASS") {
            kill_process(pid, Signal::INT)?;
        }
        text.push_str(&line);
        text.push('\n');
    }
    expect(child.wait()?, 130, &text)
}

#[cfg(not(unix))]
fn interrupt(_: &Path, _: &Path) -> anyhow::Result<()> {
    bail!("only on Unix can a run be interrupted by another program")
}

/// The events of a run that was killed: without its second half, and with one torn line.
fn cut(from: &Path, to: &Path) -> anyhow::Result<()> {
    let events = read(from)?;
    let starts = events.match_indices("\"type\":\"start\"").count();
    let Some((middle, _)) = events.match_indices("\"type\":\"start\"").nth(starts / 2) else {
        bail!("no test of `{}` started", from.display());
    };
    let end = events
        .get(middle..)
        .and_then(|rest| rest.find('\n'))
        .unwrap_or_default();
    let kept = events.get(..=middle + end).unwrap_or_default();
    std::fs::write(to, kept).with_context(|| format!("could not write `{}`", to.display()))
}

fn broken(directory: &Path) -> anyhow::Result<PathBuf> {
    let package = directory.join("broken");
    std::fs::create_dir_all(package.join("src"))?;
    for (name, text) in BROKEN {
        std::fs::write(package.join(name), text)?;
    }
    Ok(package.join("Cargo.toml"))
}

fn read(events: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(events).with_context(|| format!("could not read `{}`", events.display()))
}

/// A dialect on the command line.
pub(super) fn word(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Rich => "rich",
        Dialect::Jenkins => "jenkins",
    }
}

impl Sample {
    fn new(name: &str, events: PathBuf) -> Sample {
        Sample {
            name: name.to_owned(),
            runs: vec![(None, events)],
        }
    }

    /// A run whose events are in this file.
    pub(super) fn of_file(events: &Path) -> Sample {
        let name = events.file_stem().unwrap_or_default();
        Sample::new(&name.to_string_lossy(), events.to_path_buf())
    }

    /// Writes its report, and returns the path.
    ///
    /// # Errors
    /// When this program cannot make it.
    pub(super) fn report(&self, dialect: Dialect, directory: &Path) -> anyhow::Result<PathBuf> {
        let path = directory.join(format!("{}-{}.xml", self.name, word(dialect)));
        let mut command = this_program::command();
        command.arg("report");
        match self.runs.as_slice() {
            [(None, events)] => command.args(["junit", "--from"]).arg(events),
            runs => {
                command.args(["merge", "--label"]);
                command.args(
                    runs.iter()
                        .map(|(label, events)| format!("{}={}", label.unwrap_or_default(), events.display())),
                )
            }
        };
        command.args(["--dialect", word(dialect), "-o"]).arg(&path);
        let output = command.output().context(NOT_STARTED)?;
        let text = String::from_utf8_lossy(&output.stderr);
        expect(output.status, 0, &text)?;
        Ok(path)
    }

    /// What a reader should find in it.
    ///
    /// # Errors
    /// When the events cannot be read.
    pub(super) fn truth(&self, dialect: Dialect) -> anyhow::Result<Vec<Expected>> {
        let mut cases = Vec::new();
        for (label, events) in &self.runs {
            cases.extend(truth::of_run(&read(events)?, *label, dialect)?);
        }
        Ok(cases)
    }
}
