//! A file system without room: how much is free, and who holds how much of it.
//!
//! All temporary directories of a run lie on one file system, so a test that fills it makes others fail. Only the data and
//! the words; the supervisor of a test that has failed looks.

use serde::{Deserialize, Serialize};

/// So many of those that hold most are named.
const NAMED_MAX: usize = 5;

/// What a full file system looked like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shortage {
    /// Bytes that can still be written.
    pub(crate) free_len: u64,
    /// Bytes that there are.
    pub(crate) len: u64,
    /// Bytes that each temporary directory holds, by its name, most first; empty where it took too long to look.
    pub(crate) held: Vec<(String, u64)>,
}

impl Shortage {
    /// In one line, where `whose` says whose directory has that name.
    pub(crate) fn words(&self, whose: impl Fn(&str) -> String) -> String {
        let held = self.held.iter().filter(|(_, len)| *len > 0);
        let named = held
            .clone()
            .take(NAMED_MAX)
            .map(|(name, len)| format!("{} holds {}", whose(name), size(*len)));
        let rest = held.skip(NAMED_MAX);
        let more = rest
            .clone()
            .next()
            .map(|_| format!("others hold {}", size(rest.map(|(_, len)| len).sum())));
        let holders: Vec<String> = named.chain(more).collect();
        let holders = match holders.is_empty() {
            true => "who holds the rest was not found".to_owned(),
            false => holders.join(", "),
        };
        format!(
            "no room: of {} for temporary directories {} are free; {holders}",
            size(self.len),
            size(self.free_len)
        )
    }
}

fn size(len: u64) -> String {
    format!("{:.1} MiB", len as f64 / f64::from(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_hold_most_are_named_and_the_others_summed_up() {
        let len = |mib: u64| mib << 20;
        let held = [9, 8, 7, 6, 5, 4, 3, 0].map(|mib| (format!("t{mib}"), len(mib)));
        let shortage = Shortage {
            free_len: 1 << 19,
            len: len(50),
            held: held.to_vec(),
        };
        assert_eq!(
            shortage.words(|name| format!("p::{name}")),
            "no room: of 50.0 MiB for temporary directories 0.5 MiB are free; p::t9 holds 9.0 MiB, p::t8 holds 8.0 MiB, \
             p::t7 holds 7.0 MiB, p::t6 holds 6.0 MiB, p::t5 holds 5.0 MiB, others hold 7.0 MiB"
        );
        let held = Vec::new();
        let unknown = Shortage { held, ..shortage }.words(str::to_owned);
        assert!(
            unknown.ends_with("are free; who holds the rest was not found"),
            "{unknown}"
        );
    }
}
