//! Options that people know from `cargo test` and cargo-nextest: each does the same here, or is
//! refused by name.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use super::support::{Run, Scratch, must};

/// A package with a target of every kind, each with one test that is named after it.
fn of_all_kinds() -> Scratch {
    let test = |name: &str| format!("#[test]\nfn of_{name}() {{}}\n");
    let package = Scratch::package(&format!("fn main() {{}}\n{}", test("bin")));
    package.add_file("src/lib.rs", &test("lib"));
    for (directory, names) in [
        ("src/bin", &["other"][..]),
        ("tests", &["first", "second"]),
        ("examples", &["shown"]),
        ("benches", &["timed"]),
    ] {
        let path = package.manifest().with_file_name(directory);
        must("make a directory", std::fs::create_dir_all(path));
        for name in names {
            let main = if directory == "tests" {
                ""
            } else {
                "fn main() {}\n"
            };
            package.add_file(
                &format!("{directory}/{name}.rs"),
                &format!("{}{}", test(name), main),
            );
        }
    }
    package
}

/// The names of the tests in a list, ours or cargo's.
fn names(list: &str) -> BTreeSet<String> {
    let words = list.split(|c: char| !c.is_alphanumeric() && c != '_');
    words
        .filter(|word| word.starts_with("of_"))
        .map(str::to_owned)
        .collect()
}

/// What `cargo test` would run.
fn under_cargo(package: &Scratch, flags: &[&str]) -> BTreeSet<String> {
    let mut command = Command::new(env!("CARGO"));
    command.args(["test", "--quiet", "--manifest-path"]);
    command.arg(package.manifest()).args(flags).args(["--", "--list"]);
    let output = must("run cargo", command.env_remove("CARGO_TARGET_DIR").output());
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{flags:?}\n{stderr}");
    names(&String::from_utf8_lossy(&output.stdout))
}

#[test]
fn options_for_targets_select_what_they_select_under_cargo_test() {
    let package = of_all_kinds();
    for (flags, count) in [
        (&[][..], 5),
        (&["--lib"], 1),
        (&["--bins"], 2),
        (&["--bin=other", "--test=first"], 2),
        (&["--test", "second"], 1),
        (&["--tests"], 5),
        (&["--example", "shown"], 1),
        (&["--examples", "--lib"], 2),
        (&["--bench", "timed"], 1),
        (&["--benches"], 4),
        (&["--all-targets"], 7),
    ] {
        let list = package.run("list", flags);
        let found = names(&list.stdout);
        assert_eq!(found, under_cargo(&package, flags), "{flags:?}\n{list}");
        assert_eq!(found.len(), count, "{flags:?}\n{list}");
    }
}

#[test]
fn a_target_or_platform_that_does_not_exist_is_named() {
    let package = of_all_kinds();
    for (flags, part) in [
        (["--test", "none"], "no test target named `none`"),
        (["--example", "none"], "no example target named `none`"),
        (["--bin", "none"], "no bin target named `none`"),
        (["--bench", "none"], "no bench target named `none`"),
        (["--target", "no-such-platform"], "no-such-platform"),
        (["--cargo-profile", "none"], "`none`"),
        (["--build-jobs", "0"], "jobs may not be 0"),
    ] {
        let run = package.run("test", &flags);
        assert_eq!(run.code, Some(101), "{flags:?}\n{run}");
        let line = run.stdout.lines().find(|line| line.starts_with("build: "));
        assert!(line.is_some_and(|line| line.contains(part)), "{part}\n{run}");
    }
}

/// A package whose test checks how it was built.
fn built(condition: &str) -> Scratch {
    Scratch::package(&format!(
        "fn main() {{}}\n#[test]\nfn is_built_so() {{
            let path = std::env::current_exe().unwrap();
            let path = path.to_str().unwrap();
            assert!({condition}, \"{{path}}\");
        }}\n"
    ))
}

#[test]
fn platform_profile_and_target_directory_are_those_of_the_options() {
    let host = super::cargo_settings::host();
    let elsewhere = must("make a directory", tempfile::tempdir());
    let place = elsewhere.path().join("a b").display().to_string();
    for (flags, condition) in [
        (["--target", &host], format!("path.contains(\"/{host}/debug/\")")),
        (
            ["--target-dir", &place],
            format!("path.starts_with(\"{place}/debug/\")"),
        ),
        (
            ["--cargo-profile", "release"],
            "!cfg!(debug_assertions)".to_owned(),
        ),
        (
            ["--verbose", "--frozen"],
            "path.contains(\"/target/debug/\")".to_owned(),
        ),
    ] {
        let package = built(&condition);
        package.add_file(
            "Cargo.lock",
            "version = 4\n[[package]]\nname = \"scratch\"\nversion = \"0.1.0\"\n",
        );
        let run = package.run("test", &flags);
        assert_eq!(
            run.last_line(),
            "1 passed, 0 failed, 0 skipped",
            "{flags:?}\n{run}"
        );
        let shows = run.stderr.contains("Running `");
        assert_eq!(shows, flags.contains(&"--verbose"), "{run}");
        let redirected = flags.contains(&"--target-dir");
        assert_eq!(package.published().is_file(), !redirected, "{run}");
    }
}

#[test]
fn frozen_fails_where_the_lock_file_would_be_written() {
    let run = built("true").run("test", &["--frozen"]);
    assert_eq!(run.code, Some(101), "{run}");
    assert!(run.stdout.contains("--frozen"), "{run}");
}

#[test]
fn no_run_builds_and_prints_where_the_binaries_are() {
    let package = built("false");
    let run = package.run("test", &["--no-run"]);
    assert_eq!(run.code, Some(0), "{run}");
    let (id, path) = must("split the line", run.stdout.trim().split_once("  ").ok_or(&run));
    assert_eq!(id, "scratch::bin/scratch", "{run}");
    assert!(PathBuf::from(path).is_file(), "{run}");
    assert!(!package.published().exists());
    package.add_file("src/main.rs", "fn main() { nothing() }");
    assert_eq!(package.run("test", &["--no-run"]).code, Some(101));
}

/// Four tests that fail.
fn failing() -> Scratch {
    Scratch::package(
        "fn main() {}\n#[test] fn a() { panic!() }\n#[test] fn b() { panic!() }\n\
         #[test] fn c() { panic!() }\n#[test] fn d() { panic!() }\n",
    )
}

#[test]
fn a_run_ends_after_the_requested_number_of_failures() {
    let package = failing();
    for (flags, line) in [
        (&["-j1", "--max-fail", "2"][..], "0 passed, 2 failed, 2 skipped"),
        (&["-j1", "--max-fail=all"], "0 passed, 4 failed, 0 skipped"),
        (
            &["-j1", "--max-fail=2", "--fail-fast"],
            "0 passed, 1 failed, 3 skipped",
        ),
    ] {
        let run = package.run("test", flags);
        assert_eq!(run.last_line(), line, "{flags:?}\n{run}");
    }
    let run = package.run("test", &["--max-fail", "0"]);
    assert_eq!(run.code, Some(2), "{run}");
}

#[test]
fn color_is_about_the_runner_and_cargo() {
    let package = failing();
    let coloured = |when| {
        let run = package.run("test", &["--color", when]);
        (run.stdout.contains("\x1b["), run.stderr.contains("\x1b["))
    };
    package.add_file(
        "src/main.rs",
        "fn main() { let unused = 1; }\n#[test] fn a() {}\n",
    );
    assert_eq!(coloured("always"), (true, true));
    package.add_file(
        "src/main.rs",
        "fn main() { let unused = 2; }\n#[test] fn a() {}\n",
    );
    assert_eq!(coloured("never"), (false, false));
    assert_eq!(coloured("auto"), (false, false));
}

#[test]
fn options_of_libtest_after_two_dashes_are_taken_or_refused_by_name() {
    let package = Scratch::package(
        "fn main() {}\n#[test] fn plain() {}\n#[test] #[ignore] fn ignored() { println!(\"seen\"); }\n",
    );
    for (words, code, part) in [
        (&["--", "--test-threads=1"][..], 0, ", 1 at a time"),
        (&["--test-threads", "1"], 0, ", 1 at a time"),
        (&["--", "--ignored"], 0, "1 passed, 0 failed, 0 skipped"),
        (&["--", "--include-ignored"], 0, "2 passed, 0 failed, 0 skipped"),
        (&["--run-ignored", "all"], 0, "2 passed, 0 failed, 0 skipped"),
        (&["--", "--skip", "ignored"], 0, "1 passed, 0 failed, 0 skipped"),
        (&["--", "--exact", "plain"], 0, "1 passed, 0 failed, 0 skipped"),
        (&["--", "--ignored", "--nocapture"], 0, "ignored | seen"),
        (&["--", "--show-output"], 2, "`--show-output` after `--`"),
        (&["--", "--bogus"], 2, "`--bogus` after `--`"),
    ] {
        let run = package.run("test", words);
        assert_eq!(run.code, Some(code), "{words:?}\n{run}");
        assert!(
            format!("{}{}", run.stdout, run.stderr).contains(part),
            "{words:?}\n{run}"
        );
    }
}

#[test]
fn excluded_packages_are_not_tested() {
    let package = Scratch::package("fn main() {}\n#[test] fn outer() {}\n");
    package.add_dependency("inner", "#[test] fn inner() {}\n#[test] fn inner_too() {}\n");
    let line = |arguments: &[&str]| -> Run { package.run("test", arguments) };
    for (arguments, expected) in [
        (&["--workspace"][..], "3 passed, 0 failed, 0 skipped"),
        (
            &["--workspace", "--exclude", "inner"],
            "1 passed, 0 failed, 0 skipped",
        ),
        (
            &["--workspace", "--exclude=scr*"],
            "2 passed, 0 failed, 0 skipped",
        ),
        (&["-p", "in?er"], "2 passed, 0 failed, 0 skipped"),
    ] {
        let run = line(arguments);
        assert_eq!(run.last_line(), expected, "{arguments:?}\n{run}");
    }
    let run = line(&["--exclude", "inner"]);
    assert_eq!(run.code, Some(2), "{run}");
    assert!(run.stderr.contains("--workspace"), "{run}");
}

#[test]
fn benchmarks_and_examples_with_a_harness_of_their_own_are_one_test_each() {
    let package = Scratch::package("fn main() {}\n");
    for directory in ["benches", "examples"] {
        let path = package.manifest().with_file_name(directory);
        must("make a directory", std::fs::create_dir_all(path));
    }
    package.add_file(
        "benches/timed.rs",
        "fn main() { assert_eq!(std::env::args().count(), 1); }\n",
    );
    package.add_file("examples/shown.rs", "fn main() { panic!(\"shown\") }\n");
    package.add_to_manifest(
        "[[bench]]\nname = \"timed\"\nharness = false\n[[example]]\nname = \"shown\"\nharness = false\n",
    );
    let run = package.run("test", &["--benches"]);
    assert!(run.stdout.contains("] scratch::bench/timed timed\n"), "{run}");
    let run = package.run("test", &["--examples"]);
    assert_eq!(run.last_line(), "0 passed, 1 failed, 0 skipped", "{run}");
    assert!(run.stdout.contains("] scratch::example/shown shown\n"), "{run}");
    assert_eq!(
        package.test().code,
        Some(4),
        "no benchmark and no example is a test by default"
    );
}

#[test]
fn color_of_a_list_is_about_cargo() {
    let package = Scratch::package("fn main() { let unused = 1; }\n#[test] fn a() {}\n");
    let list = package.run("list", &["--color=always"]);
    assert!(
        list.stderr.contains("\x1b[") && !list.stdout.contains("\x1b["),
        "{list}"
    );
}
