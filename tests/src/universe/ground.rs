//! The base of a universe: its directory, its seed, its links, and what the process held before.
//!
//! It starts peers without knowing how a test will use them.

use std::net::SocketAddr;
use std::ops::RangeInclusive;

use tandem_core::identity::Identity;
use tandem_core::peer::{LoopbackPeers, Peer, PeerConfig};
use tracing::{Instrument, info_span};
use url::Url;

use super::builder::{Configure, Path, Paths};
use crate::actor::{Actor, Home, store_in};
use crate::failure::{Caller, OrFail};
use crate::link::Link;
use crate::log::Log;
use crate::ports;
use crate::relay::RelayActor;
use crate::seed::Seed;
use crate::temp::TempRoot;
use crate::wait::complete;

/// See the module's head.
#[derive(Debug)]
pub(super) struct Ground {
    pub(super) seed: Seed,
    pub(super) root: TempRoot,
    pub(super) link: Option<Link>,
    pub(super) relay_link: Option<Link>,
    relay_url: Url,
    configure: Configure,
}

impl Ground {
    pub(super) fn lay(relay: &RelayActor, paths: Paths, configure: Configure, at: Caller) -> Ground {
        let link = (paths.between_peers == Path::Linked).then(Link::new);
        let relay_link = (paths.to_relay == Path::Linked).then(Link::new);
        let relay_url = match &relay_link {
            None => relay.url(),
            Some(link) => {
                let front = link.front(relay.addr()).or_fail(at, "open the link to the relay");
                Url::parse(&format!("http://{front}")).or_fail(at, "name the link to the relay")
            }
        };
        let root = TempRoot::create().or_fail(at, "make the directory of the universe");
        Ground {
            seed: Seed::choose(),
            root,
            link,
            relay_link,
            relay_url,
            configure,
        }
    }

    /// Starts a peer called `name` on a port of `band`, or on any port.
    pub(super) async fn start(&self, name: &str, band: Option<RangeInclusive<u16>>, at: Caller) -> Actor {
        let claim = band
            .map_or_else(ports::claim_anywhere, ports::claim)
            .or_fail(at, "claim a port");
        let home = self.root.dir(name).or_fail(at, "make a peer's directory");
        // Several universes can run in one process, so the key of a log must be unique.
        let key = home.display().to_string();
        let log = Log::open(&key);
        log.write(format_args!("listens on {}, {}", claim.addr, claim.origin));
        let identity = Identity::ephemeral().or_fail(at, "make an identity");
        let public_key = identity.public_key();
        let config = PeerConfig::new(self.relay_url.clone())
            .listener(claim.listener)
            .store(store_in(&home))
            // Every party of a universe is on this machine.
            .loopback_peers(LoopbackPeers::Dialled)
            .identity(identity);
        let config = self.differing(config, claim.addr, at);
        let span = info_span!("peer", peer = key);
        let started = complete(at, "a peer that starts", Peer::start(config).instrument(span)).await;
        let peer = started.or_fail(at, format_args!("start {name}"));
        log.also_as(&peer.fingerprint().fmt_short());
        Actor::new(
            name,
            peer,
            Home {
                public_key,
                addr: claim.addr,
                log,
                dir: home,
            },
        )
    }

    fn differing(&self, config: PeerConfig, addr: SocketAddr, at: Caller) -> PeerConfig {
        let config = match &self.link {
            None => config,
            Some(link) => config.advertise(vec![
                link.front(addr).or_fail(at, "open the link between the peers"),
            ]),
        };
        self.configure.apply(config)
    }
}
