//! The state of a run for a person at a terminal: what runs, how many tests have ended and failed,
//! and about how much time is left. As rows of text that fit a given size.
//!
//! Pure: it reads no clock and draws nothing.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::fit::{columns, cut_end, cut_name};
use super::{Paint, Style};
use crate::base::limits::{BAR_LEN_MAX, BAR_LEN_MIN, LIVE_LINES_MAX};
use crate::base::text::plain_line;

/// What is known of a run before its tests start.
#[derive(Debug, Default)]
pub(crate) struct Forecast {
    /// By the number of a test: how often it will run, and how long it usually takes.
    pub(crate) tests: Vec<(u32, Option<Duration>)>,
    /// Whether each of them runs that often, and not until something else ends the run.
    pub(crate) rounds: Rounds,
    /// The number of concurrent tests.
    pub(crate) jobs: usize,
}

/// How often tests run.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rounds {
    /// As often as the forecast says.
    #[default]
    Counted,
    /// Until a time limit or a failure.
    Open,
}

/// A test that starts.
#[derive(Debug)]
pub(crate) struct Started<'a> {
    /// A small number that no other running test has.
    pub(crate) slot: usize,
    /// Its number in the plan.
    pub(crate) number: usize,
    pub(crate) suite: &'a str,
    pub(crate) name: &'a str,
    /// A test that runs longer is slow.
    pub(crate) slow: Duration,
    pub(crate) attempt: u32,
}

/// How a test ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    Passed,
    Failed,
    /// It failed, and another attempt follows.
    ToRetry,
}

/// The size of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) columns: usize,
    pub(super) rows: usize,
}

/// Everything that the display shows.
#[derive(Debug)]
pub(super) struct Progress {
    start: Instant,
    now: Instant,
    forecast: Forecast,
    total: Option<usize>,
    running: BTreeMap<usize, Running>,
    /// Whether the run starts no further test.
    is_ending: bool,
    done: usize,
    failed: usize,
    /// The time that the tests took that have ended in this run, and their number.
    taken: (Duration, u32),
}

#[derive(Debug)]
struct Running {
    suite: String,
    name: String,
    since: Instant,
    slow: Duration,
    usual: Option<Duration>,
}

impl Progress {
    /// No test has started.
    pub(super) fn new(forecast: Forecast, now: Instant) -> Progress {
        let count = forecast.tests.iter().map(|(count, _)| *count as usize).sum();
        Progress {
            start: now,
            now,
            total: (forecast.rounds == Rounds::Counted).then_some(count),
            forecast,
            running: BTreeMap::new(),
            is_ending: false,
            done: 0,
            failed: 0,
            taken: (Duration::ZERO, 0),
        }
    }

    /// Time passes.
    pub(super) fn advance(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    pub(super) fn started(&mut self, test: &Started<'_>) {
        let left = self.forecast.tests.get_mut(test.number);
        let usual = left.as_ref().and_then(|(_, usual)| *usual);
        if let Some((count, _)) = left.filter(|_| test.attempt == 1) {
            *count = count.saturating_sub(1);
        }
        let running = Running {
            suite: plain_line(test.suite),
            name: plain_line(test.name),
            since: self.now,
            slow: test.slow,
            usual,
        };
        self.running.insert(test.slot, running);
    }

    pub(super) fn ended(&mut self, slot: usize, how: Ended) {
        if let Some(running) = self.running.remove(&slot) {
            let (time, count) = self.taken;
            self.taken = (time + running.ran(self.now), count.saturating_add(1));
        }
        self.done += usize::from(how != Ended::ToRetry);
        self.failed += usize::from(how == Ended::Failed);
    }

    /// No further test starts.
    pub(super) fn starts_no_more(&mut self) {
        self.is_ending = true;
    }

    /// The rows to show; none is wider than the terminal.
    pub(super) fn rows(&self, size: Size, paint: Paint) -> Vec<String> {
        // A character in the last column would move the cursor in some terminals.
        let room = size.columns.saturating_sub(1);
        let mut running: Vec<&Running> = self.running.values().collect();
        running.sort_by_key(|running| running.since);
        let count_max = LIVE_LINES_MAX.min(size.rows.saturating_sub(2));
        let shown = if running.len() > count_max {
            count_max.saturating_sub(1)
        } else {
            running.len()
        };
        let rows = running
            .iter()
            .take(shown)
            .map(|test| test.row(self.now, room, paint));
        let mut rows: Vec<String> = rows.collect();
        if running.len() > shown && count_max > 0 {
            rows.push(cut_end(
                &format!("{:>9} and {} more", "", running.len() - shown),
                room,
            ));
        }
        rows.push(self.bar(room, paint));
        rows
    }

    /// `12 s [=====     ] 30 of 60, 2 failed, about 25 s left`
    fn bar(&self, room: usize, paint: Paint) -> String {
        let elapsed = format!("{:>9}", in_words(self.now.saturating_duration_since(self.start)));
        let words = self.words(Paint::Plain);
        let taken = columns(&elapsed) + " ".len() + columns(&words);
        let bar_len = room.saturating_sub(taken + "[] ".len()).min(BAR_LEN_MAX);
        match self.total {
            _ if taken > room => cut_end(&words, room),
            Some(total) if bar_len >= BAR_LEN_MIN => {
                let filled = (bar_len * self.done).checked_div(total).unwrap_or(0).min(bar_len);
                let (filled, empty) = ("=".repeat(filled), " ".repeat(bar_len - filled));
                format!("{elapsed} [{filled}{empty}] {}", self.words(paint))
            }
            _ => format!("{elapsed} {}", self.words(paint)),
        }
    }

    fn words(&self, paint: Paint) -> String {
        let counts = match self.total {
            Some(total) => format!("{} of {total}", self.done),
            None => format!("{} ended", self.done),
        };
        let failed = || paint.on(Style::Bad, &format!("{} failed", self.failed));
        let rest = match (self.is_ending, self.left()) {
            (true, _) => Some("ending".to_owned()),
            // A test that takes longer than usual says nothing about the rest of its time.
            (false, Some(Duration::ZERO)) => None,
            (false, Some(left)) if left.as_secs() == 0 => Some("under 1 s left".to_owned()),
            (false, left) => left.map(|left| format!("about {} left", in_words(left))),
        };
        let words = [Some(counts), (self.failed > 0).then(failed), rest];
        words.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }

    /// About how long it takes until the last test ends. `None` while nothing suggests it.
    fn left(&self) -> Option<Duration> {
        self.total?;
        let (time, count) = self.taken;
        let mean = time.checked_div(count);
        let mut work = Duration::ZERO;
        let mut longest = Duration::ZERO;
        for running in self.running.values() {
            let rest = running.usual.or(mean)?.saturating_sub(running.ran(self.now));
            work = work.saturating_add(rest);
            longest = longest.max(rest);
        }
        for (count, usual) in self.forecast.tests.iter().filter(|(count, _)| *count > 0) {
            let usual = usual.or(mean)?;
            work = work.saturating_add(usual.saturating_mul(*count));
            longest = longest.max(usual);
        }
        let jobs = u32::try_from(self.forecast.jobs.max(1)).unwrap_or(u32::MAX);
        Some(longest.max(work / jobs))
    }
}

impl Running {
    fn ran(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.since)
    }

    /// `12.3 s package::suite module::function`
    fn row(&self, now: Instant, room: usize, paint: Paint) -> String {
        let ran = self.ran(now);
        let time = format!("{:>7.1} s", ran.as_secs_f64());
        let name = cut_name(&self.suite, &self.name, room.saturating_sub(columns(&time) + 1));
        match (room > columns(&time), ran >= self.slow) {
            (false, _) => String::new(),
            (true, true) => format!("{} {name}", paint.on(Style::Skipped, &time)),
            (true, false) => format!("{time} {name}"),
        }
    }
}

/// `5 s`, `2 min 5 s`, `1 h 2 min`
fn in_words(time: Duration) -> String {
    // Half a second and more counts as one.
    let seconds = time.as_secs() + u64::from(time.subsec_millis() >= 500);
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests;
