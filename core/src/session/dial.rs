//! Reaching a peer: its candidate addresses raced, IPv6 and IPv4 together (RFC 8305), no fixed multi-second wait.
//!
//! Owns the order and the pace of the attempts and the local ports they leave from. Only TCP is raced; a handshake runs
//! on one connection at a time, so that a peer is never greeted twice.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustls::ClientConfig;
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::SessionError;
use super::lane::{self, OpenLane};
use super::wire::Purpose;
use crate::clock::Clock;
use crate::limits::{DIAL_STAGGER, DIAL_TIMEOUT};

/// How this peer dials: with which proof of identity and from which local ports.
#[derive(Debug, Clone)]
pub(crate) struct Dialler {
    pub(crate) config: Arc<ClientConfig>,
    pub(crate) clock: Clock,
    /// How many control lanes of this peer are between TCP and their session.
    pub(crate) crossing: Arc<AtomicUsize>,
    /// Local ports to leave from, for firewalls; `None` lets the system choose.
    pub(crate) outbound_ports: Option<RangeInclusive<u16>>,
}

/// A control lane of ours is being made and the other side has answered: the moment in which two peers that dial each other
/// must agree on one of the two lanes. It does not cover the search for an address, or a peer that can't be reached would
/// keep turning away the one that can reach it.
#[derive(Debug)]
pub(crate) struct Crossing(Arc<AtomicUsize>);

impl Crossing {
    fn begin(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self(count.clone())
    }
}

impl Drop for Crossing {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Dialler {
    /// Opens one lane to the first of `addresses` that answers as the expected peer.
    ///
    /// # Errors
    /// The error of the last handshake that failed, or [`SessionError::Unreachable`] with each address's own failure.
    pub(crate) async fn dial(
        &self,
        addresses: &[SocketAddr],
        purpose: Purpose,
    ) -> Result<OpenLane, SessionError> {
        let mut attempts = JoinSet::new();
        for (index, address) in interleave(addresses).into_iter().enumerate() {
            let dialler = self.clone();
            let delay = DIAL_STAGGER * u32::try_from(index).unwrap_or(u32::MAX);
            attempts.spawn(async move { (address, dialler.connect_later(address, delay).await) });
        }
        let mut tried = Vec::new();
        let mut refused = None;
        while let Some(attempt) = attempts.join_next().await {
            match attempt.map_err(io::Error::other)? {
                (address, Err(error)) => tried.push(format!("`{address}`: {error}")),
                (_, Ok(tcp)) => match self.greet(tcp, purpose.clone()).await {
                    Ok(lane) => return Ok(lane),
                    Err(error) => refused = Some(error),
                },
            }
        }
        Err(refused.unwrap_or_else(|| SessionError::Unreachable {
            tried: tried.join(", "),
        }))
    }

    async fn greet(&self, tcp: TcpStream, purpose: Purpose) -> Result<OpenLane, SessionError> {
        let crossing = (purpose == Purpose::Control).then(|| Crossing::begin(&self.crossing));
        let lane = lane::dial(tcp, self.config.clone(), purpose).await?;
        Ok(OpenLane { crossing, ..lane })
    }

    async fn connect_later(&self, address: SocketAddr, delay: std::time::Duration) -> io::Result<TcpStream> {
        self.clock.sleep_until(self.clock.now() + delay).await;
        let connected = timeout(DIAL_TIMEOUT, self.connect(address)).await;
        connected.unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "no answer")))
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let Some(ports) = &self.outbound_ports else {
            return TcpStream::connect(address).await;
        };
        let mut last = io::Error::new(io::ErrorKind::AddrInUse, "every outbound port is in use");
        for port in from_random_start(ports) {
            match connect_from(port, address).await {
                Err(error) if is_port_taken(&error) => last = error,
                outcome => return outcome,
            }
        }
        Err(last)
    }
}

async fn connect_from(port: u16, address: SocketAddr) -> io::Result<TcpStream> {
    let (socket, local) = match address {
        SocketAddr::V4(_) => (TcpSocket::new_v4()?, IpAddr::from(Ipv4Addr::UNSPECIFIED)),
        SocketAddr::V6(_) => (TcpSocket::new_v6()?, IpAddr::from(Ipv6Addr::UNSPECIFIED)),
    };
    // Without it every port of the range rests in TIME_WAIT after one use.
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::new(local, port))?;
    socket.connect(address).await
}

fn is_port_taken(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::AddrInUse | io::ErrorKind::AddrNotAvailable
    )
}

/// Each port of the range once. Starting at random keeps two peers on one machine out of each other's way.
fn from_random_start(ports: &RangeInclusive<u16>) -> impl Iterator<Item = u16> {
    let count = u64::from(ports.end().saturating_sub(*ports.start())) + 1;
    let start = getrandom::u64().unwrap_or_default() % count;
    let first = u64::from(*ports.start());
    (0..count).filter_map(move |i| u16::try_from(first + (start + i) % count).ok())
}

/// IPv6 first, then the families in turn (RFC 8305 section 4); duplicates once.
fn interleave(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let (v6, v4): (Vec<_>, Vec<_>) = addresses.iter().copied().partition(SocketAddr::is_ipv6);
    let mut ordered: Vec<SocketAddr> = Vec::new();
    for index in 0..v6.len().max(v4.len()) {
        for address in [v6.get(index), v4.get(index)].into_iter().flatten() {
            if !ordered.contains(address) {
                ordered.push(*address);
            }
        }
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(text: &[&str]) -> Vec<SocketAddr> {
        text.iter().map(|address| address.parse().unwrap()).collect()
    }

    #[test]
    fn families_take_turns_and_duplicates_are_dialled_once() {
        let mixed = addresses(&["10.0.0.1:1", "10.0.0.2:1", "[::1]:1", "10.0.0.1:1", "[::2]:1"]);
        let ordered = addresses(&["[::1]:1", "10.0.0.1:1", "[::2]:1", "10.0.0.2:1"]);
        assert_eq!(interleave(&mixed), ordered);
    }

    #[test]
    fn every_port_of_a_range_is_tried_once() {
        let mut ports: Vec<_> = from_random_start(&(65530..=65535)).collect();
        ports.sort_unstable();
        assert_eq!(ports, (65530..=65535).collect::<Vec<_>>());
    }
}
