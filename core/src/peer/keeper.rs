//! Keeping a pair together: publishing while it lasts, and taking a lost session up again.
//!
//! Drives the machine of `reconnect`: does what its actions say and reports what came of it. A session that ended on
//! purpose is not taken up again from here, but the other side is still let in when it comes.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use super::connector::{dial, dialled_by};
use super::error::ConnectError;
use super::event::{DisconnectReason, Event};
use super::shared::Shared;
use super::status::SessionState;
use crate::identity::Fingerprint;
use crate::reconnect::{AddressSource, Reconnect, ReconnectAction, ReconnectEvent, Role};

/// Stays with the pair until the peer is closed.
pub(crate) async fn keep(shared: Arc<Shared>, remote: Fingerprint) {
    tokio::join!(shared.keep_published(), keep_connected(&shared, remote));
}

async fn keep_connected(shared: &Arc<Shared>, remote: Fingerprint) {
    let mut known = Vec::new();
    loop {
        dialled_by(shared, remote).await;
        let Some(session) = shared.session() else { continue };
        if session.dialled_address().is_some() {
            known = session.dialled_address().into_iter().collect();
        }
        match session.ended().await {
            DisconnectReason::RemoteClosed | DisconnectReason::Closed => slot_emptied(shared).await,
            DisconnectReason::Replaced => {}
            DisconnectReason::Lost { .. } | DisconnectReason::Unresponsive => {
                slot_emptied(shared).await;
                Reconnecting::new(shared, remote, &known).run().await;
            }
        }
    }
}

/// The session takes itself out of the slot a moment after it ended.
async fn slot_emptied(shared: &Shared) {
    let ended = |slot: &Option<Arc<super::session::Session>>| {
        slot.as_ref().is_none_or(|session| !session.has_ended())
    };
    drop(shared.watch_session().wait_for(ended).await);
}

type Step = Pin<Box<dyn Future<Output = (ReconnectEvent, Option<Vec<SocketAddr>>)> + Send>>;

/// One run of the machine.
struct Reconnecting<'a> {
    shared: &'a Arc<Shared>,
    remote: Fingerprint,
    machine: Reconnect,
    known: Vec<SocketAddr>,
    looked_up: Vec<SocketAddr>,
    step: Option<Step>,
}

impl<'a> Reconnecting<'a> {
    fn new(shared: &'a Arc<Shared>, remote: Fingerprint, known: &[SocketAddr]) -> Self {
        let role = Role::of(&shared.fingerprint, &remote);
        let machine = Reconnect::new(shared.reconnect, role, getrandom::u64().unwrap_or_default());
        Self {
            shared,
            remote,
            machine,
            known: known.to_vec(),
            looked_up: Vec::new(),
            step: None,
        }
    }

    async fn run(mut self) {
        self.shared.status_changed(|status| {
            if status.state == SessionState::Disconnected {
                status.state = SessionState::Reconnecting;
            }
        });
        let mut event = ReconnectEvent::Disconnected;
        loop {
            let actions = self.machine.on_event(self.shared.clock.now(), event);
            if actions.into_iter().any(|action| self.act(action)) {
                return;
            }
            event = self.next_event().await;
        }
    }

    /// Does what the machine says. `true` when that was the end.
    fn act(&mut self, action: ReconnectAction) -> bool {
        match action {
            ReconnectAction::Wait { attempt, until } => {
                let delay = until.saturating_duration_since(self.shared.clock.now());
                self.shared.events.emit(Event::Reconnecting { attempt, delay });
            }
            ReconnectAction::LookUp { .. } => self.step = Some(look_up(self.shared.clone(), self.remote)),
            ReconnectAction::Dial { addresses, .. } => self.step = Some(self.dial(addresses)),
            ReconnectAction::Abandon => self.step = None,
            ReconnectAction::Reconnected { .. } => return true,
            ReconnectAction::GiveUp { attempt_count } => {
                self.shared
                    .status_changed(|status| status.state = SessionState::Disconnected);
                self.shared.events.emit(Event::ReconnectFailed {
                    attempts: attempt_count,
                });
                return true;
            }
        }
        false
    }

    fn dial(&self, source: AddressSource) -> Step {
        let addresses = match source {
            AddressSource::LookedUp => self.looked_up.clone(),
            AddressSource::LastKnown => self.known.clone(),
        };
        let (shared, remote) = (self.shared.clone(), self.remote);
        Box::pin(async move {
            match dial(&shared, remote, &addresses).await {
                Ok(_) => (ReconnectEvent::DialSucceeded, None),
                Err(error) => {
                    tracing::debug!(%error, "could not take the session up again");
                    (ReconnectEvent::DialFailed, None)
                }
            }
        })
    }

    async fn next_event(&mut self) -> ReconnectEvent {
        let deadline = self.machine.next_deadline();
        let clock = self.shared.clock.clone();
        let due = async move {
            match deadline {
                Some(deadline) => clock.sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        let step = async {
            match &mut self.step {
                Some(step) => step.await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            (event, addresses) = step => {
                self.step = None;
                if let Some(addresses) = addresses {
                    self.looked_up.clone_from(&addresses);
                    self.known = addresses;
                }
                event
            }
            () = dialled_by(self.shared, self.remote) => ReconnectEvent::Accepted,
            () = due => ReconnectEvent::DeadlineReached,
        }
    }
}

/// Publishes again as well: the relay may have forgotten us, or we may have moved.
fn look_up(shared: Arc<Shared>, remote: Fingerprint) -> Step {
    Box::pin(async move {
        if let Err(error) = shared.publish().await {
            tracing::debug!(%error, "could not publish again");
        }
        match shared.look_up(&remote).await {
            Ok(Some(addresses)) => (ReconnectEvent::LookedUp, Some(addresses)),
            Ok(None) => (ReconnectEvent::LookUpFailed { retry_after: None }, None),
            Err(error) => (
                ReconnectEvent::LookUpFailed {
                    retry_after: retry_after(&error),
                },
                None,
            ),
        }
    })
}

fn retry_after(error: &ConnectError) -> Option<std::time::Duration> {
    match error {
        ConnectError::Relay(error) => error.retry_after(),
        _ => None,
    }
}
