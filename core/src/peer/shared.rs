//! What all parts of one running peer share: its identity, its files, and the session slot.
//!
//! Owns the only lock around the catalog and the only place where a session is put in or taken out. Nothing here waits:
//! the lock is held for one operation on the catalog, never across an await.

use std::future::Future;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, Span};

use super::event::{DisconnectReason, Event, Events, Initiator};
use super::files::Files;
use super::session::Session;
use super::status::{SessionState, Status};
use crate::clock::Clock;
use crate::health::HealthConfig;
use crate::identity::{Fingerprint, Identity};
use crate::reconnect::{ReconnectConfig, Role};
use crate::rendezvous::RelayClient;
use crate::session::SessionError;
use crate::session::dial::Dialler;
use crate::session::lane::OpenLane;
use crate::session::tls::{Expected, TlsIdentity};
use crate::store::Source;

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
    pub(crate) expected: Expected,
    pub(crate) events: Events,
    pub(crate) tasks: TaskTracker,
    pub(crate) cancel: CancellationToken,
    /// Sources whose files are not what they were; `refresh` reads them again.
    pub(crate) changed_sources: mpsc::UnboundedSender<Arc<Source>>,
    files: Mutex<Files>,
    session: watch::Sender<Option<Arc<Session>>>,
    status: watch::Sender<Status>,
    dialling: AtomicUsize,
    /// Whether a lost session is taken up again.
    is_kept: AtomicBool,
    /// Tells the log lines of this peer from those of others in the same process.
    span: Span,
}

/// What a peer is made of, besides its state.
pub(crate) struct Parts {
    pub(crate) identity: Identity,
    pub(crate) tls: TlsIdentity,
    pub(crate) relay: RelayClient,
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) changed_sources: mpsc::UnboundedSender<Arc<Source>>,
    pub(crate) files: Files,
}

impl Shared {
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
            expected: Expected::default(),
            events: Events::new(),
            tasks: TaskTracker::new(),
            cancel: CancellationToken::new(),
            changed_sources: parts.changed_sources,
            files: Mutex::new(parts.files),
            session: watch::Sender::new(None),
            status: watch::Sender::new(Status::default()),
            dialling: AtomicUsize::new(0),
            is_kept: AtomicBool::new(false),
            span: tracing::info_span!("peer", peer = fingerprint.fmt_short()),
        }
    }

    /// Starts a task of this peer; [`super::Peer::close`] waits for it.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task.instrument(self.span.clone()));
    }

    /// Starts work of this peer that blocks; [`super::Peer::close`] waits for it.
    pub(crate) fn spawn_blocking(&self, work: impl FnOnce() + Send + 'static) {
        let span = self.span.clone();
        self.tasks.spawn_blocking(move || span.in_scope(work));
    }

    /// What the log lines of this peer belong to.
    pub(crate) fn span(&self) -> &Span {
        &self.span
    }

    /// From now on a lost session is taken up again.
    pub(crate) fn set_kept(&self) {
        self.is_kept.store(true, Ordering::Release);
    }

    /// The catalog and what is held of it. Don't keep it across an await.
    pub(crate) fn files(&self) -> MutexGuard<'_, Files> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session there is at this moment.
    pub(crate) fn session(&self) -> Option<Arc<Session>> {
        self.session.borrow().clone()
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

    /// Whether a lost session is being taken up again.
    pub(crate) fn is_reconnecting(&self) -> bool {
        self.status.borrow().state == SessionState::Reconnecting
    }

    /// How this peer dials `remote`.
    pub(crate) fn dialler(&self, remote: Fingerprint) -> Result<Dialler, SessionError> {
        let config = self.tls.client_config(remote)?;
        Ok(Dialler {
            config,
            clock: self.clock.clone(),
            outbound_ports: self.outbound_ports.clone(),
        })
    }

    /// Makes a welcome control lane the session of this peer; one that was there is replaced.
    pub(crate) fn install(self: &Arc<Self>, lane: OpenLane, initiator: Initiator) -> Arc<Session> {
        let session = Session::start(self, lane, initiator);
        let replaced = self.session.send_replace(Some(session.clone()));
        if let Some(replaced) = replaced {
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
        session
    }

    /// Called by a session when it has ended, whatever the reason.
    pub(crate) fn session_ended(&self, session: &Arc<Session>) {
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

    /// A session that was lost, not closed, is taken up again: there must be no moment in which it looks abandoned, or
    /// a pull would give up.
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

    /// While the guard lives, a control lane that the other side dials at the same moment is refused, if our dial has
    /// precedence over it.
    pub(crate) fn dialling(&self) -> Dialling<'_> {
        self.dialling.fetch_add(1, Ordering::AcqRel);
        Dialling(&self.dialling)
    }

    /// Whether this peer is dialling and its dial has precedence.
    pub(crate) fn is_dialling_first(&self) -> bool {
        let first = self
            .expected
            .current()
            .is_some_and(|other| Role::of(&self.fingerprint, &other) == Role::Initiator);
        first && self.dialling.load(Ordering::Acquire) > 0
    }
}

/// This peer is dialling. See [`Shared::dialling`].
pub(crate) struct Dialling<'a>(&'a AtomicUsize);

impl Drop for Dialling<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
