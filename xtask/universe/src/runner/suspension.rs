//! Suspension with Ctrl-Z: the tests stop when the runner does, and no limit counts the time until
//! it continues.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::base::clock;
use crate::runner::execution::Owner;

/// How long the runner has been suspended so far.
#[derive(Debug, Clone)]
pub struct Pauses {
    total: watch::Receiver<Duration>,
}

impl Pauses {
    /// From now on SIGTSTP stops the runner and all tests together; must be called inside a
    /// runtime.
    ///
    /// # Errors
    /// When the signal cannot be listened to.
    pub(crate) fn follow(owner: &Arc<Owner>) -> anyhow::Result<Pauses> {
        let (sender, total) = watch::channel(Duration::ZERO);
        platform::follow(Arc::downgrade(owner), sender)?;
        Ok(Pauses { total })
    }

    /// Without any suspension.
    pub fn none() -> Pauses {
        Pauses {
            total: watch::channel(Duration::ZERO).1,
        }
    }

    /// How long the runner has been suspended so far.
    pub(crate) fn stood(&self) -> Duration {
        *self.total.borrow()
    }

    /// The time by a clock that stands still during suspensions.
    pub(crate) fn now(&self) -> Instant {
        self.by_that_clock(clock::now())
    }

    fn by_that_clock(&self, time: Instant) -> Instant {
        time.checked_sub(self.stood()).unwrap_or(time)
    }

    /// Returns when this much time has passed since `start`, without suspensions. To be called soon
    /// after `start`.
    pub(crate) async fn passed(&self, start: Instant, limit: Duration) {
        let end = self.by_that_clock(start).checked_add(limit);
        self.reached(end).await;
    }

    /// Returns when the clock that stands still during suspensions has passed `deadline`; never
    /// returns without one.
    pub(crate) async fn reached(&self, deadline: Option<Instant>) {
        let mut total = self.total.clone();
        loop {
            let stood = *total.borrow_and_update();
            let deadline = deadline.and_then(|deadline| deadline.checked_add(stood));
            tokio::select! {
                () = clock::passed(deadline) => return,
                changed = total.changed() => if changed.is_err() {
                    return clock::passed(deadline).await;
                }
            }
        }
    }
}

#[cfg(unix)]
mod platform {
    use super::{Duration, Owner, Weak, clock, watch};
    use anyhow::Context;
    use tokio::signal::unix::{SignalKind, signal};

    pub(super) fn follow(owner: Weak<Owner>, total: watch::Sender<Duration>) -> anyhow::Result<()> {
        let stop = SignalKind::from_raw(rustix::process::Signal::TSTP.as_raw());
        let mut stops = signal(stop).context("could not listen to SIGTSTP")?;
        tokio::spawn(async move {
            while stops.recv().await.is_some() {
                let Some(owner) = owner.upgrade() else { return };
                owner.suspend();
                let start = clock::now();
                // Returns when SIGCONT arrives.
                rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::STOP).ok();
                total.send_modify(|total| *total += clock::now() - start);
                owner.resume();
            }
        });
        Ok(())
    }
}

#[cfg(not(unix))]
mod platform {
    use super::{Duration, Owner, Weak, watch};

    /// On this system there is no suspension.
    pub(super) fn follow(_: Weak<Owner>, _: watch::Sender<Duration>) -> anyhow::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_time_of_a_suspension_does_not_count() {
        let (sender, total) = watch::channel(Duration::ZERO);
        let (pauses, start, limit) = (Pauses { total }, clock::now(), Duration::from_millis(60));
        let stand_still = async {
            tokio::task::yield_now().await;
            sender.send_modify(|total| *total += limit);
        };
        tokio::join!(pauses.passed(start, limit), stand_still);
        assert!(clock::now() - start >= 2 * limit);
    }

    #[tokio::test]
    async fn the_suspension_clock_shows_less() {
        let (sender, total) = watch::channel(Duration::ZERO);
        let (pauses, pause) = (Pauses { total }, Duration::from_secs(600));
        let before = pauses.now();
        sender.send_modify(|total| *total += pause);
        assert_eq!(pauses.stood(), pause);
        assert!(pauses.now() < before);
        pauses.reached(before.checked_sub(pause)).await;
    }
}
