//! Every bound of the relay on one page: name, unit, default and the reason for it.
//!
//! Limits that clients must know are in [`crate::api`]; the defaults here refer to them. The limits
//! are values, so that an operator can set them by flags and a test can make them small. They are
//! enforced elsewhere.

use std::time::Duration;

use crate::api::{BODY_LEN_MAX, ENTRY_TTL_SECS, FETCH_WAIT_SECS_MAX};

/// The limits of connections and requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Connections that are served at the same time. One more is answered 503, unless its source
    /// has no connection, or would still have fewer than the source with the most: then that source
    /// loses its oldest connection. Each connection costs a descriptor and at most
    /// [`Limits::header_len_max`] + [`Limits::body_len_max`] of memory.
    pub connection_count_max: usize,
    /// Connections of one [`Source`](crate::Source) at the same time, unless the relay is behind a
    /// proxy; one more is closed at once. A peer has a connection for some milliseconds every few
    /// minutes, so hundreds of peers can share an address.
    pub source_connection_count_max: usize,
    /// Connections beyond [`Limits::connection_count_max`] that are being answered 503 at the same
    /// time. One more closes the oldest of them, which had the most time to read its answer.
    pub refusal_count_max: usize,
    /// Time from the moment a request may begin until its header is complete. It applies to idle
    /// keep-alive connections as well: without a complete header in time the connection is closed.
    pub header_timeout: Duration,
    /// Time from a complete header until the body is complete; a request that takes longer is
    /// answered 408.
    pub body_timeout: Duration,
    /// How long a fetch may wait for a registration, if it asks for that.
    pub fetch_wait_max: Duration,
    /// Age at which a connection takes no further requests. A peer needs one request every few
    /// minutes.
    pub connection_lifetime_max: Duration,
    /// Time for requests in flight to finish when a connection has reached its age or the relay
    /// shuts down, and for a refused client to stop sending. It also ends a connection whose client
    /// doesn't read its answer.
    pub drain_timeout: Duration,
    /// Silence after which the relay stops reading from a connection that it closes. Reading on
    /// lets a client that is still sending see why it was refused.
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
    /// The value of `Retry-After` in an answer 429 or 503.
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
            fetch_wait_max: Duration::from_secs(FETCH_WAIT_SECS_MAX),
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

/// The limits of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreLimits {
    /// Entries that are kept at the same time; one more is answered 503.
    pub entry_count_max: usize,
    /// Bytes of all tokens and blobs together; one more is answered 503. The default has room for 1
    /// KiB per entry. The tables need some 300 more bytes per entry, which the number of entries
    /// bounds.
    pub total_len_max: usize,
    /// Entries of one [`Source`](crate::Source); one more is answered 429. By default 1/128 of the
    /// relay. All peers behind one address share it: a carrier's NAT puts some hundred households
    /// behind one address, but not all of them use the relay at once. On the other side, more than
    /// a hundred sources must work together to fill a relay.
    pub source_entry_count_max: usize,
    /// Bytes of all tokens and blobs of one source; one more is answered 429. By default room for a
    /// sealed record per entry.
    pub source_len_max: usize,
    /// Time an entry lives without being registered again. At this age it has expired.
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

/// Smallest read buffer that hyper accepts, in bytes; a smaller [`Limits::header_len_max`] is still
/// enforced.
pub(crate) const READ_BUFFER_LEN_MIN: usize = 8 * 1024;
/// Groups in which waiting fetches are woken. With 256 connections, a registration wakes about four
/// that wait for something else.
pub(crate) const ARRIVAL_GROUP_COUNT: usize = 64;
/// Connections that wait in the kernel until the relay accepts them.
pub(crate) const BACKLOG_COUNT: i32 = 1024;
/// Pause after the system failed to accept (out of descriptors, for instance), so that the loop
/// doesn't spin.
pub(crate) const ACCEPT_RETRY_PAUSE: Duration = Duration::from_millis(100);
/// Expired entries that are removed under one lock; requests get the lock before the next batch.
pub(crate) const SWEEP_BATCH_COUNT: usize = 512;
/// Shortest time between two sweeps, even if [`Limits::sweep_interval`] is shorter: tokio panics on
/// an interval of zero.
pub(crate) const SWEEP_INTERVAL_MIN: Duration = Duration::from_millis(1);
/// Longest time for a header, even if [`Limits::header_timeout`] is longer: hyper adds it to the
/// current time without checking for overflow.
pub(crate) const HEADER_TIMEOUT_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// Longest time that a command-line argument may ask for: a day. No deadline of a relay needs more,
/// and sums of such times can't overflow.
pub const ARGUMENT_TIME_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// Bytes that are discarded at once from a connection that is being closed; any size works.
pub(crate) const LINGER_BUFFER_LEN: usize = 4096;
