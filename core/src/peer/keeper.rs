//! Keeps a pair connected: publishes the record, and takes a lost session up again.
//!
//! Drives the machine of `reconnect`: carries out its actions and reports the results. A session
//! that ended on purpose is not taken up again from here, but the other peer may still connect.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use super::connector::{dial, dialled_by};
use super::context::Context;
use super::error::ConnectError;
use super::event::Event;
use super::status::SessionState;
use crate::identity::Fingerprint;
use crate::limits::SETTLED_AFTER;
use crate::reconnect::{AddressSource, Reconnect, ReconnectAction, ReconnectEvent, Role};

/// Keeps the pair connected until the peer is closed.
pub(crate) async fn keep(context: Arc<Context>, remote: Fingerprint) {
    tokio::join!(context.contact.keep_published(), keep_connected(&context, remote));
}

/// Each time a session is lost, connects the pair again. If sessions break as soon as they are
/// made, each attempt waits longer.
async fn keep_connected(context: &Arc<Context>, remote: Fingerprint) {
    let mut status = context.current.watch_status();
    let mut broken_soon = 0;
    loop {
        // The status lives as long as the peer, so waiting can't fail.
        drop(
            status
                .wait_for(|status| status.state == SessionState::Reconnecting)
                .await,
        );
        rest(context, remote, broken_soon).await;
        Reconnecting::new(context, remote).run().await;
        let back_at = context.runtime.clock.now();
        drop(
            status
                .wait_for(|status| status.state == SessionState::Reconnecting)
                .await,
        );
        let lasted = context.runtime.clock.now() - back_at;
        broken_soon = if lasted < SETTLED_AFTER {
            broken_soon + 1
        } else {
            0
        };
    }
}

/// Waits longer after each session that broke at once, and not at all after one that lasted.
async fn rest(context: &Context, remote: Fingerprint, broken_soon: u32) {
    if broken_soon == 0 {
        return;
    }
    let config = &context.timing.reconnect;
    let delay = config
        .delay_first
        .saturating_mul(1 << (broken_soon - 1).min(16))
        .min(config.delay_max);
    let until = context.runtime.clock.now() + delay;
    tokio::select! {
        () = context.runtime.clock.sleep_until(until) => {}
        () = dialled_by(context, remote) => {}
    }
}

type Step = Pin<Box<dyn Future<Output = (ReconnectEvent, Option<Vec<SocketAddr>>)> + Send>>;

/// One run of the machine.
struct Reconnecting<'a> {
    context: &'a Arc<Context>,
    remote: Fingerprint,
    machine: Reconnect,
    known: Vec<SocketAddr>,
    looked_up: Vec<SocketAddr>,
    step: Option<Step>,
}

impl<'a> Reconnecting<'a> {
    fn new(context: &'a Arc<Context>, remote: Fingerprint) -> Self {
        let role = Role::of(&context.fingerprint, &remote);
        let machine = Reconnect::new(
            context.timing.reconnect,
            role,
            getrandom::u64().unwrap_or_default(),
        );
        Self {
            context,
            remote,
            machine,
            known: context.current.known_addresses(),
            looked_up: Vec::new(),
            step: None,
        }
    }

    async fn run(mut self) {
        let mut event = ReconnectEvent::Disconnected;
        loop {
            let actions = self.machine.on_event(self.context.runtime.clock.now(), event);
            if actions.into_iter().any(|action| self.act(action)) {
                return;
            }
            event = self.next_event().await;
        }
    }

    /// Carries out one action of the machine. `true` when that was the last one.
    fn act(&mut self, action: ReconnectAction) -> bool {
        match action {
            ReconnectAction::Wait { attempt, until } => {
                let delay = until.saturating_duration_since(self.context.runtime.clock.now());
                self.context.events.emit(Event::Reconnecting { attempt, delay });
            }
            ReconnectAction::LookUp { .. } => self.step = Some(look_up(self.context.clone(), self.remote)),
            ReconnectAction::Dial { addresses, .. } => self.step = Some(self.dial(addresses)),
            ReconnectAction::Abandon => self.step = None,
            ReconnectAction::Reconnected { .. } => return true,
            ReconnectAction::GiveUp { attempt_count } => {
                self.context.current.set_searching(SessionState::Disconnected);
                self.context.events.emit(Event::ReconnectFailed {
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
        let (context, remote) = (self.context.clone(), self.remote);
        Box::pin(async move {
            match dial(&context, remote, &addresses).await {
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
        let clock = self.context.runtime.clock.clone();
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
            () = dialled_by(self.context, self.remote) => ReconnectEvent::Accepted,
            () = due => ReconnectEvent::DeadlineReached,
        }
    }
}

/// Also has our record published again: the relay may have dropped it, or our addresses may have
/// changed. Does not wait for that: a relay that accepts no record must not keep us from the other
/// peer.
fn look_up(context: Arc<Context>, remote: Fingerprint) -> Step {
    Box::pin(async move {
        context.contact.publish_soon.notify_one();
        match context.contact.look_up(&remote).await {
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
