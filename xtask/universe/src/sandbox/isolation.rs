//! How far the tests are kept apart from everything else: what a person wants, and what this
//! machine gives.

use serde::{Deserialize, Serialize};

/// What a person wants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Isolation {
    /// The box where the kernel allows it, otherwise like `process`
    #[default]
    Auto,
    /// The box only: exit code 96 where the kernel refuses it
    Box,
    /// No box: the runner owns each test's processes; ports and mounts are those of the machine
    Process,
}

/// What this machine gives. The order is that of strength.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Level {
    /// A test is a group of processes; who leaves it is not always found.
    Group = 1,
    /// A supervisor owns the whole tree of processes that a test starts.
    Tree = 2,
    /// The same, in namespaces with a network, mounts, processes and files of their own.
    Box = 3,
}

impl Level {
    /// One word for reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Level::Group => "group",
            Level::Tree => "tree",
            Level::Box => "box",
        }
    }

    /// Understands [`Level::name`].
    #[cfg(target_os = "linux")]
    pub(crate) fn parse(name: &str) -> Option<Level> {
        [Level::Group, Level::Tree, Level::Box]
            .into_iter()
            .find(|level| level.name() == name)
    }
}
