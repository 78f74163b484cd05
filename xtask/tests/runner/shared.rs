//! A supervisor runs several tests only as long as each of them leaves nothing behind. Tests never
//! share namespaces in which leftovers could go unnoticed.
#![cfg(target_os = "linux")]

use super::support::{Run, run};

/// For each test, in order: the id of its supervisor, its mount namespace, its IPC namespace, its
/// own id.
fn shared(run: &Run) -> Vec<[String; 4]> {
    let said = run.stdout.lines().filter_map(|line| {
        let (name, words) = line.split_once(" | ")?;
        let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
        (name.starts_with("shared::") && line.contains("mnt:[")).then_some(words)
    });
    said.filter_map(|words| words.try_into().ok()).collect()
}

/// Whether two successive tests had the same supervisor. In a process namespace each supervisor has
/// the id 1, but the ids of its tests follow each other.
fn have_one_supervisor(one: &[String; 4], other: &[String; 4]) -> bool {
    let id = |test: &[String; 4]| test[3].parse::<u32>();
    let follows = id(one).is_ok_and(|one| id(other).is_ok_and(|other| one.abs_diff(other) < 1000));
    one[0] == other[0] && (one[0] != "1" || follows)
}

/// The values that the tests of the fixture printed at this level, and the whole run.
fn found_at(level: &str) -> ([[String; 4]; 4], Run) {
    let run = run(&["shared::", "--jobs=1", "--no-capture", "--isolate", level]);
    let found = <[_; 4]>::try_from(shared(&run));
    (found.unwrap_or_else(|found| panic!("{found:?}\n{run}")), run)
}

#[test]
fn a_test_that_leaves_something_behind_is_the_last_of_its_supervisor() {
    for level in ["auto", "process"] {
        let ([a, b, c, d], run) = found_at(level);
        assert!(
            have_one_supervisor(&a, &b) && have_one_supervisor(&b, &c),
            "{run}"
        );
        assert!(!have_one_supervisor(&c, &d), "it left a file: {run}");
    }
}

#[test]
#[ignore = "needs userns"]
fn in_the_box_tests_share_no_namespace_whose_leftovers_could_go_unnoticed() {
    let ([a, b, c, d], run) = found_at("box");
    assert_eq!(
        a[1], b[1],
        "a test that changed no mount must share its mount namespace: {run}"
    );
    assert!(c[1] != d[1] || c[2] != d[2], "{run}");
    assert!(
        a[2] != b[2] && b[2] != c[2],
        "message queues are not searched, so the namespace must not be shared: {run}"
    );
}
