//! Folders that belong to one peer: this user owns them, no other user can write to them, and one
//! peer at a time uses them.
//!
//! Owns how such a folder is made and checked, and its lock.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

#[cfg(unix)]
use crate::ownership::{Others, Shared, refuse_shared};

/// Why a folder can't be a peer's own.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OwnFolderError {
    /// Another peer uses it.
    #[error("`{}` is in use by another peer\nhint: give each peer a folder of its own", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// It is a link.
    #[error(
        "`{}` is a link, so it can't be a folder of a peer's own\nhint: give the path of the folder itself",
        path.display()
    )]
    IsLink {
        /// The link.
        path: PathBuf,
    },
    /// It belongs to another user.
    #[error(
        "`{}` belongs to user {owner}, and this peer runs as user {user}\nhint: give this peer a folder of its own",
        path.display()
    )]
    NotOwn {
        /// The folder.
        path: PathBuf,
        /// The user that it belongs to.
        owner: u32,
        /// The user that this peer runs as.
        user: u32,
    },
    /// Other users can write to it.
    #[error(
        "`{}` has mode {mode:04o}, so other users can write to it\nhint: chmod 700 `{}`",
        path.display(),
        path.display()
    )]
    Exposed {
        /// The folder.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The system refused a step.
    #[error("could not {action} `{}`: {source}", path.display())]
    Io {
        /// The step, as the message names it.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

/// The folder at `path`, without links in its path; created if it does not exist. It must belong to
/// this user, and no other user may be able to write to it.
pub(crate) fn own_folder(path: &Path) -> Result<PathBuf, OwnFolderError> {
    create_folder(path)?;
    let metadata = path
        .symlink_metadata()
        .map_err(|e| failed("read the attributes of", path, e))?;
    if metadata.is_symlink() {
        return Err(OwnFolderError::IsLink {
            path: path.to_owned(),
        });
    }
    #[cfg(unix)]
    refuse_foreign(path, &metadata)?;
    path.canonicalize().map_err(|e| failed("find", path, e))
}

#[cfg(unix)]
fn refuse_foreign(path: &Path, metadata: &std::fs::Metadata) -> Result<(), OwnFolderError> {
    let path = path.to_owned();
    refuse_shared(metadata, Others::MayRead).map_err(|shared| match shared {
        Shared::NotOwn { owner, user } => OwnFolderError::NotOwn { path, owner, user },
        Shared::Exposed { mode } => OwnFolderError::Exposed { path, mode },
    })
}

fn create_folder(path: &Path) -> Result<(), OwnFolderError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(path)
        .map_err(|e| failed("create the folder", path, e))
}

/// Takes the lock of a folder, which keeps a second peer out until it is dropped.
pub(crate) fn take_lock(dir: &Path) -> Result<File, OwnFolderError> {
    let path = dir.join("lock");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600).custom_flags(libc::O_NOFOLLOW);
    }
    let lock = options.open(&path).map_err(|e| failed("open", &path, e))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(OwnFolderError::InUse { path: dir.to_owned() }),
        Err(TryLockError::Error(source)) => Err(failed("lock", &path, source)),
    }
}

/// A step that the system refused.
pub(super) fn failed(action: &'static str, path: &Path, source: io::Error) -> OwnFolderError {
    OwnFolderError::Io {
        action,
        path: path.to_owned(),
        source,
    }
}
