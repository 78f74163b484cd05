//! The reports of a run besides JUnit, and the reports that `xtask report` makes from its events
//! afterwards.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;
use tempfile::TempDir;

use super::support::{Run, Running, Scratch, Setup, must, run};

/// A directory that keeps the events of several runs.
struct Shelf {
    directory: TempDir,
}

impl Shelf {
    fn new() -> Shelf {
        Shelf {
            directory: must("make a temporary directory", tempfile::tempdir()),
        }
    }

    /// A file in it.
    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Runs these tests of the fixture and keeps their events in the file `name`.
    fn run(&self, name: &str, arguments: &[&str]) -> Run {
        self.run_with(name, arguments, &[])
    }

    fn run_with(&self, name: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Run {
        let events = self.path(name).display().to_string();
        let arguments = [arguments, &["--events", &events]].concat();
        Setup {
            variables,
            ..Setup::new(&arguments)
        }
        .run()
    }
}

/// The output of `xtask report`, and its exit code.
fn report(what: &[&str], paths: &[&Path]) -> (String, Option<i32>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    let output = must(
        "start xtask",
        command.arg("report").args(what).args(paths).output(),
    );
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    (text, output.status.code())
}

/// The class and the name of each test of a JUnit report, in order.
fn names(junit: &str) -> Vec<&str> {
    let cases = junit.split("<testcase ").skip(1);
    let mut names: Vec<&str> = cases.filter_map(|case| case.split(" time=").next()).collect();
    names.sort_unstable();
    names
}

#[test]
fn the_report_made_from_the_events_of_a_run_is_its_report() {
    let shelf = Shelf::new();
    let run = shelf.run("events", &["bad::", "good::", "skipped::"]);
    assert_eq!(
        report(&["junit", "--from"], &[&shelf.path("events")]),
        (run.junit(), Some(0))
    );
}

#[test]
fn rounds_attempts_and_leaks_are_preserved_in_the_events() {
    let shelf = Shelf::new();
    let again = ["flaky::", "leaks::a_directory", "--retries", "1", "--count", "3"];
    let run = shelf.run("events", &again);
    let (junit, code) = report(&["junit", "--from"], &[&shelf.path("events")]);
    assert_eq!((junit.as_str(), code), (run.junit().as_str(), Some(0)));
    for part in ["<flakyFailure ", "<rerunFailure ", "left behind: ", "#3\""] {
        assert!(junit.contains(part), "{part}\n{junit}");
    }
}

#[test]
fn a_slow_test_is_reported_at_intervals_on_the_console_and_in_the_events() {
    let shelf = Shelf::new();
    let (go_on, events) = (shelf.path("go on"), shelf.path("events"));
    let slow = [
        "slow::waits_for_a_file",
        "--run-ignored",
        "--slow",
        "200ms",
        "--events",
    ];
    let mut running = Setup {
        variables: &[("RUNNER_FILE", go_on.to_str().unwrap())],
        ..Setup::new(&[&slow[..], &[events.to_str().unwrap()]].concat())
    }
    .start();
    running.wait_for_line("SLOW [> ");
    running.wait_for_line("SLOW [> ");
    let told = std::fs::read_to_string(&events).unwrap();
    assert!(told.matches(r#""type":"slow""#).count() >= 2, "{told}");
    std::fs::write(&go_on, "").unwrap();
    let run = running.finish();
    assert_eq!(run.last_line(), "1 passed, 0 failed, 0 skipped", "{run}");
    assert!(
        run.stdout.contains("s] fixture::suite slow::waits_for_a_file\n"),
        "{run}"
    );
    let (junit, _) = report(&["junit", "--from"], &[&events]);
    assert_eq!(junit, run.junit());
}

#[test]
fn the_events_of_a_killed_run_show_finished_and_unfinished_tests() {
    let shelf = Shelf::new();
    let events = shelf.path("events");
    let mut running = Running::start(&[
        "good::passes",
        "slow::hangs",
        "-j2",
        "--events",
        events.to_str().unwrap(),
    ]);
    running.wait_for_line("PASS");
    let run = running.interrupt(Signal::KILL);
    assert_eq!((run.code, run.junit().as_str()), (None, ""));
    let (junit, code) = report(&["junit", "--from"], &[&events]);
    assert_eq!(code, Some(0), "{junit}");
    assert!(junit.contains(r#"<testcase name="passes" "#), "{junit}");
    assert!(
        junit.contains(r#"<error type="interrupted" message="was running when the run was killed">"#),
        "{junit}"
    );
    let whole = r#"<testcase name="interrupted" classname="run.tests" "#;
    assert!(
        junit.contains("the run was killed: its events have no end") && junit.contains(whole),
        "{junit}"
    );
}

#[test]
fn the_merged_report_of_two_shards_is_that_of_the_whole_run() {
    let shelf = Shelf::new();
    shelf.run("whole", &["good::passes", "bad::panics"]);
    shelf.run("first", &["good::passes"]);
    shelf.run("second", &["bad::panics"]);
    let (whole, _) = report(&["junit", "--from"], &[&shelf.path("whole")]);
    let (merged, _) = report(
        &["junit", "--from"],
        &[&shelf.path("first"), &shelf.path("second")],
    );
    assert_eq!(names(&merged), names(&whole), "{merged}");
    assert_eq!(names(&whole).len(), 3, "{whole}");
}

/// Each test of a JUnit report with its round, its outcome, and the number of failed attempts
/// before, sorted.
fn outcomes(junit: &str) -> Vec<(&str, &str, usize)> {
    const KINDS: [(&str, &str); 3] = [
        ("<skipped", "skipped"),
        ("<failure ", "failed"),
        ("<error ", "died"),
    ];
    let outcome = |case: &str| {
        let kind = KINDS.iter().find(|(tag, _)| case.contains(tag));
        kind.map_or("passed", |(_, outcome)| *outcome)
    };
    let again = |case: &str| {
        let tags = ["<flakyFailure ", "<flakyError ", "<rerunFailure ", "<rerunError "];
        tags.iter().map(|tag| case.matches(tag).count()).sum()
    };
    let cases = junit.split("<testcase ").skip(1);
    let mut outcomes: Vec<(&str, &str, usize)> = cases
        .filter_map(|case| Some((case.split(" time=").next()?, outcome(case), again(case))))
        .collect();
    outcomes.sort_unstable();
    outcomes
}

#[test]
fn the_merged_report_of_two_shards_with_repeats_is_that_of_the_whole_run() {
    const WORDS: [&str; 4] = ["good::passes", "flaky::", "bad::aborts", "skipped::is_ignored"];
    for (repeats, count) in [
        (
            &["--retries", "1", "--count", "2", "--copies", "2", "-j2"][..],
            22,
        ),
        (&["--retries", "1", "--copies", "3", "-j3"], 17),
        (&["--count", "3"], 17),
        (&[], 7),
    ] {
        let shelf = Shelf::new();
        let history = shelf.path("history.ndjson").display().to_string();
        let words = [&WORDS[..], repeats, &["--history", &history]].concat();
        for (name, shard) in [("first", "1/2"), ("second", "2/2")] {
            let run = shelf.run(name, &[&words[..], &["--shard", shard]].concat());
            assert!(!run.last_line().starts_with("0 passed, 0 failed, 0"), "{run}");
        }
        shelf.run("whole", &words);
        let junit = |names: &[&str]| {
            let paths: Vec<PathBuf> = names.iter().map(|name| shelf.path(name)).collect();
            let paths: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
            report(&["junit", "--from"], &paths).0
        };
        let (merged, whole) = (junit(&["first", "second"]), junit(&["whole"]));
        assert_eq!(outcomes(&merged), outcomes(&whole), "{repeats:?}");
        assert_eq!(outcomes(&whole).len(), count, "{repeats:?}\n{whole}");
    }
}

#[test]
fn a_newly_failing_test_is_a_difference_with_an_exit_code() {
    let shelf = Shelf::new();
    let (green, red) = (shelf.path("green"), shelf.path("red"));
    shelf.run("green", &["can_be_told_to_fail"]);
    shelf.run_with("red", &["can_be_told_to_fail"], &[("FIXTURE_FAILS", "1")]);
    let (text, code) = report(&["diff"], &[&green, &red]);
    let id = "fixture::suite$reported::can_be_told_to_fail";
    assert!(
        text.contains(&format!("newly failing (1):\n  {id}: told to fail")),
        "{text}"
    );
    assert_eq!(code, Some(100), "{text}");
    let (text, code) = report(&["diff"], &[&red, &green]);
    assert!(text.contains(&format!("fixed (1):\n  {id}")), "{text}");
    assert_eq!(code, Some(0), "{text}");
}

#[test]
fn an_incomplete_later_run_is_a_difference_with_an_exit_code() {
    let shelf = Shelf::new();
    let [green, killed, late] = ["green", "killed", "late"].map(|name| shelf.path(name));
    shelf.run("green", &["good::passes"]);
    shelf.run("late", &["good::passes", "--require", "winfsp"]);
    let events = std::fs::read_to_string(&green).unwrap();
    let lines: Vec<&str> = events.lines().filter(|line| !line.contains("run-end")).collect();
    std::fs::write(&killed, lines.join("\n") + "\n").unwrap();
    for (after, words) in [
        (&killed, "interrupted: the run was killed: its events have no end"),
        (&late, "capability:winfsp: `winfsp` is required and missing: "),
    ] {
        let (text, code) = report(&["diff"], &[&green, after]);
        assert!(
            text.starts_with(&format!("the later run failed (1):\n  {words}")),
            "{text}"
        );
        assert_eq!(code, Some(100), "{text}");
        let (text, code) = report(&["diff"], &[after, &green]);
        assert_eq!(code, Some(0), "{text}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_difference_that_cannot_be_printed_is_still_a_failure() {
    let shelf = Shelf::new();
    let (green, red) = (shelf.path("green"), shelf.path("red"));
    shelf.run("green", &["can_be_told_to_fail"]);
    shelf.run_with("red", &["can_be_told_to_fail"], &[("FIXTURE_FAILS", "1")]);
    for (before, after, expected) in [(&green, &red, 100), (&red, &green, 110)] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        let full = must("open /dev/full", std::fs::File::create("/dev/full"));
        let command = command
            .args(["report", "diff"])
            .args([before, after])
            .stdout(full);
        let output = must("start xtask", command.output());
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(expected), "{said}");
        assert!(said.contains("could not write to standard output"), "{said}");
    }
}

#[test]
fn events_on_standard_output_are_alone_there() {
    let run = Setup::new(&["good::passes", "--events", "-"]).run();
    assert!(
        run.stdout.lines().all(|line| line.starts_with("{\"v\":1,")),
        "{run}"
    );
    assert!(run.stderr.ends_with("1 passed, 0 failed, 0 skipped\n"), "{run}");
}

#[test]
fn the_slowest_tests_are_shown_on_request() {
    let run = Setup::new(&["good::passes", "--durations", "3"]).run();
    assert!(run.stdout.contains("s  fixture::suite$good::passes\n"), "{run}");
}

#[test]
fn events_that_cannot_be_read_are_named_with_a_hint() {
    let (text, code) = report(&["slowest", "--from"], &[Path::new("/nowhere/events.ndjson")]);
    assert!(
        text.contains("`/nowhere/events.ndjson`") && text.contains("hint: "),
        "{text}"
    );
    assert_eq!(code, Some(96), "{text}");
}

#[test]
fn summary_timeline_and_trace_are_written_to_the_given_files() {
    let shelf = Shelf::new();
    let [summary, timeline, trace] = ["s", "t", "x"].map(|name| shelf.path(name).display().to_string());
    let places = ["--summary", &summary, "--timeline", &timeline, "--trace", &trace];
    shelf.run(
        "events",
        &[&["bad::panics", "good::passes"], &places[..]].concat(),
    );
    let read = |path: &str| std::fs::read_to_string(path).unwrap();
    assert!(read(&summary).contains("### `fixture::suite$bad::panics`\n\n`panic` at `suite/bad.rs:8`"));
    assert_eq!(
        read(&summary).matches("the panic's message").count(),
        1,
        "{}",
        read(&summary)
    );
    assert!(read(&timeline).contains("<h1>1 passed, 2 failed, 0 skipped</h1>"));
    assert!(read(&trace).contains("\"traceEvents\""));
    for (what, path) in [("markdown", &summary), ("timeline", &timeline), ("trace", &trace)] {
        let (text, code) = report(&[what, "--from"], &[&shelf.path("events")]);
        assert_eq!(
            (text.trim_end(), code),
            (read(path).trim_end(), Some(0)),
            "{what}"
        );
    }
}

#[test]
fn github_gets_annotations_for_failures_and_no_test_can_forge_them() {
    let shelf = Shelf::new();
    let summary = shelf.path("summary");
    let variables = [
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_STEP_SUMMARY", summary.to_str().unwrap()),
    ];
    let run = shelf.run_with("events", &["bad::panics", "reported::forges"], &variables);
    let commands: Vec<&str> = run
        .stdout
        .lines()
        .filter(|line| line.trim_start().starts_with("::"))
        .collect();
    assert_eq!(commands.len(), 3, "{run}");
    // Before that is the way from the root of the repository.
    let place = "suite/bad.rs,line=8,title=fixture%3A%3Asuite$bad%3A%3Apanics::panic: ";
    assert!(
        commands[0].starts_with("::error file=") && commands[0].contains(place),
        "{run}"
    );
    assert_eq!(run.last_line(), "0 passed, 3 failed, 0 skipped", "{run}");
    assert!(
        std::fs::read_to_string(&summary)
            .unwrap()
            .starts_with("# 0 passed, 3 failed")
    );
}

#[test]
fn no_output_of_tests_or_the_workspace_is_a_command_to_a_ci_system() {
    let package = Scratch::package(
        "fn main() {}\n#[test]\n#[ignore = \"##[error]skipped\"]\nfn is_skipped() {}\n\
         #[test]\nfn leaks() { for name in [\"##[error]leak\", \"##vso[leak]\"] { \
         std::fs::write(std::env::temp_dir().join(name), \"\").unwrap() } }\n\
         #[test]\nfn fails() { println!(\"::error::said ##[error]said\"); \
         panic!(\"::error::panicked ##[error]panicked\\n##vso[task]panicked\") }",
    );
    package.add_file(
        "build.rs",
        "fn main() { println!(\"cargo::warning=##[error]built\") }",
    );
    let run = |subcommand, arguments: &[&str]| {
        Setup {
            subcommand,
            manifest: package.manifest(),
            variables: &[("GITHUB_ACTIONS", "true")],
            ..Setup::new(arguments)
        }
        .run()
    };
    let (shown, events) = (run("test", &["--no-capture"]), run("test", &["--events", "-"]));
    for part in ["skipped", "leak", "said", "panicked", "built"] {
        let part = format!("# #[error]{part}");
        assert!(
            shown.stdout.contains(&part) || shown.stderr.contains(&part),
            "{part}\n{shown}"
        );
    }
    let lists = [run("list", &[]), run("list", &["--json"])];
    for run in [&shown, &events, &lists[0], &lists[1]] {
        let lines = || run.stdout.lines().chain(run.stderr.lines());
        assert!(
            !lines().any(|line| line.contains("##[") || line.contains("##vso[")),
            "{run}"
        );
        let commands = lines().filter(|line| line.trim_start().starts_with("::"));
        assert!(commands.clone().count() <= 1, "{run}");
        assert!(
            { commands }.all(|line| line.starts_with("::error file=src/main.rs")),
            "{run}"
        );
    }
}

#[test]
fn a_report_names_the_versions_of_its_tools() {
    let junit = Setup::new(&["good::passes"]).run().junit();
    for (name, beginning) in [("rustc", "rustc 1."), ("cargo", "cargo 1.")] {
        let property = format!("<property name=\"{name}\" value=\"{beginning}");
        assert!(junit.contains(&property), "{property}\n{junit}");
    }
    // There is no commit here.
    let elsewhere = Scratch::package("fn main() {}\n#[test]\nfn passes() {}")
        .test()
        .junit();
    assert!(elsewhere.contains("value=\"rustc 1."), "{elsewhere}");
    assert!(!elsewhere.contains("<property name=\"commit\""), "{elsewhere}");
}

#[test]
fn the_runner_does_not_wait_for_a_program_that_never_prints_its_version() {
    let directory = must("make a directory", tempfile::tempdir());
    let git = directory.path().join("git");
    std::fs::write(&git, "#!/bin/sh\nexec sleep 64\n").unwrap();
    std::fs::set_permissions(&git, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    let path = format!("{}:{path}", directory.path().display());
    let run = Setup {
        variables: &[("PATH", &path)],
        ..Setup::new(&["good::passes"])
    }
    .run();
    assert_eq!(run.last_line(), "1 passed, 0 failed, 0 skipped", "{run}");
    // The runner started it, did not wait for it, and killed it at the end.
    let junit = run.junit();
    assert!(
        junit.contains("<property name=\"rustc\"") && !junit.contains("<property name=\"commit\""),
        "{junit}"
    );
    assert_eq!((run.survivors(), run.end("sleep 64")), (vec![], 0), "{run}");
}

#[test]
fn events_that_cannot_be_written_have_the_code_of_a_report_that_cannot_be_written() {
    let run = Setup::new(&["good::passes", "--events", "/nowhere/events"]).run();
    assert_eq!(run.code, Some(110), "{run}");
    assert!(run.stderr.contains("could not create `/nowhere/events`"), "{run}");
}

#[test]
fn the_value_off_is_not_a_file() {
    let run = run(&[
        "good::passes",
        "--junit=off",
        "--events=off",
        "--summary=off",
        "--timeline=off",
        "--trace=off",
    ]);
    assert_eq!(run.code, Some(0), "{run}");
    assert!(run.stdout.contains("report: ") && run.junit().is_empty(), "{run}");
    assert!(!Path::new("off").exists());
}

/// Tests a package with this source in a checkout, of which it is not the root; the variable
/// `checkout` names that. Returns the way from there to the package.
fn in_checkout(source: &str, checkout: &str, variables: &[(&str, &str)]) -> (Run, String) {
    let package = Scratch::package(source);
    let path = package.manifest().display().to_string();
    let root = path.strip_suffix("/Cargo.toml").unwrap_or_default();
    let (above, name) = root.rsplit_once('/').unwrap_or_default();
    let run = Setup {
        manifest: package.manifest(),
        variables: &[variables, &[(checkout, above)]].concat(),
        ..Setup::new(&[])
    }
    .run();
    (run, name.to_owned())
}

#[test]
fn files_of_tests_are_named_from_the_root_of_the_checkout() {
    let source = "fn main() {}\n#[test]\nfn fails() {\n    panic!(\"no\")\n}\n";
    let on_github = [("GITHUB_ACTIONS", "true")];
    let (run, name) = in_checkout(source, "GITHUB_WORKSPACE", &on_github);
    let command = format!("::error file={name}/src/main.rs,line=4,title=");
    assert!(run.stdout.contains(&command), "{command}\n{run}");
    let file = format!("file=\"{name}/src/main.rs\" line=\"4\"");
    assert!(run.junit().contains(&file), "{file}\n{}", run.junit());
    // A person at a terminal is in the workspace.
    assert!(run.stdout.contains("  at src/main.rs:4\n"), "{run}");
}

#[test]
fn files_are_attached_to_tests_that_fail_as_the_reader_takes_them() {
    let source = "fn main() {}\n#[test]\nfn passes() { println!(\"said\") }\n\
                  #[test]\nfn fails() { panic!(\"no\") }\n#[test]\nfn aborts() { std::process::abort() }\n";
    for (checkout, is_relative) in [("CI_PROJECT_DIR", true), ("GITHUB_WORKSPACE", false)] {
        let (run, name) = in_checkout(source, checkout, &[]);
        let junit = run.junit();
        let attached: Vec<&str> = junit.split("[[ATTACHMENT|").skip(1).collect();
        // The one that aborts has written nothing.
        assert_eq!(attached.len(), 1, "{junit}");
        let below = format!("{name}/target/xtask/test/runs/");
        let is_as_wanted = |attached: &&str| match is_relative {
            true => attached.starts_with(&below),
            false => attached.starts_with('/'),
        };
        assert!(attached.iter().all(is_as_wanted), "{below}\n{junit}");
        assert!(junit.contains("<failure type=\"signal:SIGABRT\""), "{junit}");
        assert!(!junit.contains("<error "), "{junit}");
    }
}

#[test]
fn every_test_has_a_file_those_too_that_macros_have_made() {
    let source = "fn main() {}\nmacro_rules! made { ($($name:ident)*) => { $(#[test] fn $name() {})* } }\n\
                  mod inner { made! { one two } }\n#[test]\nfn three() {}\n";
    let junit = Scratch::package(source).test().junit();
    assert_eq!(junit.matches("<testcase ").count(), 3, "{junit}");
    assert_eq!(junit.matches(" file=\"src/main.rs\"").count(), 3, "{junit}");
    assert_eq!(junit.matches(" line=\"").count(), 1, "{junit}");
}

#[test]
fn a_failed_build_is_a_case_and_an_annotation_for_each_error() {
    let source = "fn main() {\n    let a: u8 = \"text\";\n    missing();\n}\n#[test]\nfn passes() {}\n";
    let on_github = [("GITHUB_ACTIONS", "true")];
    let (run, name) = in_checkout(source, "GITHUB_WORKSPACE", &on_github);
    assert_eq!(run.code, Some(101), "{run}");
    let junit = run.junit();
    assert_eq!(junit.matches("<testcase ").count(), 2, "{junit}");
    for (line, headline) in [
        (2, "error[E0308]: mismatched types"),
        (3, "error[E0425]: cannot find function `missing` in this scope"),
    ] {
        let file = format!("file=\"{name}/src/main.rs\" line=\"{line}\"");
        let error = format!("<error type=\"build\" message=\"{headline}\"><![CDATA[{headline}\n");
        assert!(junit.contains(&file) && junit.contains(&error), "{junit}");
        let command = format!("::error file={name}/src/main.rs,line={line},title=build::{headline}\n");
        assert!(run.stdout.contains(&command), "{command}\n{run}");
        // Two targets have the error, and a person reads it once.
        assert_eq!(run.stderr.matches(headline).count(), 1, "{run}");
    }
}

#[test]
fn merged_runs_with_labels_keep_both_results_of_a_test() {
    let shelf = Shelf::new();
    shelf.run("green", &["can_be_told_to_fail"]);
    shelf.run_with("red", &["can_be_told_to_fail"], &[("FIXTURE_FAILS", "1")]);
    let [green, red] = ["green", "red"].map(|name| shelf.path(name).display().to_string());
    let merged = |labels: [&str; 2]| {
        let runs = [format!("{}={green}", labels[0]), format!("{}={red}", labels[1])];
        report(&["merge", "--label", &runs[0], &runs[1]], &[])
    };
    let (junit, code) = merged(["ubuntu", "macos"]);
    assert_eq!(code, Some(0), "{junit}");
    let name = "name=\"can_be_told_to_fail\" classname=";
    let both = [("macos", "failed"), ("ubuntu", "passed")];
    let told: Vec<_> = outcomes(&junit)
        .into_iter()
        .map(|(name, outcome, _)| (name, outcome))
        .collect();
    let expected =
        both.map(|(label, outcome)| (format!("{name}\"{label}.fixture.suite.reported\""), outcome));
    assert_eq!(told.len(), 2, "{junit}");
    for ((name, outcome), expected) in told.into_iter().zip(expected) {
        assert_eq!((name.to_owned(), outcome), expected);
    }
    let (text, code) = merged(["ubuntu", "ubuntu"]);
    assert_eq!(code, Some(2), "{text}");
    assert!(
        text.contains("the label `ubuntu` is given to more than one run"),
        "{text}"
    );
}

/// Both files were written by version 0.1 before the runner was a package of its own. Only the
/// report may be written anew, when its format changes on purpose.
#[test]
fn the_events_of_an_earlier_version_are_still_read() {
    let earlier = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/runner/earlier");
    let told = must(
        "read a report",
        std::fs::read_to_string(earlier.join("junit.xml")),
    );
    let read = report(&["junit", "--from"], &[&earlier.join("events.ndjson")]);
    assert_eq!(read, (told, Some(0)));
}
