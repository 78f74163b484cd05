//! Which of the selected tests belong to this run: those of the shard, or those that failed when they last ran.

use super::{Decision, Test};
use crate::exit::{Exit, Stop};
use crate::history::Verdict;
use crate::subset::{Choice, Subset};

/// Tests that were selected and are not part of the run; a person should know of them.
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
    /// `omitted: 20 tests of other shards, 3 that passed last time`; empty if nothing was.
    pub(crate) fn words(self) -> String {
        let parts = [
            (self.other_shards, "of other shards"),
            (self.passed, "that passed when they last ran"),
            (self.never_ran, "that never ran"),
        ];
        let told = parts.iter().filter(|(count, _)| *count > 0);
        let words: Vec<String> = told.map(|(count, what)| format!("{count} {what}")).collect();
        match words.is_empty() {
            true => String::new(),
            false => format!("omitted: {}", words.join(", ")),
        }
    }
}

/// The part of `selected` that belongs to this run, what is omitted in numbers, and the omitted tests.
pub(super) fn part(selected: Vec<Test>, subset: &Subset) -> Result<(Vec<Test>, Omitted, Vec<Test>), Stop> {
    let ids: Vec<String> = selected.iter().map(Test::id).collect();
    let mut omitted = Omitted::default();
    let (mut part, mut others) = (Vec::new(), Vec::new());
    for ((test, id), is_mine) in selected.into_iter().zip(&ids).zip(subset.in_shard(&ids)) {
        let counter = match (is_mine, subset.choice, subset.history.last(id)) {
            (false, ..) => &mut omitted.other_shards,
            (true, Choice::FailedOnly, Some(Verdict::Passed | Verdict::Flaky)) => &mut omitted.passed,
            (true, Choice::FailedOnly, None) => &mut omitted.never_ran,
            (true, ..) => {
                part.push(test);
                continue;
            }
        };
        *counter += 1;
        others.push(test);
    }
    match (part.is_empty(), subset.choice) {
        (true, Choice::FailedOnly) => Err(nothing_failed(ids.len(), omitted)),
        _ => Ok((part, omitted, others)),
    }
}

fn nothing_failed(count: usize, omitted: Omitted) -> Stop {
    let hint = "hint: leave `--rerun-failed` out to run them all";
    let message = format!(
        "none of {count} tests failed when it last ran\n{}\n{hint}",
        omitted.words()
    );
    Stop::new(Exit::NoTests, "no-tests", message)
}

/// How many tests have still to pass when all of `part` that run have: they failed when they last ran, or could run here
/// and never did. What failed before and is skipped now has still to pass.
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
