//! The contact record: where a peer can be reached, signed by its identity.
//!
//! The signed form has a fixed length, whatever the record says:
//! ```text
//! version 1 | public key 32 | signature 64 | body length 2, big endian | body, postcard
//!           | zeros up to 512
//! ```
//! The signature covers a context, the version, the key and the body. Sealing is in `sealed`.

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
const LONGEST_BODY_LEN: usize = 2 * 10 + 1 + CONTACT_ADDRESS_COUNT_MAX * 20;
const _: () = assert!(HEAD_LEN + LONGEST_BODY_LEN <= RECORD_LEN);

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
    /// The text is not a sealed record.
    #[error("the relay's entry is not a sealed contact record (`{found_len}` characters)")]
    NotSealed {
        /// Its length, in characters as the relay counts them (bytes).
        found_len: usize,
    },
    /// It was sealed for another fingerprint, or it was changed.
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
    /// The key in the record is not the one that the fingerprint commits to.
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
    /// It is sealed and signed, but not in the form of a record.
    #[error("the contact record is malformed: {problem}")]
    Malformed {
        /// What is wrong.
        problem: &'static str,
    },
    /// The record has expired.
    #[error("the contact record expired {} s ago\nhint: check that the other peer is running and that both clocks are right", ago.as_secs())]
    Expired {
        /// How long ago it expired.
        ago: Duration,
    },
    /// A newer record of the same peer was seen before.
    #[error("the contact record is {} s older than one that was seen before\nhint: the relay returns an old one; or, if the other peer's clock was set back, start this peer again", by.as_secs_f64())]
    Superseded {
        /// How much newer that one is.
        by: Duration,
    },
    /// The record was issued in the future.
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
    /// [`CONTACT_RECORD_LIFETIME`]. A peer with no address can only dial. Zone and flow of an IPv6
    /// address are meaningless on other machines and are left out.
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

    /// When the record expires, in milliseconds since 1970.
    #[must_use]
    pub fn expires_unix_ms(&self) -> u64 {
        self.body.expires_unix_ms
    }

    /// The signed form.
    pub(super) fn to_signed(&self, identity: &Identity) -> Result<Zeroizing<[u8; RECORD_LEN]>, RecordError> {
        if identity.public_key() != self.public_key {
            return Err(RecordError::ForeignSigner);
        }
        let mut buffer = [0; LONGEST_BODY_LEN];
        let body = postcard::to_slice(&self.body, &mut buffer);
        let body = body.map_err(|_| RecordError::Malformed {
            problem: "its body is too long",
        })?;
        sign(identity, body)
    }

    /// Reads the signed form. Trusts nothing in it before it has checked the signature by the key
    /// that `fingerprint` commits to.
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
            return Err(malformed("bytes follow its body"));
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

/// The parts of the signed form, not verified.
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

/// The signed form of a record with this body.
fn sign(identity: &Identity, body: &[u8]) -> Result<Zeroizing<[u8; RECORD_LEN]>, RecordError> {
    let too_long = RecordError::Malformed {
        problem: "its body is too long",
    };
    let Ok(body_len) = u16::try_from(body.len()) else {
        return Err(too_long);
    };
    let (version, public_key) = (ContactRecord::VERSION, identity.public_key());
    let signature = identity.sign(&signed_message(version, &public_key, body));
    let parts = [
        &[version],
        public_key.as_bytes().as_slice(),
        &signature,
        &body_len.to_be_bytes(),
        body,
    ]
    .concat();
    let mut signed = Zeroizing::new([0; RECORD_LEN]);
    signed
        .get_mut(..parts.len())
        .ok_or(too_long)?
        .copy_from_slice(&parts);
    Ok(signed)
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

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::*;

    const ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 26_100);

    fn alice() -> Identity {
        Identity::from_seed(Zeroizing::new([1; 32])).expect("a seed of the right length")
    }

    fn body_with(addresses: Vec<SocketAddr>) -> Vec<u8> {
        let body = Body {
            issued_unix_ms: 1,
            expires_unix_ms: 2,
            addresses,
        };
        postcard::to_stdvec(&body).expect("a body")
    }

    /// Reads a record that alice signed herself: a valid signature does not make it well formed.
    fn read(body: &[u8]) -> Result<ContactRecord, RecordError> {
        let signed = sign(&alice(), body)?;
        ContactRecord::from_signed(&signed, &alice().fingerprint())
    }

    #[test]
    fn more_addresses_than_the_limit_are_refused_even_if_signed() {
        let at_limit = body_with(vec![ADDRESS; CONTACT_ADDRESS_COUNT_MAX]);
        assert!(read(&at_limit).is_ok());
        let past = body_with(vec![ADDRESS; CONTACT_ADDRESS_COUNT_MAX + 1]);
        assert!(matches!(
            read(&past),
            Err(RecordError::TooManyAddresses { count: 17, limit: 16 })
        ));
    }

    #[test]
    fn bytes_after_the_body_are_refused_even_if_signed() {
        let longer = [body_with(vec![ADDRESS]), vec![0]].concat();
        let error = read(&longer);
        assert!(matches!(error, Err(RecordError::Malformed { .. })), "{error:?}");
    }

    #[test]
    fn a_body_that_fills_the_record_is_signed_and_one_byte_more_is_not() {
        assert!(sign(&alice(), &[0; RECORD_LEN - HEAD_LEN]).is_ok());
        let error = sign(&alice(), &[0; RECORD_LEN - HEAD_LEN + 1]);
        assert!(matches!(error, Err(RecordError::Malformed { .. })));
    }

    #[test]
    fn the_zone_of_an_address_is_left_out() {
        let zoned = SocketAddr::from(std::net::SocketAddrV6::new(
            [0xfe80, 0, 0, 0, 0, 0, 0, 1].into(),
            1,
            7,
            3,
        ));
        let record = ContactRecord::new(alice().public_key(), vec![zoned], 1).expect("one address");
        assert_eq!(record.addresses(), [without_zone(zoned)]);
    }

    proptest! {
        #[test]
        fn arbitrary_signed_bodies_never_panic(body in prop::collection::vec(any::<u8>(), 0..RECORD_LEN - HEAD_LEN)) {
            drop(read(&body));
        }
    }
}
