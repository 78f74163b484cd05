//! The lookup token: the key of an entry, and the only thing that authorises a request.
//!
//! Owns its syntax and the parsing of `Authorization`. With a token anyone can read, replace and
//! withdraw its entry, so it is never shown: `Debug` prints `…`, and no error carries it.

use std::fmt;
use std::sync::Arc;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;

use crate::api::{TOKEN_LEN_MAX, TOKEN_LEN_MIN};

/// A well-formed lookup token.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct LookupToken(Arc<str>);

/// Why a request carries no usable token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// No `Authorization` header.
    #[error("no lookup token\nhint: send it as `Authorization: Bearer <lookup token>`")]
    Missing,
    /// More than one `Authorization` header.
    #[error("more than one `Authorization` header\nhint: send exactly one")]
    Repeated,
    /// Another scheme than `Bearer`, or nothing after it.
    #[error("`Authorization` is no bearer token\nhint: send `Authorization: Bearer <lookup token>`")]
    NotBearer,
    /// Shorter or longer than the API allows.
    #[error(
        "the lookup token has {len} characters, not {TOKEN_LEN_MIN} to {TOKEN_LEN_MAX}\n\
         hint: send the token as it was derived from the fingerprint"
    )]
    Length {
        /// The length that was sent, in bytes.
        len: usize,
    },
    /// A character outside of RFC 6750's `b64token`.
    #[error("the lookup token has a character that is none of `A-Z a-z 0-9 - . _ ~ + / =`")]
    Character,
}

impl LookupToken {
    /// Checks length and characters.
    ///
    /// # Errors
    /// [`TokenError::Length`] and [`TokenError::Character`].
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let len = text.len();
        if !(TOKEN_LEN_MIN..=TOKEN_LEN_MAX).contains(&len) {
            return Err(TokenError::Length { len });
        }
        match text.bytes().all(is_token_byte) {
            true => Ok(Self(text.into())),
            false => Err(TokenError::Character),
        }
    }

    /// Takes the token from `Authorization: Bearer …` (RFC 6750, section 2.1).
    pub(crate) fn from_headers(headers: &HeaderMap) -> Result<Self, TokenError> {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let value = values.next().ok_or(TokenError::Missing)?;
        if values.next().is_some() {
            return Err(TokenError::Repeated);
        }
        let text = value.to_str().map_err(|_| TokenError::Character)?;
        let (scheme, token) = text.split_once(' ').ok_or(TokenError::NotBearer)?;
        match scheme.eq_ignore_ascii_case("bearer") {
            true => Self::parse(token.trim()),
            false => Err(TokenError::NotBearer),
        }
    }

    /// The token itself, for a store that keeps it and for comparing.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for LookupToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LookupToken(…)")
    }
}

/// RFC 6750's `b64token` characters.
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        let pairs = values.iter().map(|value| (AUTHORIZATION, value.parse().unwrap()));
        pairs.collect()
    }

    #[test]
    fn tokens_are_accepted_at_both_limits_and_refused_one_past_them() {
        assert!(LookupToken::parse(&"a".repeat(TOKEN_LEN_MIN)).is_ok());
        assert!(LookupToken::parse(&"a".repeat(TOKEN_LEN_MAX)).is_ok());
        for len in [TOKEN_LEN_MIN - 1, TOKEN_LEN_MAX + 1] {
            assert_eq!(
                LookupToken::parse(&"a".repeat(len)),
                Err(TokenError::Length { len })
            );
        }
    }

    #[test]
    fn a_token_with_a_foreign_character_is_refused() {
        for text in [
            "aaaaaaaaaaaaaaaaaaaaaa b",
            "aaaaaaaaaaaaaaaaaaaaaaé",
            "aaaaaaaaaaaaaaaaaaaaaa\n",
        ] {
            assert_eq!(LookupToken::parse(text), Err(TokenError::Character), "{text:?}");
        }
    }

    #[test]
    fn the_scheme_is_bearer_in_any_case_and_nothing_else() {
        let token = "0123456789abcdefghijklmnop";
        for scheme in ["Bearer", "bearer", "BEARER"] {
            let parsed = LookupToken::from_headers(&headers(&[&format!("{scheme} {token}")]));
            assert_eq!(parsed.unwrap().as_str(), token);
        }
        for value in [token.to_owned(), format!("Basic {token}")] {
            assert_eq!(
                LookupToken::from_headers(&headers(&[&value])),
                Err(TokenError::NotBearer)
            );
        }
    }

    #[test]
    fn two_tokens_are_refused() {
        let value = "Bearer 0123456789abcdefghijklmnop";
        assert_eq!(
            LookupToken::from_headers(&headers(&[value, value])),
            Err(TokenError::Repeated)
        );
        assert_eq!(LookupToken::from_headers(&headers(&[])), Err(TokenError::Missing));
    }

    #[test]
    fn neither_debug_nor_an_error_shows_the_token() {
        let token = LookupToken::parse("0123456789abcdefghijklmnop").unwrap();
        assert_eq!(format!("{token:?}"), "LookupToken(…)");
        let error = LookupToken::parse("secret").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("secret"));
    }
}
