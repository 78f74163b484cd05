//! The invitation: a one-time secret that one person gives to another, and what is derived from it.
//!
//! Text: 19 Crockford base32 symbols of secret (95 bits) and one symbol that checks them, in groups
//! of four. The check notices each wrong symbol and each exchange of two symbols. From the secret
//! BLAKE3 `derive_key` makes, each under a context of its own, a lookup token and a sealing key for
//! each role, and the invitation's id. The relay sees the tokens only.

use std::fmt;
use std::str::FromStr;

use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::keys::LookupToken;
use super::sealed::Seal;
use crate::crockford::{self, Unreadable, symbol_of, values_of};

/// Bytes that hold the secret; the last bit is zero.
const SECRET_LEN: usize = 12;
/// Symbols that carry the secret: 95 bits at 5 bits each.
const SECRET_SYMBOL_COUNT: usize = 19;
/// Symbols of the whole text, without separators.
const TEXT_SYMBOL_COUNT: usize = SECRET_SYMBOL_COUNT + 1;
const GROUP_LEN: usize = 4;

const ID_CONTEXT: &str = "tandem 2026-11 id of an invitation";

/// A one-time secret with which two peers find and know each other once. Wiped from memory when
/// dropped; `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct InvitationCode([u8; SECRET_LEN]);

/// Why a text is not an invitation code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodeError {
    /// It is empty, or has only separators.
    #[error("the code is empty\nhint: type the code that the other side's tandem shows")]
    Empty,
    /// It has a character that no code has.
    #[error(
        "`{character}` at position {position} is not part of a code\nhint: it has digits, dashes, and letters other than U"
    )]
    BadCharacter {
        /// The character.
        character: char,
        /// Which character of the text it is, counted from 1.
        position: usize,
    },
    /// It has too few or too many symbols.
    #[error(
        "a code has {TEXT_SYMBOL_COUNT} letters and digits, this one has {found}\nhint: type its five groups of four"
    )]
    WrongLength {
        /// How many symbols there were, separators not counted.
        found: usize,
    },
    /// Its last symbol does not match the others.
    #[error(
        "the code has a typing error\nhint: compare it letter by letter with the one that you were given"
    )]
    WrongCheck,
}

/// Which side of an invitation someone is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Role {
    /// Made the code.
    Inviter,
    /// Was given it.
    Joiner,
}

impl InvitationCode {
    /// A fresh code.
    ///
    /// # Errors
    /// When the operating system gives no random bytes.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut secret = Zeroizing::new([0; SECRET_LEN]);
        getrandom::fill(secret.as_mut_slice())?;
        Ok(Self::from_secret(&secret))
    }

    fn from_secret(secret: &[u8; SECRET_LEN]) -> Self {
        let mut secret = *secret;
        secret[SECRET_LEN - 1] &= !1;
        Self(secret)
    }

    /// The id that the records of this invitation carry. Does not reveal the secret.
    pub(super) fn id(&self) -> [u8; 32] {
        blake3::derive_key(ID_CONTEXT, &self.0)
    }

    /// The token under which the relay stores the record of that side.
    #[must_use]
    pub fn token(&self, role: Role) -> LookupToken {
        let context = match role {
            Role::Inviter => "tandem 2026-11 lookup token of the inviter of an invitation",
            Role::Joiner => "tandem 2026-11 lookup token of the joiner of an invitation",
        };
        LookupToken::derived(context, &self.0)
    }

    /// The seal of the record of that side.
    pub(super) fn seal(&self, role: Role) -> Seal {
        let context = match role {
            Role::Inviter => "tandem 2026-11 sealing key of the inviter of an invitation",
            Role::Joiner => "tandem 2026-11 sealing key of the joiner of an invitation",
        };
        Seal {
            token: self.token(role),
            key: Zeroizing::new(blake3::derive_key(context, &self.0)),
        }
    }
}

impl fmt::Display for InvitationCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values: Zeroizing<Vec<u8>> = Zeroizing::new(values_of(&self.0).collect());
        let check = check_of(&values);
        for (index, value) in values.iter().copied().chain([check]).enumerate() {
            if index > 0 && index % GROUP_LEN == 0 {
                f.write_str("-")?;
            }
            write!(f, "{}", symbol_of(value))?;
        }
        Ok(())
    }
}

impl fmt::Debug for InvitationCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InvitationCode(…)")
    }
}

impl FromStr for InvitationCode {
    type Err = CodeError;

    fn from_str(text: &str) -> Result<Self, CodeError> {
        let values: Zeroizing<[u8; TEXT_SYMBOL_COUNT]> = Zeroizing::new(crockford::read(text)?);
        let (secret, check) = values.split_at(SECRET_SYMBOL_COUNT);
        if check != [check_of(secret)] {
            return Err(CodeError::WrongCheck);
        }
        Ok(Self(crockford::bytes_of(secret)))
    }
}

impl From<Unreadable> for CodeError {
    fn from(unreadable: Unreadable) -> Self {
        match unreadable {
            Unreadable::Empty => Self::Empty,
            Unreadable::BadCharacter { character, position } => Self::BadCharacter { character, position },
            Unreadable::WrongLength { found } => Self::WrongLength { found },
        }
    }
}

/// The symbol that checks the others: the value of the polynomial with these coefficients at the
/// generator of GF(32), without a constant term. One wrong symbol changes it, as each is multiplied
/// by a number that is not zero. So does an exchange of two different symbols, as no two of these
/// numbers are equal.
fn check_of(values: &[u8]) -> u8 {
    values.iter().fold(0, |sum, value| doubled(sum ^ value))
}

/// Multiplication by the generator of GF(32), the polynomials over GF(2) modulo x⁵ + x² + 1.
fn doubled(value: u8) -> u8 {
    let shifted = value << 1;
    if shifted & 32 == 0 { shifted } else { shifted ^ 37 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::hex;

    const SECRET: [u8; SECRET_LEN] = [
        0xc4, 0xe5, 0x74, 0xf6, 0x92, 0x25, 0x9c, 0xa6, 0x42, 0x3f, 0xd1, 0x0e,
    ];

    fn code() -> InvitationCode {
        InvitationCode::from_secret(&SECRET)
    }

    #[test]
    fn the_text_of_a_code_never_changes() {
        assert_eq!(code().to_string(), "RKJQ-9XMJ-4PEA-CGHZ-T479");
    }

    #[test]
    fn what_is_derived_from_a_code_never_changes() {
        let tokens = [Role::Inviter, Role::Joiner].map(|role| code().token(role).to_text()[..16].to_owned());
        let keys = [Role::Inviter, Role::Joiner].map(|role| hex::encode(&code().seal(role).key[..8]));
        assert_eq!(tokens, ["c6958ec45be4258d", "957cc29829d50a75"]);
        assert_eq!(keys, ["cf8300bc923b5245", "ac64ed0bb1c6765b"]);
        assert_eq!(hex::encode(&code().id()[..8]), "2e0f136e65c1ba7c");
    }

    #[test]
    fn debug_shows_nothing_of_the_code() {
        assert_eq!(format!("{:?}", code()), "InvitationCode(…)");
    }

    #[test]
    fn two_codes_differ() {
        assert_ne!(
            InvitationCode::generate().unwrap(),
            InvitationCode::generate().unwrap()
        );
    }

    #[test]
    fn case_spaces_dashes_and_similar_letters_are_forgiven() {
        let typed = code()
            .to_string()
            .to_lowercase()
            .replace('0', "o")
            .replace('1', "l");
        assert_eq!(
            format!(" {} \n", typed.replace('-', " \u{2013} ")).parse(),
            Ok(code())
        );
        assert_eq!(typed.replace('-', "").parse(), Ok(code()));
    }

    #[test]
    fn one_symbol_too_few_or_too_many_is_refused_with_the_count() {
        let text = code().to_string();
        let parsed = text[..text.len() - 1].parse::<InvitationCode>();
        assert_eq!(parsed, Err(CodeError::WrongLength { found: 19 }));
        let parsed = format!("{text}0").parse::<InvitationCode>();
        assert_eq!(parsed, Err(CodeError::WrongLength { found: 21 }));
        assert_eq!("-".parse::<InvitationCode>(), Err(CodeError::Empty));
        let (character, position) = ('ü', 3);
        let parsed = "7Kü".parse::<InvitationCode>();
        assert_eq!(parsed, Err(CodeError::BadCharacter { character, position }));
    }

    proptest! {
        #[test]
        fn any_code_is_read_back_from_its_text(secret: [u8; SECRET_LEN]) {
            let code = InvitationCode::from_secret(&secret);
            prop_assert_eq!(code.to_string().parse(), Ok(code));
        }

        #[test]
        fn each_wrong_symbol_and_each_exchange_of_two_is_noticed(
            secret: [u8; SECRET_LEN],
            at in 0..TEXT_SYMBOL_COUNT,
            other in 0..TEXT_SYMBOL_COUNT,
            by in 1..32_u8,
        ) {
            let text = InvitationCode::from_secret(&secret).to_string();
            let values: [u8; TEXT_SYMBOL_COUNT] = crockford::read(&text).unwrap();
            let parse = |values: &[u8]| {
                let text: String = values.iter().copied().map(symbol_of).collect();
                text.parse::<InvitationCode>()
            };
            let mut wrong = values;
            wrong[at] ^= by;
            prop_assert_eq!(parse(&wrong), Err(CodeError::WrongCheck));
            let mut exchanged = values;
            exchanged.swap(at, other);
            let expected = if exchanged == values { parse(&values) } else { Err(CodeError::WrongCheck) };
            prop_assert_eq!(parse(&exchanged), expected);
        }

        #[test]
        fn any_text_is_read_or_refused_without_a_panic(text: String) {
            drop(text.parse::<InvitationCode>());
        }
    }
}
