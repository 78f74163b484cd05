//! `cargo xtask ci`: everything that CI checks, in CI's order, so that a person can run every CI
//! check.

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use xshell::{Cmd, Shell};

use crate::chores::compat;
use crate::chores::mutations;
use crate::chores::tidy;
use cargo_universe::base::clock;
use cargo_universe::base::exit::Exit;
use cargo_universe::base::variables;
use cargo_universe::machine::capability::Capabilities;
use cargo_universe::report::junit;
use cargo_universe::runner::capabilities::detect_for;
use cargo_universe::runner::console::{Console, Style};
use cargo_universe::runner::github::without_commands;
use cargo_universe::runner::rundir::PUBLISHED;
use cargo_universe::runner::test;
use cargo_universe::workspace::cargo;
use cargo_universe::workspace::metadata::Workspace;

/// Run everything that CI runs: formatting, lints, the rules of this repository, the runner's
/// tests, and the suite with its doc tests, also with `cargo test` and nextest
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Continue after a failed step
    #[arg(long)]
    keep_going: bool,
    /// Arguments for the last step, `cargo xtask test`
    #[arg(last = true)]
    test: Vec<String>,
}

/// What the steps need.
struct Bench {
    sh: Shell,
    workspace: Workspace,
    test: test::Args,
    /// The words that `test` was parsed from.
    words: Vec<OsString>,
}

/// A name and what to do.
type Step = (&'static str, fn(&Bench) -> anyhow::Result<()>);

/// xtask's own tests that need a capability. Each builds and runs a workspace. Requirements for the
/// suite apply to them, too.
const OWN_TESTS_WITH_NEEDS: [&str; 8] = [
    "--package=xtask",
    // Contains the probe, without which nothing proves that FUSE works.
    "--package=tandem-tests",
    "--filterset=cap(/./) and package(xtask)",
    // Each starts many processes, and some must end them within seconds.
    "--jobs=1",
    "--global-timeout=10m",
    "--timeout=2m",
    "--no-tests=pass",
    "--no-doc",
];

const STEPS: [Step; 8] = [
    ("fmt", fmt),
    ("clippy", clippy),
    ("tidy", tidy_rules),
    ("xtask's own tests", own_tests),
    ("mutations", mutations_apply),
    ("tests", tests),
    ("report", report),
    ("other runners", other_runners),
];

/// Runs the steps. Succeeds if all of them do.
///
/// # Errors
/// When there is no workspace, or the arguments for the tests are invalid.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let bench = Bench {
        sh: Shell::new().context("could not read the current directory")?,
        workspace: Workspace::load(None)?,
        test: arguments("cargo xtask ci --", &args.test),
        words: args.test.iter().map(OsString::from).collect(),
    };
    let console = Console::new();
    let mut failed = Vec::new();
    for (name, take) in STEPS {
        if !failed.is_empty() && !args.keep_going {
            break;
        }
        console.line(&console.paint().on(Style::Bold, &format!("== {name}")));
        let start = clock::now();
        if let Err(error) = take(&bench) {
            console.line(&format!("{error:#}"));
            failed.push(name);
        }
        console.line(&verdict(&console, name, failed.contains(&name), since(start)));
    }
    console.line(&match failed.as_slice() {
        [] => "ci: all steps passed".to_owned(),
        failed => format!("ci: failed: {}", failed.join(", ")),
    });
    Ok(if failed.is_empty() {
        Exit::Success
    } else {
        Exit::TestsFailed
    }
    .into())
}

/// The arguments of another subcommand. Exits, as clap does, if they are invalid.
fn arguments<A: clap::Args>(command: &'static str, words: &[String]) -> A {
    let words = std::iter::once(command).chain(words.iter().map(String::as_str));
    let words: Vec<OsString> = words.map(OsString::from).collect();
    let command = A::augment_args(clap::Command::new(command));
    let matches = variables::read(command, &words).unwrap_or_else(|error| error.exit());
    A::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
}

fn verdict(console: &Console, name: &str, failed: bool, elapsed: Duration) -> String {
    let (word, style) = if failed {
        ("FAIL", Style::Bad)
    } else {
        ("PASS", Style::Good)
    };
    format!(
        "{} [{:>8.3}s] {name}\n",
        console.paint().on(style, word),
        elapsed.as_secs_f64()
    )
}

fn since(start: Instant) -> Duration {
    clock::now() - start
}

fn fmt(bench: &Bench) -> anyhow::Result<()> {
    bench.run(bench.cargo().args(["fmt", "--all", "--check"]))
}

fn clippy(bench: &Bench) -> anyhow::Result<()> {
    let features = bench.buildable_features()?.join(",");
    let command = bench
        .cargo()
        .args(["clippy", "--workspace", "--all-targets", "--features", &features]);
    bench.run(command.args(["--", "-D", "warnings"]))
}

fn tidy_rules(bench: &Bench) -> anyhow::Result<()> {
    let findings = tidy::check(&bench.workspace)?;
    if findings.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    bail!("{}", lines.join("\n"));
}

/// Tests with needs are ignored by runners that do not know the capabilities; this runner does.
fn own_tests(bench: &Bench) -> anyhow::Result<()> {
    bench.run(bench.cargo().args(["test", "--package", "xtask"]))?;
    let command = bench.cargo().args(["run", "--package", "xtask", "--", "test"]);
    // Variables that set options for the suite are not meant for these tests.
    let names = std::env::vars_os().map(|(name, _)| name);
    let wishes = names.filter(|name| name.as_encoded_bytes().starts_with(b"XTASK_TEST_"));
    let command = wishes.fold(command, |command, name| command.env_remove(name));
    let required = bench.test.require.iter().map(|name| format!("--require={name}"));
    bench.run_ours(command.args(OWN_TESTS_WITH_NEEDS).args(required))
}

fn mutations_apply(_: &Bench) -> anyhow::Result<()> {
    let arguments = arguments("cargo xtask mutations", &["--check".to_owned()]);
    succeed(mutations::run(&arguments)?, "not every mutation applies")
}

fn tests(bench: &Bench) -> anyhow::Result<()> {
    succeed(test::run(&bench.test, &bench.words)?, "the tests failed")
}

fn succeed(exit: ExitCode, otherwise: &str) -> anyhow::Result<()> {
    ensure!(exit == ExitCode::SUCCESS, "{otherwise}");
    Ok(())
}

/// Whether the report that `tests` wrote follows the rules that its readers rely on.
fn report(bench: &Bench) -> anyhow::Result<()> {
    let path = bench.workspace.target_directory.join(PUBLISHED);
    let xml =
        std::fs::read_to_string(&path).with_context(|| format!("could not read `{}`", path.display()))?;
    let violations = junit::violations(&xml, bench.test.junit_dialect);
    if !violations.is_empty() {
        bail!(
            "`{}` breaks the rules of JUnit:\n{}",
            path.display(),
            violations.join("\n")
        );
    }
    Ok(())
}

/// The tests must also run without this runner.
fn other_runners(bench: &Bench) -> anyhow::Result<()> {
    compat::own::check(&bench.workspace, &bench.test_features()?)
}

impl Bench {
    fn cargo(&self) -> Cmd<'_> {
        cargo::command(&self.sh)
    }

    /// Runs a program whose output may contain text that a CI system would read as commands.
    fn run(&self, command: Cmd<'_>) -> anyhow::Result<()> {
        without_commands(&Console::new(), || self.run_ours(command))
    }

    /// Runs this program, whose output contains only intended commands.
    fn run_ours(&self, command: Cmd<'_>) -> anyhow::Result<()> {
        let _directory = self.sh.push_dir(&self.workspace.root);
        command.run().map_err(Into::into)
    }

    fn capabilities(&self) -> anyhow::Result<Capabilities> {
        detect_for(&self.workspace, self.test.build.fuse.mode)
    }

    /// The features that `cargo xtask test` builds with.
    fn test_features(&self) -> anyhow::Result<Vec<String>> {
        let chosen = self.capabilities()?.features(&self.workspace.config);
        Ok(self.workspace.features(&chosen))
    }

    /// All features of the workspace except those that cannot be built here.
    fn buildable_features(&self) -> anyhow::Result<Vec<String>> {
        let chosen = self.capabilities()?.features(&self.workspace.config);
        let rules = &self.workspace.config.features;
        let is_buildable = |name: &String| !rules.contains_key(name) || chosen.contains(name);
        let names = self.workspace.feature_names();
        let buildable: Vec<String> = names.into_iter().filter(is_buildable).collect();
        Ok(self.workspace.features(&buildable))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cargo_universe::select::filter::Subject;

    #[test]
    fn the_words_for_xtasks_own_tests_are_valid_and_select_tests_with_needs() {
        let args: test::Args = arguments("cargo xtask test", &OWN_TESTS_WITH_NEEDS.map(str::to_owned));
        let filter = args.filter.parse().unwrap();
        let selects = |needs: &[&'static str]| {
            let (package, binary, name) = ("xtask", "runner", "ownership::a_mount");
            let needs = needs.to_vec();
            filter.selects(&Subject {
                package,
                binary,
                name,
                needs,
            })
        };
        assert!(selects(&["root"]) && !selects(&[]));
    }
}
