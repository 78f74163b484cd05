//! Making the first session with a peer.
//!
//! Both sides do the same: they publish, then either dial or are dialled. The peer with the lower
//! fingerprint dials at once; the other one gives it a little time first, because only one of them
//! may be reachable.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::context::Context;
use super::error::ConnectError;
use super::event::Initiator;
use super::session::Session;
use super::status::SessionState;
use crate::identity::Fingerprint;
use crate::limits::{HANDSHAKE_TIMEOUT, LOOK_UP_DELAY_FIRST, LOOK_UP_DELAY_MAX};
use crate::reconnect::Role;
use crate::session::SessionError;
use crate::session::wire::Purpose;

/// Connects to `remote`, which is expected, through the relay.
pub(crate) async fn connect(context: &Arc<Context>, remote: Fingerprint) -> Result<(), ConnectError> {
    context.current.set_searching(SessionState::Connecting);
    let outcome = find(context, remote).await;
    if outcome.is_err() {
        context.current.set_searching(SessionState::Disconnected);
    }
    outcome
}

async fn find(context: &Arc<Context>, remote: Fingerprint) -> Result<(), ConnectError> {
    let limit = context.timing.connect_timeout;
    let mut last = ConnectError::NotFound {
        peer: remote,
        relay: context.contact.relay()?.url().to_string(),
        waited: limit,
    };
    let searching = async {
        context.contact.publish(Some(&mut last)).await?;
        tokio::select! {
            () = dialled_by(context, remote) => Ok(()),
            () = search(context, remote, &mut last) => Ok(()),
        }
    };
    match timeout(limit, searching).await {
        Ok(outcome) => outcome,
        Err(_) => Err(last),
    }
}

/// Connects to `remote`, which is expected, at one of these addresses, unless `remote` dials us
/// first.
pub(crate) async fn connect_at(
    context: &Arc<Context>,
    remote: Fingerprint,
    addresses: &[SocketAddr],
) -> Result<(), ConnectError> {
    let dialling = async {
        let dialled = dial(context, remote, addresses).await.map(drop);
        if matches!(&dialled, Err(error) if error.is_crossing()) {
            // The other peer's lane is about to become the session, or fails within this time.
            let until = context.runtime.clock.now() + HANDSHAKE_TIMEOUT;
            context.runtime.clock.sleep_until(until).await;
        }
        Ok(dialled?)
    };
    tokio::select! {
        biased;
        () = dialled_by(context, remote) => Ok(()),
        dialled = dialling => dialled,
    }
}

/// Waits until there is a session with `remote`, dialled by either side.
pub(crate) async fn dialled_by(context: &Context, remote: Fingerprint) {
    let connected = |slot: &Option<Arc<Session>>| {
        slot.as_ref()
            .is_some_and(|session| session.remote == remote && !session.has_ended())
    };
    // The slot lives as long as the peer, so waiting can't fail.
    drop(context.current.watch_session().wait_for(connected).await);
}

/// Looks up and dials until it works; leaves the latest error in `last`.
async fn search(context: &Arc<Context>, remote: Fingerprint, last: &mut ConnectError) {
    if Role::of(&context.fingerprint, &remote) == Role::Responder {
        context
            .runtime
            .clock
            .sleep_until(context.runtime.clock.now() + context.timing.initiator_patience)
            .await;
    }
    let mut delay = LOOK_UP_DELAY_FIRST;
    loop {
        match attempt(context, remote).await {
            Ok(true) => return,
            Ok(false) => {}
            Err(error) => {
                tracing::debug!(%error, "not connected yet");
                *last = error;
            }
        }
        context
            .runtime
            .clock
            .sleep_until(context.runtime.clock.now() + delay)
            .await;
        delay = next_delay(delay);
    }
}

fn next_delay(delay: Duration) -> Duration {
    (delay * 3 / 2).min(LOOK_UP_DELAY_MAX)
}

/// `false` when the other peer has not published yet.
async fn attempt(context: &Arc<Context>, remote: Fingerprint) -> Result<bool, ConnectError> {
    match context.contact.look_up(&remote).await? {
        Some(addresses) => dial(context, remote, &addresses)
            .await
            .map(|_| true)
            .map_err(ConnectError::from),
        None => Ok(false),
    }
}

/// Dials `remote` and makes the lane our session.
pub(crate) async fn dial(
    context: &Arc<Context>,
    remote: Fingerprint,
    addresses: &[SocketAddr],
) -> Result<Arc<Session>, SessionError> {
    let lane = context
        .dialling
        .dialler(remote)?
        .dial(addresses, Purpose::Control)
        .await?;
    context.current.remember_addresses(addresses);
    context.install(lane, Initiator::Us)
}
