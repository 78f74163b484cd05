//! The options for process ownership, leaks and time limits, their defaults, and how far limits are
//! extended on a slow machine.

use std::time::Duration;

use crate::base::clock::parse_duration;
use crate::base::limits::{GRACE, TEST_TIMEOUT};
use crate::machine::calibration::Factor;
use crate::sandbox::isolation::Isolation;

/// What a leak means for its test.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LeakPolicy {
    /// The runner cleans up and reports nothing
    Off,
    /// The runner cleans up and reports the leak
    #[default]
    Warn,
    /// The runner cleans up, and the test fails
    Fail,
}

impl LimitsAndLeaksArgs {
    /// The settings that differ from the defaults and may decide whether a test fails, as words of
    /// a command line.
    pub(crate) fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        let mut add = |name: &str, value: String| words.extend([name.to_owned(), value]);
        match self.isolate {
            Isolation::Auto => {}
            Isolation::Box => add("--isolate", "box".to_owned()),
            Isolation::Process => add("--isolate", "process".to_owned()),
        }
        if self.leaks == LeakPolicy::Fail {
            add("--leaks", "fail".to_owned());
        }
        if self.timeout != TEST_TIMEOUT {
            add("--timeout", seconds(self.timeout));
        }
        words
    }
}

/// As a value on a command line, in the form in which a person types it.
fn seconds(duration: Duration) -> String {
    format!("{}s", duration.as_secs_f64())
}

/// The options.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Ownership and time")]
pub(crate) struct LimitsAndLeaksArgs {
    /// Isolate the tests from the rest of the machine
    #[arg(
        long,
        value_name = "HOW",
        value_enum,
        default_value_t,
        env = "XTASK_TEST_ISOLATE"
    )]
    pub(crate) isolate: Isolation,
    /// Choose what happens when a test leaves processes, sockets, mounts or files behind
    #[arg(
        long,
        value_name = "POLICY",
        value_enum,
        default_value_t,
        env = "XTASK_TEST_LEAKS"
    )]
    pub(crate) leaks: LeakPolicy,
    /// End a test that runs longer than this, with everything it started; on a slow machine all
    /// limits are extended
    #[arg(
        long,
        value_name = "TIME",
        default_value = seconds(TEST_TIMEOUT),
        value_parser = parse_duration,
        env = "XTASK_TEST_TIMEOUT"
    )]
    pub(crate) timeout: Duration,
    /// Report a test as slow when it has run this long, again after each further interval of this
    /// length, and at the end
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_duration, env = "XTASK_TEST_SLOW")]
    pub(crate) slow: Duration,
    /// Wait this long between asking a test to end (TERM) and killing it
    #[arg(
        long,
        value_name = "TIME",
        default_value = seconds(GRACE),
        value_parser = parse_duration,
        env = "XTASK_TEST_GRACE"
    )]
    pub(crate) grace: Duration,
    /// End the run when the tests take longer than this in total; building does not count [default:
    /// 180s; no limit with --count, --copies, --stress or --until-fail]
    #[arg(long, value_name = "TIME", value_parser = parse_duration, env = "XTASK_TEST_GLOBAL_TIMEOUT")]
    pub(crate) global_timeout: Option<Duration>,
    /// Extend all limits by this factor; `auto` measures how slow this machine is
    #[arg(
        long,
        value_name = "FACTOR",
        default_value = "auto",
        env = "XTASK_TEST_STRETCH"
    )]
    pub(crate) stretch: Factor,
}
