//! The events of a peer, from the moment a test subscribes.

use std::panic::Location;

use tandem_core::peer::{Event, EventStream};

use crate::failure::fail;
use crate::wait::{WAIT_MAX, in_time};

/// The events of one peer; those already read are kept for the failure message.
#[derive(Debug)]
pub struct History {
    name: String,
    events: EventStream,
    seen: Vec<Event>,
}

impl History {
    pub(crate) fn new(name: &str, events: EventStream) -> History {
        History {
            name: name.to_owned(),
            events,
            seen: Vec::new(),
        }
    }

    /// Waits for the next event for which `pick` returns something; earlier events are skipped.
    #[track_caller]
    pub fn until<T>(&mut self, what: &str, pick: impl Fn(&Event) -> Option<T>) -> impl Future<Output = T> {
        let at = Location::caller();
        async move {
            let outcome = in_time(self.next(pick)).await;
            let (name, seen) = (&self.name, &self.seen);
            match outcome {
                Some(Some(picked)) => picked,
                Some(None) => fail(
                    at,
                    format_args!("{name} closed before {what}; its events: {seen:?}"),
                ),
                None => fail(
                    at,
                    format_args!("{what} did not come at {name} in {WAIT_MAX:?}; its events: {seen:?}"),
                ),
            }
        }
    }

    async fn next<T>(&mut self, pick: impl Fn(&Event) -> Option<T>) -> Option<T> {
        loop {
            let event = self.events.next().await?;
            let picked = pick(&event);
            self.seen.push(event);
            if picked.is_some() {
                return picked;
            }
        }
    }
}
