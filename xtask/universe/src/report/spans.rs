//! When each attempt ran and in which slot, from the start of the run: the data of the timeline and
//! the trace.

use std::time::{Duration, SystemTime};

use crate::report::data::{Case, Outcome, Report};

/// One attempt at one test.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span<'a> {
    pub(super) case: &'a Case,
    /// From 1.
    pub(super) attempt: usize,
    /// Whether it is the last attempt, which counts.
    pub(super) is_last: bool,
    pub(super) outcome: &'a Outcome,
    pub(super) slot: usize,
    /// From the start of the run.
    pub(super) after: Duration,
    pub(super) elapsed: Duration,
}

impl Span<'_> {
    /// `passed`, `flaky`, `failed`, `interrupted`, `skipped`.
    pub(super) fn word(&self) -> &'static str {
        match self.is_last {
            true => word(self.case),
            false => "failed",
        }
    }
}

/// One lane per slot that occurs, in order, whatever the slot numbers are.
#[derive(Debug)]
pub(super) struct Lanes {
    slots: Vec<usize>,
}

impl Lanes {
    /// The lanes of these spans.
    pub(super) fn of(spans: &[Span<'_>]) -> Lanes {
        let mut slots: Vec<usize> = spans.iter().map(|span| span.slot).collect();
        slots.sort_unstable();
        slots.dedup();
        Lanes { slots }
    }

    /// The number of the lane of a slot, from 0.
    pub(super) fn number(&self, slot: usize) -> usize {
        self.slots.partition_point(|&other| other < slot)
    }

    /// `slot 3`, by the number of the lane.
    pub(super) fn names(&self) -> impl Iterator<Item = String> {
        self.slots.iter().map(|slot| format!("slot {slot}"))
    }
}

/// As [`Span::word`], of a test.
pub(super) fn word(case: &Case) -> &'static str {
    match case.outcome {
        Outcome::Passed if case.is_flaky() => "flaky",
        Outcome::Passed => "passed",
        _ if case.outcome.is_interrupted() => "interrupted",
        Outcome::Failed(_) | Outcome::Errored(_) => "failed",
        Outcome::Skipped(_) => "skipped",
    }
}

/// Every attempt, test by test.
pub(super) fn spans(report: &Report) -> Vec<Span<'_>> {
    report
        .cases()
        .flat_map(|case| of_case(case, report.started))
        .collect()
}

fn of_case(case: &Case, start: SystemTime) -> Vec<Span<'_>> {
    // If the wall clock was set back, the attempt is drawn at the start.
    let after = move |started: SystemTime| started.duration_since(start).unwrap_or_default();
    let earlier = case.earlier.iter().zip(1..).map(|(attempt, number)| Span {
        case,
        attempt: number,
        is_last: false,
        outcome: &attempt.outcome,
        slot: attempt.slot,
        after: after(attempt.started),
        elapsed: attempt.elapsed,
    });
    let last = case.started.map(|started| Span {
        case,
        attempt: case.earlier.len() + 1,
        is_last: true,
        outcome: &case.outcome,
        slot: case.slot.unwrap_or_default(),
        after: after(started),
        elapsed: case.elapsed,
    });
    earlier.chain(last).collect()
}
