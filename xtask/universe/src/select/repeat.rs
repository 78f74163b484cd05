//! How often tests run: rounds, copies, retries. The options, and their combined meaning.
//!
//! Only describes the request; `runner` executes it.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::base::clock::parse_duration;
use crate::base::exit::{Exit, Stop};
use crate::base::failure_kind::FailureKind;
use crate::base::text::{counted, positive, whole};

/// Run tests more than once
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Repeat")]
pub(crate) struct RepeatArgs {
    /// Run every test N times
    #[arg(long, value_name = "N", value_parser = positive::<NonZeroU32>, env = "XTASK_TEST_COUNT")]
    count: Option<NonZeroU32>,
    /// Run N copies of each test concurrently (fewer where group or exclusivity limits apply)
    #[arg(long, value_name = "N", value_parser = positive::<NonZeroU32>, default_value = "1")]
    copies: NonZeroU32,
    /// Repeat the tests until this much time has passed; each runs at least once
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    stress: Option<Duration>,
    /// Repeat the tests until one fails, within the limits of --count and --stress
    #[arg(long)]
    until_fail: bool,
    /// Retry a test that failed or timed out, up to N times
    #[arg(long, value_name = "N", value_parser = whole::<u32>, default_value_t, env = "XTASK_TEST_RETRIES")]
    retries: u32,
    /// Wait this long before each retry
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    retry_delay: Option<Duration>,
    /// What a test counts as that failed first and passed on a retry
    #[arg(
        long,
        value_name = "VERDICT",
        value_enum,
        default_value_t,
        env = "XTASK_TEST_FLAKY"
    )]
    flaky: Flaky,
}

/// The result of a test that passed only on a retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum Flaky {
    /// Passed; the report lists the failures.
    #[default]
    Pass,
    /// As failed.
    Fail,
}

/// How often tests run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Repeat {
    /// The number of rounds; `None` means unlimited.
    pub(crate) count: Option<u32>,
    /// The number of concurrent copies of each test in each round.
    pub(crate) copies: u32,
    /// Counted from the start of the first test; after it, no test starts a second time.
    pub(crate) stress: Option<Duration>,
    /// Whether the run looks for a failure; then a failure ends it.
    pub(crate) goal: Goal,
    pub(crate) retries: u32,
    pub(crate) retry_delay: Duration,
    pub(crate) flaky: Flaky,
}

/// The purpose of repetition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Goal {
    /// Every round.
    Rounds,
    /// The first failure.
    Failure,
}

impl RepeatArgs {
    /// The request, for this number of slots; `fewer` says why there are fewer slots than
    /// requested.
    ///
    /// # Errors
    /// When there are fewer slots than copies.
    pub(crate) fn parse(&self, jobs: usize, fewer: Option<String>) -> Result<Repeat, Stop> {
        let copies = self.copies.get();
        if jobs < copies as usize {
            let why = fewer.unwrap_or_else(|| {
                format!("`--jobs` allows only {jobs}\nhint: omit `--jobs`, or set it to at least {copies}")
            });
            let message = format!("`--copies {copies}` needs {copies} slots, and {why}");
            return Err(Stop::new(Exit::Usage, FailureKind::Usage, message));
        }
        Ok(Repeat {
            count: self.rounds(),
            copies,
            stress: self.stress,
            goal: if self.until_fail {
                Goal::Failure
            } else {
                Goal::Rounds
            },
            retries: self.retries,
            retry_delay: self.retry_delay.unwrap_or_default(),
            flaky: self.flaky,
        })
    }

    /// The least number of slots that is needed.
    pub(crate) fn slots(&self) -> usize {
        self.copies.get() as usize
    }

    /// Whether any test runs more than once; a retry does not count.
    pub(crate) fn is_asked_for(&self) -> bool {
        self.rounds() != Some(1) || self.copies.get() > 1
    }

    /// The request in words: `, 3 rounds, in 2 copies`. Empty for a plain run.
    pub(crate) fn words(&self) -> String {
        let mut words = Vec::new();
        match (self.rounds(), self.stress) {
            (Some(1), _) => {}
            (Some(count), _) => words.push(counted(count as usize, "round", "rounds")),
            (None, Some(_)) => {}
            (None, None) => words.push("repeatedly".to_owned()),
        }
        words.extend(self.stress.map(|time| format!("for {} s", time.as_secs_f64())));
        words.extend(self.until_fail.then(|| "until one fails".to_owned()));
        words.extend((self.copies.get() > 1).then(|| format!("in {} copies", self.copies)));
        words.extend(
            (self.retries > 0)
                .then(|| format!("with {}", counted(self.retries as usize, "retry", "retries"))),
        );
        words.iter().map(|word| format!(", {word}")).collect()
    }

    fn rounds(&self) -> Option<u32> {
        match self.count {
            Some(count) => Some(count.get()),
            None if self.stress.is_some() || self.until_fail => None,
            None => Some(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: RepeatArgs,
    }

    fn args(words: &[&str]) -> RepeatArgs {
        Line::parse_from([&["test"], words].concat()).args
    }

    #[test]
    fn by_default_every_test_runs_once() {
        let repeat = args(&[]).parse(1, None).unwrap();
        assert_eq!((repeat.count, repeat.copies, repeat.retries), (Some(1), 1, 0));
        assert!(!args(&[]).is_asked_for() && args(&[]).words().is_empty());
    }

    #[test]
    fn a_count_limits_an_otherwise_unlimited_repetition() {
        let rounds = |words: &[&str]| args(words).parse(1, None).unwrap().count;
        assert_eq!(rounds(&["--until-fail"]), None);
        assert_eq!(rounds(&["--stress", "1m"]), None);
        assert_eq!(
            rounds(&["--stress", "1m", "--until-fail", "--count", "5"]),
            Some(5)
        );
    }

    #[test]
    fn copies_need_as_many_slots() {
        let stop = args(&["--copies", "3"]).parse(2, None).unwrap_err();
        assert_eq!(stop.exit, Exit::Usage);
        assert!(stop.message.contains("hint: "));
        let stop = args(&["--copies", "3"])
            .parse(2, Some("why".to_owned()))
            .unwrap_err();
        assert_eq!(stop.message, "`--copies 3` needs 3 slots, and why");
        assert!(args(&["--copies", "3"]).parse(3, None).is_ok());
    }

    #[test]
    fn the_request_is_described_in_words() {
        let words = args(&["--stress", "2s", "--copies", "2", "--retries", "1"]).words();
        assert_eq!(words, ", for 2 s, in 2 copies, with 1 retry");
        assert_eq!(args(&["--until-fail"]).words(), ", repeatedly, until one fails");
    }
}
