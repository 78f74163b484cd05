//! `cargo xtask compat`: the runner on well-known crates, compared with `cargo test`; and other
//! runners on this repository's suite.
//!
//! The published sources of the crates are unpacked below the target directory. Both runners must
//! find the same tests with the same outcomes; times are shown but not judged.

mod outcomes;
pub(crate) mod own;
mod sources;

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::path::Path;
use std::process::{Command, ExitCode, Output, Stdio};
use std::time::Duration;

use anyhow::Context;

use cargo_universe::base::clock;
use cargo_universe::base::exit::Exit;
use cargo_universe::base::os;
use cargo_universe::base::this_program;
use cargo_universe::runner::capabilities::detect_for;
use cargo_universe::runner::console::Console;
use cargo_universe::workspace::fuse_mode::FuseMode;
use cargo_universe::workspace::metadata::Workspace;
use outcomes::{Listed, Outcomes};
use sources::{Crate, Unpacked};

/// Crates with many tests, that build quickly and publish their tests: unit tests by the hundred
/// (memchr, heck), many integration tests (bytes, indexmap), tests that write files (walkdir), a
/// harness of its own (url), tests that should panic (arrayvec), many processes (assert_cmd,
/// async-process, duct), a server on a port (mini-redis), features that tests need (tokio-util,
/// tower-http).
const CRATES: [&str; 14] = [
    "arrayvec@0.7.8",
    "assert_cmd@2.2.2",
    "async-process@2.5.0",
    "bytes@1.12.2",
    "duct@1.1.2",
    "heck@0.5.0",
    "indexmap@2.14.2",
    "memchr@2.8.3",
    "mini-redis@0.4.1",
    "semver@1.0.28",
    "tokio-util@0.7.20:full",
    TOWER_HTTP,
    "url@2.5.8",
    "walkdir@2.5.1",
];

/// With all its features but `fs`, whose tests read a file that is not published.
const TOWER_HTTP: &str = concat!(
    "tower-http@0.7.1:add-extension,auth,catch-panic,compression-full,cors,csrf,decompression-full,",
    "follow-redirect,limit,map-request-body,map-response-body,metrics,normalize-path,on-early-drop,",
    "propagate-header,redirect,request-id,sensitive-headers,set-header,set-status,timeout,trace,util,",
    "validate-request",
);

/// Run the tests of well-known crates with `cargo test` and with this runner, and compare
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The crates, as `name@version` or `name@version:feature,feature` [default: some well-known
    /// ones]
    crates: Vec<Crate>,
    /// Run each this many times and take the shortest time
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Instead, run this workspace's suite with `cargo test` and, if it is installed, nextest: both
    /// must pass, and run every test without needs
    #[arg(long, conflicts_with_all = ["crates", "rounds"])]
    own: bool,
}

/// Where a runner starts, and where its build is, with which features.
#[derive(Debug, Clone, Copy)]
struct Place<'a> {
    directory: &'a Path,
    target: &'a Path,
    features: Option<&'a str>,
}

/// The result of one crate.
#[derive(Debug)]
struct Comparison {
    name: String,
    test_count: usize,
    doc_test_count: usize,
    differences: Vec<String>,
    cargo: Duration,
    ours: Duration,
    /// If it is installed and runs the tests.
    nextest: Option<Duration>,
    /// Why it does not run them.
    refused: Option<String>,
}

/// Fetches, compares, prints. Exit code 100 if anything differs.
///
/// # Errors
/// When a crate cannot be fetched, or one of the programs cannot be started.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let workspace = Workspace::load(None)?;
    if args.own {
        let capabilities = detect_for(&workspace, FuseMode::Auto)?;
        let features = workspace.features(&capabilities.features(&workspace.config));
        return own::check(&workspace, &features).map(|()| Exit::Success.into());
    }
    let directory = workspace.target_directory.join("xtask").join("compat");
    let crates = args.crates()?;
    let console = Console::new();
    let place = Place {
        directory: &workspace.root,
        target: &directory.join(sources::TARGET),
        features: None,
    };
    let rounds = Rounds {
        count: args.rounds,
        with_nextest: cargo(place, &["nextest", "--version"]).is_ok_and(|output| output.status.success()),
    };
    let mut equal = true;
    console.line(HEADER);
    for unpacked in sources::unpack(&crates, &directory)? {
        let place = Place {
            directory: &unpacked.directory,
            features: unpacked.features.as_deref(),
            ..place
        };
        match compare(&unpacked, place, &rounds) {
            Ok(comparison) => {
                console.line(&comparison.line());
                comparison.refused.iter().for_each(|line| console.line(line));
                comparison.differences.iter().for_each(|line| console.line(line));
                equal &= comparison.differences.is_empty();
            }
            Err(error) => {
                console.line(&format!("{}: could not be compared: {error:#}", unpacked.name));
                equal = false;
            }
        }
    }
    Ok(if equal { Exit::Success } else { Exit::TestsFailed }.into())
}

impl Args {
    fn crates(&self) -> anyhow::Result<Vec<Crate>> {
        if self.crates.is_empty() {
            return CRATES.iter().map(|text| text.parse()).collect();
        }
        Ok(self.crates.clone())
    }
}

const HEADER: &str =
    "crate                 tests    doc  cargo test  xtask test  ratio  nextest  ratio  same";

impl Comparison {
    fn line(&self) -> String {
        let (ours, cargo) = (self.ours.as_secs_f64(), self.cargo.as_secs_f64());
        let nextest = match self.nextest.map(|time| time.as_secs_f64()) {
            Some(nextest) => format!("{nextest:>6.2}s {:>6.2}", ours / nextest),
            None => format!("{:>7} {:>6}", "-", "-"),
        };
        let same = if self.differences.is_empty() { "yes" } else { "NO" };
        format!(
            "{:<20} {:>6} {:>6} {cargo:>10.2}s {ours:>10.2}s {:>6.2}  {nextest}  {same}",
            self.name,
            self.test_count,
            self.doc_test_count,
            ours / cargo
        )
    }
}

/// How to compare.
struct Rounds {
    /// How often each runner runs.
    count: u32,
    with_nextest: bool,
}

fn compare(unpacked: &Unpacked, place: Place<'_>, rounds: &Rounds) -> anyhow::Result<Comparison> {
    // Builds for both, so that only running is measured.
    let built = cargo(place, &[&unpacked.cargo_test()[..], &["--no-run"]].concat())?;
    anyhow::ensure!(
        built.status.success(),
        "could not build it:\n{}",
        String::from_utf8_lossy(&built.stderr)
    );
    let listed = listed(place, WITHOUT_DOC_TESTS)?;
    let (mut cargo_times, mut our_times, mut nextest_times) = (Vec::new(), Vec::new(), Vec::new());
    let mut refused = None;
    let (doc_test_count, mut differences) = documented(unpacked, place)?;
    for _ in 0..rounds.count {
        let (theirs, time) = timed(|| cargo(place, &unpacked.cargo_test()))?;
        cargo_times.push(time);
        let (ours, time) = timed(|| xtask(place, &[&TEST[..], &[WITHOUT_DOC_TESTS]].concat()))?;
        our_times.push(time);
        if rounds.with_nextest && refused.is_none() {
            let (nextest, time) = timed(|| cargo(place, &NEXTEST))?;
            refused = refusal(&nextest);
            nextest_times.push(time);
        }
        let outcomes = (
            Outcomes::of_cargo(&theirs, &listed),
            Outcomes::of_xtask(&ours, &listed),
        );
        differences.extend(
            outcomes
                .0
                .differences(&outcomes.1, ["`cargo test`", "`cargo xtask test`"]),
        );
        differences.extend(exit_codes(&theirs, &ours));
    }
    differences.sort();
    differences.dedup();
    Ok(Comparison {
        name: unpacked.name.clone(),
        test_count: listed.len(),
        doc_test_count,
        differences,
        cargo: cargo_times.into_iter().min().unwrap_or_default(),
        ours: our_times.into_iter().min().unwrap_or_default(),
        nextest: nextest_times.into_iter().min().filter(|_| refused.is_none()),
        refused,
    })
}

/// nextest's exit code for failed tests.
const NEXTEST_FAILED: i32 = 100;

/// Why nextest ran nothing. That takes no time, so there is nothing to compare.
fn refusal(nextest: &Output) -> Option<String> {
    let ran = nextest.status.success() || nextest.status.code() == Some(NEXTEST_FAILED);
    let stderr = String::from_utf8_lossy(&nextest.stderr);
    let error = stderr.lines().find(|line| line.starts_with("error"));
    (!ran).then(|| {
        format!(
            "  nextest ran nothing: {}",
            error.unwrap_or("it does not say why")
        )
    })
}

/// Crates may have slow tests; `cargo test` has no time limit. The outcomes are read from the
/// events.
const TEST: [&str; 4] = ["test", "--timeout=600s", "--global-timeout=3600s", "--events=-"];

/// The options of our list and runs.
const WITHOUT_DOC_TESTS: &str = "--no-doc";
const DOC_TESTS: &str = "--doc";

const NEXTEST: [&str; 5] = ["nextest", "run", "--no-fail-fast", "--bins", "--tests"];

/// The number of doc tests, and how their outcomes differ. rustdoc builds each when it runs, so
/// their times say nothing of a runner and are not shown.
fn documented(unpacked: &Unpacked, place: Place<'_>) -> anyhow::Result<(usize, Vec<String>)> {
    let theirs = match unpacked.has_library {
        true => cargo(place, &["test", "--doc", "--no-fail-fast"])?,
        false => return Ok((0, Vec::new())),
    };
    let ours = xtask(place, &[&TEST[..], &[DOC_TESTS, "--no-tests=pass"]].concat())?;
    let mut differences: Vec<String> = exit_codes(&theirs, &ours).into_iter().collect();
    let listed = listed(place, DOC_TESTS).unwrap_or_default();
    let by = ["`cargo test --doc`", "`cargo xtask test --doc`"];
    let outcomes = Outcomes::of_cargo(&theirs, &listed);
    differences.extend(outcomes.differences(&Outcomes::of_xtask(&ours, &listed), by));
    Ok((listed.len(), differences))
}

fn listed(place: Place<'_>, which: &str) -> anyhow::Result<Vec<Listed>> {
    let output = xtask(place, &["list", "--json", which])?;
    serde_json::from_slice(&output.stdout).with_context(|| {
        format!(
            "`cargo xtask list` printed no list:\n{}",
            String::from_utf8_lossy(&output.stderr)
        )
    })
}

fn exit_codes(theirs: &Output, ours: &Output) -> Option<String> {
    let (theirs, ours) = (theirs.status, ours.status);
    (theirs.success() != ours.success())
        .then(|| format!("  `cargo test` ended with {theirs}, `cargo xtask test` with {ours}"))
}

fn timed(run: impl FnOnce() -> anyhow::Result<Output>) -> anyhow::Result<(Output, Duration)> {
    let start = clock::now();
    let output = run()?;
    Ok((output, clock::now() - start))
}

/// This runner.
fn xtask(place: Place<'_>, arguments: &[&str]) -> anyhow::Result<Output> {
    let mut command = this_program::command();
    command
        .args(arguments)
        .args(place.feature_words())
        .arg("--manifest-path")
        .arg(place.directory.join("Cargo.toml"));
    captured(command, place)
}

fn cargo(place: Place<'_>, arguments: &[&str]) -> anyhow::Result<Output> {
    let mut command = cargo_command();
    command.args(arguments).args(place.feature_words());
    captured(command, place)
}

impl Place<'_> {
    fn feature_words(&self) -> Option<String> {
        Some(format!("--features={}", self.features?))
    }
}

fn cargo_command() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// The variable that marks every process of one command.
const MARK: &str = "XTASK_COMPAT";

/// All build in one directory. libtest writes whole lines only if it may run several tests
/// concurrently.
///
/// Tests of a crate may leave processes that sleep for a day. So the output goes to files, whose
/// end needs no process to exit, and such processes are ended after the command.
fn captured(mut command: Command, place: Place<'_>) -> anyhow::Result<Output> {
    for name in cargo_universe::workspace::cargo::variables_of_cargo_run() {
        command.env_remove(name);
    }
    let threads = std::thread::available_parallelism().map_or(2, |count| count.get().max(2));
    let [stdout, stderr] = [tempfile::tempfile()?, tempfile::tempfile()?];
    let mark = format!("{}-{:?}", std::process::id(), clock::now());
    command
        .current_dir(place.directory)
        .env("CARGO_TARGET_DIR", place.target)
        .env("RUST_TEST_THREADS", threads.to_string())
        .env(MARK, &mark)
        .stdin(Stdio::null())
        .stdout(stdout.try_clone()?)
        .stderr(stderr.try_clone()?);
    let program = command.get_program().display().to_string();
    let status = command
        .status()
        .with_context(|| format!("could not start `{program}`"))?;
    os::kill_all_with(&format!("{MARK}={mark}"));
    Ok(Output {
        status,
        stdout: whole(stdout)?,
        stderr: whole(stderr)?,
    })
}

fn whole(mut file: File) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a test of `duct` does.
    #[test]
    #[cfg(target_os = "linux")]
    fn a_process_that_a_command_leaves_is_neither_waited_for_nor_left() {
        let place = Place {
            directory: Path::new("/"),
            target: Path::new("/"),
            features: None,
        };
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 86399 & echo $!"]);
        let output = captured(command, place).unwrap();
        let pid = String::from_utf8(output.stdout).unwrap();
        let is_there = || {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
            stat.is_ok_and(|stat| !stat.contains(") Z "))
        };
        while is_there() {
            std::thread::yield_now();
        }
    }

    #[test]
    fn the_well_known_crates_are_named_as_a_person_would_name_them() {
        let args = Args {
            crates: Vec::new(),
            rounds: 1,
            own: false,
        };
        assert_eq!(args.crates().unwrap().len(), CRATES.len());
    }
}
