//! The routes: each turns a request into an [`Answer`], through the store.
//!
//! Decides nothing about statuses ([`crate::answer`]) and nothing about connections
//! ([`crate::connection`]).

use std::any::Any;
use std::collections::HashSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::set_header::SetResponseHeaderLayer;

use crate::answer::{Answer, Refusal};
use crate::api::{FETCH_PATH, HEALTH_PATH, REGISTER_PATH, Source};
use crate::arrivals::{Arrivals, wait_wanted};
use crate::body::read_blob;
use crate::limits::Limits;
use crate::store::{OnTaken, Registration, Store, StoreError, Withdrawal};
use crate::token::LookupToken;

/// What every request needs.
#[derive(Clone)]
struct Desk {
    store: Arc<dyn Store>,
    arrivals: Arc<Arrivals>,
    /// Cancelled when the relay stops: then nothing waits any more.
    stop: CancellationToken,
    limits: Arc<Limits>,
    /// The only tokens that are served; `None` serves all.
    only: Option<Arc<HashSet<LookupToken>>>,
}

/// The routes of the API for the tokens `only`, or for all, without what [`enclose`] adds. Nothing
/// waits after `stop`.
pub(crate) fn api(
    store: Arc<dyn Store>,
    limits: Arc<Limits>,
    only: Option<HashSet<LookupToken>>,
    stop: CancellationToken,
) -> Router {
    let desk = Desk {
        store,
        arrivals: Arc::default(),
        stop,
        limits,
        only: only.map(Arc::new),
    };
    Router::new()
        .route(REGISTER_PATH, post(register).delete(withdraw))
        .route(FETCH_PATH, get(fetch))
        .route(HEALTH_PATH, get(health))
        .fallback(async || Refusal::UnknownPath)
        .method_not_allowed_fallback(async || Refusal::MethodNotAllowed)
        .with_state(desk)
}

/// Answers every request with 503: for connections beyond the limit.
pub(crate) fn refuse_all(limits: &Limits) -> Router {
    let (limit, retry_after) = (limits.connection_count_max, limits.retry_after);
    enclose(Router::new().fallback(async move || Refusal::TooManyConnections { limit, retry_after }))
}

/// Adds what applies to every answer: it is logged, a panic fails only its request, and no cache
/// may keep it.
pub(crate) fn enclose(router: Router) -> Router {
    router
        .layer(CatchPanicLayer::custom(panicked))
        .layer(SetResponseHeaderLayer::overriding(
            CACHE_CONTROL,
            HeaderValue::from_static("no-store"),
        ))
        .layer(from_fn(log))
}

async fn register(
    State(desk): State<Desk>,
    Extension(source): Extension<Source>,
    headers: HeaderMap,
    body: Body,
) -> Result<Answer, Refusal> {
    let token = LookupToken::from_headers(&headers)?;
    if !desk.serves(&token) {
        return Err(Refusal::TokenNotServed);
    }
    let on_taken = on_taken(&headers)?;
    let blob = read_blob(body, &desk.limits).await?;
    let registration = Registration {
        token: token.clone(),
        blob,
        source,
        on_taken,
    };
    let registered = desk.store.register(registration).await;
    registered.map_err(|error| desk.refuse(error))?;
    desk.arrivals.announce(&token);
    Ok(Answer::Registered)
}

async fn fetch(State(desk): State<Desk>, headers: HeaderMap) -> Result<Answer, Refusal> {
    let token = LookupToken::from_headers(&headers)?;
    let wait = Duration::from_secs(wait_wanted(&headers)).min(desk.limits.fetch_wait_max);
    // A time limit of zero still looks once.
    let fetching = timeout(wait, desk.stop.run_until_cancelled(desk.arrival(&token)));
    match fetching.await {
        Ok(Some(fetched)) => Ok(Answer::Found(fetched?)),
        Ok(None) | Err(_) => Err(Refusal::UnknownToken),
    }
}

async fn withdraw(State(desk): State<Desk>, headers: HeaderMap) -> Result<Answer, Refusal> {
    let token = LookupToken::from_headers(&headers)?;
    let withdrawn = desk.store.withdraw(&token).await;
    match withdrawn.map_err(|error| desk.refuse(error))? {
        Withdrawal::Removed => Ok(Answer::Withdrawn),
        Withdrawal::Unknown => Err(Refusal::UnknownToken),
    }
}

/// A full relay is unhealthy, though it still answers for the entries it holds.
async fn health(State(desk): State<Desk>) -> Result<Answer, Refusal> {
    let room = desk.store.check_room().await;
    room.map(|()| Answer::Healthy).map_err(|error| desk.refuse(error))
}

impl Desk {
    /// The blob under `token`, as soon as there is one.
    async fn arrival(&self, token: &LookupToken) -> Result<String, Refusal> {
        loop {
            let mut arrived = pin!(self.arrivals.next(token));
            // What is registered while the store is asked counts.
            arrived.as_mut().enable();
            let fetched = self.store.fetch(token).await;
            if let Some(blob) = fetched.map_err(|error| self.refuse(error))? {
                return Ok(blob);
            }
            arrived.await;
        }
    }

    /// Whether this relay takes registrations of that token.
    fn serves(&self, token: &LookupToken) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(token))
    }

    fn refuse(&self, error: StoreError) -> Refusal {
        Refusal::Store {
            error,
            retry_after: self.limits.retry_after,
        }
    }
}

/// What `If-None-Match` asks for (RFC 9110, section 13.1.2).
fn on_taken(headers: &HeaderMap) -> Result<OnTaken, Refusal> {
    let mut values = headers.get_all(IF_NONE_MATCH).iter();
    match (values.next().map(HeaderValue::as_bytes), values.next()) {
        (None, _) => Ok(OnTaken::Replace),
        (Some(b"*"), None) => Ok(OnTaken::Refuse),
        _ => Err(Refusal::UnknownCondition),
    }
}

fn panicked(_: Box<dyn Any + Send + 'static>) -> Response {
    tracing::error!("a request handler panicked");
    Refusal::Panicked.into_response()
}

/// Logs one line per request: the method, the path and the status. An unknown path or method is not
/// logged, because it could be a misplaced token.
async fn log(request: Request, next: Next) -> Response {
    let path = [REGISTER_PATH, FETCH_PATH, HEALTH_PATH]
        .into_iter()
        .find(|path| *path == request.uri().path())
        .unwrap_or("(other)");
    let method = [Method::GET, Method::POST, Method::DELETE]
        .into_iter()
        .find(|method| method == request.method());
    let response = next.run(request).await;
    let method = method.as_ref().map_or("(other)", Method::as_str);
    tracing::info!(method, path, status = response.status().as_u16(), "answered");
    response
}
