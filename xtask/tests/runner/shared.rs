//! A supervisor has several tests only as long as each of them leaves nothing; and what they could leave unseen is never
//! shared.
#![cfg(target_os = "linux")]

use super::support::{Run, run};

/// Of each test, in order: the id of its supervisor, its namespace of mounts, its namespace of shared memory, its own id.
fn shared(run: &Run) -> Vec<[String; 4]> {
    let said = run.stdout.lines().filter_map(|line| {
        let (name, words) = line.split_once(" | ")?;
        let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
        (name.starts_with("shared::") && line.contains("mnt:[")).then_some(words)
    });
    said.filter_map(|words| words.try_into().ok()).collect()
}

/// Whether two tests, one after the other, had one supervisor. Where each has a process namespace, it is called 1 there; but
/// ids follow each other.
fn have_one_supervisor(one: &[String; 4], other: &[String; 4]) -> bool {
    let id = |test: &[String; 4]| test[3].parse::<u32>();
    let follows = id(one).is_ok_and(|one| id(other).is_ok_and(|other| one.abs_diff(other) < 1000));
    one[0] == other[0] && (one[0] != "1" || follows)
}

#[test]
fn a_test_that_left_something_has_the_last_of_its_supervisor() {
    for level in ["auto", "process"] {
        let run = run(&["shared::", "--jobs=1", "--no-capture", "--isolate", level]);
        let found = shared(&run);
        let [a, b, c, d] = found.as_slice() else {
            panic!("{found:?}\n{run}");
        };
        assert!(
            have_one_supervisor(a, b) && have_one_supervisor(b, c),
            "{found:?}"
        );
        assert!(!have_one_supervisor(c, d), "it left a file: {found:?}");
        let is_box = level == "auto" && !run.stdout.contains("isolation: ");
        if is_box {
            assert_eq!(a[1], b[1], "its mounts are as they were");
            assert!(c[1] != d[1] || c[2] != d[2], "{found:?}");
            assert!(
                a[2] != b[2] && b[2] != c[2],
                "nobody looked for message queues: {found:?}"
            );
        }
    }
}
