//! What a peer is started with.
//!
//! Plain values, with defaults for use at home; nothing is read from the environment.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use crate::clock::Clock;
use crate::health::HealthConfig;
use crate::identity::Identity;
use crate::limits::{
    CATALOG_LEN_MAX, CONNECT_TIMEOUT, INITIATOR_PATIENCE, PEER_STORE_FETCHED_LEN_MAX, READ_PATIENCE,
};
use crate::reconnect::ReconnectConfig;
use crate::rendezvous::RelayTimeouts;
use crate::session::LoopbackPeers;

/// What a peer is started with. Make it with [`PeerConfig::new`] and change the defaults that don't
/// fit.
#[derive(Debug)]
pub struct PeerConfig {
    pub(crate) relay: Option<Url>,
    pub(crate) relay_timeouts: RelayTimeouts,
    pub(crate) identity: Option<Identity>,
    pub(crate) listen: Listen,
    pub(crate) advertised: Vec<SocketAddr>,
    pub(crate) loopback_peers: LoopbackPeers,
    pub(crate) outbound_ports: Option<RangeInclusive<u16>>,
    pub(crate) clock: Clock,
    pub(crate) health: HealthConfig,
    pub(crate) reconnect: ReconnectConfig,
    pub(crate) connect_timeout: Duration,
    pub(crate) initiator_patience: Duration,
    pub(crate) read_patience: Duration,
    pub(crate) state: Option<PathBuf>,
    pub(crate) store: Option<PathBuf>,
    pub(crate) fetched_len_max: u64,
    pub(crate) catalog_len_max: u64,
}

/// Where a peer listens.
#[derive(Debug)]
pub(crate) enum Listen {
    /// An address to bind; port 0 lets the system choose.
    Address(SocketAddr),
    /// A bound and listening socket, from a supervisor or a test.
    Socket(TcpListener),
}

impl PeerConfig {
    /// A peer that uses `relay`, with a fresh identity, listening on any free port.
    #[must_use]
    pub fn new(relay: Url) -> Self {
        Self::by(Some(relay))
    }

    /// As [`PeerConfig::new`], for a peer that asks no relay: it is found, and finds others, only
    /// at addresses that the two have told each other.
    #[must_use]
    pub fn without_relay() -> Self {
        Self::by(None)
    }

    fn by(relay: Option<Url>) -> Self {
        Self {
            relay,
            relay_timeouts: RelayTimeouts::default(),
            identity: None,
            listen: Listen::Address(SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0)),
            advertised: Vec::new(),
            loopback_peers: LoopbackPeers::default(),
            outbound_ports: None,
            clock: Clock::system(),
            health: HealthConfig::default(),
            reconnect: ReconnectConfig::default(),
            connect_timeout: CONNECT_TIMEOUT,
            initiator_patience: INITIATOR_PATIENCE,
            read_patience: READ_PATIENCE,
            state: None,
            store: None,
            fetched_len_max: PEER_STORE_FETCHED_LEN_MAX,
            catalog_len_max: CATALOG_LEN_MAX,
        }
    }

    /// Uses this identity instead of a fresh one.
    #[must_use]
    pub fn identity(mut self, identity: Identity) -> Self {
        self.identity = Some(identity);
        self
    }

    /// Listens on this address instead of `[::]:0`; port 0 lets the system choose.
    #[must_use]
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = Listen::Address(address);
        self
    }

    /// Uses this socket, bound and listening, instead of binding one.
    #[must_use]
    pub fn listener(mut self, socket: TcpListener) -> Self {
        self.listen = Listen::Socket(socket);
        self
    }

    /// Publishes these addresses for the other peer to dial, instead of those of this machine's
    /// network interfaces: for example, behind a port forwarding.
    #[must_use]
    pub fn advertise(mut self, addresses: Vec<SocketAddr>) -> Self {
        self.advertised = addresses;
        self
    }

    /// Whether loopback addresses in the other peer's record are dialled: without this only where
    /// this machine has no other address.
    #[must_use]
    pub fn loopback_peers(mut self, peers: LoopbackPeers) -> Self {
        self.loopback_peers = peers;
        self
    }

    /// Dials from these local ports only, for firewalls that ask for it.
    #[must_use]
    pub fn outbound_ports(mut self, ports: RangeInclusive<u16>) -> Self {
        self.outbound_ports = Some(ports);
        self
    }

    /// Takes wall time from this clock.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// How often the session is probed and when it counts as lost.
    #[must_use]
    pub fn health(mut self, health: HealthConfig) -> Self {
        self.health = health;
        self
    }

    /// How a lost session is taken up again.
    #[must_use]
    pub fn reconnect(mut self, reconnect: ReconnectConfig) -> Self {
        self.reconnect = reconnect;
        self
    }

    /// Time limits of requests to the relay.
    #[must_use]
    pub fn relay_timeouts(mut self, timeouts: RelayTimeouts) -> Self {
        self.relay_timeouts = timeouts;
        self
    }

    /// How long [`crate::peer::Peer::connect`] tries before it gives up.
    #[must_use]
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = limit;
        self
    }

    /// How long the peer that does not dial first waits before it dials too.
    #[must_use]
    pub fn initiator_patience(mut self, patience: Duration) -> Self {
        self.initiator_patience = patience;
        self
    }

    /// How long a read waits for bytes that are not here before it fails, even while the session is
    /// lost.
    #[must_use]
    pub fn read_patience(mut self, patience: Duration) -> Self {
        self.read_patience = patience;
        self
    }

    /// The directory in which the catalog, and what is known of local files, outlive the peer. It
    /// is created if it is missing, and belongs to one peer at a time. The next peer with the same
    /// identity goes on from there; see [`crate::peer::Peer::restored`]. What was written through a
    /// mount outlives the peer too, if the next one has the same [`PeerConfig::store`]. Don't put
    /// an old copy of it back: what the peer has done since would be done again under the same
    /// names.
    ///
    /// What changes is durable a moment later, and for certain after [`crate::peer::Peer::save`]
    /// and [`crate::peer::Peer::close`].
    #[must_use]
    pub fn state(mut self, path: impl Into<PathBuf>) -> Self {
        self.state = Some(path.into());
        self
    }

    /// The directory for files that are fetched to be read or written through a mount. It is
    /// created if it is missing, and belongs to one peer at a time. Without one a peer can't be
    /// mounted.
    #[must_use]
    pub fn store(mut self, path: impl Into<PathBuf>) -> Self {
        self.store = Some(path.into());
        self
    }

    /// How much disk the fetched contents that are not in use may take, in bytes.
    #[must_use]
    pub fn fetched_len_max(mut self, len: u64) -> Self {
        self.fetched_len_max = len;
        self
    }

    /// How much memory the catalog may take, in bytes. Beyond that, adding to it is an error for
    /// this peer, and additions of the other peer are refused.
    #[must_use]
    pub fn catalog_len_max(mut self, len: u64) -> Self {
        self.catalog_len_max = len;
        self
    }
}
