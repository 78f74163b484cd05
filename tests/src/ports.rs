//! Ports: claimed by binding and listening. A claim hands on the socket, never a number.
//!
//! A port that is probed, released and bound again collides in a third of all runs with parallel
//! tests; a port that is kept never does. The bands are those of the original test setup. If a band
//! is full, the kernel chooses a port and the claim records that; the owner of the claim logs it.
//! This file also chooses the loopback address, once per process, by binding to it.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::ops::RangeInclusive;
use std::sync::OnceLock;

use crate::seed::os_random;

/// Where alice listens.
pub const ALICE: RangeInclusive<u16> = 26100..=26249;
/// Where bob listens.
pub const BOB: RangeInclusive<u16> = 26400..=26549;

/// A listening socket and how it came by its port.
#[derive(Debug)]
pub struct Claim {
    /// Bound and listening since the claim; in blocking mode.
    pub listener: TcpListener,
    /// The address it listens on.
    pub addr: SocketAddr,
    /// How the port was chosen.
    pub origin: Origin,
}

/// How a claim came by its port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A port of the wanted band.
    Band,
    /// The kernel chose it because every port of `band` was taken; `last` is the error of binding
    /// the last one.
    Exhausted {
        /// The band that is full.
        band: RangeInclusive<u16>,
        /// The error of binding its last port.
        last: String,
    },
    /// The kernel chose it because no band was wanted.
    Anywhere,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Band => write!(f, "in its band"),
            Origin::Anywhere => write!(f, "chosen by the kernel"),
            Origin::Exhausted { band, last } => {
                let (first, end) = (band.start(), band.end());
                write!(
                    f,
                    "chosen by the kernel: every port of {first}-{end} is taken ({last})"
                )
            }
        }
    }
}

/// Claims a port of `band`, starting at a random one; falls back to any port if the whole band is
/// taken.
pub fn claim(band: RangeInclusive<u16>) -> io::Result<Claim> {
    let count = u64::from(band.end() - band.start()) + 1;
    let first = os_random() % count;
    let mut last = String::new();
    for step in 0..count {
        // The remainder is smaller than the band, which fits into u16.
        let port = band.start() + ((first + step) % count) as u16;
        match listen(port) {
            Ok((listener, addr)) => {
                return Ok(Claim {
                    listener,
                    addr,
                    origin: Origin::Band,
                });
            }
            Err(error) => last = error.to_string(),
        }
    }
    let (listener, addr) = listen(0)?;
    Ok(Claim {
        listener,
        addr,
        origin: Origin::Exhausted { band, last },
    })
}

/// Claims any port.
pub fn claim_anywhere() -> io::Result<Claim> {
    let (listener, addr) = listen(0)?;
    Ok(Claim {
        listener,
        addr,
        origin: Origin::Anywhere,
    })
}

/// The loopback address of this machine: `::1`, or `127.0.0.1` where IPv6 is missing.
pub fn loopback() -> IpAddr {
    static LOOPBACK: OnceLock<IpAddr> = OnceLock::new();
    *LOOPBACK.get_or_init(|| first_bindable(&[Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()]))
}

/// The first of `candidates` to which a socket can be bound. The last one is returned untried, so
/// that the caller gets the system's own error when it binds.
fn first_bindable(candidates: &[IpAddr]) -> IpAddr {
    let bindable = candidates.iter().find(|&&ip| TcpListener::bind((ip, 0)).is_ok());
    bindable
        .or(candidates.last())
        .copied()
        .unwrap_or(Ipv4Addr::LOCALHOST.into())
}

/// Binds *and* listens: two sockets with `SO_REUSEADDR` can both be bound to one port, but only one
/// can listen.
fn listen(port: u16) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind((loopback(), port))?;
    let addr = listener.local_addr()?;
    Ok((listener, addr))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_in_its_band() {
        let claim = claim(ALICE).unwrap();
        assert!(claim.origin != Origin::Band || ALICE.contains(&claim.addr.port()));
    }

    #[test]
    fn a_claimed_port_can_not_be_claimed_again() {
        let first = claim_anywhere().unwrap();
        let port = first.addr.port();
        let second = claim(port..=port).unwrap();
        assert_ne!(second.addr, first.addr);
        assert!(matches!(second.origin, Origin::Exhausted { .. }));
    }

    #[test]
    fn a_claim_from_a_full_band_reports_it() {
        let taken = claim_anywhere().unwrap();
        let port = taken.addr.port();
        let text = claim(port..=port).unwrap().origin.to_string();
        assert!(
            text.contains(&format!("every port of {port}-{port} is taken")),
            "{text}"
        );
    }

    #[test]
    fn without_ipv6_the_loopback_is_ipv4() {
        let unroutable: IpAddr = "2001:db8::1".parse().unwrap();
        assert_eq!(
            first_bindable(&[unroutable, Ipv4Addr::LOCALHOST.into()]),
            Ipv4Addr::LOCALHOST
        );
    }

    #[test]
    fn claims_of_many_threads_never_collide() {
        let threads: Vec<_> = (0..8)
            .map(|_| std::thread::spawn(|| (0..8).map(|_| claim(BOB).unwrap()).collect::<Vec<_>>()))
            .collect();
        let claims: Vec<Claim> = threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect();
        let ports: std::collections::BTreeSet<u16> = claims.iter().map(|claim| claim.addr.port()).collect();
        assert_eq!(ports.len(), claims.len());
    }
}
