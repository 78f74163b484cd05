//! A reproducible random order: the same seed gives the same order on every machine.

use std::str::FromStr;

/// The requested order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TestOrder {
    /// The order of the list of tests.
    Listed,
    /// A random order.
    Random,
    /// The order of this seed.
    Seeded(u64),
}

impl FromStr for TestOrder {
    type Err = String;

    fn from_str(text: &str) -> Result<TestOrder, String> {
        match text {
            "true" => Ok(TestOrder::Random),
            "false" => Ok(TestOrder::Listed),
            text => text
                .parse()
                .map(TestOrder::Seeded)
                .map_err(|_| "the value must be a seed (a number from 0), `true` or `false`".to_owned()),
        }
    }
}

impl TestOrder {
    /// The seed to shuffle with; a new one for [`TestOrder::Random`].
    pub(crate) fn seed(self) -> Option<u64> {
        match self {
            TestOrder::Listed => None,
            TestOrder::Random => Some(fresh_seed()),
            TestOrder::Seeded(seed) => Some(seed),
        }
    }
}

/// The SplitMix64 generator (Steele, Lea, Flood 2014): tiny, and good enough for an order.
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

/// Shuffles in place (Fisher and Yates).
pub(crate) fn shuffle<T>(items: &mut [T], seed: u64) {
    let mut random = SplitMix64(seed);
    for end in (1..items.len()).rev() {
        let chosen = random.next() % (end as u64 + 1);
        items.swap(end, usize::try_from(chosen).unwrap_or(end));
    }
}

/// The seed for a later round of a run with this seed; the first round has the seed itself.
pub(crate) fn seed_of_round(seed: u64, round: u32) -> u64 {
    match round {
        0 | 1 => seed,
        round => SplitMix64(seed ^ (u64::from(round) << 32)).next(),
    }
}

/// A new seed, short enough to type.
pub fn fresh_seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one("seed") % 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_order_and_another_seed_another() {
        let order = |seed| {
            let mut items: Vec<u32> = (0..50).collect();
            shuffle(&mut items, seed);
            items
        };
        assert_eq!(order(7), order(7));
        assert_ne!(order(7), order(8));
        let mut sorted = order(7);
        sorted.sort_unstable();
        assert_eq!(sorted, (0..50).collect::<Vec<u32>>());
    }
}
