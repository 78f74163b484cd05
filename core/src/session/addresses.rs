//! Addresses of peers: which of ours are published, and which of those in the other peer's record
//! are dialled.
//!
//! The other peer chooses what is in its record, so a record must not send us to services that only
//! this machine or its link can reach. A peer on this machine is reached at its other addresses;
//! where there are none, loopback can only mean that peer.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::limits::CONTACT_ADDRESS_COUNT_MAX;

/// Whether loopback addresses in the record of another peer are dialled. Addresses that are given
/// to [`connect_directly`](crate::peer::Peer::connect_directly) are always dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LoopbackPeers {
    /// Only where this machine has no other address: then the other peer can only be on it.
    #[default]
    WhenAlone,
    /// Always: both peers are on this machine.
    Dialled,
    /// Never.
    Refused,
}

/// The addresses of a record: those to dial and those to refuse.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Sorted {
    pub(crate) dialled: Vec<SocketAddr>,
    /// Those that are not dialled, each with the reason, for a person.
    pub(crate) refused: Vec<String>,
}

/// Sorts the addresses of a record. An IPv4 address in IPv6 form is dialled as an IPv4 address.
pub(crate) fn sort(addresses: &[SocketAddr], loopback: LoopbackPeers) -> Sorted {
    sort_on(addresses, || match loopback {
        LoopbackPeers::WhenAlone => is_alone(&own_addresses()),
        LoopbackPeers::Dialled => true,
        LoopbackPeers::Refused => false,
    })
}

/// Those of `addresses`, which another peer has named, that may be dialled: the first ones, up to
/// as many as a record may have.
#[must_use]
pub fn dialable(addresses: &[SocketAddr], loopback: LoopbackPeers) -> Vec<SocketAddr> {
    let mut dialled = sort(addresses, loopback).dialled;
    dialled.truncate(CONTACT_ADDRESS_COUNT_MAX);
    dialled
}

/// Whether this machine has no address but loopback. If the interfaces can't be read, it counts as
/// not alone.
fn is_alone(own: &io::Result<Vec<IpAddr>>) -> bool {
    own.as_ref().is_ok_and(|ips| ips.iter().all(IpAddr::is_loopback))
}

fn sort_on(addresses: &[SocketAddr], dials_loopback: impl Fn() -> bool) -> Sorted {
    let mut sorted = Sorted::default();
    for address in addresses {
        let ip = address.ip().to_canonical();
        match unusable(ip, address.port()) {
            Some(reason) => sorted.refused.push(format!("`{address}`: {reason}")),
            None if ip.is_loopback() && !dials_loopback() => {
                sorted.refused.push(format!("`{address}`: only this machine"));
            }
            None => sorted.dialled.push(SocketAddr::new(ip, address.port())),
        }
    }
    sorted
}

/// Why this can't be the address of another peer.
fn unusable(ip: IpAddr, port: u16) -> Option<&'static str> {
    let is_nowhere = match ip {
        IpAddr::V4(ip) => ip.octets()[0] == 0 || ip.is_broadcast(),
        IpAddr::V6(ip) => ip.is_unspecified(),
    };
    match ip {
        _ if port == 0 => Some("no port"),
        _ if is_nowhere => Some("no address of one machine"),
        _ if ip.is_multicast() => Some("multicast"),
        _ if is_link_local(&ip) => Some("link-local"),
        _ => None,
    }
}

/// The addresses at which a listener on `local` can be dialled: itself, or those of the interfaces
/// it listens on.
#[must_use]
pub fn candidates(local: SocketAddr) -> Vec<SocketAddr> {
    if !local.ip().is_unspecified() {
        return vec![local];
    }
    let mut ips = own_addresses().unwrap_or_default();
    ips.retain(|ip| local.is_ipv6() || ip.is_ipv4());
    // Loopback last, and only of use when both peers are on one machine.
    ips.sort_by_key(IpAddr::is_loopback);
    if ips.is_empty() {
        ips = vec![Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()];
    }
    ips.truncate(CONTACT_ADDRESS_COUNT_MAX);
    ips.into_iter()
        .map(|ip| SocketAddr::new(ip, local.port()))
        .collect()
}

/// The addresses of this machine, without link-local ones.
fn own_addresses() -> io::Result<Vec<IpAddr>> {
    let interfaces = if_addrs::get_if_addrs()?;
    let ips = interfaces.iter().map(if_addrs::Interface::ip);
    Ok(ips.filter(|ip| !is_link_local(ip)).collect())
}

/// Such an address means nothing without the interface's name, which a record can't carry.
fn is_link_local(ip: &IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(text: &[&str]) -> Vec<SocketAddr> {
        text.iter().map(|address| address.parse().unwrap()).collect()
    }

    #[test]
    fn a_listener_on_one_address_is_dialled_there() {
        let local: SocketAddr = "127.0.0.1:4711".parse().unwrap();
        assert_eq!(candidates(local), [local]);
    }

    #[test]
    fn a_listener_on_every_address_is_dialled_at_those_of_the_machine() {
        let found = candidates("[::]:4711".parse().unwrap());
        assert!(!found.is_empty() && found.len() <= CONTACT_ADDRESS_COUNT_MAX);
        assert!(
            found
                .iter()
                .all(|address| address.port() == 4711 && !address.ip().is_unspecified())
        );
    }

    #[test]
    fn no_more_addresses_are_dialled_than_a_record_may_have() {
        let named = |count: u16| -> Vec<_> {
            let ip = [192, 0, 2, 1];
            (1..=count).map(|port| SocketAddr::from((ip, port))).collect()
        };
        let dialled = |count| dialable(&named(count), LoopbackPeers::Refused);
        let limit = u16::try_from(CONTACT_ADDRESS_COUNT_MAX).unwrap();
        assert_eq!(dialled(limit), named(limit));
        assert_eq!(dialled(limit + 1), named(limit));
    }

    #[test]
    fn addresses_of_a_network_are_dialled_as_they_are() {
        let usable = addresses(&["192.0.2.1:1", "10.0.0.1:65535", "[2001:db8::1]:1", "[fd00::1]:7"]);
        let sorted = sort(&usable, LoopbackPeers::Refused);
        assert_eq!((sorted.dialled, sorted.refused), (usable, vec![]));
    }

    #[test]
    fn loopback_addresses_are_dialled_only_if_that_is_wanted() {
        let loopback = addresses(&["127.0.0.1:1", "127.8.9.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1"]);
        let refused = sort(&loopback, LoopbackPeers::Refused);
        assert_eq!((refused.dialled.len(), refused.refused.len()), (0, 4));
        assert_eq!(refused.refused[0], "`127.0.0.1:1`: only this machine");
        let dialled = sort(&loopback, LoopbackPeers::Dialled).dialled;
        assert_eq!(
            dialled,
            addresses(&["127.0.0.1:1", "127.8.9.1:1", "[::1]:1", "127.0.0.1:1"])
        );
    }

    #[test]
    fn by_default_loopback_is_dialled_where_the_machine_has_no_other_address() {
        let is_alone = is_alone(&own_addresses());
        let sorted = sort(&addresses(&["127.0.0.1:1"]), LoopbackPeers::default());
        assert_eq!(sorted.dialled.len(), usize::from(is_alone));
    }

    #[test]
    fn a_machine_is_alone_only_if_its_addresses_say_so() {
        let own = |text: &[&str]| Ok(text.iter().map(|ip| ip.parse().unwrap()).collect());
        assert!(is_alone(&own(&["127.0.0.1", "::1"])));
        assert!(!is_alone(&own(&["127.0.0.1", "192.0.2.1"])));
        assert!(!is_alone(&Err(io::Error::other("no interfaces can be read"))));
    }

    #[test]
    fn addresses_that_mean_no_machine_of_a_network_are_never_dialled() {
        let unusable = addresses(&[
            "0.0.0.0:1",
            "0.1.2.3:1",
            "[::]:1",
            "[::ffff:0.0.0.0]:1",
            "255.255.255.255:1",
            "224.0.0.1:1",
            "[ff02::1]:1",
            "169.254.169.254:80",
            "[::ffff:169.254.169.254]:80",
            "[fe80::1]:1",
            "192.0.2.1:0",
        ]);
        let sorted = sort(&unusable, LoopbackPeers::Dialled);
        assert_eq!(sorted.dialled, []);
        assert_eq!(sorted.refused.len(), unusable.len());
    }
}
