//! The messages on a data lane: a request, a response header, then raw bytes.
//!
//! Strictly in order: answers come in the order of their requests, and a puller keeps several
//! requests in flight. Contents are named by hash and length, never by path, so a holder can only
//! answer with the requested content.

use serde::{Deserialize, Serialize};

use crate::catalog::ContentId;

/// What a puller requests. The order of the variants is their number on the wire: append only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Request {
    /// The outline of a content with more than one group.
    Outline {
        /// The content.
        content: ContentId,
    },
    /// A range of bytes.
    Bytes {
        /// The content.
        content: ContentId,
        /// Where the range starts, in bytes.
        offset: u64,
        /// How long it is, in bytes; at most `REQUEST_LEN_MAX`.
        len: u32,
    },
    /// The fine outline of one group, of a content with more than one.
    Fine {
        /// The content.
        content: ContentId,
        /// Index of the group.
        group: u64,
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
    /// The range is not inside the content, or is longer than a request may be.
    OutOfRange,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::session::wire;

    #[test]
    fn requests_and_responses_have_golden_bytes() {
        let content = ContentId {
            hash: [7; 32],
            len: 300,
        };
        let request = Request::Bytes {
            content,
            offset: 1,
            len: 128,
        };
        let golden = [&[1][..], &[7; 32], &[0xac, 2, 1, 0x80, 1]].concat();
        assert_eq!(postcard::to_allocvec(&request).unwrap(), golden);
        let request = Request::Fine { content, group: 200 };
        let golden = [&[2][..], &[7; 32], &[0xac, 2, 0xc8, 1]].concat();
        assert_eq!(postcard::to_allocvec(&request).unwrap(), golden);
        assert_eq!(postcard::to_allocvec(&Response::Data { len: 5 }).unwrap(), [0, 5]);
        assert_eq!(
            postcard::to_allocvec(&Response::Refused(Refusal::OutOfRange)).unwrap(),
            [1, 3]
        );
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            drop(wire::decode::<Request>(&bytes));
            drop(wire::decode::<Response>(&bytes));
        }
    }
}
