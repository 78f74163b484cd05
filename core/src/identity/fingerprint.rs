//! The fingerprint: 160 bits that commit to a public key, and their text form that people read to
//! each other.
//!
//! Text: the 20 bytes as 32 Crockford base32 symbols in eight groups of four, then a ninth group
//! that checks them (20 bits, so one typing error in a million goes unnoticed). Parsing forgives
//! case, spaces, dashes, and the usual mix-ups (see [`crate::crockford`]). Anyone who has a
//! fingerprint can find the peer's addresses at a relay, so `Debug` and logs show only its
//! beginning.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::PublicKey;
use crate::crockford::{self, Unreadable, symbol_of, symbols_of};

/// Length of a fingerprint, in bytes.
const FINGERPRINT_LEN: usize = 20;
/// Symbols that carry the fingerprint: 160 bits at 5 bits each.
const SYMBOL_COUNT: usize = 32;
/// Symbols in the check group, and in every group.
const GROUP_LEN: usize = 4;
/// Symbols of the whole text, without separators.
const TEXT_SYMBOL_COUNT: usize = SYMBOL_COUNT + GROUP_LEN;

const FINGERPRINT_CONTEXT: &str = "tandem 2026-11 fingerprint of an Ed25519 public key";
const CHECK_CONTEXT: &str = "tandem 2026-11 check group of a fingerprint";

/// A commitment to a peer's public key; what people exchange out of band.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint([u8; FINGERPRINT_LEN]);

/// Why a text is not a fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FingerprintError {
    /// It is empty, or has only separators.
    #[error("the fingerprint is empty\nhint: ask the other side for the code that its tandem shows")]
    Empty,
    /// It has a character that no fingerprint has.
    #[error(
        "`{character}` at position {position} is not part of a fingerprint\nhint: it has digits, dashes, and letters other than U"
    )]
    BadCharacter {
        /// The character.
        character: char,
        /// Which character of the text it is, counted from 1.
        position: usize,
    },
    /// It has too few or too many symbols.
    #[error(
        "a fingerprint has {TEXT_SYMBOL_COUNT} letters and digits, this one has {found}\nhint: copy all nine groups"
    )]
    WrongLength {
        /// How many symbols there were, separators not counted.
        found: usize,
    },
    /// The check group does not match the others: something was mistyped.
    #[error(
        "the fingerprint has a typing error: its last group should be `{expected}`, or another group is wrong\nhint: compare it group by group"
    )]
    WrongCheck {
        /// The check group that matches the other groups.
        expected: CheckGroup,
    },
}

/// The last group of a fingerprint's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckGroup([char; GROUP_LEN]);

impl From<Unreadable> for FingerprintError {
    fn from(unreadable: Unreadable) -> Self {
        match unreadable {
            Unreadable::Empty => Self::Empty,
            Unreadable::BadCharacter { character, position } => Self::BadCharacter { character, position },
            Unreadable::WrongLength { found } => Self::WrongLength { found },
        }
    }
}

impl fmt::Display for CheckGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|symbol| write!(f, "{symbol}"))
    }
}

impl Fingerprint {
    /// The fingerprint of a public key.
    #[must_use]
    pub fn of(public_key: &PublicKey) -> Self {
        let hash = blake3::derive_key(FINGERPRINT_CONTEXT, public_key.as_bytes());
        Self(std::array::from_fn(|index| hash[index]))
    }

    /// The fingerprint with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; FINGERPRINT_LEN]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; FINGERPRINT_LEN] {
        &self.0
    }

    /// The first two groups, for logs and status lines: enough to tell peers apart, too little to
    /// find one.
    #[must_use]
    pub fn fmt_short(&self) -> String {
        self.to_string().chars().take(2 * GROUP_LEN + 1).collect()
    }

    fn check_group(&self) -> CheckGroup {
        let hash = blake3::derive_key(CHECK_CONTEXT, &self.0);
        let mut symbols = symbols_of(&hash);
        CheckGroup(std::array::from_fn(|_| symbols.next().unwrap_or('0')))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, symbol) in symbols_of(&self.0).enumerate() {
            if index > 0 && index % GROUP_LEN == 0 {
                f.write_str("-")?;
            }
            write!(f, "{symbol}")?;
        }
        write!(f, "-{}", self.check_group())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({}…)", self.fmt_short())
    }
}

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        let symbols: [u8; TEXT_SYMBOL_COUNT] = crockford::read(text)?;
        let (values, check) = symbols.split_at(SYMBOL_COUNT);
        let fingerprint = Self(crockford::bytes_of(values));
        let expected = fingerprint.check_group();
        if check.iter().map(|value| symbol_of(*value)).eq(expected.0) {
            Ok(fingerprint)
        } else {
            Err(FingerprintError::WrongCheck { expected })
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BYTES: [u8; FINGERPRINT_LEN] = [
        0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0xf0, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xff,
    ];

    fn sample() -> Fingerprint {
        Fingerprint::from_bytes(BYTES)
    }

    #[test]
    fn the_text_form_never_changes() {
        assert_eq!(
            sample().to_string(),
            "000G-40R4-0M30-E209-Y3RZ-5WZM-YQVF-FY7Z-CE43"
        );
        assert_eq!(sample().fmt_short(), "000G-40R4");
        assert_eq!(format!("{:?}", sample()), "Fingerprint(000G-40R4…)");
    }

    #[test]
    fn the_derivation_from_a_key_never_changes() {
        let fingerprint = Fingerprint::of(&PublicKey::from_bytes([7; 32]));
        assert_eq!(
            fingerprint.to_string(),
            "JR9Z-0SBZ-JMYN-CSJJ-Y6Z9-2N34-1ZF6-RJBG-CAPV"
        );
    }

    #[test]
    fn case_spaces_dashes_and_similar_letters_are_forgiven() {
        let spoken = sample()
            .to_string()
            .to_lowercase()
            .replace('0', "o")
            .replace('1', "l")
            .replace('-', " \u{2013} ");
        assert_eq!(spoken.parse(), Ok(sample()));
        let spoken = sample().to_string().replace('1', "I").replace('-', "");
        assert_eq!(format!("\t{spoken}\n").parse(), Ok(sample()));
    }

    #[test]
    fn no_text_and_separators_alone_are_empty() {
        assert_eq!("".parse::<Fingerprint>(), Err(FingerprintError::Empty));
        assert_eq!(" - \n".parse::<Fingerprint>(), Err(FingerprintError::Empty));
    }

    #[test]
    fn one_symbol_too_few_or_too_many_is_refused_with_the_count() {
        let text = sample().to_string();
        let shorter = &text[..text.len() - 1];
        assert_eq!(
            shorter.parse::<Fingerprint>(),
            Err(FingerprintError::WrongLength { found: 35 })
        );
        let longer = format!("{text}0");
        assert_eq!(
            longer.parse::<Fingerprint>(),
            Err(FingerprintError::WrongLength { found: 37 })
        );
    }

    #[test]
    fn a_foreign_character_is_named_with_its_position() {
        let error = "0008-1ü".parse::<Fingerprint>();
        assert_eq!(
            error,
            Err(FingerprintError::BadCharacter {
                character: 'ü',
                position: 7
            })
        );
        let error = "U".parse::<Fingerprint>();
        assert_eq!(
            error,
            Err(FingerprintError::BadCharacter {
                character: 'U',
                position: 1
            })
        );
    }

    #[test]
    fn each_single_wrong_symbol_is_noticed() {
        let text = sample().to_string();
        for (position, symbol) in text.char_indices().filter(|(_, symbol)| *symbol != '-') {
            let wrong = if symbol == '7' { "8" } else { "7" };
            let mut typo = text.clone();
            typo.replace_range(position..=position, wrong);
            assert!(
                matches!(
                    typo.parse::<Fingerprint>(),
                    Err(FingerprintError::WrongCheck { .. })
                ),
                "{typo}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_fingerprint_is_read_back_from_its_text(bytes: [u8; FINGERPRINT_LEN]) {
            let fingerprint = Fingerprint::from_bytes(bytes);
            prop_assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
        }

        #[test]
        fn any_text_is_read_or_refused_without_a_panic(text: String) {
            prop_assert!(text.parse::<Fingerprint>().is_err());
        }
    }
}
