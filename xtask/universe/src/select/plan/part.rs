//! Which of the selected tests belong to this run: those of the shard, or those that failed when
//! they last ran.

use super::{Decision, Test};
use crate::base::exit::{Exit, Stop};
use crate::base::failure_kind::FailureKind;
use crate::select::history::Verdict;
use crate::select::subset::{Choice, Subset};

/// Tests that were selected but are not part of the run; the console lists their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Omitted {
    /// They belong to other shards.
    pub(crate) other_shards: usize,
    /// They passed when they last ran.
    pub(crate) passed: usize,
    /// They never ran.
    pub(crate) never_ran: usize,
}

impl Omitted {
    /// `omitted: 20 of other shards, 3 that passed when they last ran`; empty if none were.
    pub(crate) fn words(self) -> String {
        let parts = [
            (self.other_shards, "of other shards"),
            (self.passed, "that passed when they last ran"),
            (self.never_ran, "that never ran"),
        ];
        let nonzero = parts.iter().filter(|(count, _)| *count > 0);
        let words: Vec<String> = nonzero.map(|(count, what)| format!("{count} {what}")).collect();
        match words.is_empty() {
            true => String::new(),
            false => format!("omitted: {}", words.join(", ")),
        }
    }
}

/// The part of `selected` that belongs to this run, the counts of the omitted tests, and the
/// omitted tests that no other shard reports. An empty part is an error only if no test failed in
/// any shard.
pub(super) fn part(selected: Vec<Test>, subset: &Subset) -> Result<(Vec<Test>, Omitted, Vec<Test>), Stop> {
    let ids: Vec<String> = selected.iter().map(Test::id).collect();
    let mut omitted = Omitted::default();
    let (mut part, mut others) = (Vec::new(), Vec::new());
    for ((test, id), is_mine) in selected.into_iter().zip(&ids).zip(subset.in_shard(&ids)) {
        let last = || subset.history.last(id);
        let counter = match (is_mine, subset.choice) {
            (false, _) => Some(&mut omitted.other_shards),
            (true, Choice::All | Choice::FailedFirst) => None,
            (true, Choice::FailedOnly) => match last() {
                Some(Verdict::Passed | Verdict::Flaky) => Some(&mut omitted.passed),
                None => Some(&mut omitted.never_ran),
                Some(Verdict::Failed) => None,
            },
        };
        let Some(counter) = counter else {
            part.push(test);
            continue;
        };
        *counter += 1;
        if is_mine {
            others.push(test);
        }
    }
    let has_nothing = subset.choice == Choice::FailedOnly && !ids.iter().any(|id| subset.may_have_failed(id));
    match has_nothing {
        true => Err(nothing_failed(ids.len(), omitted)),
        false => Ok((part, omitted, others)),
    }
}

fn nothing_failed(count: usize, omitted: Omitted) -> Stop {
    let hint = "hint: leave `--rerun-failed` out to run them all";
    let beginning = match count {
        1 => "the test did not fail when it last ran".to_owned(),
        count => format!("none of {count} tests failed when it last ran"),
    };
    let message = format!("{beginning}\n{}\n{hint}", omitted.words());
    Stop::new(Exit::NoTests, FailureKind::NoTests, message)
}

/// How many tests have yet to pass if all running tests of `part` pass: they failed when they last
/// ran, or could run here and never did. A test that failed before and is skipped now has yet to
/// pass.
pub(super) fn outstanding(part: &[(Test, Decision)], others: &[(Test, Decision)], subset: &Subset) -> usize {
    if subset.choice != Choice::FailedOnly {
        return 0;
    }
    let has_to_pass = |(test, decision): &&(Test, Decision)| match subset.history.last(&test.id()) {
        Some(Verdict::Failed) => true,
        Some(Verdict::Passed | Verdict::Flaky) => false,
        None => matches!(decision, Decision::Run),
    };
    let skipped = part
        .iter()
        .filter(|(_, decision)| !matches!(decision, Decision::Run));
    skipped.chain(others).filter(has_to_pass).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::kinds::SkipKind;
    use crate::select::filter::{Filter, Match};
    use crate::select::plan::{CapabilityStates, Plan, PlanOptions, plain_tests};

    const RECORDS: [(&str, Verdict); 3] = [
        ("p::suite$failed", Verdict::Failed),
        ("p::suite$flaky", Verdict::Flaky),
        ("p::suite$passed", Verdict::Passed),
    ];

    fn plan(choice: Choice, words: &[&str]) -> Result<Plan, Stop> {
        let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        let options = PlanOptions {
            subset: Subset::knowing(choice, &RECORDS),
            ..PlanOptions::default()
        };
        let filter = Filter::parse(&words, Match::Substring)?;
        let tests = plain_tests(&["passed", "flaky", "new", "failed"]);
        Plan::make(tests, &filter, &CapabilityStates::new(), &options)
    }

    fn names(plan: &Plan) -> Vec<&str> {
        let order = plan.order.iter();
        order.map(|number| plan.test(*number).name.as_str()).collect()
    }

    #[test]
    fn only_failed_tests_run_and_tests_that_never_ran_have_yet_to_pass() {
        let plan = plan(Choice::FailedOnly, &[]).unwrap();
        assert_eq!((names(&plan), plan.outstanding), (vec!["failed"], 1));
        let words = "omitted: 2 that passed when they last ran, 1 that never ran";
        assert_eq!(plan.omitted.words(), words);
    }

    #[test]
    fn a_failed_test_that_is_skipped_now_has_yet_to_pass() {
        let skip = Decision::Skip(crate::report::data::Skip {
            kind: SkipKind::Ignored,
            reason: String::new(),
        });
        let mut tests = plain_tests(&["failed", "new", "passed"]).into_iter();
        let skipped: Vec<_> = tests.by_ref().map(|test| (test, skip.clone())).collect();
        let subset = Subset::knowing(Choice::FailedOnly, &RECORDS);
        assert_eq!(outstanding(&skipped, &[], &subset), 1);
        assert_eq!(outstanding(&[], &skipped, &subset), 1);
        assert_eq!(
            outstanding(&[], &skipped, &Subset::knowing(Choice::All, &RECORDS)),
            0
        );
    }

    #[test]
    fn a_failure_outside_the_selection_has_yet_to_pass() {
        assert_eq!(
            plan(Choice::FailedOnly, &["passed"]).unwrap_err().exit,
            Exit::NoTests
        );
        let all = plan(Choice::All, &["passed"]).unwrap();
        assert_eq!((names(&all), all.outstanding), (vec!["passed"], 0));
    }

    #[test]
    fn a_shard_without_a_failure_has_nothing_to_do_if_another_one_has() {
        let plan = |shard: &str, words: &[&str]| {
            let mut subset = Subset::knowing(Choice::FailedOnly, &RECORDS);
            subset.shard = Some(shard.parse().unwrap());
            let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
            let options = PlanOptions {
                subset,
                ..PlanOptions::default()
            };
            let tests = plain_tests(&["passed", "flaky", "failed"]);
            let filter = Filter::parse(&words, Match::Substring)?;
            Plan::make(tests, &filter, &CapabilityStates::new(), &options)
        };
        let plans = ["1/3", "2/3", "3/3"].map(|shard| plan(shard, &[]).unwrap());
        let mut found: Vec<_> = plans.iter().map(names).collect();
        found.sort();
        assert_eq!(found, [vec![], vec![], vec!["failed"]]);
        // A test that has yet to pass in another shard is not this shard's failure.
        assert_eq!(plans.map(|plan| plan.outstanding), [0; 3]);
        for shard in ["1/3", "2/3", "3/3"] {
            assert_eq!(plan(shard, &["passed"]).unwrap_err().exit, Exit::NoTests);
        }
    }

    #[test]
    fn failed_tests_go_first_and_the_rest_keep_their_order() {
        let plan = plan(Choice::FailedFirst, &[]).unwrap();
        assert_eq!(names(&plan), ["failed", "passed", "flaky", "new"]);
    }
}
