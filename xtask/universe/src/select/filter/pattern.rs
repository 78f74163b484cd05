//! The text between the parentheses of a predicate, and its comparison with a name.

use std::fmt;

use regex_lite::{Regex, RegexBuilder};

use crate::base::limits::{REGEX_DEPTH_MAX, REGEX_LEN_MAX, REGEX_SIZE_MAX};

/// A pattern. [`Display`](fmt::Display) writes it so that it can be parsed again.
#[derive(Debug, Clone)]
pub(super) enum Pattern {
    /// `=text`: the whole name.
    Equal(String),
    /// `~text`: a part of the name.
    Contains(String),
    /// `#glob`: the whole name, where `*` is any text, `?` any character, `[a-c]` and `[!a-c]` some
    /// of them.
    Glob(Vec<Piece>),
    /// A module itself and everything below it.
    Within(String),
    /// `/regex/`: somewhere in the name.
    Regex(Regex),
}

/// A part of a glob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    One(char),
    Any,
    Many,
    Class {
        ranges: Vec<(char, char)>,
        negated: bool,
    },
}

/// A glob by itself.
#[derive(Debug)]
pub(crate) struct Glob(Vec<Piece>);

impl Glob {
    /// Parses it; no character is escaped.
    ///
    /// # Errors
    /// What is missing in it.
    pub(crate) fn parse(text: &str) -> Result<Glob, &'static str> {
        let text: Vec<(char, bool)> = text.chars().map(|one| (one, false)).collect();
        glob(&text).map(Glob)
    }

    /// Whether it matches the whole of `name`.
    pub(crate) fn fits(&self, name: &str) -> bool {
        glob_fits(&self.0, &name.chars().collect::<Vec<_>>())
    }
}

impl Pattern {
    /// Whether it matches `name`.
    pub(super) fn fits(&self, name: &str) -> bool {
        match self {
            Pattern::Equal(text) => name == text,
            Pattern::Contains(text) => name.contains(text.as_str()),
            Pattern::Glob(pieces) => glob_fits(pieces, &name.chars().collect::<Vec<_>>()),
            Pattern::Within(module) => name
                .strip_prefix(module.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with("::")),
            Pattern::Regex(regex) => regex.is_match(name),
        }
    }
}

/// Parses a glob, given as characters with whether each was escaped.
pub(super) fn glob(text: &[(char, bool)]) -> Result<Vec<Piece>, &'static str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((&(first, escaped), after)) = rest.split_first() {
        rest = after;
        pieces.push(match (first, escaped) {
            ('*', false) => Piece::Many,
            ('?', false) => Piece::Any,
            ('[', false) => {
                let end = after.iter().position(|&end| end == (']', false));
                let (inner, after) = end
                    .and_then(|end| Some((after.get(..end)?, after.get(end + 1..)?)))
                    .ok_or("a `]` that ends the class of characters")?;
                rest = after;
                class(inner)?
            }
            (other, _) => Piece::One(other),
        });
    }
    pieces.dedup_by(|a, b| *a == Piece::Many && *b == Piece::Many);
    Ok(pieces)
}

/// Parses a regular expression; the error is what was expected instead.
pub(super) fn regex(source: &str) -> Result<Regex, String> {
    let len = source.chars().count();
    if len > REGEX_LEN_MAX {
        return Err(format!(
            "a regular expression of at most {REGEX_LEN_MAX} characters instead of {len}"
        ));
    }
    let mut builder = RegexBuilder::new(source);
    builder.size_limit(REGEX_SIZE_MAX).nest_limit(REGEX_DEPTH_MAX);
    builder.build().map_err(|error| {
        let mut why = error.to_string();
        if why.ends_with("size limit") {
            why.push_str(&format!(" of {REGEX_SIZE_MAX} bytes"));
        } else if why.ends_with("nesting") {
            why.push_str(&format!(", more than {REGEX_DEPTH_MAX} levels"));
        }
        format!("a regular expression ({why})")
    })
}

/// `!a-cx`: ranges and single characters.
fn class(text: &[(char, bool)]) -> Result<Piece, &'static str> {
    let (negated, mut rest) = match text {
        [('!' | '^', false), rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let mut ranges = Vec::new();
    loop {
        rest = match rest {
            [] if ranges.is_empty() => return Err("a character in the class"),
            [] => return Ok(Piece::Class { ranges, negated }),
            [(from, _), ('-', false), (to, _), rest @ ..] if from <= to => {
                ranges.push((*from, *to));
                rest
            }
            [(one, _), rest @ ..] => {
                ranges.push((*one, *one));
                rest
            }
        };
    }
}

/// Compares without recursion: after a mismatch the last `*` takes one more character.
fn glob_fits(pieces: &[Piece], name: &[char]) -> bool {
    let (mut piece, mut at) = (0, 0);
    let mut again = None;
    loop {
        match (pieces.get(piece), name.get(at)) {
            (None, None) => return true,
            (Some(Piece::Many), _) => {
                again = Some((piece, at));
                piece += 1;
                continue;
            }
            (Some(expected), Some(&found)) if expected.fits(found) => {
                (piece, at) = (piece + 1, at + 1);
                continue;
            }
            _ => {}
        }
        match again {
            Some((star, from)) if from < name.len() => {
                again = Some((star, from + 1));
                (piece, at) = (star + 1, from + 1);
            }
            _ => return false,
        }
    }
}

impl Piece {
    fn fits(&self, found: char) -> bool {
        match self {
            Piece::One(expected) => *expected == found,
            Piece::Any => true,
            Piece::Many => false,
            Piece::Class { ranges, negated } => {
                ranges.iter().any(|(from, to)| (from..=to).contains(&&found)) != *negated
            }
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pattern::Equal(text) => write!(f, "={}", escaped(text)),
            Pattern::Contains(text) => write!(f, "~{}", escaped(text)),
            Pattern::Within(module) => write!(f, "{}", escaped(module)),
            Pattern::Regex(regex) => write!(f, "/{}/", regex.as_str().replace('/', "\\/")),
            Pattern::Glob(pieces) => {
                write!(f, "#")?;
                pieces.iter().try_for_each(|piece| write!(f, "{piece}"))
            }
        }
    }
}

impl fmt::Display for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Piece::One(one) => write!(f, "{}", escaped(&one.to_string())),
            Piece::Any => write!(f, "?"),
            Piece::Many => write!(f, "*"),
            Piece::Class { ranges, negated } => {
                write!(f, "[{}", if *negated { "!" } else { "" })?;
                for (from, to) in ranges {
                    write!(f, "{}-{}", escaped(&from.to_string()), escaped(&to.to_string()))?;
                }
                write!(f, "]")
            }
        }
    }
}

/// With a backslash before every character that would have a special meaning.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for one in text.chars() {
        if !one.is_alphanumeric() && !matches!(one, '_' | ':') {
            escaped.push('\\');
        }
        escaped.push(one);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(text: &str) -> Result<Vec<Piece>, &'static str> {
        glob(&text.chars().map(|one| (one, false)).collect::<Vec<_>>())
    }

    fn fits(pattern: &str, name: &str) -> bool {
        Pattern::Glob(pieces(pattern).unwrap()).fits(name)
    }

    #[test]
    fn a_glob_matches_the_whole_name_or_nothing() {
        for (pattern, name) in [
            ("", ""),
            ("*", ""),
            ("*", "abc"),
            ("a*c", "abbc"),
            ("*b*b*", "abab"),
            ("a?c", "aüc"),
            ("[a-c]x", "bx"),
            ("[!a-c]x", "dx"),
            ("[-a]", "-"),
            ("**::x", "a::b::x"),
        ] {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("", "a"),
            ("a*c", "abcd"),
            ("a?c", "ac"),
            ("[!a-c]x", "ax"),
            ("*b*b*", "ab"),
        ] {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn a_glob_of_many_stars_is_decided_quickly() {
        let pattern = "*a".repeat(200);
        assert!(!fits(&pattern, &"a".repeat(199)));
        assert!(!fits(&format!("{pattern}b"), &"a".repeat(2000)));
    }

    #[test]
    fn an_unfinished_or_empty_class_is_refused() {
        assert!(pieces("[ab").is_err());
        assert!(pieces("[]").is_err() && pieces("[!]").is_err());
    }

    #[test]
    fn a_module_matches_itself_and_its_children_but_not_its_namesakes() {
        let within = Pattern::Within("relay".to_owned());
        assert!(within.fits("relay") && within.fits("relay::limits"));
        assert!(!within.fits("relays") && !within.fits("a::relay") && !within.fits(""));
    }
}
