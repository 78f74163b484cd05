//! How far the tests are kept apart from everything else: what a person wants, and what this machine gives.

use serde::{Deserialize, Serialize};

/// What a person wants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Isolation {
    /// The box where the kernel allows it, else what comes next
    #[default]
    Auto,
    /// The box, or nothing: where it cannot be had, the exit code is 96
    Box,
    /// No box: each test's processes are owned, its ports and mounts are the machine's
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
