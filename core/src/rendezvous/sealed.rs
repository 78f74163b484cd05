//! Sealing: turns a signed record into the text that the relay stores, which is all that it can
//! see.
//!
//! `nonce 24 | XChaCha20-Poly1305 of the signed record, with the lookup token as associated data`,
//! as hexadecimal text. The nonce is random and 24 bytes long, so that a peer that publishes for
//! centuries never repeats one.

use std::fmt;
use std::str::FromStr;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use super::keys::{LookupToken, sealing_key};
use super::record::{ContactRecord, RecordError};
use super::signed::RECORD_LEN;
use crate::hex;
use crate::identity::{Fingerprint, Identity};

const NONCE_LEN: usize = 24;
const TAG_LEN: usize = 16;
const SEALED_LEN: usize = NONCE_LEN + RECORD_LEN + TAG_LEN;
/// Two characters for each byte.
const TEXT_LEN: usize = 2 * SEALED_LEN;
const _: () = assert!(TEXT_LEN <= tandem_relay::api::BLOB_LEN_MAX);

/// A contact record that only those who know the peer's fingerprint can read. All have the same
/// length.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedRecord([u8; SEALED_LEN]);

impl ContactRecord {
    /// Signs and seals the record under a fresh nonce.
    ///
    /// # Errors
    /// [`RecordError::ForeignSigner`] when `identity` is not the record's peer,
    /// [`RecordError::NoRandomness`].
    pub fn seal(&self, identity: &Identity) -> Result<SealedRecord, RecordError> {
        let signed = self.to_signed(identity)?;
        Seal::of(&identity.fingerprint()).close(&signed)
    }
}

impl SealedRecord {
    /// The record of the peer with this fingerprint, checked in this order: seal, version, key,
    /// signature, form, freshness at `now_unix_ms`.
    ///
    /// # Errors
    /// Each check has its own variant of [`RecordError`].
    pub fn open(&self, fingerprint: &Fingerprint, now_unix_ms: u64) -> Result<ContactRecord, RecordError> {
        let signed = Seal::of(fingerprint).open(self)?;
        let record = ContactRecord::from_signed(&signed, fingerprint)?;
        record.check_freshness(now_unix_ms)?;
        Ok(record)
    }

    /// The text that the relay holds.
    #[must_use]
    pub fn to_text(&self) -> String {
        hex::encode(&self.0)
    }
}

/// The key that seals a record, and the token under which the relay stores it.
pub(super) struct Seal {
    pub(super) token: LookupToken,
    pub(super) key: Zeroizing<[u8; 32]>,
}

impl Seal {
    /// The seal of contact records of the peer with this fingerprint.
    fn of(fingerprint: &Fingerprint) -> Self {
        Self {
            token: LookupToken::of(fingerprint),
            key: sealing_key(fingerprint),
        }
    }

    /// Seals a signed record under a fresh nonce.
    pub(super) fn close(&self, signed: &[u8; RECORD_LEN]) -> Result<SealedRecord, RecordError> {
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).map_err(RecordError::NoRandomness)?;
        self.close_with(signed, nonce)
    }

    fn close_with(
        &self,
        signed: &[u8; RECORD_LEN],
        nonce: [u8; NONCE_LEN],
    ) -> Result<SealedRecord, RecordError> {
        let payload = Payload {
            msg: signed,
            aad: self.token.as_bytes(),
        };
        let ciphertext = self.cipher().encrypt(&XNonce::from(nonce), payload);
        let ciphertext = ciphertext.map_err(|_| RecordError::BrokenSeal)?;
        let bytes = [nonce.as_slice(), &ciphertext].concat();
        bytes
            .try_into()
            .map(SealedRecord)
            .map_err(|_| RecordError::BrokenSeal)
    }

    /// The signed record in a sealed one. Its signature is not checked yet.
    pub(super) fn open(&self, sealed: &SealedRecord) -> Result<Zeroizing<[u8; RECORD_LEN]>, RecordError> {
        let parts = sealed.0.split_first_chunk::<NONCE_LEN>();
        let (nonce, ciphertext) = parts.ok_or(RecordError::BrokenSeal)?;
        let payload = Payload {
            msg: ciphertext,
            aad: self.token.as_bytes(),
        };
        let signed = self.cipher().decrypt(&XNonce::from(*nonce), payload);
        let signed = signed.map(Zeroizing::new).map_err(|_| RecordError::BrokenSeal)?;
        signed
            .as_slice()
            .try_into()
            .map(Zeroizing::new)
            .map_err(|_| RecordError::BrokenSeal)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&Key::from(*self.key))
    }
}

impl FromStr for SealedRecord {
    type Err = RecordError;

    fn from_str(text: &str) -> Result<Self, RecordError> {
        let mut bytes = [0; SEALED_LEN];
        hex::decode_into(text, &mut bytes).ok_or(RecordError::NotSealed {
            found_len: text.len(),
        })?;
        Ok(Self(bytes))
    }
}

impl fmt::Debug for SealedRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealedRecord(…)")
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::limits::{CLOCK_SKEW_MAX, CONTACT_ADDRESS_COUNT_MAX, CONTACT_RECORD_LIFETIME};

    const ISSUED_UNIX_MS: u64 = 1_800_000_000_000;
    const NONCE: [u8; NONCE_LEN] = [5; NONCE_LEN];

    fn seeded(byte: u8) -> Identity {
        Identity::from_seed(Zeroizing::new([byte; 32])).expect("a seed of the right length")
    }

    fn addresses() -> Vec<SocketAddr> {
        vec![
            SocketAddr::from((Ipv6Addr::LOCALHOST, 26_100)),
            SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 26_400)),
        ]
    }

    fn record(identity: &Identity) -> ContactRecord {
        ContactRecord::new(identity.public_key(), addresses(), ISSUED_UNIX_MS).expect("few addresses")
    }

    /// Seals what an attacker who knows alice's fingerprint made of her signed record.
    fn sealed_with(alice: &Identity, change: impl FnOnce(&mut [u8; RECORD_LEN])) -> SealedRecord {
        let mut signed = record(alice).to_signed(alice).expect("alice's own record");
        change(&mut signed);
        Seal::of(&alice.fingerprint())
            .close_with(&signed, NONCE)
            .expect("sealing")
    }

    fn open(sealed: &SealedRecord, identity: &Identity) -> Result<ContactRecord, RecordError> {
        sealed.open(&identity.fingerprint(), ISSUED_UNIX_MS)
    }

    #[test]
    fn a_record_is_opened_with_its_fingerprint() {
        let alice = seeded(1);
        let sealed = record(&alice).seal(&alice).expect("sealing");
        let opened = open(&sealed, &alice).expect("opening");
        assert_eq!(opened, record(&alice));
        assert_eq!(opened.addresses(), addresses());
        assert_eq!(opened.expires_unix_ms() - opened.issued_unix_ms(), 40 * 60 * 1000);
    }

    #[test]
    fn the_format_never_changes() {
        let sealed = sealed_with(&seeded(1), |_| ());
        let hash = blake3::hash(sealed.to_text().as_bytes());
        assert_eq!(&hash.to_hex()[..32], "fb4779b478ec46ec5865829e1c418cde");
        let signed = Seal::of(&seeded(1).fingerprint())
            .open(&sealed)
            .expect("alice's own seal");
        assert_eq!(
            hex::encode(&signed[97..140]),
            "002980a0f1c2b13480de83c4b134020100000000000000000000000000000001f4cb0100c0000201a0ce01"
        );
    }

    #[test]
    fn another_fingerprint_does_not_open_it() {
        let sealed = sealed_with(&seeded(1), |_| ());
        assert!(matches!(open(&sealed, &seeded(2)), Err(RecordError::BrokenSeal)));
    }

    #[test]
    fn a_forged_signature_is_refused_even_under_a_valid_seal() {
        let sealed = sealed_with(&seeded(1), |signed| signed[40] ^= 1);
        assert!(matches!(
            open(&sealed, &seeded(1)),
            Err(RecordError::BrokenSignature)
        ));
    }

    #[test]
    fn a_record_changed_after_signing_is_refused_even_under_a_valid_seal() {
        let sealed = sealed_with(&seeded(1), |signed| signed[105] ^= 1);
        assert!(matches!(
            open(&sealed, &seeded(1)),
            Err(RecordError::BrokenSignature)
        ));
    }

    #[test]
    fn the_key_of_another_peer_is_refused_even_under_a_valid_seal() {
        let (alice, mallory) = (seeded(1), seeded(3));
        let hers = record(&mallory)
            .to_signed(&mallory)
            .expect("mallory's own record");
        let sealed = Seal::of(&alice.fingerprint())
            .close_with(&hers, NONCE)
            .expect("sealing");
        let Err(RecordError::WrongKey { found, expected }) = open(&sealed, &alice) else {
            panic!("accepted")
        };
        assert_eq!((found, expected), (mallory.fingerprint(), alice.fingerprint()));
    }

    #[test]
    fn an_unknown_version_is_named() {
        let sealed = sealed_with(&seeded(1), |signed| signed[0] = 2);
        let error = open(&sealed, &seeded(1));
        assert!(
            matches!(error, Err(RecordError::UnknownVersion { found: 2, known: 1 })),
            "{error:?}"
        );
    }

    #[test]
    fn padding_that_hides_something_is_refused() {
        let sealed = sealed_with(&seeded(1), |signed| signed[RECORD_LEN - 1] = 1);
        assert!(matches!(
            open(&sealed, &seeded(1)),
            Err(RecordError::Malformed { .. })
        ));
    }

    #[test]
    fn a_body_longer_than_the_record_is_refused() {
        let sealed = sealed_with(&seeded(1), |signed| signed[97] = 0xff);
        assert!(matches!(
            open(&sealed, &seeded(1)),
            Err(RecordError::Malformed { .. })
        ));
    }

    #[test]
    fn a_peer_seals_only_its_own_record() {
        let error = record(&seeded(1)).seal(&seeded(2));
        assert!(matches!(error, Err(RecordError::ForeignSigner)));
    }

    #[test]
    fn addresses_up_to_the_limit_are_sealed_and_one_more_is_refused() {
        let alice = seeded(1);
        let longest = SocketAddr::from((Ipv6Addr::from([0xff; 16]), u16::MAX));
        let full = vec![longest; CONTACT_ADDRESS_COUNT_MAX];
        let record = ContactRecord::new(alice.public_key(), full.clone(), u64::MAX).expect("at the limit");
        assert_eq!(record.seal(&alice).expect("sealing").to_text().len(), TEXT_LEN);
        let error = ContactRecord::new(alice.public_key(), [full, vec![longest]].concat(), 0);
        assert!(matches!(
            error,
            Err(RecordError::TooManyAddresses { count: 17, limit: 16 })
        ));
    }

    #[test]
    fn a_record_is_good_until_the_millisecond_before_it_expires() {
        let alice = seeded(1);
        let (sealed, expires) = (sealed_with(&alice, |_| ()), record(&alice).expires_unix_ms());
        assert!(sealed.open(&alice.fingerprint(), expires - 1).is_ok());
        let Err(RecordError::Expired { ago }) = sealed.open(&alice.fingerprint(), expires) else {
            panic!("used")
        };
        assert_eq!(ago, Duration::ZERO);
        let late = sealed
            .open(&alice.fingerprint(), expires + 90_000)
            .expect_err("expired");
        assert!(
            late.to_string()
                .starts_with("the contact record expired 90 s ago\nhint: "),
            "{late}"
        );
    }

    #[test]
    fn a_record_from_the_future_is_good_up_to_the_tolerated_skew() {
        let alice = seeded(1);
        let sealed = sealed_with(&alice, |_| ());
        let skew_ms = u64::try_from(CLOCK_SKEW_MAX.as_millis()).expect("small");
        assert!(
            sealed
                .open(&alice.fingerprint(), ISSUED_UNIX_MS - skew_ms)
                .is_ok()
        );
        let error = sealed.open(&alice.fingerprint(), ISSUED_UNIX_MS - skew_ms - 1);
        let Err(RecordError::IssuedInFuture { ahead, limit }) = error else {
            panic!("used")
        };
        assert_eq!((ahead - limit, limit), (Duration::from_millis(1), CLOCK_SKEW_MAX));
    }

    #[test]
    fn a_record_lives_longer_than_the_relay_keeps_it_plus_the_tolerated_skew() {
        let ttl = Duration::from_secs(tandem_relay::api::ENTRY_TTL_SECS);
        assert!(CONTACT_RECORD_LIFETIME >= ttl + CLOCK_SKEW_MAX);
    }

    #[test]
    fn sealing_twice_gives_two_texts_that_share_nothing() {
        let alice = seeded(1);
        let first = record(&alice).seal(&alice).expect("sealing");
        let second = record(&alice).seal(&alice).expect("sealing");
        let alike = first.0.iter().zip(second.0).filter(|(a, b)| **a == *b).count();
        assert!(alike < 40, "{alike} of {SEALED_LEN} bytes alike"); // 2 expected by chance
    }

    fn any_addresses() -> impl Strategy<Value = Vec<SocketAddr>> {
        prop::collection::vec(any::<SocketAddr>(), 0..=CONTACT_ADDRESS_COUNT_MAX)
    }

    proptest! {
        #[test]
        fn any_addresses_are_opened_as_they_were_sealed(addresses in any_addresses(), seed: u8) {
            let identity = seeded(seed);
            let record = ContactRecord::new(identity.public_key(), addresses, ISSUED_UNIX_MS).expect("few");
            let sealed = record.seal(&identity).expect("sealing");
            prop_assert_eq!(sealed.to_text().len(), TEXT_LEN);
            let again: SealedRecord = sealed.to_text().parse().expect("its own text");
            prop_assert_eq!(open(&again, &identity).expect("opening"), record);
        }

        #[test]
        fn any_flipped_bit_is_refused(index in 0..SEALED_LEN, bit in 0..8_u8) {
            let mut sealed = sealed_with(&seeded(1), |_| ());
            sealed.0[index] ^= 1 << bit;
            prop_assert!(matches!(open(&sealed, &seeded(1)), Err(RecordError::BrokenSeal)));
        }

        #[test]
        fn any_flipped_bit_of_the_text_is_refused(index in 0..TEXT_LEN, bit in 0..7_u8) {
            let mut text = sealed_with(&seeded(1), |_| ()).to_text().into_bytes();
            text[index] ^= 1 << bit;
            let text = String::from_utf8(text).expect("still ASCII");
            prop_assert!(text.parse::<SealedRecord>().and_then(|sealed| open(&sealed, &seeded(1))).is_err());
        }

        #[test]
        fn arbitrary_text_never_panics(text: String) {
            prop_assert!(text.parse::<SealedRecord>().is_err());
        }
    }
}
