//! Faults of a relay, as a tower layer around the real router, so that production code has no test
//! hooks.
//!
//! Each request uses up one counted fault (`fail_next`, …), in the order in which the test added
//! them. A stall lasts until its guard is dropped. The layer gets every request before the relay
//! does, and knows no routes.

use std::collections::VecDeque;
use std::io::Cursor;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use tokio::sync::watch;
use tokio_util::codec::{BytesCodec, FramedRead};

use crate::failure::Caller;
use crate::wait::{Look, wait_for};

/// The faults of one relay. Clones are handles to the same faults.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    state: Arc<FaultState>,
}

#[derive(Debug, Default)]
struct FaultState {
    next: Mutex<VecDeque<Fault>>,
    seen: watch::Sender<Seen>,
}

/// What the layer does to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Status(StatusCode),
    CutAnswer,
    Garbage,
}

/// The counts of the layer so far.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    requests: u64,
    stalls: u32,
    waiting: u32,
}

impl Faults {
    /// Wraps the relay's router. The relay applies this when it starts.
    pub fn wrap(&self, router: Router) -> Router {
        router.layer(from_fn_with_state(self.clone(), interfere))
    }

    /// Answers the next `count` requests with `status`; they don't reach the relay.
    pub fn fail_next(&self, count: usize, status: StatusCode) {
        self.plan(count, Fault::Status(status));
    }

    /// Breaks the connection in the middle of the relay's next `count` answers.
    pub fn cut_next_answers(&self, count: usize) {
        self.plan(count, Fault::CutAnswer);
    }

    /// Answers the next `count` requests with 200 and a body that is not JSON.
    pub fn answer_garbage(&self, count: usize) {
        self.plan(count, Fault::Garbage);
    }

    /// Holds every request until the guard is dropped.
    pub fn stall(&self) -> Stall {
        self.state.seen.send_modify(|seen| seen.stalls += 1);
        Stall { faults: self.clone() }
    }

    /// How many requests arrived since the relay started.
    pub fn request_count(&self) -> u64 {
        self.state.seen.borrow().requests
    }

    fn plan(&self, count: usize, fault: Fault) {
        self.queue().extend(std::iter::repeat_n(fault, count));
    }

    fn queue(&self) -> std::sync::MutexGuard<'_, VecDeque<Fault>> {
        self.state.next.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Holds a request while a stall lasts; a request whose client gives up no longer counts as
    /// waiting.
    async fn wait_out_stalls(&self) {
        let mut seen = self.state.seen.subscribe();
        if seen.borrow_and_update().stalls == 0 {
            return;
        }
        let _waiting = Waiting::begin(self);
        // The sender is in `self`, so this can't fail.
        drop(seen.wait_for(|seen| seen.stalls == 0).await);
    }
}

/// While this exists, the relay answers no request.
#[derive(Debug)]
#[must_use = "the stall ends when this is dropped"]
pub struct Stall {
    faults: Faults,
}

impl Stall {
    /// Waits until `count` requests hang.
    #[track_caller]
    pub fn holds(&self, count: u32) -> impl Future<Output = ()> {
        let at: Caller = std::panic::Location::caller();
        let mut changes = self.faults.state.seen.subscribe();
        let current = changes.clone();
        async move {
            let look = async || match current.borrow().waiting {
                waiting if waiting >= count => Look::Ready(()),
                waiting => Look::NotYet(format!("{waiting} requests hang")),
            };
            let changed = async || drop(changes.changed().await);
            wait_for(at, "requests that hang at the relay", changed, look).await;
        }
    }

    /// Lets everything through again.
    pub fn release(self) {
        drop(self);
    }
}

impl Drop for Stall {
    fn drop(&mut self) {
        self.faults.state.seen.send_modify(|seen| seen.stalls -= 1);
    }
}

/// One request that waits out a stall.
struct Waiting<'a>(&'a Faults);

impl<'a> Waiting<'a> {
    fn begin(faults: &'a Faults) -> Self {
        faults.state.seen.send_modify(|seen| seen.waiting += 1);
        Waiting(faults)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.state.seen.send_modify(|seen| seen.waiting -= 1);
    }
}

async fn interfere(State(faults): State<Faults>, request: Request, next: Next) -> Response {
    faults.state.seen.send_modify(|seen| seen.requests += 1);
    faults.wait_out_stalls().await;
    let fault = faults.queue().pop_front();
    match fault {
        None => next.run(request).await,
        Some(Fault::Status(status)) => status.into_response(),
        Some(Fault::Garbage) => (StatusCode::OK, "\u{0}garbage, {not json").into_response(),
        Some(Fault::CutAnswer) => cut_in_half(next.run(request).await).await,
    }
}

/// Announces the whole body and sends half of it. The server then breaks the connection, because
/// the announced length can no longer be right.
async fn cut_in_half(response: Response) -> Response {
    let (mut head, body) = response.into_parts();
    let Ok(collected) = body.collect().await else {
        return head.into_response();
    };
    let whole = collected.to_bytes();
    // The announced length is at least one byte too long, even if the real answer is empty.
    head.headers
        .insert(CONTENT_LENGTH, HeaderValue::from(whole.len().max(1)));
    let half = whole.slice(..whole.len() / 2);
    let stream = FramedRead::new(Cursor::new(half), BytesCodec::new());
    Response::from_parts(head, Body::from_stream(stream))
}

#[cfg(test)]
mod tests {
    use std::panic::Location;

    use axum::routing::get;
    use tower::ServiceExt;

    use super::*;
    use crate::wait;

    /// A router with one route and faults.
    fn router(faults: &Faults) -> Router {
        faults.wrap(Router::new().route("/", get(async || "the whole answer")))
    }

    async fn ask(router: &Router) -> (StatusCode, String) {
        let response = router.clone().oneshot(Request::new(Body::empty())).await.unwrap();
        let (head, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        (head.status, String::from_utf8_lossy(&bytes).into_owned())
    }

    #[tokio::test]
    async fn counted_faults_are_used_up_in_order() {
        let faults = Faults::default();
        let router = router(&faults);
        faults.fail_next(1, StatusCode::SERVICE_UNAVAILABLE);
        faults.answer_garbage(1);
        assert_eq!(ask(&router).await.0, StatusCode::SERVICE_UNAVAILABLE);
        assert!(ask(&router).await.1.contains("garbage"));
        assert_eq!(ask(&router).await, (StatusCode::OK, "the whole answer".into()));
        assert_eq!(faults.request_count(), 3);
    }

    #[tokio::test]
    async fn a_stall_holds_requests_until_it_is_released() {
        let faults = Faults::default();
        let router = router(&faults);
        let stall = faults.stall();
        let asking = tokio::spawn(async move { ask(&router).await.1 });
        stall.holds(1).await;
        assert!(!asking.is_finished());
        stall.release();
        let answer = wait::complete(Location::caller(), "the answer", asking)
            .await
            .unwrap();
        assert_eq!(answer, "the whole answer");
    }
}
