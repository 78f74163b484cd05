//! The arguments of `tandem-relay`, each also an environment variable, and how they become the
//! configuration of the library.
//!
//! Defaults are those of `limits.rs`. The limits that clients rely on (lengths of tokens and
//! bodies) can't be set.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use clap::builder::RangedU64ValueParser;
use tandem_relay::clock::Clock;
use tandem_relay::limits::ARGUMENT_TIME_MAX;
use tandem_relay::{Limits, MemoryStore, RelayConfig, Sources, StoreLimits};

/// Runs a tandem relay: the server where two peers find each other.
///
/// Each peer leaves a sealed record here and fetches the record of the other one; files never pass
/// through. The relay keeps each record in memory, as one entry, for ten minutes. It can't read the
/// records, and writes nothing to disk.
#[derive(Debug, Parser)]
#[command(version, after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// Address and port to listen on; `[::]` includes IPv4, and port 0 means any free port
    #[arg(long, env = "TANDEM_RELAY_LISTEN", value_name = "ADDRESS:PORT", default_value = "[::]:26000", value_parser = listen_addr)]
    listen: SocketAddr,
    /// What to log to stderr: error, warn, info, debug, or a filter per module
    #[arg(long, env = "TANDEM_RELAY_LOG", value_name = "FILTER", default_value = "info")]
    pub(crate) log: String,
    /// Connections served at the same time; the relay answers further ones with 503
    #[arg(long, env = "TANDEM_RELAY_CONNECTIONS", value_name = "COUNT", value_parser = count(),
        default_value_t = Limits::default().connection_count_max)]
    connections: usize,
    /// Connections of one source at the same time; the relay closes further ones
    #[arg(long, env = "TANDEM_RELAY_SOURCE_CONNECTIONS", value_name = "COUNT", value_parser = count(),
        default_value_t = Limits::default().source_connection_count_max)]
    source_connections: usize,
    /// Entries kept at the same time
    #[arg(long, env = "TANDEM_RELAY_ENTRIES", value_name = "COUNT", value_parser = count(),
        default_value_t = StoreLimits::default().entry_count_max)]
    entries: usize,
    /// Bytes of all entries together
    #[arg(long, env = "TANDEM_RELAY_ENTRY_BYTES", value_name = "BYTES", value_parser = count(),
        default_value_t = StoreLimits::default().total_len_max)]
    entry_bytes: usize,
    /// Entries of one source (an IPv4 address or an IPv6 /48); the relay answers 429 to one more
    #[arg(long, env = "TANDEM_RELAY_SOURCE_ENTRIES", value_name = "COUNT", value_parser = count(),
        default_value_t = StoreLimits::default().source_entry_count_max)]
    source_entries: usize,
    /// Bytes of all entries of one source together
    #[arg(long, env = "TANDEM_RELAY_SOURCE_ENTRY_BYTES", value_name = "BYTES", value_parser = count(),
        default_value_t = StoreLimits::default().source_len_max)]
    source_entry_bytes: usize,
    /// Take the source of a request from the last address in `X-Forwarded-For`; only for use behind
    /// a reverse proxy that sets this header
    #[arg(long, env = "TANDEM_RELAY_FORWARDED_FOR")]
    forwarded_for: bool,
    /// Time an entry is kept after its last registration
    #[arg(long, env = "TANDEM_RELAY_ENTRY_TTL", value_name = "SECONDS",
        default_value_t = Seconds(StoreLimits::default().entry_ttl))]
    entry_ttl: Seconds,
    /// Time a client has for the header of a request
    #[arg(long, env = "TANDEM_RELAY_HEADER_TIMEOUT", value_name = "SECONDS",
        default_value_t = Seconds(Limits::default().header_timeout))]
    header_timeout: Seconds,
    /// Time a client has for the body of a request
    #[arg(long, env = "TANDEM_RELAY_BODY_TIMEOUT", value_name = "SECONDS",
        default_value_t = Seconds(Limits::default().body_timeout))]
    body_timeout: Seconds,
    /// Age at which a connection is closed
    #[arg(long, env = "TANDEM_RELAY_CONNECTION_LIFETIME", value_name = "SECONDS",
        default_value_t = Seconds(Limits::default().connection_lifetime_max))]
    connection_lifetime: Seconds,
    /// Time for requests in flight to finish when the relay stops
    #[arg(long, env = "TANDEM_RELAY_DRAIN_TIMEOUT", value_name = "SECONDS",
        default_value_t = Seconds(Limits::default().drain_timeout))]
    drain_timeout: Seconds,
}

const AFTER_HELP: &str = "\
The first line on stdout is `listening on http://ADDRESS:PORT`, with the actual port. Ctrl-C or SIGTERM \
stops the relay: requests in flight are finished first.

Exit codes: 0 stopped by a signal, 1 could not start, 2 wrong arguments.

To ask whether it runs and is not full:  curl http://localhost:26000/health";

impl Args {
    pub(crate) fn into_config(self) -> RelayConfig {
        let store = MemoryStore::new(self.store_limits(), Clock::system());
        RelayConfig::listen_on(self.listen)
            .limits(self.limits())
            .sources(self.sources())
            .store(Arc::new(store))
    }

    fn limits(&self) -> Limits {
        Limits {
            connection_count_max: self.connections,
            source_connection_count_max: self.source_connections,
            header_timeout: self.header_timeout.0,
            body_timeout: self.body_timeout.0,
            connection_lifetime_max: self.connection_lifetime.0,
            drain_timeout: self.drain_timeout.0,
            ..Limits::default()
        }
    }

    fn sources(&self) -> Sources {
        match self.forwarded_for {
            true => Sources::ForwardedFor,
            false => Sources::Connections,
        }
    }

    fn store_limits(&self) -> StoreLimits {
        StoreLimits {
            entry_count_max: self.entries,
            total_len_max: self.entry_bytes,
            source_entry_count_max: self.source_entries,
            source_len_max: self.source_entry_bytes,
            entry_ttl: self.entry_ttl.0,
        }
    }
}

fn listen_addr(text: &str) -> Result<SocketAddr, String> {
    let hint = "not an address with a port\nhint: write `[::]:26000`, `0.0.0.0:26000` or `[::1]:0`; names are not looked up";
    text.parse().map_err(|_| hint.into())
}

/// At least one.
fn count() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..)
}

/// A time in seconds, fractions allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seconds(Duration);

impl FromStr for Seconds {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hint = "not a time in seconds\nhint: write `5` or `0.5`, more than 0 and at most a day";
        let seconds: f64 = text.parse().map_err(|_| hint)?;
        match seconds > 0.0 && seconds <= ARGUMENT_TIME_MAX.as_secs_f64() {
            true => Duration::try_from_secs_f64(seconds).map(Self).map_err(|_| hint),
            false => Err(hint),
        }
    }
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_secs_f64().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_the_library() {
        let args = Args::parse_from(["tandem-relay"]);
        assert_eq!(
            (args.limits(), args.store_limits()),
            (Limits::default(), StoreLimits::default())
        );
    }

    #[test]
    fn counts_are_at_least_one() {
        let parsed = |count| Args::try_parse_from(["tandem-relay", "--connections", count]);
        assert_eq!(parsed("1").unwrap().connections, 1);
        assert!(parsed("0").is_err() && parsed("-1").is_err());
    }

    #[test]
    fn times_are_seconds_above_zero_and_at_most_a_day() {
        assert_eq!("0.25".parse(), Ok(Seconds(Duration::from_millis(250))));
        assert_eq!("86400".parse(), Ok(Seconds(Duration::from_secs(86_400))));
        for text in ["0", "-1", "86400.1", "NaN", "inf", "5s", ""] {
            let error = text.parse::<Seconds>().unwrap_err();
            assert!(error.contains("hint:"), "{text}");
        }
    }

    #[test]
    fn a_name_is_not_an_address_and_the_message_shows_one() {
        let error = listen_addr("localhost:80").unwrap_err();
        assert!(error.contains("[::]:26000"), "{error}");
    }
}
