//! Why a peer could not do what it was asked to.
//!
//! One enum for each thing a person does: start, connect, pull, close. Why something could not be
//! shared is [`ShareError`](super::ShareError). Each message names the thing and, where a person
//! can act, what to do.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use crate::catalog::SharePath;
use crate::health::HealthConfig;
use crate::identity::{Fingerprint, IdentityError};
use crate::journal::JournalError;
use crate::rendezvous::{RecordError, RelayError};
use crate::session::SessionError;
use crate::store::{OwnFolderError, StoreError};

/// Why a peer could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The address to listen on can't be used.
    #[error(
        "could not listen on `{address}`: {source}\nhint: choose another port, or port 0 for any free one"
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The error of the system.
        source: io::Error,
    },
    /// The socket that was handed over can't be used.
    #[error("could not use the socket that was handed over: {source}")]
    Socket {
        /// The error of the system.
        source: io::Error,
    },
    /// There is no identity.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The relay's URL can't be used.
    #[error(transparent)]
    Relay(#[from] RelayError),
    /// The store can't be used.
    #[error(transparent)]
    Store(#[from] OwnFolderError),
    /// The directory for what outlives the peer can't be used.
    #[error(transparent)]
    State(#[from] JournalError),
    /// TLS can't be prepared.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    NoRandomness(#[source] getrandom::Error),
    /// The intervals of the health monitor are not in order.
    #[error(
        "the health intervals `{config:?}` are not in order\nhint: 0 < heartbeat <= degraded < disconnected"
    )]
    Health {
        /// The intervals.
        config: HealthConfig,
    },
}

/// Why a peer could not be connected to another one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The fingerprint is this peer's own.
    #[error("`{}` is your own fingerprint\nhint: give the one that the other person sees on their side", fingerprint.fmt_short())]
    OwnFingerprint {
        /// The fingerprint.
        fingerprint: Fingerprint,
    },
    /// This peer is connected to another one.
    #[error("already connected to `{}`\nhint: close that session first", other.fmt_short())]
    Engaged {
        /// The peer that it is connected to.
        other: Fingerprint,
    },
    /// The relay has no record of the other peer.
    #[error("peer `{}` was not found at relay `{relay}` within {waited:?}\nhint: is it running, with the same relay, and connecting to you?", peer.fmt_short())]
    NotFound {
        /// The peer that was not found.
        peer: Fingerprint,
        /// Which relay was asked.
        relay: String,
        /// For how long.
        waited: Duration,
    },
    /// This peer asks no relay.
    #[error("this peer asks no relay\nhint: connect to the other peer at one of its addresses")]
    NoRelay,
    /// The relay could not be used.
    #[error(transparent)]
    Relay(#[from] RelayError),
    /// What the relay holds is not the other peer's record.
    #[error("could not use what the relay holds for the peer: {0}")]
    Record(#[from] RecordError),
    /// The other peer's record names no address that is dialled.
    #[error(
        "no address in the other peer's record is dialled ({refused})\nhint: if both peers are on this machine, allow it with `PeerConfig::loopback_peers`"
    )]
    NothingToDial {
        /// Each address with the reason, for a person.
        refused: String,
    },
    /// The other peer was found, but there is no session with it.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The peer has been closed.
    #[error("this peer is closed")]
    Closed,
}

/// Why something could not be pulled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PullError {
    /// Nothing is shared under that name.
    #[error("nothing is shared as `{name}`\nhint: `list` shows what is shared; names are case-sensitive")]
    Unknown {
        /// The name.
        name: SharePath,
    },
    /// The name is that of a folder.
    #[error("`{name}` is a folder\nhint: pull it with `pull_tree`")]
    IsFolder {
        /// The name.
        name: SharePath,
    },
    /// The name is that of a link.
    #[error(
        "`{name}` is a link, which has no bytes to pull\nhint: pull the folder that it is in with `pull_tree`"
    )]
    IsLink {
        /// The name.
        name: SharePath,
    },
    /// The name is that of a file.
    #[error("`{name}` is a file, not a folder\nhint: pull it with `pull`")]
    IsFile {
        /// The name.
        name: SharePath,
    },
    /// There is no session, and the file is not here.
    #[error("could not pull `{name}`: not connected to the peer that has it\nhint: connect first")]
    NotConnected {
        /// The name.
        name: SharePath,
    },
    /// The other peer does not have the bytes any more.
    #[error(
        "could not pull `{name}`: the peer that shares it does not have it any more\nhint: ask its owner to share it again"
    )]
    NotHeld {
        /// The name.
        name: SharePath,
    },
    /// The other peer can't read its file.
    #[error("could not pull `{name}`: the peer that shares it can't read its file")]
    Unreadable {
        /// The name.
        name: SharePath,
    },
    /// The file changed at its source while it was pulled, and no new version has come.
    #[error(
        "could not pull `{name}`: it keeps changing at its source\nhint: pull it again when its owner is done"
    )]
    SourceChanged {
        /// The name.
        name: SharePath,
    },
    /// The bytes that came are not those that are shared.
    #[error("could not pull `{name}`: the received bytes do not match the shared file")]
    Corrupt {
        /// The name.
        name: SharePath,
    },
    /// The file could not be written here.
    #[error("could not pull `{name}`: {source}")]
    Store {
        /// The name.
        name: SharePath,
        /// What went wrong.
        source: StoreError,
    },
    /// The session broke and did not come back in time.
    #[error("could not pull `{name}`: {source}")]
    Session {
        /// The name.
        name: SharePath,
        /// What went wrong last.
        source: SessionError,
    },
    /// The target can't be used.
    #[error(transparent)]
    Target(#[from] StoreError),
    /// Of a folder, some files could not be pulled; the others are in place.
    #[error("{} of {} files could not be pulled; the first: {}", failed.len(), failed.len() + pulled, failed.first().map_or_else(String::new, ToString::to_string))]
    Incomplete {
        /// How many files were pulled.
        pulled: usize,
        /// Why the others were not.
        failed: Vec<PullError>,
    },
    /// The peer has been closed.
    #[error("this peer is closed")]
    Closed,
}

impl PullError {
    /// Whether nothing was pulled because no pull has put there what is there now.
    #[must_use]
    pub fn keeps_what_is_there(&self) -> bool {
        let (Self::Target(source) | Self::Store { source, .. }) = self else {
            return false;
        };
        matches!(source, StoreError::NotPulled { .. })
    }
}

/// Why a peer could not be closed in good order.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CloseError {
    /// Something that the peer had started did not end in time.
    #[error("{count} tasks of the peer did not end within {limit:?}")]
    TasksLeft {
        /// How many.
        count: usize,
        /// How long they were waited for.
        limit: Duration,
    },
    /// What the peer did last could not be saved.
    #[error(transparent)]
    NotSaved(#[from] JournalError),
}
