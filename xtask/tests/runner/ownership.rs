//! Everything that tests start and leave behind is found, reported and removed.
#![cfg(target_os = "linux")]

use rustix::process::Signal;

use super::support::{Run, Scratch, Setup, run};

/// The levels of isolation. On a machine without the box, `auto` prints the reason.
pub(crate) const LEVELS: [&str; 2] = ["auto", "process"];

/// The test that leaks, the kind of leak, and what the evidence contains.
const KINDS: [(&str, &str, &str); 9] = [
    ("a_child_that_holds_stdout", "process", "`sleep 31`"),
    ("a_child_with_closed_streams", "process", "`sleep 32`"),
    ("a_daemon", "process", "`sleep 33`"),
    ("a_daemon_without_an_environment", "process", "sleep 34"),
    ("a_process_without_its_first_thread", "process", "bystander"),
    ("a_process_whose_name_is_not_utf8", "process", "`sleep 36`"),
    ("processes_that_start_each_other_and_end", "process", ""),
    ("a_listener", "socket", "tcp 127.0.0.1:"),
    ("a_directory", "file", "left behind"),
];

pub(crate) fn assert_nothing_remains(run: &Run) {
    assert_eq!((run.survivors(), run.mounts()), (vec![], vec![]), "{run}");
    assert_eq!(run.scratch(), [""; 0], "{run}");
}

/// Asserts that a leak of this kind fails the test, is reported with evidence, and is removed, at
/// both levels.
fn assert_found_reported_and_removed(test: &str, kind: &str, evidence: &str) {
    for level in LEVELS {
        let id = format!("fixture::suite$leaks::{test}");
        let run = run(&[&id, "--leaks", "fail", "--isolate", level]);
        assert_eq!(
            (run.code, run.last_line()),
            (Some(100), "0 passed, 1 failed, 0 skipped"),
            "{run}"
        );
        assert!(run.stdout.contains("  leak: left behind: "), "{run}");
        let told = run
            .stdout
            .lines()
            .any(|line| line.contains(&format!("{kind}: ")) && line.contains(evidence));
        assert!(told, "{kind}: {evidence}\n{run}");
        assert_nothing_remains(&run);
    }
}

#[test]
fn each_kind_of_leak_is_found_reported_and_removed() {
    for (test, kind, evidence) in KINDS {
        assert_found_reported_and_removed(test, kind, evidence);
    }
}

#[test]
#[ignore = "needs root"]
fn a_leaked_mount_is_found_reported_and_removed() {
    assert_found_reported_and_removed("a_mount", "mount", "mount point");
}

#[test]
fn leaked_unix_sockets_are_found() {
    let run = run(&["leaks::a_unix_socket", "--leaks", "fail"]);
    assert!(
        run.stdout.contains("leak: left behind: unix-socket: socket"),
        "{run}"
    );
}

#[test]
#[ignore = "needs userns"]
fn in_the_box_leaked_shared_memory_is_found() {
    let run = run(&[
        "leaks::shared_memory",
        "--run-ignored",
        "--leaks",
        "fail",
        "--isolate",
        "box",
    ]);
    assert!(
        run.stdout.contains("shared-memory: /dev/shm/left-behind"),
        "{run}"
    );
    assert!(!std::path::Path::new("/dev/shm/left-behind").exists());
}

#[test]
fn a_process_that_exits_with_the_test_is_not_a_leak() {
    for level in LEVELS {
        let run = run(&["leaks::nothing", "--leaks", "fail", "--isolate", level]);
        assert_eq!(run.last_line(), "4 passed, 0 failed, 0 skipped", "{run}");
    }
}

#[test]
fn a_file_that_a_test_puts_beside_its_directory_is_removed_with_the_run() {
    for level in LEVELS {
        let run = run(&["leaks::its_directory_under", "--isolate", level]);
        assert_eq!(run.last_line(), "1 passed, 0 failed, 0 skipped", "{run}");
        assert_nothing_remains(&run);
    }
}

#[test]
#[ignore = "needs root"]
fn a_mount_over_proc_hides_no_process_from_the_runner() {
    let run = run(&[
        "leaks::a_mount_over",
        "--leaks",
        "fail",
        "--isolate",
        "box",
        "--timeout",
        "9s",
    ]);
    assert_eq!(run.last_line(), "0 passed, 1 failed, 0 skipped", "{run}");
    for leak in ["mount: /proc", "process: `sleep 37`"] {
        assert!(run.stdout.contains(leak), "{leak}\n{run}");
    }
    assert_nothing_remains(&run);
}

#[test]
fn a_test_whose_parent_traces_one_of_its_threads_ends_normally() {
    for level in LEVELS {
        let run = run(&["hostile::lets_its_parent", "--timeout", "9s", "--isolate", level]);
        assert_eq!(run.last_line(), "1 passed, 0 failed, 0 skipped", "{run}");
    }
}

#[test]
fn a_link_that_replaces_the_temporary_directory_is_not_followed() {
    for level in LEVELS {
        for (has_failed, start) in [(true, None), (false, Some(("RUNNER_START", "1")))] {
            let somebodys = tempfile::tempdir().unwrap();
            std::fs::write(somebodys.path().join("secret"), "mine").unwrap();
            let target = somebodys.path().to_str().unwrap();
            let variables: Vec<_> = std::iter::once(("RUNNER_FILE", target)).chain(start).collect();
            let words = [
                "hostile::puts_a_link",
                "--run-ignored",
                "--leaks",
                "fail",
                "--isolate",
                level,
            ];
            let run = Setup {
                variables: &variables,
                ..Setup::new(&words)
            }
            .run();
            // If the test body passed, the leftovers are the failure.
            assert_eq!(run.last_line(), "0 passed, 1 failed, 0 skipped", "{run}");
            assert_eq!(run.stdout.contains("leak: "), !has_failed, "{run}");
            assert!(
                !run.stdout.contains("secret") && !run.stdout.contains("kept: "),
                "{run}"
            );
            assert!(somebodys.path().join("secret").exists(), "{run}");
        }
    }
}

#[test]
fn a_test_name_with_a_zero_byte_fails_only_that_test() {
    let package = Scratch::package(
        "fn main() {
            let is_told = |what: &str| std::env::args().any(|word| word == what);
            if is_told(\"--ignored\") {
            } else if is_told(\"--list\") {
                println!(\"odd\\0name: test\");
                (0..9).for_each(|number| println!(\"fine{number}: test\"));
            } else {
                println!(\"\\nrunning 1 test\\n.\\ntest result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 9 filtered out; finished in 0.00s\");
            }
        }",
    );
    package.add_to_manifest("[[test]]\nname = \"odd\"\npath = \"src/main.rs\"\nharness = false\n");
    for level in LEVELS {
        let run = package.run("test", &["--isolate", level]);
        assert_eq!(run.last_line(), "9 passed, 1 failed, 0 skipped", "{run}");
        assert!(run.stdout.contains("its name contains a zero byte"), "{run}");
    }
}

#[test]
fn leaks_are_reported_by_default_and_the_search_can_be_switched_off() {
    let words = ["leaks::a_directory", "leaks::a_daemon"];
    let warned = run(&words);
    assert_eq!(warned.last_line(), "3 passed, 0 failed, 0 skipped", "{warned}");
    assert!(warned.stdout.contains("left behind"), "{warned}");
    let off = run(&[&words[..], &["--leaks", "off"]].concat());
    assert!(
        off.code == Some(0) && !off.stdout.contains("left behind"),
        "{off}"
    );
    assert_nothing_remains(&off);
}

#[test]
fn a_hanging_test_is_inspected_before_it_is_killed() {
    let run = run(&["hangs_with_a_family", "--timeout", "700ms"]);
    let looked = run.attachment("forensics.txt");
    for part in ["slow::hangs_with_a_family", "sleep 22", "hrtimer_nanosleep"] {
        assert!(looked.contains(part), "{part}\n{looked}\n{run}");
    }
    assert_nothing_remains(&run);
}

#[test]
fn each_hostile_test_gets_its_own_kind_of_failure() {
    for (test, told) in [
        ("overflows_its_stack", "signal:SIGABRT: died of SIGABRT"),
        ("writes_to_nowhere", "signal:SIGSEGV: died of SIGSEGV"),
        ("closes_all_descriptors", "before the test ended"),
        ("ignores_sigterm", "timeout: did not end within 2 s"),
        (
            "starts_processes_without_end",
            "processes: was killed when it had ",
        ),
    ] {
        let limit = if test.starts_with("starts") { "60s" } else { "2s" };
        let run = run(&[&format!("hostile::{test}"), "--timeout", limit]);
        assert_eq!(run.code, Some(100), "{run}");
        assert!(run.stdout.contains(told), "{told}\n{run}");
        assert_nothing_remains(&run);
    }
    let run = run(&["hostile::writes_fifty_megabytes"]);
    assert_eq!(run.last_line(), "1 passed, 0 failed, 0 skipped", "{run}");
    assert!(run.junit().contains("bytes left out"));
}

#[test]
#[ignore = "needs userns"]
fn the_box_has_ports_of_its_own_and_no_way_out() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let run = Setup {
        variables: &[("RUNNER_PEER", &address)],
        ..Setup::new(&[
            "surroundings::reaches_nobody_outside",
            "--run-ignored",
            "--isolate",
            "box",
        ])
    }
    .run();
    assert_eq!(run.last_line(), "1 passed, 0 failed, 0 skipped", "{run}");
}

#[test]
fn the_leftovers_of_a_killed_run_can_be_swept_by_command() {
    // In a separate workspace: otherwise another run could sweep it first.
    let package = Scratch::package(
        "fn main() {}\n#[test]\nfn hangs() { println!(\"hanging\"); loop { std::thread::park() } }",
    );
    let mut running = package.start("test", &["--no-capture"]);
    running.wait_for_line("hangs | hanging");
    let killed = running.interrupt(Signal::KILL);
    assert_nothing_remains(&killed);
    let sweep = |words: &[&str]| package.run("sweep", words);
    let dry = sweep(&["--dry-run"]);
    assert!(
        dry.stdout.contains("would sweep (killed) ") && dry.last_line() == "would sweep 1 run",
        "{dry}"
    );
    assert_eq!(sweep(&[]).last_line(), "swept 1 run");
    assert_eq!(sweep(&["--kept"]).last_line(), "nothing to sweep");
}

/// A shell script that runs a program to which the kernel refuses namespaces.
const WITHOUT_NAMESPACES: &str = r#"exec unshare --user --map-root-user sh -c '
    echo 0 > /proc/sys/user/max_net_namespaces; echo 0 > /proc/sys/user/max_user_namespaces; exec "$@"' sh "$@""#;

#[test]
#[ignore = "needs userns"]
fn without_the_box_tests_still_run_and_the_reason_is_reported() {
    let start = |words: &[&str]| {
        Setup {
            script: Some(WITHOUT_NAMESPACES),
            ..Setup::new(words)
        }
        .run()
    };
    let refused = start(&["good::passes", "leaks::a_daemon"]);
    assert_eq!(refused.last_line(), "3 passed, 0 failed, 0 skipped", "{refused}");
    let reason = "tree; no box: the kernel refused a network namespace: No space left on device";
    assert!(
        refused.stdout.contains(&format!("isolation: {reason}")),
        "{refused}"
    );
    assert!(
        refused
            .junit()
            .contains(&format!("name=\"isolation\" value=\"{reason}")),
        "{}",
        refused.junit()
    );
    assert_nothing_remains(&refused);
    let insisted = start(&["good::passes", "--isolate", "box"]);
    assert_eq!(insisted.code, Some(96), "{insisted}");
    assert!(
        insisted
            .stdout
            .contains("the box is unavailable: the kernel refused"),
        "{insisted}"
    );
}

/// A shell script that runs a program to which the kernel refuses a second namespace of one kind;
/// the first one is the box.
fn with_one(kind: &str) -> String {
    format!(
        r#"exec unshare --user --map-root-user sh -c '
            echo 1 > /proc/sys/user/max_{kind}_namespaces; exec "$@"' sh "$@""#
    )
}

#[test]
#[ignore = "needs userns"]
fn without_namespaces_of_their_own_tests_still_run_and_the_reason_is_reported() {
    let start = |kind: &str, words: &[&str]| {
        Setup {
            script: Some(&with_one(kind)),
            ..Setup::new(words)
        }
        .run()
    };
    for (kind, told) in [
        (
            "pid",
            "box; tests share a process namespace: the kernel refused a process namespace: No space left on device",
        ),
        (
            "ipc",
            "tree; no box: the kernel refused a mount or IPC namespace of its own: No space left on device",
        ),
    ] {
        let run = start(kind, &["good::passes", "leaks::a_daemon"]);
        assert_eq!(run.last_line(), "3 passed, 0 failed, 0 skipped", "{run}");
        assert!(run.stdout.contains(&format!("isolation: {told}")), "{run}");
        let junit = run.junit();
        assert!(
            junit.contains(&format!("name=\"isolation\" value=\"{told}")),
            "{junit}"
        );
        assert_nothing_remains(&run);
    }
    let boxed = start("pid", &["good::passes", "--isolate", "box"]);
    assert!(
        boxed.code == Some(0) && boxed.stdout.contains(" in the box\n"),
        "{boxed}"
    );
}

#[test]
#[ignore = "needs root"]
fn the_box_changes_no_limit_of_the_machine() {
    let limit = || std::fs::read_to_string("/proc/sys/kernel/pid_max").unwrap();
    let before = limit();
    let run = run(&["good::passes", "--isolate", "box"]);
    assert_eq!(run.last_line(), "1 passed, 0 failed, 0 skipped", "{run}");
    assert_eq!(limit(), before);
}

#[test]
fn the_output_and_the_report_say_whether_tests_are_in_the_box() {
    let run = run(&["good::passes"]);
    let boxed = run.stdout.contains("at a time in the box\n");
    assert!(boxed != run.stdout.contains("isolation: tree"), "{run}");
    assert_eq!(
        run.junit().contains("name=\"isolation\" value=\"box"),
        boxed,
        "{}",
        run.junit()
    );
}

#[test]
fn a_process_that_a_binary_starts_while_it_lists_its_tests_is_killed() {
    let package = Scratch::package(
        "fn main() { std::process::Command::new(\"setsid\").args([\"-f\", \"sleep\", \"61\"]).status().unwrap(); }",
    );
    package.add_to_manifest("[[test]]\nname = \"odd\"\npath = \"src/main.rs\"\nharness = false\n");
    for level in LEVELS {
        let run = package.run("test", &["--isolate", level]);
        assert_eq!(run.last_line(), "1 passed, 0 failed, 0 skipped", "{run}");
        assert_nothing_remains(&run);
    }
}

#[test]
#[ignore = "needs root"]
fn foreign_files_are_not_removed_through_mounts_that_hide_each_other() {
    for level in LEVELS {
        let somebodys = tempfile::tempdir().unwrap();
        std::fs::write(somebodys.path().join("file"), "mine").unwrap();
        let run = Setup {
            variables: &[("RUNNER_FILE", somebodys.path().to_str().unwrap())],
            ..Setup::new(&[
                "leaks::mounts_that_hide_each_other",
                "--run-ignored",
                "--leaks",
                "fail",
                "--isolate",
                level,
            ])
        }
        .run();
        assert_eq!(run.last_line(), "0 passed, 1 failed, 0 skipped", "{run}");
        assert!(somebodys.path().join("file").exists(), "{run}");
        assert_nothing_remains(&run);
    }
}

#[test]
fn a_test_that_kills_its_supervisor_is_killed_with_every_process_that_it_started() {
    let words = [
        "hostile::kills_its_supervisor",
        "meets_no_process",
        "good::passes",
        "-j1",
    ];
    let run = run(&[&words[..], &["--isolate", "process"]].concat());
    assert!(run.stdout.contains("lost: its supervisor was killed"), "{run}");
    assert!(run.stdout.contains("] fixture::suite good::passes\n"), "{run}");
    assert!(
        !run.stdout.contains("took 2"),
        "the test was not ended early\n{run}"
    );
    assert_nothing_remains(&run);
}

#[test]
#[ignore = "needs userns"]
fn in_the_box_a_test_that_kills_everything_reaches_no_other_process() {
    let directory = tempfile::tempdir().unwrap();
    let (start, go_on) = (directory.path().join("start"), directory.path().join("go on"));
    let words = [
        "hostile::kills",
        "slow::waits_for_a_file",
        "--run-ignored",
        "-j3",
        "--no-capture",
    ];
    let mut running = Setup {
        variables: &[
            ("RUNNER_START", start.to_str().unwrap()),
            ("RUNNER_FILE", go_on.to_str().unwrap()),
        ],
        ..Setup::new(&[&words[..], &["--isolate", "box"]].concat())
    }
    .start();
    running.wait_for_line("slow::waits_for_a_file | started");
    std::fs::write(&start, "").unwrap();
    let run = running.finish();
    assert_eq!(run.last_line(), "3 passed, 0 failed, 0 skipped", "{run}");
    assert_nothing_remains(&run);
}

#[test]
fn a_test_inherits_no_stray_descriptors() {
    // The shell opens one more descriptor, which the program inherits.
    let run = Setup {
        script: Some("exec 9</dev/null; exec \"$@\""),
        ..Setup::new(&["surroundings::has_no_descriptors"])
    }
    .run();
    assert_eq!(run.last_line(), "1 passed, 0 failed, 0 skipped", "{run}");
}
