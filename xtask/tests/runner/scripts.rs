//! Setup scripts: they run once before the tests that need them, give them variables, and are ended
//! with all that they started.

use std::process::Command;

use super::support::{Scratch, must};

/// A package with these tests and the script `s` for those whose name has `uses` in it.
fn package(script: &str, timeout: &str, tests: &str) -> Scratch {
    let package = Scratch::package(&format!("fn main() {{}}\n{tests}\n"));
    package.add_file("s.sh", script);
    package.add_to_manifest(&format!(
        "[[workspace.metadata.universe.scripts]]\nname = \"s\"\nfilter = \"test(uses)\"\n\
         command = [\"sh\", \"./s.sh\"]\ntimeout = \"{timeout}\"\n"
    ));
    package
}

const TWO_TESTS: &str = "#[test]\nfn uses_one() { assert_eq!(std::env::var(\"GREETING\").unwrap(), \"hello there\") }\n\
     #[test]\nfn uses_two() { assert!(std::path::Path::new(&std::env::var(\"PLACE\").unwrap()).exists()) }\n\
     #[test]\nfn other() { assert!(std::env::var(\"GREETING\").is_err()) }";

const GREETS: &str = "echo ran >> runs.txt\necho to the log\necho \"GREETING=hello there\" >> \"$XTASK_SCRIPT_ENV\"\n\
     touch \"$TMPDIR/file\"; echo \"PLACE=$TMPDIR/file\" >> \"$XTASK_SCRIPT_ENV\"\n";

fn runs_of_the_script(package: &Scratch) -> usize {
    let path = package.manifest().with_file_name("runs.txt");
    std::fs::read_to_string(path).unwrap_or_default().lines().count()
}

#[test]
fn a_script_runs_once_and_sets_variables_for_its_tests_alone() {
    for arguments in [&["--count", "3"][..], &["--isolate", "process", "--count", "3"]] {
        let package = package(GREETS, "60s", TWO_TESTS);
        let run = package.run("test", arguments);
        assert_eq!(run.last_line(), "9 passed, 0 failed, 0 skipped", "{run}");
        assert_eq!(runs_of_the_script(&package), 1);
        assert_eq!(run.survivors(), [""; 0], "{run}");
        assert_eq!(run.scratch(), [""; 0], "{run}");
    }
}

#[test]
fn a_script_that_no_test_needs_does_not_run() {
    let package = package(GREETS, "60s", TWO_TESTS);
    let run = package.run("test", &["other"]);
    assert_eq!(run.last_line(), "1 passed, 0 failed, 0 skipped", "{run}");
    assert_eq!(runs_of_the_script(&package), 0);
}

#[test]
fn every_report_has_the_script_and_none_the_value_of_a_variable() {
    let package = package(GREETS, "60s", TWO_TESTS);
    let run = package.test();
    assert!(run.stdout.contains("] script s\n"), "{run}");
    let home = package.published().parent().unwrap().to_owned();
    for (name, part) in [
        (
            "junit.xml",
            "<property name=\"script s\" value=\"ended with 0 in ",
        ),
        ("summary.md", "- `script s`: `ended with 0 in "),
        ("timeline.html", "script s, 0."),
        ("trace.json", "\"name\":\"script s\""),
        ("events.ndjson", "\"type\":\"script\",\"name\":\"script s\""),
    ] {
        let text = must("read a report", std::fs::read_to_string(home.join(name)));
        assert!(text.contains(part), "{name}: {text}");
        assert!(!text.contains("hello there"), "{name}: {text}");
    }
    let log = package.runs()[0].join("logs/script-0.log");
    assert_eq!(must("read its log", std::fs::read_to_string(log)), "to the log\n");
    let mut report = Command::new(env!("CARGO_BIN_EXE_xtask"));
    report
        .args(["report", "trace", "--from"])
        .arg(home.join("events.ndjson"));
    let again = must("start xtask", report.output());
    let trace = must("read the trace", std::fs::read(home.join("trace.json")));
    assert!(again.stdout == trace, "the events do not tell the same");
    let list = package.run("list", &[]);
    assert_eq!(list.stdout.matches("[script s]").count(), 2, "{list}");
}

#[test]
fn what_a_script_starts_ends_after_the_last_of_its_tests() {
    let script = "sleep 3611 & echo \"PID=$!\" > \"$XTASK_SCRIPT_ENV\"; cp \"$XTASK_SCRIPT_ENV\" pid.txt\n";
    // What runs later waits until the process is gone: a run that keeps it reaches the limit.
    let tests = "fn is_there(pid: &str) -> bool { std::path::Path::new(\"/proc\").join(pid).exists() }\n\
         #[test]\nfn uses_one() { assert!(is_there(&std::env::var(\"PID\").unwrap())) }\n\
         #[test]\nfn uses_two() { assert!(is_there(&std::env::var(\"PID\").unwrap())) }\n\
         #[test]\nfn zz_later() {\n\
             let text = std::fs::read_to_string(\"pid.txt\").unwrap();\n\
             let pid = text.trim().strip_prefix(\"PID=\").unwrap();\n\
             while is_there(pid) { std::thread::yield_now() } }";
    let package = package(script, "60s", tests);
    let run = package.run(
        "test",
        &["--isolate", "process", "--jobs", "1", "--timeout", "30s"],
    );
    assert_eq!(run.last_line(), "3 passed, 0 failed, 0 skipped", "{run}");
    assert_eq!(run.survivors(), [""; 0], "{run}");
    let package = self::package(script, "60s", "#[test]\nfn uses_it() {}");
    let run = package.test();
    assert_eq!(
        (run.last_line(), run.survivors()),
        ("1 passed, 0 failed, 0 skipped", vec![]),
        "{run}"
    );
}

#[test]
fn a_script_that_fails_fails_its_tests_with_what_it_wrote_and_no_other() {
    for (script, why, wrote) in [
        (
            "echo one; echo two >&2; exit 3",
            "it ended with exit status: 3",
            "what it wrote:\n  one\n  two\n",
        ),
        (
            "echo READY > \"$XTASK_SCRIPT_ENV\"",
            "line 1 of its variables is no `KEY=VALUE`: `READY`",
            "it wrote nothing\n",
        ),
        ("kill -KILL $$", "it ended with signal: 9", "it wrote nothing\n"),
    ] {
        let package = package(script, "60s", TWO_TESTS);
        let run = package.run("test", &["--retries", "2"]);
        assert_eq!(
            (run.code, run.last_line()),
            (Some(100), "1 passed, 2 failed, 0 skipped"),
            "{run}"
        );
        let message = format!("script: the script `s` failed: {why}");
        assert_eq!(run.stdout.matches(&message).count(), 2, "{message}\n{run}");
        assert_eq!(
            run.stdout.matches(&format!("] script s: {why}")).count(),
            1,
            "{run}"
        );
        assert!(run.stdout.contains(wrote), "{run}");
        assert!(run.junit().contains("type=\"script\""), "{}", run.junit());
        assert!(
            !run.stdout.contains("(attempt 2"),
            "another attempt changes nothing\n{run}"
        );
    }
}

#[test]
fn a_script_that_never_ends_is_ended_with_all_that_it_started() {
    let script = "sleep 3612 & setsid sleep 3613 & echo waiting; exec sleep 3614";
    for arguments in [&[][..], &["--isolate", "process"]] {
        let package = package(script, "300ms", TWO_TESTS);
        let run = package.run("test", arguments);
        assert_eq!(
            (run.code, run.last_line()),
            (Some(100), "1 passed, 2 failed, 0 skipped"),
            "{run}"
        );
        assert!(run.stdout.contains("it did not end within 0.3 s"), "{run}");
        assert_eq!(run.survivors(), [""; 0], "{run}");
    }
}

#[test]
fn ctrl_c_while_a_script_runs_ends_it_and_its_tests_are_interrupted() {
    let package = package("exec sleep 3615", "60s", TWO_TESTS);
    let running = package.start("test", &[]);
    running.wait_for_process("sleep 3615");
    let run = running.interrupt(rustix::process::Signal::INT);
    assert_eq!(run.code, Some(130), "{run}");
    assert_eq!(
        run.stdout.matches("INTR").count(),
        4,
        "twice while it runs, twice in the end\n{run}"
    );
    assert_eq!(run.survivors(), [""; 0], "{run}");
}

#[test]
fn a_script_may_be_slow_and_the_test_that_waits_for_it_is_not() {
    // The script waits for another test, which goes on when both were reported as slow.
    let tests = "#[test]\nfn uses_it() {}\n\
         #[test]\nfn other() { std::fs::read(\"slow.pipe\").unwrap(); std::fs::write(\"go.pipe\", \"\").unwrap() }";
    let package = package("cat go.pipe", "60s", tests);
    let pipe = |name: &str| {
        let path = package.manifest().with_file_name(name);
        let made = rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RWXU);
        must("make a pipe", made);
        path
    };
    let (slow, _go) = (pipe("slow.pipe"), pipe("go.pipe"));
    let mut running = package.start("test", &["--slow", "200ms", "--jobs", "2"]);
    running.wait_for_parts(&["scratch other", "s] script s"].map(str::to_owned));
    must("let it go on", std::fs::write(&slow, ""));
    let run = running.finish();
    assert_eq!(run.last_line(), "2 passed, 0 failed, 0 skipped", "{run}");
    let before = run.stdout.split("INIT").next().unwrap_or_default();
    assert!(
        before.contains("\nSLOW [>") && !before.contains("uses_it"),
        "{run}"
    );
}

#[test]
fn a_list_of_scripts_that_is_invalid_is_one_error_with_key_and_place() {
    for (table, key) in [
        ("name = \"s\"\ncommand = [\"x\"]\n", "scripts[0].filter`"),
        (
            "name = \"s\"\nfilter = \"all()\"\ncommand = \"x\"\n",
            "scripts[0].command`",
        ),
        (
            "name = \"s\"\nfilter = \"all()\"\ncommand = [\"x\"]\nretries = 1\n",
            "scripts[0].retries`",
        ),
    ] {
        let package = Scratch::package("fn main() {}\n#[test]\nfn passes() {}\n");
        package.add_to_manifest(&format!("[[workspace.metadata.universe.scripts]]\n{table}"));
        for subcommand in ["test", "list"] {
            let run = package.run(subcommand, &[]);
            let place = format!("`workspace.metadata.universe.{key} in `");
            assert_eq!(run.code, Some(96), "{run}");
            let told = if subcommand == "test" {
                &run.stdout
            } else {
                &run.stderr
            };
            assert!(told.contains(&place), "{place}\n{run}");
        }
    }
}
