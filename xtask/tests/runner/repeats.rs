//! Tests that run repeatedly, concurrently, or never at the same time.

use rustix::process::Signal;

use super::support::{Run, Running, Scratch, Setup, must, run};

/// Runs tests that meet in a directory of their own.
fn meeting(arguments: &[&str]) -> Run {
    let directory = must("make a directory", tempfile::tempdir());
    let place = directory.path().to_string_lossy();
    Setup {
        variables: &[("FIXTURE_MEETING", &place)],
        ..Setup::new(arguments)
    }
    .run()
}

/// The names of the tests that passed, in the order in which they finished.
fn passed(run: &Run) -> Vec<String> {
    let lines = run.stdout.lines().filter(|line| line.starts_with("PASS"));
    lines
        .filter_map(|line| line.rsplit(' ').next())
        .map(str::to_owned)
        .collect()
}

#[test]
fn a_test_that_passes_on_its_second_attempt_is_flaky_and_counts_as_configured() {
    const TEST: &str = "passes_on_the_second_attempt";
    let plain = run(&[TEST]);
    assert_eq!(
        (plain.code, plain.last_line()),
        (Some(100), "0 passed, 1 failed, 0 skipped"),
        "{plain}"
    );
    let retried = run(&[TEST, "--retries", "2"]);
    assert_eq!(
        (retried.code, retried.last_line()),
        (Some(0), "1 passed, 0 failed, 0 skipped"),
        "{retried}"
    );
    for part in [
        "second_attempt (attempt 1 of 3)",
        "second_attempt (attempt 2 of 3)",
    ] {
        assert!(retried.stdout.contains(part), "{part}\n{retried}");
    }
    let strict = run(&[TEST, "--retries", "1", "--flaky", "fail"]);
    assert_eq!(
        (strict.code, strict.last_line()),
        (Some(100), "0 passed, 1 failed, 0 skipped"),
        "{strict}"
    );
    assert!(
        strict.stdout.contains("flaky: passed only on attempt 2"),
        "{strict}"
    );
}

#[test]
fn a_test_that_always_fails_fails_after_its_last_attempt() {
    let run = run(&["bad::aborts", "--retries", "2"]);
    assert_eq!(
        (run.code, run.last_line()),
        (Some(100), "0 passed, 1 failed, 0 skipped"),
        "{run}"
    );
    assert_eq!(
        run.stdout.matches("DIED [").count(),
        4,
        "three attempts and the summary: {run}"
    );
}

#[test]
fn a_run_interrupted_before_the_next_attempt_reports_the_failure() {
    let mut running = Running::start(&["bad::aborts", "--retries", "1", "--retry-delay", "60s"]);
    running.wait_for_line("DIED");
    let run = running.interrupt(Signal::INT);
    assert_eq!(
        (run.code, run.last_line()),
        (Some(130), "0 passed, 1 failed, 0 skipped"),
        "{run}"
    );
}

#[test]
fn a_count_runs_every_test_that_often_and_the_report_numbers_the_rounds() {
    let run = run(&["good::passes", "good::knows_its_run", "--count", "3"]);
    assert_eq!(
        (run.code, run.last_line()),
        (Some(0), "6 passed, 0 failed, 0 skipped"),
        "{run}"
    );
    for name in ["name=\"passes\"", "name=\"passes#2\"", "name=\"passes#3\""] {
        assert!(run.junit().contains(name), "{name}\n{}", run.junit());
    }
}

#[test]
fn copies_run_at_the_same_time_and_rounds_do_not() {
    const TEST: &str = "meets_two_copies_of_itself";
    let copies = meeting(&[TEST, "--run-ignored", "--copies", "3", "-j4"]);
    assert_eq!(
        (copies.code, copies.last_line()),
        (Some(0), "3 passed, 0 failed, 0 skipped"),
        "{copies}"
    );
    let rounds = meeting(&[TEST, "--run-ignored", "--count", "3", "-j1", "--timeout", "400ms"]);
    assert_eq!(rounds.code, Some(100), "{rounds}");
}

#[test]
fn more_copies_than_slots_are_a_usage_error() {
    let run = run(&["good::passes", "--copies", "3", "-j2"]);
    assert_eq!(run.code, Some(2), "{run}");
    assert!(run.stderr.contains("`--copies 3` needs 3 slots"), "{run}");
}

#[test]
fn concurrency_is_limited_by_the_available_descriptors() {
    let start = |words: &[&str]| {
        Setup {
            script: Some("ulimit -Sn 100; ulimit -Hn 100; exec \"$@\""),
            ..Setup::new(words)
        }
        .run()
    };
    let refused = start(&["good::", "--copies", "16", "-j32"]);
    assert_eq!(refused.code, Some(2), "{refused}");
    let why = "`--copies 16` needs 16 slots, and the open-file limit allows only 7 concurrent tests";
    assert!(refused.stderr.contains(why), "{refused}");
    let bounded = start(&["good::passes", "--copies", "7", "-j32"]);
    assert_eq!(bounded.last_line(), "7 passed, 0 failed, 0 skipped", "{bounded}");
    for part in [
        " 7 at a time",
        "the open-file limit allows only 7 concurrent tests",
    ] {
        assert!(bounded.stdout.contains(part), "{part}\n{bounded}");
    }
    assert!(bounded.junit().contains("name=\"jobs\" value=\"7\""), "{bounded}");
}

#[test]
fn a_search_for_a_failure_ends_with_the_first_one_or_at_its_bound() {
    let words = ["fails_in_the_third_round", "good::passes", "-j1", "--until-fail"];
    let found = run(&words);
    assert_eq!(
        (found.code, found.last_line()),
        (Some(100), "4 passed, 1 failed, 0 skipped"),
        "{found}"
    );
    let bounded = run(&[&words[..], &["--count", "2"]].concat());
    assert_eq!(
        (bounded.code, bounded.last_line()),
        (Some(0), "4 passed, 0 failed, 0 skipped"),
        "{bounded}"
    );
}

#[test]
fn a_stress_run_lasts_its_time_and_only_an_explicit_limit_ends_it_early() {
    let stressed = run(&["good::passes", "--stress", "400ms"]);
    assert_eq!(stressed.code, Some(0), "{stressed}");
    assert!(passed(&stressed).len() > 2, "{stressed}");
    let limited = run(&["good::passes", "--stress", "60s", "--global-timeout", "400ms"]);
    assert_eq!(limited.code, Some(124), "{limited}");
}

#[test]
fn of_many_failures_the_first_hundred_keep_their_files() {
    let scratch = Scratch::package(
        "fn main() {}\n#[test] fn fails() { std::fs::write(std::env::temp_dir().join(\"f\"), \"x\").unwrap(); panic!() }",
    );
    let run = scratch.run("test", &["--count", "108"]);
    assert_eq!(run.last_line(), "0 passed, 108 failed, 0 skipped", "{run}");
    let [run_directory] = &scratch.runs()[..] else {
        panic!("{:?}", scratch.runs())
    };
    let logs = must("list the logs", run_directory.join("logs").read_dir());
    // The logs of the first round stay as well.
    assert_eq!(
        (logs.count(), run.junit().matches("\nkept: ").count()),
        (101, 101),
        "{run}"
    );
    // The console shows some of them, and numbers the others.
    assert_eq!(run.stdout.matches("\n  kept: ").count(), 3, "{run}");
    let others = "\nscratch::bin/scratch fails failed in the same way in 105 more rounds: 4, 5, ";
    assert!(run.stdout.contains(others), "{run}");
}

#[test]
fn a_seed_reproduces_a_different_order_for_each_round() {
    let words = ["good::", "-j1", "--count", "2", "--shuffle=11"];
    let (first, again) = (passed(&run(&words)), passed(&run(&words)));
    assert_eq!(first, again);
    let second_round: Vec<&str> = first[6..]
        .iter()
        .map(|name| name.trim_end_matches("#2"))
        .collect();
    assert_ne!(second_round, first[..6]);
}

#[test]
fn exclusive_tests_are_alone_groups_keep_their_limit_and_heavy_tests_their_slots() {
    for words in [
        &["company::", "-j4"][..],
        &["company::", "-j4", "--count", "2", "--shuffle=3"],
    ] {
        let run = meeting(words);
        assert_eq!(run.code, Some(0), "{run}");
    }
}

#[test]
fn an_override_gives_a_test_its_own_limit_and_its_own_retries() {
    let scratch = Scratch::package("fn main() {}\n#[test] fn hangs() { loop { std::thread::park() } }");
    let rule = "filter = \"test(=hangs)\"\ntimeout = \"200ms\"\nretries = 1\n";
    scratch.add_to_manifest(&format!("[[workspace.metadata.universe.test.overrides]]\n{rule}"));
    let run = scratch.test();
    assert_eq!(
        (run.code, run.last_line()),
        (Some(100), "0 passed, 1 failed, 0 skipped"),
        "{run}"
    );
    assert!(run.stdout.contains("hangs (attempt 2 of 2)"), "{run}");
    assert!(run.stdout.contains("timeout: did not end within 0."), "{run}");
}

#[test]
fn the_error_for_an_invalid_override_names_its_key() {
    let scratch = Scratch::package("fn main() {}");
    scratch
        .add_to_manifest("[[workspace.metadata.universe.test.overrides]]\nfilter = \"all()\"\nretires = 1\n");
    let run = scratch.test();
    assert_eq!(run.code, Some(96), "{run}");
    assert!(
        run.stdout
            .contains("`workspace.metadata.universe.test.overrides[0].retires`"),
        "{run}"
    );
}
