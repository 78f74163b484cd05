//! The reason of a failure, as one word. CI systems group failures by it, and it decides exit
//! codes, reruns and the history.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The kind of a failure. Every file contains its name. A name that this version does not know is
/// kept unchanged.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum FailureKind {
    /// The test panicked.
    Panic,
    /// The test returned an error.
    Error,
    /// A doc test cannot be compiled, or can be although it should not.
    Compile,
    /// Its process exited with another code than libtest's.
    Exit,
    /// Its process died of this signal.
    Signal(String),
    /// It reached its own time limit.
    Timeout,
    /// The runner ended it when the run reached its time limit.
    RunTimeout,
    /// The runner ended it when the run was interrupted.
    Interrupted,
    /// Its process could not be started.
    Exec,
    /// Its supervisor was killed.
    Lost,
    /// It had too many processes.
    Processes,
    /// It passed and left something behind.
    Leak,
    /// It passed only after an earlier attempt had failed.
    Flaky,
    /// A required capability of this name is missing.
    Capability(String),
    /// Too many tests were skipped.
    Skips,
    /// The build failed.
    Build,
    /// A test binary did not list its tests.
    List,
    /// No test was selected.
    NoTests,
    /// The command line is invalid.
    Usage,
    /// A filter is invalid.
    Filter,
    /// The metadata of the workspace is invalid.
    Config,
    /// The run could not be set up.
    Setup,
    /// A setup script failed that the test needs.
    Script,
    /// A report could not be written.
    Report,
    /// A measurement failed.
    Bench,
    /// A kind that another runner, or another version of this one, uses.
    Other(String),
}

/// The kinds that consist of one fixed word, as they are written.
const NAMES: [(FailureKind, &str); 23] = [
    (FailureKind::Panic, "panic"),
    (FailureKind::Error, "error"),
    (FailureKind::Compile, "compile"),
    (FailureKind::Exit, "exit"),
    (FailureKind::Timeout, "timeout"),
    (FailureKind::RunTimeout, "run-timeout"),
    (FailureKind::Interrupted, "interrupted"),
    (FailureKind::Exec, "exec"),
    (FailureKind::Lost, "lost"),
    (FailureKind::Processes, "processes"),
    (FailureKind::Leak, "leak"),
    (FailureKind::Flaky, "flaky"),
    (FailureKind::Skips, "skips"),
    (FailureKind::Build, "build"),
    (FailureKind::List, "list"),
    (FailureKind::NoTests, "no-tests"),
    (FailureKind::Usage, "usage"),
    (FailureKind::Filter, "filter"),
    (FailureKind::Config, "config"),
    (FailureKind::Setup, "setup"),
    (FailureKind::Script, "script"),
    (FailureKind::Report, "report"),
    (FailureKind::Bench, "bench"),
];

/// The prefixes of the kinds that contain a name.
const SIGNAL: &str = "signal:";
const CAPABILITY: &str = "capability:";

impl FailureKind {
    /// Whether the test ended because the run ended: by a signal, or at the run's time limit.
    pub(crate) fn is_of_the_run(&self) -> bool {
        matches!(self, FailureKind::Interrupted | FailureKind::RunTimeout)
    }

    /// Whether it is the test's own fault, and not something that the runner could not do.
    pub(crate) fn is_of_the_test(&self) -> bool {
        use FailureKind::{Compile, Error, Exit, Flaky, Leak, Panic, Processes, Signal, Timeout};
        matches!(
            self,
            Panic | Error | Compile | Exit | Signal(_) | Timeout | Processes | Leak | Flaky
        )
    }

    /// As it is written.
    pub(crate) fn name(&self) -> Cow<'_, str> {
        match self {
            FailureKind::Signal(signal) => format!("{SIGNAL}{signal}").into(),
            FailureKind::Capability(name) => format!("{CAPABILITY}{name}").into(),
            FailureKind::Other(name) => name.into(),
            kind => {
                let mut names = NAMES.iter();
                let found = names.find(|(named, _)| named == kind);
                found.map_or("", |(_, name)| name).into()
            }
        }
    }
}

impl From<&str> for FailureKind {
    fn from(name: &str) -> FailureKind {
        let known = NAMES.iter().find(|(_, known)| *known == name);
        match (name.strip_prefix(SIGNAL), name.strip_prefix(CAPABILITY), known) {
            (Some(signal), _, _) => FailureKind::Signal(signal.to_owned()),
            (_, Some(capability), _) => FailureKind::Capability(capability.to_owned()),
            (_, _, Some((kind, _))) => kind.clone(),
            (None, None, None) => FailureKind::Other(name.to_owned()),
        }
    }
}

impl From<String> for FailureKind {
    fn from(name: String) -> FailureKind {
        FailureKind::from(name.as_str())
    }
}

impl From<FailureKind> for String {
    fn from(kind: FailureKind) -> String {
        kind.name().into_owned()
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_read_as_it_is_written() {
        let named = [
            FailureKind::Signal("SIGABRT".to_owned()),
            FailureKind::Capability("fuse".to_owned()),
            FailureKind::Other("of-tomorrow".to_owned()),
        ];
        let all = NAMES.iter().map(|(kind, _)| kind).chain(&named);
        for kind in all {
            assert_eq!(&FailureKind::from(kind.name().as_ref()), kind);
            assert!(!kind.name().is_empty());
        }
    }
}
