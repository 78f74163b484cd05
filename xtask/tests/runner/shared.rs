//! A supervisor has several tests only as long as each of them leaves nothing; and what they could
//! leave unseen is never shared.
#![cfg(target_os = "linux")]

use super::support::{Run, run};

/// Of each test, in order: the id of its supervisor, its namespace of mounts, its namespace of
/// shared memory, its own id.
fn shared(run: &Run) -> Vec<[String; 4]> {
    let said = run.stdout.lines().filter_map(|line| {
        let (name, words) = line.split_once(" | ")?;
        let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
        (name.starts_with("shared::") && line.contains("mnt:[")).then_some(words)
    });
    said.filter_map(|words| words.try_into().ok()).collect()
}

/// Whether two tests, one after the other, had one supervisor. Where each has a process namespace,
/// it is called 1 there; but ids follow each other.
fn have_one_supervisor(one: &[String; 4], other: &[String; 4]) -> bool {
    let id = |test: &[String; 4]| test[3].parse::<u32>();
    let follows = id(one).is_ok_and(|one| id(other).is_ok_and(|other| one.abs_diff(other) < 1000));
    one[0] == other[0] && (one[0] != "1" || follows)
}

/// What the tests of the fixture found, at this level, and what all of the run said.
fn found_at(level: &str) -> ([[String; 4]; 4], Run) {
    let run = run(&["shared::", "--jobs=1", "--no-capture", "--isolate", level]);
    let found = <[_; 4]>::try_from(shared(&run));
    (found.unwrap_or_else(|found| panic!("{found:?}\n{run}")), run)
}

#[test]
fn a_test_that_left_something_has_the_last_of_its_supervisor() {
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
fn in_the_box_what_could_be_left_unseen_is_not_shared() {
    let ([a, b, c, d], run) = found_at("box");
    assert_eq!(a[1], b[1], "its mounts are as they were: {run}");
    assert!(c[1] != d[1] || c[2] != d[2], "{run}");
    assert!(
        a[2] != b[2] && b[2] != c[2],
        "nobody looked for message queues: {run}"
    );
}
