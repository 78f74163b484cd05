//! The session slot: which peer is let in, which session there is, and what becomes of one that is
//! lost.
//!
//! The only place where a session is put in or taken out. The expected peer, the session, the
//! status and the event change together under one lock, so the peer of a session is always the
//! expected one.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::error::ConnectError;
use super::event::{DisconnectReason, Event, Events};
use super::session::Session;
use super::status::{SessionState, Status};
use crate::identity::Fingerprint;
use crate::session::tls::Expected;

/// See the head of this file.
#[derive(Debug)]
pub(crate) struct SessionSlot {
    own: Fingerprint,
    pub(crate) expected: Expected,
    session: watch::Sender<Option<Arc<Session>>>,
    status: watch::Sender<Status>,
    events: Events,
    /// Held while the expected peer, the session or the status changes.
    turn: Mutex<()>,
    /// The addresses at which the other peer was reached last.
    known: Mutex<Vec<SocketAddr>>,
    /// Whether a lost session is taken up again.
    is_kept: AtomicBool,
}

/// What becomes of a session that is lost, not closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AfterLoss {
    /// It is taken up again.
    TakeUpAgain,
    /// For a peer that was expected before, as it was decided then. For another, it is not taken up
    /// again.
    AsBefore,
    /// It is not taken up again.
    LeaveIt,
}

impl SessionSlot {
    /// An empty one, of the peer `own`. `expected` is what its listener asks.
    pub(crate) fn new(own: Fingerprint, expected: Expected, events: Events) -> Self {
        Self {
            own,
            expected,
            session: watch::Sender::new(None),
            status: watch::Sender::new(Status::default()),
            events,
            turn: Mutex::new(()),
            known: Mutex::new(Vec::new()),
            is_kept: AtomicBool::new(false),
        }
    }

    /// From now on `remote` is the peer that is let in, and `after_loss` says what becomes of a
    /// session with it that is lost. `true` if there is one already.
    pub(crate) fn expect(&self, remote: Fingerprint, after_loss: AfterLoss) -> Result<bool, ConnectError> {
        if remote == self.own {
            return Err(ConnectError::OwnFingerprint { fingerprint: remote });
        }
        // Under the lock under which a session gets its place: the peer of a session is always the
        // expected one.
        let _turn = self.take_turn();
        let session = self.session().filter(|session| !session.has_ended());
        let connected = session.as_ref().map(|session| session.remote);
        if let Some(other) = connected.filter(|other| *other != remote) {
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
    /// peer that is let in. Where it is left, the search for it has ended too.
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

    /// From now on no peer is let in. `true` if one was.
    pub(crate) fn expect_nobody(&self) -> bool {
        let _turn = self.take_turn();
        let was_expecting = self.expected.current().is_some();
        self.expected.set(None);
        was_expecting
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

    /// Puts a new session in; one that was there is replaced. `false` if another peer is expected
    /// by now.
    #[must_use]
    pub(crate) fn put(&self, session: &Arc<Session>) -> bool {
        let _turn = self.take_turn();
        if self.expected.current() != Some(session.remote) {
            return false;
        }
        if let Some(replaced) = self.session.send_replace(Some(session.clone())) {
            replaced.end(DisconnectReason::Replaced);
        }
        let (peer, initiator) = (session.remote, session.initiator);
        self.status_changed(|status| {
            *status = Status {
                state: SessionState::Connected,
                peer: Some(peer),
                initiator: Some(initiator),
                ..Status::default()
            };
        });
        self.events.emit(Event::Connected { peer, initiator });
        true
    }

    /// Takes a session out that has ended, whatever the reason.
    pub(crate) fn take_out(&self, session: &Arc<Session>) {
        let _turn = self.take_turn();
        let reason = session.reason();
        let state = self.state_after(&reason);
        self.session.send_if_modified(|slot| {
            let current = slot.as_ref().is_some_and(|current| Arc::ptr_eq(current, session));
            if current {
                *slot = None;
                // Within the lock of the slot: code that sees it empty also sees the next state.
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

    /// Slot, status and event change together: the thread that has the turn changes all three.
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
