//! What each side hands over at the pairing, besides its fingerprint: the name of its share, and
//! where its peer can be reached. As JSON, so that later versions can add to it.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::exit::{Exit, Failure};
use crate::limits::SHARE_NAME_LEN_MAX;
use crate::screen::clean;

/// The format that this version writes. A higher one is read as far as it is understood.
const FORMAT: u32 = 1;

/// One side's card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Card {
    format: u32,
    /// The name of the shared folder; `None` if single files are shared.
    name: Option<String>,
    /// How many entries are shared now.
    pub(crate) entry_count: usize,
    /// Whether the relay that the code names stays: then both find each other there later, too.
    #[serde(default)]
    pub(crate) relay_stays: bool,
    /// Where the peer can be reached, best first.
    pub(crate) addresses: Vec<SocketAddr>,
}

impl Card {
    pub(crate) fn new(name: Option<String>, entry_count: usize, addresses: &[SocketAddr]) -> Self {
        Self {
            format: FORMAT,
            name,
            entry_count,
            relay_stays: false,
            addresses: addresses.to_vec(),
        }
    }

    /// The card as it is handed over.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, Failure> {
        serde_json::to_vec(self).map_err(|error| Failure::new(Exit::LocalDisk, error))
    }

    /// Reads the card of the other side.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Failure> {
        let hint = "the other side's tandem introduced itself in a way that this one does not understand\n\
                    hint: use the same version on both sides";
        serde_json::from_slice(bytes).map_err(|_| Failure::new(Exit::Refused, hint))
    }

    /// The name of the shared folder, if it can be the name of a folder here. The other side
    /// chooses it, so it is not hidden and steers no terminal: programs read what is in the hidden
    /// folders of a home.
    pub(crate) fn folder_name(&self) -> Option<&str> {
        let name = self.name.as_deref()?;
        let parsed = tandem_core::catalog::SharePath::parse(name).ok()?;
        let is_one = !name.contains('/') && name.len() <= SHARE_NAME_LEN_MAX && parsed.as_str() == name;
        let is_plain = !name.starts_with('.') && clean(name) == name;
        (is_one && is_plain).then_some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> Card {
        Card::new(Some(name.to_owned()), 0, &[])
    }

    #[test]
    fn a_card_is_read_back_even_if_a_later_version_adds_to_it() {
        let card = Card::new(Some("photos".into()), 3, &["192.0.2.1:1".parse().unwrap()]);
        assert_eq!(Card::read(&card.to_bytes().unwrap()).unwrap(), card);
        let later = br#"{"format":2,"name":"photos","entry_count":3,"addresses":["192.0.2.1:1"],"more":[1]}"#;
        assert_eq!(Card::read(later).unwrap().entry_count, 3);
        assert!(Card::read(b"\xff").is_err());
    }

    #[test]
    fn only_one_plain_name_becomes_a_folder_here() {
        assert_eq!(named("photos").folder_name(), Some("photos"));
        let long = "x".repeat(256);
        for name in ["", ".", "..", "a/b", "/etc", "a\0b", ".ssh", "a\u{1b}[2J", &long] {
            assert_eq!(named(name).folder_name(), None, "{name}");
        }
    }
}
