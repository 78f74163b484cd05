//! Crockford's base32: texts that people read to each other and type.
//!
//! Digits and letters without I, L, O and U, five bits each. Reading forgives case, spaces, dashes,
//! and the usual mix-ups `O`/`0` and `I`/`L`/`1`. Source: <https://www.crockford.com/base32.html>.

/// The symbols, by value.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Bits of a symbol.
const SYMBOL_BITS: usize = 5;

/// Why a text does not have the expected symbols.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// It is empty, or has only separators.
    Empty,
    /// It has a character that is no symbol.
    BadCharacter {
        character: char,
        /// Which character of the text it is, counted from 1.
        position: usize,
    },
    /// It has too few or too many symbols.
    WrongLength {
        /// How many symbols there are, separators not counted.
        found: usize,
    },
}

/// The values of all symbols of `text`, in order, without separators.
pub(crate) fn read<const COUNT: usize>(text: &str) -> Result<[u8; COUNT], Unreadable> {
    let mut values = [0; COUNT];
    let mut found = 0;
    for (index, character) in text.chars().enumerate() {
        if is_separator(character) {
            continue;
        }
        let value = value_of(character).ok_or(Unreadable::BadCharacter {
            character,
            position: index + 1,
        })?;
        if let Some(slot) = values.get_mut(found) {
            *slot = value;
        }
        found += 1;
    }
    match found {
        0 => Err(Unreadable::Empty),
        found if found == COUNT => Ok(values),
        found => Err(Unreadable::WrongLength { found }),
    }
}

/// The symbol with this value; bits beyond the lowest five are ignored.
pub(crate) fn symbol_of(value: u8) -> char {
    char::from(ALPHABET[usize::from(value & 31)])
}

/// The values of the symbols of `bytes`, most significant bits first. Bits that fill no symbol are
/// left out.
pub(crate) fn values_of(bytes: &[u8]) -> impl Iterator<Item = u8> {
    let bit = |index: usize| (bytes[index / 8] >> (7 - index % 8)) & 1;
    let value =
        move |first: usize| (first..first + SYMBOL_BITS).fold(0, |value, index| value << 1 | bit(index));
    (0..bytes.len() * 8 / SYMBOL_BITS).map(move |index| value(index * SYMBOL_BITS))
}

/// The symbols of `bytes`, as [`values_of`].
pub(crate) fn symbols_of(bytes: &[u8]) -> impl Iterator<Item = char> {
    values_of(bytes).map(symbol_of)
}

/// The bytes of which `values` are the symbols. Bits that the values do not fill are zero.
pub(crate) fn bytes_of<const LEN: usize>(values: &[u8]) -> [u8; LEN] {
    let bit = |index: usize| {
        let value = values.get(index / SYMBOL_BITS).copied().unwrap_or(0);
        (value >> (SYMBOL_BITS - 1 - index % SYMBOL_BITS)) & 1
    };
    std::array::from_fn(|byte| (byte * 8..byte * 8 + 8).fold(0, |value, index| value << 1 | bit(index)))
}

/// Whitespace of any kind, hyphens, and the dashes that word processors make of them.
fn is_separator(character: char) -> bool {
    character.is_whitespace() || matches!(character, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}')
}

fn value_of(character: char) -> Option<u8> {
    let symbol = match character.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    };
    ALPHABET
        .iter()
        .zip(0..)
        .find_map(|(known, value)| (char::from(*known) == symbol).then_some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_do_not_fill_their_last_symbol_lose_only_their_last_bits() {
        let bytes = [0xff; 12];
        let values: Vec<_> = values_of(&bytes).collect();
        assert_eq!(values.len(), 19);
        assert_eq!(bytes_of::<12>(&values)[..11], bytes[..11]);
        assert_eq!(bytes_of::<12>(&values)[11], 0xfe);
    }
}
