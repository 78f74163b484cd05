//! The API that relay and peers share: paths, headers, bodies, and the limits on which both sides
//! must agree.
//!
//! The server of this crate and `tandem_core::rendezvous` both use this one definition. It compiles
//! without the feature `server`, so that a peer does not build a web server. It knows nothing of
//! fingerprints, keys, addresses of peers or file names: to the relay a token and a blob are opaque
//! text. [`Source`] is here as well, since relay and peers both limit the share of each source.

use std::net::{IpAddr, Ipv6Addr};

use serde::{Deserialize, Serialize};

/// `POST` stores a blob under the bearer token (201), `DELETE` withdraws it (204, or 404). With
/// `If-None-Match: *` a blob is stored only if there is none under the token, else 409.
pub const REGISTER_PATH: &str = "/register";
/// `GET` answers the blob stored under the bearer token (200), or 404. With `Prefer: wait=SECONDS`
/// (RFC 7240) and no blob, the relay answers when there is one, but no later than after that time
/// and [`FETCH_WAIT_SECS_MAX`]; it may answer 404 sooner.
pub const FETCH_PATH: &str = "/fetch";
/// `GET` answers 200 while the relay takes new registrations, and 503 while it is full.
pub const HEALTH_PATH: &str = "/health";

/// Shortest lookup token the relay accepts, in characters (128 bits as base64url without padding).
pub const TOKEN_LEN_MIN: usize = 22;
/// Longest lookup token the relay accepts, in characters.
pub const TOKEN_LEN_MAX: usize = 128;
/// Largest blob, in bytes; a larger one is refused with 413. A sealed contact record has 1,104
/// bytes, so later formats have room to grow.
pub const BLOB_LEN_MAX: usize = 4 * 1024;
/// Largest body of a registration and of its answer to a fetch, in bytes: a blob, the JSON around
/// it, and room for what JSON escapes. A larger one is refused with 413, from `Content-Length`
/// where there is one.
pub const BODY_LEN_MAX: usize = 8 * 1024;
/// How long an entry lives without being refreshed, in seconds. A peer registers again well before
/// that; the entry of a peer that has crashed is gone after ten minutes.
pub const ENTRY_TTL_SECS: u64 = 600;
/// How long a fetch waits at most for a blob to be registered, in seconds. Shorter than a
/// connection may last, and than the silence after which a proxy gives a request up.
pub const FETCH_WAIT_SECS_MAX: u64 = 20;
/// Leading bits of an IPv6 address that make one source. 48 is the largest network that a household
/// is given (RFC 6177), so a household can't pose as many sources.
pub const SOURCE_PREFIX_LEN: u32 = 48;

/// The body of `POST /register`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegisterRequest {
    /// The sealed record as text. The relay stores it as it is.
    pub blob: String,
}

/// The body of a 200 answer to `GET /fetch`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchResponse {
    /// The sealed record, exactly as it was registered.
    pub blob: String,
}

/// The body of every refusal. Only input that never became a request is refused without a body:
/// bytes that are not HTTP (400) and too long a header (431).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorResponse {
    /// The text for a person: what is wrong, and what to do.
    pub error: String,
}

/// One source: an IPv4 address, or an IPv6 network of [`SOURCE_PREFIX_LEN`] bits. Households with a
/// smaller network share a source with their neighbours, like those behind a carrier's NAT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Source(IpAddr);

impl Source {
    /// The source that `ip` belongs to.
    #[must_use]
    pub fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V6(ip) => {
                Self(Ipv6Addr::from_bits(ip.to_bits() & !(u128::MAX >> SOURCE_PREFIX_LEN)).into())
            }
            v4 @ IpAddr::V4(_) => Self(v4),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_an_ipv4_address_or_an_ipv6_network_of_48_bits() {
        let of = |text: &str| Source::of(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8:0:ffff::2"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:1::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }
}
