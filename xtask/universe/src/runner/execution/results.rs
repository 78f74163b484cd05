//! The results so far: one case for each test and round, however many attempts it took.
//!
//! Decides whether to retry a failure and what a late success counts as. For a repeated test it
//! keeps the cases that have a place (see `places`) and only counts the others.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::attempt::Ticket;
use super::places::{Caps, Kept, Places};
use crate::base::failure_kind::FailureKind;
use crate::report::data::{Case, Failure, Outcome};
use crate::select::repeat::Flaky;

/// The results of a run.
#[derive(Debug)]
pub(super) struct Results {
    /// By the number of the test, then by round.
    cases: Vec<Vec<Case>>,
    /// Failed, and waiting for another attempt.
    unfinished: BTreeMap<(usize, u32), Case>,
    places: Arc<Places>,
    /// Passes and failures that are only counted.
    dropped: Dropped,
    failure_count: usize,
}

/// What happens to a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    /// It is in the report.
    Kept,
    /// It is only counted.
    Counted,
}

/// Rounds that are not among the cases.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Dropped {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
}

impl Results {
    /// Results of `count` tests; keeps no more of their later rounds than `caps` allows.
    pub(super) fn new(count: usize, caps: Caps) -> Results {
        Results {
            cases: vec![Vec::new(); count],
            unfinished: BTreeMap::new(),
            places: Arc::new(Places::new(caps)),
            dropped: Dropped::default(),
            failure_count: 0,
        }
    }

    /// Attempts ask this whether their files are kept.
    pub(super) fn places(&self) -> Arc<Places> {
        Arc::clone(&self.places)
    }

    /// How often a test has finally failed.
    pub(super) fn failure_count(&self) -> usize {
        self.failure_count
    }

    /// An attempt starts. Returns whether its round is in the report, as far as is known.
    pub(super) fn begin(&mut self, ticket: Ticket) -> Admission {
        self.places.begin(ticket.round()).into()
    }

    /// Adds the earlier attempts to a case, and drops the parts of a failure that are not kept.
    pub(super) fn join(&mut self, ticket: Ticket, mut case: Case) -> Case {
        if let Some(mut before) = self.unfinished.remove(&ticket.round()) {
            case.earlier = std::mem::take(&mut before.earlier);
            case.earlier.push(before.into());
        }
        if case.failure().is_some() && self.places.fail(ticket.round()) != Kept::All {
            forget_output(&mut case);
        }
        case
    }

    /// Keeps a failed case until its next attempt.
    pub(super) fn keep_for_retry(&mut self, ticket: Ticket, case: Case) {
        self.unfinished.insert(ticket.round(), case);
    }

    /// Whether there is a place for a final case; drops the parts that are not kept.
    pub(super) fn admit(&mut self, number: usize, case: &mut Case) -> Admission {
        let round = (number, case.round);
        let failed = case.failure().is_some();
        let is_notable = failed || !case.earlier.is_empty();
        self.failure_count += usize::from(failed);
        if is_notable {
            self.places.fail(round);
        }
        let kept = self.places.end(round);
        if case.round > 1 && !(is_notable && kept == Kept::All) {
            forget_output(case);
        }
        if kept == Kept::Count {
            self.dropped.count(failed);
        }
        kept.into()
    }

    /// Keeps a case that has a place.
    pub(super) fn keep(&mut self, number: usize, case: Case) {
        if let Some(rounds) = self.cases.get_mut(number) {
            rounds.push(case);
        }
    }

    /// This case is final.
    pub(super) fn conclude(&mut self, number: usize, mut case: Case) {
        if self.admit(number, &mut case) == Admission::Kept {
            self.keep(number, case);
        }
    }

    /// The cases, by the number of the test. A test that was still to be retried has failed.
    pub(super) fn into_cases(mut self) -> (Vec<Vec<Case>>, Dropped) {
        for ((number, _), case) in std::mem::take(&mut self.unfinished) {
            self.conclude(number, case);
        }
        for rounds in &mut self.cases {
            rounds.sort_by_key(|case| case.round);
        }
        (self.cases, self.dropped)
    }
}

impl From<Kept> for Admission {
    fn from(kept: Kept) -> Admission {
        match kept {
            Kept::Count => Admission::Counted,
            Kept::Case | Kept::All => Admission::Kept,
        }
    }
}

impl Dropped {
    fn count(&mut self, failed: bool) {
        let counter = if failed {
            &mut self.failed
        } else {
            &mut self.passed
        };
        *counter += 1;
    }
}

fn forget_output(case: &mut Case) {
    (case.stdout, case.stderr) = (Vec::new(), Vec::new());
    for attempt in &mut case.earlier {
        (attempt.stdout, attempt.stderr) = (Vec::new(), Vec::new());
    }
}

/// Whether another attempt could show something new about the test. Not for a leak, the end of the
/// run, or a machine that cannot start the test.
pub(super) fn deserves_another(case: &Case) -> bool {
    let is_of_the_test = |failure: &Failure| {
        let is_not = matches!(
            failure.kind,
            FailureKind::Leak | FailureKind::Exec | FailureKind::Script | FailureKind::Capability(_)
        );
        !failure.is_of_the_run() && !is_not
    };
    case.failure().is_some_and(is_of_the_test)
}

/// What a success after failures counts as.
pub(super) fn judge_flaky(case: &mut Case, flaky: Flaky) {
    let Some(Outcome::Failed(first) | Outcome::Errored(first)) = case.earlier.first().map(|a| &a.outcome)
    else {
        return;
    };
    if flaky == Flaky::Fail && matches!(case.outcome, Outcome::Passed) {
        let attempts = case.earlier.len() + 1;
        case.outcome = Outcome::Failed(Failure {
            kind: FailureKind::Flaky,
            message: format!(
                "passed only on attempt {attempts}; the first: {}: {}",
                first.kind, first.message
            ),
            detail: first.detail.clone(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(kind: &str) -> Outcome {
        Outcome::Failed(Failure {
            kind: kind.into(),
            message: "m".to_owned(),
            detail: "d".to_owned(),
        })
    }

    fn case(round: u32, outcome: Outcome) -> Case {
        Case {
            round,
            stdout: b"out".to_vec(),
            ..Case::new("p::t$f".to_owned(), "p.t".to_owned(), "f".to_owned(), outcome)
        }
    }

    fn ticket(attempt: u32) -> Ticket {
        Ticket {
            number: 0,
            round: 1,
            attempt,
            slot: 0,
        }
    }

    #[test]
    fn attempts_become_one_case_with_the_earlier_ones_in_order() {
        let mut results = Results::new(1, Caps::default());
        for (n, kind) in [(1, "panic"), (2, "timeout")] {
            let case = results.join(ticket(n), case(1, failed(kind)));
            results.keep_for_retry(ticket(n), case);
        }
        let last = results.join(ticket(3), case(1, Outcome::Passed));
        results.conclude(0, last);
        assert_eq!(results.failure_count(), 0);
        let (cases, _) = results.into_cases();
        let kinds = cases[0][0].earlier.iter().map(|attempt| match &attempt.outcome {
            Outcome::Failed(failure) => failure.kind.to_string(),
            other => panic!("{other:?}"),
        });
        assert_eq!(kinds.collect::<Vec<_>>(), ["panic", "timeout"]);
    }

    #[test]
    fn a_test_that_waits_for_a_retry_when_the_run_ends_has_failed() {
        let mut results = Results::new(1, Caps::default());
        results.keep_for_retry(ticket(1), case(1, failed("panic")));
        let (cases, _) = results.into_cases();
        assert!(cases[0][0].failure().is_some());
    }

    #[test]
    fn only_a_failure_of_the_test_itself_is_retried() {
        for (kind, expected) in [
            ("panic", true),
            ("timeout", true),
            ("signal:SIGSEGV", true),
            ("leak", false),
            ("interrupted", false),
            ("run-timeout", false),
            ("exec", false),
            ("capability:fuse", false),
        ] {
            assert_eq!(deserves_another(&case(1, failed(kind))), expected, "{kind}");
        }
        assert!(!deserves_another(&case(1, Outcome::Passed)));
    }

    #[test]
    fn a_late_success_is_a_failure_if_requested() {
        let mut results = Results::new(1, Caps::default());
        results.keep_for_retry(ticket(1), case(1, failed("panic")));
        let mut flaky = results.join(ticket(2), case(1, Outcome::Passed));
        judge_flaky(&mut flaky, Flaky::Pass);
        assert!(flaky.failure().is_none());
        judge_flaky(&mut flaky, Flaky::Fail);
        assert_eq!(
            flaky.failure().map(|failure| &failure.kind),
            Some(&FailureKind::Flaky)
        );
    }

    #[test]
    fn successes_of_later_rounds_have_no_output() {
        let mut results = Results::new(1, Caps::default());
        [2, 1]
            .into_iter()
            .for_each(|round| results.conclude(0, case(round, Outcome::Passed)));
        results.conclude(0, case(3, failed("panic")));
        let (cases, _) = results.into_cases();
        let kept: Vec<_> = cases[0]
            .iter()
            .map(|case| (case.round, case.stdout.len()))
            .collect();
        assert_eq!(kept, [(1, 3), (2, 0), (3, 3)]);
    }

    #[test]
    fn a_long_stress_keeps_a_bounded_number_of_cases_and_counts_all() {
        let caps = Caps {
            rounds: 20,
            outputs: 5,
        };
        let mut results = Results::new(1, caps);
        for round in 1..=30 {
            results.conclude(0, case(round, Outcome::Passed));
        }
        for round in 31..=37 {
            results.conclude(0, case(round, failed("panic")));
        }
        assert!(results.failure_count() > 0);
        let (cases, dropped) = results.into_cases();
        assert_eq!(cases[0].len(), 1 + caps.rounds + caps.outputs);
        assert_eq!((dropped.passed, dropped.failed), (9, 2));
    }

    #[test]
    fn a_case_without_a_place_waits_for_its_retry_without_output() {
        let mut results = Results::new(
            1,
            Caps {
                rounds: 1,
                outputs: 0,
            },
        );
        let second = Ticket {
            round: 2,
            ..ticket(1)
        };
        let waiting = results.join(second, case(2, failed("panic")));
        assert_eq!(results.begin(second), Admission::Kept);
        assert!(waiting.stdout.is_empty());
    }
}
