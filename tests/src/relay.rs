//! The relay of a universe: the real relay, started with the same call as in its `main`, with
//! faults around its router.
//!
//! A test can list everything the relay holds and everything it ever received, because a relay
//! could reveal all of that.

mod heard;

use std::net::SocketAddr;
use std::panic::Location;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tandem_relay::store::StoredEntry;
use tandem_relay::{Limits, MemoryStore, Relay, RelayConfig, StoreLimits};
use url::Url;

use crate::failure::{Caller, OrFail};
use crate::faults::Faults;
use crate::ports;
use crate::wait::{Look, complete, wait_for};
use heard::Heard;

/// Time for requests in flight when a relay under test shuts down.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(100);

/// A running relay, with verbs to inspect and to disturb it.
#[derive(Debug)]
pub struct RelayActor {
    relay: Mutex<Option<Relay>>,
    addr: SocketAddr,
    url: Url,
    store: Arc<MemoryStore>,
    faults: Faults,
    heard: Heard,
}

impl RelayActor {
    pub(crate) async fn start(at: Caller) -> RelayActor {
        let claim = ports::claim_anywhere().or_fail(at, "claim a port for the relay");
        let store = Arc::new(MemoryStore::new(
            StoreLimits::default(),
            tandem_relay::clock::Clock::system(),
        ));
        let (faults, heard) = (Faults::default(), Heard::default());
        let (faulty, hearing) = (faults.clone(), heard.clone());
        let config = RelayConfig::adopt(claim.listener)
            .store(store.clone())
            .limits(Limits {
                drain_timeout: DRAIN_TIMEOUT,
                ..Limits::default()
            })
            .layer(move |router| hearing.wrap(faulty.wrap(router)));
        let relay = Relay::bind(config).await.or_fail(at, "start the relay");
        let (addr, text) = (relay.addr(), relay.url());
        let url = Url::parse(&text).or_fail(at, format_args!("read the relay's address `{text}`"));
        RelayActor {
            relay: Mutex::new(Some(relay)),
            addr,
            url,
            store,
            faults,
            heard,
        }
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The URL that peers use.
    pub fn url(&self) -> Url {
        self.url.clone()
    }

    /// The faults that a test can inject.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Everything it holds at this moment.
    pub fn holds(&self) -> Vec<StoredEntry> {
        self.store.entries()
    }

    /// Everything it ever received: each request with its headers and its body.
    pub fn heard(&self) -> Vec<String> {
        self.heard.requests()
    }

    /// Waits until it received a request that starts with `beginning`, such as `POST /register`.
    #[track_caller]
    pub fn hears(&self, beginning: &'static str) -> impl Future<Output = ()> {
        let at = Location::caller();
        let mut requests = self.heard.watch();
        let current = requests.clone();
        async move {
            let look = async || match current
                .borrow()
                .iter()
                .any(|request| request.starts_with(beginning))
            {
                true => Look::Ready(()),
                false => Look::NotYet(format!("{} other requests", current.borrow().len())),
            };
            wait_for(at, beginning, async || drop(requests.changed().await), look).await;
        }
    }

    /// Shuts it down for good; returns when its port is free and its tasks have ended.
    #[track_caller]
    pub fn shutdown(&self) -> impl Future<Output = ()> {
        let at = Location::caller();
        self.shutdown_at(at)
    }

    pub(crate) async fn shutdown_at(&self, at: Caller) {
        let relay = self.relay.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(relay) = relay {
            // The number of cut requests is for the test to judge.
            let _drained = complete(at, "the relay's end", relay.shutdown()).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use tandem_core::rendezvous::RelayClient;

    use super::*;

    #[tokio::test]
    async fn a_cut_answer_ends_in_the_middle_and_the_next_is_whole() {
        let relay = RelayActor::start(Location::caller()).await;
        let client = RelayClient::new(relay.url()).unwrap();
        relay.faults().cut_next_answers(1);
        client.check_health().await.unwrap_err();
        client.check_health().await.unwrap();
        assert!(relay.heard()[0].starts_with("GET /health"), "{:?}", relay.heard());
        relay.shutdown().await;
    }

    #[tokio::test]
    async fn a_shutdown_in_the_middle_of_a_request_ends_it() {
        let relay = RelayActor::start(Location::caller()).await;
        let client = RelayClient::new(relay.url()).unwrap();
        let stall = relay.faults().stall();
        let (asked, ()) = tokio::join!(client.check_health(), async {
            stall.holds(1).await;
            relay.shutdown().await;
        });
        asked.unwrap_err();
        assert!(crate::leaks::is_released(relay.addr()));
    }
}
