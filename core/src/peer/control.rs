//! The messages of a control lane after its greeting, and the tasks that send and receive them.
//!
//! Catalog changes travel as coalesced state: a set of entries that the other peer may not have
//! yet, sent page by page in their state at that moment. Nothing is ever dropped from a queue,
//! because there is no queue of changes.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWriteExt, WriteHalf};
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;
use tokio_rustls::TlsStream;

use super::context::Context;
use crate::catalog::{ContentId, Digest, EntryId, EntryState};
use crate::limits::{CONTROL_FRAME_LEN_MAX, CONTROL_WRITE_TIMEOUT, PAGE_ENTRIES_MAX, PAGE_LEN_MAX};
use crate::session::WireError;
use crate::session::wire;

/// A message between two peers. The order of the variants is their number on the wire: append only.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ControlMessage {
    /// Asks for a [`ControlMessage::Pong`] with the same nonce.
    Ping {
        /// Names this ping.
        nonce: u64,
    },
    /// Answers a ping.
    Pong {
        /// The nonce of the ping.
        nonce: u64,
    },
    /// A digest of the sender's catalog; the other peer sends what differs.
    Digest(Digest),
    /// Whole states of some entries, to be merged.
    Entries(Vec<(EntryId, EntryState)>),
    /// Asks the side that dialled the session to dial one data lane on which the sender may ask for
    /// contents.
    WantLane,
    /// The receiver of this message serves other bytes as that content; it should check its file.
    Stale(ContentId),
    /// The sender is closing on purpose.
    Bye,
}

/// Entries that the other peer may not have in their present state.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    entries: Mutex<BTreeSet<EntryId>>,
    changed: Notify,
}

impl Outgoing {
    /// Adds entries. Each is sent once, even if it is added several times before that.
    pub(crate) fn mark(&self, entries: impl IntoIterator<Item = EntryId>) {
        let mut marked = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        marked.extend(entries);
        if !marked.is_empty() {
            self.changed.notify_one();
        }
    }

    /// Whether any entries wait to be sent.
    #[cfg(test)]
    pub(crate) fn has_any(&self) -> bool {
        let marked = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        !marked.is_empty()
    }

    fn take_page(&self) -> Vec<EntryId> {
        let mut marked = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let page: Vec<_> = marked.iter().take(PAGE_ENTRIES_MAX).copied().collect();
        for entry in &page {
            marked.remove(entry);
        }
        page
    }
}

/// Receives messages until the lane ends, and reports how it ended.
pub(crate) async fn hear(
    mut lane: impl AsyncRead + Unpin,
    heard: mpsc::Sender<Result<ControlMessage, WireError>>,
) {
    loop {
        let message = wire::read(&mut lane, CONTROL_FRAME_LEN_MAX).await;
        let ended = message.is_err();
        if heard.send(message).await.is_err() || ended {
            return;
        }
    }
}

/// The writing end of a control lane.
pub(crate) struct Speaker {
    pub(crate) lane: WriteHalf<TlsStream<TcpStream>>,
    pub(crate) outbox: mpsc::Receiver<ControlMessage>,
    pub(crate) outgoing: Arc<Outgoing>,
    /// The folders that were sent in this session because something in them was sent.
    pub(crate) sent: HashSet<EntryId>,
    pub(crate) context: Arc<Context>,
}

impl Speaker {
    /// Sends the messages of the outbox and the changes of the catalog, until the lane breaks or a
    /// goodbye is sent.
    pub(crate) async fn speak(mut self) -> Result<(), WireError> {
        let outgoing = self.outgoing.clone();
        loop {
            tokio::select! {
                biased;
                message = self.outbox.recv() => match message {
                    Some(ControlMessage::Bye) => return self.say_goodbye().await,
                    Some(message) => self.say(&message).await?,
                    None => return Ok(()),
                },
                () = outgoing.changed.notified() => self.send_changes().await?,
            }
        }
    }

    /// Sends one page, then lets the outbox go first: a long listing must not delay a heartbeat.
    async fn send_changes(&mut self) -> Result<(), WireError> {
        let page = self.outgoing.take_page();
        if page.is_empty() {
            return Ok(());
        }
        let states = {
            let files = self.context.share.files();
            let page = files.not_withheld(page);
            let (states, left) = files.catalog.states_within(&page, PAGE_LEN_MAX, &mut self.sent);
            self.outgoing.mark(left.iter().copied());
            states
        };
        for states in split(states)? {
            self.say(&ControlMessage::Entries(states)).await?;
        }
        self.outgoing.mark([]);
        Ok(())
    }

    async fn say_goodbye(&mut self) -> Result<(), WireError> {
        self.say(&ControlMessage::Bye).await?;
        Ok(self.lane.shutdown().await?)
    }

    async fn say(&mut self, message: &ControlMessage) -> Result<(), WireError> {
        let frame = wire::encode(message, CONTROL_FRAME_LEN_MAX)?;
        let write = async {
            self.lane.write_all(&frame).await?;
            self.lane.flush().await
        };
        let late = |_| std::io::Error::from(std::io::ErrorKind::TimedOut);
        Ok(timeout(CONTROL_WRITE_TIMEOUT, write).await.map_err(late)??)
    }
}

/// Halves a page until each part fits into a frame.
fn split(states: Vec<(EntryId, EntryState)>) -> Result<Vec<Vec<(EntryId, EntryState)>>, WireError> {
    let mut fitting = Vec::new();
    let mut waiting = vec![states];
    while let Some(mut states) = waiting.pop() {
        let len = postcard::experimental::serialized_size(&states);
        let len = len.map_err(|e| WireError::Malformed {
            reason: e.to_string(),
        })?;
        if len < CONTROL_FRAME_LEN_MAX / 2 || states.len() < 2 {
            fitting.push(states);
        } else {
            waiting.push(states.split_off(states.len() / 2));
            waiting.push(states);
        }
    }
    Ok(fitting)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::catalog::{LinkTarget, LinkVersion, SharePath};

    #[test]
    fn a_page_takes_entries_up_to_its_limit_and_leaves_the_rest() {
        let outgoing = Outgoing::default();
        let id = |i: u32| {
            let mut bytes = [0; 16];
            bytes[12..].copy_from_slice(&i.to_be_bytes());
            EntryId::from_bytes(bytes)
        };
        let count = u32::try_from(PAGE_ENTRIES_MAX).unwrap() + 1;
        outgoing.mark((0..count).map(id));
        outgoing.mark([id(0)]);
        assert_eq!(outgoing.take_page().len(), PAGE_ENTRIES_MAX);
        assert_eq!(outgoing.take_page(), [id(count - 1)]);
        assert!(outgoing.take_page().is_empty());
    }

    /// Receives a frame of `len` bytes, all of them zeros.
    async fn receive(len: usize) -> WireError {
        let mut lane = u32::try_from(len).unwrap().to_be_bytes().to_vec();
        lane.resize(lane.len() + len, 0);
        let (heard, mut messages) = mpsc::channel(1);
        hear(lane.as_slice(), heard).await;
        messages.recv().await.unwrap().unwrap_err()
    }

    #[tokio::test]
    async fn a_control_frame_is_read_up_to_the_limit_and_refused_with_one_byte_more() {
        let at_the_limit = receive(CONTROL_FRAME_LEN_MAX).await;
        assert!(
            matches!(at_the_limit, WireError::Malformed { .. }),
            "{at_the_limit}"
        );
        let longer = receive(CONTROL_FRAME_LEN_MAX + 1).await;
        assert!(matches!(longer, WireError::FrameTooLong { .. }), "{longer}");
    }

    #[test]
    fn messages_have_golden_bytes() {
        let bytes = |message: ControlMessage| postcard::to_allocvec(&message).unwrap();
        assert_eq!(bytes(ControlMessage::Ping { nonce: 300 }), [0, 0xac, 2]);
        assert_eq!(bytes(ControlMessage::Pong { nonce: 1 }), [1, 1]);
        assert_eq!(bytes(ControlMessage::Entries(Vec::new())), [3, 0]);
        assert_eq!(bytes(ControlMessage::WantLane), [4]);
        assert_eq!(bytes(ControlMessage::Bye), [6]);
    }

    fn some_entries() -> Vec<u8> {
        let mut catalog = crate::catalog::tests::catalog_of(1);
        crate::catalog::tests::add(&mut catalog, "folder/file", 1);
        let link = LinkVersion {
            target: LinkTarget::new("file").unwrap(),
            mtime_ns: 0,
        };
        drop(
            catalog
                .add_link(&SharePath::parse("folder/link").unwrap(), link)
                .unwrap(),
        );
        postcard::to_allocvec(&ControlMessage::Entries(catalog.all_states())).unwrap()
    }

    /// The system would end a process that asks for that amount of memory.
    #[test]
    fn a_count_that_a_frame_announces_and_does_not_hold_takes_no_memory() {
        const ANNOUNCED: [u8; 7] = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x08];
        let entries = some_entries();
        assert!(wire::decode::<ControlMessage>(&entries).is_ok());
        let announced = |at: usize| [&entries[..at], &ANNOUNCED, &entries[at + 1..]].concat();
        assert!(wire::decode::<ControlMessage>(&announced(1)).is_err());
        // Some of these bytes are part of a number, which may be that large.
        for at in 1..entries.len() {
            drop(wire::decode::<ControlMessage>(&announced(at)));
        }
        let digest = [&[2][..], &ANNOUNCED, &[0; 64]].concat();
        assert!(wire::decode::<ControlMessage>(&digest).is_err());
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            drop(wire::decode::<ControlMessage>(&bytes));
        }
    }
}
