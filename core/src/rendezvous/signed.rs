//! The signed form of what a relay stores sealed. It has a fixed length, whatever it says:
//! ```text
//! version 1 | public key 32 | signature 64 | body length 2, big endian | body, postcard
//!           | zeros up to 512
//! ```
//! The signature covers a context, the version, the key and the body. Each kind of record has a
//! context of its own, so that none can pass for another.

use zeroize::Zeroizing;

use super::record::RecordError;
use crate::identity::{Identity, PublicKey, SIGNATURE_LEN};

/// The version of the form.
pub(super) const VERSION: u8 = 1;
/// Length of the signed form, in bytes.
pub(super) const RECORD_LEN: usize = 512;
const KEY_LEN: usize = 32;
const HEAD_LEN: usize = 1 + KEY_LEN + SIGNATURE_LEN + 2;
/// Length of the longest body that fits, in bytes.
pub(super) const BODY_ROOM: usize = RECORD_LEN - HEAD_LEN;

/// The parts of the signed form.
pub(super) struct Parts<'a> {
    pub(super) public_key: PublicKey,
    signature: &'a [u8; SIGNATURE_LEN],
    pub(super) body: &'a [u8],
}

impl<'a> Parts<'a> {
    /// The parts, not verified.
    pub(super) fn of(signed: &'a [u8; RECORD_LEN]) -> Result<Self, RecordError> {
        let malformed = RecordError::Malformed {
            problem: "its parts have wrong lengths",
        };
        let Some((&[found], rest)) = signed.split_first_chunk::<1>() else {
            return Err(malformed);
        };
        if found != VERSION {
            return Err(RecordError::UnknownVersion {
                found,
                known: VERSION,
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

    /// Checks that the key in the record signed it as a record of that kind.
    pub(super) fn verify(&self, context: &[u8]) -> Result<(), RecordError> {
        let message = signed_message(context, &self.public_key, self.body);
        self.public_key
            .verify(&message, self.signature)
            .map_err(|_| RecordError::BrokenSignature)
    }
}

/// The signed form of a record with this body.
pub(super) fn sign(
    context: &[u8],
    identity: &Identity,
    body: &[u8],
) -> Result<Zeroizing<[u8; RECORD_LEN]>, RecordError> {
    let too_long = RecordError::Malformed {
        problem: "its body is too long",
    };
    let Ok(body_len) = u16::try_from(body.len()) else {
        return Err(too_long);
    };
    let public_key = identity.public_key();
    let signature = identity.sign(&signed_message(context, &public_key, body));
    let parts = [
        &[VERSION],
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

fn signed_message(context: &[u8], public_key: &PublicKey, body: &[u8]) -> Vec<u8> {
    [context, &[VERSION], public_key.as_bytes(), body].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_that_fills_the_record_is_signed_and_one_byte_more_is_not() {
        let alice = Identity::from_seed(Zeroizing::new([1; 32])).expect("a seed of the right length");
        assert!(sign(b"", &alice, &[0; BODY_ROOM]).is_ok());
        let error = sign(b"", &alice, &[0; BODY_ROOM + 1]);
        assert!(matches!(error, Err(RecordError::Malformed { .. })));
    }
}
