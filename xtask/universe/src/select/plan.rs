//! Decides which of the listed tests run, which are skipped and why, and in which order.
//!
//! A pure function of the list, the filter, the capabilities, the history and the options.
//! `#[ignore = "needs fuse, git"]` is a condition: the test runs if every named capability is
//! present.

mod order;
mod part;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::base::exit::{Exit, Stop};
use crate::base::failure_kind::FailureKind;
use crate::base::invocation::Invocation;
use crate::report::data::{Failure, Skip};
use crate::report::kinds::SkipKind;
use crate::select::demand::Demand;
use crate::select::filter::{Filter, Subject};
use crate::select::history::History;
use crate::select::ignore::Ignore;
pub(crate) use crate::select::ignored::Ignored;
use crate::select::overrides::{Rules, Treatment};
use crate::select::scripts::{Script, Scripts};
use crate::select::subset::Subset;
use crate::workspace::cargo::TestBinary;
pub(crate) use part::Omitted;

/// A test of the workspace.
#[derive(Debug, Clone)]
pub(crate) struct Test {
    pub(crate) binary: Arc<TestBinary>,
    /// `module::function`; of a doc test `file - item (line N)`.
    pub(crate) name: String,
    pub(crate) ignore: Ignore,
    /// The location of its function: the file, relative to the workspace root, and the line. A test
    /// that a macro generates has the file of its binary and no line.
    pub(crate) place: Option<(PathBuf, Option<u32>)>,
    pub(crate) form: Form,
}

/// How a test relates to its binary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Form {
    /// One of the tests that libtest, or a compatible harness, lists: it passes if the harness says
    /// so and the process exits with 0.
    One,
    /// A doc test, with the words by which rustdoc runs it alone.
    Doc(String),
    /// A whole binary with a harness of its own: it passes if the process exits with 0.
    Whole,
}

impl Test {
    /// `package::binary$module::test`, unique within the workspace.
    pub(crate) fn id(&self) -> String {
        format!("{}${}", self.binary.id(), self.name)
    }

    /// The test as a filter sees it.
    pub(crate) fn subject(&self) -> Subject<'_> {
        Subject {
            package: &self.binary.package.name,
            binary: &self.binary.target,
            name: &self.name,
            needs: self.needs(),
        }
    }

    /// The capabilities that it says it needs.
    pub(crate) fn needs(&self) -> Vec<&str> {
        match &self.ignore {
            Ignore::Because(reason) => needs(reason),
            Ignore::No | Ignore::Bare => Vec::new(),
        }
    }
}

/// The capabilities that an `#[ignore = "needs …"]` names; empty for any other reason.
pub fn needs(reason: &str) -> Vec<&str> {
    reason.strip_prefix("needs ").map(names).unwrap_or_default()
}

/// `fuse, git` → `[fuse, git]`.
fn names(list: &str) -> Vec<&str> {
    list.split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .collect()
}

/// The state of a capability.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CapabilityState {
    /// Tests that need it run.
    Held,
    /// Tests that need it are skipped for this reason.
    Missing(String),
}

/// All probed capabilities, by name.
pub(crate) type CapabilityStates = BTreeMap<String, CapabilityState>;

/// The options of a person beyond the defaults.
#[derive(Debug, Default)]
pub(crate) struct PlanOptions {
    /// Capabilities without which the run fails.
    pub(crate) required: Required,
    /// What to do with tests that are ignored for another reason than a need.
    pub(crate) ignored: Ignored,
    /// The seed of a random order; `None` keeps the order of the list.
    pub(crate) seed: Option<u64>,
    /// The workspace's rules for single tests.
    pub(crate) rules: Rules,
    /// What runs before tests.
    pub(crate) scripts: Scripts,
    /// The requested part of the suite.
    pub(crate) subset: Subset,
}

/// Capabilities that must be present.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Required {
    /// Whether this means every capability that any selected test needs.
    pub(crate) all: bool,
    /// Those required by name, whether or not a test needs them.
    pub(crate) names: Vec<String>,
}

/// What will happen to a test.
#[derive(Debug, Clone)]
pub(crate) enum Decision {
    /// It runs.
    Run,
    /// It is reported as skipped.
    Skip(Skip),
    /// It is reported as failed without running: a required capability is missing.
    Fail(Failure),
    /// It is reported as broken without running: it needs an unknown capability.
    Reject(Failure),
}

/// The selected tests, in the order of the list, each with its decision.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) tests: Vec<(Test, Decision)>,
    /// Indices of the tests that run, in the order in which they start in the first round.
    pub(crate) order: Vec<usize>,
    /// The origin of that order, and of the orders of later rounds.
    pub(crate) seed: Option<u64>,
    /// By the number of a group: how many of its tests run concurrently.
    pub(crate) group_max: Vec<usize>,
    /// Tests that were selected and are not part of this run.
    pub(crate) omitted: Omitted,
    /// How many tests have yet to pass if all of this run pass. Not 0 only for a run that reruns
    /// failed tests.
    pub(crate) outstanding: usize,
    treatments: Vec<Treatment>,
    /// How long tests took in earlier runs.
    history: Arc<History>,
    /// What runs before tests.
    pub(crate) scripts: Vec<Script>,
    /// By the number of a test: the numbers of the scripts that it needs.
    needed_scripts: Vec<Vec<usize>>,
}

impl Plan {
    /// Decides about every test that `filter` selects.
    pub(crate) fn make(
        tests: Vec<Test>,
        filter: &Filter,
        capability_states: &CapabilityStates,
        options: &PlanOptions,
    ) -> Result<Plan, Stop> {
        let is_selected =
            |test: &Test| filter.selects(&test.subject()) && options.ignored.admits(&test.ignore);
        if !tests.iter().any(is_selected) {
            return Err(nothing_selected(&tests, filter));
        }
        let (selected, rest): (Vec<Test>, Vec<Test>) = tests.into_iter().partition(is_selected);
        let (part, omitted, others) = part::part(selected, &options.subset)?;
        let decided = |test: Test| {
            let decision = decide(&test, capability_states, options);
            (test, decision)
        };
        let tests: Vec<(Test, Decision)> = part.into_iter().map(decided).collect();
        let treatments: Vec<Treatment> = tests
            .iter()
            .map(|(test, _)| options.rules.treatment(test))
            .collect();
        let scripts = tests.iter().map(|(test, _)| options.scripts.needed_by(test));
        let needed_scripts = scripts.collect();
        let order = order::order(&tests, &treatments, options);
        let others: Vec<(Test, Decision)> = others.into_iter().chain(rest).map(decided).collect();
        let outstanding = part::outstanding(&tests, &others, &options.subset);
        Ok(Plan {
            tests,
            order,
            seed: options.seed,
            group_max: options.rules.group_max(),
            omitted,
            outstanding,
            treatments,
            history: Arc::clone(&options.subset.history),
            scripts: options.scripts.all(),
            needed_scripts,
        })
    }

    /// The treatment of the test with this number.
    pub(crate) fn treatment(&self, number: usize) -> Treatment {
        self.treatments.get(number).copied().unwrap_or_default()
    }

    /// How long the test with this number took in earlier runs, if it ran.
    pub(crate) fn usual_time(&self, number: usize) -> Option<Duration> {
        self.history.duration(&self.tests.get(number)?.0.id())
    }

    /// The numbers of the scripts that the test with this number needs, in the order in which they
    /// run.
    pub(crate) fn scripts_of(&self, number: usize) -> &[usize] {
        self.needed_scripts.get(number).map_or(&[], Vec::as_slice)
    }

    /// What each test needs while it runs.
    pub(crate) fn demands(&self) -> Vec<Demand> {
        self.treatments
            .iter()
            .map(|treatment| treatment.demand())
            .collect()
    }

    /// The test with this number, which must come from this plan.
    pub(crate) fn test(&self, number: usize) -> &Test {
        &self.tests[number].0
    }

    /// Every required capability that is missing, with its reason.
    pub(crate) fn missing(
        &self,
        capability_states: &CapabilityStates,
        required: &Required,
    ) -> BTreeMap<String, String> {
        let needed = self
            .tests
            .iter()
            .flat_map(|(test, _)| test.needs())
            .filter(|_| required.all);
        let names = needed.chain(required.names.iter().map(String::as_str));
        let missing = |name: &str| match capability_states.get(name) {
            Some(CapabilityState::Missing(reason)) => Some((name.to_owned(), reason.clone())),
            Some(CapabilityState::Held) | None => None,
        };
        names.filter_map(missing).collect()
    }
}

impl Required {
    /// Parses the values of `--require`; each name must be a probed capability.
    pub(crate) fn parse(words: &[String], capability_states: &CapabilityStates) -> Result<Required, Stop> {
        let mut required = Required::default();
        for name in words.iter().flat_map(|word| names(word)) {
            match name {
                "all" => required.all = true,
                name if capability_states.contains_key(name) => required.names.push(name.to_owned()),
                name => {
                    return Err(Stop::new(
                        Exit::Usage,
                        FailureKind::Usage,
                        unknown("`--require`", name, capability_states),
                    ));
                }
            }
        }
        Ok(required)
    }

    fn covers(&self, name: &str) -> bool {
        self.all || self.names.iter().any(|required| required == name)
    }
}

/// What to do with a test whose reason only looks like a need.
const ANOTHER_REASON: &str = "hint: `capabilities.NAME` in the table of the workspace describes another one; a reason \
                              that is no capability begins with another word than `needs`";

fn unknown(who: &str, name: &str, capability_states: &CapabilityStates) -> String {
    let known: Vec<String> = capability_states.keys().map(|name| format!("`{name}`")).collect();
    format!(
        "{who} needs `{name}`, which is not a capability\nhint: the capabilities are {}",
        known.join(", ")
    )
}

fn nothing_selected(tests: &[Test], filter: &Filter) -> Stop {
    let subjects: Vec<Subject<'_>> = tests.iter().map(Test::subject).collect();
    let words = filter.unmatched(&subjects);
    let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    let (count, words) = (tests.len(), words.join(" or "));
    let hint = format!("hint: `{}` lists all tests", Invocation::current().with("list"));
    let message = match (count, words.as_str()) {
        (0, _) => "there are no tests in this workspace".to_owned(),
        (_, "") => format!("no test matches all of the filters (of {count})\n{hint}"),
        (_, words) => format!("no test matches {words} (of {count})\n{hint}"),
    };
    Stop::new(Exit::NoTests, FailureKind::NoTests, message)
}

fn decide(test: &Test, capability_states: &CapabilityStates, options: &PlanOptions) -> Decision {
    let needs = test.needs();
    match (&test.ignore, options.ignored) {
        (Ignore::No, _) => return Decision::Run,
        (Ignore::Bare | Ignore::Because(_), Ignored::Run | Ignored::Only) if needs.is_empty() => {
            return Decision::Run;
        }
        (Ignore::Bare, Ignored::Skip) => return skip(SkipKind::Ignored, "ignored without a reason"),
        (Ignore::Because(reason), Ignored::Skip) if needs.is_empty() => {
            return skip(SkipKind::Ignored, reason);
        }
        (Ignore::Bare | Ignore::Because(_), _) => {}
    }
    for name in needs {
        match capability_states.get(name) {
            Some(CapabilityState::Held) => {}
            Some(CapabilityState::Missing(reason)) => return without(name, reason, &options.required),
            None => {
                let message = unknown(&format!("`{}`", test.name), name, capability_states);
                let message = format!("{message}\n{ANOTHER_REASON}");
                return Decision::Reject(failure(name, message));
            }
        }
    }
    Decision::Run
}

fn without(name: &str, reason: &str, required: &Required) -> Decision {
    if required.covers(name) {
        return Decision::Fail(failure(
            name,
            format!("needs {name}, which is required: {reason}"),
        ));
    }
    skip(
        SkipKind::Capability(name.to_owned()),
        &format!("needs {name}: {reason}"),
    )
}

fn skip(kind: SkipKind, reason: &str) -> Decision {
    Decision::Skip(Skip {
        kind,
        reason: reason.to_owned(),
    })
}

fn failure(capability: &str, message: String) -> Failure {
    let (message, detail) = match message.split_once('\n') {
        Some((message, detail)) => (message.to_owned(), detail.to_owned()),
        None => (message, String::new()),
    };
    Failure {
        kind: FailureKind::Capability(capability.to_owned()),
        message,
        detail,
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::plain_tests;
