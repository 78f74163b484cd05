//! A relay in this process, for one invitation: where no relay is configured, the inviter serves
//! the relay's API itself.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use tandem_core::rendezvous::{InvitationCode, Role};
use tandem_relay::{Limits, LookupToken, Relay, RelayConfig};
use url::Url;

use crate::exit::{Exit, Failure, OrExit};
use crate::limits::{PORTS, RELAY_DRAIN_TIMEOUT};
use crate::place::Place;

/// A running relay for one code.
#[derive(Debug)]
pub(crate) struct RelayHere {
    relay: Relay,
}

impl RelayHere {
    /// Serves the two tokens of the code.
    pub(crate) async fn start(code: &InvitationCode) -> Result<Self, Failure> {
        let roles = [Role::Inviter, Role::Joiner].into_iter();
        let tokens = roles.map(|role| LookupToken::parse(&code.token(role).to_text()));
        let tokens: Vec<_> = tokens.collect::<Result<_, _>>().or_exit(Exit::LocalDisk)?;
        let listener = first_free(PORTS).or_exit(Exit::LocalDisk)?;
        let limits = Limits {
            drain_timeout: RELAY_DRAIN_TIMEOUT,
            ..Limits::default()
        };
        let config = RelayConfig::adopt(listener).limits(limits).only(tokens);
        let relay = Relay::bind(config).await.or_exit(Exit::LocalDisk)?;
        Ok(Self { relay })
    }

    /// How this process asks it.
    pub(crate) fn own_url(&self) -> Url {
        let address = self.relay.addr();
        let ip: IpAddr = match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        Place::from(SocketAddr::new(ip, address.port())).url().clone()
    }

    /// Where others find it, if this machine has these addresses.
    pub(crate) fn place(&self, candidates: &[SocketAddr]) -> Place {
        let port = self.relay.addr().port();
        let ips = candidates.iter().map(SocketAddr::ip);
        let best = ips
            .min_by_key(|ip| Reach::of(*ip))
            .unwrap_or(self.relay.addr().ip());
        Place::from(SocketAddr::new(best, port))
    }

    /// Where others find it by this host, which the person names: at its own port, unless the text
    /// has another one.
    pub(crate) fn place_at(&self, text: &str) -> Result<Place, Failure> {
        let port = self.relay.addr().port();
        let bare = text.parse::<Ipv6Addr>().map(|ip| format!("[{ip}]"));
        let host = bare.unwrap_or_else(|_| text.to_owned());
        let has_port = host
            .rsplit_once(':')
            .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let url = match has_port && !host.ends_with(']') {
            true => format!("http://{host}"),
            false => format!("http://{host}:{port}"),
        };
        url.parse().or_exit(Exit::Usage)
    }

    pub(crate) async fn stop(self) {
        let _drained = self.relay.shutdown().await;
    }
}

/// A socket in the band, on all addresses of this machine: at port `known`, if that is free. A port
/// that is chosen anew is a random one, so that no other program gets it easily while this one does
/// not run: the other side looks for it there again.
pub(crate) fn listen(known: Option<u16>) -> io::Result<TcpListener> {
    let (first, end) = (*PORTS.start(), *PORTS.end());
    let offset = getrandom::u32()? % u32::from(end - first + 1);
    let from = first.saturating_add(u16::try_from(offset).unwrap_or(0));
    first_free(known.into_iter().chain(from..=end).chain(first..from))
}

/// A socket at the first of these ports that is free.
fn first_free(ports: impl IntoIterator<Item = u16>) -> io::Result<TcpListener> {
    let any = [IpAddr::from(Ipv6Addr::UNSPECIFIED), Ipv4Addr::UNSPECIFIED.into()];
    let places = ports
        .into_iter()
        .flat_map(|port| any.map(|ip| SocketAddr::new(ip, port)));
    let mut last = None;
    for place in places {
        match TcpListener::bind(place) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = Some(error),
        }
    }
    let last = last.map_or_else(String::new, |error| format!(" ({error})"));
    let (first, end) = (PORTS.start(), PORTS.end());
    Err(io::Error::other(format!(
        "no port of {first} to {end} can be used{last}\nhint: end other programs that listen there"
    )))
}

/// How far an address is from being reached by another machine: the lower the better. IPv4 comes
/// first, as it is shorter to type and most networks at home have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reach {
    Public4,
    Private4,
    Public6,
    Private6,
    Own4,
    Own6,
}

impl Reach {
    pub(crate) fn of(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(ip) if ip.is_loopback() => Self::Own4,
            IpAddr::V4(ip) if ip.is_private() || is_of_a_carrier(ip) => Self::Private4,
            IpAddr::V4(_) => Self::Public4,
            IpAddr::V6(ip) if ip.is_loopback() => Self::Own6,
            IpAddr::V6(ip) if ip.is_unique_local() => Self::Private6,
            IpAddr::V6(_) => Self::Public6,
        }
    }
}

/// Many carriers give such addresses (RFC 6598); no other network reaches them.
fn is_of_a_carrier(ip: Ipv4Addr) -> bool {
    let [first, second, ..] = ip.octets();
    first == 100 && second & 0b1100_0000 == 64
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Public4 | Self::Public6 => "public",
            Self::Private4 | Self::Private6 => "private: only in this network",
            Self::Own4 | Self::Own6 => "only on this machine",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_that_others_reach_most_likely_comes_first() {
        let mut ips: Vec<IpAddr> = [
            "::1",
            "127.0.0.1",
            "fd00::1",
            "10.0.0.1",
            "2001:db8::1",
            "192.0.2.1",
            "100.64.0.1",
        ]
        .map(|ip| ip.parse().unwrap())
        .to_vec();
        ips.sort_by_key(|ip| Reach::of(*ip));
        let sorted: Vec<_> = ips.iter().map(IpAddr::to_string).collect();
        assert_eq!(
            sorted,
            [
                "192.0.2.1",
                "10.0.0.1",
                "100.64.0.1",
                "2001:db8::1",
                "fd00::1",
                "127.0.0.1",
                "::1"
            ]
        );
    }
}
