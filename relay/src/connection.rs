//! One connection, from its first byte until it is closed.
//!
//! Owns the deadlines and bounds of a connection. A connection ends because the client closes it, a
//! header is late, the syntax is broken, a body is refused, its maximum age is reached, or the
//! relay shuts down. In the last two cases a request in flight may finish within `drain_timeout`.
//! The router decides what requests mean.

use std::pin::pin;
use std::sync::Arc;

use axum::Router;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::limits::{HEADER_TIMEOUT_MAX, LINGER_BUFFER_LEN, Limits, READ_BUFFER_LEN_MIN};
use crate::source::Origin;

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// No request was in flight.
    Orderly,
    /// A request was still in flight at the end of `drain_timeout`.
    CutOff,
}

/// Serves `stream`, which comes from `origin`, until it ends.
pub(crate) async fn serve(
    mut stream: TcpStream,
    origin: Origin,
    router: Router,
    limits: Arc<Limits>,
    stop: CancellationToken,
) -> End {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "could not set TCP_NODELAY: answers may be delayed");
    }
    let end = exchange(&mut stream, origin, router, &limits, &stop).await;
    if end == End::Orderly {
        stop.run_until_cancelled(linger(&mut stream, &limits)).await;
    }
    end
}

async fn exchange(
    stream: &mut TcpStream,
    origin: Origin,
    router: Router,
    limits: &Limits,
    stop: &CancellationToken,
) -> End {
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        let source = origin.source(request.headers());
        request.extensions_mut().insert(source);
        router.call(request)
    });
    let mut connection = pin!(http(limits).serve_connection(TokioIo::new(stream), service));
    let lifetime = stop.run_until_cancelled(timeout(limits.connection_lifetime_max, connection.as_mut()));
    if let Some(Ok(ended)) = lifetime.await {
        log_end(ended);
        return End::Orderly;
    }
    connection.as_mut().graceful_shutdown();
    match timeout(limits.drain_timeout, connection).await {
        Ok(ended) => {
            log_end(ended);
            End::Orderly
        }
        Err(_) => End::CutOff,
    }
}

fn http(limits: &Limits) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout.min(HEADER_TIMEOUT_MAX))
        .max_headers(limits.header_count_max)
        .max_header_size(limits.header_len_max)
        .max_buf_size(limits.header_len_max.max(READ_BUFFER_LEN_MIN));
    http
}

fn log_end(ended: hyper::Result<()>) {
    if let Err(error) = ended {
        // The text of hyper's errors names the kind of failure and nothing of the request.
        tracing::debug!(%error, "connection failed");
    }
}

/// Ends the sending direction, then reads and discards for a moment. Closing at once, with bytes of
/// the client unread, would reset the connection, and a reset may destroy the answer before the
/// client has read it.
async fn linger(stream: &mut TcpStream, limits: &Limits) {
    let mut scrap = [0; LINGER_BUFFER_LEN];
    let until_closed = async {
        stream.shutdown().await?;
        while timeout(limits.linger_timeout, stream.read(&mut scrap)).await?? > 0 {}
        std::io::Result::Ok(())
    };
    // The connection is over in any case, so the outcome is ignored.
    drop(timeout(limits.drain_timeout, until_closed).await);
}
