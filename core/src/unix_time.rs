//! Times of files as the catalog has them: nanoseconds since 1970, negative before that.
//!
//! A time that is too far from 1970 to be counted in an `i64` becomes the nearest one that can. A
//! time that the system does not have becomes 1970. Asks no clock.

use std::fs::Metadata;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// When a file was modified.
pub(crate) fn modified_ns(metadata: &Metadata) -> i64 {
    metadata.modified().map_or(0, unix_ns)
}

/// A time of the system in nanoseconds since 1970.
pub(crate) fn unix_ns(time: SystemTime) -> i64 {
    let nanos = |duration: Duration| i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => nanos(after),
        Err(before) => -nanos(before.duration()),
    }
}

/// The time that is `unix_ns` nanoseconds after 1970; 1970 where the system has no such time.
pub(crate) fn system_time(unix_ns: i64) -> SystemTime {
    let distance = Duration::from_nanos(unix_ns.unsigned_abs());
    let time = if unix_ns < 0 {
        UNIX_EPOCH.checked_sub(distance)
    } else {
        UNIX_EPOCH.checked_add(distance)
    };
    time.unwrap_or(UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_before_and_after_1970_comes_back_as_it_was() {
        for unix_ns in [i64::MIN + 1, -1, 0, 1, i64::MAX] {
            assert_eq!(super::unix_ns(system_time(unix_ns)), unix_ns);
        }
    }
}
