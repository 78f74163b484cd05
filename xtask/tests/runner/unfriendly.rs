//! The runner in unfriendly conditions: signals, a build that fails, odd environments, two runs at
//! once.

use rustix::process::Signal;

use super::support::{Running, Scratch, Setup, Signals, run};

#[test]
fn an_interrupted_run_kills_its_tests_and_reports_the_interruption() {
    let mut running = Running::start(&["hangs_with_a_family", "good::passes", "-j1", "--shuffle=2"]);
    running.wait_for_line("running 2 of 2 tests");
    running.wait_for_process("sleep 22");
    let run = running.interrupt(Signal::INT);
    assert_eq!(run.code, Some(130), "{run}");
    assert!(
        run.stdout
            .contains("interrupted: the run was interrupted by SIGINT"),
        "{run}"
    );
    assert!(run.junit().contains("interrupted by SIGINT"), "{}", run.junit());
    for line in [
        "\nINTR [",
        "\ninterrupted: 1 of the failed tests\n0 passed, 1 failed, 1 skipped\n",
    ] {
        assert!(run.stdout.contains(line), "{line}\n{run}");
    }
    assert!(run.survivors().is_empty(), "{:?}", run.survivors());
}

#[test]
fn inherited_ignored_or_blocked_signals_affect_neither_the_runner_nor_the_tests() {
    let setup = Setup {
        signals: Signals::IgnoredAndBlocked,
        ..Setup::new(&["good::", "slow::hangs"])
    };
    let mut running = setup.start();
    running.wait_for_line("PASS");
    let run = running.interrupt(Signal::TERM);
    assert_eq!(
        (run.code, run.stdout.contains("FAIL")),
        (Some(143), false),
        "{run}"
    );
}

#[test]
fn a_terminated_run_exits_with_the_code_of_sigterm() {
    let mut running = Running::start(&["slow::hangs"]);
    running.wait_for_line("running 2 of 2 tests");
    assert_eq!(running.interrupt(Signal::TERM).code, Some(143));
}

#[test]
fn a_failed_build_writes_a_report_and_replaces_an_old_one() {
    let broken = Scratch::package("fn main() { this is not rust }");
    let published = broken.published();
    std::fs::create_dir_all(published.parent().unwrap()).unwrap();
    std::fs::write(&published, "green, and of yesterday").unwrap();
    let run = broken.test();
    assert_eq!(
        (run.code, run.last_line()),
        (Some(101), "0 passed, 0 failed, 0 skipped"),
        "{run}"
    );
    let junit = std::fs::read_to_string(&published).unwrap();
    assert!(
        junit.contains("type=\"build\"") && junit.contains("src/main.rs\" line=\"1\""),
        "{junit}"
    );
}

#[test]
fn a_workspace_without_tests_is_reported_as_such() {
    let run = Scratch::package("fn main() {}").test();
    assert_eq!(run.code, Some(4), "{run}");
    assert!(
        run.stdout.contains("there are no tests in this workspace"),
        "{run}"
    );
}

#[test]
fn a_report_that_cannot_be_written_has_its_own_exit_code() {
    let run = run(&["good::passes", "--junit", "/proc/nowhere/junit.xml"]);
    assert_eq!(
        (run.code, run.last_line()),
        (Some(110), "1 passed, 0 failed, 0 skipped"),
        "{run}"
    );
}

#[test]
fn a_report_that_cannot_be_written_hides_no_failure() {
    let run = run(&["bad::panics", "--junit", "/proc/nowhere/junit.xml"]);
    assert_eq!(
        (run.code, run.last_line()),
        (Some(100), "0 passed, 2 failed, 0 skipped"),
        "{run}"
    );
    assert!(
        run.stdout.contains("error: could not") && run.stdout.contains("`/proc/nowhere"),
        "{run}"
    );
}

#[test]
fn the_path_of_a_report_is_printed_only_if_it_was_written() {
    let package = Scratch::package(
        "fn main() {}\n#[test]\nfn is_in_the_way() {\n    let place = concat!(env!(\"CARGO_MANIFEST_DIR\"), \
         \"/target/xtask/test/junit.xml\");\n    std::fs::create_dir_all(place).unwrap();\n}\n",
    );
    let run = package.test();
    assert_eq!(
        (run.code, run.last_line()),
        (Some(110), "1 passed, 0 failed, 0 skipped"),
        "{run}"
    );
    assert!(!run.stdout.contains("report: "), "{run}");
}

#[test]
fn a_temporary_directory_that_does_not_exist_is_a_setup_error_with_a_hint() {
    let run = Setup {
        variables: &[("TMPDIR", "/proc/nowhere")],
        ..Setup::new(&["good::passes"])
    }
    .run();
    assert_eq!(run.code, Some(96), "{run}");
    assert!(
        run.stderr.contains("`/proc/nowhere`") && run.stderr.contains("hint: set TMPDIR"),
        "{run}"
    );
}

#[test]
fn odd_environments_change_nothing() {
    let odd = tempfile::Builder::new().prefix("söme dir ").tempdir().unwrap();
    let dead = "http://127.0.0.1:1";
    let environments = [
        ("TMPDIR", odd.path().to_str().unwrap()),
        ("HOME", "/proc/nowhere"),
        ("HTTP_PROXY", dead),
        ("ALL_PROXY", dead),
        ("RUST_TEST_THREADS", "none"),
        ("CARGO_MANIFEST_DIR", "/proc/nowhere"),
        ("NO_COLOR", "1"),
    ];
    for environment in environments {
        let run = Setup {
            variables: &[environment],
            ..Setup::new(&["good"])
        }
        .run();
        assert_eq!(
            run.last_line(),
            "6 passed, 0 failed, 0 skipped",
            "{environment:?}\n{run}"
        );
    }
    assert_eq!(
        std::fs::read_dir(odd.path()).unwrap().count(),
        0,
        "files are left after a success"
    );
}

#[test]
fn a_strict_umask_changes_nothing() {
    let run = Setup {
        script: Some("umask 077; exec \"$@\""),
        ..Setup::new(&["good"])
    }
    .run();
    assert_eq!(run.last_line(), "6 passed, 0 failed, 0 skipped", "{run}");
}

#[test]
fn two_runs_at_once_do_not_mix() {
    let first = Running::start(&["good"]);
    let second = Running::start(&["bad::panics"]);
    assert_eq!(first.finish().last_line(), "6 passed, 0 failed, 0 skipped");
    assert_eq!(second.finish().last_line(), "0 passed, 2 failed, 0 skipped");
}

#[test]
fn a_closed_stdout_does_not_stop_the_run() {
    let run = Setup {
        script: Some("exec \"$@\" >&-"),
        ..Setup::new(&["good"])
    }
    .run();
    assert_eq!(run.code, Some(0), "{run}");
    assert!(run.junit().contains("tests=\"6\""), "{}", run.junit());
}

#[test]
#[cfg(target_os = "linux")]
fn a_list_that_cannot_be_printed_has_the_code_of_a_report_unless_there_is_another_failure() {
    for (arguments, expected) in [(&["good"][..], 110), (&["good", "--fuse", "on", "--json"], 107)] {
        let list = Setup {
            subcommand: "list",
            script: Some("exec \"$@\" >/dev/full"),
            ..Setup::new(arguments)
        }
        .run();
        assert_eq!(list.code, Some(expected), "{list}");
        assert!(
            list.stderr.contains("could not write to standard output"),
            "{list}"
        );
    }
}

#[test]
#[cfg(target_os = "linux")]
fn results_that_cannot_be_printed_have_the_code_of_a_report_unless_there_is_another_failure() {
    for (arguments, expected) in [
        (&["good::passes"][..], 110),
        (&["bad::panics"], 100),
        (&["good::passes", "--dry-run"], 110),
    ] {
        let run = Setup {
            script: Some("exec \"$@\" >/dev/full"),
            ..Setup::new(arguments)
        }
        .run();
        assert_eq!(run.code, Some(expected), "{run}");
        assert!(
            run.stderr.contains("error: could not write to standard output"),
            "{run}"
        );
    }
}

#[test]
#[cfg(target_os = "linux")]
#[ignore = "needs root"]
fn a_test_that_fails_for_lack_of_space_reports_which_test_uses_it() {
    for (room, total, free, held) in [
        ("size=4m", "4.0 MiB", "0.0 MiB", "4.0 MiB"),
        // The other three inodes are the directories of both tests and their parent.
        ("nr_inodes=50", "50 files", "0 files", "47 files"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let (full, go_on) = (directory.path().join("full"), directory.path().join("go on"));
        let mut running = Setup {
            variables: &[
                ("RUNNER_FILE", full.to_str().unwrap()),
                ("RUNNER_START", go_on.to_str().unwrap()),
                ("RUNNER_ROOM", room),
            ],
            ..Setup::new(&["hungry::", "-j2", "--isolate", "box"])
        }
        .start();
        running.wait_for_line("FAIL");
        std::fs::write(&go_on, "").unwrap();
        let run = running.finish();
        assert_eq!(run.last_line(), "1 passed, 1 failed, 0 skipped", "{run}");
        assert!(!run.stdout.contains("LEAK"), "{run}");
        let told = format!("no room: {free} of {total} for temporary directories are free; ");
        let culprit = format!("fixture::suite$hungry::takes_all_the_room holds {held}");
        for text in [run.stdout.clone(), run.junit()] {
            assert!(text.contains(&format!("{told}{culprit}")), "{text}");
        }
    }
}

#[test]
fn listing_runs_nothing_and_gives_reasons() {
    let list = Setup {
        subcommand: "list",
        ..Setup::new(&["skipped", "--json"])
    }
    .run();
    let entries: serde_json::Value = serde_json::from_str(&list.stdout).unwrap();
    let entry = |name: &str| {
        let entries = entries.as_array().unwrap();
        entries
            .iter()
            .find(|entry| entry["name"] == format!("skipped::{name}"))
            .unwrap()
            .clone()
    };
    assert_eq!(entry("needs_a_capability_of_windows")["needs"][0], "winfsp");
    assert_eq!(entry("is_ignored_for_another_reason")["reason"], "slow one");
    assert_eq!(
        entry("needs_capabilities_that_may_be_missing")["file"],
        "suite/skipped.rs"
    );
}
