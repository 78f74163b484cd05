//! The contact record: where a peer can be reached, signed by its identity.
//!
//! Its signed form is in `signed`, sealing in `sealed`.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::signed::{BODY_ROOM, Parts, RECORD_LEN, VERSION, sign};
use crate::clock::millis;
use crate::identity::{Fingerprint, Identity, PublicKey};
use crate::limits::{CLOCK_SKEW_MAX, CONTACT_ADDRESS_COUNT_MAX, CONTACT_RECORD_LIFETIME};

/// Two times of at most 10 bytes, a count, and addresses of at most 20 bytes (kind, IPv6, port).
const LONGEST_BODY_LEN: usize = 2 * 10 + 1 + CONTACT_ADDRESS_COUNT_MAX * 20;
const _: () = assert!(LONGEST_BODY_LEN <= BODY_ROOM);

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
    pub const VERSION: u8 = VERSION;

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
        sign(SIGNATURE_CONTEXT, identity, body)
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
        parts.verify(SIGNATURE_CONTEXT)?;
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

pub(super) fn without_zone(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip(), address.port())
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
        let signed = sign(SIGNATURE_CONTEXT, &alice(), body)?;
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
        fn arbitrary_signed_bodies_never_panic(body in prop::collection::vec(any::<u8>(), 0..BODY_ROOM)) {
            drop(read(&body));
        }
    }
}
