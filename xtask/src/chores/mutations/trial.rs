//! Runs tests on the replica, through this same xtask, and judges the exit code.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::patch::{Patch, TestId};
use super::replica::Replica;
use cargo_universe::base::clock;
use cargo_universe::base::exit::Exit;
use cargo_universe::base::this_program;
use cargo_universe::workspace::metadata::Workspace;

/// One line of the table.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) mutation: String,
    pub(super) test: String,
    pub(super) verdict: Verdict,
    /// Time for building and running.
    pub(super) elapsed: Duration,
}

/// The result of a test on a mutation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It failed, so it detects the mutation.
    Red,
    /// It passed, so it misses the mutation.
    Green,
    /// It could not run on this machine, with the reason.
    Skipped(String),
    /// The mutation proves nothing, because it does not build or names no existing test, with the
    /// reason.
    Broken(String),
    /// Not run, with `--check`: the patch applies and the test exists.
    Sound,
}

/// Runs tests on a replica.
#[derive(Debug)]
pub(super) struct Trial<'a> {
    replica: &'a Replica,
    /// The packages of all tests. Each run selects all of them, so that cargo chooses the same
    /// features each time. Otherwise xtask would not run its own tests.
    packages: BTreeSet<String>,
}

/// Where to show the child's progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Show,
    Keep,
}

impl<'a> Trial<'a> {
    /// # Errors
    /// When the workspace cannot be read.
    pub(super) fn new(replica: &'a Replica, patches: &[Patch]) -> Result<Self> {
        let tests = patches.iter().flat_map(|patch| &patch.tests);
        let packages = tests.map(|test| test.package.clone());
        // Without its package nothing proves that FUSE works, and tests that need it are skipped.
        let probe = Workspace::load(None)?.config.probe.map(|probe| probe.package);
        let packages = packages.chain(probe).collect();
        Ok(Self { replica, packages })
    }

    /// Runs every test that the patches name, once, on the unmutated code.
    ///
    /// # Errors
    /// When one of them fails: such a test proves nothing about a mutation.
    pub(super) fn expect_green(&self, patches: &[Patch]) -> Result<()> {
        let mut tests: Vec<&TestId> = patches.iter().flat_map(|patch| &patch.tests).collect();
        tests.sort();
        tests.dedup();
        let output = self.run(&tests, Progress::Show)?;
        let (text, counts) = (
            String::from_utf8_lossy(&output.stdout),
            Counts::last_in(&output.stdout),
        );
        let found = counts.map_or(0, |counts| counts.passed + counts.failed + counts.skipped);
        if !output.status.success() {
            bail!(
                "the unmutated tests did not all pass ({}):\n{}",
                output.status,
                text.trim_end()
            );
        }
        if found != tests.len() {
            bail!(
                "the mutations name {} tests, but {found} ran:\n{}",
                tests.len(),
                text.trim_end()
            );
        }
        Ok(())
    }

    /// Tries one mutation on each test that must detect it.
    ///
    /// # Errors
    /// When the patch does not apply, or the tests cannot be started.
    pub(super) fn rows(&self, patch: &Patch) -> Result<Vec<Row>> {
        self.replica.with(patch, || {
            patch.tests.iter().map(|test| self.row(patch, test)).collect()
        })
    }

    fn row(&self, patch: &Patch, test: &TestId) -> Result<Row> {
        let start = clock::now();
        let verdict = judge(&self.run(&[test], Progress::Keep)?);
        Ok(Row {
            mutation: patch.name.clone(),
            test: test.to_string(),
            verdict,
            elapsed: clock::now() - start,
        })
    }

    fn run(&self, tests: &[&TestId], progress: Progress) -> Result<Output> {
        let mut command = this_program::command();
        command.arg("test").args(tests.iter().map(ToString::to_string));
        command.args(self.packages.iter().map(|package| format!("--package={package}")));
        // One at a time: some must end their processes within seconds, which takes longer if the
        // code is broken.
        command.args(["--jobs=1", "--timeout=2m", "--global-timeout=10m", "--no-doc"]);
        command
            .arg("--manifest-path")
            .arg(self.replica.tree.join("Cargo.toml"));
        quiet(&mut command, &self.replica.target, &self.replica.tree);
        if progress == Progress::Show {
            command.stderr(Stdio::inherit());
        }
        command.output().context("could not start this program once more")
    }
}

/// The settings of the surrounding run do not apply to the run on the replica.
fn quiet(command: &mut Command, target: &Path, tree: &Path) {
    let ours = std::env::vars_os().map(|(name, _)| name);
    let settings = ours.filter(|name| name.to_string_lossy().starts_with("XTASK_"));
    for name in settings {
        command.env_remove(name);
    }
    command
        .env("CARGO_TARGET_DIR", target)
        .env("NO_COLOR", "1")
        .current_dir(tree)
        .stdin(Stdio::null());
}

fn judge(output: &Output) -> Verdict {
    let code = output.status.code();
    let is = |exit: Exit| code == Some(exit as i32);
    match Counts::last_in(&output.stdout) {
        Some(Counts { failed: 1.., .. }) if is(Exit::TestsFailed) => Verdict::Red,
        Some(Counts { passed: 1, .. }) if is(Exit::Success) => Verdict::Green,
        Some(Counts { skipped: 1, .. }) if is(Exit::Success) => Verdict::Skipped(skip_reason(&output.stdout)),
        _ if is(Exit::BuildFailed) => {
            Verdict::Broken(format!("it does not build: {}", first_error(&output.stderr)))
        }
        _ => Verdict::Broken(format!(
            "the run ended with {}: {}",
            output.status,
            first_error(&output.stderr)
        )),
    }
}

/// The last line of a test run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counts {
    passed: usize,
    failed: usize,
    skipped: usize,
}

impl Counts {
    fn last_in(stdout: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(stdout);
        let mut counts = text.lines().next_back()?.split(", ");
        let mut count = |word: &str| counts.next()?.strip_suffix(word)?.trim_end().parse().ok();
        Some(Self {
            passed: count("passed")?,
            failed: count("failed")?,
            skipped: count("skipped")?,
        })
    }
}

/// The reason in `SKIP [...] binary name: REASON`.
fn skip_reason(stdout: &[u8]) -> String {
    let text = String::from_utf8_lossy(stdout);
    let line = text.lines().find(|line| line.starts_with("SKIP"));
    line.and_then(|line| line.split_once(": "))
        .map_or("the runner skipped it", |(_, reason)| reason)
        .to_owned()
}

fn first_error(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let line = text
        .lines()
        .find(|line| line.starts_with("error"))
        .or_else(|| text.lines().next_back());
    line.unwrap_or("it printed nothing").to_owned()
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    fn judged(exit: Exit, stdout: &str, stderr: &str) -> Verdict {
        let status = std::process::ExitStatus::from_raw((exit as i32) << 8);
        judge(&Output {
            status,
            stdout: stdout.into(),
            stderr: stderr.into(),
        })
    }

    #[test]
    fn a_failed_test_is_red_and_a_passed_one_is_green() {
        assert_eq!(
            judged(Exit::TestsFailed, "FAIL x\n0 passed, 1 failed, 0 skipped\n", ""),
            Verdict::Red
        );
        assert_eq!(
            judged(Exit::Success, "1 passed, 0 failed, 0 skipped\n", ""),
            Verdict::Green
        );
    }

    #[test]
    fn a_skip_is_neither_red_nor_green_and_keeps_its_reason() {
        let stdout =
            "SKIP [      ] tests::suite fuse::reads: needs fuse: no device\n0 passed, 0 failed, 1 skipped\n";
        assert_eq!(
            judged(Exit::Success, stdout, ""),
            Verdict::Skipped("needs fuse: no device".into())
        );
    }

    #[test]
    fn a_mutation_that_does_not_build_is_broken_and_not_red() {
        let verdict = judged(
            Exit::BuildFailed,
            "0 passed, 0 failed, 0 skipped\n",
            "warning: x\nerror[E0308]: mismatched\n",
        );
        assert_eq!(
            verdict,
            Verdict::Broken("it does not build: error[E0308]: mismatched".into())
        );
    }

    #[test]
    fn a_run_without_the_test_or_without_counts_is_broken() {
        assert!(matches!(
            judged(Exit::NoTests, "0 passed, 0 failed, 0 skipped\n", ""),
            Verdict::Broken(_)
        ));
        assert!(matches!(judged(Exit::Success, "", ""), Verdict::Broken(_)));
        assert!(matches!(
            judged(Exit::Interrupted, "0 passed, 1 failed, 0 skipped\n", ""),
            Verdict::Broken(_)
        ));
    }

    #[test]
    fn counts_are_read_only_from_the_last_line() {
        let counts = Counts::last_in(b"3 passed, 0 failed, 0 skipped\nrun over\n");
        assert_eq!(counts, None);
        let counts = Counts::last_in(b"noise\n10 passed, 2 failed, 3 skipped");
        assert_eq!(
            counts,
            Some(Counts {
                passed: 10,
                failed: 2,
                skipped: 3
            })
        );
    }
}
