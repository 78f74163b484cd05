//! Base64 (RFC 4648, section 4, with padding): how bytes that are no text stand in JSON.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Four characters for every three bytes.
pub(super) fn encode(bytes: &[u8]) -> String {
    bytes.chunks(3).flat_map(group).collect()
}

/// The characters of one to three bytes.
fn group(bytes: &[u8]) -> [char; 4] {
    let byte = |index: usize| u32::from(bytes.get(index).copied().unwrap_or(0));
    let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
    let character = |index: usize| match index > bytes.len() {
        true => '=',
        false => char::from(ALPHABET[(bits >> (18 - 6 * index) & 63) as usize]),
    };
    [0, 1, 2, 3].map(character)
}

/// The bytes again; `None` for what no [`encode`] writes.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let groups = text.as_bytes().chunks(4);
    let decoded: Option<Vec<Vec<u8>>> = groups.map(ungroup).collect();
    decoded.map(|groups| groups.concat())
}

fn ungroup(characters: &[u8]) -> Option<Vec<u8>> {
    let text = characters
        .strip_suffix(b"==")
        .or_else(|| characters.strip_suffix(b"="));
    let text = text.unwrap_or(characters);
    if characters.len() != 4 || text.len() < 2 {
        return None;
    }
    let mut bits = 0;
    for character in text {
        let value = ALPHABET.iter().position(|known| known == character)?;
        bits = bits << 6 | u32::try_from(value).ok()?;
    }
    let bytes = (bits << (6 * (4 - text.len()))).to_be_bytes();
    bytes.get(1..text.len()).map(<[u8]>::to_vec)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_rfc_hold() {
        let examples = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ];
        for (plain, encoded) in examples {
            assert_eq!(encode(plain.as_bytes()), encoded);
            assert_eq!(decode(encoded).as_deref(), Some(plain.as_bytes()));
        }
    }

    #[test]
    fn every_byte_comes_back() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(decode(&encode(&all)), Some(all));
    }

    #[test]
    fn what_is_no_base64_is_refused() {
        for text in [
            "Z",
            "Zg",
            "Zg=",
            "====",
            "Z===",
            "Zm9v!",
            "Zm9\u{e4}",
            "Zm9vYg===",
        ] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
