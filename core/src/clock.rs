//! Time: the only file of this crate that reads a clock or sleeps.
//!
//! There are two kinds of time, which must not be mixed. *Wall time* (`unix_ms`) can jump and be
//! wrong. It is only written into records that leave this machine and compared with them; tests set
//! it by hand. *Monotonic time* (`now`) is for every deadline. It is tokio's, so that a paused
//! runtime controls it. Pure state machines take an [`Instant`] as an argument and never use this
//! file.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// A cheap handle to time. Clones of a manual clock share one wall time.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    wall: Wall,
}

#[derive(Debug, Clone, Default)]
enum Wall {
    #[default]
    System,
    Manual(Arc<AtomicU64>),
}

impl Clock {
    /// The clock of this machine.
    #[must_use]
    pub fn system() -> Self {
        Self { wall: Wall::System }
    }

    /// A clock whose wall time is `unix_ms` until it is set or advanced. Its monotonic time is
    /// still tokio's.
    #[must_use]
    pub fn manual(unix_ms: u64) -> Self {
        Self {
            wall: Wall::Manual(Arc::new(AtomicU64::new(unix_ms))),
        }
    }

    /// Wall time, in milliseconds since 1970; 0 on a machine whose clock is set to an earlier time.
    #[must_use]
    pub fn unix_ms(&self) -> u64 {
        match &self.wall {
            Wall::System => system_unix_ms(),
            Wall::Manual(unix_ms) => unix_ms.load(Ordering::SeqCst),
        }
    }

    /// Sets the wall time of a manual clock and of all its clones.
    ///
    /// # Panics
    /// On a system clock: only tests set the time, and only on a manual clock.
    pub fn set_unix_ms(&self, value: u64) {
        self.manual_wall().store(value, Ordering::SeqCst);
    }

    /// Moves the wall time of a manual clock, and of all its clones, forward.
    ///
    /// # Panics
    /// On a system clock, as in [`Clock::set_unix_ms`].
    pub fn advance(&self, by: Duration) {
        self.manual_wall().fetch_add(millis(by), Ordering::SeqCst);
    }

    /// Monotonic time, for deadlines. Under tokio's paused time it is virtual.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "only this file reads the clock")]
    pub fn now(&self) -> Instant {
        Instant::now()
    }

    /// Waits until `deadline`; returns at once if it has passed. Cancel safe.
    #[expect(clippy::disallowed_methods, reason = "this is the file that pauses")]
    pub async fn sleep_until(&self, deadline: Instant) {
        tokio::time::sleep_until(deadline).await;
    }

    fn manual_wall(&self) -> &AtomicU64 {
        match &self.wall {
            Wall::Manual(unix_ms) => unix_ms,
            Wall::System => panic!("the system clock can't be set"),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "only this file reads the clock")]
fn system_unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, millis)
}

/// Whole milliseconds.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_of_a_manual_clock_share_their_wall_time() {
        let clock = Clock::manual(1_000);
        let clone = clock.clone();
        clock.advance(Duration::from_secs(2));
        assert_eq!(clone.unix_ms(), 3_000);
        clone.set_unix_ms(7);
        assert_eq!(clock.unix_ms(), 7);
    }

    #[test]
    fn the_system_clock_is_past_2025() {
        assert!(Clock::system().unix_ms() > 1_767_225_600_000);
    }

    #[test]
    #[should_panic(expected = "the system clock can't be set")]
    fn setting_the_system_clock_panics() {
        Clock::system().set_unix_ms(0);
    }

    #[tokio::test]
    async fn a_sleep_ends_no_sooner_than_its_deadline_and_at_once_if_that_has_passed() {
        let clock = Clock::system();
        let deadline = clock.now() + Duration::from_millis(2);
        clock.sleep_until(deadline).await;
        assert!(clock.now() >= deadline);
        clock.sleep_until(deadline).await;
    }
}
