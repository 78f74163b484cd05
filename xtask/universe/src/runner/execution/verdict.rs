//! The outcome of a test, judged by how its process ended and by its output. Pure.

use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use super::process::{End, Ended, Halt};
use crate::base::failure_kind::FailureKind;
use crate::base::limits::FAILURE_MESSAGE_LEN_MAX;
use crate::base::text::report_text;
use crate::report::data::{Failure, Outcome, joined_lines};
use crate::runner::{doc_tests, libtest};
use crate::select::plan::Form;

/// libtest's exit code for a failed test.
const FAILED: i32 = 101;

/// A panic, as the standard hook prints it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Panic {
    pub(super) file: PathBuf,
    pub(super) line: u32,
    /// Without thread id and location, so that equal failures have equal messages.
    message: String,
}

/// The limits that a failure message names.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) timeout: Duration,
    /// Running time from which the test is slow.
    pub(super) slow: Duration,
    pub(super) run_timeout: Duration,
}

/// The outcome of the test `name`, and the panic that decided it.
pub(super) fn judge(name: &str, form: &Form, ended: &Ended, limits: Limits) -> (Outcome, Option<Panic>) {
    let panic = find_panic(&String::from_utf8_lossy(&ended.stderr), name);
    let outcome = match &ended.end {
        End::Exited(status) if *form == Form::Whole && status.success() => Outcome::Passed,
        End::Exited(status) if matches!(form, Form::Doc(_)) => ended_by_rustdoc(*status, name, ended),
        End::Exited(status) => exited(*status, name, ended, panic.as_ref()),
        End::NotStarted(error) => errored(FailureKind::Exec, format!("could not be started: {error}")),
        End::Lost => errored(
            FailureKind::Lost,
            "its supervisor was killed, by this test or by another one that kills foreign processes; that ended the test"
                .to_owned(),
        ),
        End::TooManyProcesses(count) => {
            errored(FailureKind::Processes, format!("was killed when it had {count} processes"))
        }
        End::TimedOut => errored(
            FailureKind::Timeout,
            format!("did not end within {}", seconds(limits.timeout)),
        ),
        End::Halted(Halt::RunTimeout) => {
            let limit = seconds(limits.run_timeout);
            errored(
                FailureKind::RunTimeout,
                format!("was killed when the run reached its limit of {limit}"),
            )
        }
        End::Halted(Halt::Interrupted(signal) | Halt::AtOnce(signal)) => errored(
            FailureKind::Interrupted,
            format!("was killed when the run was interrupted by {signal}"),
        ),
        End::Halted(Halt::No) => errored(FailureKind::Interrupted, "was killed".to_owned()),
    };
    (outcome, panic)
}

fn exited(status: ExitStatus, name: &str, ended: &Ended, panic: Option<&Panic>) -> Outcome {
    if status.success() && libtest::says_passed(&ended.stdout) {
        return Outcome::Passed;
    }
    if let Some(signal) = signal_of(status) {
        let why = panic.map(|panic| format!("; before that it panicked: {}", one_line(&panic.message)));
        return errored(
            FailureKind::Signal(signal.clone()),
            format!("died of {signal}{}", why.unwrap_or_default()),
        );
    }
    if status.success() {
        return failed(
            FailureKind::Exit,
            "the process exited with 0 before the test ended".to_owned(),
            String::new(),
        );
    }
    let note = libtest::note(&ended.stdout);
    if let (Some(panic), Some(FAILED)) = (panic, status.code()) {
        let place = format!("panicked at {}:{}", panic.file.display(), panic.line);
        // A note states why this panic is not the one that `should_panic` expects.
        return failed(
            FailureKind::Panic,
            one_line(note.as_ref().unwrap_or(&panic.message)),
            format!("{place}\n{}", panic.message),
        );
    }
    let stderr = report_text(&ended.stderr);
    let returned = stderr.lines().find(|line| line.starts_with("Error: "));
    match (note, returned) {
        (Some(note), _) => failed(
            FailureKind::Panic,
            one_line(&note),
            format!("libtest says so of `{name}`"),
        ),
        (None, Some(error)) => failed(
            FailureKind::Error,
            one_line(error),
            "the test returned this error".to_owned(),
        ),
        (None, None) => failed(
            FailureKind::Exit,
            format!("the process ended with {status}"),
            String::new(),
        ),
    }
}

/// The outcome of a doc test. The panic is one of the test's own process, and its place is not in
/// the sources as they are.
fn ended_by_rustdoc(status: ExitStatus, name: &str, ended: &Ended) -> Outcome {
    let stdout = String::from_utf8_lossy(&ended.stdout);
    if status.success() && doc_tests::says_passed(&stdout) {
        return Outcome::Passed;
    }
    if let Some(signal) = signal_of(status) {
        let message = format!("rustdoc died of {signal}");
        return errored(FailureKind::Signal(signal), message);
    }
    let section = doc_tests::section(&stdout, name);
    let panic = find_panic(section, "main").filter(|_| !doc_tests::is_not_compiled(section));
    match (panic, doc_tests::failure(section)) {
        (Some(panic), _) => failed(FailureKind::Panic, one_line(&panic.message), panic.message),
        (
            None,
            Some(Failure {
                kind,
                message,
                detail,
            }),
        ) => failed(kind, one_line(&message), detail),
        (None, None) => failed(
            FailureKind::Exit,
            format!("rustdoc ended with {status} and did not report a result of the test"),
            String::new(),
        ),
    }
}

fn failed(kind: FailureKind, message: String, detail: String) -> Outcome {
    Outcome::Failed(Failure {
        kind,
        message,
        detail,
    })
}

fn errored(kind: FailureKind, message: String) -> Outcome {
    Outcome::Errored(Failure {
        kind,
        message,
        detail: String::new(),
    })
}

fn seconds(limit: Duration) -> String {
    format!("{} s", limit.as_secs_f64())
}

#[cfg(unix)]
fn signal_of(status: ExitStatus) -> Option<String> {
    std::os::unix::process::ExitStatusExt::signal(&status).map(crate::base::os::signal_name)
}

#[cfg(not(unix))]
fn signal_of(_: ExitStatus) -> Option<String> {
    None
}

/// The panic to blame: the last one on the test's own thread, because the test caught the earlier
/// ones; otherwise the first of all.
fn find_panic(stderr: &str, name: &str) -> Option<Panic> {
    let lines: Vec<&str> = stderr.lines().collect();
    let panics: Vec<(&str, Panic)> = (0..lines.len())
        .filter_map(|at| panic_at(lines.get(at..)?))
        .collect();
    let own = panics.iter().rposition(|(thread, _)| *thread == name);
    panics.into_iter().nth(own.unwrap_or(0)).map(|(_, panic)| panic)
}

/// Parses `thread 'NAME' (ID) panicked at FILE:LINE:COLUMN:` and the message on the following
/// lines.
fn panic_at<'a>(lines: &[&'a str]) -> Option<(&'a str, Panic)> {
    let (header, rest) = lines.split_first()?;
    let (thread, place) = header.strip_prefix("thread '")?.split_once(" panicked at ")?;
    let (thread, _id) = thread.rsplit_once('\'')?;
    let mut place = place.strip_suffix(':')?.rsplitn(3, ':');
    let (_column, line, file) = (place.next()?, place.next()?, place.next()?);
    // The runtime aborts a process in which a destructor panics during unwinding.
    if file.contains("library/core/src/panicking.rs") {
        return None;
    }
    let ends = |line: &&&str| {
        line.starts_with("note: ") || **line == "stack backtrace:" || line.starts_with("thread '")
    };
    let message: Vec<&str> = rest.iter().take_while(|line| !ends(line)).copied().collect();
    let message = report_text(message.join("\n").trim_end().as_bytes());
    Some((
        thread,
        Panic {
            file: Path::new(file).to_owned(),
            line: line.parse().ok()?,
            message,
        },
    ))
}

fn one_line(text: &str) -> String {
    let line = joined_lines(text);
    match line.char_indices().nth(FAILURE_MESSAGE_LEN_MAX) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;
    use std::time::SystemTime;

    const PASSED: &[u8] = b"\nrunning 1 test\n.\ntest result: ok. 1 passed; 0 failed\n\n";
    const LIMITS: Limits = Limits {
        timeout: Duration::from_secs(30),
        slow: Duration::from_secs(10),
        run_timeout: Duration::from_secs(180),
    };

    fn judged(wait_status: i32, stdout: &[u8], stderr: &str) -> Outcome {
        judged_end(End::Exited(ExitStatus::from_raw(wait_status)), stdout, stderr)
    }

    fn judged_end(end: End, stdout: &[u8], stderr: &str) -> Outcome {
        let (stdout, stderr) = (stdout.to_vec(), stderr.as_bytes().to_vec());
        let (started, elapsed) = (SystemTime::UNIX_EPOCH, Duration::ZERO);
        judge(
            "a::b",
            &Form::One,
            &Ended {
                end,
                started,
                elapsed,
                stdout,
                stderr,
                leaks: vec![],
                shortage: None,
                refused: vec![],
                attachments: vec![],
            },
            LIMITS,
        )
        .0
    }

    fn failure(outcome: Outcome) -> (String, String) {
        match outcome {
            Outcome::Failed(failure) | Outcome::Errored(failure) => {
                (failure.kind.to_string(), failure.message)
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn exit_code_zero_and_libtests_summary_together_are_a_pass() {
        assert!(matches!(judged(0, PASSED, ""), Outcome::Passed));
        assert_eq!(failure(judged(0, b"\nrunning 1 test\n", "")).0, "exit");
        assert_eq!(failure(judged(101 << 8, PASSED, "")).0, "exit");
    }

    #[test]
    fn a_panic_message_has_no_thread_id_and_the_first_lines() {
        let stderr = "noise\nthread 'a::b' (17824) panicked at tests/a.rs:10:5:\nassertion failed\n  left: 1\nnote: run with";
        let (kind, message) = failure(judged(101 << 8, b"", stderr));
        assert_eq!(
            (kind.as_str(), message.as_str()),
            ("panic", "assertion failed; left: 1")
        );
    }

    #[test]
    fn the_tests_own_panic_is_blamed_before_those_of_other_threads() {
        let stderr = "thread 'worker' (1) panicked at src/w.rs:1:1:\nfirst\n\nthread 'a::b' (2) panicked at src/it's.rs:7:9:\nown\n";
        let panic = find_panic(stderr, "a::b").unwrap();
        assert_eq!(
            (panic.file, panic.line, panic.message),
            (PathBuf::from("src/it's.rs"), 7, "own".to_owned())
        );
        assert_eq!(find_panic(stderr, "c").unwrap().message, "first");
        assert_eq!(find_panic("thread 'x' panicked at nowhere", "x"), None);
    }

    #[test]
    fn a_panic_that_the_test_caught_is_not_blamed() {
        let stderr = "thread 'a::b' (1) panicked at src/a.rs:1:1:\ncaught\nstack backtrace:\n   0: x\n\nthread 'a::b' (1) panicked at src/a.rs:2:1:\nreal\n";
        assert_eq!(find_panic(stderr, "a::b").unwrap().message, "real");
        let aborted = format!(
            "{stderr}thread 'a::b' (1) panicked at /rustc/x/library/core/src/panicking.rs:233:5:\npanic in a destructor during cleanup\n"
        );
        assert_eq!(find_panic(&aborted, "a::b").unwrap().message, "real");
    }

    #[test]
    fn a_panic_that_should_panic_did_not_expect_shows_both_texts() {
        let stdout = b"\nrunning 1 test\nF\nfailures:\n\n---- a::b stdout ----\nnote: panic did not contain expected string\n      panic message: \"this\"\n expected substring: \"that\"\n\nfailures:\n    a::b\n";
        let stderr = "thread 'a::b' (1) panicked at src/a.rs:3:10:\nthis\n";
        let (kind, message) = failure(judged(101 << 8, stdout, stderr));
        assert_eq!(
            (kind.as_str(), message.as_str()),
            (
                "panic",
                "panic did not contain expected string; panic message: \"this\"; expected substring: \"that\""
            )
        );
    }

    #[test]
    fn reordering_characters_stay_in_the_message() {
        let stderr = "thread 'a::b' (1) panicked at tests/a.rs:10:5:\n\x1b[1ma\u{202e}b\n";
        assert_eq!(failure(judged(101 << 8, b"", stderr)).1, "a\u{202e}b");
    }

    #[test]
    fn a_signal_an_error_and_a_plain_exit_are_distinguished() {
        assert_eq!(
            failure(judged(6, b"", "")),
            ("signal:SIGABRT".into(), "died of SIGABRT".into())
        );
        assert_eq!(
            failure(judged(101 << 8, b"", "Error: nope\n")),
            ("error".into(), "Error: nope".into())
        );
        assert_eq!(failure(judged(7 << 8, b"", "")).0, "exit");
    }

    #[test]
    fn the_limit_of_a_test_and_that_of_the_run_are_distinguished() {
        let own = judged_end(End::TimedOut, b"", "");
        let of_the_run = judged_end(End::Halted(Halt::RunTimeout), b"", "");
        assert_eq!((own.is_interrupted(), of_the_run.is_interrupted()), (false, true));
        assert_eq!(
            (failure(own).0, failure(of_the_run).0),
            ("timeout".into(), "run-timeout".into())
        );
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let line = one_line(&"ä".repeat(1000));
        assert_eq!(line.chars().count(), FAILURE_MESSAGE_LEN_MAX + 1);
    }
}
