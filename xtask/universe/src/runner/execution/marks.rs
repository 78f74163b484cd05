//! Which running tests are slow, and when to report that: at the limit of each, and again after
//! every further interval of that length.
//!
//! A state machine that prints nothing and reads no clock.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::attempt::Ticket;
use super::places::Round;
use super::verdict::Limits;
use crate::base::limits::{SLOW_INTERVAL_MIN, SLOW_MIN};

/// The running tests.
#[derive(Debug, Default)]
pub(super) struct Marks {
    running: BTreeMap<Round, Running>,
}

#[derive(Debug)]
struct Running {
    ticket: Ticket,
    start: Instant,
    /// From its start to its next mark.
    next: Duration,
    /// Time between its marks; a multiple of its limit.
    interval: Duration,
    /// No mark comes after this: the test is being ended then.
    timeout: Duration,
}

impl Running {
    /// When to report it next, if at all.
    fn wake(&self) -> Option<Instant> {
        self.start
            .checked_add(self.next)
            .filter(|_| self.next < self.timeout)
    }

    /// The running time at its latest mark; `None` if that was already reported.
    fn advance(&mut self, now: Instant) -> Option<Duration> {
        let mut reported = None;
        while self.wake().is_some_and(|wake| wake <= now) {
            reported = Some(self.next);
            self.next = self.next.saturating_add(self.interval);
        }
        reported
    }
}

impl Marks {
    /// A test with these limits starts.
    pub(super) fn started(&mut self, ticket: Ticket, now: Instant, limits: Limits) {
        let slow = limits.slow.max(SLOW_MIN);
        let factor = SLOW_INTERVAL_MIN.as_nanos().div_ceil(slow.as_nanos());
        let running = Running {
            ticket,
            start: now,
            next: slow,
            interval: slow.saturating_mul(u32::try_from(factor).unwrap_or(1)),
            timeout: limits.timeout,
        };
        self.running.insert(ticket.round(), running);
    }

    /// A test has ended.
    pub(super) fn ended(&mut self, ticket: Ticket) {
        self.running.remove(&ticket.round());
    }

    /// When the next report is due.
    pub(super) fn wake(&self) -> Option<Instant> {
        self.running.values().filter_map(Running::wake).min()
    }

    /// The tests whose report is due, each with the time that it has exceeded. They count as
    /// reported.
    pub(super) fn due(&mut self, now: Instant) -> Vec<(Ticket, Duration)> {
        let running = self.running.values_mut();
        running
            .filter_map(|running| Some((running.ticket, running.advance(now)?)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock;

    const TICKET: Ticket = Ticket {
        number: 7,
        round: 1,
        attempt: 1,
        slot: 0,
    };

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// A test that has just started, with this slow limit and a time limit of one minute.
    fn started(slow: Duration) -> (Marks, Instant) {
        let (mut marks, now) = (Marks::default(), clock::now());
        let limits = Limits {
            timeout: seconds(60),
            slow,
            run_timeout: Duration::MAX,
        };
        marks.started(TICKET, now, limits);
        (marks, now)
    }

    /// The reports if the caller waits for each mark.
    fn reports(slow: Duration) -> Vec<Duration> {
        let (mut marks, _) = started(slow);
        let next = || {
            let wake = marks.wake()?;
            Some(marks.due(wake).into_iter().map(|(_, passed)| passed))
        };
        std::iter::from_fn(next).flatten().collect()
    }

    #[test]
    fn a_slow_test_is_reported_at_its_limit_and_its_multiples_until_its_time_is_up() {
        assert_eq!(reports(seconds(20)), [20, 40].map(seconds));
        assert!(reports(seconds(60)).is_empty());
    }

    #[test]
    fn a_low_limit_does_not_flood_the_console() {
        let marks = reports(Duration::from_millis(300));
        assert_eq!(marks[..3], [300, 1500, 2700].map(Duration::from_millis));
        assert!(reports(Duration::ZERO).len() <= 60);
    }

    #[test]
    fn missed_marks_are_reported_as_one() {
        let (mut marks, start) = started(seconds(5));
        assert_eq!(marks.due(start + seconds(4)), []);
        assert_eq!(marks.due(start + seconds(17)), [(TICKET, seconds(15))]);
        assert_eq!(marks.wake(), Some(start + seconds(20)));
    }

    #[test]
    fn no_report_is_due_for_a_test_that_has_ended() {
        let (mut marks, _) = started(seconds(5));
        marks.ended(TICKET);
        assert_eq!(marks.wake(), None);
    }
}
