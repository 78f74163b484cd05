//! One single-use identity with its listener: lets in the other side of the invitation and nobody
//! else, and dials it.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::{PairingConfig, PairingError};
use crate::clock::Clock;
use crate::identity::{Fingerprint, Identity};
use crate::limits::PAIRING_LANES_MAX;
use crate::rendezvous::{InvitationCode, InvitationRecord, RelayClient, Role, SealedRecord, Word};
use crate::session::addresses::{self, LoopbackPeers};
use crate::session::crossing::Crossings;
use crate::session::dial::Dialler;
use crate::session::lane::{KnockingLane, OpenLane};
use crate::session::listener::{Gate, Listener};
use crate::session::tls::{Expected, TlsIdentity};
use crate::session::wire::Purpose;
use crate::session::{RefusalReason, SessionError};

/// See the head of this file. Dropping it ends the listener.
#[derive(Debug)]
pub(super) struct Doorway {
    pub(super) relay: RelayClient,
    pub(super) clock: Clock,
    identity: Identity,
    addresses: Vec<SocketAddr>,
    loopback_peers: LoopbackPeers,
    tls: TlsIdentity,
    expected: Expected,
    lanes: mpsc::Receiver<OpenLane>,
    tasks: TaskTracker,
    cancel: DropGuard,
}

impl Doorway {
    /// Opens a doorway for an identity of its own. Nobody is expected yet.
    pub(super) fn open(config: PairingConfig) -> Result<Self, PairingError> {
        let identity = Identity::ephemeral()?;
        let listener = Listener::new(config.listener, config.clock.clone());
        let listener = listener.map_err(|source| PairingError::Socket { source })?;
        let addresses = match config.advertised {
            advertised if advertised.is_empty() => addresses::candidates(listener.local_addr()),
            advertised => advertised,
        };
        let tls = TlsIdentity::new(&identity).map_err(SessionError::from)?;
        let expected = Expected::default();
        let server = tls.server_config(expected.clone()).map_err(SessionError::from)?;
        let (arrived, lanes) = mpsc::channel(PAIRING_LANES_MAX);
        let (tasks, cancel) = (TaskTracker::new(), CancellationToken::new());
        let porch = Porch {
            expected: expected.clone(),
            arrived,
        };
        listener.spawn(server, Arc::new(porch), &tasks, cancel.clone());
        Ok(Self {
            relay: config.relay,
            clock: config.clock,
            identity,
            addresses,
            loopback_peers: config.loopback_peers,
            tls,
            expected,
            lanes,
            tasks,
            cancel: cancel.drop_guard(),
        })
    }

    /// The record of this side, to be read until `deadline_unix_ms`.
    pub(super) fn record(
        &self,
        side: (&InvitationCode, Role),
        word: Word,
        deadline_unix_ms: u64,
    ) -> Result<SealedRecord, PairingError> {
        let sealed = InvitationRecord::seal(&self.identity, side, word, deadline_unix_ms);
        Ok(sealed?)
    }

    /// The word that this side waits here.
    pub(super) fn waiting(&self) -> Word {
        Word::Waiting(self.addresses.clone())
    }

    /// Lets in only this single-use identity from now on.
    pub(super) fn expect(&self, remote: Fingerprint) {
        self.expected.set(Some(remote));
    }

    /// The next lane that the expected side has opened. Cancel safe.
    pub(super) async fn arrival(&mut self) -> Option<OpenLane> {
        self.lanes.recv().await
    }

    /// A future that dials the other side at the addresses of its record, as far as they may be
    /// dialled.
    pub(super) fn dial(
        &self,
        other: &Waiting,
    ) -> Result<impl Future<Output = Result<OpenLane, SessionError>> + Send + use<>, PairingError> {
        let dialler = Dialler {
            config: self
                .tls
                .client_config(other.fingerprint)
                .map_err(SessionError::from)?,
            clock: self.clock.clone(),
            crossings: Crossings::default(),
            outbound_ports: None,
        };
        let sorted = addresses::sort(&other.addresses, self.loopback_peers);
        Ok(async move {
            let lane = dialler.dial(&sorted.dialled, Purpose::Pairing).await;
            lane.map_err(|error| match error {
                SessionError::Unreachable { tried } => SessionError::Unreachable {
                    tried: [&[tried], sorted.refused.as_slice()].concat().join(", "),
                },
                other => other,
            })
        })
    }

    /// Stops listening, and returns when everything that was started here has ended.
    pub(super) async fn close(self) {
        drop(self.cancel);
        drop(self.lanes);
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Where the other side waits.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) fingerprint: Fingerprint,
    pub(super) addresses: Vec<SocketAddr>,
}

/// What the listener knows of the doorway.
struct Porch {
    expected: Expected,
    arrived: mpsc::Sender<OpenLane>,
}

impl Gate for Porch {
    async fn knock(self: Arc<Self>, lane: KnockingLane) {
        let is_expected = self.expected.current() == Some(lane.remote());
        let place = self.arrived.try_reserve();
        let outcome = match (lane.purpose.clone(), place) {
            (Purpose::Pairing, Ok(place)) if is_expected => lane.welcome().await.map(|lane| place.send(lane)),
            (Purpose::Pairing, Err(_)) => lane.refuse(RefusalReason::TooManyLanes).await,
            _ => lane.refuse(RefusalReason::UnknownSession).await,
        };
        if let Err(error) = outcome {
            tracing::debug!(%error, "a lane of the other side was not opened");
        }
    }
}
