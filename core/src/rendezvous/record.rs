//! The contact record: where a peer can be reached, signed by its identity.
//!
//! The signed form has a fixed length, whatever the record says:
//! ```text
//! version 1 | public key 32 | signature 64 | body length 2, big endian | body, postcard | zeros up to 512
//! ```
//! The signature covers a context, the version, the key and the body. Sealing is not here but in `sealed`.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::identity::{Fingerprint, Identity, PublicKey, SIGNATURE_LEN};
use crate::limits::{CLOCK_SKEW_MAX, CONTACT_ADDRESS_COUNT_MAX, CONTACT_RECORD_LIFETIME};

/// Length of the signed form, in bytes.
pub(super) const RECORD_LEN: usize = 512;
const KEY_LEN: usize = 32;
const HEAD_LEN: usize = 1 + KEY_LEN + SIGNATURE_LEN + 2;
/// Two times of at most 10 bytes, a count, and addresses of at most 20 bytes (kind, IPv6, port).
const BODY_LEN_MAX: usize = 2 * 10 + 1 + CONTACT_ADDRESS_COUNT_MAX * 20;
const _: () = assert!(HEAD_LEN + BODY_LEN_MAX <= RECORD_LEN);

const SIGNATURE_CONTEXT: &[u8] = b"tandem 2026-11 contact record\0";

/// What a peer publishes: its key and the addresses where it may be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContactRecord {
    public_key: PublicKey,
    body: Body,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Body {
    issued_unix_ms: u64,
    expires_unix_ms: u64,
    addresses: Vec<SocketAddr>,
}

/// Why a contact record could not be sealed or opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// More addresses than a record holds.
    #[error("a contact record holds {limit} addresses, not `{count}`")]
    TooManyAddresses {
        /// How many there are.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
    /// The identity that should sign is not the one in the record.
    #[error("the contact record is for another key than the one that signs it")]
    ForeignSigner,
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes for a nonce")]
    NoRandomness(#[source] getrandom::Error),
    /// The text is not that of a sealed record.
    #[error("what the relay holds is not a sealed contact record (`{found_len}` characters)")]
    NotSealed {
        /// Its length, in characters as the relay counts them (bytes).
        found_len: usize,
    },
    /// It was sealed for another fingerprint, or somebody changed it.
    #[error("the contact record's seal is broken, or it belongs to another fingerprint")]
    BrokenSeal,
    /// It has a format this version does not know.
    #[error(
        "the contact record has format `{found}`, this version reads `{known}`\nhint: use the same tandem on both sides"
    )]
    UnknownVersion {
        /// The record's format.
        found: u8,
        /// The format that is understood.
        known: u8,
    },
    /// The key in the record is not the one the fingerprint stands for.
    #[error("the contact record holds the key of `{}`, not of `{}`", found.fmt_short(), expected.fmt_short())]
    WrongKey {
        /// The fingerprint of the key in the record.
        found: Fingerprint,
        /// The fingerprint that was looked up.
        expected: Fingerprint,
    },
    /// The signature is not by the key in the record.
    #[error("the contact record is not signed by the peer's key")]
    BrokenSignature,
    /// Sealed and signed, but not a record.
    #[error("the contact record is malformed: {problem}")]
    Malformed {
        /// What is wrong.
        problem: &'static str,
    },
    /// The record is too old.
    #[error("the contact record expired {} s ago\nhint: check that the other peer is running and that both clocks are right", ago.as_secs())]
    Expired {
        /// How long ago.
        ago: Duration,
    },
    /// The record comes from the future.
    #[error("the contact record was issued {} s in the future, at most {} s are tolerated\nhint: set the clocks of both machines", ahead.as_secs(), limit.as_secs())]
    IssuedInFuture {
        /// How far ahead of this machine's clock.
        ahead: Duration,
        /// How far is tolerated.
        limit: Duration,
    },
}

impl ContactRecord {
    /// The version of the format.
    pub const VERSION: u8 = 1;

    /// A record of the peer with `public_key`, valid from `issued_unix_ms` for
    /// [`CONTACT_RECORD_LIFETIME`]. It may hold no address: such a peer can only dial. Zone and flow of an IPv6
    /// address mean nothing elsewhere and are left out.
    ///
    /// # Errors
    /// [`RecordError::TooManyAddresses`] past [`CONTACT_ADDRESS_COUNT_MAX`].
    pub fn new(
        public_key: PublicKey,
        addresses: Vec<SocketAddr>,
        issued_unix_ms: u64,
    ) -> Result<Self, RecordError> {
        let expires_unix_ms = issued_unix_ms.saturating_add(millis(CONTACT_RECORD_LIFETIME));
        let addresses = addresses.into_iter().map(without_zone).collect();
        let body = Body {
            issued_unix_ms,
            expires_unix_ms,
            addresses,
        };
        body.check_count()?;
        Ok(Self { public_key, body })
    }

    /// The peer's key.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        self.public_key
    }

    /// Where the peer may be reached, best first.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.body.addresses
    }

    /// When the record was issued, in milliseconds since 1970 by the issuer's clock.
    #[must_use]
    pub fn issued_unix_ms(&self) -> u64 {
        self.body.issued_unix_ms
    }

    /// From when on the record is not to be used, in milliseconds since 1970.
    #[must_use]
    pub fn expires_unix_ms(&self) -> u64 {
        self.body.expires_unix_ms
    }

    /// The signed form.
    pub(super) fn to_signed(&self, identity: &Identity) -> Result<Zeroizing<[u8; RECORD_LEN]>, RecordError> {
        if identity.public_key() != self.public_key {
            return Err(RecordError::ForeignSigner);
        }
        let too_long = RecordError::Malformed {
            problem: "its body is too long",
        };
        let mut buffer = [0; BODY_LEN_MAX];
        let Ok(body) = postcard::to_slice(&self.body, &mut buffer) else {
            return Err(too_long);
        };
        let Ok(body_len) = u16::try_from(body.len()) else {
            return Err(too_long);
        };
        let signature = identity.sign(&signed_message(Self::VERSION, &self.public_key, body));
        let mut signed = Zeroizing::new([0; RECORD_LEN]);
        let parts: [&[u8]; 5] = [
            &[Self::VERSION],
            self.public_key.as_bytes(),
            &signature,
            &body_len.to_be_bytes(),
            body,
        ];
        for (place, byte) in signed.iter_mut().zip(parts.concat()) {
            *place = byte;
        }
        Ok(signed)
    }

    /// Reads the signed form, and believes nothing in it before the signature by the key that `fingerprint` stands for.
    pub(super) fn from_signed(
        signed: &[u8; RECORD_LEN],
        fingerprint: &Fingerprint,
    ) -> Result<Self, RecordError> {
        let parts = Parts::of(signed)?;
        let found = Fingerprint::of(&parts.public_key);
        if found != *fingerprint {
            return Err(RecordError::WrongKey {
                found,
                expected: *fingerprint,
            });
        }
        let message = signed_message(Self::VERSION, &parts.public_key, parts.body);
        parts
            .public_key
            .verify(&message, parts.signature)
            .map_err(|_| RecordError::BrokenSignature)?;
        Ok(Self {
            public_key: parts.public_key,
            body: Body::decode(parts.body)?,
        })
    }

    /// Checks that the record may be used at `now_unix_ms`.
    pub(super) fn check_freshness(&self, now_unix_ms: u64) -> Result<(), RecordError> {
        if now_unix_ms >= self.body.expires_unix_ms {
            let ago = Duration::from_millis(now_unix_ms - self.body.expires_unix_ms);
            return Err(RecordError::Expired { ago });
        }
        let ahead = Duration::from_millis(self.body.issued_unix_ms.saturating_sub(now_unix_ms));
        if ahead > CLOCK_SKEW_MAX {
            return Err(RecordError::IssuedInFuture {
                ahead,
                limit: CLOCK_SKEW_MAX,
            });
        }
        Ok(())
    }
}

impl Body {
    fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let malformed = |problem| RecordError::Malformed { problem };
        let (body, rest): (Self, _) =
            postcard::take_from_bytes(bytes).map_err(|_| malformed("its body can't be read"))?;
        if !rest.is_empty() {
            return Err(malformed("its body is longer than what it says"));
        }
        body.check_count()?;
        Ok(body)
    }

    fn check_count(&self) -> Result<(), RecordError> {
        let count = self.addresses.len();
        let limit = CONTACT_ADDRESS_COUNT_MAX;
        if count > limit {
            Err(RecordError::TooManyAddresses { count, limit })
        } else {
            Ok(())
        }
    }
}

/// The signed form taken apart, nothing verified.
struct Parts<'a> {
    public_key: PublicKey,
    signature: &'a [u8; SIGNATURE_LEN],
    body: &'a [u8],
}

impl<'a> Parts<'a> {
    fn of(signed: &'a [u8; RECORD_LEN]) -> Result<Self, RecordError> {
        let malformed = RecordError::Malformed {
            problem: "its parts have wrong lengths",
        };
        let Some((&[found], rest)) = signed.split_first_chunk::<1>() else {
            return Err(malformed);
        };
        if found != ContactRecord::VERSION {
            return Err(RecordError::UnknownVersion {
                found,
                known: ContactRecord::VERSION,
            });
        }
        let Some((public_key, rest)) = rest.split_first_chunk::<KEY_LEN>() else {
            return Err(malformed);
        };
        let Some((signature, rest)) = rest.split_first_chunk::<SIGNATURE_LEN>() else {
            return Err(malformed);
        };
        let Some((body_len, rest)) = rest.split_first_chunk::<2>() else {
            return Err(malformed);
        };
        let body_len = usize::from(u16::from_be_bytes(*body_len));
        let Some((body, padding)) = rest.split_at_checked(body_len) else {
            return Err(malformed);
        };
        if padding.iter().any(|byte| *byte != 0) {
            return Err(RecordError::Malformed {
                problem: "its padding is not zeros",
            });
        }
        Ok(Self {
            public_key: PublicKey::from_bytes(*public_key),
            signature,
            body,
        })
    }
}

fn signed_message(version: u8, public_key: &PublicKey, body: &[u8]) -> Vec<u8> {
    [SIGNATURE_CONTEXT, &[version], public_key.as_bytes(), body].concat()
}

fn without_zone(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip(), address.port())
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
