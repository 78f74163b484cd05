//! How much slower than usual this machine is at the moment: the factor by which time limits are
//! extended.
//!
//! A limit that suits a developer's machine kills good tests on a machine with a fifth of a
//! processor. Two things are measured: a quota that the system sets, and the time for a fixed unit
//! of work. Nothing here shortens limits.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::base::clock;
use crate::base::limits::{
    CALIBRATION_ATTEMPTS_MAX, CALIBRATION_USUAL, FACTOR_MAX, FACTOR_MIN, SLOWNESS_MAX, SLOWNESS_MIN,
};

/// Iterations of the unit of work.
const ROUNDS: u64 = 100_000;

/// The requested factor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Factor {
    /// Measured.
    Auto,
    /// This number.
    Fixed(f64),
}

impl FromStr for Factor {
    type Err = String;

    fn from_str(text: &str) -> Result<Factor, String> {
        if text == "auto" {
            return Ok(Factor::Auto);
        }
        let factor = text
            .parse()
            .ok()
            .filter(|factor: &f64| (FACTOR_MIN..=FACTOR_MAX).contains(factor));
        factor.map(Factor::Fixed).ok_or_else(|| {
            format!("`{text}` is neither `auto` nor a number from {FACTOR_MIN} to {FACTOR_MAX}")
        })
    }
}

impl fmt::Display for Factor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Factor::Auto => f.write_str("auto"),
            Factor::Fixed(factor) => write!(f, "{factor}"),
        }
    }
}

impl Factor {
    /// The factor to extend limits by, measured if requested; takes about as long as
    /// [`CALIBRATION_USUAL`] if it is 1.
    pub(crate) fn resolve(self) -> f64 {
        match self {
            Factor::Fixed(factor) => factor,
            Factor::Auto => decide(measure(), quota().unwrap_or(f64::INFINITY)),
        }
    }
}

/// From the time of the unit of work and the number of usable processors.
fn decide(took: Duration, processors: f64) -> f64 {
    let slowness = took.as_secs_f64() / CALIBRATION_USUAL.as_secs_f64();
    let scarcity = 1.0 / processors;
    let factor = slowness.max(scarcity);
    if factor < SLOWNESS_MIN {
        1.0
    } else {
        factor.min(SLOWNESS_MAX).round()
    }
}

/// The first result that is not slow, otherwise the shortest, so that an interruption does not
/// count.
fn measure() -> Duration {
    let once = || {
        let start = clock::now();
        std::hint::black_box((0..ROUNDS).fold(1_u64, |sum, n| sum.rotate_left(5).wrapping_mul(31) ^ n));
        clock::now() - start
    };
    let mut shortest = once();
    for _ in 1..CALIBRATION_ATTEMPTS_MAX {
        if shortest < CALIBRATION_USUAL.mul_f64(SLOWNESS_MIN) {
            break;
        }
        shortest = shortest.min(once());
    }
    shortest
}

/// How many processors the control group of this process may use on average, if that is limited.
fn quota() -> Option<f64> {
    let own = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let path = own
        .lines()
        .find_map(|line| line.strip_prefix("0::"))
        .unwrap_or("/");
    let read = |file: String| std::fs::read_to_string(file).ok();
    let version_2 = read(format!("/sys/fs/cgroup{}/cpu.max", path.trim_end_matches('/')));
    version_2.and_then(|text| share(&text)).or_else(|| {
        let file = |name| read(format!("/sys/fs/cgroup/cpu/{name}"));
        share(&format!(
            "{} {}",
            file("cpu.cfs_quota_us")?.trim(),
            file("cpu.cfs_period_us")?.trim()
        ))
    })
}

/// `QUOTA PERIOD`; `max` or a negative quota means no limit.
fn share(text: &str) -> Option<f64> {
    let (quota, period) = text.trim().split_once(' ')?;
    let (quota, period): (f64, f64) = (quota.parse().ok()?, period.parse().ok()?);
    (quota > 0.0 && period > 0.0).then(|| quota / period)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_changes_nothing_and_slowness_extends_limits() {
        assert!((decide(CALIBRATION_USUAL, f64::INFINITY) - 1.0).abs() < 1e-9);
        assert!((decide(CALIBRATION_USUAL * 19 / 10, 4.0) - 1.0).abs() < 1e-9);
        assert!((decide(CALIBRATION_USUAL * 4, 4.0) - 4.0).abs() < 1e-9);
        assert!((decide(CALIBRATION_USUAL, 0.2) - 5.0).abs() < 1e-9);
        assert!((decide(CALIBRATION_USUAL * 500, 0.01) - SLOWNESS_MAX).abs() < 1e-9);
    }

    #[test]
    fn quotas_of_both_versions_are_read() {
        assert_eq!(share("20000 100000\n"), Some(0.2));
        assert_eq!(share("max 100000"), None);
        assert_eq!(share("-1 100000"), None);
        assert_eq!(share(""), None);
    }

    #[test]
    fn a_factor_is_auto_or_a_sane_number() {
        assert_eq!("auto".parse(), Ok(Factor::Auto));
        assert_eq!("2.5".parse(), Ok(Factor::Fixed(2.5)));
        assert_eq!("0.1".parse(), Ok(Factor::Fixed(FACTOR_MIN)));
        assert_eq!("1000".parse(), Ok(Factor::Fixed(FACTOR_MAX)));
        for bad in ["", "0", "0.099", "-1", "NaN", "1000.1", "soon"] {
            assert!(bad.parse::<Factor>().is_err(), "{bad}");
        }
    }
}
