//! Every bound of the relay on one page: name, unit, default and the reason for it.
//!
//! What clients must agree on stands in [`crate::api`]; the defaults here refer to it. The limits
//! are values, so that an operator sets them by flags and a test makes them small. Nothing here
//! enforces anything.

use std::time::Duration;

use crate::api::{BODY_LEN_MAX, ENTRY_TTL_SECS};

/// What one relay grants to connections and requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Connections that are served at the same time. One more is answered 503, unless its source
    /// has none or fewer than another one even then: then that other source loses its oldest. Each
    /// costs a descriptor and at most [`Limits::header_len_max`] + [`Limits::body_len_max`] of
    /// memory.
    pub connection_count_max: usize,
    /// Connections of one [`Source`](crate::Source) at the same time, unless a proxy stands before
    /// the relay; one more is closed at once. A peer has one for some milliseconds every few
    /// minutes, so hundreds of them share an address.
    pub source_connection_count_max: usize,
    /// Connections beyond [`Limits::connection_count_max`] that are being told 503 at the same
    /// time. One more ends the oldest of them, which has had its time.
    pub refusal_count_max: usize,
    /// Time from the moment a request may begin until its header is complete. Idle keep-alive
    /// connections fall under it as well: without a complete header in time the connection is
    /// closed.
    pub header_timeout: Duration,
    /// Time from a complete header until the body is complete; a request that takes longer is
    /// answered 408.
    pub body_timeout: Duration,
    /// Age at which a connection takes no further requests. A peer needs one request every few
    /// minutes.
    pub connection_lifetime_max: Duration,
    /// Time that requests in flight are given when a connection has reached its age or the relay
    /// shuts down, and that a refused client is given to stop sending; also what ends a client that
    /// doesn't read its answer.
    pub drain_timeout: Duration,
    /// Silence after which a closed connection is no longer read from. A client that is sending
    /// thereby gets to see why it was refused.
    pub linger_timeout: Duration,
    /// Header lines of a request; one more is answered 431.
    pub header_count_max: usize,
    /// Bytes of a request's header including its first line; one more is answered 431.
    pub header_len_max: usize,
    /// Bytes of a request's body; one more is answered 413, from `Content-Length` before any of it
    /// is read.
    pub body_len_max: usize,
    /// Time between two sweeps of expired entries.
    pub sweep_interval: Duration,
    /// What `Retry-After` says in an answer 429 or 503.
    pub retry_after: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connection_count_max: 256,
            source_connection_count_max: 64,
            refusal_count_max: 32,
            header_timeout: Duration::from_secs(5),
            body_timeout: Duration::from_secs(5),
            connection_lifetime_max: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(10),
            linger_timeout: Duration::from_secs(1),
            header_count_max: 32,
            header_len_max: 16 * 1024,
            body_len_max: BODY_LEN_MAX,
            sweep_interval: Duration::from_secs(10),
            retry_after: Duration::from_secs(30),
        }
    }
}

/// What a store keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreLimits {
    /// Entries that are kept at the same time; one more is answered 503.
    pub entry_count_max: usize,
    /// Bytes of all tokens and blobs together; one more is answered 503. The default has room for 1
    /// KiB in every place; what the tables need besides, some 300 bytes an entry, is bound by the
    /// number of entries.
    pub total_len_max: usize,
    /// Entries of one [`Source`](crate::Source); one more is answered 429. By default 1/128 of the
    /// relay: peers behind one address share it, and a carrier's NAT puts some hundred households
    /// behind one, of which not all are here at once; but more than a hundred sources must work
    /// together to fill a relay.
    pub source_entry_count_max: usize,
    /// Bytes of all tokens and blobs of one source; one more is answered 429. By default a sealed
    /// record in every place.
    pub source_len_max: usize,
    /// Time an entry lives without being registered again. At this age it is gone.
    pub entry_ttl: Duration,
}

impl Default for StoreLimits {
    fn default() -> Self {
        Self {
            entry_count_max: 65_536,
            total_len_max: 64 * 1024 * 1024,
            source_entry_count_max: 512,
            source_len_max: 512 * 1280,
            entry_ttl: Duration::from_secs(ENTRY_TTL_SECS),
        }
    }
}

/// Smallest read buffer that hyper accepts, in bytes; a smaller [`Limits::header_len_max`] is
/// enforced all the same.
pub(crate) const READ_BUFFER_LEN_MIN: usize = 8 * 1024;
/// Connections that wait in the kernel until the relay accepts them.
pub(crate) const BACKLOG_COUNT: i32 = 1024;
/// Pause after the system refused to accept (out of descriptors, for instance), so that the loop
/// doesn't spin.
pub(crate) const ACCEPT_RETRY_PAUSE: Duration = Duration::from_millis(100);
/// Expired entries that are removed under one lock; others get their turn before the next batch.
pub(crate) const SWEEP_BATCH_COUNT: usize = 512;
/// Shortest time between two sweeps, whatever [`Limits::sweep_interval`] says: tokio has no timer
/// without a period.
pub(crate) const SWEEP_INTERVAL_MIN: Duration = Duration::from_millis(1);
/// Longest time for a header, whatever [`Limits::header_timeout`] says: hyper adds it to the time
/// without a check.
pub(crate) const HEADER_TIMEOUT_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// Longest time that an argument may ask for, in seconds: a day.
pub const ARGUMENT_SECONDS_MAX: f64 = 86_400.0;
