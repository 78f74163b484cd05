//! Every answer of the relay, and the one place that decides its HTTP status.
//!
//! Owns the wording of refusals and the headers that go with them. hyper answers by itself, with an
//! empty body, what never becomes a request: broken syntax (400) and too long a header (431). A
//! connection whose header is late is closed without an answer.

use std::time::Duration;

use axum::Json;
use axum::http::header::{CONNECTION, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::api::{ErrorResponse, FetchResponse};
use crate::store::StoreError;
use crate::token::TokenError;

/// How the relay answers a request.
#[derive(Debug)]
pub(crate) enum Answer {
    /// The blob is stored.
    Registered,
    /// The blob under the token.
    Found(String),
    /// The blob is gone.
    Withdrawn,
    /// The relay takes new registrations.
    Healthy,
    /// The request is refused, with the reason.
    Refused(Refusal),
}

/// Why a request is refused. No variant carries anything that the client sent, except for lengths
/// and positions.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// The token is missing or malformed.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The body, or the length it announces, is over the limit.
    #[error("the body is longer than {limit} bytes\nhint: send a smaller record")]
    BodyTooLong { limit: usize },
    /// The blob is over the limit, which no sealed record reaches.
    #[error("the blob is longer than {limit} bytes\nhint: send a sealed record, which is shorter")]
    BlobTooLong { limit: usize },
    /// The body did not arrive in time.
    #[error("the body was not complete within {} s\nhint: try again on a better line", limit.as_secs_f32())]
    BodyTimeout { limit: Duration },
    /// The body broke off, or its chunks are malformed.
    #[error("the body can't be read to its end\nhint: send `Content-Length` and that many bytes")]
    BodyBroken,
    /// The body is not the JSON that the API asks for.
    #[error("the body is not `{{\"blob\":\"…\"}}`: {kind} at line {line}, column {column}")]
    BodyMalformed {
        kind: &'static str,
        line: usize,
        column: usize,
    },
    /// The blob has no bytes.
    #[error("the blob is empty\nhint: to remove an entry send `DELETE` instead")]
    BlobEmpty,
    /// The token has no entry, or its entry has expired; clients can't tell which, on purpose.
    #[error(
        "nothing is registered under this token\nhint: entries expire; the other side may not be online yet"
    )]
    UnknownToken,
    /// The API has no such path.
    #[error("there is nothing at this path\nhint: the paths are `/register`, `/fetch` and `/health`")]
    UnknownPath,
    /// The path exists but doesn't take this method.
    #[error("this path doesn't take that method\nhint: the header `Allow` lists those it takes")]
    MethodNotAllowed,
    /// The relay takes registrations only of the tokens that it was started for.
    #[error("this relay does not serve that token\nhint: it serves one invitation; check the code")]
    TokenNotServed,
    /// `If-None-Match` with something else than `*`.
    #[error("`If-None-Match` is not `*`, the only condition that a registration can have")]
    UnknownCondition,
    /// The store is full, this source has used up its share, or the token is taken.
    #[error("{error}")]
    Store {
        error: StoreError,
        retry_after: Duration,
    },
    /// The relay serves the maximum number of connections.
    #[error("the relay serves {limit} connections already\nhint: try again later or use another relay")]
    TooManyConnections { limit: usize, retry_after: Duration },
    /// A bug of the relay; only this request failed.
    #[error("the relay failed at this request\nhint: this is a bug of the relay; its log says more")]
    Panicked,
}

impl Answer {
    /// The only place that decides a status.
    fn status(&self) -> StatusCode {
        match self {
            Self::Registered => StatusCode::CREATED,
            Self::Found(_) | Self::Healthy => StatusCode::OK,
            Self::Withdrawn => StatusCode::NO_CONTENT,
            Self::Refused(refusal) => match refusal {
                Refusal::BodyBroken
                | Refusal::BodyMalformed { .. }
                | Refusal::BlobEmpty
                | Refusal::UnknownCondition => StatusCode::BAD_REQUEST,
                Refusal::TokenNotServed => StatusCode::FORBIDDEN,
                Refusal::Token(_) => StatusCode::UNAUTHORIZED,
                Refusal::UnknownToken | Refusal::UnknownPath => StatusCode::NOT_FOUND,
                Refusal::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
                Refusal::BodyTimeout { .. } => StatusCode::REQUEST_TIMEOUT,
                Refusal::BodyTooLong { .. } | Refusal::BlobTooLong { .. } => StatusCode::PAYLOAD_TOO_LARGE,
                Refusal::Panicked => StatusCode::INTERNAL_SERVER_ERROR,
                Refusal::Store { error, .. } => match error {
                    StoreError::Taken => StatusCode::CONFLICT,
                    StoreError::SourceEntriesFull { .. } | StoreError::SourceBytesFull { .. } => {
                        StatusCode::TOO_MANY_REQUESTS
                    }
                    StoreError::EntriesFull { .. } | StoreError::BytesFull { .. } => {
                        StatusCode::SERVICE_UNAVAILABLE
                    }
                },
                Refusal::TooManyConnections { .. } => StatusCode::SERVICE_UNAVAILABLE,
            },
        }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let status = self.status();
        match self {
            Self::Registered | Self::Withdrawn => status.into_response(),
            Self::Healthy => (status, "ok\n").into_response(),
            Self::Found(blob) => (status, Json(FetchResponse { blob })).into_response(),
            Self::Refused(refusal) => refusal.into_response_with(status),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        Answer::Refused(self).into_response()
    }
}

impl Refusal {
    fn into_response_with(self, status: StatusCode) -> Response {
        let error = self.to_string();
        let mut response = (status, Json(ErrorResponse { error })).into_response();
        let headers = response.headers_mut();
        match self {
            Self::Token(_) => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Self::Store {
                error: StoreError::Taken,
                ..
            } => {}
            Self::Store { retry_after, .. } => {
                headers.insert(RETRY_AFTER, HeaderValue::from(retry_after.as_secs()));
            }
            Self::TooManyConnections { retry_after, .. } => {
                headers.insert(RETRY_AFTER, HeaderValue::from(retry_after.as_secs()));
                headers.insert(CONNECTION, HeaderValue::from_static("close"));
            }
            // The connection closes, because the relay doesn't read the rest of the body.
            Self::BodyTooLong { .. } | Self::BodyTimeout { .. } | Self::BodyBroken => {
                headers.insert(CONNECTION, HeaderValue::from_static("close"));
            }
            _ => {}
        }
        response
    }
}
