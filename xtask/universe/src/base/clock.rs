//! The only file of the runner, and of xtask, that reads a clock or waits for one.
//!
//! Deadlines are monotonic; the wall clock serves only to label runs and reports.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::base::limits::{DURATION_MAX, DURATION_MIN};

/// The monotonic clock.
#[expect(clippy::disallowed_methods, reason = "all other code calls this clock")]
pub fn now() -> Instant {
    Instant::now()
}

/// The wall clock.
#[expect(clippy::disallowed_methods, reason = "all other code calls this clock")]
pub fn wall() -> SystemTime {
    SystemTime::now()
}

/// Returns when `deadline` has passed; never returns without one.
#[expect(clippy::disallowed_methods, reason = "all other code calls this clock")]
pub(crate) async fn passed(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

/// Returns after `duration`.
#[expect(clippy::disallowed_methods, reason = "all other code calls this clock")]
pub async fn after(duration: Duration) {
    tokio::time::sleep(duration).await;
}

/// `20261124-020115`, in UTC: it sorts by time and is a valid file name.
pub(crate) fn stamp(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let (year, month, day) = civil_date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}{month:02}{day:02}-{hour:02}{minute:02}{second:02}")
}

/// Days since 1970-01-01 as (year, month, day) of the proleptic Gregorian calendar, after Howard
/// Hinnant's "chrono-compatible low-level date algorithms" (`civil_from_days`), for dates from 1970
/// on.
fn civil_date(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

/// Parses `30`, `30s`, `500ms`, `2m` and `8h`; a number alone is in seconds.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    read_duration(text).map_err(|why| format!("{why}; give a time such as `30s`, up to 366 days"))
}

fn read_duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text.get(digits.len()..).unwrap_or_default();
    let number: f64 = digits.parse().map_err(|_| {
        format!(
            "`{}` is not a number",
            if digits.is_empty() { text } else { digits }
        )
    })?;
    let seconds = match unit {
        "" | "s" => number,
        "ms" => number / 1000.0,
        "m" | "min" => number * 60.0,
        "h" => number * 3600.0,
        unit => return Err(format!("`{unit}` is not a unit; use `ms`, `s`, `m` or `h`")),
    };
    let positive = Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|duration| (DURATION_MIN..=DURATION_MAX).contains(duration));
    positive.ok_or_else(|| format!("`{text}` is not a valid duration"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_the_date_and_time_in_utc() {
        let at = |seconds| stamp(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "19700101-000000");
        assert_eq!(at(951_827_696), "20000229-123456");
        assert_eq!(at(1_795_485_675), "20261124-020115");
    }

    #[test]
    fn durations_have_units_and_are_positive() {
        assert_eq!(parse_duration("30"), Ok(Duration::from_secs(30)));
        assert_eq!(parse_duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(parse_duration("8h"), Ok(Duration::from_secs(28_800)));
        assert_eq!(parse_duration("31622400"), Ok(DURATION_MAX));
        for bad in ["", "s", "0", "-1", "1d", "1e999", "31622401s"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
        for bad in ["nan", "inf", "-s"] {
            let why = parse_duration(bad).unwrap_err();
            let expected = format!(
                "`{}` is not a number; give a time such as",
                bad.trim_end_matches("s")
            );
            assert!(why.starts_with(&expected), "{why}");
        }
        assert_eq!(DURATION_MAX.as_secs() / 86_400, 366);
    }
}
