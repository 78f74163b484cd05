//! Why a run failed as a whole, as a suite: one case for each error of the compiler, otherwise one
//! case.

use std::collections::BTreeMap;

use crate::base::compile_error::CompileError;
use crate::base::failure_kind::FailureKind;
use crate::report::data::{Case, Failure, Outcome, Report, Suite};

/// The suite; `None` where the run as a whole did not fail.
pub(super) fn suite(report: &Report) -> Option<Suite> {
    let failure = report.setup_failure.as_ref()?;
    let stage = stage(&failure.kind);
    let cases = match report.compile_errors.as_slice() {
        [] => vec![case(stage, failure.kind.name().into_owned(), failure.clone())],
        errors => compile_errors(stage, errors),
    };
    let timed = |case| Case {
        started: Some(report.started),
        elapsed: report.elapsed,
        ..case
    };
    Some(Suite {
        name: format!("@{stage}"),
        started: report.started,
        elapsed: report.elapsed,
        cases: cases.into_iter().map(timed).collect(),
    })
}

/// The part of the run that failed.
fn stage(kind: &FailureKind) -> &'static str {
    match kind {
        FailureKind::Build => "build",
        FailureKind::List => "list",
        FailureKind::Interrupted | FailureKind::RunTimeout => "tests",
        _ => "setup",
    }
}

fn case(stage: &str, name: String, failure: Failure) -> Case {
    let (id, classname) = (format!("@{stage}"), format!("run.{stage}"));
    Case::new(id, classname, name, Outcome::Errored(failure))
}

fn compile_errors(stage: &str, errors: &[CompileError]) -> Vec<Case> {
    let mut seen = BTreeMap::new();
    let of_error = |error: &CompileError| {
        let name = match error.place() {
            Some(place) => format!("{place}: {}", error.message),
            None => error.message.clone(),
        };
        // Readers keep only the first of two cases with the same name.
        let key = (error.label.clone(), name.clone());
        let count = seen.entry(key).and_modify(|count| *count += 1).or_insert(1);
        let name = match *count {
            1 => name,
            count => format!("{name} #{count}"),
        };
        let failure = Failure {
            kind: FailureKind::Build,
            message: error.headline(),
            detail: error.text.clone(),
        };
        let mut case = case(stage, name, failure);
        if let Some(label) = &error.label {
            case.classname = format!("{label}.{}", case.classname);
        }
        (case.file, case.line) = (error.file.clone().map(Into::into), error.line);
        case
    };
    errors.iter().map(of_error).collect()
}
