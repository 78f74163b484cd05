//! The slots of a run, and which tests may use them together: weights, groups, tests that run
//! alone.
//!
//! Knows no order and decides no starts.

use std::collections::{BTreeMap, BTreeSet};

use crate::select::demand::{Company, Demand};

/// Whether some copies of a test may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// They may.
    Now,
    /// Not before others have ended; any test that starts before would delay them further.
    Later,
    /// Their group is full; others may go first.
    GroupFull,
}

/// A running test: its number and its round.
pub(super) type Guest = (usize, u32);

/// The slots.
#[derive(Debug)]
pub(super) struct Slots {
    count: usize,
    free: BTreeSet<usize>,
    taken: BTreeMap<Guest, (Demand, Vec<usize>)>,
    /// By the number of the group: how many of its tests may run at once.
    group_max: Vec<usize>,
}

impl Slots {
    /// With this many slots, all of them free.
    pub(super) fn new(count: usize, group_max: Vec<usize>) -> Slots {
        Slots {
            count: count.max(1),
            free: (0..count.max(1)).collect(),
            taken: BTreeMap::new(),
            group_max,
        }
    }

    /// How many copies of such a test can ever start together, at most the requested number.
    pub(super) fn together(&self, demand: Demand, copies: u32) -> u32 {
        let limit = match demand.company {
            Company::None => 1,
            Company::Any => self.limit_of(demand.group).unwrap_or(self.count).min(self.count),
        };
        copies.min(u32::try_from(limit).unwrap_or(u32::MAX)).max(1)
    }

    /// Whether this many copies of such a test may start now.
    pub(super) fn fit(&self, demand: Demand, copies: u32) -> Fit {
        let is_closed = self
            .taken
            .values()
            .any(|(guest, _)| guest.company == Company::None);
        let is_disturbed = demand.company == Company::None && !self.taken.is_empty();
        if self.is_full(demand.group, copies) {
            return Fit::GroupFull;
        }
        match is_closed || is_disturbed || self.free.len() < self.needed(demand, copies) {
            true => Fit::Later,
            false => Fit::Now,
        }
    }

    /// Takes the slots for `copies` that [`fit`](Slots::fit); the first copy is `first`, the others
    /// are its next rounds. Returns the slot of each.
    pub(super) fn enter(&mut self, first: Guest, demand: Demand, copies: u32) -> Vec<usize> {
        let needed = self.needed(demand, copies);
        let slots: Vec<usize> = self.free.iter().copied().take(needed).collect();
        self.free.retain(|slot| !slots.contains(slot));
        let (number, round) = first;
        let copies_len = copies as usize;
        for (copy, round) in (0..copies_len).zip(round..) {
            // The first slot is its own; the others stay idle for it.
            let own = slots.iter().copied().skip(copy).step_by(copies_len).collect();
            self.taken.insert((number, round), (demand, own));
        }
        slots.into_iter().take(copies_len).collect()
    }

    /// Frees the slots of this test.
    pub(super) fn leave(&mut self, guest: Guest) {
        if let Some((_, slots)) = self.taken.remove(&guest) {
            self.free.extend(slots);
        }
    }

    fn needed(&self, demand: Demand, copies: u32) -> usize {
        let copies = copies as usize;
        demand
            .weight
            .max(1)
            .saturating_mul(copies)
            .min(self.count)
            .max(copies)
    }

    fn limit_of(&self, group: Option<usize>) -> Option<usize> {
        self.group_max.get(group?).copied()
    }

    fn is_full(&self, group: Option<usize>, copies: u32) -> bool {
        let Some(limit) = self.limit_of(group) else {
            return false;
        };
        let running = self
            .taken
            .values()
            .filter(|(guest, _)| guest.group == group)
            .count();
        running + copies as usize > limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIGHT: Demand = Demand {
        weight: 1,
        group: None,
        company: Company::Any,
    };
    const HEAVY: Demand = Demand { weight: 3, ..LIGHT };
    const ALONE: Demand = Demand {
        company: Company::None,
        ..LIGHT
    };
    const GROUPED: Demand = Demand {
        group: Some(0),
        ..LIGHT
    };

    #[test]
    fn a_heavy_test_takes_several_slots_and_gives_all_of_them_back() {
        let mut slots = Slots::new(4, vec![]);
        assert_eq!(slots.enter((0, 1), HEAVY, 1), [0]);
        assert_eq!(slots.enter((1, 1), LIGHT, 1), [3]);
        assert_eq!(slots.fit(LIGHT, 1), Fit::Later);
        slots.leave((0, 1));
        assert_eq!(slots.fit(HEAVY, 1), Fit::Now);
        assert_eq!(slots.fit(Demand { weight: 9, ..LIGHT }, 1), Fit::Later);
        slots.leave((1, 1));
        assert_eq!(
            slots.fit(Demand { weight: 9, ..LIGHT }, 1),
            Fit::Now,
            "it gets all there are"
        );
    }

    #[test]
    fn an_exclusive_test_waits_for_the_others_and_they_for_it() {
        let mut slots = Slots::new(4, vec![]);
        slots.enter((0, 1), LIGHT, 1);
        assert_eq!(slots.fit(ALONE, 1), Fit::Later);
        slots.leave((0, 1));
        assert_eq!(slots.fit(ALONE, 1), Fit::Now);
        slots.enter((1, 1), ALONE, 1);
        assert_eq!(
            (slots.fit(LIGHT, 1), slots.fit(ALONE, 1)),
            (Fit::Later, Fit::Later)
        );
    }

    #[test]
    fn no_more_of_a_group_run_than_its_limit_allows() {
        let mut slots = Slots::new(4, vec![2]);
        slots.enter((0, 1), GROUPED, 1);
        assert_eq!(
            (slots.fit(GROUPED, 1), slots.fit(GROUPED, 2)),
            (Fit::Now, Fit::GroupFull)
        );
        slots.enter((1, 1), GROUPED, 1);
        assert_eq!(
            (slots.fit(GROUPED, 1), slots.fit(LIGHT, 1)),
            (Fit::GroupFull, Fit::Now)
        );
    }

    #[test]
    fn copies_have_slots_of_their_own() {
        let mut slots = Slots::new(4, vec![]);
        let pair = Demand { weight: 2, ..LIGHT };
        assert_eq!(slots.enter((0, 4), pair, 2), [0, 1]);
        assert_eq!(slots.fit(LIGHT, 1), Fit::Later);
        slots.leave((0, 5));
        assert_eq!(slots.enter((1, 1), LIGHT, 1), [1]);
    }

    #[test]
    fn no_more_copies_start_together_than_may_run_together() {
        let slots = Slots::new(4, vec![2]);
        assert_eq!((slots.together(LIGHT, 3), slots.together(LIGHT, 9)), (3, 4));
        assert_eq!((slots.together(GROUPED, 3), slots.together(ALONE, 3)), (2, 1));
    }
}
