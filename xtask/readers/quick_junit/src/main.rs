//! Prints what the crate `quick-junit` reads in a JUnit file, as lines of JSON: the totals, then
//! each case.

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, XmlString};
use serde_json::json;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args_os().nth(1).ok_or("usage: quick-junit-reader FILE")?;
    let report = Report::deserialize_from_str(&std::fs::read_to_string(path)?)?;
    println!(
        "{}",
        json!({
            "tests": report.tests, "failures": report.failures, "errors": report.errors, "skipped": null,
        })
    );
    for suite in &report.test_suites {
        suite.test_cases.iter().for_each(print);
    }
    Ok(())
}

fn print(case: &TestCase) {
    let (outcome, [kind, message, text], reruns) = match &case.status {
        TestCaseStatus::Success { flaky_runs } => ("passed", [None; 3], flaky_runs.len()),
        TestCaseStatus::NonSuccess {
            kind,
            message,
            ty,
            description,
            reruns,
        } => {
            let outcome = match kind {
                NonSuccessKind::Failure => "failure",
                NonSuccessKind::Error => "error",
            };
            let texts = [ty.as_ref(), message.as_ref(), description.as_ref()];
            (outcome, texts, reruns.runs.len())
        }
        TestCaseStatus::Skipped {
            message,
            ty,
            description,
        } => (
            "skipped",
            [ty.as_ref(), message.as_ref(), description.as_ref()],
            0,
        ),
    };
    let plain = |text: Option<&XmlString>| text.map(XmlString::as_str).map(str::to_owned);
    let extra = |name: &str| case.extra.get(name).map(XmlString::as_str);
    let line = extra("line").and_then(|line| line.parse::<u32>().ok());
    println!(
        "{}",
        json!({
            "classname": plain(case.classname.as_ref()), "name": case.name.as_str(),
            "outcome": outcome, "kind": plain(kind), "message": plain(message), "text": plain(text),
            "reruns": reruns, "place": { "file": extra("file"), "line": line },
            "stdout": plain(case.system_out.as_ref()).unwrap_or_default(),
        })
    );
}
