//! Reports for the tests of this module's parts.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::base::failure_kind::FailureKind;
use crate::report::data::{Attempt, Case, Failure, Outcome, Phase, Report, Skip, Suite};
use crate::report::kinds::SkipKind;
use crate::report::places::Places;

/// When every example starts.
pub(crate) fn start() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_795_485_675)
}

/// A test of the suite `p::suite` that ran, or would have run, for 10 ms.
pub(crate) fn case(name: &str, outcome: Outcome) -> Case {
    let ran = !matches!(outcome, Outcome::Skipped(_));
    Case {
        file: Some("suite/m.rs".into()),
        line: Some(12),
        started: ran.then(|| start() + Duration::from_secs(2)),
        elapsed: Duration::from_millis(if ran { 10 } else { 0 }),
        slot: ran.then_some(0),
        ..Case::new(
            format!("p::suite$m::{name}"),
            "p.suite.m".into(),
            name.into(),
            outcome,
        )
    }
}

/// A panic.
pub(crate) fn failed(message: &str) -> Outcome {
    Outcome::Failed(Failure {
        kind: FailureKind::Panic,
        message: message.into(),
        detail: String::new(),
    })
}

/// Ended with the run.
pub(crate) fn interrupted() -> Outcome {
    Outcome::Errored(Failure {
        kind: FailureKind::Interrupted,
        message: "was killed".into(),
        detail: String::new(),
    })
}

/// Ignored.
pub(crate) fn skipped(reason: &str) -> Outcome {
    Outcome::Skipped(Skip {
        kind: SkipKind::Ignored,
        reason: reason.into(),
    })
}

/// An attempt before the last one.
pub(crate) fn attempt(outcome: Outcome, elapsed: Duration) -> Attempt {
    Attempt {
        started: start() + Duration::from_secs(1),
        elapsed,
        slot: 0,
        outcome,
        stdout: b"said".to_vec(),
        stderr: Vec::new(),
        leaks: Vec::new(),
    }
}

/// A run of these tests.
pub(crate) fn report(run_id: &str, cases: Vec<Case>) -> Report {
    let phase = |name: &str, after, elapsed| Phase {
        name: name.into(),
        after: Duration::from_millis(after),
        elapsed: Duration::from_millis(elapsed),
    };
    let mut suite = Suite {
        name: "p::suite".into(),
        started: start(),
        elapsed: Duration::ZERO,
        cases,
    };
    suite.set_times();
    Report {
        name: "acme".into(),
        run_id: run_id.into(),
        started: start(),
        elapsed: Duration::from_secs(3),
        properties: vec![("run_id".into(), run_id.into()), ("seed".into(), "none".into())],
        phases: vec![phase("build", 0, 1000), phase("tests", 1000, 2000)],
        suites: vec![suite],
        setup_failure: None,
        compile_errors: Vec::new(),
        failed_runs: Vec::new(),
        places: Places::default(),
    }
}
