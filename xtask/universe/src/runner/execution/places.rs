//! Which rounds of a repeated test are in the report, and which are only counted.
//!
//! Decided as early as possible, so that a round that the report leaves out is neither shown nor
//! written to the events. A round takes its place when it starts, and a place for its output and
//! files when it first fails. Round 1 always has both. An attempt asks before its files are cleaned
//! up, the runner before it reports the attempt.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How much is kept of the rounds after the first.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caps {
    /// How many of them are in the report, in the order of their starts.
    pub(crate) rounds: usize,
    /// How many failing rounds (also those that pass on a retry) keep their output (each up to half
    /// a megabyte) and their files (each up to twice 64 MiB), and stay in the report even beyond
    /// `rounds`.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    /// Only its count.
    Count,
    /// Its case, without output and files.
    Case,
    /// Everything.
    All,
}

/// The number of a test in the plan, and one of its rounds.
pub(super) type Round = (usize, u32);

/// The free places, and those of the running rounds.
#[derive(Debug)]
pub(super) struct Places(Mutex<State>);

#[derive(Debug)]
struct State {
    left: Caps,
    held: BTreeMap<Round, Kept>,
}

impl Places {
    /// With all places free.
    pub(super) fn new(caps: Caps) -> Places {
        Places(Mutex::new(State {
            left: caps,
            held: BTreeMap::new(),
        }))
    }

    /// This round starts, or continues.
    pub(super) fn begin(&self, round: Round) -> Kept {
        self.state().begin(round)
    }

    /// This round has failed, perhaps only at first.
    pub(super) fn fail(&self, round: Round) -> Kept {
        self.state().fail(round)
    }

    /// This round has ended.
    pub(super) fn end(&self, round: Round) -> Kept {
        let mut state = self.state();
        let kept = state.begin(round);
        state.held.remove(&round);
        kept
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn begin(&mut self, round: Round) -> Kept {
        let left = &mut self.left;
        *self.held.entry(round).or_insert_with(|| match round {
            (_, 1) => Kept::All,
            _ if take(&mut left.rounds) => Kept::Case,
            _ => Kept::Count,
        })
    }

    fn fail(&mut self, round: Round) -> Kept {
        let kept = self.begin(round);
        // If there is no place for its output now, there is none later: places are never freed.
        if kept == Kept::All || !take(&mut self.left.outputs) {
            return kept;
        }
        self.held.insert(round, Kept::All);
        Kept::All
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
        let places = Places::new(Caps {
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
        assert!(places.state().held.is_empty());
    }
}
