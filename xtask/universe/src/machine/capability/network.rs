//! Loopback over IPv6 and IPv4: a socket is bound *and* reached, because a firewall or a disabled
//! `lo` only shows then.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};

use super::Capability;
use crate::base::limits::PROBE_CONNECT_TIMEOUT;

/// IPv6 loopback.
pub(super) fn ipv6() -> Capability {
    loopback("ipv6", IpAddr::V6(Ipv6Addr::LOCALHOST))
}

/// IPv4 loopback.
pub(super) fn ipv4() -> Capability {
    loopback("ipv4", IpAddr::V4(Ipv4Addr::LOCALHOST))
}

fn loopback(name: &'static str, address: IpAddr) -> Capability {
    let listener = match TcpListener::bind((address, 0)) {
        Ok(listener) => listener,
        Err(error) => return unbindable(name, address, &error),
    };
    match listener.local_addr().and_then(|bound| reach(&listener, bound)) {
        Ok(bound) => Capability::present(name, format!("bound `{bound}` and connected to it")),
        Err(error) => Capability::missing(name, format!("`{address}` can be bound but not reached: {error}"))
            .with_hint("bring loopback up (`ip link set lo up`), or let the firewall pass it"),
    }
}

fn reach(listener: &TcpListener, bound: SocketAddr) -> io::Result<SocketAddr> {
    let ours = TcpStream::connect_timeout(&bound, PROBE_CONNECT_TIMEOUT)?.local_addr()?;
    let (_stream, theirs) = listener.accept()?;
    if ours == theirs {
        Ok(bound)
    } else {
        Err(io::Error::other(format!("`{theirs}` answered instead")))
    }
}

fn unbindable(name: &'static str, address: IpAddr, error: &io::Error) -> Capability {
    let capability = Capability::missing(name, format!("could not bind `{address}`: {error}"));
    match address {
        IpAddr::V6(_) => capability.with_hint(
            "tests use 127.0.0.1 instead; `sysctl net.ipv6.conf.lo.disable_ipv6=0` brings it back",
        ),
        IpAddr::V4(_) => {
            capability.with_hint("tests use ::1 instead; bring loopback up with `ip link set lo up`")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_another_machine_is_reported_as_not_bindable() {
        let elsewhere = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
        let capability = loopback("ipv4", elsewhere);
        assert!(!capability.available);
        assert!(
            capability.evidence.contains("could not bind `192.0.2.1`"),
            "{capability:?}"
        );
    }

    #[test]
    fn one_of_the_two_families_reaches_itself() {
        assert!(ipv4().available || ipv6().available, "{:?} {:?}", ipv4(), ipv6());
    }
}
