//! A file system without free space or inodes: how much is free, and the usage of each directory.
//!
//! All temporary directories of a run are on one file system, so a test that fills it makes others
//! fail. Contains only the data and the text; the supervisor of a failed test does the check.

use serde::{Deserialize, Serialize};

use crate::base::limits::HOLDERS_NAMED_MAX;

/// The state of a full file system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shortage {
    pub(crate) of: Scarce,
    /// What is still free.
    pub(crate) free: u64,
    /// The total.
    pub(crate) total: u64,
    /// The usage of each temporary directory, by its name, largest first; empty if measuring took
    /// too long.
    pub(crate) held: Vec<(String, u64)>,
}

/// The resource that a file system lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Scarce {
    /// Space for contents.
    Bytes,
    /// Inodes, which limit the number of files and directories.
    Files,
}

impl Shortage {
    /// In one line; `whose` gives the owner of the directory with a name.
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
            true => "the usage of each directory could not be measured".to_owned(),
            false => holders.join(", "),
        };
        format!(
            "no room: {} of {} for temporary directories are free; {holders}",
            self.of.amount(self.free),
            self.of.amount(self.total)
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
    fn the_largest_directories_are_named_and_the_others_summed() {
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
            "no room: 0.5 MiB of 50.0 MiB for temporary directories are free; p::t9 holds 9.0 MiB, p::t8 holds 8.0 MiB, \
             p::t7 holds 7.0 MiB, p::t6 holds 6.0 MiB, p::t5 holds 5.0 MiB, others hold 7.0 MiB"
        );
        let held = Vec::new();
        let unknown = Shortage { held, ..shortage }.words(str::to_owned);
        assert!(
            unknown.ends_with("are free; the usage of each directory could not be measured"),
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
            "no room: 0 files of 50 files for temporary directories are free; t1 holds 47 files"
        );
    }
}
