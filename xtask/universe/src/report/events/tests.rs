//! A run written down and read again: whole, torn, of a later version, with bytes that are no text.

use std::path::PathBuf;

use super::*;
use crate::base::compile_error::CompileError;
use crate::base::failure_kind::FailureKind;
use crate::report::data::Leak;
use crate::report::examples::{attempt, case, failed, report, skipped};
use crate::report::kinds::LeakKind;
use crate::report::places::Places;

/// Events that go to a file, and the file.
struct Written {
    events: Events,
    path: PathBuf,
    _directory: tempfile::TempDir,
}

impl Written {
    fn new() -> Written {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILE_NAME);
        let events = Events::new(clock::now());
        events.write_to(&path).unwrap();
        Written {
            events,
            path,
            _directory: directory,
        }
    }

    /// A run that began and found these tests.
    fn begun(report: &Report) -> Written {
        let written = Written::new();
        written.events.run_started(report, vec!["test".into()]);
        written.events.phase("build");
        written.events.phase("tests");
        let planned = report
            .cases()
            .map(|known| Case {
                round: known.round,
                ..case(&known.name, skipped("killed before"))
            })
            .map(|case| ("p::suite".to_owned(), case));
        written.events.discovered(planned.collect());
        written
    }

    fn start(&self, case: &Case, attempt: u32) {
        self.events.started(Start {
            id: &case.id,
            round: case.round,
            attempt,
            slot: 3,
        });
    }

    fn read(&self) -> Report {
        read(&self.path).unwrap()
    }

    fn lines(&self) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(&self.path).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

fn json(report: &Report) -> serde_json::Value {
    serde_json::to_value(Report {
        phases: Vec::new(),
        ..report.clone()
    })
    .unwrap()
}

/// Everything that a case can have.
fn rich_case() -> Case {
    let leak = Leak {
        kind: LeakKind::Process,
        what: "sleep 5\n\u{2028}".into(),
    };
    Case {
        stdout: b"text \x1b \0 \xe2\x80\xa8 \r\n\"".to_vec(),
        stderr: (0..=255).collect(),
        earlier: vec![attempt(failed("first"), Duration::from_millis(7))],
        leaks: vec![leak],
        attachments: vec!["/tmp/a b.log".into()],
        slow: true,
        round: 2,
        ..case("rich", Outcome::Passed)
    }
}

#[test]
fn a_finished_run_is_restored_unchanged() {
    let mut original = report(
        "r",
        vec![
            case("a", Outcome::Passed),
            case("b", failed("no")),
            case("s", skipped("x")),
            rich_case(),
        ],
    );
    original.places = Places::new(Path::new("/r"), Path::new("/r/a"), Some(Path::new("/r")));
    original.compile_errors = vec![CompileError {
        file: Some("src/lib.rs".to_owned()),
        line: Some(3),
        code: None,
        message: "wrong".to_owned(),
        text: "error: wrong".to_owned(),
    }];
    let written = Written::begun(&original);
    let first = original.cases().next().unwrap();
    written.start(first, 1);
    written.events.finished("p::suite", 1, first);
    written.events.run_ended(Exit::TestsFailed, &original);
    let again = written.read();
    assert_eq!(json(&again), json(&original));
    assert_eq!(again.phases.len(), 2);
}

#[test]
fn an_unchanged_case_is_not_written_again() {
    let original = report("r", vec![case("a", Outcome::Passed), case("b", Outcome::Passed)]);
    let written = Written::begun(&original);
    original
        .cases()
        .for_each(|case| written.events.finished("p::suite", 1, case));
    written.events.run_ended(Exit::Success, &original);
    let finishes = written
        .lines()
        .iter()
        .filter(|line| line["type"] == "finish")
        .count();
    assert_eq!(finishes, 2);
}

#[test]
fn a_case_that_changed_after_it_was_written_counts_at_the_end() {
    let (mut original, early) = (
        report("r", vec![case("a", failed("flaky"))]),
        case("a", Outcome::Passed),
    );
    original.properties.push(("features".into(), "x".into()));
    let written = Written::begun(&original);
    written.events.finished("p::suite", 1, &early);
    written.events.run_ended(Exit::TestsFailed, &original);
    assert_eq!(json(&written.read()), json(&original));
}

#[test]
fn a_test_that_was_running_when_the_run_was_killed_is_interrupted_and_one_that_never_ran_is_skipped() {
    let original = report(
        "r",
        vec![
            case("ended", Outcome::Passed),
            case("runs", Outcome::Passed),
            case("waits", Outcome::Passed),
        ],
    );
    let written = Written::begun(&original);
    let cases: Vec<&Case> = original.cases().collect();
    written.start(cases[0], 1);
    written.events.finished("p::suite", 1, cases[0]);
    written.start(cases[1], 1);
    let killed = written.read();
    let outcomes: Vec<&Outcome> = killed.cases().map(|case| &case.outcome).collect();
    assert!(
        matches!(outcomes[..], [Outcome::Passed, Outcome::Errored(f), Outcome::Skipped(_)] if f.kind == FailureKind::Interrupted),
        "{outcomes:?}"
    );
    assert_eq!(killed.cases().nth(1).unwrap().slot, Some(3));
    assert_eq!(killed.setup_failure.unwrap().kind, FailureKind::Interrupted);
}

#[test]
fn attempts_before_the_last_one_are_earlier_ones_even_if_the_last_one_never_ended() {
    let original = report("r", vec![case("a", Outcome::Passed), case("b", Outcome::Passed)]);
    let written = Written::begun(&original);
    for name in ["a", "b"] {
        let failing = case(name, failed("once"));
        written.start(&failing, 1);
        written.events.finished("p::suite", 1, &failing);
        written.start(&failing, 2);
    }
    written
        .events
        .finished("p::suite", 2, &case("a", Outcome::Passed));
    let killed = written.read();
    let cases: Vec<&Case> = killed.cases().collect();
    assert!(cases[0].is_flaky());
    assert_eq!(
        (
            cases[1].failure().unwrap().kind.name().as_ref(),
            cases[1].earlier.len()
        ),
        ("interrupted", 1)
    );
}

#[test]
fn rounds_of_a_test_are_listed_together_and_an_unfinished_one_is_interrupted() {
    let original = report("r", vec![case("a", Outcome::Passed), case("b", Outcome::Passed)]);
    let written = Written::begun(&original);
    original
        .cases()
        .for_each(|case| written.events.finished("p::suite", 1, case));
    let second = Case {
        round: 2,
        ..case("a", Outcome::Passed)
    };
    written.start(&second, 1);
    let killed = written.read();
    let rounds: Vec<(&str, u32, bool)> = killed
        .cases()
        .map(|case| (case.name.as_str(), case.round, case.failure().is_some()))
        .collect();
    assert_eq!(rounds, [("a", 1, false), ("a", 2, true), ("b", 1, false)]);
}

#[test]
fn each_leak_has_a_line_of_its_own() {
    let written = Written::new();
    written.events.finished("p::suite", 1, &rich_case());
    let lines = written.lines();
    assert_eq!(
        (&lines[0]["type"], &lines[0]["kind"], &lines[0]["id"]),
        (&"leak".into(), &"process".into(), &"p::suite$m::rich".into())
    );
}

#[test]
fn a_slow_test_is_an_event_while_it_runs_and_the_report_is_the_same() {
    let original = report("r", vec![case("a", Outcome::Passed)]);
    let written = Written::begun(&original);
    let first = original.cases().next().unwrap();
    written.start(first, 1);
    written.events.slow(Slow {
        id: &first.id,
        round: 1,
        attempt: 1,
        passed: Duration::from_secs(5),
    });
    let line = written.lines().pop().unwrap();
    assert_eq!(
        (&line["type"], &line["id"], &line["passed_ns"]),
        (&"slow".into(), &"p::suite$m::a".into(), &5_000_000_000_u64.into())
    );
    written.events.finished("p::suite", 1, first);
    written.events.run_ended(Exit::Success, &original);
    assert_eq!(json(&written.read()), json(&original));
}

#[test]
fn a_torn_last_line_and_unknown_types_and_fields_are_skipped() {
    let original = report("r", vec![case("a", Outcome::Passed)]);
    let written = Written::begun(&original);
    let mut bytes = std::fs::read(&written.path).unwrap();
    bytes.extend(b"{\"v\":1,\"after_ns\":5,\"type\":\"comet\",\"tail\":[1]}\n");
    bytes.extend(b"{\"v\":1,\"after_ns\":6,\"type\":\"phase\",\"name\":\"x\",\"moon\":{}}\n");
    let whole = replay::replay(&bytes).unwrap();
    assert_eq!(whole.phases.last().unwrap().name, "x");
    for torn in ["{\"v\":1,\"after_ns\":7,\"type\":\"fin", "{", "{\"v\":1"] {
        let report = replay::replay(&[&bytes, torn.as_bytes()].concat()).unwrap();
        assert_eq!(json(&report), json(&whole));
    }
}

#[test]
fn every_prefix_of_the_file_can_be_read_once_the_run_has_begun() {
    let original = report("r", vec![rich_case()]);
    let written = Written::begun(&original);
    written.events.run_ended(Exit::Success, &original);
    let bytes = std::fs::read(&written.path).unwrap();
    let first = bytes.iter().position(|&byte| byte == b'\n').unwrap();
    for end in first + 1..bytes.len() {
        replay::replay(&bytes[..end]).unwrap();
    }
}

#[test]
fn invalid_events_and_later_versions_are_refused_with_their_line() {
    let message = |text: &str| format!("{:#}", replay::replay(text.as_bytes()).unwrap_err());
    assert!(message("<xml/>\n").starts_with("line 1 is not an event"));
    for other in ["[]\n", "3\n"] {
        assert!(
            message(other).contains("expected an object that says its version"),
            "{}",
            message(other)
        );
    }
    assert!(message("{\"v\":2,\"after_ns\":0,\"type\":\"phase\",\"name\":\"x\"}\n").contains("version is 2"));
    assert_eq!(message(""), "there is no `run-start`");
}

#[test]
fn the_format_is_this() {
    let written = Written::new();
    let failing = Case {
        stdout: b"out".to_vec(),
        stderr: b"\xff".to_vec(),
        ..case("a", failed("no"))
    };
    written.events.finished("p::suite", 1, &failing);
    let mut line = written.lines().remove(0);
    line["after_ns"] = 0.into();
    let expected = serde_json::json!({
        "v": 1, "after_ns": 0, "type": "finish", "suite": "p::suite", "attempt": 1,
        "case": {
            "id": "p::suite$m::a", "round": 1, "classname": "p.suite.m", "name": "a", "file": "suite/m.rs", "line": 12,
            "started_ns": 1_795_485_677_000_000_000_u64, "elapsed_ns": 10_000_000, "slot": 0, "slow": false,
            "outcome": {"status": "failed", "kind": "panic", "message": "no", "detail": ""},
            "stdout": "out", "stderr": {"base64": "/w=="},
        },
    });
    assert_eq!(line, expected);
}
