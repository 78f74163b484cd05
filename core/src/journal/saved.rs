//! What a journal says, without a peer that uses it.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

use super::FILE;
use super::error::JournalError;
use super::open::{failed, no_link, replay_file};
use crate::catalog::Catalog;
use crate::identity::Fingerprint;

/// What a peer knew when its journal was written last.
#[derive(Debug)]
#[non_exhaustive]
pub struct Saved {
    /// The peer.
    pub owner: Fingerprint,
    /// What it shared with the other one. A copy to look at: changes of it go nowhere.
    pub catalog: Catalog,
    /// The files of this machine that it shared from their places.
    pub shared_files: Vec<PathBuf>,
}

/// Reads what a peer with [`PeerConfig::state`](crate::peer::PeerConfig::state) has saved in the
/// folder `dir`, and changes nothing. The peer may be running. Blocks. `None` if no peer has saved
/// anything there.
///
/// # Errors
/// [`JournalError::Unusable`] for a file that a peer would set aside, and the system's errors.
pub fn read(dir: &Path) -> Result<Option<Saved>, JournalError> {
    let path = dir.join(FILE);
    let file = match no_link(OpenOptions::new().read(true)).open(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(|e| failed("open", &path, e))?,
    };
    let replayed = replay_file(&file).map_err(|e| failed("read", &path, e))?;
    let (owner, replayed, catalog) = replayed.map_err(|flaw| JournalError::Unusable { path, flaw })?;
    let local = replayed.local.into_iter();
    let shared = local.filter(|(_, file)| file.own.is_some());
    Ok(Some(Saved {
        owner,
        catalog,
        shared_files: shared.map(|(path, _)| path).collect(),
    }))
}
