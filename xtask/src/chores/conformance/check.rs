//! The checks, as data: what each needs, the program that it runs, and what its output means.
//!
//! To add one, write such a value in a file of its own and name it in [`CHECKS`].

use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use tokio::process::Command;

use super::{fsx, pjdfstest};
use cargo_universe::select::filter::Subject;

/// The name under which the checks are reported.
pub(super) const SUITE: &str = "xtask::conformance";

/// All of them, in the order in which they run: the quick ones first.
const CHECKS: [&Check; 3] = [&fsx::FIXED, &fsx::RANDOM, &pjdfstest::CHECK];

/// A program that judges a file system by using a directory of it.
#[derive(Debug)]
pub(super) struct Check {
    pub(super) name: &'static str,
    /// In one line, for `--list`.
    pub(super) about: &'static str,
    /// The capabilities without which it is skipped; its program is one of them.
    pub(super) needs: &'static [&'static str],
    /// Longer it may not take.
    pub(super) limit: Duration,
    /// What to run.
    pub(super) command: fn(&Setting<'_>) -> std::io::Result<Command>,
    /// What it means, once the program has ended by itself. Pure.
    pub(super) judge: fn(&Setting<'_>, &Said) -> Verdict,
}

/// Where a check takes place.
#[derive(Debug)]
pub(super) struct Setting<'a> {
    pub(super) ground: Ground,
    /// On the file system under test; empty.
    pub(super) directory: &'a Path,
    /// On another one; for what the check itself has to write.
    pub(super) scratch: &'a Path,
    /// Where installed tools lie.
    pub(super) tools: &'a Path,
    /// For what is random.
    pub(super) seed: u64,
}

/// What the program of a check said, as text that is safe to show.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) status: ExitStatus,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

/// What a check found.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Why it failed, in one line, if it did.
    pub(super) failure: Option<String>,
    /// What is worth showing in either case.
    pub(super) lines: Vec<String>,
}

/// The kind of file system that a directory lies on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ground {
    /// What TMPDIR lies on. It must pass everything, or the check is wrong.
    Plain,
    /// A mount whose reads and writes all go through the peer.
    Served,
    /// A mount where the kernel reads and writes complete files by itself.
    Passthrough,
}

/// Where to check.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum On {
    /// On a mount, with passthrough and without
    #[default]
    Mount,
    /// On a plain directory
    Plain,
}

/// A check on a ground.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trial {
    pub(super) check: &'static Check,
    pub(super) ground: Ground,
}

/// Every check on every ground that is meant.
pub(super) fn trials(on: On) -> Vec<Trial> {
    let grounds: &[Ground] = match on {
        On::Mount => &[Ground::Served, Ground::Passthrough],
        On::Plain => &[Ground::Plain],
    };
    let trials = CHECKS
        .iter()
        .flat_map(|&check| grounds.iter().map(move |&ground| Trial { check, ground }));
    trials.collect()
}

impl Ground {
    /// As it stands in the id of a trial.
    pub(super) fn name(self) -> &'static str {
        match self {
            Ground::Plain => "plain",
            Ground::Served => "served",
            Ground::Passthrough => "passthrough",
        }
    }

    /// The capabilities without which it cannot be had. Only root in the initial user namespace may
    /// use passthrough.
    pub(super) fn needs(self) -> &'static [&'static str] {
        match self {
            Ground::Plain => &[],
            Ground::Served => &["fuse"],
            Ground::Passthrough => &["fuse", "root"],
        }
    }
}

/// What a filter sees of the trial with this name.
pub(super) fn subject(name: &str) -> Subject<'_> {
    let (package, binary) = SUITE.split_once("::").unwrap_or(("", SUITE));
    Subject {
        package,
        binary,
        name,
        needs: Vec::new(),
    }
}

impl Trial {
    /// `fsx::served`.
    pub(super) fn name(&self) -> String {
        format!("{}::{}", self.check.name, self.ground.name())
    }

    /// `xtask::conformance$fsx::served`.
    pub(super) fn id(&self) -> String {
        format!("{SUITE}${}", self.name())
    }

    /// Whether it acts as other users, too, whom the kernel keeps out of a mount unless they are
    /// let in.
    pub(super) fn changes_users(&self) -> bool {
        self.check.needs.contains(&"root")
    }

    /// The capabilities that it needs, in the order in which their absence is told.
    pub(super) fn needs(&self) -> impl Iterator<Item = &'static str> {
        self.check.needs.iter().chain(self.ground.needs()).copied()
    }

    /// For `--list`.
    pub(super) fn line(&self) -> String {
        let needs: Vec<&str> = self.needs().collect();
        format!(
            "{:<24} {}; needs {}",
            self.name(),
            self.check.about,
            needs.join(", ")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cargo_universe::machine::capability;
    use cargo_universe::workspace::metadata::Workspace;

    #[test]
    fn every_check_needs_only_what_is_probed() {
        let config = Workspace::load(None).unwrap().config;
        for trial in [On::Mount, On::Plain].into_iter().flat_map(trials) {
            for need in trial.needs() {
                assert!(capability::names(&config).any(|name| name == need), "{need}");
            }
        }
    }

    #[test]
    fn ids_are_unique() {
        let mut ids: Vec<String> = trials(On::Mount).iter().map(Trial::id).collect();
        let count = ids.len();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), count);
    }
}
