//! Waiting, with a limit that only wrong code reaches. The only file here that may sleep.

use std::pin::pin;
use std::time::Duration;

/// Far beyond what a loaded machine needs.
const LIMIT: Duration = Duration::from_secs(30);

/// The output of `future`; panics with `what` if that takes too long.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(LIMIT, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what}: still not after {LIMIT:?}"),
    }
}

/// Calls `ask` until it returns `true`. Each `ask` must itself wait for something: a reply, a
/// connection.
pub(crate) async fn until(what: &str, mut ask: impl AsyncFnMut() -> bool) {
    let asking = async {
        while !ask().await {
            tokio::task::yield_now().await;
        }
    };
    soon(what, asking).await;
}

/// Repeats `act` at intervals until `end` completes.
#[expect(clippy::disallowed_methods, reason = "this is the file that waits")]
pub(crate) async fn dripping<T>(mut act: impl AsyncFnMut(), end: impl Future<Output = T>) -> T {
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    let mut end = pin!(end);
    let acting = async {
        loop {
            tokio::select! {
                ended = &mut end => return ended,
                _ = ticks.tick() => act().await,
            }
        }
    };
    soon("the end of a dripping request", acting).await
}
