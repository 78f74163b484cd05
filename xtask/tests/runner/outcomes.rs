//! What becomes of tests, as exit codes, lines and reports tell it.

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
fn what_reorders_text_is_shown_on_the_terminal_and_kept_in_the_report() {
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
fn a_test_whose_name_would_steer_the_terminal_does_not() {
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
fn every_way_to_fail_is_told_apart() {
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
        junit.contains("message=\"the process exited with 0 before the test had ended\""),
        "{junit}"
    );
    assert!(
        junit.contains("bytes left out"),
        "the output of 8 MiB is cut in the middle"
    );
}

#[test]
fn a_test_that_hangs_is_ended_with_all_that_it_started() {
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
fn what_a_test_leaves_behind_is_killed_and_counted() {
    let run = run(&["leaves_a_family_behind", "meets_nobody_of_that_family", "-j1"]);
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
    // It is the run's limit and not the test's.
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
        run.stdout.contains("needs `teleport`, which is no capability"),
        "{run}"
    );
}

#[test]
fn a_required_capability_that_is_missing_fails_the_run_with_its_reason() {
    for words in [["--require", "winfsp"], ["--require", "all"]] {
        let run = run(&[&["needs_what_only_windows_has", "good::passes"], &words[..]].concat());
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
    let run = run(&["needs_what_cannot_be_proven_here", "--fuse", "off"]);
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
fn fuse_can_be_insisted_on_by_an_option_or_the_environment() {
    let words = ["needs_what_cannot_be_proven_here", "good::passes"];
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
fn no_match_a_bad_filter_and_bad_usage_have_codes_of_their_own() {
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
fn a_shuffled_order_can_be_had_again() {
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
