//! The relay as one peer uses it: telling it where we are, asking it where the other one is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::error::ConnectError;
use super::shared::Shared;
use crate::identity::Fingerprint;
use crate::limits::{
    CONTACT_ADDRESS_COUNT_MAX, CONTACT_REFRESH_INTERVAL, CONTACT_RETRY_DELAY, PUBLISH_ATTEMPTS_MAX,
    REFRESH_RETRY_INTERVAL,
};
use crate::rendezvous::{ContactRecord, LookupToken, RelayError, RelayProblem};

impl Shared {
    /// Publishes our record; a relay that is merely busy is asked again a few times, and meanwhile `last` says why.
    pub(crate) async fn publish(&self, mut last: Option<&mut ConnectError>) -> Result<(), ConnectError> {
        let mut attempt = 1;
        loop {
            match self.publish_once().await {
                Err(ConnectError::Relay(error)) if attempt < PUBLISH_ATTEMPTS_MAX && is_passing(&error) => {
                    tracing::info!(%error, attempt, "the relay did not take our record");
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
        let issued = self.clock.unix_ms();
        let record = ContactRecord::new(self.identity.public_key(), self.addresses.clone(), issued)?;
        let sealed = record.seal(&self.identity)?;
        Ok(self
            .relay
            .publish(&LookupToken::of(&self.fingerprint), &sealed)
            .await?)
    }

    /// Asks the relay where `remote` is. `None` when it has not published, or not any more.
    pub(crate) async fn look_up(
        &self,
        remote: &Fingerprint,
    ) -> Result<Option<Vec<SocketAddr>>, ConnectError> {
        let Some(sealed) = self.relay.look_up(&LookupToken::of(remote)).await? else {
            return Ok(None);
        };
        let record = sealed.open(remote, self.clock.unix_ms())?;
        Ok(Some(record.addresses().to_vec()))
    }

    /// Takes our record back. Best effort: it expires by itself.
    pub(crate) async fn withdraw(&self) {
        if let Err(error) = self.relay.withdraw(&LookupToken::of(&self.fingerprint)).await {
            tracing::debug!(%error, "could not withdraw our record");
        }
    }

    /// Publishes again and again, before the relay forgets us; sooner when it did not work.
    pub(crate) async fn keep_published(&self) {
        let mut delay = CONTACT_REFRESH_INTERVAL;
        loop {
            self.clock.sleep_until(self.clock.now() + delay).await;
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

/// The addresses at which a listener on `local` can be dialled: itself, or those of the interfaces it listens on.
pub(crate) fn candidates(local: SocketAddr) -> Vec<SocketAddr> {
    if !local.ip().is_unspecified() {
        return vec![local];
    }
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    let reachable = |ip: &IpAddr| local.is_ipv6() || ip.is_ipv4();
    let mut ips: Vec<_> = interfaces
        .iter()
        .map(if_addrs::Interface::ip)
        .filter(reachable)
        .collect();
    ips.retain(|ip| !is_link_local(ip));
    // Loopback last, and only of use when both peers are on one machine.
    ips.sort_by_key(IpAddr::is_loopback);
    if ips.is_empty() {
        ips = vec![Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()];
    }
    ips.truncate(CONTACT_ADDRESS_COUNT_MAX);
    ips.into_iter()
        .map(|ip| SocketAddr::new(ip, local.port()))
        .collect()
}

/// Such an address means nothing without the interface's name, which a record can't carry.
fn is_link_local(ip: &IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_one_address_is_dialled_there() {
        let local: SocketAddr = "127.0.0.1:4711".parse().unwrap();
        assert_eq!(candidates(local), [local]);
    }

    #[test]
    fn a_listener_on_every_address_is_dialled_at_those_of_the_machine() {
        let found = candidates("[::]:4711".parse().unwrap());
        assert!(!found.is_empty() && found.len() <= CONTACT_ADDRESS_COUNT_MAX);
        assert!(
            found
                .iter()
                .all(|address| address.port() == 4711 && !address.ip().is_unspecified())
        );
    }
}
