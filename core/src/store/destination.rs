//! Where a file is to appear, and how its folder is reached.
//!
//! Everything happens beneath a folder handle, whose folders are opened component by component: a
//! link among them is an error, wherever it leads. This peer may share the target in place: a
//! [`Guard`] decides whether it may be replaced.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::Dir;

use super::local_names::{self, Platform};
use super::placed::Placed;
use super::{StoreError, no_follow};
use crate::printable::Printable;

/// Decides whether a received file may replace what is at a path.
pub(crate) trait Guard: fmt::Debug + Send + Sync {
    /// Called when a replacement is planned, and again right before it happens.
    ///
    /// # Errors
    /// [`StoreError::SharedFromThere`], [`StoreError::StillShared`], [`StoreError::Edited`].
    fn check(&self, path: &Path) -> Result<(), StoreError>;
}

/// Where a file is to appear: a name beneath an open folder.
#[derive(Debug, Clone)]
pub(crate) struct Destination {
    root: Arc<Dir>,
    /// The root's path, without links.
    root_path: Arc<PathBuf>,
    pub(super) relative: PathBuf,
    guard: Option<Arc<dyn Guard>>,
    pub(super) placed: Option<Arc<Placed>>,
}

impl Destination {
    /// The file at `target`; its folder must exist.
    pub(crate) fn file(target: &Path) -> Result<Self, StoreError> {
        let name = target.file_name().ok_or_else(|| StoreError::NoName {
            path: target.to_owned(),
        })?;
        let parent = target
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        if target.is_dir() {
            return Err(StoreError::IsFolder {
                path: target.to_owned(),
            });
        }
        Ok(Self::folder(parent)?.join(Path::new(name)))
    }

    /// The folder at `path`, which must exist; [`Destination::join`] adds what is to appear in it.
    /// The caller's own links in `path` are followed, once.
    pub(crate) fn folder(path: &Path) -> Result<Self, StoreError> {
        let unopened = |e| failed("open the folder", path, e);
        let root_path = path.canonicalize().map_err(unopened)?;
        let root = Dir::open_ambient_dir(&root_path, ambient_authority()).map_err(unopened)?;
        Ok(Self::within(root, root_path))
    }

    /// As [`Destination::folder`], for a path that was resolved before. No link in it is followed.
    pub(crate) fn resolved_folder(path: &Path) -> Result<Self, StoreError> {
        let root = no_follow::open_folder(path).map_err(|e| match e.kind() {
            io::ErrorKind::NotADirectory => StoreError::Moved {
                path: path.to_owned(),
            },
            _ => failed("open the folder", path, e),
        })?;
        Ok(Self::within(root, path.to_owned()))
    }

    fn within(root: Dir, root_path: PathBuf) -> Self {
        Self {
            root: Arc::new(root),
            root_path: Arc::new(root_path),
            relative: PathBuf::new(),
            guard: None,
            placed: None,
        }
    }

    /// The place `relative` beneath this one, with the same folder handle.
    pub(crate) fn join(&self, relative: &Path) -> Self {
        Self {
            relative: self.relative.join(relative),
            ..self.clone()
        }
    }

    /// The same place, where only what `guard` allows is replaced.
    pub(crate) fn guarded(self, guard: Arc<dyn Guard>) -> Self {
        Self {
            guard: Some(guard),
            ..self
        }
    }

    /// The same place, where only what pulls have put there is replaced or removed.
    pub(crate) fn keeping_what_is_there(self, placed: Arc<Placed>) -> Self {
        Self {
            placed: Some(placed),
            ..self
        }
    }

    /// Checks whether what is there may be replaced.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        let path = self.path();
        if let Some(placed) = &self.placed {
            // What was put there is known by its path.
            if !self.is_root_in_place() {
                return Err(StoreError::Moved {
                    path: self.root_path.as_ref().clone(),
                });
            }
            placed.check(&path)?;
        }
        let guard = self.guard.as_ref();
        guard.map_or(Ok(()), |guard| guard.check(&path))
    }

    /// Whether the root's path still leads to the root.
    fn is_root_in_place(&self) -> bool {
        #[cfg(unix)]
        {
            use cap_std::fs::MetadataExt as _;
            use std::os::unix::fs::MetadataExt as _;
            let (opened, there) = (self.root.dir_metadata(), self.root_path.symlink_metadata());
            opened.is_ok_and(|opened| {
                there.is_ok_and(|there| (opened.dev(), opened.ino()) == (there.dev(), there.ino()))
            })
        }
        #[cfg(not(unix))]
        self.root_path.is_dir()
    }

    /// The place called `name` in this folder, if this system can hold the name.
    pub(crate) fn join_name(&self, name: &str) -> Result<Self, StoreError> {
        let fits = local_names::check(name, Platform::HERE);
        fits.map_err(|fault| StoreError::Unfit {
            name: Printable(name).to_string(),
            fault,
        })?;
        Ok(self.join(Path::new(name)))
    }

    /// The whole path, for messages and for serving the file later.
    pub(crate) fn path(&self) -> PathBuf {
        self.root_path.join(&self.relative)
    }

    /// Makes the folder that this destination names, and those above it.
    pub(crate) fn create_folder(&self) -> Result<(), StoreError> {
        self.enter(&self.relative).map(drop)
    }

    pub(super) fn failed(&self, action: &'static str, source: io::Error) -> StoreError {
        failed(action, &self.path(), source)
    }

    /// The path of its folder beneath the root.
    pub(super) fn parent_path(&self) -> &Path {
        self.relative.parent().unwrap_or(Path::new(""))
    }

    /// Its folder, made if it does not exist.
    pub(super) fn parent(&self) -> Result<Dir, StoreError> {
        let mut folders = self.enter(self.parent_path())?;
        folders.pop().map_or_else(|| self.root(), Ok)
    }

    /// Its folder, if it exists.
    pub(super) fn parent_there(&self) -> Result<Dir, StoreError> {
        let mut folders = self.walk(self.parent_path(), no_follow::open_folder_in)?;
        folders.pop().map_or_else(|| self.root(), Ok)
    }

    /// Its name in its folder.
    pub(super) fn name(&self) -> &OsStr {
        self.relative.file_name().unwrap_or_default()
    }

    pub(super) fn root(&self) -> Result<Dir, StoreError> {
        let root = self.root.try_clone();
        root.map_err(|e| failed("open the folder", &self.root_path, e))
    }

    /// Opens a folder beneath the root, and makes it if it does not exist. Returns all folders on
    /// the way, without the root.
    pub(super) fn enter(&self, relative: &Path) -> Result<Vec<Dir>, StoreError> {
        self.walk(relative, enter)
    }

    /// Opens a folder beneath the root by these steps, as [`Destination::enter`] does.
    pub(super) fn walk(
        &self,
        relative: &Path,
        step: impl Fn(&Dir, &OsStr) -> io::Result<Dir>,
    ) -> Result<Vec<Dir>, StoreError> {
        let mut reached = self.root_path.as_ref().clone();
        let mut folders: Vec<Dir> = Vec::new();
        for component in relative.components() {
            reached.push(component);
            let entered = match component {
                Component::Normal(name) => step(folders.last().unwrap_or(&self.root), name),
                _ => Err(io::ErrorKind::InvalidInput.into()),
            };
            folders.push(entered.map_err(|e| match e.kind() {
                io::ErrorKind::NotADirectory if reached.is_symlink() => StoreError::Link {
                    path: reached.clone(),
                },
                _ => failed("open the folder", &reached, e),
            })?);
        }
        Ok(folders)
    }
}

/// Opens one folder in another, and makes it if it does not exist.
fn enter(folder: &Dir, name: &OsStr) -> io::Result<Dir> {
    match no_follow::open_folder_in(folder, name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            match folder.create_dir(name) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                Ok(()) | Err(_) => {}
            }
            no_follow::open_folder_in(folder, name)
        }
        opened => opened,
    }
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> StoreError {
    StoreError::Io {
        action,
        path: path.to_owned(),
        source,
    }
}
