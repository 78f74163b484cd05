//! What all parts of one running peer share: its identity, its files, and the session slot.
//!
//! Owns the only lock around the catalog and the only place where a session is put in or taken out.
//! Nothing here waits: the lock is held for one operation on the catalog, never across an await.

use std::future::Future;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, Span};

use super::addresses::LoopbackPeers;
use super::error::ConnectError;
use super::event::{DisconnectReason, Event, Events, Initiator};
use super::files::Files;
use super::rereads::Rereads;
use super::session::Session;
use super::status::{SessionState, Status};
use crate::clock::Clock;
use crate::health::HealthConfig;
use crate::identity::{Fingerprint, Identity};
use crate::reconnect::ReconnectConfig;
use crate::rendezvous::{NewestRecords, RelayClient};
use crate::session::SessionError;
use crate::session::crossing::Crossings;
use crate::session::dial::Dialler;
use crate::session::lane::OpenLane;
use crate::session::tls::{Expected, TlsIdentity};
use crate::store::{Depot, ReceivedLinks, Source};
use crate::transfer::Demand;

/// One running peer, as its tasks see it.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) identity: Identity,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) tls: TlsIdentity,
    pub(crate) relay: RelayClient,
    pub(crate) clock: Clock,
    pub(crate) health: HealthConfig,
    pub(crate) reconnect: ReconnectConfig,
    pub(crate) connect_timeout: Duration,
    pub(crate) initiator_patience: Duration,
    pub(crate) outbound_ports: Option<RangeInclusive<u16>>,
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) loopback_peers: LoopbackPeers,
    pub(crate) newest_records: Mutex<NewestRecords>,
    /// Asks for our record to be published before its time.
    pub(crate) publish_soon: Notify,
    pub(crate) expected: Expected,
    pub(crate) events: Events,
    pub(crate) tasks: TaskTracker,
    pub(crate) cancel: CancellationToken,
    /// Sources that the other side found to be wrong; `recheck` reads them again.
    pub(crate) stale: mpsc::Sender<Arc<Source>>,
    pub(crate) rereads: Rereads,
    /// Readers call from threads that know of no runtime.
    pub(crate) runtime: Handle,
    pub(crate) depot: Option<Depot>,
    pub(crate) demand: Demand,
    files: Mutex<Files>,
    received_links: Mutex<ReceivedLinks>,
    /// Held by the next one who gets `files`.
    files_turn: Mutex<()>,
    session: watch::Sender<Option<Arc<Session>>>,
    status: watch::Sender<Status>,
    turn: Mutex<()>,
    known: Mutex<Vec<SocketAddr>>,
    pub(crate) crossings: Crossings,
    /// Whether a lost session is taken up again.
    is_kept: AtomicBool,
    /// Tells the log lines of this peer from those of others in the same process.
    span: Span,
    /// The share as mounts see it, once there is one.
    #[cfg(unix)]
    mounted: Mutex<std::sync::Weak<crate::mount::MountedShare>>,
}

/// What a peer is made of, besides its state.
pub(crate) struct Parts {
    pub(crate) identity: Identity,
    pub(crate) tls: TlsIdentity,
    pub(crate) relay: RelayClient,
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) stale: mpsc::Sender<Arc<Source>>,
    pub(crate) files: Files,
    pub(crate) depot: Option<Depot>,
}

/// What becomes of a session that is lost, not closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AfterLoss {
    /// It is taken up again.
    TakeUpAgain,
    /// For a peer that was expected before, what was said then. For another, it is not taken up
    /// again.
    AsBefore,
    /// It is not taken up again.
    LeaveIt,
}

impl Shared {
    /// The state of a peer that is about to start, on the runtime of the caller.
    pub(crate) fn new(parts: Parts, config: super::PeerConfig) -> Self {
        let fingerprint = parts.identity.fingerprint();
        Self {
            fingerprint,
            identity: parts.identity,
            tls: parts.tls,
            relay: parts.relay,
            clock: config.clock,
            health: config.health,
            reconnect: config.reconnect,
            connect_timeout: config.connect_timeout,
            initiator_patience: config.initiator_patience,
            outbound_ports: config.outbound_ports,
            addresses: parts.addresses,
            loopback_peers: config.loopback_peers,
            newest_records: Mutex::default(),
            publish_soon: Notify::new(),
            expected: Expected::default(),
            events: Events::new(),
            tasks: TaskTracker::new(),
            cancel: CancellationToken::new(),
            stale: parts.stale,
            rereads: Rereads::default(),
            runtime: Handle::current(),
            depot: parts.depot,
            demand: Demand::new(config.read_patience),
            files: Mutex::new(parts.files),
            received_links: Mutex::default(),
            files_turn: Mutex::new(()),
            session: watch::Sender::new(None),
            status: watch::Sender::new(Status::default()),
            turn: Mutex::new(()),
            known: Mutex::new(Vec::new()),
            crossings: Crossings::default(),
            is_kept: AtomicBool::new(false),
            span: tracing::info_span!("peer", peer = fingerprint.fmt_short()),
            #[cfg(unix)]
            mounted: Mutex::default(),
        }
    }

    /// Starts a task of this peer, from any thread; [`super::Peer::close`] waits for it.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks
            .spawn_on(task.instrument(self.span.clone()), &self.runtime);
    }

    /// Starts work of this peer that blocks; [`super::Peer::close`] waits for it.
    pub(crate) fn spawn_blocking(&self, work: impl FnOnce() + Send + 'static) {
        let span = self.span.clone();
        self.tasks
            .spawn_blocking_on(move || span.in_scope(work), &self.runtime);
    }

    /// What the log lines of this peer belong to.
    pub(crate) fn span(&self) -> &Span {
        &self.span
    }

    /// From now on `remote` is the peer that is let in, and `after_loss` says what becomes of a
    /// session with it that is lost. `true` if there is one already.
    pub(crate) fn expect(&self, remote: Fingerprint, after_loss: AfterLoss) -> Result<bool, ConnectError> {
        if remote == self.fingerprint {
            return Err(ConnectError::OwnFingerprint { fingerprint: remote });
        }
        // Under the lock under which a session gets its place: the peer of a session is always the
        // expected one.
        let _turn = self.take_turn();
        let session = self.session().filter(|session| !session.has_ended());
        let engaged = session.as_ref().map(|session| session.remote);
        if let Some(other) = engaged.filter(|other| *other != remote) {
            return Err(ConnectError::Engaged { other });
        }
        if self.expected.current() != Some(remote) {
            self.expected.set(Some(remote));
            self.is_kept.store(false, Ordering::Release);
            self.status_changed(|status| status.state = SessionState::Disconnected);
        }
        self.note_after_loss(after_loss);
        Ok(session.is_some())
    }

    /// From now on `after_loss` says what becomes of a lost session with `remote`, if that is the
    /// peer that is let in. Where it is left, nobody looks for it either.
    pub(crate) fn set_after_loss(&self, remote: Fingerprint, after_loss: AfterLoss) {
        let _turn = self.take_turn();
        if self.expected.current() != Some(remote) {
            return;
        }
        self.note_after_loss(after_loss);
        if after_loss == AfterLoss::LeaveIt && !self.is_connected_to(remote) {
            self.status_changed(|status| status.state = SessionState::Disconnected);
        }
    }

    fn note_after_loss(&self, after_loss: AfterLoss) {
        match after_loss {
            AfterLoss::TakeUpAgain => self.is_kept.store(true, Ordering::Release),
            AfterLoss::AsBefore => {}
            AfterLoss::LeaveIt => self.is_kept.store(false, Ordering::Release),
        }
    }

    /// From now on nobody is let in. `true` if somebody was.
    pub(crate) fn expect_nobody(&self) -> bool {
        let _turn = self.take_turn();
        let was_expecting = self.expected.current().is_some();
        self.expected.set(None);
        was_expecting
    }

    /// The catalog and what is held of it. Don't keep it across an await.
    ///
    /// A lock alone would go to whoever has just had it, as a merge has between two pieces, before
    /// those who sleep waiting for it. Here the one who waits has the turn, and whoever comes again
    /// is behind it.
    pub(crate) fn files(&self) -> MutexGuard<'_, Files> {
        let _turn = self.files_turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The links that pulls have made.
    pub(crate) fn received_links(&self) -> MutexGuard<'_, ReceivedLinks> {
        self.received_links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The share as mounts see it, if there is one.
    #[cfg(unix)]
    pub(crate) fn mounted(&self) -> Option<Arc<crate::mount::MountedShare>> {
        let mounted = self.mounted.lock().unwrap_or_else(PoisonError::into_inner);
        mounted.upgrade()
    }

    /// From now on mounts are told of changes.
    #[cfg(unix)]
    pub(crate) fn set_mounted(&self, share: &Arc<crate::mount::MountedShare>) {
        *self.mounted.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(share);
    }

    /// The session there is at this moment.
    pub(crate) fn session(&self) -> Option<Arc<Session>> {
        self.session.borrow().clone()
    }

    /// Whether there is a session with `remote` at this moment.
    pub(crate) fn is_connected_to(&self, remote: Fingerprint) -> bool {
        let session = self.session();
        session.is_some_and(|session| session.remote == remote && !session.has_ended())
    }

    /// Follows the session slot.
    pub(crate) fn watch_session(&self) -> watch::Receiver<Option<Arc<Session>>> {
        self.session.subscribe()
    }

    pub(crate) fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    pub(crate) fn status_changed(&self, change: impl FnOnce(&mut Status)) {
        self.status.send_modify(change);
    }

    /// Follows the status.
    pub(crate) fn watch_status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// The addresses at which the other peer was reached last.
    pub(crate) fn known_addresses(&self) -> Vec<SocketAddr> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Remembers where the other peer was reached.
    pub(crate) fn remember_addresses(&self, addresses: &[SocketAddr]) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = addresses.to_vec();
    }

    /// How this peer dials `remote`.
    pub(crate) fn dialler(&self, remote: Fingerprint) -> Result<Dialler, SessionError> {
        let config = self.tls.client_config(remote)?;
        Ok(Dialler {
            config,
            clock: self.clock.clone(),
            crossings: self.crossings.clone(),
            outbound_ports: self.outbound_ports.clone(),
        })
    }

    /// Makes a welcome control lane the session of this peer; one that was there is replaced.
    ///
    /// # Errors
    /// When another peer is expected by now, whichever side dialled.
    pub(crate) fn install(
        self: &Arc<Self>,
        lane: OpenLane,
        initiator: Initiator,
    ) -> Result<Arc<Session>, SessionError> {
        let turn = self.take_turn();
        if self.expected.current() != Some(lane.remote) {
            let address = lane.address;
            return Err(SessionError::NotExpected { address });
        }
        let (session, engine) = Session::new(self, lane, initiator);
        if let Some(replaced) = self.session.send_replace(Some(session.clone())) {
            replaced.end(DisconnectReason::Replaced);
        }
        let peer = session.remote;
        self.status_changed(|status| {
            *status = Status {
                state: SessionState::Connected,
                peer: Some(peer),
                ..Status::default()
            };
            status.initiator = Some(initiator);
        });
        self.events.emit(Event::Connected { peer, initiator });
        drop(turn);
        engine.run();
        Ok(session)
    }

    /// Called by a session when it has ended, whatever the reason.
    pub(crate) fn session_ended(&self, session: &Arc<Session>) {
        let _turn = self.take_turn();
        let reason = session.reason();
        let state = self.state_after(&reason);
        self.session.send_if_modified(|slot| {
            let current = slot.as_ref().is_some_and(|current| Arc::ptr_eq(current, session));
            if current {
                *slot = None;
                // Within the slot's lock: whoever sees it empty also sees what comes next.
                self.status_changed(|status| {
                    *status = Status {
                        state,
                        peer: status.peer,
                        ..Status::default()
                    }
                });
            }
            current
        });
        self.events.emit(Event::Disconnected { reason });
    }

    /// Says how the search for a session goes, unless there is one by now.
    pub(crate) fn set_searching(&self, state: SessionState) {
        let _turn = self.take_turn();
        if self.session().is_none_or(|session| session.has_ended()) {
            self.status_changed(|status| status.state = state);
        }
    }

    /// Slot, status and event change together: whoever has the turn does all three.
    fn take_turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A session that was lost, not closed, is taken up again: there must be no moment in which it
    /// looks abandoned, or a pull would give up.
    fn state_after(&self, reason: &DisconnectReason) -> SessionState {
        match reason {
            DisconnectReason::Lost { .. } | DisconnectReason::Unresponsive
                if self.is_kept.load(Ordering::Acquire) =>
            {
                SessionState::Reconnecting
            }
            _ => SessionState::Disconnected,
        }
    }
}
