//! Parts of the suite: shards, the tests that failed last time, and lists that run nothing.

use std::path::PathBuf;

use tempfile::TempDir;

use super::support::{Run, Scratch, Setup, must};

/// A history of its own for several runs.
struct Past {
    directory: TempDir,
}

impl Past {
    fn new() -> Past {
        let directory = must("make a directory", tempfile::tempdir());
        Past { directory }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("history.ndjson")
    }

    fn run(&self, arguments: &[&str]) -> Run {
        self.run_with(arguments, &[])
    }

    fn run_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Run {
        let path = self.path();
        let path = path.to_string_lossy();
        let history = [("XTASK_TEST_HISTORY", path.as_ref())];
        Setup {
            variables: &[&history, variables].concat(),
            ..Setup::new(arguments)
        }
        .run()
    }
}

/// A history after one run: two tests failed, one of them by request, and one passed.
fn after_two_failures() -> Past {
    let past = Past::new();
    let words = ["fails_if_told", "good::passes", "bad::aborts"];
    let run = past.run_with(&words, &[("FIXTURE_FAIL", "1")]);
    assert_eq!(run.last_line(), "1 passed, 2 failed, 0 skipped", "{run}");
    past
}

/// The names of the tests that the run printed as finished or skipped, sorted.
fn ran(run: &Run) -> Vec<String> {
    let lines = run.stdout.split("\n\n").next().unwrap_or_default().lines();
    let results = lines.filter(|line| {
        ["PASS", "FAIL", "DIED", "SKIP"]
            .iter()
            .any(|word| line.starts_with(word))
    });
    let names = results.filter_map(|line| line.split("fixture::suite ").nth(1));
    let mut names: Vec<String> = names
        .map(|name| name.split(':').take(3).collect::<Vec<_>>().join(":"))
        .collect();
    names.sort();
    names
}

#[test]
fn shards_cover_every_test_exactly_once_with_and_without_a_history() {
    let past = Past::new();
    for _ in ["nothing is known", "durations are known"] {
        let words = ["good::", "bad::", "skipped::"];
        let shard = |shard| ran(&past.run(&[&words[..], &["--shard", shard]].concat()));
        let mut parts = ["1/3", "2/3", "3/3"].map(shard).concat();
        parts.sort();
        let whole = ran(&past.run(&words));
        // One more test cannot run, and its skip is not printed during the run.
        assert_eq!((parts, whole.len()), (whole.clone(), 19));
    }
}

#[test]
fn an_empty_shard_is_not_a_failure_and_an_invalid_shard_is_an_error() {
    let past = Past::new();
    let counts = ["1/3", "2/3", "3/3"].map(|shard| {
        let run = past.run(&["good::passes", "--shard", shard]);
        assert_eq!(run.code, Some(0), "{run}");
        ran(&run).len()
    });
    assert_eq!(counts.iter().sum::<usize>(), 1);
    assert_eq!(past.run(&["--shard", "4/3"]).code, Some(2));
}

#[test]
fn failed_tests_can_be_rerun_and_those_left_out_stay_failed() {
    let past = after_two_failures();
    let both = past.run(&["--rerun-failed"]);
    assert_eq!(
        (both.code, both.last_line()),
        (Some(100), "1 passed, 1 failed, 0 skipped"),
        "{both}"
    );
    assert!(both.stdout.contains("1 that passed when they last ran"), "{both}");
    assert!(
        both.stdout.contains("history: failed in the only run so far"),
        "{both}"
    );
    let past = after_two_failures();
    let one = past.run(&["--rerun-failed", "flaky::"]);
    assert_eq!(
        (one.code, one.last_line()),
        (Some(5), "1 passed, 0 failed, 0 skipped"),
        "{one}"
    );
    assert!(one.stdout.contains("have yet to pass"), "{one}");
}

#[test]
fn a_rerun_shard_without_failed_tests_is_not_a_failure() {
    let heals = "#[test] fn heals() { std::fs::create_dir(\"seen\").unwrap_err(); }";
    let scratch = Scratch::package(&format!("fn main() {{}}\n{heals}\n#[test] fn passes() {{}}"));
    let whole = scratch.test();
    assert_eq!(whole.last_line(), "1 passed, 1 failed, 0 skipped", "{whole}");
    // This includes shards that start after another shard has fixed the test.
    let counts = ["1/3", "2/3", "3/3"].map(|shard| {
        let run = scratch.run("test", &["--rerun-failed", "--shard", shard]);
        assert_eq!(run.code, Some(0), "{run}");
        run.stdout.matches("PASS [").count()
    });
    assert_eq!(counts.iter().sum::<usize>(), 1);
    let again = scratch.run("test", &["--rerun-failed"]);
    assert_eq!(again.code, Some(4), "{again}");
}

#[test]
fn a_rerun_without_failed_tests_selects_nothing() {
    let past = Past::new();
    assert_eq!(past.run(&["good::passes"]).code, Some(0));
    let none = past.run(&["--rerun-failed"]);
    assert_eq!(none.code, Some(4), "{none}");
    assert!(none.stdout.contains("none of "), "{none}");
    let content = past.run(&["--rerun-failed", "--no-tests", "pass"]);
    assert_eq!(
        (content.code, content.last_line()),
        (Some(0), "0 passed, 0 failed, 0 skipped"),
        "{content}"
    );
    assert!(!content.junit().contains("<error"), "{}", content.junit());
}

#[test]
fn tests_that_failed_last_time_can_run_first() {
    let past = after_two_failures();
    let plan = past.run(&["good::", "flaky::", "--failed-first", "--dry-run"]);
    let first = plan
        .stdout
        .lines()
        .find(|line| line.trim_start().starts_with("1 "));
    assert!(
        first.is_some_and(|line| line.contains("$flaky::fails_if_told")),
        "{plan}"
    );
}

#[test]
fn a_dry_run_runs_nothing_and_prints_order_reasons_and_overrides() {
    let past = Past::new();
    let plan = past.run(&["company::", "skipped::", "--dry-run", "--shuffle=5"]);
    assert_eq!(plan.code, Some(0), "{plan}");
    for part in [
        "would run 8 of 14 tests, in the random order of seed 5",
        "[alone]",
        "[group grouped]",
        "[3 slots]",
        "    -  fixture::suite$skipped::is_ignored_for_another_reason",
        "skipped: slow one",
    ] {
        assert!(plan.stdout.contains(part), "{part}\n{plan}");
    }
    assert!(plan.junit().is_empty() && !past.path().exists());
    let list = past.run(&["company::", "--list"]);
    assert_eq!(list.stdout.lines().count(), 8, "{list}");
}

#[test]
fn skips_can_be_limited() {
    let words = ["skipped::is_ignored", "good::passes"];
    for (limit, code) in [("1", 100), ("2", 0)] {
        let run = Past::new().run(&[&words[..], &["--max-skips", limit]].concat());
        assert_eq!(
            (run.code, run.last_line()),
            (Some(code), "1 passed, 0 failed, 2 skipped"),
            "{run}"
        );
    }
    let none = Past::new().run(&[&words[..], &["--no-skips"]].concat());
    assert_eq!(none.code, Some(100), "{none}");
    assert!(none.junit().contains("2 tests were skipped"), "{}", none.junit());
}

#[test]
fn a_history_that_cannot_be_read_or_written_does_not_fail_a_run() {
    let past = Past::new();
    std::fs::write(past.path(), "\0 not json\n{\"v\":9}\n{\"v\":1,\"run\"").unwrap();
    assert_eq!(past.run(&["good::passes"]).code, Some(0));
    assert!(
        std::fs::read_to_string(past.path())
            .unwrap()
            .contains("good::passes")
    );
    let nowhere = past.run_with(
        &["good::passes"],
        &[("XTASK_TEST_HISTORY", "/proc/nowhere/history.ndjson")],
    );
    assert_eq!(nowhere.code, Some(0), "{nowhere}");
    assert!(
        nowhere.stdout.contains("warning: could not write the history"),
        "{nowhere}"
    );
}
