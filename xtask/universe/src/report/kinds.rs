//! The kinds of skips and leaks, as one word each. Those of failures are in `base::failure_kind`.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a test did not run.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum SkipKind {
    /// A capability of this name is missing.
    Capability(String),
    /// It is ignored for another reason.
    Ignored,
    /// The run ended before it.
    Interrupted,
    /// A kind that another version of the runner uses.
    Other(String),
}

/// What a test left behind.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum LeakKind {
    /// A process.
    Process,
    /// A socket on which a process listens.
    Socket,
    /// A mount.
    Mount,
    /// A file in its temporary directory, or a part of that directory that could not be removed.
    File,
    /// A unix socket in its temporary directory.
    UnixSocket,
    /// Shared memory.
    SharedMemory,
    /// A process that waited for its own file system, and could not be killed.
    Stuck,
    /// A kind that another version of the runner uses.
    Other(String),
}

const CAPABILITY: &str = "capability:";

impl SkipKind {
    /// As it is written.
    pub(crate) fn name(&self) -> Cow<'_, str> {
        match self {
            SkipKind::Capability(name) => format!("{CAPABILITY}{name}").into(),
            SkipKind::Ignored => "ignored".into(),
            SkipKind::Interrupted => "interrupted".into(),
            SkipKind::Other(name) => name.into(),
        }
    }
}

impl From<String> for SkipKind {
    fn from(name: String) -> SkipKind {
        match (name.strip_prefix(CAPABILITY), name.as_str()) {
            (Some(capability), _) => SkipKind::Capability(capability.to_owned()),
            (None, "ignored") => SkipKind::Ignored,
            (None, "interrupted") => SkipKind::Interrupted,
            (None, _) => SkipKind::Other(name),
        }
    }
}

impl LeakKind {
    /// As it is written.
    pub(crate) fn name(&self) -> &str {
        match self {
            LeakKind::Process => "process",
            LeakKind::Socket => "socket",
            LeakKind::Mount => "mount",
            LeakKind::File => "file",
            LeakKind::UnixSocket => "unix-socket",
            LeakKind::SharedMemory => "shared-memory",
            LeakKind::Stuck => "stuck in its own mount",
            LeakKind::Other(name) => name,
        }
    }
}

impl From<String> for LeakKind {
    fn from(name: String) -> LeakKind {
        match name.as_str() {
            "process" => LeakKind::Process,
            "socket" => LeakKind::Socket,
            "mount" => LeakKind::Mount,
            "file" => LeakKind::File,
            "unix-socket" => LeakKind::UnixSocket,
            "shared-memory" => LeakKind::SharedMemory,
            "stuck in its own mount" => LeakKind::Stuck,
            _ => LeakKind::Other(name),
        }
    }
}

impl From<SkipKind> for String {
    fn from(kind: SkipKind) -> String {
        kind.name().into_owned()
    }
}

impl From<LeakKind> for String {
    fn from(kind: LeakKind) -> String {
        kind.name().to_owned()
    }
}

impl fmt::Display for SkipKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

impl fmt::Display for LeakKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_read_as_it_is_written() {
        let other = || "of-tomorrow".to_owned();
        let skips = [
            SkipKind::Capability("fuse".to_owned()),
            SkipKind::Ignored,
            SkipKind::Interrupted,
            SkipKind::Other(other()),
        ];
        for kind in skips {
            assert_eq!(SkipKind::from(kind.to_string()), kind);
        }
        let leaks = [
            LeakKind::Process,
            LeakKind::Socket,
            LeakKind::Mount,
            LeakKind::File,
            LeakKind::UnixSocket,
            LeakKind::SharedMemory,
            LeakKind::Stuck,
            LeakKind::Other(other()),
        ];
        for kind in leaks {
            assert_eq!(LeakKind::from(kind.to_string()), kind);
        }
    }
}
