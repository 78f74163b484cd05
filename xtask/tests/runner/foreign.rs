//! The runner on a workspace without any settings for it: the same tests and outcomes as with
//! `cargo test`.

use std::path::{Path, PathBuf};

use super::support::{Run, Scratch, Setup};

fn manifest(of: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("foreign").join(of)
}

/// Runs `xtask test` on the workspace of this manifest.
pub(super) fn foreign(manifest_of: &str, arguments: &[&str]) -> Run {
    Setup {
        manifest: manifest(manifest_of),
        target: "foreign",
        ..Setup::new(arguments)
    }
    .run()
}

#[test]
fn every_kind_of_target_runs_as_it_does_under_cargo_test() {
    let run = foreign("Cargo.toml", &[]);
    assert_eq!(
        (run.code, run.last_line()),
        (Some(0), "14 passed, 0 failed, 2 skipped"),
        "{run}"
    );
    for part in [
        "] macros::macros a_macro_can_have_unit_tests\n",
        "] plain::plain tests::panics\n",
        "] plain::test/plain finds_the_binary_of_its_package\n",
        "] plain::mute mute\n",
        "] macros::doc/macros macros/src/lib.rs - nothing (line 7)\n",
        "] documented::doc/documented documented/src/lib.rs - two (line 6)\n",
        "is_ignored_for_a_reason_that_looks_like_a_need: it needs patience\n",
    ] {
        assert!(run.stdout.contains(part), "{part}\n{run}");
    }
}

#[test]
fn packages_and_features_are_selected_as_by_cargo() {
    for (manifest_of, arguments, line) in [
        (
            "Cargo.toml",
            &["-p", "macros"][..],
            "3 passed, 0 failed, 0 skipped",
        ),
        ("macros/Cargo.toml", &[], "3 passed, 0 failed, 0 skipped"),
        (
            "macros/Cargo.toml",
            &["--workspace"],
            "14 passed, 0 failed, 2 skipped",
        ),
        (
            "plain/Cargo.toml",
            &["--no-default-features"],
            "5 passed, 0 failed, 1 skipped",
        ),
    ] {
        let run = foreign(manifest_of, arguments);
        assert_eq!(run.last_line(), line, "{arguments:?}\n{run}");
    }
}

#[test]
fn a_harness_of_its_own_that_fails_is_a_failed_test() {
    let run = foreign("Cargo.toml", &["-F", "plain/extra"]);
    assert_eq!(
        (run.code, run.last_line()),
        (Some(100), "14 passed, 2 failed, 2 skipped"),
        "{run}"
    );
    for part in [
        "FAIL",
        "plain::failing failing",
        "something extra",
        "--features=plain/extra",
    ] {
        assert!(run.stdout.contains(part), "{part}\n{run}");
    }
}

#[test]
fn examples_are_built_for_the_tests_and_a_broken_one_fails_the_build() {
    let source = "fn main() {}\n#[test]\nfn runs_an_example() {
            let test = std::env::current_exe().unwrap();
            let example = test.parent().unwrap().with_file_name(\"examples\").join(\"greets\");
            let output = std::process::Command::new(example).output().unwrap();
            assert_eq!(output.stdout, b\"hello\");
        }\n";
    let package = Scratch::package(source);
    std::fs::create_dir(package.manifest().with_file_name("examples")).unwrap();
    package.add_file("examples/greets.rs", "fn main() { print!(\"hello\") }\n");
    let run = package.test();
    assert_eq!(run.last_line(), "1 passed, 0 failed, 0 skipped", "{run}");
    package.add_file("examples/broken.rs", "fn main() { nothing() }\n");
    let run = package.test();
    assert_eq!(run.code, Some(101), "{run}");
}
