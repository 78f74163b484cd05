//! Ctrl-Z and its end: the tests stop when we do, and the time until we go on counts for no limit.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::base::clock;
use crate::runner::execution::Owner;

/// How long we have stood still so far.
#[derive(Debug, Clone)]
pub struct Pauses {
    total: watch::Receiver<Duration>,
}

impl Pauses {
    /// From now on we stop as a whole when we are asked to (SIGTSTP); must be called inside a
    /// runtime.
    ///
    /// # Errors
    /// When the signal cannot be listened to.
    pub(crate) fn follow(owner: &Arc<Owner>) -> anyhow::Result<Pauses> {
        let (sender, total) = watch::channel(Duration::ZERO);
        platform::follow(Arc::downgrade(owner), sender)?;
        Ok(Pauses { total })
    }

    /// Without any.
    pub fn none() -> Pauses {
        Pauses {
            total: watch::channel(Duration::ZERO).1,
        }
    }

    /// How long we have stood still so far.
    pub(crate) fn stood(&self) -> Duration {
        *self.total.borrow()
    }

    /// The time, by a clock that stands still while we do.
    pub(crate) fn now(&self) -> Instant {
        self.by_that_clock(clock::now())
    }

    fn by_that_clock(&self, time: Instant) -> Instant {
        time.checked_sub(self.stood()).unwrap_or(time)
    }

    /// Returns when so much time has passed since `start`, in which we did not stand still. To be
    /// called soon after.
    pub(crate) async fn passed(&self, start: Instant, limit: Duration) {
        let end = self.by_that_clock(start).checked_add(limit);
        self.reached(end).await;
    }

    /// Returns when that clock, which stands still while we do, has passed `deadline`; never,
    /// without one.
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
                // Returns when somebody sends us SIGCONT.
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

    /// Nobody asks for it here.
    pub(super) fn follow(_: Weak<Owner>, _: watch::Sender<Duration>) -> anyhow::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_time_in_which_we_stood_still_does_not_count() {
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
    async fn a_clock_that_stands_still_with_us_shows_less() {
        let (sender, total) = watch::channel(Duration::ZERO);
        let (pauses, pause) = (Pauses { total }, Duration::from_secs(600));
        let before = pauses.now();
        sender.send_modify(|total| *total += pause);
        assert_eq!(pauses.stood(), pause);
        assert!(pauses.now() < before);
        pauses.reached(before.checked_sub(pause)).await;
    }
}
