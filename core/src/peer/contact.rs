//! The relay as one peer uses it: publishing our addresses and looking up those of the other peer.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use super::error::ConnectError;
use crate::clock::Clock;
use crate::identity::{Fingerprint, Identity};
use crate::limits::{
    CONTACT_REFRESH_INTERVAL, CONTACT_RETRY_DELAY, PUBLISH_ATTEMPTS_MAX, REFRESH_RETRY_INTERVAL,
};
use crate::rendezvous::{ContactRecord, LookupToken, NewestRecords, RelayClient, RelayError, RelayProblem};
use crate::session::addresses::{self, LoopbackPeers};

/// What a peer publishes about itself, and how it uses the other peer's record.
#[derive(Debug)]
pub(crate) struct Contact {
    relay: Option<RelayClient>,
    /// Asks for our record to be published early.
    pub(crate) publish_soon: Notify,
    identity: Identity,
    addresses: Vec<SocketAddr>,
    loopback_peers: LoopbackPeers,
    newest_records: Mutex<NewestRecords>,
    clock: Clock,
}

impl Contact {
    /// For the peer with this identity, which can be dialled at `addresses`.
    pub(crate) fn new(
        (identity, addresses): (Identity, Vec<SocketAddr>),
        relay: Option<RelayClient>,
        loopback_peers: LoopbackPeers,
        clock: Clock,
    ) -> Self {
        Self {
            relay,
            publish_soon: Notify::new(),
            identity,
            addresses,
            loopback_peers,
            newest_records: Mutex::default(),
            clock,
        }
    }

    /// The relay that this peer asks.
    pub(crate) fn relay(&self) -> Result<&RelayClient, ConnectError> {
        self.relay.as_ref().ok_or(ConnectError::NoRelay)
    }

    /// Where this peer can be dialled.
    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Publishes our record; if the relay is only busy, retries a few times and keeps the reason in
    /// `last`.
    pub(crate) async fn publish(&self, mut last: Option<&mut ConnectError>) -> Result<(), ConnectError> {
        let mut attempt = 1;
        loop {
            match self.publish_once().await {
                Err(ConnectError::Relay(error)) if attempt < PUBLISH_ATTEMPTS_MAX && is_passing(&error) => {
                    tracing::info!(%error, attempt, "the relay did not accept our record");
                    if let Some(last) = &mut last {
                        **last = ConnectError::Relay(error);
                    }
                    self.clock
                        .sleep_until(self.clock.now() + CONTACT_RETRY_DELAY)
                        .await;
                    attempt += 1;
                }
                outcome => return outcome,
            }
        }
    }

    async fn publish_once(&self) -> Result<(), ConnectError> {
        let relay = self.relay()?;
        let issued = self.clock.unix_ms();
        let record = ContactRecord::new(self.identity.public_key(), self.addresses.clone(), issued)?;
        let sealed = record.seal(&self.identity)?;
        Ok(relay.publish(&self.own_token(), &sealed).await?)
    }

    /// Asks the relay where `remote` may be dialled. `None` when it has not published, or its
    /// record has expired or was withdrawn.
    pub(crate) async fn look_up(
        &self,
        remote: &Fingerprint,
    ) -> Result<Option<Vec<SocketAddr>>, ConnectError> {
        let Some(sealed) = self.relay()?.look_up(&LookupToken::of(remote)).await? else {
            return Ok(None);
        };
        let record = sealed.open(remote, self.clock.unix_ms())?;
        let mut newest = self.newest_records.lock().unwrap_or_else(PoisonError::into_inner);
        newest.note(&record)?;
        drop(newest);
        let sorted = addresses::sort(record.addresses(), self.loopback_peers);
        let refused = sorted.refused.join(", ");
        if !refused.is_empty() {
            tracing::debug!(refused, "addresses of the other peer's record are not dialled");
        }
        if sorted.dialled.is_empty() && !refused.is_empty() {
            return Err(ConnectError::NothingToDial { refused });
        }
        Ok(Some(sorted.dialled))
    }

    /// Takes our record back. Best effort: it expires by itself.
    pub(crate) async fn withdraw(&self) {
        if let Some(relay) = &self.relay
            && let Err(error) = relay.withdraw(&self.own_token()).await
        {
            tracing::debug!(%error, "could not withdraw our record");
        }
    }

    fn own_token(&self) -> LookupToken {
        LookupToken::of(&self.identity.fingerprint())
    }

    /// Publishes the record again before the relay drops it; sooner after a failure, or when asked
    /// to. Without a relay there is nothing to do.
    pub(crate) async fn keep_published(&self) {
        if self.relay.is_none() {
            return;
        }
        let mut delay = CONTACT_REFRESH_INTERVAL;
        loop {
            tokio::select! {
                () = self.clock.sleep_until(self.clock.now() + delay) => {}
                () = self.publish_soon.notified() => {}
            }
            delay = match self.publish(None).await {
                Ok(()) => CONTACT_REFRESH_INTERVAL,
                Err(error) => {
                    tracing::warn!(%error, "could not refresh our record");
                    REFRESH_RETRY_INTERVAL
                }
            };
        }
    }
}

/// Whether asking again may help.
pub(crate) fn is_passing(error: &RelayError) -> bool {
    match &error.problem {
        RelayProblem::Refused { status, .. } => *status == 429 || *status >= 500,
        RelayProblem::BrokenOff(_) => true,
        _ => false,
    }
}
