//! The source of a request, by which the shares of the store are counted.
//!
//! Decides which address is the client's; `api` decides which addresses are one source. Behind a
//! reverse proxy every connection comes from the proxy, so there the source is the address that the
//! proxy adds. Without a proxy that header is ignored: a client can write it as well.

use std::net::IpAddr;

use axum::http::HeaderMap;

use crate::api::Source;

/// The header to which a reverse proxy appends the address of its client.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// How the source of a request is determined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sources {
    /// The address at the other end of the connection.
    #[default]
    Connections,
    /// The last address in the last `X-Forwarded-For`; if that can't be read, the address of the
    /// connection.
    ForwardedFor,
}

/// What the relay knows about a client before its first byte.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin {
    pub(crate) ip: IpAddr,
    pub(crate) sources: Sources,
}

impl Origin {
    /// The source of a request with these headers.
    pub(crate) fn source(&self, headers: &HeaderMap) -> Source {
        let ip = match self.sources {
            Sources::Connections => self.ip,
            Sources::ForwardedFor => forwarded_for(headers).unwrap_or(self.ip),
        };
        Source::of(ip)
    }
}

fn forwarded_for(headers: &HeaderMap) -> Option<IpAddr> {
    let line = headers.get_all(FORWARDED_FOR).iter().next_back()?;
    line.to_str().ok()?.rsplit(',').next()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn source(sources: Sources, lines: &[&str]) -> Source {
        let line = |text: &&str| (FORWARDED_FOR.parse().unwrap(), text.parse().unwrap());
        let ip = ip("192.0.2.1");
        Origin { ip, sources }.source(&lines.iter().map(line).collect())
    }

    #[test]
    fn the_address_that_the_proxy_added_counts_only_if_a_proxy_is_configured() {
        let proxied = source(Sources::ForwardedFor, &["10.0.0.1", "10.0.0.2, 198.51.100.7"]);
        assert_eq!(proxied, Source::of(ip("198.51.100.7")));
        let direct = source(Sources::Connections, &["198.51.100.7"]);
        assert_eq!(direct, Source::of(ip("192.0.2.1")));
    }

    #[test]
    fn without_a_readable_address_the_connection_counts() {
        for lines in [&[][..], &["unknown"], &["198.51.100.7, "], &["198.51.100.7:80"]] {
            assert_eq!(
                source(Sources::ForwardedFor, lines),
                Source::of(ip("192.0.2.1")),
                "{lines:?}"
            );
        }
    }
}
