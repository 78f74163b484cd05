//! Turns single results into the suites of a report.

use std::time::{Duration, SystemTime};

use crate::report::data::{Case, Outcome, Skip, Suite};
use crate::report::kinds::SkipKind;
use crate::select::plan::{Decision, Form, Plan, Test};

/// Every test of the plan with its suite, and its result if the run ends before it starts.
pub(super) fn planned(plan: &Plan) -> Vec<(String, Case)> {
    let planned = |(test, decision): &(Test, Decision)| {
        let outcome = match decision {
            Decision::Run => Outcome::Skipped(Skip {
                kind: SkipKind::Interrupted,
                reason: "the run was killed before it started".to_owned(),
            }),
            Decision::Skip(skip) => Outcome::Skipped(skip.clone()),
            Decision::Fail(failure) => Outcome::Failed(failure.clone()),
            Decision::Reject(failure) => Outcome::Errored(failure.clone()),
        };
        (test.binary.id(), case(test, outcome))
    };
    plan.tests.iter().map(planned).collect()
}

/// A case of `test` that has not run.
pub(super) fn case(test: &Test, outcome: Outcome) -> Case {
    // The name of a doc test has a path of a file, not of a module.
    let (module, function) = match test.form {
        Form::One | Form::Whole => test.name.rsplit_once("::").unwrap_or(("", &test.name)),
        Form::Doc(_) => ("", test.name.as_str()),
    };
    let classname = class_name(&test.binary.id(), module);
    let place = test.place.clone();
    Case {
        file: place.as_ref().map(|(file, _)| file.clone()),
        line: place.and_then(|(_, line)| line),
        ..Case::new(test.id(), classname, function.to_owned(), outcome)
    }
}

/// `acme-tests::suite` and `relay::limits` → `acme_tests.suite.relay.limits`: CI systems split at
/// the dots.
fn class_name(binary: &str, module: &str) -> String {
    let path = format!("{binary}::{module}");
    path.trim_end_matches("::")
        .replace("::", ".")
        .replace(['-', '/'], "_")
}

/// One suite per test binary, with the cases in the order of the plan, all rounds of a test
/// together. A suite without a test that ran starts at the start of the run.
pub(super) fn group(plan: &Plan, cases: Vec<Vec<Case>>, run_started: SystemTime) -> Vec<Suite> {
    let mut suites: Vec<Suite> = Vec::new();
    for ((test, _), rounds) in plan.tests.iter().zip(cases) {
        let name = test.binary.id();
        match suites.last_mut().filter(|suite| suite.name == name) {
            Some(suite) => suite.cases.extend(rounds),
            None => suites.push(suite(name, rounds, run_started)),
        }
    }
    suites.iter_mut().for_each(Suite::set_times);
    suites
}

fn suite(name: String, cases: Vec<Case>, started: SystemTime) -> Suite {
    Suite {
        name,
        started,
        elapsed: Duration::ZERO,
        cases,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn class_names_are_dotted_and_distinguish_a_library_from_a_binary_of_the_same_name() {
        assert_eq!(
            class_name("acme-tests::suite", "relay::limits"),
            "acme_tests.suite.relay.limits"
        );
        assert_eq!(class_name("acme-relay::acme_relay", ""), "acme_relay.acme_relay");
        assert_eq!(
            class_name("acme-relay::bin/acme-relay", ""),
            "acme_relay.bin_acme_relay"
        );
    }
}
