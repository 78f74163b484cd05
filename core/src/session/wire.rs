//! Frames (a length, then one postcard message), and the first messages on every lane.
//!
//! Owns the framing, its limits and the greeting. The length is checked against a limit before a
//! byte is allocated, a message that does not end where its frame ends is refused, and no bytes
//! make this file panic. `peer` (control lane) and `transfer` (data lanes) define what follows the
//! greeting.

use std::fmt;
use std::io::{self, Read, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Version of everything after the handshake. A peer with another version is refused.
pub(crate) const PROTOCOL_VERSION: u16 = 1;

/// Bytes of the length in front of each frame.
const PREFIX_LEN: usize = 4;

/// What the dialler sends first on a lane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hello {
    /// [`PROTOCOL_VERSION`] of the dialler.
    pub(crate) version: u16,
    /// What the lane is for.
    pub(crate) purpose: Purpose,
}

/// What a lane is for. The order of the variants is their number on the wire: append only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Purpose {
    /// The first lane of a session; its exporter secret becomes the session's id.
    Control,
    /// A lane for file contents within the session of that id.
    Data {
        /// Proves that the dialler is an end of that session's control lane.
        session: [u8; 32],
        /// Which side asks for contents on this lane.
        requester: Requester,
    },
    /// Two single-use identities exchange those that last.
    Pairing,
}

/// Which side of a data lane asks. The order of the variants is their number on the wire: append
/// only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Requester {
    /// The side that dialled the lane.
    Dialler,
    /// The side that accepted it.
    Listener,
}

/// What the listener answers. The order of the variants is their number on the wire: append only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Greeting {
    /// The lane is open.
    Welcome,
    /// The lane is not wanted; the listener closes it.
    Refused(RefusalReason),
}

/// Why a listener declined a lane. The order of the variants is their number on the wire: append
/// only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum RefusalReason {
    /// It speaks another version of the protocol.
    Version {
        /// The one it speaks.
        spoken: u16,
    },
    /// The lane names a session that is not (or no longer) alive there.
    UnknownSession,
    /// It is dialling us at this moment, and its dial has precedence.
    Crossing,
    /// The session already has its maximum number of lanes.
    TooManyLanes,
}

impl fmt::Display for RefusalReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version { spoken } => {
                write!(
                    f,
                    "it speaks protocol version `{spoken}`, we speak `{PROTOCOL_VERSION}`\nhint: update both peers"
                )
            }
            Self::UnknownSession => f.write_str("it does not know that session"),
            Self::Crossing => f.write_str("it is dialling us at the same moment"),
            Self::TooManyLanes => f.write_str("the session already has its maximum number of lanes"),
        }
    }
}

/// What can be wrong with a frame.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// The other side closed the lane between two frames.
    #[error("the lane was closed")]
    Closed,
    /// A frame announces more bytes than are allowed here.
    #[error("a frame of `{len}` bytes was announced, at most `{limit}` are allowed")]
    FrameTooLong {
        /// The announced length.
        len: usize,
        /// What is allowed at this point.
        limit: usize,
    },
    /// The bytes of a frame are not the message that belongs here.
    #[error("a frame does not hold the expected message: {reason}")]
    Malformed {
        /// The decoder's message.
        reason: String,
    },
    /// The lane broke.
    #[error("the lane broke: {source}")]
    Io {
        /// The error of the system or of TLS.
        #[from]
        source: io::Error,
    },
}

/// `message` as one frame, ready to be written.
pub(crate) fn encode<T: Serialize>(message: &T, limit: usize) -> Result<Vec<u8>, WireError> {
    let frame = postcard::to_extend(message, vec![0; PREFIX_LEN]);
    let mut frame = frame.map_err(|e| WireError::Malformed {
        reason: e.to_string(),
    })?;
    let len = frame.len() - PREFIX_LEN;
    let prefix = u32::try_from(len).ok().filter(|_| len <= limit);
    let prefix = prefix.ok_or(WireError::FrameTooLong { len, limit })?;
    frame[..PREFIX_LEN].copy_from_slice(&prefix.to_be_bytes());
    Ok(frame)
}

/// The message that the payload of a frame holds, all of it.
pub(crate) fn decode<T: DeserializeOwned>(payload: &[u8]) -> Result<T, WireError> {
    match postcard::take_from_bytes(payload) {
        Ok((message, [])) => Ok(message),
        Ok((_, rest)) => Err(WireError::Malformed {
            reason: format!("{} bytes too many", rest.len()),
        }),
        Err(error) => Err(WireError::Malformed {
            reason: error.to_string(),
        }),
    }
}

/// Reads one frame. Not cancel safe: a frame whose reading has begun must be read to its end.
pub(crate) async fn read<T: DeserializeOwned>(
    reader: &mut (impl AsyncRead + Unpin),
    limit: usize,
) -> Result<T, WireError> {
    let mut prefix = [0; PREFIX_LEN];
    if reader.read(&mut prefix[..1]).await? == 0 {
        return Err(WireError::Closed);
    }
    reader.read_exact(&mut prefix[1..]).await?;
    let mut payload = vec![0; checked_len(prefix, limit)?];
    reader.read_exact(&mut payload).await?;
    decode(&payload)
}

/// Reads one frame from a blocking lane.
pub(crate) fn read_blocking<T: DeserializeOwned>(
    reader: &mut impl Read,
    limit: usize,
) -> Result<T, WireError> {
    let mut prefix = [0; PREFIX_LEN];
    if reader.read(&mut prefix[..1])? == 0 {
        return Err(WireError::Closed);
    }
    reader.read_exact(&mut prefix[1..])?;
    let mut payload = vec![0; checked_len(prefix, limit)?];
    reader.read_exact(&mut payload)?;
    decode(&payload)
}

/// Writes one frame to a blocking lane.
pub(crate) fn write_blocking<T: Serialize>(
    writer: &mut impl Write,
    message: &T,
    limit: usize,
) -> Result<(), WireError> {
    Ok(writer.write_all(&encode(message, limit)?)?)
}

fn checked_len(prefix: [u8; PREFIX_LEN], limit: usize) -> Result<usize, WireError> {
    let len = usize::try_from(u32::from_be_bytes(prefix)).unwrap_or(usize::MAX);
    if len > limit {
        Err(WireError::FrameTooLong { len, limit })
    } else {
        Ok(len)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hello() -> Hello {
        Hello {
            version: 1,
            purpose: Purpose::Data {
                session: [7; 32],
                requester: Requester::Listener,
            },
        }
    }

    #[test]
    fn a_hello_has_golden_bytes() {
        let frame = encode(&hello(), 64).unwrap();
        let mut golden = vec![0, 0, 0, 35, 1, 1];
        golden.extend([7; 32]);
        golden.push(1);
        assert_eq!(frame, golden);
        let purpose = Purpose::Pairing;
        let frame = encode(&Hello { version: 1, purpose }, 64).unwrap();
        assert_eq!(frame, [0, 0, 0, 2, 1, 2]);
    }

    #[test]
    fn a_frame_at_the_limit_passes_and_one_byte_more_is_refused() {
        let frame = encode(&hello(), 35).unwrap();
        assert_eq!(read_blocking::<Hello>(&mut &frame[..], 35).unwrap(), hello());
        assert!(matches!(
            read_blocking::<Hello>(&mut &frame[..], 34),
            Err(WireError::FrameTooLong { len: 35, limit: 34 })
        ));
        assert!(matches!(
            encode(&hello(), 34),
            Err(WireError::FrameTooLong { .. })
        ));
    }

    #[test]
    fn trailing_bytes_and_a_cut_frame_are_refused() {
        let mut frame = encode(&hello(), 64).unwrap();
        assert!(matches!(
            read_blocking::<Hello>(&mut &frame[..20], 64),
            Err(WireError::Io { .. })
        ));
        frame.push(9);
        frame[3] += 1;
        assert!(matches!(
            read_blocking::<Hello>(&mut &frame[..], 64),
            Err(WireError::Malformed { .. })
        ));
        assert!(matches!(
            read_blocking::<Hello>(&mut &[][..], 64),
            Err(WireError::Closed)
        ));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            drop(decode::<Hello>(&bytes));
            drop(decode::<Greeting>(&bytes));
            drop(read_blocking::<Hello>(&mut &bytes[..], 128));
        }

        #[test]
        fn every_hello_survives_the_wire(version: u16, session: [u8; 32]) {
            let hello = Hello { version, purpose: Purpose::Data { session, requester: Requester::Dialler } };
            let frame = encode(&hello, 64).unwrap();
            prop_assert_eq!(read_blocking::<Hello>(&mut &frame[..], 64).unwrap(), hello);
        }
    }
}
