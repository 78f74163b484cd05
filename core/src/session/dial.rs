//! Reaching a peer: its candidate addresses are raced, IPv6 and IPv4 together (RFC 8305), without a
//! fixed wait of several seconds.
//!
//! Owns the order and the pace of the attempts, and the local ports that they leave from. The race
//! includes the whole TLS handshake, so that a silent address delays no other. Only the lane that
//! finishes its handshake first sends a hello, so that a peer is never greeted twice.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::crossing::{Crossings, Dial};
use super::lane::{self, OpenLane, ProvedLane};
use super::wire::Purpose;
use super::{RefusalReason, SessionError};
use crate::clock::Clock;
use crate::limits::{DIAL_STAGGER, DIAL_TIMEOUT, HANDSHAKE_TIMEOUT};

/// How this peer dials: with which proof of identity and from which local ports.
#[derive(Debug, Clone)]
pub(crate) struct Dialler {
    pub(crate) config: Arc<ClientConfig>,
    pub(crate) clock: Clock,
    /// Which of two lanes stays when both peers dial at the same moment.
    pub(crate) crossings: Crossings,
    /// Local ports to leave from, for firewalls; `None` lets the system choose.
    pub(crate) outbound_ports: Option<RangeInclusive<u16>>,
}

/// The outcome at one address: an error of TCP, or the outcome of the handshake.
type Attempt = io::Result<Result<ProvedLane, SessionError>>;

impl Dialler {
    /// Opens one lane to the first of `addresses` that answers as the expected peer.
    ///
    /// # Errors
    /// [`SessionError::Declined`] as soon as the other side's dial has precedence; after all
    /// attempts the error of the last handshake that failed, or [`SessionError::Unreachable`] with
    /// each address's own failure.
    pub(crate) async fn dial(
        &self,
        addresses: &[SocketAddr],
        purpose: Purpose,
    ) -> Result<OpenLane, SessionError> {
        let dial = self.crossings.begin();
        let mut attempts = JoinSet::new();
        for (index, address) in interleave(addresses).into_iter().enumerate() {
            let dialler = self.clone();
            let delay = DIAL_STAGGER * u32::try_from(index).unwrap_or(u32::MAX);
            attempts.spawn(async move { (address, dialler.reach_later(address, delay).await) });
        }
        let mut tried = Vec::new();
        let mut refused = None;
        while let Some(attempt) = attempts.join_next().await {
            match attempt.map_err(io::Error::other)? {
                (address, Err(error)) => tried.push(format!("`{address}`: {error}")),
                (_, Ok(Err(error))) => refused = Some(error),
                // The other attempts continue meanwhile; they are dropped once this lane is open.
                (_, Ok(Ok(proved))) => match ask(proved, purpose.clone(), &dial).await {
                    Ok(lane) => return Ok(lane),
                    // The other side's dial makes the session; every later lane would give way too.
                    Err(error) if error.is_crossing() => return Err(error),
                    Err(error) => refused = Some(error),
                },
            }
        }
        Err(refused.unwrap_or_else(|| SessionError::Unreachable {
            tried: tried.join(", "),
        }))
    }

    async fn reach_later(&self, address: SocketAddr, delay: Duration) -> Attempt {
        self.clock.sleep_until(self.clock.now() + delay).await;
        let connected = timeout(DIAL_TIMEOUT, self.connect(address)).await;
        let no_answer = |_| io::Error::new(io::ErrorKind::TimedOut, "no answer");
        let tcp = connected.map_err(no_answer)??;
        let deadline = self.clock.now() + HANDSHAKE_TIMEOUT;
        Ok(lane::reach(tcp, self.config.clone(), deadline).await)
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

async fn ask(proved: ProvedLane, purpose: Purpose, dial: &Dial) -> Result<OpenLane, SessionError> {
    if purpose != Purpose::Control {
        return proved.ask(purpose).await;
    }
    let crossing = dial.ask().ok_or(SessionError::Declined {
        address: proved.address(),
        reason: RefusalReason::Crossing,
    })?;
    let lane = proved.ask(purpose).await?;
    let crossing = Some(crossing);
    Ok(OpenLane { crossing, ..lane })
}

async fn connect_from(port: u16, address: SocketAddr) -> io::Result<TcpStream> {
    let (socket, local) = match address {
        SocketAddr::V4(_) => (TcpSocket::new_v4()?, IpAddr::from(Ipv4Addr::UNSPECIFIED)),
        SocketAddr::V6(_) => (TcpSocket::new_v6()?, IpAddr::from(Ipv6Addr::UNSPECIFIED)),
    };
    // Without this, every port of the range would be in TIME_WAIT after one use.
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

/// Each port of the range once. A random start keeps two peers on one machine from trying the same
/// ports.
fn from_random_start(ports: &RangeInclusive<u16>) -> impl Iterator<Item = u16> {
    let count = u64::from(ports.end().saturating_sub(*ports.start())) + 1;
    let start = getrandom::u64().unwrap_or_default() % count;
    let first = u64::from(*ports.start());
    (0..count).filter_map(move |i| u16::try_from(first + (start + i) % count).ok())
}

/// IPv6 first, then the families in turn (RFC 8305 section 4); each address once.
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
