//! Making the first session with a peer.
//!
//! Both sides do the same: publish, then either be dialled or dial. The peer with the lower
//! fingerprint dials at once; the other one gives it a little time first, because only one of them
//! may be reachable.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::error::ConnectError;
use super::event::Initiator;
use super::session::Session;
use super::shared::Shared;
use super::status::SessionState;
use crate::identity::Fingerprint;
use crate::limits::{HANDSHAKE_TIMEOUT, LOOK_UP_DELAY_FIRST, LOOK_UP_DELAY_MAX};
use crate::reconnect::Role;
use crate::session::SessionError;
use crate::session::wire::Purpose;

/// Connects to `remote`, which is expected, through the relay.
pub(crate) async fn connect(shared: &Arc<Shared>, remote: Fingerprint) -> Result<(), ConnectError> {
    shared.set_searching(SessionState::Connecting);
    let outcome = find(shared, remote).await;
    if outcome.is_err() {
        shared.set_searching(SessionState::Disconnected);
    }
    outcome
}

async fn find(shared: &Arc<Shared>, remote: Fingerprint) -> Result<(), ConnectError> {
    let limit = shared.connect_timeout;
    let mut last = ConnectError::NotFound {
        peer: remote,
        relay: shared.relay.url().to_string(),
        waited: limit,
    };
    let searching = async {
        shared.publish(Some(&mut last)).await?;
        tokio::select! {
            () = dialled_by(shared, remote) => Ok(()),
            () = search(shared, remote, &mut last) => Ok(()),
        }
    };
    match timeout(limit, searching).await {
        Ok(outcome) => outcome,
        Err(_) => Err(last),
    }
}

/// Connects to `remote`, which is expected, at one of these addresses, unless it is faster.
pub(crate) async fn connect_at(
    shared: &Arc<Shared>,
    remote: Fingerprint,
    addresses: &[SocketAddr],
) -> Result<(), ConnectError> {
    let dialling = async {
        let dialled = dial(shared, remote, addresses).await.map(drop);
        if matches!(&dialled, Err(error) if error.is_crossing()) {
            // The other side's lane is about to become the session, or fails within this time.
            let until = shared.clock.now() + HANDSHAKE_TIMEOUT;
            shared.clock.sleep_until(until).await;
        }
        Ok(dialled?)
    };
    tokio::select! {
        biased;
        () = dialled_by(shared, remote) => Ok(()),
        dialled = dialling => dialled,
    }
}

/// Waits until there is a session with `remote`, whoever dialled it.
pub(crate) async fn dialled_by(shared: &Shared, remote: Fingerprint) {
    let connected = |slot: &Option<Arc<Session>>| {
        slot.as_ref()
            .is_some_and(|session| session.remote == remote && !session.has_ended())
    };
    // The slot lives as long as the peer, so waiting can't fail.
    drop(shared.watch_session().wait_for(connected).await);
}

/// Looks up and dials until it works; leaves in `last` what went wrong most recently.
async fn search(shared: &Arc<Shared>, remote: Fingerprint, last: &mut ConnectError) {
    if Role::of(&shared.fingerprint, &remote) == Role::Responder {
        shared
            .clock
            .sleep_until(shared.clock.now() + shared.initiator_patience)
            .await;
    }
    let mut delay = LOOK_UP_DELAY_FIRST;
    loop {
        match attempt(shared, remote).await {
            Ok(true) => return,
            Ok(false) => {}
            Err(error) => {
                tracing::debug!(%error, "not connected yet");
                *last = error;
            }
        }
        shared.clock.sleep_until(shared.clock.now() + delay).await;
        delay = next_delay(delay);
    }
}

fn next_delay(delay: Duration) -> Duration {
    (delay * 3 / 2).min(LOOK_UP_DELAY_MAX)
}

/// `false` when the other peer has not published yet.
async fn attempt(shared: &Arc<Shared>, remote: Fingerprint) -> Result<bool, ConnectError> {
    match shared.look_up(&remote).await? {
        Some(addresses) => dial(shared, remote, &addresses)
            .await
            .map(|_| true)
            .map_err(ConnectError::from),
        None => Ok(false),
    }
}

/// Dials `remote` and makes the lane our session.
pub(crate) async fn dial(
    shared: &Arc<Shared>,
    remote: Fingerprint,
    addresses: &[SocketAddr],
) -> Result<Arc<Session>, SessionError> {
    let lane = shared.dialler(remote)?.dial(addresses, Purpose::Control).await?;
    shared.remember_addresses(addresses);
    shared.install(lane, Initiator::Us)
}
