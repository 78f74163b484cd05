//! The events of a peer, as a typed stream.
//!
//! Every subscriber sees every event in order. One that falls more than [`EVENTS_KEPT`] behind gets
//! [`Event::Missed`] with the number of missed events, and does not slow the peer down. `list()`
//! and `status()` always have the present state.

use std::time::Duration;

use tokio::sync::broadcast;

use crate::catalog::{CatalogError, CatalogEvent, SharePath};
use crate::health::Health;
use crate::identity::Fingerprint;
use crate::limits::EVENTS_KEPT;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A session with the other peer was made, for the first time or again.
    Connected {
        /// The other peer.
        peer: Fingerprint,
        /// Which side dialled.
        initiator: Initiator,
    },
    /// The session ended.
    Disconnected {
        /// Why.
        reason: DisconnectReason,
    },
    /// The session is about to be taken up again.
    Reconnecting {
        /// The number of this attempt, from 1.
        attempt: u32,
        /// How long it waits first.
        delay: Duration,
    },
    /// The peer has given up taking the session up again.
    ReconnectFailed {
        /// How many attempts it made.
        attempts: u32,
    },
    /// The session is better or worse than before.
    HealthChanged {
        /// How it was.
        from: Health,
        /// How it is.
        to: Health,
    },
    /// A heartbeat came back.
    Heartbeat {
        /// The moving average of the round trip.
        round_trip: Duration,
    },
    /// The other peer changed what both share.
    Catalog(CatalogEvent),
    /// The catalog has no room for what the other peer shares: some of it is not shown here. The
    /// session goes on. The other peer offers the refused entries again in the next session.
    /// Reported once in a session.
    CatalogFull {
        /// The limit that was reached.
        error: CatalogError,
    },
    /// A file that is shared from this machine was edited; its new content is shared now.
    SourceRefreshed {
        /// Its path.
        path: SharePath,
    },
    /// What changes can't be written to the folder of [`crate::peer::PeerConfig::state`], for
    /// example because its disk is full. Sharing goes on, and what was not written is written
    /// later. Reported once until that succeeds.
    NotSaved {
        /// Why, with the file.
        error: String,
    },
    /// This stream was read too slowly and has lost events.
    Missed {
        /// How many.
        count: u64,
    },
}

/// Which side of a session dialled it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Initiator {
    /// This peer.
    Us,
    /// The other peer.
    Them,
}

/// Why a session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DisconnectReason {
    /// The other peer said goodbye.
    RemoteClosed,
    /// The connection broke.
    Lost {
        /// The error of the system or of TLS.
        error: String,
    },
    /// The other peer stopped answering heartbeats.
    Unresponsive,
    /// The other peer made a new session in its place.
    Replaced,
    /// This peer closed it.
    Closed,
}

/// A subscription to the events of a peer, from the moment it was made.
#[derive(Debug)]
pub struct EventStream(broadcast::Receiver<Event>);

impl EventStream {
    /// The next event; `None` once the peer is closed and all events were read. Cancel safe.
    pub async fn next(&mut self) -> Option<Event> {
        match self.0.recv().await {
            Ok(event) => Some(event),
            Err(broadcast::error::RecvError::Lagged(count)) => Some(Event::Missed { count }),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

/// Sends events to the subscribers.
#[derive(Debug, Clone)]
pub(crate) struct Events(broadcast::Sender<Event>);

impl Events {
    pub(crate) fn new() -> Self {
        Self(broadcast::Sender::new(EVENTS_KEPT))
    }

    pub(crate) fn subscribe(&self) -> EventStream {
        EventStream(self.0.subscribe())
    }

    pub(crate) fn emit(&self, event: Event) {
        tracing::debug!(?event, "event");
        // Fails only when there is no subscriber.
        drop(self.0.send(event));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn added(number: usize) -> Event {
        let path = SharePath::parse(&number.to_string()).unwrap();
        Event::Catalog(CatalogEvent::Added { path })
    }

    /// The first event that a subscriber reads after `count` were emitted.
    async fn first_of(count: usize) -> Event {
        let events = Events::new();
        let mut subscriber = events.subscribe();
        (0..count).for_each(|number| events.emit(added(number)));
        subscriber.next().await.unwrap()
    }

    #[tokio::test]
    async fn a_subscriber_may_fall_behind_up_to_the_limit_and_misses_one_event_beyond_it() {
        assert_eq!(first_of(EVENTS_KEPT).await, added(0));
        assert_eq!(first_of(EVENTS_KEPT + 1).await, Event::Missed { count: 1 });
    }
}
