//! Waiting: the only file of the tests that may sleep or read the clock.
//!
//! A wait ends when its condition holds. The condition is checked again whenever something changed,
//! not at intervals. Only wrong code reaches the generous limit; the failure then shows the last
//! state seen. Nothing here knows the conditions.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use crate::failure::{Caller, fail};

/// How long a wait may last before the test fails. Only wrong code (or a stalled machine) reaches
/// it.
pub const WAIT_MAX: Duration = Duration::from_secs(15);
/// How long another program may run that makes many calls on a mount.
const PROGRAM_MAX: Duration = Duration::from_secs(25);
/// How often to check a condition whose change causes no event (a socket that the kernel releases,
/// a task that ends).
const POLL_EVERY: Duration = Duration::from_millis(1);

/// The outcome of checking a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look<T> {
    /// The condition holds.
    Ready(T),
    /// Not yet; the current state instead.
    NotYet(String),
    /// It will never hold; the reason.
    Never(String),
}

/// Waits until `look` is ready, and calls it again each time `changed` completes. Fails the test at
/// `at` after [`WAIT_MAX`].
///
/// `changed` must be subscribed before the first call of `look`, or a change between the two is
/// lost.
pub async fn wait_for<T>(
    at: Caller,
    what: &str,
    changed: impl AsyncFnMut(),
    look: impl AsyncFnMut() -> Look<T>,
) -> T {
    match wait_within(WAIT_MAX, changed, look).await {
        Ok(value) => value,
        Err(why) => fail(at, format_args!("waited for {what}, {why}")),
    }
}

/// Waits for a condition whose change causes no event: calls `look` every millisecond.
pub async fn poll<T>(at: Caller, what: &str, mut look: impl FnMut() -> Look<T>) -> T {
    wait_for(at, what, async || pause(POLL_EVERY).await, async || look()).await
}

/// The same for a check that itself takes time, such as one of a mount: the kernel reports no event
/// when its caches expire.
pub async fn poll_for<T>(at: Caller, what: &str, look: impl AsyncFnMut() -> Look<T>) -> T {
    wait_for(at, what, async || pause(POLL_EVERY).await, look).await
}

/// Waits for another program to exit. Fails the test at `at` if it does not.
pub async fn complete_program<T>(at: Caller, what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PROGRAM_MAX, future).await {
        Ok(value) => value,
        Err(_) => fail(at, format_args!("waited for {what}, but not in {PROGRAM_MAX:?}")),
    }
}

/// Waits for a future that must complete by itself. Fails the test at `at` if it does not.
pub async fn complete<T>(at: Caller, what: &str, future: impl Future<Output = T>) -> T {
    match in_time(future).await {
        Some(value) => value,
        None => fail(at, format_args!("waited for {what}, but not in {WAIT_MAX:?}")),
    }
}

/// The output of the future, or `None` if it does not complete in time.
pub(crate) async fn in_time<T>(future: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(WAIT_MAX, future).await.ok()
}

/// Why a wait ended without its condition, as the end of a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
enum GaveUp {
    Late { limit: Duration, seen: String },
    Never(String),
}

impl fmt::Display for GaveUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GaveUp::Late { limit, seen } => write!(f, "but not in {limit:?}; last seen: {seen}"),
            GaveUp::Never(why) => write!(f, "which can't happen any more: {why}"),
        }
    }
}

async fn wait_within<T>(
    limit: Duration,
    mut changed: impl AsyncFnMut(),
    mut look: impl AsyncFnMut() -> Look<T>,
) -> Result<T, GaveUp> {
    let end = now() + limit;
    loop {
        let seen = match look().await {
            Look::Ready(value) => return Ok(value),
            Look::Never(why) => return Err(GaveUp::Never(why)),
            Look::NotYet(seen) => seen,
        };
        if tokio::time::timeout_at(end, changed()).await.is_err() {
            return Err(GaveUp::Late { limit, seen });
        }
    }
}

/// The time by the clock that waits use.
#[expect(clippy::disallowed_methods, reason = "this file is the clock of the tests")]
pub fn now() -> Instant {
    Instant::now()
}

/// Sleeps, to simulate a delay (a slow link, a slow relay), never to wait for an effect.
#[expect(clippy::disallowed_methods, reason = "this file is the clock of the tests")]
pub(crate) async fn pause(duration: Duration) {
    tokio::time::sleep(duration).await;
}

/// Sleeps until `instant`.
#[expect(clippy::disallowed_methods, reason = "this file is the clock of the tests")]
pub(crate) async fn pause_until(instant: Instant) {
    tokio::time::sleep_until(instant).await;
}

#[cfg(test)]
mod tests {
    use std::panic::Location;

    use tokio::sync::watch;

    use super::*;

    const SHORT: Duration = Duration::from_millis(5);

    #[tokio::test]
    async fn a_change_ends_the_wait() {
        let (sender, mut receiver) = watch::channel(1);
        let watched = receiver.clone();
        let look = async || match *watched.borrow() {
            3 => Look::Ready("three"),
            other => Look::NotYet(format!("{other}")),
        };
        let waiting = wait_for(
            Location::caller(),
            "three",
            async || receiver.changed().await.unwrap(),
            look,
        );
        let (found, ()) = tokio::join!(waiting, async { sender.send(3).unwrap() });
        assert_eq!(found, "three");
    }

    #[tokio::test]
    async fn a_wait_that_times_out_reports_the_last_state() {
        let red = async || Look::<()>::NotYet("red".into());
        let gave_up = wait_within(SHORT, async || std::future::pending().await, red)
            .await
            .unwrap_err();
        assert_eq!(gave_up.to_string(), "but not in 5ms; last seen: red");
    }

    #[tokio::test]
    #[should_panic(expected = "waited for bob, which can't happen any more: he left")]
    async fn a_wait_for_an_impossible_condition_fails_at_once() {
        poll::<()>(Location::caller(), "bob", || Look::Never("he left".into())).await;
    }
}
