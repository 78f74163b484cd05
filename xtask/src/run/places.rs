//! Which rounds of a test that runs over and over are in the report, and which are only counted.
//!
//! Decided as early as can be, so that what the report will leave out is not told while it happens: a round takes its
//! place when it starts, and one for its output when it fails for the first time. Round 1 always has both.

use std::collections::BTreeMap;

/// So much is kept of rounds after the first.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caps {
    /// So many of them, in the order in which they start.
    pub(crate) rounds: usize,
    /// Of those that fail, if only at first, so many keep their output (each up to half a megabyte), and are kept even if
    /// they are beyond `rounds`.
    pub(crate) outputs: usize,
}

impl Default for Caps {
    fn default() -> Caps {
        Caps {
            rounds: 20_000,
            outputs: 100,
        }
    }
}

/// What is kept of a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kept {
    /// That it was.
    Count,
    /// Its case, without output.
    Case,
    /// Everything.
    All,
}

/// The number of a test in the plan, and a round of it.
pub(super) type Round = (usize, u32);

/// The places that are left, and those of the rounds that have not ended.
#[derive(Debug)]
pub(super) struct Places {
    left: Caps,
    held: BTreeMap<Round, Kept>,
}

impl Places {
    /// With all of them left.
    pub(super) fn new(caps: Caps) -> Places {
        Places {
            left: caps,
            held: BTreeMap::new(),
        }
    }

    /// This round starts, or goes on.
    pub(super) fn begin(&mut self, round: Round) -> Kept {
        if let Some(&kept) = self.held.get(&round) {
            return kept;
        }
        let kept = match round {
            (_, 1) => Kept::All,
            _ if take(&mut self.left.rounds) => Kept::Case,
            _ => Kept::Count,
        };
        self.held.insert(round, kept);
        kept
    }

    /// This round has failed, perhaps not for good.
    pub(super) fn fail(&mut self, round: Round) -> Kept {
        let mut kept = self.begin(round);
        // One that found no place for its output finds none later: none is given back.
        if kept < Kept::All && take(&mut self.left.outputs) {
            kept = Kept::All;
            self.held.insert(round, kept);
        }
        kept
    }

    /// This round has ended.
    pub(super) fn end(&mut self, round: Round) -> Kept {
        let kept = self.begin(round);
        self.held.remove(&round);
        kept
    }
}

fn take(left: &mut usize) -> bool {
    let is_any = *left > 0;
    *left = left.saturating_sub(1);
    is_any
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_that_started_in_time_keeps_its_place_and_one_that_fails_finds_another() {
        let mut places = Places::new(Caps {
            rounds: 1,
            outputs: 1,
        });
        let begun = [1, 2, 3, 4].map(|round| places.begin((0, round)));
        assert_eq!(begun, [Kept::All, Kept::Case, Kept::Count, Kept::Count]);
        assert_eq!(places.fail((0, 3)), Kept::All);
        assert_eq!(places.fail((0, 4)), Kept::Count);
        assert_eq!(places.fail((0, 3)), Kept::All);
        let ended = [1, 2, 3, 4].map(|round| places.end((0, round)));
        assert_eq!(ended, [Kept::All, Kept::Case, Kept::All, Kept::Count]);
        assert!(places.held.is_empty());
    }
}
