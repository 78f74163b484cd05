//! The files of a failed test that are kept for a person to look at.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The file, among those that are kept of a test, that says what it was doing when its time was up.
pub(crate) const FORENSICS: &str = "forensics.txt";

/// The files of a failed test, for a person to look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeptFiles {
    pub(crate) path: PathBuf,
    /// Whether something is missing there because it was too much.
    pub(crate) is_cut: bool,
}

impl KeptFiles {
    /// Where the test has left them.
    pub(crate) fn whole(path: &Path) -> KeptFiles {
        KeptFiles {
            path: path.to_owned(),
            is_cut: false,
        }
    }
}

impl fmt::Display for KeptFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cut = if self.is_cut {
            " (not all: it was too much)"
        } else {
            ""
        };
        write!(f, "{}{cut}", self.path.display())
    }
}
