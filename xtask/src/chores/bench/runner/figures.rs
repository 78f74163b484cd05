//! The runners' reports about their runs, and the resulting table. Pure.

use std::time::{Duration, SystemTime};

use crate::chores::limits::{FIRST_TEST_MAX, RATIO_MAX};
use serde::Deserialize;

/// This runner with its defaults.
pub(super) const OURS: &str = "xtask test";

/// This runner as other projects have it.
pub(super) const UNIVERSE: &str = "cargo universe test";

/// The runner of an earlier checkout.
pub(super) const BEFORE: &str = "xtask test, before";

/// The reference.
pub(super) const NEXTEST: &str = "cargo nextest run";

/// One run of the suite.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    /// From the start of the command to the first test, if reported.
    pub(super) first: Option<Duration>,
    /// From the start of the first test to the end of the last.
    pub(super) phase: Duration,
    /// The whole command.
    pub(super) whole: Duration,
}

/// The times in the events of a run.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct EventTimes {
    pub(super) first_start: SystemTime,
    pub(super) phase: Duration,
}

/// The relevant parts of a line of the events.
#[derive(Deserialize)]
struct Line {
    r#type: String,
    after_ns: u64,
    started_ns: Option<u64>,
}

/// Parses the events of a run; `None` if no test ran in it.
pub(super) fn of_events(ndjson: &str) -> Option<EventTimes> {
    let lines = ndjson
        .lines()
        .filter_map(|line| serde_json::from_str::<Line>(line).ok());
    let lines: Vec<Line> = lines.collect();
    let is = |wanted: &'static str| lines.iter().filter(move |line| line.r#type == wanted);
    let run = Duration::from_nanos(is("run-start").next()?.started_ns?);
    let first = Duration::from_nanos(is("start").next()?.after_ns);
    let last = Duration::from_nanos(is("finish").next_back()?.after_ns);
    Some(EventTimes {
        first_start: SystemTime::UNIX_EPOCH + run + first,
        phase: last.saturating_sub(first),
    })
}

/// `     Summary [   2.472s] 321 tests run: 321 passed, 0 skipped`
pub(super) fn of_nextest(stderr: &str) -> Option<Duration> {
    let line = stderr
        .lines()
        .rev()
        .find(|line| line.trim_start().starts_with("Summary ["))?;
    let (_, rest) = line.split_once('[')?;
    seconds(rest.split_once("s]")?.0)
}

/// `test result: ok. 3 passed; …; finished in 0.05s`, once for each binary.
pub(super) fn of_cargo_test(stdout: &str) -> Option<Duration> {
    let times = stdout
        .lines()
        .filter_map(|line| line.strip_prefix("test result: "));
    let times: Vec<Duration> = times
        .filter_map(|line| seconds(line.rsplit_once("finished in ")?.1.strip_suffix('s')?))
        .collect();
    (!times.is_empty()).then(|| times.iter().sum())
}

fn seconds(text: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(text.trim().parse().ok()?).ok()
}

/// The times of all runners.
pub(super) struct Figures<'a> {
    runners: Vec<(&'static str, &'a [Sample])>,
    test_count: usize,
}

impl<'a> Figures<'a> {
    /// Of runners that ran in turns, each equally often.
    pub(super) fn new(runners: Vec<(&'static str, &'a [Sample])>, test_count: usize) -> Figures<'a> {
        Figures { runners, test_count }
    }

    /// The table, and its interpretation.
    pub(super) fn lines(&self) -> Vec<String> {
        let head = format!(
            "{:<30} {:>10} {:>10} {:>14} {:>11}",
            "runner", "tests", "per test", "whole command", "first test"
        );
        let rows = self
            .runners
            .iter()
            .map(|&(name, samples)| self.row(name, samples));
        let phase = |sample: &Sample| sample.phase;
        let whole = |sample: &Sample| sample.whole;
        let verdicts = [
            self.beside_nextest(OURS, "tests", phase),
            self.beside_nextest(OURS, "whole command", whole),
            self.beside_nextest(UNIVERSE, "whole command", whole),
            self.beside_before("tests", phase),
            self.beside_before("whole command", whole),
            self.first_test(),
        ];
        std::iter::once(head)
            .chain(rows)
            .chain(verdicts.into_iter().flatten())
            .collect()
    }

    fn row(&self, name: &str, samples: &[Sample]) -> String {
        let middle =
            |of: fn(&Sample) -> Duration| median(samples.iter().map(|sample| of(sample).as_secs_f64()));
        let (phase, whole) = (middle(|sample| sample.phase), middle(|sample| sample.whole));
        let first = first_test(samples).map_or_else(|| "-".to_owned(), |first| format!("{first:.2} s"));
        let per_test = phase * 1000.0 / self.test_count as f64;
        let row = format!("{name:<30} {phase:>8.2} s {per_test:>7.2} ms {whole:>12.2} s {first:>11}");
        row
    }

    fn samples(&self, name: &str) -> Option<&'a [Sample]> {
        let found = self.runners.iter().find(|(runner, _)| *runner == name);
        found.map(|(_, samples)| *samples)
    }

    /// The ratio of two runners' times. Each pair was measured one after the other.
    fn ratio(&self, one: &str, other: &str, of: fn(&Sample) -> Duration) -> Option<f64> {
        let pairs = self.samples(one)?.iter().zip(self.samples(other)?);
        Some(median(pairs.map(|(one, other)| {
            of(one).as_secs_f64() / of(other).as_secs_f64()
        })))
    }

    fn beside_before(&self, what: &str, of: fn(&Sample) -> Duration) -> Option<String> {
        let ratio = self.ratio(OURS, BEFORE, of)?;
        let Some(theirs) = self.ratio(BEFORE, NEXTEST, of) else {
            return Some(format!("{what}, beside before: {ratio:.2} ×"));
        };
        Some(format!(
            "{what}, beside before: {ratio:.2} ×; before beside nextest: {theirs:.2} ×"
        ))
    }

    fn beside_nextest(&self, one: &str, what: &str, of: fn(&Sample) -> Duration) -> Option<String> {
        let ratio = self.ratio(one, NEXTEST, of)?;
        Some(format!(
            "{one}, {what}, beside nextest: {ratio:.2} ×, budget ≤ {RATIO_MAX:.1} ×, {}",
            verdict(ratio <= RATIO_MAX)
        ))
    }

    fn first_test(&self) -> Option<String> {
        let (first, limit) = (first_test(self.samples(OURS)?)?, FIRST_TEST_MAX.as_secs_f64());
        Some(format!(
            "first test after {first:.2} s, budget ≤ {limit} s, {}",
            verdict(first <= limit)
        ))
    }
}

/// In seconds; `None` if it is unknown for any of them.
fn first_test(samples: &[Sample]) -> Option<f64> {
    let firsts: Option<Vec<f64>> = samples
        .iter()
        .map(|sample| Some(sample.first?.as_secs_f64()))
        .collect();
    firsts.map(|firsts| median(firsts.into_iter()))
}

fn verdict(kept: bool) -> &'static str {
    if kept { "kept" } else { "MISSED" }
}

/// The middle value; of two, the higher one. Not a number if there is none.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(first: Option<u64>, phase: u64, whole: u64) -> Sample {
        Sample {
            first: first.map(Duration::from_millis),
            phase: Duration::from_millis(phase),
            whole: Duration::from_millis(whole),
        }
    }

    #[test]
    fn events_give_the_start_of_the_first_test_and_the_total_time() {
        let events = r#"{"v":1,"after_ns":5,"type":"run-start","started_ns":1000,"name":"x"}
{"v":1,"after_ns":200,"type":"start","id":"a"}
{"v":1,"after_ns":250,"type":"start","id":"b"}
{"v":1,"after_ns":300,"type":"finish"}
{"v":1,"after_ns":900,"type":"finish"}
{"v":1,"after_ns":950,"type":"run-end"}
"#;
        let times = of_events(events).unwrap();
        assert_eq!(
            times.first_start,
            SystemTime::UNIX_EPOCH + Duration::from_nanos(1200)
        );
        assert_eq!(times.phase, Duration::from_nanos(700));
        assert_eq!(
            of_events("{\"type\":\"run-start\",\"after_ns\":1,\"started_ns\":1}\n"),
            None
        );
    }

    #[test]
    fn the_output_of_other_runners_is_parsed() {
        let nextest =
            "   PASS [   0.003s] a b\n------------\n     Summary [   2.472s] 321 tests run: 321 passed\n";
        assert_eq!(of_nextest(nextest), Some(Duration::from_millis(2472)));
        let cargo = "test result: ok. 3 passed; 0 failed; finished in 0.05s\n\ntest a ... ok\n\
            test result: ok. 1 passed; 0 failed; finished in 1.20s\n";
        assert_eq!(of_cargo_test(cargo), Some(Duration::from_millis(1250)));
        assert_eq!((of_nextest(""), of_cargo_test("")), (None, None));
    }

    #[test]
    fn a_ratio_is_the_median_of_pairs_and_kept_at_its_limit() {
        // The ratio of the separate medians would be different: in the second round the machine was
        // slow for both.
        let ours = [
            sample(Some(400), 100, 1000),
            sample(Some(1000), 300, 3000),
            sample(Some(1000), 100, 1100),
        ];
        let theirs = [
            sample(None, 100, 1000),
            sample(None, 400, 2900),
            sample(None, 90, 1000),
        ];
        let lines = Figures::new(vec![(OURS, &ours), (NEXTEST, &theirs)], 10).lines();
        assert_eq!(
            &lines[3..],
            [
                "xtask test, tests, beside nextest: 1.00 ×, budget ≤ 1.0 ×, kept",
                "xtask test, whole command, beside nextest: 1.03 ×, budget ≤ 1.0 ×, MISSED",
                "first test after 1.00 s, budget ≤ 1 s, kept",
            ]
        );
        assert_eq!(
            lines[1].split_whitespace().collect::<Vec<_>>().join(" "),
            "xtask test 0.10 s 10.00 ms 1.10 s 1.00 s"
        );
    }

    #[test]
    fn an_earlier_runner_is_compared_with_this_one_and_with_nextest() {
        let of = |millis| [sample(None, millis, 2 * millis)];
        let (ours, theirs, before) = (of(100), of(200), of(150));
        let lines = Figures::new(vec![(OURS, &ours), (NEXTEST, &theirs), (BEFORE, &before)], 10).lines();
        assert_eq!(
            lines[6],
            "tests, beside before: 0.67 ×; before beside nextest: 0.75 ×"
        );
        let alone = Figures::new(vec![(OURS, &ours), (BEFORE, &before)], 10).lines();
        assert_eq!(alone[4], "whole command, beside before: 0.67 ×");
    }

    #[test]
    fn without_nextest_there_is_no_ratio() {
        let ours = [sample(Some(400), 100, 1000)];
        assert_eq!(Figures::new(vec![(OURS, &ours)], 10).lines().len(), 3);
    }
}
