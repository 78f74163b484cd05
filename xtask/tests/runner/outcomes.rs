//! The outcomes of tests in exit codes, lines and reports.

use super::support::{Run, Scratch, Setup, run};

#[test]
fn a_green_run_exits_with_zero_and_ends_in_the_counts() {
    let run = run(&["good"]);
    assert_eq!(
        (run.code, run.last_line()),
        (Some(0), "6 passed, 0 failed, 0 skipped"),
        "{run}"
    );
    assert!(run.stdout.contains("] fixture::suite good::passes\n"), "{run}");
}

#[test]
fn a_red_run_repeats_each_failure_with_place_output_and_command() {
    let run = run(&["bad::panics"]);
    assert_eq!(
        (run.code, run.last_line()),
        (Some(100), "0 passed, 2 failed, 0 skipped"),
        "{run}"
    );
    for part in [
        "panic: the panic's message",
        "  at suite/bad.rs:8",
        "  kept: ",
        "--- stderr",
        "'fixture::suite$bad::panics'",
    ] {
        assert!(run.stdout.contains(part), "{part}\n{run}");
    }
}

#[test]
fn hostile_output_reaches_neither_the_terminal_nor_the_report() {
    let run = run(&["hostile"]);
    assert!(!run.stdout.contains(['\x1b', '\0', '\x07']), "{run}");
    assert!(
        !run.junit().contains(['\x1b', '\0', '\x07', '\u{fffe}']),
        "{}",
        run.junit()
    );
}

#[test]
fn characters_that_reorder_text_are_escaped_on_the_terminal_and_kept_in_the_report() {
    let run = run(&["reported::reorders_text"]);
    for part in ["printed \\u{202e}txt", "panicked \\u{2066}txt"] {
        assert!(run.stdout.contains(part), "{part}\n{run}");
    }
    assert!(!run.stdout.contains(['\u{202e}', '\u{2066}']), "{run}");
    let junit = run.junit();
    assert!(
        junit.contains("printed \u{202e}txt") && junit.contains("message=\"panicked \u{2066}txt\""),
        "{junit}"
    );
}

#[test]
fn the_name_of_a_test_can_not_steer_the_terminal() {
    let name = r"a\u{202e}b\u{1b}]0;x\u{7}";
    let source = format!(
        "fn main() {{ let args = std::env::args().collect::<Vec<_>>().join(\" \");\n\
         if !args.contains(\"--list\") {{ println!(\"running 1 test\\ntest result: ok. 1 passed; 0 failed\") }}\n\
         else if !args.contains(\"--ignored\") {{ println!(\"{name}: test\") }} }}\n"
    );
    let package = Scratch::package(&source);
    package.add_to_manifest("[[test]]\nname = \"odd\"\npath = \"src/main.rs\"\nharness = false\n");
    let (ran, listed) = (package.test(), package.run("list", &[]));
    assert_eq!(ran.last_line(), "1 passed, 0 failed, 0 skipped", "{ran}");
    for run in [ran, listed] {
        assert!(run.stdout.contains(name), "{run}");
        assert!(!run.stdout.contains(['\u{202e}', '\u{1b}', '\u{7}']), "{run}");
    }
}

#[test]
fn every_way_to_fail_is_distinguished() {
    let run = run(&["bad::"]);
    assert_eq!(run.last_line(), "0 passed, 8 failed, 0 skipped", "{run}");
    let junit = run.junit();
    for kind in [
        "type=\"panic\"",
        "type=\"error\"",
        "type=\"exit\"",
        "type=\"signal:SIGABRT\"",
    ] {
        assert!(junit.contains(kind), "{kind}\n{junit}");
    }
    assert!(
        junit.contains("message=\"the process exited with 0 before the test ended\""),
        "{junit}"
    );
    assert!(
        junit.contains("bytes left out"),
        "the output of 8 MiB is cut in the middle"
    );
}

#[test]
fn a_hanging_test_is_killed_with_every_process_that_it_started() {
    let run = run(&["hangs", "--timeout", "700ms"]);
    assert_eq!(
        (run.code, run.last_line()),
        (Some(100), "0 passed, 2 failed, 0 skipped"),
        "{run}"
    );
    assert!(run.stdout.contains("timeout: did not end within 0.7 s"), "{run}");
    assert!(run.survivors().is_empty(), "{:?}", run.survivors());
}

#[test]
fn a_process_that_a_test_leaves_behind_is_killed_and_reported() {
    let run = run(&["leaves_a_family_behind", "meets_no_process_of_that_family", "-j1"]);
    assert_eq!(run.last_line(), "2 passed, 0 failed, 0 skipped", "{run}");
    assert!(run.stdout.contains(" left behind: process: `sleep 26`"), "{run}");
    assert!(run.survivors().is_empty(), "{:?}", run.survivors());
}

#[test]
fn the_limit_of_the_whole_run_ends_it_with_a_report() {
    let run = run(&["slow::hangs", "good::passes", "-j1", "--global-timeout", "600ms"]);
    assert_eq!(run.code, Some(124), "{run}");
    assert!(
        run.junit()
            .contains("was killed when the run reached its limit of 0.6 s"),
        "{}",
        run.junit()
    );
    // The run reached its limit, not the test.
    assert!(run.stdout.contains("\nINTR ["), "{run}");
    assert_eq!(
        run.junit().matches("<error type=\"run-timeout\"").count(),
        2,
        "{run}"
    );
}

#[test]
fn skips_carry_their_reasons_and_unknown_needs_are_errors() {
    let run = run(&["skipped::"]);
    assert_eq!(
        (run.code, run.last_line()),
        (Some(100), "1 passed, 1 failed, 4 skipped"),
        "{run}"
    );
    for text in [run.stdout.clone(), run.junit()] {
        assert!(
            text.contains("slow one") && text.contains("needs winfsp: only Windows has WinFsp"),
            "{text}"
        );
    }
    assert!(
        run.stdout.contains("needs `teleport`, which is not a capability"),
        "{run}"
    );
}

#[test]
fn what_only_a_test_of_the_runner_can_set_up_is_skipped_with_its_reason() {
    let mut words = vec!["surroundings::reaches_nobody_outside", "slow::waits_for_a_file"];
    words.extend(["leaks::mounts_that_hide_each_other", "leaks::shared_memory"]);
    words.push("hostile::puts_a_link_in_the_place_of_its_directory");
    let run = run(&words);
    assert_eq!(run.last_line(), "0 passed, 0 failed, 5 skipped", "{run}");
    assert_eq!(
        run.stdout.matches(": only a test of the runner").count(),
        5,
        "{run}"
    );
}

#[test]
fn a_missing_required_capability_fails_the_run_with_its_reason() {
    for words in [["--require", "winfsp"], ["--require", "all"]] {
        let run = run(&[&["needs_a_capability_of_windows", "good::passes"], &words[..]].concat());
        assert_eq!(
            (run.code, run.last_line()),
            (Some(107), "1 passed, 1 failed, 0 skipped"),
            "{run}"
        );
        assert!(
            run.stdout
                .contains("`winfsp` is required and missing: only Windows has WinFsp"),
            "{run}"
        );
    }
}

#[test]
fn fuse_can_be_switched_off_and_the_skip_says_so() {
    let run = run(&["needs_a_capability_that_cannot_be_proven_here", "--fuse", "off"]);
    assert_eq!(
        (run.code, run.last_line()),
        (Some(0), "0 passed, 0 failed, 1 skipped"),
        "{run}"
    );
    for text in [run.stdout.clone(), run.junit()] {
        assert!(
            text.contains("needs fuse: switched off by `--fuse off`"),
            "{text}"
        );
    }
}

#[test]
fn fuse_can_be_required_by_an_option_or_a_variable() {
    let words = ["needs_a_capability_that_cannot_be_proven_here", "good::passes"];
    let by_option = run(&[&words[..], &["--fuse", "on"]].concat());
    let by_environment = Setup {
        variables: &[("XTASK_TEST_FUSE", "on")],
        ..Setup::new(&words)
    }
    .run();
    for run in [by_option, by_environment] {
        assert_eq!(
            (run.code, run.last_line()),
            (Some(107), "1 passed, 1 failed, 0 skipped"),
            "{run}"
        );
        assert!(run.stdout.contains("`fuse` is required and missing: "), "{run}");
        assert!(
            run.stdout
                .contains("there is no `workspace.metadata.universe.probe`"),
            "{run}"
        );
    }
}

#[test]
fn no_match_a_bad_filter_and_bad_usage_have_their_own_exit_codes() {
    let none = run(&["no_such_test"]);
    assert_eq!(none.code, Some(4), "{none}");
    assert!(
        none.stdout.contains("no test matches `no_such_test` (of "),
        "{none}"
    );
    assert_eq!(run(&["a$b"]).code, Some(94));
    assert_eq!(run(&["--require", "teleport"]).code, Some(2));
    assert_eq!(run(&["--timeout", "soon"]).code, Some(2));
}

#[test]
fn an_exact_id_and_an_exact_name_select_one_test() {
    for words in [&["fixture::suite$good::passes"][..], &["--exact", "good::passes"]] {
        assert_eq!(run(words).last_line(), "1 passed, 0 failed, 0 skipped");
    }
}

#[test]
fn fail_fast_starts_nothing_after_the_first_failure() {
    let run = run(&["bad::aborts", "good::", "-j1", "--fail-fast"]);
    assert_eq!(
        (run.code, run.last_line()),
        (Some(100), "0 passed, 1 failed, 6 skipped"),
        "{run}"
    );
    assert!(
        run.stdout.contains("not started after the first failure"),
        "{run}"
    );
}

#[test]
fn a_seed_reproduces_a_shuffled_order() {
    let order = |run: Run| -> Vec<String> {
        let lines = run.stdout.lines().filter(|line| line.starts_with("PASS"));
        lines
            .filter_map(|line| line.rsplit(' ').next())
            .map(str::to_owned)
            .collect()
    };
    let first = run(&["good::", "-j1", "--shuffle=11"]);
    assert!(first.stdout.contains("random order of seed 11"), "{first}");
    let (first, again) = (order(first), order(run(&["good::", "-j1", "--shuffle=11"])));
    assert_eq!(first, again);
    assert_ne!(first, order(run(&["good::", "-j1", "--shuffle=12"])));
}

#[test]
fn output_can_be_shown_while_a_test_runs() {
    let run = run(&["good::passes", "--no-capture"]);
    assert!(run.stdout.contains("good::passes | said on stdout\n"), "{run}");
}

#[test]
fn a_test_is_not_told_to_leave_out_colours_unless_the_user_says_so() {
    let source = "fn main() {}\n#[test]\nfn sees_what_the_user_said() { assert_eq!(std::env::var(\"NO_COLOR\").unwrap(), \"\") }\n";
    let package = Scratch::package(source);
    let run = Setup {
        manifest: package.manifest(),
        variables: &[("NO_COLOR", "")],
        ..Setup::new(&[])
    }
    .run();
    assert_eq!(run.last_line(), "1 passed, 0 failed, 0 skipped", "{run}");
}

/// A process that uses the terminal of its session is stopped if it is in the background there.
#[test]
fn a_test_has_no_terminal_as_its_session_is_not_that_of_the_runner() {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    // The fourth field after the name of the process (proc_pid_stat(5)).
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let session = fields.split_whitespace().nth(3).unwrap();
    let source = "fn main() {}\n#[test]\nfn is_in_a_session_of_its_own() {
            let stat = std::fs::read_to_string(\"/proc/self/stat\").unwrap();
            let session = stat.rsplit_once(')').unwrap().1.split_whitespace().nth(3).unwrap();
            // A session outside the namespace is shown as 0.
            assert!(![\"0\", &std::env::var(\"RUNNER_SESSION\").unwrap()].contains(&session), \"{stat}\");
        }\n";
    let package = Scratch::package(source);
    for level in ["auto", "process"] {
        let run = Setup {
            manifest: package.manifest(),
            variables: &[("RUNNER_SESSION", session)],
            ..Setup::new(&["--isolate", level])
        }
        .run();
        assert_eq!(run.last_line(), "1 passed, 0 failed, 0 skipped", "{run}");
    }
}
