//! How far the tests are isolated from everything else: what a person requests, and what this
//! machine provides.

use serde::{Deserialize, Serialize};

/// The requested isolation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Isolation {
    /// The box if the kernel allows it, otherwise the same as `process`
    #[default]
    Auto,
    /// The box only: exit code 96 where the kernel refuses it
    Box,
    /// No box: the runner owns each test's processes; ports and mounts are those of the machine
    Process,
}

/// The network of a test in the box. Outside the box there is only that of the machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Network {
    /// One that all such tests of the run share, with a loopback interface only.
    #[default]
    Box,
    /// One of its own, with a loopback interface only.
    Own,
    /// That of the machine.
    Host,
}

impl Network {
    /// As it is written.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Network::Box => "box",
            Network::Own => "own",
            Network::Host => "host",
        }
    }

    /// Parses [`Network::name`].
    #[cfg(target_os = "linux")]
    pub(crate) fn parse(name: &str) -> Option<Network> {
        [Network::Box, Network::Own, Network::Host]
            .into_iter()
            .find(|network| network.name() == name)
    }
}

/// The isolation that this machine provides, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Level {
    /// A test is a process group; a process that leaves the group is not always found.
    Group = 1,
    /// A supervisor owns the whole tree of processes that a test starts.
    Tree = 2,
    /// The same, in namespaces with their own network, mounts, processes and files.
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

    /// Parses [`Level::name`].
    #[cfg(target_os = "linux")]
    pub(crate) fn parse(name: &str) -> Option<Level> {
        [Level::Group, Level::Tree, Level::Box]
            .into_iter()
            .find(|level| level.name() == name)
    }
}
