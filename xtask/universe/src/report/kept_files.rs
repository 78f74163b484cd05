//! The files of a failed test that are kept for a person to examine.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The kept file that records what a test was doing when it timed out.
pub(crate) const FORENSICS: &str = "forensics.txt";

/// The kept files of a failed test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeptFiles {
    pub(crate) path: PathBuf,
    /// Whether some files are missing there because of the limits.
    pub(crate) is_cut: bool,
}

impl KeptFiles {
    /// The directory that contains them.
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
            " (incomplete: too large)"
        } else {
            ""
        };
        write!(f, "{}{cut}", self.path.display())
    }
}
