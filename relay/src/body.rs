//! Reads the body of a registration within the limits of length and time.
//!
//! A body whose announced length is over the limit is refused before a byte of it is read. The
//! bytes are copied as they arrive: a piece of a body keeps the whole buffer that it was read into,
//! which takes thousands of times its length if a client sends byte by byte. Errors name positions,
//! never content.

use std::time::Duration;

use axum::body::Body;
use http_body_util::BodyExt;
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

async fn read(body: Body, len_max: usize, limit: Duration) -> Result<Vec<u8>, Refusal> {
    let announced_len = body.size_hint().lower();
    if announced_len > len_max as u64 {
        return Err(Refusal::BodyTooLong { limit: len_max });
    }
    let whole = tokio::time::timeout(limit, copy(body, len_max)).await;
    whole.unwrap_or(Err(Refusal::BodyTimeout { limit }))
}

async fn copy(mut body: Body, len_max: usize) -> Result<Vec<u8>, Refusal> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Refusal::BodyBroken)?;
        // Trailers say nothing that the API knows.
        let data = frame.into_data().unwrap_or_default();
        if data.len() > len_max - bytes.len() {
            return Err(Refusal::BodyTooLong { limit: len_max });
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
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

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::sync::Arc;
    use std::task::{Context, Poll};

    use bytes::Bytes;
    use hyper::body::Frame;

    use super::*;

    /// A body that arrives byte by byte, each byte in a buffer of its own.
    struct Drip {
        left: usize,
        /// A clone is in each buffer that is still held.
        held: Arc<()>,
    }

    struct Buffer {
        byte: u8,
        _held: Arc<()>,
    }

    impl AsRef<[u8]> for Buffer {
        fn as_ref(&self) -> &[u8] {
            std::slice::from_ref(&self.byte)
        }
    }

    impl hyper::body::Body for Drip {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            assert_eq!(
                Arc::strong_count(&self.held),
                1,
                "an earlier buffer is still held"
            );
            let Some(left) = self.left.checked_sub(1) else {
                return Poll::Ready(None);
            };
            self.left = left;
            let buffer = Buffer {
                byte: b'x',
                _held: self.held.clone(),
            };
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_owner(buffer)))))
        }
    }

    #[tokio::test]
    async fn a_body_that_arrives_byte_by_byte_takes_no_more_memory_than_its_bytes() {
        let held = Arc::new(());
        let body = Body::new(Drip { left: 100, held });
        let bytes = read(body, 100, Duration::from_secs(60)).await.unwrap();
        assert_eq!(bytes, [b'x'; 100]);
    }
}
