//! Reads the body of a registration within the limits of length and time.
//!
//! A body whose announced length is over the limit is refused before a byte of it is read. Errors
//! name positions, never content.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Body as _;
use serde_json::error::Category;

use crate::answer::Refusal;
use crate::api::{BLOB_LEN_MAX, RegisterRequest};
use crate::limits::Limits;

/// The blob that the body asks to store.
pub(crate) async fn read_blob(body: Body, limits: &Limits) -> Result<String, Refusal> {
    let bytes = read(body, limits.body_len_max, limits.body_timeout).await?;
    let request: RegisterRequest = serde_json::from_slice(&bytes).map_err(|error| malformed(&error))?;
    match request.blob.len() {
        0 => Err(Refusal::BlobEmpty),
        1..=BLOB_LEN_MAX => Ok(request.blob),
        _ => Err(Refusal::BlobTooLong { limit: BLOB_LEN_MAX }),
    }
}

async fn read(body: Body, len_max: usize, timeout: Duration) -> Result<Bytes, Refusal> {
    let announced_len = body.size_hint().lower();
    if announced_len > len_max as u64 {
        return Err(Refusal::BodyTooLong { limit: len_max });
    }
    let whole = Limited::new(body, len_max).collect();
    match tokio::time::timeout(timeout, whole).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refusal::BodyTooLong { limit: len_max }),
        Ok(Err(_)) => Err(Refusal::BodyBroken),
        Err(_) => Err(Refusal::BodyTimeout { limit: timeout }),
    }
}

/// Describes the error in our words: serde's own text would quote the body.
fn malformed(error: &serde_json::Error) -> Refusal {
    let kind = match error.classify() {
        Category::Io | Category::Eof => "it ends too early",
        Category::Syntax => "no JSON",
        Category::Data => "another type, a missing or an unknown field",
    };
    Refusal::BodyMalformed {
        kind,
        line: error.line(),
        column: error.column(),
    }
}
