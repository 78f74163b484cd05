//! What the network of the box has to do with a failure, as far as it was seen: a server of the
//! machine that refused a connection in the box, and the test's own words about the network
//! outside.
//!
//! Pure; the caller knows what was seen. What was not seen is not said.

use std::net::SocketAddr;

use crate::base::limits::UNREACHED_LINE_LEN_MAX;
use crate::base::text::plain_line;

/// How the line begins, by which it is recognised.
pub(crate) const BEGINNING: &str = "network: ";

/// What the system and the standard library say of an address outside that has no route.
const UNREACHABLE: [&str; 2] = ["Network is unreachable", "failed to lookup address information"];

/// The line for a test that failed in the box. While it ran, connections to `refused` were refused
/// in its network; `listens` says whether a server listens on an address outside.
pub(super) fn words(
    refused: &[SocketAddr],
    output: [&[u8]; 2],
    listens: impl Fn(&SocketAddr) -> bool,
) -> Option<String> {
    let beyond = refused.iter().filter(|address| listens(address));
    let beyond: Vec<String> = beyond.map(ToString::to_string).collect();
    let why = match beyond.as_slice() {
        [] => {
            let line = output.into_iter().find_map(unreachable)?;
            format!("it wrote `{line}`, and the box has only a loopback interface")
        }
        addresses => format!(
            "while it ran, {} refused a connection in the box, and a server listens there outside the box",
            addresses.join(" and ")
        ),
    };
    Some(format!(
        "{BEGINNING}{why}; `network = \"host\"` in an override gives a test the machine's network"
    ))
}

/// The first line that says that the network is unreachable.
fn unreachable(output: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(output);
    let line = text
        .lines()
        .find(|line| UNREACHABLE.iter().any(|words| line.contains(words)))?;
    let line = plain_line(line.trim());
    match line.char_indices().nth(UNREACHED_LINE_LEN_MAX) {
        Some((end, _)) => Some(format!("{}…", line.get(..end)?)),
        None => Some(line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTING: &str = "; `network = \"host\"` in an override gives a test the machine's network";

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn only_an_address_where_a_server_listens_outside_is_named() {
        let refused = addresses(&["127.0.0.1:1", "127.0.0.1:5432", "[::1]:6379"]);
        let line = words(&refused, [b"", b""], |address| address.port() != 1).unwrap();
        let seen = "while it ran, 127.0.0.1:5432 and [::1]:6379 refused a connection in the box, and a server listens there \
                    outside the box";
        assert_eq!(line, format!("{BEGINNING}{seen}{SETTING}"));
        assert_eq!(words(&refused, [b"Connection refused", b""], |_| false), None);
    }

    #[test]
    fn an_unreachable_network_is_named_in_the_tests_own_words() {
        let output = b"noise\n  dial 192.0.2.1:80: Network is unreachable (os error 101)\x1b[2J\n";
        let line = words(&[], [b"", output], |_| true).unwrap();
        let said = "it wrote `dial 192.0.2.1:80: Network is unreachable (os error 101)`, and the box has only a loopback interface";
        assert_eq!(line, format!("{BEGINNING}{said}{SETTING}"));
        assert_eq!(words(&[], [b"unreachable code", b""], |_| true), None);
        let long = format!("{}Network is unreachable", "x".repeat(UNREACHED_LINE_LEN_MAX));
        assert!(
            words(&[], [long.as_bytes(), b""], |_| true)
                .unwrap()
                .contains("xx…`, ")
        );
    }
}
