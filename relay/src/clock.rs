//! Time: the only file of this crate that reads a clock or sleeps.
//!
//! The age of entries is measured by an injected [`Clock`], so that a test can advance it by ten
//! minutes at once. Deadlines of connections are tokio's timers and not injected. The relay never
//! uses wall time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, Interval};

/// A cheap handle to monotonic time.
#[derive(Debug, Clone)]
pub struct Clock {
    source: Source,
}

#[derive(Debug, Clone)]
enum Source {
    System { origin: Instant },
    Manual { elapsed_nanos: Arc<AtomicU64> },
}

impl Clock {
    /// The clock of this machine.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the file that reads the clock")]
    pub fn system() -> Self {
        let source = Source::System {
            origin: Instant::now(),
        };
        Self { source }
    }

    /// Time since a fixed moment in the past; never goes back.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the file that asks")]
    pub fn now(&self) -> Duration {
        match &self.source {
            Source::System { origin } => origin.elapsed(),
            Source::Manual { elapsed_nanos } => Duration::from_nanos(elapsed_nanos.load(Ordering::SeqCst)),
        }
    }
}

/// Ticks at once, and then whenever this much time has passed; the period is not zero.
#[expect(clippy::disallowed_methods, reason = "this is the file that pauses")]
pub(crate) fn ticks(period: Duration) -> Interval {
    tokio::time::interval(period)
}

/// A clock that moves only when it is advanced; for tests, those of other crates included.
#[derive(Debug, Clone, Default)]
pub struct ManualClock {
    elapsed_nanos: Arc<AtomicU64>,
}

impl ManualClock {
    /// A clock at zero.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A handle that follows this clock.
    #[must_use]
    pub fn clock(&self) -> Clock {
        let elapsed_nanos = Arc::clone(&self.elapsed_nanos);
        Clock {
            source: Source::Manual { elapsed_nanos },
        }
    }

    /// Moves time forward for every handle.
    pub fn advance(&self, by: Duration) {
        let nanos = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        self.elapsed_nanos.fetch_add(nanos, Ordering::SeqCst);
    }
}

/// Waits for the system to recover, where it offers no event to wait for.
#[expect(clippy::disallowed_methods, reason = "this is the file that may sleep")]
pub(crate) async fn pause(duration: Duration) {
    tokio::time::sleep(duration).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_handle_follows_the_manual_clock() {
        let manual = ManualClock::new();
        let (first, second) = (manual.clock(), manual.clock().clone());
        manual.advance(Duration::from_secs(3));
        assert_eq!(first.now(), Duration::from_secs(3));
        assert_eq!(second.now(), first.now());
    }

    #[test]
    fn the_system_clock_never_goes_back() {
        let clock = Clock::system();
        let earlier = clock.now();
        assert!(clock.now() >= earlier);
    }
}
