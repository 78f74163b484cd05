//! `conformance` and `bench`, with stand-ins for the peers and for the external tools.

use std::path::Path;

use rustix::process::Signal;

use super::support::{Run, Running, Setup};

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Starts `xtask SUBCOMMAND` on the stand-in for the tests package.
fn start(subcommand: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Running {
    let stand_in = Path::new(env!("CARGO_MANIFEST_DIR")).join("stand_in");
    let path = std::env::var("PATH").unwrap_or_default();
    let path = format!("{}:{path}", stand_in.join("bin").display());
    let variables: Vec<_> = variables
        .iter()
        .copied()
        .chain([("PATH", path.as_str())])
        .collect();
    Setup {
        subcommand,
        manifest: stand_in.join("Cargo.toml"),
        variables: &variables,
        ..Setup::new(arguments)
    }
    .start()
}

fn conformance(arguments: &[&str], variables: &[(&str, &str)]) -> Run {
    start("conformance", arguments, variables).finish()
}

#[test]
fn a_check_runs_on_a_mount_with_passthrough_and_without() {
    let run = conformance(&["fsx::"], &[]);
    let last = if is_root() {
        "2 passed, 0 failed, 0 skipped"
    } else {
        "1 passed, 0 failed, 1 skipped"
    };
    assert_eq!((run.code, run.last_line()), (Some(0), last), "{run}");
    assert!(run.stdout.contains("] xtask::conformance fsx::served\n"), "{run}");
    assert_eq!(run.kept(), [""; 0], "{run}");
}

#[test]
fn a_check_without_its_tool_is_skipped_with_a_hint_how_to_install_it() {
    let run = conformance(&["fsx::served"], &[("STAND_IN_FSX", "missing")]);
    assert_eq!(
        (run.code, run.last_line()),
        (Some(0), "0 passed, 0 failed, 1 skipped"),
        "{run}"
    );
    assert!(
        run.stdout.contains("needs fsx: ") && run.stdout.contains("conformance --install"),
        "{run}"
    );
}

/// Asserts that its only check failed, and that the output contains all of `told`.
fn assert_failed(run: &Run, told: &[&str]) {
    assert_eq!(
        (run.code, run.last_line()),
        (Some(100), "0 passed, 1 failed, 0 skipped"),
        "{run}"
    );
    for part in told {
        assert!(run.stdout.contains(part), "{part}\n{run}");
    }
}

#[test]
fn a_failed_check_is_shown_with_the_output_of_its_tool() {
    let run = conformance(
        &["fsx_random::plain", "--on", "plain", "--seed", "5"],
        &[("STAND_IN_FSX", "fails")],
    );
    let parts = [
        "check: with seed 5, exit status: 1: miscompare at 7",
        "-S 5 -N 100000 ",
        "kept: ",
        "rerun: cargo xtask conformance --on plain 'xtask::conformance$fsx_random::plain'",
    ];
    assert_failed(&run, &parts);
}

#[test]
#[ignore = "needs root"]
fn a_failing_test_that_is_not_in_the_table_is_a_failure() {
    let run = conformance(&["pjdfstest", "--on", "plain"], &[]);
    assert_failed(&run, &["unexpected: open::broken failed: not as it should be"]);
}

#[test]
fn a_mount_that_does_not_start_is_reported_with_its_last_output() {
    let run = conformance(&["fsx::served"], &[("STAND_IN_MOUNT", "dies")]);
    assert_failed(
        &run,
        &["mount: `mountpoint` ended before it had mounted; its last line: last words"],
    );
}

#[test]
#[ignore = "needs root"]
fn a_mount_that_stays_fails_the_check_and_is_detached() {
    let run = conformance(&["fsx::served"], &[("STAND_IN_MOUNT", "leaves")]);
    assert_failed(&run, &["unmount: `mountpoint` left 1 file systems mounted"]);
    assert_eq!(run.mounts(), [""; 0]);
}

#[test]
fn an_interrupted_check_leaves_nothing_running_and_nothing_mounted() {
    let hanging = [("STAND_IN_FSX", "hangs")];
    let mut running = start("conformance", &["fsx::served", "fsx_random::served"], &hanging);
    running.wait_for_line("running 2 checks");
    let run = running.interrupt(Signal::INT);
    assert_eq!(
        (run.code, run.last_line()),
        (Some(130), "0 passed, 1 failed, 1 skipped"),
        "{run}"
    );
    assert_eq!((run.survivors(), run.mounts()), (vec![], vec![]), "{run}");
}

#[test]
fn an_unknown_check_has_the_code_of_an_empty_selection() {
    let run = conformance(&["no_such_check"], &[]);
    assert_eq!(run.code, Some(4), "{run}");
    assert!(run.stderr.contains("conformance --list"), "{run}");
}

#[test]
fn a_bench_prints_each_figure_beside_its_budget() {
    let run = start("bench", &["mount", "--alone", "--", "--quick"], &[]).finish();
    assert_eq!(run.code, Some(0), "{run}");
    let row = |what: &str| {
        let line = run.stdout.lines().find(|line| line.starts_with(what));
        line.unwrap_or_default()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert!(
        row("cold").starts_with("cold remote read 701 MB/s ") && row("cold").ends_with("≥ 700, kept"),
        "{run}"
    );
    assert!(row("mount and").ends_with("≤ 20, MISSED"), "{run}");
    assert!(row("write").starts_with("write not measured"), "{run}");
    assert!(
        run.stdout.contains(r#"mount_bench | warming up ["--quick"]"#),
        "{run}"
    );
    assert_eq!(run.kept(), [""; 0]);
}

#[test]
fn a_bench_without_measurements_fails() {
    for (how, what) in [
        ("dies", "`mount_bench` ended with"),
        ("says nothing", "printed no measurement"),
    ] {
        let run = start("bench", &["mount", "--alone"], &[("STAND_IN_BENCH", how)]).finish();
        assert_eq!(run.code, Some(100), "{run}");
        assert!(run.stderr.contains(what), "{run}");
    }
}

#[test]
fn without_a_name_the_benches_are_listed() {
    let run = start("bench", &[], &[]).finish();
    assert!(run.code == Some(0) && run.stdout.starts_with("mount "), "{run}");
}
