//! What a peer has of the one that used its folder for state before.

use std::path::PathBuf;

use crate::journal::{Ended, Flaw};

/// What a peer with a folder for state began with. See [`crate::peer::PeerConfig::state`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Restored {
    /// Nothing: no peer has used the folder before, or this one has none.
    Nothing,
    /// Everything that the last peer knew when it was closed.
    All,
    /// What the last peer had saved before it was killed. Its last changes may be missing.
    UpToAKill,
    /// Nothing: what was in the folder can't be used, and has another name now. Nobody should take
    /// the empty share for removals.
    SetAside {
        /// Where it is now.
        path: PathBuf,
        /// What is wrong with it.
        flaw: Flaw,
    },
}

impl From<Ended> for Restored {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::New => Self::Nothing,
            Ended::Closed => Self::All,
            Ended::Killed => Self::UpToAKill,
            Ended::SetAside(path, flaw) => Self::SetAside { path, flaw },
        }
    }
}
