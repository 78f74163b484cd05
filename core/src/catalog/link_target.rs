//! Where a symbolic link leads: checked text, and whether it leads out of a folder.
//!
//! This peer never follows a link of the share: the program that reads the link interprets its
//! text. Before a link is made on a disk, or read through a mount, the caller asks here how far up
//! it leads.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};

use crate::limits::LINK_TARGET_LEN_MAX;
use crate::printable::Printable;

/// The text of a symbolic link: 1 to 4095 bytes without NUL. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct LinkTarget(Arc<str>);

impl LinkTarget {
    /// Checks `text` and makes it the target of a link.
    pub fn new(text: &str) -> Result<Self, LinkFault> {
        match text.len() {
            0 => Err(LinkFault::Empty),
            len if len > LINK_TARGET_LEN_MAX => Err(LinkFault::TooLong { len }),
            _ if text.contains('\0') => Err(LinkFault::Nul),
            _ => Ok(Self(text.into())),
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// How many folders the target leads up, from the link's own folder, before it leads down.
    /// `None` if the text alone does not tell: it is absolute, or it leads up again after a name,
    /// which could be another link.
    #[must_use]
    pub fn leads_up(&self) -> Option<usize> {
        if self.0.starts_with('/') {
            return None;
        }
        let up = self.names().take_while(|name| *name == "..").count();
        self.names().skip(up).all(|name| name != "..").then_some(up)
    }

    /// Its names, `..` included, without those that change nothing (`.` and empty ones).
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').filter(|name| !matches!(*name, "" | "."))
    }
}

/// Escaped, so that it is safe to print; [`LinkTarget::as_str`] is the text itself.
impl fmt::Display for LinkTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Printable(&self.0).fmt(f)
    }
}

impl TryFrom<String> for LinkTarget {
    type Error = LinkFault;

    fn try_from(text: String) -> Result<Self, LinkFault> {
        Self::new(&text)
    }
}

impl Serialize for LinkTarget {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// What is wrong with the target of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkFault {
    /// It is empty.
    #[error("the target of the link is empty\nhint: name what the link leads to")]
    Empty,
    /// It has too many bytes.
    #[error(
        "the target of the link has {len} bytes, at most {LINK_TARGET_LEN_MAX} fit\nhint: use a shorter one"
    )]
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// A NUL character.
    #[error("the target of the link has a NUL character in it\nhint: make the link anew without it")]
    Nul,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn up(text: &str) -> Option<usize> {
        LinkTarget::new(text).unwrap().leads_up()
    }

    #[test]
    fn a_target_is_allowed_up_to_its_limit_and_not_beyond() {
        let long = "x".repeat(LINK_TARGET_LEN_MAX);
        assert_eq!(LinkTarget::new(&long).unwrap().as_str(), long);
        let len = LINK_TARGET_LEN_MAX + 1;
        assert_eq!(LinkTarget::new(&"x".repeat(len)), Err(LinkFault::TooLong { len }));
        assert_eq!(LinkTarget::new(""), Err(LinkFault::Empty));
        assert_eq!(LinkTarget::new("a\0b"), Err(LinkFault::Nul));
    }

    #[test]
    fn deserialising_makes_the_same_checks() {
        let read = |text: &str| postcard::from_bytes::<LinkTarget>(&postcard::to_stdvec(text).unwrap());
        assert!(read("../a").is_ok());
        assert!(read("").is_err() && read("a\0b").is_err());
        assert!(read(&"x".repeat(LINK_TARGET_LEN_MAX + 1)).is_err());
    }

    #[test]
    fn how_far_up_a_target_leads_is_known_only_if_no_other_link_can_change_it() {
        for (text, expected) in [
            ("a", 0),
            ("./a/b", 0),
            ("..", 1),
            (".././../a//b/", 2),
            ("a..", 0),
        ] {
            assert_eq!(up(text), Some(expected), "{text}");
        }
        for text in ["/", "/etc/passwd", "a/..", "../a/../b"] {
            assert_eq!(up(text), None, "{text}");
        }
    }

    #[test]
    fn a_printed_target_steers_no_terminal() {
        let target = LinkTarget::new("a\u{1b}[2J\u{202e}").unwrap();
        assert_eq!(target.to_string(), "a\\u{1b}[2J\\u{202e}");
    }
}
