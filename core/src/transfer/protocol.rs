//! What is said on a data lane: a request, a header, then raw bytes.
//!
//! Strictly in order: answers come in the order of their requests, and a puller keeps several requests in flight.
//! Contents are named by hash and length, never by path, so a holder can only ever answer with what was asked for.

use serde::{Deserialize, Serialize};

use crate::catalog::ContentId;

/// What a puller asks. The order of the variants is their number on the wire: append only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Request {
    /// The outline of a content with more than one group.
    Outline {
        /// Of which content.
        content: ContentId,
    },
    /// A range of bytes.
    Bytes {
        /// Of which content.
        content: ContentId,
        /// Where the range starts, in bytes.
        offset: u64,
        /// How long it is, in bytes; at most `REQUEST_LEN_MAX`.
        len: u32,
    },
}

/// What the holder answers. The order of the variants is their number on the wire: append only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Response {
    /// This many raw bytes follow.
    Data {
        /// How many, in bytes.
        len: u64,
    },
    /// Nothing follows.
    Refused(Refusal),
}

/// Why a holder can't answer. The order of the variants is their number on the wire: append only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Refusal {
    /// It does not have that content.
    NotHeld,
    /// It had it, but the file has changed since.
    Changed,
    /// It can't read the file.
    Unreadable,
    /// The range lies outside of the content, or is longer than a request may be.
    OutOfRange,
}
