//! The values derived from a fingerprint: the token that a relay indexes by, and the key that it
//! never sees.
//!
//! Both are derived by BLAKE3 `derive_key`, each under its own context, so that neither reveals the
//! other or the fingerprint. A changed context would cut a peer off from all others, so both have
//! golden values below.

use std::fmt;

use zeroize::Zeroizing;

use crate::hex;
use crate::identity::Fingerprint;

const TOKEN_CONTEXT: &str = "tandem 2026-11 lookup token of a fingerprint";
const SEALING_CONTEXT: &str = "tandem 2026-11 sealing key of a fingerprint";

/// What the relay indexes by. Anyone who has it can fetch and replace the sealed record, but not
/// read it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct LookupToken([u8; 32]);

impl LookupToken {
    /// The token of the peer with this fingerprint.
    #[must_use]
    pub fn of(fingerprint: &Fingerprint) -> Self {
        Self::derived(TOKEN_CONTEXT, fingerprint.as_bytes())
    }

    /// The token that `context` makes of a secret.
    pub(super) fn derived(context: &str, secret: &[u8]) -> Self {
        Self(blake3::derive_key(context, secret))
    }

    /// The token as the relay gets it: 64 hexadecimal digits.
    #[must_use]
    pub fn to_text(&self) -> String {
        hex::encode(&self.0)
    }

    pub(super) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for LookupToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LookupToken(…)")
    }
}

/// The key that seals the records of the peer with this fingerprint.
pub(super) fn sealing_key(fingerprint: &Fingerprint) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(blake3::derive_key(SEALING_CONTEXT, fingerprint.as_bytes()))
}

#[cfg(test)]
mod tests {
    use tandem_relay::api::{TOKEN_LEN_MAX, TOKEN_LEN_MIN};

    use super::*;

    const FINGERPRINT: Fingerprint = Fingerprint::from_bytes([9; 20]);

    #[test]
    fn the_token_of_a_fingerprint_never_changes() {
        assert_eq!(
            LookupToken::of(&FINGERPRINT).to_text(),
            "be058041f89d5c65884106317bdef349073f7d2c0dd712ae3a34b996043a0035"
        );
    }

    #[test]
    fn the_sealing_key_of_a_fingerprint_never_changes() {
        assert_eq!(
            hex::encode(sealing_key(&FINGERPRINT).as_slice()),
            "fa8cf1c5041fbddc17ca7e3178ef172e53efbfaac9859c5791d84cd6d43dc188"
        );
    }

    #[test]
    fn the_relay_accepts_the_length_of_a_token() {
        let len = LookupToken::of(&FINGERPRINT).to_text().len();
        assert!((TOKEN_LEN_MIN..=TOKEN_LEN_MAX).contains(&len), "{len}");
    }

    #[test]
    fn debug_shows_nothing_of_the_token() {
        assert_eq!(format!("{:?}", LookupToken::of(&FINGERPRINT)), "LookupToken(…)");
    }
}
