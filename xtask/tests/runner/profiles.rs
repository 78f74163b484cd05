//! Settings in the manifest: which profile applies, and its precedence; overrides that match
//! nothing; variables that are empty or invalid.

use std::process::Command;

use super::support::{Run, Scratch, Setup, must, run};

fn with_variables(arguments: &[&str], variables: &[(&str, &str)]) -> Run {
    Setup {
        variables,
        ..Setup::new(arguments)
    }
    .run()
}

#[test]
fn a_profile_is_printed_reported_and_applied() {
    let run = run(&["slow::hangs", "--profile", "hurried"]);
    assert!(run.stdout.contains("profile: hurried\n"), "{run}");
    assert!(run.stdout.contains("timeout: did not end within 0.7 s"), "{run}");
    let junit = run.junit();
    for part in [
        "<testsuites name=\"the fixture\"",
        "name=\"profile\" value=\"hurried\"",
    ] {
        assert!(junit.contains(part), "{junit}");
    }
}

#[test]
fn a_variable_overrides_the_profile_and_an_option_overrides_both() {
    let profile = ("XTASK_TEST_PROFILE", "hurried");
    let run = with_variables(&["good::passes"], &[profile]);
    assert!(run.stdout.contains("test, 3 at a time"), "{run}");
    let run = with_variables(&["good::passes"], &[profile, ("XTASK_TEST_JOBS", "4")]);
    assert!(run.stdout.contains("test, 4 at a time"), "{run}");
    let run = with_variables(&["good::passes", "-j5"], &[profile, ("XTASK_TEST_JOBS", "4")]);
    assert!(run.stdout.contains("test, 5 at a time"), "{run}");
}

#[test]
fn the_limit_of_skips_comes_from_the_option_then_the_variable_then_the_profile() {
    let package = Scratch::package("fn main() {}\n#[test]\n#[ignore = \"slow\"]\nfn is_skipped() {}\n");
    let code = |script: &str, arguments: &[&str]| {
        let setup = Setup {
            manifest: package.manifest(),
            script: Some(script),
            ..Setup::new(arguments)
        };
        setup.run().code
    };
    let (plain, variable) = ("exec \"$@\"", "XTASK_TEST_MAX_SKIPS=5 exec \"$@\"");
    assert_eq!(code(variable, &["--no-skips"]), Some(100));
    package.add_to_manifest("[workspace.metadata.universe.test.profiles.default]\nno-skips = true\n");
    assert_eq!(code(plain, &[]), Some(100));
    assert_eq!(code(variable, &[]), Some(0));
    assert_eq!(code(plain, &["--max-skips", "5"]), Some(0));
}

#[test]
fn an_empty_variable_counts_as_unset() {
    let names = [
        "JOBS",
        "TIMEOUT",
        "FUSE",
        "MAX_SKIPS",
        "JUNIT_DIALECT",
        "HISTORY",
        "PROFILE",
    ];
    let names = names.map(|name| format!("XTASK_TEST_{name}"));
    let variables: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
    let run = with_variables(&["good::passes"], &variables);
    assert_eq!(run.code, Some(0), "{run}");
}

#[test]
fn the_error_for_an_invalid_variable_names_it() {
    for (name, value, wrong) in [
        ("JOBS", "x", "invalid value 'x' for '--jobs <N>'"),
        ("ISOLATE", "bix", "invalid value 'bix' for '--isolate <HOW>'"),
        ("RETRIES", "$(printf '\\377')", "invalid UTF-8"),
    ] {
        // The variable before it is valid.
        let script = format!("export XTASK_TEST_REQUIRE=ipv4 XTASK_TEST_{name}=\"{value}\"; exec \"$@\"");
        let setup = Setup {
            script: Some(&script),
            ..Setup::new(&["good::passes"])
        };
        let run = setup.run();
        assert_eq!(run.code, Some(2), "{run}");
        let tip = format!("comes from the variable XTASK_TEST_{name}\n");
        assert!(run.stderr.contains(wrong) && run.stderr.contains(&tip), "{run}");
    }
}

#[test]
fn the_error_for_an_invalid_argument_names_it() {
    for (words, wrong) in [
        ("--stretch -1", "`-1` is neither `auto` nor a number"),
        ("--timeout nan", "`nan` is not a number"),
        (
            "--timeout -1",
            "`-1` is not a valid duration; give a time such as `30s`",
        ),
        ("-j 0", "`0` is not a whole number from 1"),
        ("--partition count:1/2", "hint: `--shard 1/2` runs"),
        ("--bogus", "unexpected argument '--bogus' found\n\nUsage: "),
        (
            "--junit \"$(printf 'a\\377')\" -E \"$(printf 'b\\377')\" c",
            "it is `b\u{fffd}`",
        ),
        ("--retries 1 \"$(printf 'd\\377')\"", "it is `d\u{fffd}`"),
    ] {
        let setup = Setup {
            script: Some(&format!("exec \"$@\" {words}")),
            ..Setup::new(&[])
        };
        let run = setup.run();
        assert_eq!(run.code, Some(2), "{run}");
        assert!(run.stderr.contains(wrong), "{wrong}: {run}");
    }
}

#[test]
fn ci_names_an_invalid_variable_too() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    let command = command.arg("ci").env("XTASK_TEST_JOBS", "x");
    let output = must("start xtask", command.output());
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("comes from the variable XTASK_TEST_JOBS"), "{said}");
}

#[test]
fn an_overridden_variable_may_be_invalid_and_a_valid_one_is_not_blamed() {
    let variable = [("XTASK_TEST_JOBS", "x"), ("XTASK_TEST_PROFILE", "hurried")];
    let run = with_variables(&["good::passes", "--jobs", "2"], &variable);
    assert_eq!(run.code, Some(0), "{run}");
    let run = with_variables(&["--jobs", "y", "--nonsense"], &[("XTASK_TEST_RETRIES", "1")]);
    assert_eq!(
        (run.code, run.stderr.contains("variable")),
        (Some(2), false),
        "{run}"
    );
}

#[test]
fn without_a_profile_for_ci_no_profile_applies_there() {
    let run = with_variables(&["good::passes"], &[("CI", "true")]);
    assert_eq!(run.code, Some(0), "{run}");
    assert!(!run.stdout.contains("profile: "), "{run}");
}

#[test]
fn an_invalid_profile_is_refused_with_file_and_key() {
    for (name, code, parts) in [
        ("misspelt", 96, ["profiles.misspelt.tiemout` in `", "--timeout"]),
        ("nonsense", 96, ["profiles.nonsense.timeout` in `", "soon"]),
        ("nobodys", 2, ["no profile `nobodys`", "`hurried`"]),
    ] {
        let run = run(&["--profile", name]);
        assert_eq!(run.code, Some(code), "{run}");
        assert!(parts.iter().all(|part| run.stderr.contains(part)), "{run}");
    }
}

#[test]
fn an_override_that_matches_no_test_is_a_warning_when_all_packages_are_built() {
    let package = Scratch::package("fn main() {}\n#[test]\nfn passes() {}\n");
    package.add_dependency("below", "#[test]\nfn passes() {}\n");
    package.add_to_manifest(
        "[[workspace.metadata.universe.test.overrides]]\nfilter = \"package(below)\"\nretries = 1\n\
         [[workspace.metadata.universe.test.overrides]]\nfilter = \"module(gone)\"\nretries = 1\n",
    );
    let warnings = |arguments: &[&str]| -> Vec<String> {
        let run = package.run("test", arguments);
        assert_eq!(run.code, Some(0), "{run}");
        let lines = run.stdout.lines().filter(|line| line.starts_with("warning: "));
        lines.map(str::to_owned).collect()
    };
    let expected = "warning: no test matches `module(gone)`, which is `workspace.metadata.universe.test.overrides[1].filter`";
    assert_eq!(warnings(&["--workspace"]), [expected]);
    assert_eq!(warnings(&[]), [""; 0], "`below` is not a default member");
}
