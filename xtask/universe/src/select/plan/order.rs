//! The order in which the tests of a plan start.
//!
//! Without a seed it is the order of the list, except that tests with a higher priority go first
//! and exclusive tests last: an exclusive test in between would wait until all slots are empty.

use std::cmp::Reverse;

use super::{Decision, PlanOptions, Test};
use crate::select::overrides::Treatment;
use crate::select::shuffle;
use crate::select::subset::Choice;

/// The indices of the tests that run.
pub(super) fn order(
    tests: &[(Test, Decision)],
    treatments: &[Treatment],
    options: &PlanOptions,
) -> Vec<usize> {
    let runs = |(index, (_, decision)): (usize, &(Test, Decision))| {
        matches!(decision, Decision::Run).then_some(index)
    };
    let mut order: Vec<usize> = tests.iter().enumerate().filter_map(runs).collect();
    match options.seed {
        Some(seed) => shuffle::shuffle(&mut order, seed),
        None => order.sort_by_key(|&index| treatments.get(index).copied().map(urgency)),
    }
    if options.subset.choice == Choice::FailedFirst {
        let has_passed = |index: &usize| {
            let failed = tests
                .get(*index)
                .map(|(test, _)| options.subset.has_failed(&test.id()));
            !failed.unwrap_or(false)
        };
        order.sort_by_cached_key(has_passed);
    }
    order
}

fn urgency(treatment: Treatment) -> (Reverse<i32>, bool) {
    let priority = treatment.priority.unwrap_or_default();
    (Reverse(priority), treatment.exclusive == Some(true))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::select::plan::plain_tests;

    #[test]
    fn priorities_go_first_and_exclusive_tests_last() {
        let treatment = |priority, exclusive| Treatment {
            priority,
            exclusive,
            ..Treatment::default()
        };
        let treatments = [
            treatment(None, Some(true)),
            treatment(None, None),
            treatment(Some(-1), None),
            treatment(Some(5), None),
        ];
        let tests = plain_tests(&["a", "b", "c", "d"]);
        let tests: Vec<_> = tests.into_iter().map(|test| (test, Decision::Run)).collect();
        assert_eq!(order(&tests, &treatments, &PlanOptions::default()), [3, 1, 0, 2]);
        let shuffled = PlanOptions {
            seed: Some(4),
            ..PlanOptions::default()
        };
        let mut expected = [0, 1, 2, 3];
        shuffle::shuffle(&mut expected, 4);
        assert_eq!(
            order(&tests, &treatments, &shuffled),
            expected,
            "a seed decides alone"
        );
    }
}
