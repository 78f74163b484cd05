//! The report in the types of `junit-report`, with every string sanitised.
//!
//! `enrich` writes times, counts and timestamps: the crate prints binary fractions for times, sums
//! them where we know the wall time, and panics on timestamps that it cannot format.

use junit_report::{OffsetDateTime, ReportBuilder, TestCase, TestResult, TestSuite};

use super::{Verdict, reruns, sanitise};
use crate::report::data::{Case, Failure, Outcome, Suite};

/// One suite for each of `suites`, one testcase for each of their cases, in the same order.
pub(super) fn converted(suites: &[Suite]) -> junit_report::Report {
    ReportBuilder::new()
        .add_testsuites(suites.iter().map(suite))
        .build()
}

fn suite(suite: &Suite) -> TestSuite {
    TestSuite {
        name: sanitise::line(&suite.name),
        package: String::new(),
        timestamp: OffsetDateTime::UNIX_EPOCH,
        hostname: String::new(),
        testcases: suite.cases.iter().map(case).collect(),
        system_out: None,
        system_err: None,
    }
}

fn case(case: &Case) -> TestCase {
    let mut model = TestCase::success(&testcase_name(case), junit_report::Duration::ZERO);
    model.result = result(&case.outcome);
    model.system_out = reruns::stdout(case);
    model.system_err = reruns::stderr(case);
    model
}

/// The name of the testcase: unique for every round, because readers treat two testcases of the
/// same name as one.
pub(super) fn testcase_name(case: &Case) -> String {
    match case.round {
        1 => sanitise::line(&case.name),
        round => sanitise::line(&format!("{}#{round}", case.name)),
    }
}

/// The reason appears twice: some readers show only the attribute, others only the text.
fn result(outcome: &Outcome) -> TestResult {
    match Verdict::from(outcome) {
        Verdict::Passed => TestResult::Success,
        Verdict::Failure(failure) => {
            let (type_, message, cause) = parts(failure);
            TestResult::Failure {
                type_,
                message,
                cause,
            }
        }
        Verdict::Error(failure) => {
            let (type_, message, cause) = parts(failure);
            TestResult::Error {
                type_,
                message,
                cause,
            }
        }
        Verdict::Skipped(skip) => TestResult::SkippedWithCause {
            type_: sanitise::line(&skip.kind.name()),
            message: sanitise::line(&skip.reason),
            cause: Some(sanitise::text(&skip.reason)),
        },
    }
}

fn parts(failure: &Failure) -> (String, String, Option<String>) {
    (
        sanitise::line(&failure.kind.name()),
        sanitise::line(&failure.message),
        Some(sanitise::text(&failure.text())),
    )
}
