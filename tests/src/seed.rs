//! The seed of a universe, and the random payloads derived from it, which differ per file.
//!
//! One number replays the payloads of a test: it is printed when the test fails and can be set with
//! `TANDEM_TEST_SEED`. Values that must always differ between runs (ports, keys) are not derived
//! from it.

use std::fmt;

/// The seed of every universe of the process, as a decimal number or a hexadecimal one with `0x`.
pub const SEED_VARIABLE: &str = "TANDEM_TEST_SEED";

/// What all seeded values of one universe are derived from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seed(u64);

impl Seed {
    /// The seed from the environment, or a fresh one from the operating system.
    ///
    /// # Panics
    /// If `TANDEM_TEST_SEED` is not a number: a replay must not silently use another seed.
    pub fn choose() -> Seed {
        match std::env::var(SEED_VARIABLE) {
            Ok(text) => Seed::parse(&text).unwrap_or_else(|| {
                panic!("`{SEED_VARIABLE}` is `{text}`\nhint: give a number such as 0x1f2e")
            }),
            Err(_) => Seed(os_random()),
        }
    }

    /// Reads a seed as it is printed, or a decimal number.
    pub fn parse(text: &str) -> Option<Seed> {
        let text = text.trim();
        match text.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).ok().map(Seed),
            None => text.parse().ok().map(Seed),
        }
    }

    /// The number itself, for generators that take one.
    pub fn number(self) -> u64 {
        self.0
    }

    /// `len` bytes that depend on the seed and on `name`, so that no two files are equal by
    /// accident.
    pub fn payload(self, name: &str, len: usize) -> Vec<u8> {
        let mut hasher = blake3::Hasher::new_derive_key("tandem-tests 2026 payload");
        hasher.update(&self.0.to_le_bytes());
        hasher.update(name.as_bytes());
        let mut payload = vec![0; len];
        hasher.finalize_xof().fill(&mut payload);
        payload
    }
}

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// A number from the operating system's generator, for what must differ between runs.
pub(crate) fn os_random() -> u64 {
    let mut bytes = [0; 8];
    match getrandom::fill(&mut bytes) {
        Ok(()) => u64::from_le_bytes(bytes),
        Err(error) => panic!("the operating system gives no random numbers: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_payload() {
        assert_eq!(Seed(7).payload("a.bin", 100), Seed(7).payload("a.bin", 100));
    }

    #[test]
    fn payloads_differ_by_name_and_by_seed() {
        assert_ne!(Seed(7).payload("a.bin", 100), Seed(7).payload("b.bin", 100));
        assert_ne!(Seed(7).payload("a.bin", 100), Seed(8).payload("a.bin", 100));
    }

    #[test]
    fn a_printed_seed_can_be_read_back() {
        let seed = Seed(os_random());
        assert_eq!(Seed::parse(&seed.to_string()), Some(seed));
        assert_eq!(Seed::parse("12"), Some(Seed(12)));
        assert_eq!(Seed::parse("twelve"), None);
    }
}
