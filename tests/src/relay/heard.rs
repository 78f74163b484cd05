//! Every request that a relay received, kept so that a test can search them for secrets.

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use tokio::sync::watch;

/// The requests of one relay, as text. Clones are handles to the same list.
#[derive(Debug, Clone, Default)]
pub(crate) struct Heard {
    requests: watch::Sender<Vec<String>>,
}

impl Heard {
    /// Wraps the relay's router.
    pub(crate) fn wrap(&self, router: Router) -> Router {
        router.layer(from_fn_with_state(self.clone(), listen))
    }

    /// Every request so far: its line, its headers, its body.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.borrow().clone()
    }

    /// The list, to watch for new requests.
    pub(crate) fn watch(&self) -> watch::Receiver<Vec<String>> {
        self.requests.subscribe()
    }
}

async fn listen(State(heard): State<Heard>, request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let body = body.to_bytes();
    let text = String::from_utf8_lossy(&body);
    let told = format!("{} {}\n{:?}\n{text}", head.method, head.uri, head.headers);
    heard.requests.send_modify(|requests| requests.push(told));
    next.run(Request::from_parts(head, Body::from(body))).await
}
