//! A file system without room for contents or for files: how much is free, and who holds how much
//! of it.
//!
//! All temporary directories of a run lie on one file system, so a test that fills it makes others
//! fail. Only the data and the words; the supervisor of a test that has failed looks.

use serde::{Deserialize, Serialize};

use crate::base::limits::HOLDERS_NAMED_MAX;

/// What a full file system looked like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shortage {
    pub(crate) of: Scarce,
    /// What can still be had of it.
    pub(crate) free: u64,
    /// What there is of it.
    pub(crate) total: u64,
    /// What each temporary directory holds of it, by its name, most first; empty where it took too
    /// long to look.
    pub(crate) held: Vec<(String, u64)>,
}

/// What a file system can run out of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Scarce {
    /// Room for contents.
    Bytes,
    /// Inodes: the number of files and directories is limited, too.
    Files,
}

impl Shortage {
    /// In one line, where `whose` says whose directory has that name.
    pub(crate) fn words(&self, whose: impl Fn(&str) -> String) -> String {
        let held = self.held.iter().filter(|(_, count)| *count > 0);
        let named = held
            .clone()
            .take(HOLDERS_NAMED_MAX)
            .map(|(name, count)| format!("{} holds {}", whose(name), self.of.amount(*count)));
        let rest = held.skip(HOLDERS_NAMED_MAX);
        let more = rest.clone().next().map(|_| {
            format!(
                "others hold {}",
                self.of.amount(rest.map(|(_, count)| count).sum())
            )
        });
        let holders: Vec<String> = named.chain(more).collect();
        let holders = match holders.is_empty() {
            true => "who holds the rest was not found".to_owned(),
            false => holders.join(", "),
        };
        format!(
            "no room: of {} for temporary directories {} are free; {holders}",
            self.of.amount(self.total),
            self.of.amount(self.free)
        )
    }
}

impl Scarce {
    fn amount(self, count: u64) -> String {
        match self {
            Scarce::Bytes => format!("{:.1} MiB", count as f64 / f64::from(1 << 20)),
            Scarce::Files => format!("{count} files"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_hold_most_are_named_and_the_others_summed_up() {
        let len = |mib: u64| mib << 20;
        let held = [9, 8, 7, 6, 5, 4, 3, 0].map(|mib| (format!("t{mib}"), len(mib)));
        let shortage = Shortage {
            of: Scarce::Bytes,
            free: 1 << 19,
            total: len(50),
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
    #[test]
    fn files_are_counted() {
        let shortage = Shortage {
            of: Scarce::Files,
            free: 0,
            total: 50,
            held: vec![("t1".to_owned(), 47)],
        };
        assert_eq!(
            shortage.words(str::to_owned),
            "no room: of 50 files for temporary directories 0 files are free; t1 holds 47 files"
        );
    }
}
