//! What tandem reports: one line of JSON each with `--json`. The README lists the kinds and their
//! fields; they are stable, and only grow. `screen` adds the name of the share that it concerns.
//!
//! [`ShareReport`] and [`Entry`] are also what a running share answers when another process asks.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tandem_core::catalog::{SharePath, Shown};
use tandem_core::transfer::Progress;

/// One reported event or answer.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(crate) enum Event<'a> {
    /// The code of an invitation.
    Code { code: &'a str, minutes: u32 },
    /// The check of a pair.
    Check { check: &'a str },
    /// The other side is there.
    Connected { peer: &'a str },
    /// The other side is gone.
    Disconnected,
    /// This much is shared from this machine.
    Sharing { files: usize, bytes: u64 },
    /// This much has arrived.
    Arrived {
        #[serde(flatten)]
        amount: Amount,
        to: &'a Path,
    },
    /// One changed file has arrived.
    Brought { path: &'a SharePath },
    /// A changed file has arrived beside that of this side.
    Beside { path: &'a SharePath, at: &'a SharePath },
    /// Something was left out.
    LeftOut { path: &'a str, reason: &'a str },
    /// A share is shown on a folder.
    Mounted { at: &'a Path },
    /// How far a pull is.
    Progress(Step),
    /// A share, and how it is.
    Share(&'a ShareReport),
    /// Something in a share.
    Entry(&'a Entry),
    /// Another person's tandem, by the name that this person gives it.
    Peer {
        name: Option<&'a str>,
        fingerprint: &'a str,
        shares: &'a [&'a str],
    },
    /// What the doctor has found.
    Finding {
        subject: &'a str,
        usable: bool,
        evidence: &'a str,
    },
    /// Something was changed in a share.
    Changed(Change<'a>),
    /// What went wrong.
    Error { exit: u8, text: &'a str },
    /// The command has ended; always the last line.
    Done { exit: u8 },
}

/// A change that this person asked for.
#[derive(Debug, Serialize)]
#[serde(tag = "change", rename_all = "kebab-case")]
pub(crate) enum Change<'a> {
    Put { path: &'a SharePath },
    Moved { from: &'a SharePath, to: &'a SharePath },
    Removed { path: &'a SharePath },
    Stopped,
    Forgotten,
}

/// How much was moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Amount {
    pub(crate) files: usize,
    pub(crate) bytes: u64,
}

/// How far a pull is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Step {
    pub(crate) files: u64,
    pub(crate) files_total: u64,
    pub(crate) bytes: u64,
    pub(crate) bytes_total: u64,
}

/// A share, and how it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ShareReport {
    pub(crate) name: String,
    /// What this side does: `shared`, `joined` or `mounted`.
    pub(crate) side: String,
    /// What is shared from this machine, or the folder that the share goes to.
    pub(crate) places: Vec<PathBuf>,
    /// What else is shared from this machine, by `tandem put`.
    pub(crate) put: Vec<PathBuf>,
    /// The relay by which the two find each other again, if they use one.
    pub(crate) relay: Option<String>,
    /// The port on which this side listens, or did last.
    pub(crate) port: Option<u16>,
    /// The other side; `None` while nobody has answered the code.
    pub(crate) peer: Option<PeerReport>,
    /// `None` if no process runs the share.
    pub(crate) running: Option<RunningReport>,
}

/// The other side of a share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PeerReport {
    pub(crate) name: Option<String>,
    pub(crate) fingerprint: String,
    /// Its name, or else the beginning of its fingerprint.
    pub(crate) called: String,
}

/// A share in the process that runs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RunningReport {
    pub(crate) process: u32,
    pub(crate) connected: bool,
    /// How long it has been connected, in seconds.
    pub(crate) connected_seconds: Option<u64>,
    /// What both sides share together.
    #[serde(flatten)]
    pub(crate) amount: Amount,
    pub(crate) addresses: Vec<SocketAddr>,
    /// The folders that show the share.
    pub(crate) mounts: Vec<PathBuf>,
}

/// Something in a share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) path: SharePath,
    #[serde(flatten)]
    pub(crate) what: What,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub(crate) enum What {
    Folder,
    File { bytes: u64, modified_ns: i64 },
    Link { target: String },
}

impl Step {
    /// How far that pull is.
    pub(crate) fn of(progress: &Progress) -> Self {
        Self {
            files: progress.published_count(),
            files_total: progress.total_count(),
            bytes: progress.verified_len(),
            bytes_total: progress.total_len(),
        }
    }
}

impl Amount {
    /// How much that is.
    pub(crate) fn of(shown: &[Shown]) -> Self {
        let files = shown.iter().filter_map(Shown::file);
        files.fold(Self::default(), |sum, file| Self {
            files: sum.files + 1,
            bytes: sum.bytes.saturating_add(file.content.len),
        })
    }
}

impl From<&Shown> for Entry {
    fn from(shown: &Shown) -> Self {
        let what = match (shown.file(), shown.link()) {
            (Some(file), _) => What::File {
                bytes: file.content.len,
                modified_ns: file.mtime_ns,
            },
            (None, Some(link)) => What::Link {
                target: link.target.as_str().to_owned(),
            },
            (None, None) => What::Folder,
        };
        Self {
            path: shown.path.clone(),
            what,
        }
    }
}
