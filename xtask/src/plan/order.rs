//! In which order the tests of a plan start.
//!
//! Without a seed it is the order of the list, except that priorities go first and tests that run alone last: each of
//! them in between would wait until all slots are empty.

use std::cmp::Reverse;

use super::{Decision, Test, Wishes};
use crate::shuffle;
use crate::subset::Choice;
use crate::treatment::Treatment;

/// The indices of the tests that run.
pub(super) fn order(tests: &[(Test, Decision)], treatments: &[Treatment], wishes: &Wishes) -> Vec<usize> {
    let runs = |(index, (_, decision)): (usize, &(Test, Decision))| {
        matches!(decision, Decision::Run).then_some(index)
    };
    let mut order: Vec<usize> = tests.iter().enumerate().filter_map(runs).collect();
    match wishes.seed {
        Some(seed) => shuffle::shuffle(&mut order, seed),
        None => order.sort_by_key(|&index| treatments.get(index).copied().map(urgency)),
    }
    if wishes.subset.choice == Choice::FailedFirst {
        let has_passed = |index: &usize| {
            let failed = tests
                .get(*index)
                .map(|(test, _)| wishes.subset.has_failed(&test.id()));
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
