//! The public half of an identity: raw bytes, the DER form for TLS raw public keys, and signature
//! checks.
//!
//! Knows nothing of secrets. Any 32 bytes are accepted as a key; a key that is not a point of the
//! curve verifies no signature.

use std::fmt;

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use serde::{Deserialize, Serialize};

/// Length of a raw Ed25519 public key, in bytes.
const KEY_LEN: usize = 32;
/// Length of an Ed25519 signature, in bytes.
pub const SIGNATURE_LEN: usize = 64;
/// What precedes the key in its `SubjectPublicKeyInfo` (RFC 8410, section 4).
const SPKI_PREFIX: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];
/// Length of that structure, in bytes.
const SPKI_LEN: usize = SPKI_PREFIX.len() + KEY_LEN;

/// A peer's raw Ed25519 public key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PublicKey([u8; KEY_LEN]);

/// Why bytes are not an Ed25519 public key in the expected form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublicKeyError {
    /// They are not 32 bytes.
    #[error("a public key has {KEY_LEN} bytes, not `{found}`")]
    WrongLength {
        /// How many bytes there were.
        found: usize,
    },
    /// They are not the `SubjectPublicKeyInfo` of an Ed25519 key.
    #[error("the key is not an Ed25519 key in DER form ({found} bytes)")]
    NotEd25519 {
        /// How many bytes there were.
        found: usize,
    },
}

/// The signature is not by this key over this message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature is not by this key over this message")]
pub struct SignatureError;

impl PublicKey {
    /// The key with these raw bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; KEY_LEN]) -> Self {
        Self(bytes)
    }

    /// The raw bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; KEY_LEN] {
        &self.0
    }

    /// The key as DER `SubjectPublicKeyInfo`, as TLS raw public keys carry it (RFC 7250).
    #[must_use]
    pub fn spki_der(&self) -> [u8; SPKI_LEN] {
        let mut der = [0; SPKI_LEN];
        let (prefix, key) = der.split_at_mut(SPKI_PREFIX.len());
        prefix.copy_from_slice(&SPKI_PREFIX);
        key.copy_from_slice(&self.0);
        der
    }

    /// The key in a DER `SubjectPublicKeyInfo`. Only the one canonical encoding is accepted.
    ///
    /// # Errors
    /// [`PublicKeyError::NotEd25519`] for every other algorithm, encoding or length.
    pub fn from_spki_der(der: &[u8]) -> Result<Self, PublicKeyError> {
        der.strip_prefix(&SPKI_PREFIX)
            .and_then(|key| Self::try_from(key).ok())
            .ok_or(PublicKeyError::NotEd25519 { found: der.len() })
    }

    /// Checks that `signature` is by this key over `message`.
    ///
    /// # Errors
    /// [`SignatureError`] if not, whatever the reason.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        UnparsedPublicKey::new(&ED25519, self.0)
            .verify(message, signature)
            .map_err(|_| SignatureError)
    }
}

impl TryFrom<&[u8]> for PublicKey {
    type Error = PublicKeyError;

    fn try_from(bytes: &[u8]) -> Result<Self, PublicKeyError> {
        bytes
            .try_into()
            .map(Self)
            .map_err(|_| PublicKeyError::WrongLength { found: bytes.len() })
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, second, third, fourth, ..] = self.0;
        write!(f, "PublicKey({first:02x}{second:02x}{third:02x}{fourth:02x}…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: PublicKey = PublicKey::from_bytes([7; KEY_LEN]);

    #[test]
    fn the_der_form_is_read_back() {
        assert_eq!(PublicKey::from_spki_der(&KEY.spki_der()), Ok(KEY));
    }

    #[test]
    fn der_one_byte_short_or_long_or_of_another_algorithm_is_refused() {
        let mut longer = KEY.spki_der().to_vec();
        longer.push(0);
        assert_eq!(
            PublicKey::from_spki_der(&longer),
            Err(PublicKeyError::NotEd25519 { found: 45 })
        );
        let shorter = &KEY.spki_der()[..43];
        assert_eq!(
            PublicKey::from_spki_der(shorter),
            Err(PublicKeyError::NotEd25519 { found: 43 })
        );
        let mut x25519 = KEY.spki_der();
        x25519[8] = 0x6e;
        assert_eq!(
            PublicKey::from_spki_der(&x25519),
            Err(PublicKeyError::NotEd25519 { found: 44 })
        );
    }

    #[test]
    fn a_key_of_31_or_33_bytes_is_refused() {
        assert_eq!(
            PublicKey::try_from([7; 31].as_slice()),
            Err(PublicKeyError::WrongLength { found: 31 })
        );
        assert_eq!(
            PublicKey::try_from([7; 33].as_slice()),
            Err(PublicKeyError::WrongLength { found: 33 })
        );
    }

    #[test]
    fn a_signature_of_the_wrong_length_is_refused_without_a_panic() {
        assert_eq!(KEY.verify(b"hello", &[0; SIGNATURE_LEN - 1]), Err(SignatureError));
        assert_eq!(KEY.verify(b"hello", &[]), Err(SignatureError));
    }
}
