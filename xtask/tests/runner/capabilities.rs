//! Capabilities that a workspace describes itself: they hold because they were used, and nothing
//! of the attempt remains.

use std::net::TcpListener;
use std::path::Path;

use super::support::{Run, Scratch, must};

/// A package with one test, which needs `x`, and this table.
fn needing_x(table: &str) -> Scratch {
    let package = Scratch::package("fn main() {}\n#[test]\n#[ignore = \"needs x\"]\nfn uses_it() {}\n");
    package.add_to_manifest(&format!(
        "[workspace.metadata.universe.capabilities.x]\n{table}\n"
    ));
    package
}

fn doctor(package: &Scratch) -> serde_json::Value {
    let run = package.run("doctor", &["--quick", "--json"]);
    must("read the findings", serde_json::from_str(&run.stdout))
}

/// Whether the capability of this name holds, with its evidence or the cause.
fn found(package: &Scratch, name: &str) -> (bool, String) {
    let document = doctor(package);
    let all = document["capabilities"].as_array().into_iter().flatten();
    let mut named = all.filter(|capability| capability["name"] == name);
    let one = must("find it", named.next().ok_or("there is none of this name"));
    let evidence = one["evidence"].as_str().unwrap_or_default().to_owned();
    (one["available"] == true, evidence)
}

fn line(run: &Run) -> &str {
    run.last_line()
}

const ONE_PASSED: &str = "1 passed, 0 failed, 0 skipped";
const ONE_SKIPPED: &str = "0 passed, 0 failed, 1 skipped";

#[test]
fn a_command_that_succeeds_makes_a_test_run_and_one_that_fails_skips_it_with_its_words() {
    let package = needing_x("command = [\"sh\", \"-c\", \"echo version 7\"]");
    assert_eq!(found(&package, "x"), (true, "version 7".to_owned()));
    let run = package.test();
    assert_eq!(line(&run), ONE_PASSED, "{run}");
    let package =
        needing_x("command = [\"sh\", \"-c\", \"echo no daemon >&2; exit 3\"]\nhint = \"start it\"");
    let run = package.test();
    assert_eq!(line(&run), ONE_SKIPPED, "{run}");
    assert!(
        run.stdout
            .contains("ended with exit status: 3: no daemon; hint: start it\n"),
        "{run}"
    );
    let page = package.run("doctor", &["--quick"]);
    assert!(page.stdout.contains("hint: start it\n"), "{page}");
}

#[test]
fn a_need_is_a_filter_and_can_be_required() {
    let package = needing_x("path = \"nothing\"");
    let listed = package.run("list", &["-E", "cap(x)"]);
    assert!(
        listed.stdout.contains("$uses_it") && listed.stdout.contains("could not open"),
        "{listed}"
    );
    let run = package.run("test", &["--require", "x"]);
    assert_eq!(run.code, Some(107), "{run}");
    let unknown = package.run("test", &["--require", "y"]);
    assert_eq!(unknown.code, Some(2), "{unknown}");
    let doctor = package.run("doctor", &["--quick", "--require", "x"]);
    assert_eq!(doctor.code, Some(107), "{doctor}");
}

#[test]
fn a_path_must_open_as_it_is_asked_for_and_not_only_be_there() {
    // Root may write to any file, but nobody to a directory that is none.
    let package = needing_x("path = \"src/main.rs/file\"");
    assert!(!found(&package, "x").0);
    let package = needing_x("path = \"src\"\nopen = \"read-write\"");
    let (holds, evidence) = found(&package, "x");
    assert!(
        holds && evidence.ends_with("/src` for reading and writing"),
        "{evidence}"
    );
    let package = needing_x("path = \"pipe\"\ntimeout = \"300ms\"");
    let pipe = package.manifest().with_file_name("pipe");
    must(
        "make a pipe",
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR),
    );
    let (holds, cause) = found(&package, "x");
    assert!(!holds && cause.contains("no answer within 0.3 s"), "{cause}");
}

#[test]
fn all_conditions_of_a_table_must_hold() {
    let holds = |table: &str| found(&needing_x(table), "x").0;
    assert!(holds("command = [\"true\"]\nenv = \"PATH\"\npath = \"src\""));
    assert!(!holds("command = [\"true\"]\nenv = \"PATH\"\npath = \"nothing\""));
    assert!(!holds(
        "command = [\"true\"]\nenv = \"NO_SUCH_VARIABLE\"\npath = \"src\""
    ));
    assert!(!holds("command = [\"false\"]\nenv = \"PATH\"\npath = \"src\""));
}

#[test]
fn a_variable_that_cargo_gives_to_tests_counts_and_its_value_is_not_shown() {
    let package = needing_x("env = \"XT_TOKEN\"");
    let cargo = package.manifest().with_file_name(".cargo");
    must("make `.cargo`", std::fs::create_dir(&cargo));
    let config = "[env]\nXT_TOKEN = \"very secret\"\n";
    must(
        "write its config",
        std::fs::write(cargo.join("config.toml"), config),
    );
    let run = package.run("doctor", &["--quick"]);
    assert!(
        run.stdout.contains("x            yes  `XT_TOKEN` is set\n"),
        "{run}"
    );
    assert!(!run.stdout.contains("secret"), "{run}");
}

#[test]
fn a_service_counts_where_the_tests_can_reach_it() {
    let listener = must("listen", TcpListener::bind("127.0.0.1:0"));
    let port = must("know the port", listener.local_addr()).port();
    let package = needing_x(&format!("tcp = \"127.0.0.1:{port}\"\nhint = \"start it\""));
    let outside = package.run("test", &["--isolate", "process"]);
    assert_eq!(line(&outside), ONE_PASSED, "{outside}");
    let run = package.test();
    if run.stdout.contains(" in the box\n") {
        assert_eq!(line(&run), ONE_SKIPPED, "{run}");
        let host = needing_x(&format!("tcp = \"127.0.0.1:{port}\"\nnetwork = \"host\""));
        let on_host = host.test();
        assert_eq!(line(&on_host), ONE_PASSED, "{on_host}");
        let page = package.run("doctor", &["--quick"]);
        assert!(page.stdout.contains("though it can be reached outside"), "{page}");
        assert!(page.stdout.contains("hint: `network = \"host\"`"), "{page}");
    } else {
        assert_eq!(line(&run), ONE_PASSED, "{run}");
    }
}

#[test]
fn a_command_that_hangs_is_ended_with_all_that_it_started() {
    let script = "sleep 3601 & setsid sleep 3602 & exec sleep 3603";
    let package = needing_x(&format!(
        "command = [\"sh\", \"-c\", \"{script}\"]\ntimeout = \"300ms\""
    ));
    for arguments in [&[][..], &["--isolate", "process"]] {
        let run = package.run("test", arguments);
        assert_eq!((run.code, line(&run)), (Some(0), ONE_SKIPPED), "{run}");
        assert!(
            run.stdout.contains("no answer within 0.3 s; it was ended"),
            "{run}"
        );
        assert_eq!(run.survivors(), [""; 0], "{run}");
    }
}

#[test]
fn what_a_command_leaves_in_the_background_is_ended_too() {
    let script = "sleep 3604 >/dev/null 2>&1 & setsid sleep 3605 >/dev/null 2>&1 & echo ok";
    let package = needing_x(&format!("command = [\"sh\", \"-c\", \"{script}\"]"));
    let run = package.test();
    assert_eq!(line(&run), ONE_PASSED, "{run}");
    assert_eq!(run.survivors(), [""; 0], "{run}");
}

#[test]
fn ctrl_c_while_a_capability_is_tried_ends_the_run_and_the_attempt() {
    let package = needing_x("command = [\"sleep\", \"3606\"]\ntimeout = \"600s\"");
    let running = package.start("test", &[]);
    running.wait_for_process("sleep 3606");
    let run = running.interrupt(rustix::process::Signal::INT);
    assert_eq!(run.code, Some(130), "{run}");
    assert_eq!(run.survivors(), [""; 0], "{run}");
}

#[test]
fn what_a_command_prints_without_end_fills_no_memory_and_is_evidence_of_one_line() {
    let package = needing_x("command = [\"sh\", \"-c\", \"yes | head -c 5000000; echo\"]");
    assert_eq!(found(&package, "x"), (true, "y".to_owned()));
}

#[test]
fn what_is_built_in_needs_no_table_and_what_is_not_is_a_reason_like_any_other() {
    let package = Scratch::package(
        "fn main() {}\n\
         #[test]\n#[ignore = \"needs ipv4\"]\nfn built_in() {}\n\
         #[test]\n#[ignore = \"needs ipv4, patience\"]\nfn not_all_are() {}\n\
         #[test]\n#[ignore = \"needs winfsp, root\"]\nfn missing() {}\n",
    );
    let run = package.test();
    assert_eq!(line(&run), "1 passed, 0 failed, 2 skipped", "{run}");
    for part in [
        "not_all_are: it needs ipv4, patience\n",
        "missing: needs winfsp: only Windows",
    ] {
        assert!(run.stdout.contains(part), "{part}\n{run}");
    }
}

#[test]
fn a_table_that_is_invalid_is_one_error_with_key_and_place() {
    for (table, key, part) in [
        ("", "capabilities.x`", "give `command`, `path`, `tcp` or `env`"),
        ("comand = [\"a\"]", "capabilities.x.comand`", "`command`"),
        ("tcp = \"localhost\"", "capabilities.x.tcp`", "`HOST:PORT`"),
        (
            "env = \"A\"\n[workspace.metadata.universe.capabilities.root]\nenv = \"A\"",
            "capabilities.root`",
            "`root` is built in",
        ),
    ] {
        let package = needing_x(table);
        for subcommand in ["test", "list", "doctor"] {
            let run = package.run(subcommand, &[]);
            assert_eq!(run.code, Some(96), "{run}");
            let place = format!(
                "`workspace.metadata.universe.{key} in `{}`",
                canonical(&package.manifest())
            );
            assert!(
                run.stderr.contains(&place) && run.stderr.contains(part),
                "{place}\n{run}"
            );
            assert_eq!(run.stderr.matches("error: ").count(), 1, "{run}");
        }
    }
}

fn canonical(path: &Path) -> String {
    must("find the manifest", path.canonicalize())
        .display()
        .to_string()
}

#[test]
fn the_table_of_an_earlier_version_is_read_and_a_second_one_is_named() {
    let package = Scratch::package("fn main() {}\n#[test]\n#[ignore = \"needs x\"]\nfn uses_it() {}\n");
    package.add_to_manifest("[workspace.metadata.xtask.programs.x]\nhint = \"install it\"\n");
    let run = package.test();
    assert_eq!(line(&run), ONE_SKIPPED, "{run}");
    assert!(
        run.stdout
            .contains("needs x: `x --version`: it could not be started"),
        "{run}"
    );
    package.add_to_manifest("[workspace.metadata.universe.capabilities.x]\ncommand = [\"true\"]\n");
    let both = package.test();
    assert_eq!(line(&both), ONE_PASSED, "{both}");
    let warning = "warning: `[workspace.metadata.universe]` is used, and `[workspace.metadata.xtask]` in `";
    assert_eq!(both.stderr.matches(warning).count(), 1, "{both}");
}
