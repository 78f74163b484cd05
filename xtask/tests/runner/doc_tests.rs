//! Doc tests: which run, with which outcome, and what a report says of them.

use std::os::unix::fs::PermissionsExt as _;

use super::foreign::foreign;
use super::support::{Scratch, must};

/// A package whose library has this source.
fn library(source: &str) -> Scratch {
    let package = Scratch::package("fn main() {}\n");
    package.add_file("src/lib.rs", source);
    package
}

#[test]
fn doc_tests_have_the_outcomes_that_rustdoc_gives_them() {
    let run = foreign("documented/Cargo.toml", &["--doc", "-F", "extra"]);
    assert_eq!(
        (run.code, run.last_line()),
        (Some(100), "5 passed, 5 failed, 1 skipped"),
        "{run}"
    );
    for part in [
        "documented/src/lib.rs - two (line 25): ignored without a reason\n",
        "panic: assertion `left == right` failed; left: 2; right: 3\n",
        "panic: called `Result::unwrap()` on an `Err` value: \"nothing works\"\n",
        "panic: Test executable succeeded, but it's marked `should_panic`.\n",
        "compile: Test compiled successfully, but it's marked `compile_fail`.\n",
        "compile: error[E0308]: mismatched types\n  at documented/src/lib.rs:44\n  error[E0308]: mismatched types\n",
    ] {
        assert!(run.stdout.contains(part), "{part}\n{run}");
    }
    assert_eq!(
        run.stdout.matches("Couldn't compile the test.").count(),
        1,
        "{run}"
    );
}

#[test]
fn a_report_has_the_class_the_file_and_the_line_of_a_doc_test() {
    let word = "documented::doc/documented$documented/src/lib.rs - failing::does_not_compile (line 44)";
    let run = foreign("documented/Cargo.toml", &["-F", "extra", word]);
    assert_eq!(run.last_line(), "0 passed, 1 failed, 0 skipped", "{run}");
    let junit = run.junit();
    for part in [
        "name=\"documented/src/lib.rs - failing::does_not_compile (line 44)\" classname=\"documented.doc_documented\"",
        "file=\"xtask/foreign/documented/src/lib.rs\" line=\"44\"",
        "<failure type=\"compile\" message=\"error[E0308]: mismatched types\">",
        "let number: u8 = \"two\";",
    ] {
        assert!(junit.contains(part), "{part}\n{junit}");
    }
}

#[test]
fn doc_tests_are_chosen_left_out_and_filtered() {
    for (arguments, line) in [
        (&["--doc"][..], "6 passed, 0 failed, 1 skipped"),
        (&["--no-doc"], "8 passed, 0 failed, 1 skipped"),
        (
            &["-E", "binary(#doc/*) - package(macros)"],
            "5 passed, 0 failed, 1 skipped",
        ),
        (
            &["--doc", "lib.rs - two (line 1"],
            "2 passed, 0 failed, 0 skipped",
        ),
        (
            &["--no-doc", "-E", "package(documented)", "--no-tests=pass"],
            "0 passed, 0 failed, 0 skipped",
        ),
    ] {
        let run = foreign("Cargo.toml", arguments);
        assert_eq!(run.last_line(), line, "{arguments:?}\n{run}");
    }
    let run = foreign(
        "Cargo.toml",
        &["--doc", "-F", "documented/extra", "-E", "module(failing)"],
    );
    assert_eq!(run.last_line(), "0 passed, 5 failed, 0 skipped", "{run}");
    for other in ["--no-doc", "--lib", "--tests", "--no-run"] {
        let both = foreign("Cargo.toml", &["--doc", other]);
        assert_eq!(both.code, Some(2), "{both}");
    }
}

#[test]
fn chosen_targets_and_a_mere_build_leave_doc_tests_out() {
    let package = library("/// ```\n/// ```\npub fn documented() {}\n#[test]\nfn passes() {}\n");
    package.add_to_manifest(
        "[[workspace.metadata.universe.test.overrides]]\nfilter = \"binary(#doc/*)\"\ntimeout = \"40s\"\n",
    );
    for targets in ["--lib", "--bins", "--all-targets"] {
        let run = package.run("test", &[targets, "--no-tests=pass"]);
        assert_eq!(run.code, Some(0), "{run}");
        // Neither a test, nor a warning about the override.
        assert!(!run.stdout.contains("doc/"), "{run}");
    }
    let build = package.run("test", &["--no-run"]);
    assert!(build.code == Some(0) && !build.stdout.contains("doc/"), "{build}");
    let archived = package.manifest().with_file_name("a.tar").display().to_string();
    let refused = package.run("archive", &["--doc", &archived]);
    assert_eq!(refused.code, Some(2), "{refused}");
    let all = package.test();
    let passed = "] scratch::doc/scratch src/lib.rs - documented (line 1)\n";
    assert!(all.stdout.contains(passed), "{all}");
}

#[test]
fn a_doc_test_has_its_own_limit_leaks_and_retries() {
    let package = library(
        "/// ```
        /// loop { std::thread::park(); }
        /// ```
        pub fn hangs() {}
        /// ```
        /// use std::process::{Command, Stdio};
        /// let mut child = Command::new(\"sleep\");
        /// child.arg(\"1000\").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        /// ```
        pub fn leaks() {}
        /// ```
        /// assert_eq!(std::env::var(\"XTASK_TEST_ATTEMPT\").unwrap(), \"2\");
        /// ```
        pub fn is_flaky() {}
        ",
    );
    let run = package.run("test", &["lib.rs - hangs", "--timeout", "2s"]);
    assert_eq!(
        (run.code, run.last_line()),
        (Some(100), "0 passed, 1 failed, 0 skipped"),
        "{run}"
    );
    assert!(run.stdout.contains("timeout: did not end within 2 s"), "{run}");
    assert!(run.survivors().is_empty() && run.scratch().is_empty(), "{run}");
    let again = package.run("test", &["--rerun-failed", "--timeout", "2s"]);
    assert_eq!(again.last_line(), "0 passed, 1 failed, 0 skipped", "{again}");
    assert!(again.stdout.contains("history: failed "), "{again}");
    let run = package.run("test", &["lib.rs - leaks", "--leaks", "fail"]);
    assert!(run.stdout.contains("left behind: process: `sleep 1000`"), "{run}");
    assert!(run.survivors().is_empty(), "{run}");
    let run = package.run("test", &["lib.rs - is_flaky", "--retries", "1"]);
    let flaky = "is_flaky (line 11) passed on attempt 2";
    assert!(run.stdout.contains(flaky), "{run}");
}

#[test]
fn the_rustdoc_and_the_flags_of_cargos_configuration_are_used() {
    let package = library(
        "/// ```
        /// assert_eq!(std::env::var(\"MARK\").unwrap(), \"by the script\");
        /// assert!(cfg!(marked));
        /// ```
        pub fn documented() {}
        ",
    );
    let home = package.manifest().with_file_name(".cargo");
    must("make `.cargo`", std::fs::create_dir(&home));
    package.add_file("marking", "#!/bin/sh\nMARK='by the script' exec rustdoc \"$@\"\n");
    let executable = std::fs::Permissions::from_mode(0o755);
    let script = package.manifest().with_file_name("marking");
    must(
        "make it executable",
        std::fs::set_permissions(&script, executable),
    );
    package.add_file(
        ".cargo/config.toml",
        "[build]\nrustdoc = \"./marking\"\nrustdocflags = \"--cfg marked\"\n",
    );
    let run = package.test();
    assert_eq!(run.last_line(), "1 passed, 0 failed, 0 skipped", "{run}");
    let plain = package.run_with(&[], &[("RUSTDOC", "rustdoc")]);
    assert_eq!(plain.last_line(), "0 passed, 1 failed, 0 skipped", "{plain}");
    package.add_file(".cargo/config.toml", "");
    let chosen = script.display().to_string();
    let run = package.run_with(&[], &[("RUSTDOC", &chosen), ("RUSTDOCFLAGS", "--cfg marked")]);
    assert_eq!(run.last_line(), "1 passed, 0 failed, 0 skipped", "{run}");
}

#[test]
fn without_rustdoc_a_library_with_examples_is_one_clear_error() {
    let package = library("/// ```\n/// ```\npub fn documented() {}\n#[test]\nfn passes() {}\n");
    let missing = [("RUSTDOC", "/nowhere/rustdoc")];
    let run = package.run_with(&[], &missing);
    assert_eq!(run.code, Some(104), "{run}");
    for part in [
        "could not list the tests of `scratch::doc/scratch`",
        "hint: `--no-doc` leaves the doc tests out",
    ] {
        assert!(run.stdout.contains(part), "{part}\n{run}");
    }
    for one in [
        &["--no-doc"][..],
        &["scratch::scratch$passes"],
        &["--exact", "passes"],
    ] {
        let run = package.run_with(one, &missing);
        assert_eq!(run.last_line(), "1 passed, 0 failed, 0 skipped", "{run}");
    }
}

#[test]
fn what_rustdoc_says_of_a_library_that_it_cannot_read_is_shown() {
    let package =
        library("/// ```\n/// ```\npub fn a() {}\n#[cfg(doctest)] compile_error!(\"not for doc tests\");\n");
    let run = package.run_with(&[], &[("CARGO_TERM_COLOR", "always")]);
    assert_eq!(run.code, Some(104), "{run}");
    assert!(
        run.junit()
            .contains("\nerror: not for doc tests\n --> src/lib.rs:4:17\n"),
        "{}",
        run.junit()
    );
}

#[test]
fn rustdoc_is_not_asked_of_a_library_without_examples_or_with_doc_tests_turned_off() {
    let missing = [("RUSTDOC", "/nowhere/rustdoc")];
    let package = library("/// Nothing to run.\npub fn documented() {}\n#[test]\nfn passes() {}\n");
    let run = package.run_with(&[], &missing);
    assert_eq!(run.last_line(), "1 passed, 0 failed, 0 skipped", "{run}");
    let run = package.run_with(&["--doc"], &[]);
    assert_eq!(run.code, Some(4), "{run}");
    assert!(run.stdout.contains("no doc tests"), "{run}");
    package.add_file(
        "src/lib.rs",
        "/// ```\n/// panic!();\n/// ```\npub fn documented() {}\n#[test]\nfn passes() {}\n",
    );
    package.add_to_manifest("[lib]\ndoctest = false\n");
    let run = package.run_with(&[], &missing);
    assert_eq!(run.last_line(), "1 passed, 0 failed, 0 skipped", "{run}");
}

#[test]
fn doc_tests_that_rustdoc_cannot_tell_apart_run_as_one() {
    let source = |number: u8| {
        format!(
            "pub struct Both;
            macro_rules! both {{
                ($($name:ident)*) => {{ $(
                    pub trait $name {{ fn number() -> u8; }}
                    impl $name for Both {{
                        /// ```
                        /// assert_eq!(scratch::Both::one(), {number});
                        /// ```
                        fn number() -> u8 {{ 1 }}
                    }}
                )* }};
            }}
            both! {{ A B }}
            impl Both {{ pub fn one() -> u8 {{ 1 }} }}
            "
        )
    };
    let package = library(&source(1));
    let run = package.test();
    assert_eq!(run.last_line(), "1 passed, 0 failed, 0 skipped", "{run}");
    for part in [
        "] scratch::doc/scratch scratch\n",
        "warning: the doc tests of `scratch` run as one test: rustdoc can't run each of them alone",
    ] {
        assert!(run.stdout.contains(part), "{part}\n{run}");
    }
    package.add_file("src/lib.rs", &source(2));
    let run = package.test();
    assert_eq!(run.last_line(), "0 passed, 1 failed, 0 skipped", "{run}");
    assert_eq!(
        run.stdout.matches("Both::number (line 6) ... FAILED").count(),
        2,
        "{run}"
    );
}
