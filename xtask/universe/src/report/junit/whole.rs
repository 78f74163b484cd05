//! Why runs failed as a whole, as suites: one case for each error of the compiler, otherwise one
//! case for the run.

use std::collections::BTreeMap;
use std::path::Path;

use crate::base::compile_error::CompileError;
use crate::base::failure_kind::FailureKind;
use crate::report::data::{Case, FailedRun, Failure, Outcome, Report, Suite};
use crate::report::label;
use crate::report::places::Places;

/// One suite for each run that failed as a whole.
pub(super) fn suites(report: &Report) -> Vec<Suite> {
    let alone = report.setup_failure.iter().map(|failure| FailedRun {
        label: None,
        title: String::new(),
        failure: failure.clone(),
        compile_errors: report.compile_errors.clone(),
    });
    let mut names = Names::default();
    match report.failed_runs.as_slice() {
        [] => alone.map(|run| suite(report, &run, &mut names)).collect(),
        runs => runs.iter().map(|run| suite(report, run, &mut names)).collect(),
    }
}

fn suite(report: &Report, run: &FailedRun, names: &mut Names) -> Suite {
    let stage = stage(&run.failure.kind);
    let classname = match &run.label {
        Some(label) => format!("{}.run.{stage}", label::in_class(label)),
        None => format!("run.{stage}"),
    };
    let mut cases = match run.compile_errors.as_slice() {
        [] => vec![Case::new(
            format!("@{stage}"),
            classname,
            run.failure.kind.name().into_owned(),
            Outcome::Errored(run.failure.clone()),
        )],
        errors => errors
            .iter()
            .map(|error| compile_error(&report.places, &classname, error))
            .collect(),
    };
    for case in &mut cases {
        case.name = names.unique(&case.classname, std::mem::take(&mut case.name));
        case.started = Some(report.started);
        case.elapsed = report.elapsed;
    }
    Suite {
        name: match &run.label {
            Some(label) => format!("{label}/@{stage}"),
            None => format!("@{stage}"),
        },
        started: report.started,
        elapsed: report.elapsed,
        cases,
    }
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

fn compile_error(places: &Places, classname: &str, error: &CompileError) -> Case {
    let file = error.file.as_ref().map(|file| places.file(Path::new(file)));
    let message = &error.message;
    let name = match (file, error.line) {
        (Some(file), Some(line)) => format!("{file}:{line}: {message}"),
        (Some(file), None) => format!("{file}: {message}"),
        (None, _) => message.clone(),
    };
    let failure = Failure {
        kind: FailureKind::Build,
        message: error.headline(),
        detail: error.text.clone(),
    };
    let id = format!("@{}", failure.kind);
    let mut case = Case::new(id, classname.to_owned(), name, Outcome::Errored(failure));
    (case.file, case.line) = (error.file.clone().map(Into::into), error.line);
    case
}

/// How often each name of a class was used: readers keep only the first of two cases with the same
/// name.
#[derive(Default)]
struct Names(BTreeMap<(String, String), usize>);

impl Names {
    fn unique(&mut self, classname: &str, name: String) -> String {
        let count = self.0.entry((classname.to_owned(), name.clone())).or_default();
        *count += 1;
        match *count {
            1 => name,
            count => format!("{name} #{count}"),
        }
    }
}
