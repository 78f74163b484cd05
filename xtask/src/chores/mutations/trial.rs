//! Runs tests on the replica, through this same xtask: those of one binary together, and builds
//! only that binary.
//!
//! A mutation of `core` changes most binaries of the workspace. Its tests are in one or two.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::patch::{Patch, TestId};
use super::replica::Replica;
use super::verdict::{Ran, Verdict};
use cargo_universe::base::clock;
use cargo_universe::base::exit::Exit;
use cargo_universe::base::this_program;
use cargo_universe::report::events;
use cargo_universe::runner::rundir::PUBLISHED;
use cargo_universe::workspace::metadata::Workspace;

/// One line of the table.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) mutation: String,
    pub(super) test: String,
    pub(super) verdict: Verdict,
    /// Time for running, and for building if it was built for this test.
    pub(super) elapsed: Duration,
}

/// Runs tests on a replica.
#[derive(Debug)]
pub(super) struct Trial<'a> {
    replica: &'a Replica,
    workspace: Workspace,
    /// The packages of all tests, and that of the probe: without it, nothing proves that FUSE
    /// works, and tests that need it are skipped.
    packages: BTreeSet<String>,
    /// The binaries whose tests are skipped if nothing else is built.
    wide: BTreeSet<Binary>,
}

/// A package and its target, as the ids of tests name them.
type Binary = (String, String);

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
        let workspace = Workspace::load(None)?;
        let tests = patches.iter().flat_map(|patch| &patch.tests);
        let packages = tests.map(|test| test.package.clone());
        let probe = workspace.config.probe.iter().map(|probe| probe.package.clone());
        Ok(Self {
            replica,
            packages: packages.chain(probe).collect(),
            workspace,
            wide: BTreeSet::new(),
        })
    }

    /// Runs every test that the patches name, once, on the unmutated code.
    ///
    /// # Errors
    /// When one of them fails: such a test proves nothing about a mutation.
    pub(super) fn expect_green(&mut self, patches: &[Patch]) -> Result<()> {
        let mut tests: Vec<&TestId> = patches.iter().flat_map(|patch| &patch.tests).collect();
        tests.sort();
        tests.dedup();
        let (mut found, mut texts) = (0, String::new());
        for (binary, tests) in by_binary(&tests) {
            let mut ran = self.run(&binary, &tests, Progress::Show)?;
            if ran.has_skipped() {
                self.wide.insert(binary.clone());
                ran = self.run(&binary, &tests, Progress::Show)?;
            }
            let text = String::from_utf8_lossy(&ran.output.stdout);
            ensure!(
                ran.is(Exit::Success) || ran.is(Exit::NoTests),
                "the unmutated tests did not all pass ({}):\n{}",
                ran.output.status,
                text.trim_end()
            );
            found += ran.count();
            texts.push_str(&text);
        }
        ensure!(
            found == tests.len(),
            "the mutations name {} tests, but {found} ran:\n{}",
            tests.len(),
            texts.trim_end()
        );
        Ok(())
    }

    /// Tries one mutation on each test that must detect it.
    ///
    /// # Errors
    /// When the patch does not apply, or the tests cannot be started.
    pub(super) fn rows(&self, patch: &Patch) -> Result<Vec<Row>> {
        let tests: Vec<&TestId> = patch.tests.iter().collect();
        self.replica.with(patch, || {
            let mut rows = Vec::new();
            for (binary, tests) in by_binary(&tests) {
                rows.extend(self.rows_of(patch, &binary, &tests)?);
            }
            let place = |row: &Row| patch.tests.iter().position(|test| test.to_string() == row.test);
            rows.sort_by_key(place);
            Ok(rows)
        })
    }

    fn rows_of(&self, patch: &Patch, binary: &Binary, tests: &[&TestId]) -> Result<Vec<Row>> {
        let start = clock::now();
        let ran = self.run(binary, tests, Progress::Keep)?;
        let whole = clock::now() - start;
        let of_others: Duration = tests.iter().skip(1).map(|test| ran.elapsed(test)).sum();
        let row = |(number, test): (usize, &&TestId)| Row {
            mutation: patch.name.clone(),
            test: test.to_string(),
            verdict: ran.verdict(test),
            elapsed: match number {
                0 => whole.saturating_sub(of_others),
                _ => ran.elapsed(test),
            },
        };
        Ok(tests.iter().enumerate().map(row).collect())
    }

    fn run(&self, binary: &Binary, tests: &[&TestId], progress: Progress) -> Result<Ran> {
        let report = self.replica.target.join(PUBLISHED);
        let events = report.with_file_name(events::FILE_NAME);
        // If the run does not begin, the events of another one must not count.
        std::fs::remove_file(&events).ok();
        let mut command = this_program::command();
        command.arg("test").args(tests.iter().map(ToString::to_string));
        command.args(self.selection(binary));
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
        let output = command
            .output()
            .context("could not start this program once more")?;
        Ok(Ran::new(
            output,
            &std::fs::read_to_string(&events).unwrap_or_default(),
        ))
    }

    /// What to build, as options: the binary alone; otherwise all packages, so that cargo chooses
    /// the same features for each such binary. A package is named so that xtask runs its own tests.
    fn selection(&self, binary: &Binary) -> Vec<String> {
        let (package, target) = binary;
        let option = self.workspace.option_for(package, target);
        match option.filter(|_| !self.wide.contains(binary)) {
            Some(option) => vec![format!("--package={package}"), option],
            None => self
                .packages
                .iter()
                .map(|package| format!("--package={package}"))
                .collect(),
        }
    }
}

/// The tests of each binary, in their order.
fn by_binary<'t>(tests: &[&'t TestId]) -> BTreeMap<Binary, Vec<&'t TestId>> {
    let mut binaries: BTreeMap<Binary, Vec<&TestId>> = BTreeMap::new();
    for test in tests {
        let binary = (test.package.clone(), test.target.clone());
        binaries.entry(binary).or_default().push(test);
    }
    binaries
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
        // Nobody reads a backtrace of the replica.
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .env("NO_COLOR", "1")
        .current_dir(tree)
        .stdin(Stdio::null());
}
