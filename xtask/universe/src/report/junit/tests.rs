//! The whole path from a report to XML and back, with output that no one would write on purpose.

use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use quick_xml::events::Event;
use quick_xml::{Reader, XmlVersion};

use super::*;
use crate::base::atomic_file::write_atomically;
use crate::base::compile_error::CompileError;
use crate::base::failure_kind::FailureKind;
use crate::report::data::{Attempt, Case, Leak};
use crate::report::kinds::LeakKind;
use crate::report::kinds::SkipKind;
use crate::report::places::Places;

const DIALECTS: [Dialect; 2] = [Dialect::Rich, Dialect::Jenkins];

fn case(name: &str, outcome: Outcome) -> Case {
    let classname = "acme_tests.suite.relay".to_owned();
    Case {
        file: Some("tests/suite/relay.rs".into()),
        line: Some(12),
        started: Some(UNIX_EPOCH + Duration::from_millis(1_795_485_675_123)),
        elapsed: Duration::from_micros(1_234_500),
        ..Case::new(
            format!("acme-tests::suite$relay::{name}"),
            classname,
            name.to_owned(),
            outcome,
        )
    }
}

fn failure(message: &str, detail: &str) -> Failure {
    Failure {
        kind: FailureKind::Panic,
        message: message.to_owned(),
        detail: detail.to_owned(),
    }
}

fn skip() -> Outcome {
    Outcome::Skipped(Skip {
        kind: SkipKind::Capability("fuse".to_owned()),
        reason: "needs fuse: `/dev/fuse` does not exist".into(),
    })
}

pub(super) fn report_of(cases: Vec<Case>) -> Report {
    let started = UNIX_EPOCH + Duration::from_secs(1_795_485_675);
    let suite = Suite {
        name: "acme-tests::suite".to_owned(),
        started,
        elapsed: Duration::from_millis(2500),
        cases,
    };
    Report {
        name: "acme".to_owned(),
        run_id: "20261124-020115-1".to_owned(),
        started,
        elapsed: Duration::from_millis(9000),
        properties: vec![("cached".to_owned(), "false".to_owned())],
        phases: Vec::new(),
        suites: if suite.cases.is_empty() {
            Vec::new()
        } else {
            vec![suite]
        },
        setup_failure: None,
        compile_errors: Vec::new(),
        failed_runs: Vec::new(),
        places: Places::default(),
    }
}

/// Everything that a reader could find in the document: names, attribute values and text, with
/// entities resolved.
fn words(xml: &str) -> String {
    let mut reader = Reader::from_str(xml);
    let mut words = String::new();
    loop {
        match reader.read_event().expect("the document is well-formed") {
            Event::Start(element) | Event::Empty(element) => {
                for attribute in element.attributes() {
                    let value = attribute.expect("the attribute is well-formed");
                    words.push_str(
                        &value
                            .normalized_value(XmlVersion::Explicit1_0)
                            .expect("its entities are known"),
                    );
                    words.push('\n');
                }
            }
            Event::CData(text) => words.push_str(std::str::from_utf8(&text).expect("it is UTF-8")),
            Event::Eof => return words,
            _ => {}
        }
    }
}

fn hostile() -> Vec<u8> {
    let mut bytes =
        b"\x1b[31mred\x1b[0m \0 ]]> \xff \xed\xa0\x80 \xef\xbf\xbe \xef\xbf\xbf \x1b]0;t\x07 <&\"'> end"
            .to_vec();
    bytes.extend(b"x".repeat(1 << 20));
    bytes.extend(b" the very end");
    bytes
}

#[test]
fn hostile_output_gives_a_document_that_parses_and_keeps_the_rules() {
    for dialect in DIALECTS {
        let hostile_text = String::from_utf8_lossy(&hostile()).into_owned();
        let mut hit = case(
            "hostile\u{1b}[1m name\0",
            Outcome::Failed(failure(&hostile_text, &hostile_text)),
        );
        (hit.stdout, hit.stderr) = (hostile(), hostile());
        let xml = to_xml(&report_of(vec![hit, case("other", skip())]), dialect).expect("it can be written");
        assert_eq!(violations(&xml, dialect), [""; 0]);
        let words = words(&xml);
        for kept in [
            "hostile name\u{fffd}",
            "1.235",
            "red \u{fffd} ]]> \u{fffd}",
            "<&\"'> end",
            "the very end",
            "needs fuse",
        ] {
            assert!(words.contains(kept), "`{kept}` is lost");
        }
        assert!(xml.len() < 6 * 256 * 1024, "the document has {} bytes", xml.len());
    }
}

fn attempt(outcome: Outcome) -> Attempt {
    Attempt {
        started: UNIX_EPOCH,
        elapsed: Duration::from_millis(1),
        slot: 0,
        outcome,
        stdout: b"first out\n".to_vec(),
        stderr: Vec::new(),
        leaks: Vec::new(),
    }
}

fn leak(what: &str) -> Leak {
    Leak {
        kind: LeakKind::Process,
        what: what.to_owned(),
    }
}

#[test]
fn attempts_leaks_and_attachments_as_hostile_as_output_break_nothing() {
    let text = String::from_utf8_lossy(&hostile()).into_owned();
    for (dialect, last) in [
        (Dialect::Rich, Outcome::Passed),
        (Dialect::Jenkins, Outcome::Failed(failure(&text, ""))),
    ] {
        let earlier = [
            Outcome::Failed(failure(&text, &text)),
            Outcome::Errored(failure("", "")),
        ]
        .map(|outcome| Attempt {
            stdout: hostile(),
            stderr: hostile(),
            leaks: vec![leak(&text)],
            ..attempt(outcome)
        });
        let hit = Case {
            earlier: earlier.to_vec(),
            leaks: vec![leak(&text)],
            attachments: vec![text.clone().into(), "/tmp/]]>.log".into()],
            slow: true,
            round: 3,
            ..case("hostile", last)
        };
        let xml = to_xml(&report_of(vec![hit]), dialect).expect("it can be written");
        assert_eq!(violations(&xml, dialect), [""; 0]);
        let words = words(&xml);
        let is_attached = words.contains("[[ATTACHMENT|/tmp/]]>.log]]");
        assert_eq!(is_attached, dialect == Dialect::Jenkins, "{}", words.len());
        assert!(
            xml.len() < 12 * 256 * 1024,
            "the document has {} bytes",
            xml.len()
        );
    }
}

#[test]
fn a_flaky_test_passed_and_lists_its_earlier_failure() {
    let flaky = Case {
        earlier: vec![attempt(Outcome::Failed(failure("no", "at x.rs:1")))],
        ..case("flaky", Outcome::Passed)
    };
    let xml = to_xml(&report_of(vec![flaky]), Dialect::Rich).expect("it can be written");
    let expected = r#"timestamp="2026-11-24T02:01:15.123Z">
      <properties>
        <property name="attempts" value="2"/>
      </properties>
      <flakyFailure message="no" type="panic">
        <stackTrace><![CDATA[no

at x.rs:1]]></stackTrace>
        <system-out><![CDATA[first out
]]></system-out>
      </flakyFailure>
    </testcase>"#;
    assert!(xml.contains(expected), "{xml}");
    assert!(xml.contains(r#"tests="1" failures="0" errors="0""#), "{xml}");
}

#[test]
fn a_test_that_failed_repeatedly_is_one_failure_with_its_reruns() {
    let failed = Case {
        earlier: vec![
            attempt(Outcome::Failed(failure("first", ""))),
            attempt(Outcome::Errored(failure("second", ""))),
        ],
        ..case("fails", Outcome::Failed(failure("third", "")))
    };
    let xml = to_xml(&report_of(vec![failed]), Dialect::Jenkins).expect("it can be written");
    assert!(xml.contains(r#"tests="1" failures="1" errors="0""#), "{xml}");
    for part in [
        r#"<rerunFailure message="first""#,
        r#"<rerunFailure message="second""#,
    ] {
        assert!(xml.contains(part), "{part}\n{xml}");
    }
}

#[test]
fn every_round_has_a_name_of_its_own() {
    let round = |round| Case {
        round,
        ..case("again", Outcome::Passed)
    };
    let xml = to_xml(&report_of(vec![round(1), round(2)]), Dialect::Jenkins).expect("it can be written");
    assert_eq!(violations(&xml, Dialect::Jenkins), [""; 0]);
    assert!(
        xml.contains(r#"name="again" "#) && xml.contains(r##"name="again#2" "##),
        "{xml}"
    );
}

#[test]
fn leaks_of_a_passed_test_are_in_both_dialects() {
    let leaky = Case {
        leaks: vec![leak("sleep 100")],
        ..case("leaks", Outcome::Passed)
    };
    let report = report_of(vec![leaky]);
    let rich = to_xml(&report, Dialect::Rich).expect("it can be written");
    assert!(
        rich.contains(r#"<property name="leak" value="process: sleep 100"/>"#),
        "{rich}"
    );
    for dialect in DIALECTS {
        let xml = to_xml(&report, dialect).expect("it can be written");
        assert!(
            xml.contains("left behind: process: sleep 100\n]]></system-err>"),
            "{xml}"
        );
    }
}

#[test]
fn reasons_are_in_a_one_line_attribute_and_in_text() {
    let failed = case(
        "fails",
        Outcome::Failed(failure("left: 1\nright: 2", "at tests/suite/relay.rs:12")),
    );
    let xml =
        to_xml(&report_of(vec![failed, case("skips", skip())]), Dialect::Rich).expect("it can be written");
    assert!(
        xml.contains(r#"<failure type="panic" message="left: 1 right: 2"><![CDATA[left: 1"#),
        "{xml}"
    );
    assert!(
        xml.contains("right: 2\n\nat tests/suite/relay.rs:12]]></failure>"),
        "{xml}"
    );
    assert_eq!(
        words(&xml)
            .matches("needs fuse: `/dev/fuse` does not exist")
            .count(),
        2
    );
}

#[test]
fn the_rich_dialect_says_where_and_when() {
    let xml = to_xml(
        &report_of(vec![case("passes", Outcome::Passed), case("skips", skip())]),
        Dialect::Rich,
    );
    let expected = r#"<?xml version="1.0" encoding="utf-8"?>
<testsuites name="acme" tests="2" failures="0" errors="0" skipped="1" time="9.000">
  <testsuite name="acme-tests::suite" tests="2" failures="0" errors="0" skipped="1" time="2.500" timestamp="2026-11-24T02:01:15.000Z">
    <properties>
      <property name="cached" value="false"/>
    </properties>
    <testcase name="passes" classname="acme_tests.suite.relay" time="1.235" file="tests/suite/relay.rs" line="12" timestamp="2026-11-24T02:01:15.123Z"/>
    <testcase name="skips" classname="acme_tests.suite.relay" time="1.235" file="tests/suite/relay.rs" line="12" timestamp="2026-11-24T02:01:15.123Z">
      <skipped type="capability:fuse" message="needs fuse: `/dev/fuse` does not exist"><![CDATA[needs fuse: `/dev/fuse` does not exist]]></skipped>
    </testcase>
  </testsuite>
</testsuites>
"#;
    assert_eq!(xml.expect("it can be written"), expected);
}

#[test]
fn the_jenkins_dialect_says_only_what_its_schema_allows() {
    let outcome = Outcome::Errored(Failure {
        kind: FailureKind::Exec,
        ..failure("could not be started", "")
    });
    let mut errored = case("hangs", outcome);
    errored.stderr = b"last words\n".to_vec();
    let xml = to_xml(&report_of(vec![errored]), Dialect::Jenkins);
    let expected = r#"<?xml version="1.0" encoding="utf-8"?>
<testsuites name="acme" tests="1" failures="0" errors="1" time="9.000">
  <testsuite name="acme-tests::suite" tests="1" failures="0" errors="1" skipped="0" time="2.500" timestamp="2026-11-24T02:01:15.000Z">
    <properties>
      <property name="cached" value="false"/>
    </properties>
    <testcase name="hangs" classname="acme_tests.suite.relay" time="1.235">
      <error type="exec" message="could not be started"><![CDATA[could not be started]]></error>
      <system-err><![CDATA[last words
]]></system-err>
    </testcase>
  </testsuite>
</testsuites>
"#;
    assert_eq!(xml.expect("it can be written"), expected);
}

/// The report of a run that failed as a whole, checked by the rules.
fn failed_whole(kind: FailureKind, compile_errors: Vec<CompileError>) -> String {
    let mut report = report_of(Vec::new());
    let message = "could not compile `acme-core`".to_owned();
    report.setup_failure = Some(Failure {
        kind,
        message,
        detail: "error[E0308]".to_owned(),
    });
    report.compile_errors = compile_errors;
    report.places = Places::new(Path::new("/r"), Path::new("/r/api"), None);
    for dialect in DIALECTS {
        let xml = to_xml(&report, dialect).expect("it can be written");
        assert_eq!(violations(&xml, dialect), [""; 0], "{xml}");
    }
    to_xml(&report, Dialect::Rich).expect("it can be written")
}

#[test]
fn a_run_that_failed_as_a_whole_has_a_suite_with_one_error_named_by_its_kind() {
    for (kind, suite) in [("build", "build"), ("interrupted", "tests"), ("config", "setup")] {
        let xml = failed_whole(kind.into(), Vec::new());
        for part in [
            format!(r#"<testsuite name="@{suite}" tests="1" failures="0" errors="1""#),
            format!(r#"<testcase name="{kind}" classname="run.{suite}""#),
            "error[E0308]".to_owned(),
        ] {
            assert!(xml.contains(&part), "{part}\n{xml}");
        }
    }
}

#[test]
fn a_failed_build_has_a_case_for_each_error_of_the_compiler() {
    let error = CompileError {
        file: Some("src/lib.rs".to_owned()),
        line: Some(3),
        code: Some("E0308".to_owned()),
        message: "mismatched types".to_owned(),
        text: "error[E0308]: mismatched types\n --> src/lib.rs:3:5".to_owned(),
    };
    let of_the_linker = CompileError {
        file: None,
        line: None,
        code: None,
        ..error.clone()
    };
    let xml = failed_whole(FailureKind::Build, vec![error.clone(), error, of_the_linker]);
    let name = "api/src/lib.rs:3: mismatched types";
    for part in [
        r#"<testsuite name="@build" tests="3" failures="0" errors="3""#.to_owned(),
        format!(r#"<testcase name="{name}" classname="run.build" time="9.000" file="api/src/lib.rs" line="3""#),
        format!(r##"<testcase name="{name} #2" classname"##),
        r#"<testcase name="mismatched types" classname="run.build" time="9.000" timestamp"#.to_owned(),
        r#"<error type="build" message="error[E0308]: mismatched types"><![CDATA[error[E0308]: mismatched types
 --> src/lib.rs:3:5]]></error>"#
            .to_owned(),
    ] {
        assert!(xml.contains(&part), "{part}\n{xml}");
    }
}

#[test]
fn what_is_the_tests_fault_is_a_failure_and_what_the_runner_could_not_do_an_error() {
    let ours = [
        "exec",
        "lost",
        "interrupted",
        "run-timeout",
        "script",
        "capability:x",
        "of-tomorrow",
    ];
    let of_the_test = [
        "panic",
        "error",
        "exit",
        "signal:SIGABRT",
        "timeout",
        "processes",
        "leak",
        "flaky",
    ];
    let expected = |element, kinds: &[&'static str]| -> Vec<(&str, &str)> {
        kinds.iter().map(|&kind| (element, kind)).collect()
    };
    for (element, kind) in [expected("failure", &of_the_test), expected("error", &ours)].concat() {
        let outcome = || {
            Outcome::Errored(Failure {
                kind: kind.into(),
                ..failure("m", "")
            })
        };
        let again = Case {
            earlier: vec![attempt(outcome())],
            ..case("again", outcome())
        };
        let flaky = Case {
            earlier: vec![attempt(outcome())],
            ..case("flaky", Outcome::Passed)
        };
        let xml = to_xml(&report_of(vec![again, flaky]), Dialect::Rich).expect("it can be written");
        assert_eq!(violations(&xml, Dialect::Rich), [""; 0], "{xml}");
        let rerun = match element {
            "failure" => ["<rerunFailure ", "<flakyFailure "],
            _ => ["<rerunError ", "<flakyError "],
        };
        let parts = [&format!("<{element} type=\"{kind}\""), rerun[0], rerun[1]];
        assert!(parts.iter().all(|part| xml.contains(part)), "{kind}\n{xml}");
    }
}

#[test]
fn files_are_named_from_the_repository_and_attachments_as_the_reader_wants_them() {
    let xml = |root: Option<&str>| {
        let attached = |name, outcome| Case {
            attachments: vec!["/builds/p/api/target/1.log".into(), "/tmp/2.log".into()],
            ..case(name, outcome)
        };
        let failed = attached("fails", Outcome::Failed(failure("m", "")));
        let mut report = report_of(vec![failed, attached("passes", Outcome::Passed)]);
        let (repository, workspace) = (Path::new("/builds/p"), Path::new("/builds/p/api"));
        report.places = Places::new(repository, workspace, root.map(Path::new));
        to_xml(&report, Dialect::Rich).expect("it can be written")
    };
    let [absolute, relative] = [xml(None), xml(Some("/builds/p"))];
    assert!(
        absolute.contains("[[ATTACHMENT|/builds/p/api/target/1.log]]"),
        "{absolute}"
    );
    assert!(relative.contains("[[ATTACHMENT|api/target/1.log]]"), "{relative}");
    for xml in [absolute, relative] {
        assert!(xml.contains("[[ATTACHMENT|/tmp/2.log]]"), "{xml}");
        assert_eq!(xml.matches("[[ATTACHMENT|").count(), 2, "{xml}");
        assert_eq!(
            xml.matches(r#"file="api/tests/suite/relay.rs""#).count(),
            2,
            "{xml}"
        );
    }
}

#[test]
fn an_apostrophe_is_not_escaped_and_a_quotation_mark_is() {
    let text = r#"it's "<&>""#;
    let said = Case {
        earlier: vec![attempt(Outcome::Failed(failure(text, "")))],
        ..case(text, Outcome::Failed(failure(text, "")))
    };
    let mut report = report_of(vec![said]);
    report.properties = vec![("p".to_owned(), text.to_owned())];
    report.suites[0].name = text.to_owned();
    let xml = to_xml(&report, Dialect::Rich).expect("it can be written");
    assert_eq!(violations(&xml, Dialect::Rich), [""; 0]);
    assert!(!xml.contains("&apos;"), "{xml}");
    let escaped = r#"="it's &quot;&lt;&amp;&gt;&quot;""#;
    assert_eq!(xml.matches(escaped).count(), 5, "{xml}");
    // And as the texts of the failure and of the one before.
    assert_eq!(words(&xml).matches(text).count(), 7);
}

#[test]
fn a_run_without_tests_is_a_valid_document() {
    let xml = to_xml(&report_of(Vec::new()), Dialect::Rich).expect("it can be written");
    assert_eq!(violations(&xml, Dialect::Rich), [""; 0]);
    assert!(xml.ends_with(
        "<testsuites name=\"acme\" tests=\"0\" failures=\"0\" errors=\"0\" skipped=\"0\" time=\"9.000\"/>\n"
    ));
}

#[test]
fn a_suite_without_cases_keeps_its_place() {
    let mut report = report_of(vec![case("passes", Outcome::Passed)]);
    let mut empty = report.suites.clone();
    empty.iter_mut().for_each(|suite| suite.cases.clear());
    report.suites.splice(0..0, empty);
    let xml = to_xml(&report, Dialect::Jenkins).expect("it can be written");
    assert_eq!(violations(&xml, Dialect::Jenkins), [""; 0]);
}

#[test]
fn writing_replaces_the_file_as_a_whole_and_leaves_nothing_else() {
    let directory = tempfile::tempdir().expect("TMPDIR is writable");
    let path = directory.path().join("new/junit.xml");
    write_atomically(&path, "first").expect("missing directories are created");
    write_atomically(&path, "second").expect("an existing file is replaced");
    assert_eq!(std::fs::read_to_string(&path).expect("it is there"), "second");
    assert_eq!(
        std::fs::read_dir(directory.path().join("new"))
            .expect("it is there")
            .count(),
        1
    );
}

#[test]
fn a_file_that_cannot_be_written_is_named_and_the_old_one_stays() {
    let directory = tempfile::tempdir().expect("TMPDIR is writable");
    let blocked = directory.path().join("file");
    std::fs::write(&blocked, "in the way").expect("it is writable");
    let error = write_atomically(&blocked.join("junit.xml"), "text").expect_err("a file is not a directory");
    assert!(
        format!("{error:#}").contains(&blocked.display().to_string()),
        "{error:#}"
    );
}

#[test]
#[cfg(target_os = "linux")]
fn an_error_names_the_requested_file_and_not_a_temporary_one() {
    let error = write_atomically(std::path::Path::new("/proc/junit.xml"), "text")
        .expect_err("no file can be created there");
    let text = format!("{error:#}");
    assert!(
        text.starts_with("could not write `/proc/junit.xml`: No such file"),
        "{text}"
    );
    assert!(!text.contains(".tmp"), "{text}");
}
