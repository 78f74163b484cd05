//! `--debugger`: one test in the foreground, with our streams and without limits.

use rustix::process::Signal;

use super::support::{Scratch, Setup, must};

/// A package with a test that takes longer than the limits below, and talks to a person.
fn talking() -> Scratch {
    Scratch::package(
        "fn main() {}\n#[test]\nfn talks() {
            let start = std::time::Instant::now();
            while start.elapsed().as_millis() < 50 { std::thread::yield_now(); }
            let mut line = String::new();
            std::io::stdin().read_line(&mut line).unwrap();
            let of = |name| std::env::var(name).unwrap_or_default();
            println!(\"heard {} {} {}\", line.trim(), of(\"DEBUGGER\"), of(\"XTASK_TEST_NAME\"));
            assert_eq!(line, \"typed\\n\");
            assert_eq!(of(\"TMPDIR\"), std::env::temp_dir().to_str().unwrap());
        }\n#[test]\nfn other() {}\n#[test]\n#[ignore = \"slow\"]\nfn sleepy() {}\n",
    )
}

#[test]
fn one_test_runs_with_our_streams_and_no_limit_under_the_debugger() {
    let package = talking();
    let debug = |line: &str| {
        let script = format!("printf '{line}\\n' | exec \"$@\"");
        Setup {
            manifest: package.manifest(),
            script: Some(&script),
            ..Setup::new(&[
                "talks",
                "--debugger",
                "env DEBUGGER=yes",
                "--timeout=1ms",
                "--slow=1ms",
                "--retries=1",
            ])
        }
        .run()
    };
    let run = debug("typed");
    assert_eq!(
        (run.code, run.last_line()),
        (Some(0), "1 passed, 0 failed, 0 skipped"),
        "{run}"
    );
    assert!(run.stdout.contains("heard typed yes talks\n"), "{run}");
    assert!(!run.stdout.contains("SLOW"), "{run}");
    let run = debug("mistyped");
    assert_eq!(
        (run.code, run.last_line()),
        (Some(100), "0 passed, 1 failed, 0 skipped"),
        "{run}"
    );
    assert_eq!(run.stdout.matches("heard mistyped").count(), 1, "{run}");
    assert!(run.survivors().is_empty(), "{:?}", run.survivors());
    let again = package.run("test", &["--rerun-failed"]);
    assert!(!again.stdout.contains("running 1 of"), "{again}");
}

#[test]
fn a_debugger_needs_exactly_one_test_that_runs() {
    let package = talking();
    for (arguments, code, part) in [
        (
            &["--debugger", "env"][..],
            2,
            "2 would run: `scratch::bin/scratch$other`, `scratch::bin/scratch$talks`",
        ),
        (
            &["--debugger", "env", "sleepy"],
            2,
            "none would run: `scratch::bin/scratch$sleepy`: slow",
        ),
        (&["--debugger", "env", "nothing"], 4, "no test matches `nothing`"),
        (
            &["--debugger", "no-such-debugger", "other"],
            2,
            "`no-such-debugger` is not in PATH",
        ),
        (&["--debugger", " ", "other"], 2, "must be a program"),
        (
            &["--debugger", "env", "other", "--isolate=box"],
            2,
            "`--isolate box`",
        ),
        (&["--debugger", "env", "other", "--no-run"], 2, "--no-run"),
    ] {
        let run = package.run("test", arguments);
        assert_eq!(run.code, Some(code), "{arguments:?}\n{run}");
        assert!(
            format!("{}{}", run.stdout, run.stderr).contains(part),
            "{part}\n{run}"
        );
    }
}

#[test]
fn what_a_debugged_test_leaves_behind_ends_with_it() {
    let package = Scratch::package(
        "fn main() {}\n#[test]\nfn leaves() { std::process::Command::new(\"sleep\").arg(\"27\").spawn().unwrap(); }\n",
    );
    let run = package.run("test", &["--debugger", "env", "leaves"]);
    assert!(run.stdout.contains("`sleep 27`"), "{run}");
    assert!(run.survivors().is_empty(), "{:?}", run.survivors());
}

#[test]
fn ctrl_c_is_left_to_the_debugger_and_a_request_to_end_is_not() {
    let package = Scratch::package(
        "fn main() {}\n#[test]\nfn waits() {
            println!(\"ready\");
            let mut line = String::new();
            std::io::stdin().read_line(&mut line).unwrap();
            assert_eq!(line, \"go on\\n\");
        }\n",
    );
    let start = || {
        let setup = Setup {
            manifest: package.manifest(),
            script: Some("mkfifo \"$TMPDIR/typed\" && exec \"$@\" <>\"$TMPDIR/typed\""),
            ..Setup::new(&["--debugger", "env", "waits"])
        };
        let mut running = setup.start();
        running.wait_for_line("ready");
        running
    };
    let running = start();
    running.send(Signal::INT);
    running.send(Signal::QUIT);
    must(
        "type a line",
        std::fs::write(running.place().join("typed"), "go on\n"),
    );
    let run = running.finish();
    assert_eq!(
        (run.code, run.last_line()),
        (Some(0), "1 passed, 0 failed, 0 skipped"),
        "{run}"
    );
    let run = start().interrupt(Signal::TERM);
    assert_eq!(run.code, Some(143), "{run}");
    assert!(run.survivors().is_empty(), "{:?}", run.survivors());
}
