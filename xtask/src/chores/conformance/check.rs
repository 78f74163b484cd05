//! The checks, as data: what each needs, the program that it runs, and the meaning of its output.
//!
//! To add one, write such a value in its own file and add it to [`CHECKS`].

use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use tokio::process::Command;

use super::{fsx, pjdfstest};
use cargo_universe::select::filter::Subject;

/// The name of the checks in reports.
pub(super) const SUITE: &str = "xtask::conformance";

/// All checks, in the order in which they run: the quick ones first.
const CHECKS: [&Check; 3] = [&fsx::FIXED, &fsx::RANDOM, &pjdfstest::CHECK];

/// A program that tests a file system by using a directory of it.
#[derive(Debug)]
pub(super) struct Check {
    pub(super) name: &'static str,
    /// In one line, for `--list`.
    pub(super) about: &'static str,
    /// The capabilities without which it is skipped, including its program.
    pub(super) needs: &'static [&'static str],
    /// Its time limit.
    pub(super) limit: Duration,
    /// What to run.
    pub(super) command: fn(&Setting<'_>) -> std::io::Result<Command>,
    /// Judges the output, once the program has exited by itself. Pure.
    pub(super) judge: fn(&Setting<'_>, &ProgramOutput) -> Verdict,
}

/// The directories and the seed of a check.
#[derive(Debug)]
pub(super) struct Setting<'a> {
    pub(super) ground: FileSystemKind,
    /// On the file system under test; empty.
    pub(super) directory: &'a Path,
    /// On another file system; for the check's own output.
    pub(super) scratch: &'a Path,
    /// The directory of installed tools.
    pub(super) tools: &'a Path,
    /// For random operations.
    pub(super) seed: u64,
}

/// The output of a check's program, as text that is safe to show.
#[derive(Debug)]
pub(super) struct ProgramOutput {
    pub(super) status: ExitStatus,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

/// The result of a check.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Why it failed, in one line, if it did.
    pub(super) failure: Option<String>,
    /// Lines that are worth showing in any case.
    pub(super) lines: Vec<String>,
}

/// The kind of file system of a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileSystemKind {
    /// The one of TMPDIR. It must pass everything, or the check is wrong.
    Plain,
    /// A mount whose reads and writes all go through the peer.
    Served,
    /// A mount where the kernel itself reads and writes complete files.
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

/// A check on one kind of file system.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trial {
    pub(super) check: &'static Check,
    pub(super) ground: FileSystemKind,
}

/// Every check on every selected kind of file system.
pub(super) fn trials(on: On) -> Vec<Trial> {
    let grounds: &[FileSystemKind] = match on {
        On::Mount => &[FileSystemKind::Served, FileSystemKind::Passthrough],
        On::Plain => &[FileSystemKind::Plain],
    };
    let trials = CHECKS
        .iter()
        .flat_map(|&check| grounds.iter().map(move |&ground| Trial { check, ground }));
    trials.collect()
}

impl FileSystemKind {
    /// Its name in the id of a trial.
    pub(super) fn name(self) -> &'static str {
        match self {
            FileSystemKind::Plain => "plain",
            FileSystemKind::Served => "served",
            FileSystemKind::Passthrough => "passthrough",
        }
    }

    /// The capabilities that it needs. Only root in the initial user namespace may use passthrough.
    pub(super) fn needs(self) -> &'static [&'static str] {
        match self {
            FileSystemKind::Plain => &[],
            FileSystemKind::Served => &["fuse"],
            FileSystemKind::Passthrough => &["fuse", "root"],
        }
    }
}

/// The trial with this name, as a filter sees it.
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

    /// Whether it also acts as other users. The kernel keeps them out of a mount unless the mount
    /// allows them.
    pub(super) fn changes_users(&self) -> bool {
        self.check.needs.contains(&"root")
    }

    /// The capabilities that it needs; the first missing one is reported.
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
    fn every_check_needs_only_known_capabilities() {
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
