//! Hexadecimal text for bytes that leave this machine as text: tokens, sealed records, the identity
//! file.
//!
//! Lower case only, in both directions: each byte string has exactly one text, so no two texts mean
//! the same bytes.

/// Appends `bytes` to `text`, two digits each.
pub(crate) fn push(text: &mut String, bytes: &[u8]) {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    text.extend(digits.filter_map(|value| char::from_digit(u32::from(value), 16)));
}

/// `bytes` as text, two digits each.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    push(&mut text, bytes);
    text
}

/// Fills `bytes` from `text`. `None` unless the text is exactly that number of bytes in lower-case
/// digits.
pub(crate) fn decode_into(text: &str, bytes: &mut [u8]) -> Option<()> {
    if text.len() != 2 * bytes.len() {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = value_of(*high)? << 4 | value_of(*low)?;
    }
    Some(())
}

fn value_of(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_read_back_from_its_text() {
        let bytes: Vec<u8> = (0..=255).collect();
        let mut again = vec![0; 256];
        assert_eq!(decode_into(&encode(&bytes), &mut again), Some(()));
        assert_eq!(again, bytes);
    }

    #[test]
    fn another_length_a_capital_or_a_foreign_character_is_refused() {
        for text in ["", "0", "012", "0A", "0g", "é", "+1", " 1"] {
            assert_eq!(decode_into(text, &mut [0]), None, "{text:?}");
        }
    }
}
