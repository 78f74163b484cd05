//! How many tests passed, failed and were skipped.

use crate::report::data::{Outcome, Report};

/// How many tests passed, failed and were skipped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
}

impl Counts {
    /// Counts the cases of a report.
    pub(crate) fn of(report: &Report) -> Counts {
        let mut counts = Counts::default();
        for case in report.suites.iter().flat_map(|suite| &suite.cases) {
            match case.outcome {
                Outcome::Passed => counts.passed += 1,
                Outcome::Failed(_) | Outcome::Errored(_) => counts.failed += 1,
                Outcome::Skipped(_) => counts.skipped += 1,
            }
        }
        counts
    }
}
