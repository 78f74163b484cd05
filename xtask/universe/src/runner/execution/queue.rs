//! What may start next: a state machine that starts nothing and reads no clock.
//!
//! It walks through the rounds in order. It passes over a test whose group is full. A test that
//! needs more slots than are free makes later ones wait, so that it does not wait forever. The
//! runner decides whether a test is retried.

use std::collections::VecDeque;
use std::time::Instant;

use super::attempt::Ticket;
use super::rounds::Rounds;
use super::slots::{Fit, Slots};
use crate::select::demand::Demand;

/// The tests that have not run yet.
#[derive(Debug)]
pub(super) struct Queue {
    rounds: Rounds,
    /// The number of copies of each test in a round.
    copies: u32,
    /// By the number of the test.
    demands: Vec<Demand>,
    slots: Slots,
    waiting: VecDeque<Batch>,
    /// Tests to retry, and the earliest time of each.
    delayed: Vec<(Instant, Batch)>,
}

/// Copies of a test that start together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Batch {
    number: usize,
    /// The round of the first copy; each copy counts as a round.
    round: u32,
    copies: u32,
    attempt: u32,
}

impl Queue {
    /// With every test of every round waiting.
    pub(super) fn new(rounds: Rounds, copies: u32, demands: Vec<Demand>, slots: Slots) -> Queue {
        Queue {
            rounds,
            copies: copies.max(1),
            demands,
            slots,
            waiting: VecDeque::new(),
            delayed: Vec::new(),
        }
    }

    /// The tests that may start now, in order. They count as started.
    pub(super) fn start(&mut self, now: Instant) -> Vec<Ticket> {
        self.wake_up(now);
        if self.rounds.is_over(now) {
            let first_round = 1..=self.copies;
            self.waiting
                .retain(|batch| first_round.contains(&batch.round) || batch.attempt > 1);
        }
        let mut started = Vec::new();
        while !self.waiting.is_empty() || self.refill(now) {
            let Some(batch) = self.next_that_fits() else { break };
            let slots = self.slots.enter(
                (batch.number, batch.round),
                self.demand(batch.number),
                batch.copies,
            );
            started.extend(batch.tickets(slots));
        }
        started
    }

    /// A started test has ended.
    pub(super) fn ended(&mut self, ticket: Ticket) {
        self.slots.leave((ticket.number, ticket.round));
    }

    /// An ended test is retried, but not before `after`. It goes before all waiting tests.
    pub(super) fn retry(&mut self, ticket: Ticket, after: Instant) {
        let Ticket { number, round, .. } = ticket;
        let attempt = ticket.attempt.saturating_add(1);
        let batch = Batch {
            number,
            round,
            copies: 1,
            attempt,
        };
        self.delayed.push((after, batch));
    }

    /// Nothing more starts.
    pub(super) fn stop(&mut self) {
        self.rounds.stop();
        self.waiting.clear();
        self.delayed.clear();
    }

    /// Whether a test that `is_meant` may still start.
    pub(super) fn may_start(&self, now: Instant, is_meant: impl Fn(usize) -> bool) -> bool {
        let delayed = self.delayed.iter().map(|(_, batch)| batch);
        let mut known = self.waiting.iter().chain(delayed);
        known.any(|batch| is_meant(batch.number)) || self.rounds.may_have(now, is_meant)
    }

    /// When [`start`](Queue::start) may return something new, even if no test ends before.
    pub(super) fn wake(&self) -> Option<Instant> {
        self.delayed.iter().map(|(after, _)| *after).min()
    }

    fn wake_up(&mut self, now: Instant) {
        let (due, later) = self.delayed.drain(..).partition(|(after, _)| *after <= now);
        self.delayed = later;
        let due: Vec<(Instant, Batch)> = due;
        for (_, batch) in due.into_iter().rev() {
            self.waiting.push_front(batch);
        }
    }

    /// Queues the next round, if there is one.
    fn refill(&mut self, now: Instant) -> bool {
        let Some((round, order)) = self.rounds.next(now) else {
            return false;
        };
        let first = (round - 1).saturating_mul(self.copies).saturating_add(1);
        for number in order {
            let together = self.slots.together(self.demand(number), self.copies);
            let starts = (0..self.copies).step_by(together as usize);
            self.waiting.extend(starts.map(|start| Batch {
                number,
                round: first.saturating_add(start),
                copies: together.min(self.copies - start),
                attempt: 1,
            }));
        }
        true
    }

    fn next_that_fits(&mut self) -> Option<Batch> {
        for (place, batch) in self.waiting.iter().enumerate() {
            match self.slots.fit(self.demand(batch.number), batch.copies) {
                Fit::Now => return self.waiting.remove(place),
                Fit::Later => return None,
                Fit::GroupFull => {}
            }
        }
        None
    }

    fn demand(&self, number: usize) -> Demand {
        self.demands.get(number).copied().unwrap_or_default()
    }
}

impl Batch {
    fn tickets(self, slots: Vec<usize>) -> impl Iterator<Item = Ticket> {
        let Batch { number, attempt, .. } = self;
        (self.round..).zip(slots).map(move |(round, slot)| Ticket {
            number,
            round,
            attempt,
            slot,
        })
    }
}

#[cfg(test)]
mod tests;
