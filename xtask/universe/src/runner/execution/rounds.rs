//! The rounds of a run: the order of the tests in each round, and when to stop.
//!
//! A pure function of the order, the seed and the time passed in.

use std::time::Instant;

use crate::select::shuffle;

/// The remaining rounds.
#[derive(Debug)]
pub(super) struct Rounds {
    order: Vec<usize>,
    seed: Option<u64>,
    /// The number of rounds; `None` means unlimited.
    count: Option<u32>,
    /// No round begins after this time, except the first.
    until: Option<Instant>,
    begun: u32,
}

impl Rounds {
    /// For tests in this order, which came from `seed` if there is one; later rounds have other
    /// orders.
    pub(super) fn new(
        order: Vec<usize>,
        seed: Option<u64>,
        count: Option<u32>,
        until: Option<Instant>,
    ) -> Rounds {
        Rounds {
            order,
            seed,
            count,
            until,
            begun: 0,
        }
    }

    /// Whether time is up for all rounds but the first.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now >= until)
    }

    /// Whether a test that `is_meant` is in another round.
    pub(super) fn may_have(&self, now: Instant, is_meant: impl Fn(usize) -> bool) -> bool {
        !self.is_enough(now) && self.order.iter().any(|&number| is_meant(number))
    }

    fn is_enough(&self, now: Instant) -> bool {
        let all = self.count.is_some_and(|count| self.begun >= count);
        all || self.order.is_empty() || (self.begun > 0 && self.is_over(now))
    }

    /// No more rounds.
    pub(super) fn stop(&mut self) {
        self.count = Some(self.begun);
    }

    /// The next round, from 1, and its tests in order; `None` after the last one.
    pub(super) fn next(&mut self, now: Instant) -> Option<(u32, Vec<usize>)> {
        if self.is_enough(now) {
            return None;
        }
        self.begun = self.begun.checked_add(1)?;
        let mut order = self.order.clone();
        if let (Some(seed), 2..) = (self.seed, self.begun) {
            shuffle::shuffle(&mut order, shuffle::seed_of_round(seed, self.begun));
        }
        Some((self.begun, order))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock;
    use std::time::Duration;

    fn orders(seed: Option<u64>) -> Vec<Vec<usize>> {
        let mut rounds = Rounds::new((0..20).collect(), seed, Some(3), None);
        std::iter::from_fn(|| rounds.next(clock::now()))
            .map(|(_, order)| order)
            .collect()
    }

    #[test]
    fn each_round_has_an_order_of_its_own_that_the_seed_gives_again() {
        let shuffled = orders(Some(7));
        assert_eq!(shuffled, orders(Some(7)));
        assert_ne!(shuffled[1], shuffled[2]);
        assert_ne!(shuffled[1], orders(Some(8))[1]);
        assert!(
            orders(None)
                .iter()
                .all(|order| *order == (0..20).collect::<Vec<_>>())
        );
    }

    #[test]
    fn after_the_time_is_up_only_the_first_round_begins() {
        let now = clock::now();
        let mut rounds = Rounds::new(vec![0], None, None, Some(now));
        assert!(rounds.next(now).is_some() && rounds.next(now).is_none());
        let mut rounds = Rounds::new(vec![0], None, None, Some(now + Duration::from_secs(1)));
        assert!((0..100).all(|_| rounds.next(now).is_some()));
    }

    #[test]
    fn no_tests_have_no_rounds_and_after_a_stop_no_round_begins() {
        assert_eq!(Rounds::new(vec![], None, None, None).next(clock::now()), None);
        let mut rounds = Rounds::new(vec![0], None, None, None);
        rounds.stop();
        assert_eq!(rounds.next(clock::now()), None);
    }
}
