//! Waiting for a registration: how a fetch that may wait learns that its token has got a blob.
//!
//! Waiting requests are woken in groups, chosen by a secret hash of their tokens, so that their
//! memory is bounded, and a registration wakes few of those that wait for another one. A request
//! that is woken looks into the store again.

use std::hash::{BuildHasher, RandomState};

use axum::http::HeaderMap;
use axum::http::header::HeaderName;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::limits::ARRIVAL_GROUP_COUNT;
use crate::token::LookupToken;

const PREFER: HeaderName = HeaderName::from_static("prefer");

/// The requests that wait. See the head of this file.
#[derive(Debug)]
pub(crate) struct Arrivals {
    hasher: RandomState,
    groups: [Notify; ARRIVAL_GROUP_COUNT],
}

impl Default for Arrivals {
    fn default() -> Self {
        Self {
            hasher: RandomState::new(),
            groups: std::array::from_fn(|_| Notify::new()),
        }
    }
}

impl Arrivals {
    /// Completes at the next registration of that token, or of another one in its group.
    /// Registrations count from this call on.
    pub(crate) fn next(&self, token: &LookupToken) -> Notified<'_> {
        self.group(token).notified()
    }

    /// Wakes the requests that wait for that token.
    pub(crate) fn announce(&self, token: &LookupToken) {
        self.group(token).notify_waiters();
    }

    fn group(&self, token: &LookupToken) -> &Notify {
        let [first, ..] = self.hasher.hash_one(token).to_le_bytes();
        &self.groups[usize::from(first) % ARRIVAL_GROUP_COUNT]
    }
}

/// How many seconds the client would like to wait (`Prefer: wait=10`, RFC 7240). A preference that
/// can't be read counts as none.
pub(crate) fn wait_wanted(headers: &HeaderMap) -> u64 {
    let values = headers
        .get_all(PREFER)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let mut waits = values
        .flat_map(|value| value.split(','))
        .filter_map(|preference| {
            let (name, secs) = preference.split_once('=')?;
            let is_wait = name.trim().eq_ignore_ascii_case("wait");
            is_wait.then(|| secs.trim().parse().ok())?
        });
    waits.next().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_is_read_as_rfc_7240_writes_it_and_nonsense_is_none() {
        let wanted = |text: &str| wait_wanted(&HeaderMap::from_iter([(PREFER, text.parse().unwrap())]));
        assert_eq!(wanted("wait=10"), 10);
        assert_eq!(wanted("respond-async, Wait = 7"), 7);
        for nonsense in [
            "",
            "wait",
            "wait=",
            "wait=-1",
            "wait=1.5",
            "await=3",
            "wait=99999999999999999999",
        ] {
            assert_eq!(wanted(nonsense), 0, "{nonsense}");
        }
        assert_eq!(wait_wanted(&HeaderMap::new()), 0);
    }
}
