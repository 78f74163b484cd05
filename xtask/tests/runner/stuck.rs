//! A test that waits for a mount that it serves itself cannot be killed. The runner still ends and
//! reports it.
#![cfg(target_os = "linux")]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::guard::{Guard, threads_of_tests};
use super::ownership::LEVELS;
use super::support::{Run, Running, Setup, must};

/// The tests that are ended at their time limit, and, below, those that exit before.
const WAITING: [&str; 9] = [
    "at_the_limit",
    "with_a_file_that_was_read_and_written",
    "with_a_mapped_file",
    "with_its_directory_in_the_mount",
    "in_a_read",
    "in_a_write",
    "in_a_lookup",
    "with_two_mounts",
    "with_a_grandchild_that_holds_the_file",
];
const ENDING: [(&str, &str); 4] = [
    ("by_abort", "DIED"),
    ("by_exit", "FAIL"),
    ("by_kill", "DIED"),
    ("by_a_wrong_address", "DIED"),
];
/// A test whose mount is in a mount name space of its own.
const APART: (&str, &str) = ("apart_from_other_mounts", "TIME");
/// Tests whose mount cannot be reached: their connection can be ended only by its number, by root
/// or if root has mounted the control files.
const DETACHED: [(&str, &str); 3] = [
    APART,
    ("with_a_mount_that_is_detached", "TIME"),
    ("behind_another_mount", "TIME"),
];

/// The waiting tests whose mount can be reached.
const NOT_DETACHED: [&str; 5] = [
    "stuck::by_",
    "stuck::at_",
    "stuck::in_",
    "stuck::with_",
    "--skip=detached",
];

/// The limit of each test.
const LIMIT: Duration = Duration::from_secs(2);
/// The time within which everything must have ended after that, or after a KILL. It takes about a
/// second; a busy machine gets more. Without the runner's help it never ends.
const AFTER: Duration = Duration::from_secs(20);

/// The first test of the run in this directory, as a directory in `/proc`.
fn test_of(place: &Path) -> PathBuf {
    let own = place.display().to_string();
    let is_its = |thread: &PathBuf| {
        let environment = std::fs::read(thread.join("environ")).unwrap_or_default();
        String::from_utf8_lossy(&environment).contains(&own)
    };
    let thread = threads_of_tests().into_iter().find(is_its);
    let process = thread.as_ref().and_then(|thread| thread.ancestors().nth(2));
    must("find the test", process.ok_or("it does not run")).to_owned()
}

/// Runs all of them.
fn setup<'a>(words: &'a [&'a str]) -> Setup<'a> {
    Setup::new(words)
}

/// Runs as root of a user and mount name space, as in a container: without the right to abort
/// connections by number.
const IN_A_NAMESPACE: &str = r#"exec unshare --user --map-root-user --mount "$@""#;

fn words(level: &'static str) -> [&'static str; 8] {
    [
        "stuck::",
        "--run-ignored",
        "--timeout",
        "2s",
        "--jobs",
        "4",
        "--isolate",
        level,
    ]
}

fn run(setup: &Setup<'_>) -> (Run, Guard) {
    let running = setup.start();
    let guard = Guard::of(&running);
    (running.finish(), guard)
}

/// Asserts that no process, mount or connection is left. The files of failed tests are kept.
fn assert_all_is_gone(run: &Run, guard: &Guard) {
    let remains = || (run.survivors(), run.mounts(), guard.left());
    let nothing = (vec![], vec![], (vec![], vec![]));
    // All of it at one moment: a process that is just being started is in no list yet.
    comes_true_within(AFTER, || remains() == nothing);
    assert_eq!(remains(), nothing, "{run}");
}

/// Asserts that each of these tests ended in time with this outcome, and with the leak that
/// describes it.
fn assert_each_is_reported(run: &Run, tests: &[(&str, &str)]) {
    for (test, word) in tests {
        let lines = |beginning: &str| {
            let lines: Vec<&str> = run.stdout.lines().collect();
            let is_it = |line: &&str| line.starts_with(beginning) && line.contains(&format!("stuck::{test}"));
            let found = lines.iter().position(is_it);
            let found = found.unwrap_or_else(|| panic!("{beginning} {test}\n{run}"));
            lines[found..].to_vec()
        };
        let seconds = lines(word)[0]
            .split(['[', 's'])
            .nth(1)
            .and_then(|time| time.trim().parse().ok());
        let elapsed = Duration::from_secs_f64(seconds.unwrap_or(f64::MAX).min(1e6));
        assert!(elapsed < LIMIT + AFTER, "{test}: {elapsed:?}\n{run}");
        let leak = lines("LEAK")[1];
        for part in ["stuck in its own mount: ", "mount", ": thread ", " waited in "] {
            assert!(leak.contains(part), "{part}: {leak}");
        }
        let file = match *test {
            "in_a_read" | "in_a_write" => "/mount/file`",
            _ => "",
        };
        assert!(leak.contains(file), "{file}: {leak}");
    }
}

fn all(detached: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
    let waiting = WAITING.into_iter().map(|test| (test, "TIME"));
    waiting.chain(ENDING).chain(detached.iter().copied()).collect()
}

#[test]
#[ignore = "needs fuse"]
fn a_test_that_waits_for_its_own_mount_is_ended_in_time_and_reported() {
    for level in LEVELS {
        let (run, guard) = run(&setup(&words(level)));
        assert_all_is_gone(&run, &guard);
        assert_each_is_reported(&run, &all(&DETACHED));
    }
}

#[test]
#[ignore = "needs fuse"]
fn a_stuck_test_that_aborts_is_ended_long_before_its_limit() {
    for level in LEVELS {
        let words = [
            "stuck::by_abort",
            "--run-ignored",
            "--timeout",
            "5s",
            "--isolate",
            level,
        ];
        let (run, guard) = run(&setup(&words));
        assert_all_is_gone(&run, &guard);
        assert_each_is_reported(&run, &[("by_abort", "DIED")]);
    }
}

#[test]
#[ignore = "needs fuse"]
fn the_report_of_a_stuck_test_names_the_file_it_waits_for() {
    let words = ["stuck::in_a_read", "--run-ignored", "--timeout", "1s"];
    let (run, _guard) = run(&setup(&words));
    let looked = run.attachment("forensics.txt");
    let part = "waits for the answer of a file system about `";
    let line = looked.lines().find(|line| line.contains(part));
    let line = line.unwrap_or_else(|| panic!("{looked}\n{run}"));
    assert!(
        line.contains("/mount/file` on `") && line.contains("/mount` (connection "),
        "{line}"
    );
}

#[test]
#[ignore = "needs fuse, userns"]
fn a_test_in_a_user_namespace_is_ended_too() {
    for level in LEVELS {
        let mut words = words(level).to_vec();
        words.splice(..1, NOT_DETACHED);
        words.push("stuck::apart");
        let (run, guard) = run(&Setup {
            script: Some(IN_A_NAMESPACE),
            ..setup(&words)
        });
        assert_all_is_gone(&run, &guard);
        assert_each_is_reported(&run, &all(&[APART]));
    }
}

/// Runs as an ordinary user that may read everything, because cargo can be installed anywhere. Root
/// builds the programs before. With `$FUSECTL`, root has mounted the control files of connections.
const AS_A_USER: &str = r#"exec unshare --mount sh -c '
    set -e
    mkdir "$TMPDIR/dev" && mount -t tmpfs none "$TMPDIR/dev" && mknod -m 666 "$TMPDIR/dev/fuse" c 10 229
    mount --bind "$TMPDIR/dev/fuse" /dev/fuse
    test -z "$FUSECTL" || mount -t fusectl none /sys/fs/fuse/connections
    export CARGO_HOME="${CARGO_HOME:-$HOME/.cargo}" RUSTUP_HOME="${RUSTUP_HOME:-$HOME/.rustup}"
    export CARGO_TARGET_DIR="$TMPDIR/target"
    cargo test --quiet --no-run --workspace --manifest-path "$4"
    chown -R 65534:65534 "$TMPDIR/target" && chown 65534:65534 "$TMPDIR"
    exec setpriv --reuid=65534 --regid=65534 --clear-groups \
        --inh-caps=-all,+dac_read_search --ambient-caps=-all,+dac_read_search "$@"' sh "$@""#;

#[test]
#[ignore = "needs fuse, root, userns"]
fn an_ordinary_users_test_is_ended_in_the_box() {
    for fusectl in ["", "1"] {
        let mut words = words("box").to_vec();
        words.splice(..1, NOT_DETACHED);
        let (run, guard) = run(&Setup {
            script: Some(AS_A_USER),
            variables: &[("FUSECTL", fusectl)],
            ..setup(&words)
        });
        assert_all_is_gone(&run, &guard);
        assert_each_is_reported(&run, &all(&[]));
    }
}

#[test]
#[ignore = "needs fuse, root, fusermount3"]
fn an_ordinary_users_test_is_ended_without_the_box() {
    let mut words = words("process").to_vec();
    words.splice(..1, NOT_DETACHED);
    let (run, guard) = run(&Setup {
        script: Some(AS_A_USER),
        variables: &[("FUSECTL", "1")],
        ..setup(&words)
    });
    assert_all_is_gone(&run, &guard);
    assert_each_is_reported(&run, &all(&[]));
}

#[test]
#[ignore = "needs fuse"]
fn a_test_that_unmounts_on_sigterm_is_not_disturbed() {
    for level in LEVELS {
        let words = [
            "stuck::but_unmounts",
            "--run-ignored",
            "--timeout",
            "1s",
            "--grace",
            "20s",
            "--isolate",
            level,
        ];
        let (run, guard) = run(&setup(&words));
        assert_all_is_gone(&run, &guard);
        assert!(
            run.stdout.contains("\n  unmounted\n") && !run.stdout.contains("LEAK"),
            "{run}"
        );
    }
}

#[test]
#[ignore = "needs fuse, root"]
fn a_stuck_test_without_its_supervisor_is_ended_and_the_mount_of_another_test_is_not() {
    let words = [
        "neighbours::one_is_",
        "--run-ignored",
        "--jobs",
        "2",
        "--timeout",
        "20s",
        "--isolate",
        "process",
    ];
    let (run, guard) = run(&setup(&words));
    assert_all_is_gone(&run, &guard);
    assert!(run.stdout.contains("lost: its supervisor was killed"), "{run}");
    assert!(
        run.stdout.contains("left behind: stuck in its own mount: "),
        "{run}"
    );
    assert!(run.last_line().starts_with("1 passed, 1 failed"), "{run}");
}

#[test]
#[ignore = "needs fuse, root"]
fn a_loop_of_mounts_does_not_keep_a_stuck_test_from_being_ended() {
    for level in LEVELS {
        let words = [
            "neighbours::stuck_beside",
            "--run-ignored",
            "--timeout",
            "20s",
            "--isolate",
            level,
        ];
        let (run, guard) = run(&setup(&words));
        assert_all_is_gone(&run, &guard);
        // It did not end at its limit.
        assert!(run.stdout.contains("\nDIED ["), "{run}");
        assert!(
            run.stdout.contains("left behind: stuck in its own mount: "),
            "{run}"
        );
    }
}

#[test]
#[ignore = "needs fuse, userns"]
fn a_mount_over_the_control_files_of_connections_is_not_used() {
    let words = [
        "neighbours::stuck_where",
        "--run-ignored",
        "--timeout",
        "20s",
        "--isolate",
        "box",
    ];
    let (run, guard) = run(&Setup {
        script: Some(IN_A_NAMESPACE),
        ..setup(&words)
    });
    assert_all_is_gone(&run, &guard);
    assert!(run.stdout.contains("\nDIED ["), "{run}");
    assert!(
        run.stdout.contains("left behind: stuck in its own mount: "),
        "{run}"
    );
}

/// Sends a signal to processes, some of which may have exited by now.
fn send_all(processes: &[Pid], signal: Signal) {
    processes.iter().for_each(|process| {
        kill_process(*process, signal).ok();
    });
}

/// Whether `holds` becomes true within `limit`.
fn comes_true_within(limit: Duration, holds: impl Fn() -> bool + Sync) -> bool {
    let (is_over, (done, wait)) = (AtomicBool::new(false), mpsc::channel());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) && !holds() {
                std::thread::yield_now();
            }
            done.send(()).ok();
        });
        let came_true = wait.recv_timeout(limit).is_ok();
        is_over.store(true, Ordering::Relaxed);
        came_true
    })
}

/// Starts all of these tests at once.
fn in_the_middle(tests: &str, level: &'static str, more: &[&str]) -> (Running, Guard) {
    let words = [
        tests,
        "--run-ignored",
        "--no-capture",
        "--jobs",
        "32",
        "--isolate",
        level,
    ];
    let running = setup(&[&words[..], more].concat()).start();
    let guard = Guard::of(&running);
    (running, guard)
}

fn wait_for_each(running: &mut Running, tests: impl Iterator<Item = &'static str>) {
    let parts = tests.map(|test| format!("stuck::{test} | started"));
    running.wait_for_parts(&parts.collect::<Vec<_>>());
}

/// Asserts that nothing is left in time; the time counts from the signal.
fn assert_nothing_is_left_when_killed(running: Running, guard: &Guard) {
    running.send(Signal::KILL);
    let is_gone = comes_true_within(AFTER, || guard.left().0.is_empty());
    let left = guard.left();
    let run = running.finish();
    assert!(is_gone, "{left:?}\n{run}");
    assert_all_is_gone(&run, guard);
}

#[test]
#[ignore = "needs fuse, root"]
fn nothing_is_left_when_the_runner_is_killed_in_the_middle_of_each() {
    for level in LEVELS {
        let (mut running, guard) = in_the_middle("stuck::", level, &[]);
        let detached = DETACHED.into_iter().map(|(test, _)| test);
        wait_for_each(&mut running, WAITING.into_iter().chain(detached));
        // Then the guard can end them if the runner does not.
        let count = WAITING.len() + DETACHED.len();
        assert!(comes_true_within(AFTER, || guard.count() >= count));
        assert_nothing_is_left_when_killed(running, &guard);
        for (test, _) in ENDING {
            let (mut running, guard) = in_the_middle(&format!("stuck::{test}"), level, &[]);
            wait_for_each(&mut running, std::iter::once(test));
            assert_nothing_is_left_when_killed(running, &guard);
        }
    }
}

#[test]
#[ignore = "needs fuse"]
fn nothing_is_left_when_the_run_is_interrupted_or_reaches_its_limit() {
    for level in LEVELS {
        let (mut running, guard) = in_the_middle("stuck::", level, &[]);
        wait_for_each(&mut running, WAITING.into_iter());
        let run = running.interrupt(Signal::INT);
        assert_eq!(run.code, Some(130), "{run}");
        assert_all_is_gone(&run, &guard);
        let (mut running, guard) = in_the_middle("stuck::", level, &["--global-timeout", "3s"]);
        wait_for_each(&mut running, WAITING.into_iter());
        let run = running.finish();
        assert_eq!(run.code, Some(124), "{run}");
        assert_all_is_gone(&run, &guard);
        assert!(
            run.stdout.contains("left behind: stuck in its own mount"),
            "{run}"
        );
    }
}

/// Runs until the test is stuck or waits, and the guard has seen its connection.
fn one_that_waits(setup: &Setup<'_>) -> (Running, Guard, PathBuf) {
    let mut running = setup.start();
    let guard = Guard::of(&running);
    running.wait_for_part(" | started");
    let test = test_of(&guard.place);
    assert!(comes_true_within(AFTER, || guard.count() == 1));
    (running, guard, test)
}

/// Kills the keeper and the runner, then sweeps.
fn assert_swept(test: &str, level: &'static str) {
    // In a separate target directory: otherwise another run could sweep it first.
    let words = [test, "--run-ignored", "--no-capture", "--isolate", level];
    let swept = Setup {
        target: "swept",
        ..setup(&words)
    };
    let (running, guard, process) = one_that_waits(&swept);
    send_all(&running.processes("__keeper"), Signal::STOP);
    send_all(&running.processes("__keeper"), Signal::KILL);
    let killed = running.interrupt(Signal::KILL);
    assert!(process.exists(), "{killed}");
    let sweep = Setup {
        subcommand: "sweep",
        arguments: &[],
        ..swept
    };
    let sweep = sweep.run();
    assert!(sweep.last_line().starts_with("swept "), "{sweep}");
    // An exiting process has lost its name and its environment.
    assert!(
        comes_true_within(AFTER, || !process.exists()),
        "{test} {level}: {process:?}\n{sweep}"
    );
    assert_all_is_gone(&killed, &guard);
}

#[test]
#[ignore = "needs fuse, root"]
fn sweep_ends_a_stuck_test_whose_keeper_was_killed() {
    for level in LEVELS {
        assert_swept("stuck::at_the_limit", level);
    }
}

/// Only without the box: in it, the test ends with the keeper, and nothing shows which connection
/// was the test's.
#[test]
#[ignore = "needs fuse, root"]
fn sweep_ends_a_connection_whose_mount_is_detached_before_its_server() {
    assert_swept("stuck::with_a_mount_that_is_detached", "process");
}

/// Kills the chosen ones among the keeper and its supervisors, which have the same name. The runner
/// stays alive.
fn assert_nothing_is_left_without(chosen: impl Fn(Vec<Pid>) -> Vec<Pid>, level: &'static str) {
    let words = [
        "stuck::at_the_limit",
        "--run-ignored",
        "--no-capture",
        "--timeout",
        "2s",
        "--isolate",
        level,
    ];
    let (running, guard, test) = one_that_waits(&setup(&words));
    let killed = chosen(running.processes("__keeper"));
    send_all(&killed, Signal::STOP);
    send_all(&killed, Signal::KILL);
    let run = running.finish();
    assert_eq!(run.code, Some(100), "{run}");
    assert!(comes_true_within(AFTER, || !test.exists()), "{level}\n{run}");
    assert_all_is_gone(&run, &guard);
}

#[test]
#[ignore = "needs fuse, root"]
fn nothing_is_left_when_only_the_keeper_is_killed() {
    for level in LEVELS {
        // The keeper was started before its supervisors.
        let first = |all: Vec<Pid>| all.into_iter().min_by_key(|keeper| keeper.as_raw_nonzero());
        assert_nothing_is_left_without(|all| first(all).into_iter().collect(), level);
    }
}

#[test]
#[ignore = "needs fuse, root"]
fn nothing_is_left_when_the_keeper_and_the_supervisors_are_killed() {
    for level in LEVELS {
        assert_nothing_is_left_without(|all| all, level);
    }
}

#[test]
#[ignore = "needs fuse, root, userns"]
fn the_output_ends_with_the_runner_and_a_test_that_cannot_be_ended_is_reported() {
    for level in LEVELS {
        let words = [
            "stuck::behind",
            "--run-ignored",
            "--no-capture",
            "--timeout",
            "1s",
            "--isolate",
            level,
        ];
        let mut running = Setup {
            script: Some(IN_A_NAMESPACE),
            ..setup(&words)
        }
        .start();
        let guard = Guard::of(&running);
        running.wait_for_part(" | started");
        let test = test_of(&guard.place);
        let (ended, wait) = mpsc::channel();
        let reader = std::thread::spawn(move || {
            let run = running.finish();
            ended.send(()).ok();
            run
        });
        let has_ended = wait.recv_timeout(Duration::from_secs(60)).is_ok();
        let is_stuck = test.exists();
        // Dropping the guard lets the stuck test end.
        drop(guard);
        let run = reader.join().unwrap();
        assert!(
            has_ended,
            "{level}: the output stayed open until the stuck test ended\n{run}"
        );
        assert!(is_stuck, "{level}: no test was stuck\n{run}");
        assert!(
            run.stdout
                .contains("left behind: process: it was killed and has not ended within"),
            "{run}"
        );
        assert!(
            comes_true_within(AFTER, || run.alive().is_empty()),
            "{:?}",
            run.alive()
        );
    }
}
