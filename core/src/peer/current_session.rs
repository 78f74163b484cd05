//! The current session: the expected peer, the session if there is one, and what happens when it
//! is lost.
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
pub(crate) struct CurrentSession {
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

/// What happens with a session that is lost, not closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AfterLoss {
    /// It is taken up again.
    TakeUpAgain,
    /// If the same peer was expected before, the earlier decision stays. Otherwise it is not taken
    /// up again.
    AsBefore,
    /// It is not taken up again.
    LeaveIt,
}

impl CurrentSession {
    /// The peer `own` without a session. Its listener reads `expected`.
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

    /// Lets only `remote` in from now on. `after_loss` says what happens when a session with it is
    /// lost. `true` if there is a session already.
    pub(crate) fn expect(&self, remote: Fingerprint, after_loss: AfterLoss) -> Result<bool, ConnectError> {
        if remote == self.own {
            return Err(ConnectError::OwnFingerprint { fingerprint: remote });
        }
        // Under the same lock as putting a session in, so the peer of a session is always the
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

    /// Changes what happens when a session with `remote` is lost, if that is the expected peer.
    /// [`AfterLoss::LeaveIt`] also ends the search for it.
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

    /// Lets no peer in from now on. `true` if one was expected.
    pub(crate) fn expect_nobody(&self) -> bool {
        let _turn = self.take_turn();
        let was_expecting = self.expected.current().is_some();
        self.expected.set(None);
        was_expecting
    }

    /// The present session.
    pub(crate) fn session(&self) -> Option<Arc<Session>> {
        self.session.borrow().clone()
    }

    /// Whether there is a session with `remote` at this moment.
    pub(crate) fn is_connected_to(&self, remote: Fingerprint) -> bool {
        let session = self.session();
        session.is_some_and(|session| session.remote == remote && !session.has_ended())
    }

    /// Follows the current session.
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

    /// Puts a new session in, in place of an earlier one. `false` if another peer is expected by
    /// now.
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

    /// Takes out a session that has ended, for any reason.
    pub(crate) fn take_out(&self, session: &Arc<Session>) {
        let _turn = self.take_turn();
        let reason = session.reason();
        let state = self.state_after(&reason);
        self.session.send_if_modified(|slot| {
            let current = slot.as_ref().is_some_and(|current| Arc::ptr_eq(current, session));
            if current {
                *slot = None;
                // Under the lock of `session`: code that sees no session also sees the next state.
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

    /// Sets the state of the search for a session, unless there is a session by now.
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

    /// The state after a session has ended. One that is lost and will be taken up again must never
    /// look abandoned, or a pull would give up.
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
