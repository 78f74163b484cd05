//! A file that is being received: invisible until it is whole.
//!
//! Owns the temporary file beside the target and the order in which it becomes visible: bytes,
//! sync, rename, sync of the folder. Everything happens beneath a folder handle, whose folders are
//! opened component by component: a link among them is an error, wherever it leads. This peer may
//! share the target in place: a [`Guard`] decides whether it may be replaced. A part file that is
//! not published removes itself.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fmt;
use std::fs::{File, Metadata};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions};

use super::local_names::{self, Platform};
use super::placed::Placed;
use super::{StoreError, no_follow, write_all_at};
#[cfg(unix)]
use crate::limits::{RECEIVED_MODE_MAX, SHARED_MODE_MAX};
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
    fn parent(&self) -> Result<Dir, StoreError> {
        let mut folders = self.enter(self.parent_path())?;
        folders.pop().map_or_else(|| self.root(), Ok)
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

/// A received file that has its name.
#[derive(Debug)]
pub(crate) struct Published {
    pub(crate) path: PathBuf,
    /// The metadata of the file, read from its handle after it got its name.
    pub(crate) metadata: Metadata,
}

/// The attributes of a received file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attributes {
    pub(crate) modified: SystemTime,
    /// Unix permission bits; only the lowest nine are used.
    pub(crate) mode: u32,
}

/// A file that receives bytes under a temporary name in the folder of its destination.
#[derive(Debug)]
pub(crate) struct PartFile {
    folder: Dir,
    temporary: String,
    destination: Destination,
    file: File,
    attributes: Attributes,
    published: AtomicBool,
}

impl PartFile {
    /// Creates the temporary file, `len` bytes long. By the time it has contents no other user can
    /// open it.
    pub(crate) fn create(
        destination: &Destination,
        attributes: Attributes,
        len: u64,
    ) -> Result<Self, StoreError> {
        destination.check()?;
        let folder = destination.parent()?;
        let temporary = temporary_name(destination)?;
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        cap_std::fs::OpenOptionsExt::mode(&mut options, attributes.mode & RECEIVED_MODE_MAX);
        let file = folder.open_with(&temporary, &options);
        let file = file
            .map_err(|e| failed("create a file for", &destination.path(), e))?
            .into_std();
        let published = AtomicBool::new(false);
        let mut part = Self {
            folder,
            temporary,
            destination: destination.clone(),
            file,
            attributes,
            published,
        };
        part.keep_private()
            .map_err(|e| failed("set the attributes of", &destination.path(), e))?;
        part.file
            .set_len(len)
            .map_err(|e| failed("make room for", &destination.path(), e))?;
        Ok(part)
    }

    /// Takes away the rights with which the file was created, until it is whole. Then it gets those
    /// that the umask left: the other side says what a file is like, but not what other users of
    /// this machine may do. No other user can have opened it for writing meanwhile.
    fn keep_private(&mut self) -> io::Result<()> {
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            self.attributes.mode = self.file.metadata()?.permissions().mode();
            let private = std::fs::Permissions::from_mode(0o600);
            self.file.set_permissions(private)?;
        }
        Ok(())
    }

    /// Writes verified bytes, from any thread.
    pub(crate) fn write(&self, bytes: &[u8], offset: u64) -> Result<(), StoreError> {
        write_all_at(&self.file, bytes, offset).map_err(|e| self.failed("write", e))
    }

    /// Gives the file its name, once it is durable under the temporary one.
    fn publish(&self) -> Result<Published, StoreError> {
        self.destination.check()?;
        let name = self.destination.relative.file_name().unwrap_or_default();
        let renamed = self.folder.rename(&self.temporary, &self.folder, name);
        renamed.map_err(|e| self.failed("rename into place", e))?;
        self.published.store(true, Ordering::Release);
        let metadata = self
            .file
            .metadata()
            .map_err(|e| self.failed("read the attributes of", e))?;
        let path = self.destination.path();
        if let Some(placed) = &self.destination.placed {
            placed.note(&path, &metadata);
        }
        Ok(Published { path, metadata })
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.file.sync_all().map_err(|e| self.failed("sync", e))
    }

    fn apply_attributes(&self) -> Result<(), StoreError> {
        self.set_attributes()
            .map_err(|e| self.failed("set the attributes of", e))
    }

    fn set_attributes(&self) -> io::Result<()> {
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            self.file.set_permissions(std::fs::Permissions::from_mode(
                self.attributes.mode & SHARED_MODE_MAX,
            ))?;
        }
        self.file.set_modified(self.attributes.modified)
    }

    fn failed(&self, action: &'static str, source: io::Error) -> StoreError {
        self.destination.failed(action, source)
    }
}

impl Drop for PartFile {
    fn drop(&mut self) {
        if !self.published.load(Ordering::Acquire)
            && let Err(error) = self.folder.remove_file(&self.temporary)
        {
            tracing::warn!(%error, name = self.temporary, "could not remove a part file");
        }
    }
}

/// A name for a file that will be renamed into `destination`, in the same folder.
pub(super) fn temporary_name(destination: &Destination) -> Result<String, StoreError> {
    let token = getrandom::u64().map_err(|e| destination.failed("name a file in", e.into()))?;
    Ok(format!(".tandem-{token:016x}.part"))
}

/// Makes whole files durable and gives them their names: attributes, sync, rename, sync of the
/// folders.
///
/// Returns one outcome for each part, in order. One call syncs a whole batch where the system has
/// such a call: thousands of small files, each with its own sync, take seconds.
pub(crate) fn publish_all(parts: &[Arc<PartFile>]) -> Vec<Result<Published, StoreError>> {
    let prepared: Vec<_> = parts.iter().map(|part| part.apply_attributes()).collect();
    let synced = sync_together(parts);
    let publish = |(part, prepared): (&Arc<PartFile>, Result<(), StoreError>)| {
        prepared?;
        if !synced {
            part.sync()?;
        }
        part.publish()
    };
    let outcomes = parts.iter().zip(prepared).map(publish).collect();
    sync_folders(parts, outcomes)
}

/// Syncs the file system that all of `parts` are on; `false` where that can't be done by one call.
#[cfg(target_os = "linux")]
fn sync_together(parts: &[Arc<PartFile>]) -> bool {
    use std::os::unix::fs::MetadataExt;
    let device = |part: &Arc<PartFile>| part.file.metadata().ok().map(|metadata| metadata.dev());
    let [first, _, ..] = parts else { return false };
    let shared = device(first).is_some() && parts.iter().all(|part| device(part) == device(first));
    shared && rustix::fs::syncfs(&first.file).is_ok()
}

/// Syncs the file system that all of `parts` are on; `false` where that can't be done by one call.
#[cfg(not(target_os = "linux"))]
fn sync_together(_parts: &[Arc<PartFile>]) -> bool {
    false
}

/// Syncs each folder once: a rename is durable only when its folder is.
fn sync_folders(
    parts: &[Arc<PartFile>],
    outcomes: Vec<Result<Published, StoreError>>,
) -> Vec<Result<Published, StoreError>> {
    let mut synced = HashSet::new();
    let sync = |(part, outcome): (&Arc<PartFile>, Result<Published, StoreError>)| {
        let published = outcome?;
        let folder = published.path.parent().map(Path::to_owned);
        if !synced.contains(&folder) {
            sync_folder(&part.folder).map_err(|e| part.failed("sync the folder of", e))?;
            synced.insert(folder);
        }
        Ok(published)
    };
    parts.iter().zip(outcomes).map(sync).collect()
}

/// Only Unix can sync a folder.
fn sync_folder(folder: &Dir) -> io::Result<()> {
    #[cfg(unix)]
    folder.open(".")?.sync_all()?;
    Ok(())
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> StoreError {
    StoreError::Io {
        action,
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn attributes() -> Attributes {
        Attributes {
            modified: UNIX_EPOCH + Duration::from_secs(86_400),
            mode: 0o640,
        }
    }

    fn part(target: &Path, len: u64) -> Arc<PartFile> {
        Arc::new(PartFile::create(&Destination::file(target).unwrap(), attributes(), len).unwrap())
    }

    fn names(root: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(root).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    #[test]
    fn the_old_file_stays_until_the_new_one_is_published() {
        let root = tempfile::tempdir().unwrap();
        let target = root.path().join("notes.txt");
        std::fs::write(&target, b"old").unwrap();
        let part = part(&target, 3);
        part.write(b"new", 0).unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"old");
        assert!(publish_all(&[part])[0].is_ok());
        assert_eq!(std::fs::read(&target).unwrap(), b"new");
        assert_eq!(
            std::fs::metadata(&target).unwrap().modified().unwrap(),
            attributes().modified
        );
        assert_eq!(names(root.path()), ["notes.txt"]);
    }

    #[test]
    fn a_part_file_that_is_dropped_leaves_nothing() {
        let root = tempfile::tempdir().unwrap();
        let part = part(&root.path().join("notes.txt"), 9);
        assert_eq!(names(root.path()).len(), 1);
        drop(part);
        assert_eq!(names(root.path()), Vec::<String>::new());
    }

    #[test]
    fn a_batch_is_published_whole_with_one_outcome_for_each_file() {
        let root = tempfile::tempdir().unwrap();
        let parts: Vec<_> = (0..5)
            .map(|i| part(&root.path().join(format!("{i}.txt")), 0))
            .collect();
        assert!(publish_all(&parts).iter().all(Result::is_ok));
        drop(parts);
        assert_eq!(names(root.path()).len(), 5);
    }

    #[test]
    fn a_folder_or_a_path_in_a_missing_folder_is_no_destination() {
        let root = tempfile::tempdir().unwrap();
        assert!(matches!(
            Destination::file(root.path()),
            Err(StoreError::IsFolder { .. })
        ));
        let missing = Destination::file(&root.path().join("no/such/file")).unwrap_err();
        assert!(matches!(missing, StoreError::Io { .. }) && missing.to_string().contains("no/such"));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_in_the_path_is_an_error_wherever_it_leads() {
        let (root, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::create_dir_all(root.path().join("inside/deep")).unwrap();
        std::os::unix::fs::symlink(outside.path(), root.path().join("out")).unwrap();
        std::os::unix::fs::symlink("inside", root.path().join("in")).unwrap();
        std::os::unix::fs::symlink("none", root.path().join("dangling")).unwrap();
        let folder = Destination::folder(root.path()).unwrap();
        for way in ["out", "in", "in/deep", "in/new", "dangling"] {
            let destination = folder.join(&Path::new(way).join("file"));
            let refused = PartFile::create(&destination, attributes(), 1).unwrap_err();
            assert!(matches!(refused, StoreError::Link { .. }), "{way}: {refused}");
            let refused = folder.join(Path::new(way)).create_folder().unwrap_err();
            assert!(matches!(refused, StoreError::Link { .. }), "{way}: {refused}");
        }
        assert_eq!(names(outside.path()), Vec::<String>::new());
        assert_eq!(names(&root.path().join("inside")), ["deep"]);
        assert!(!root.path().join("none").exists());
    }

    #[test]
    fn folders_of_the_path_are_made_and_a_file_in_their_place_is_named() {
        let root = tempfile::tempdir().unwrap();
        let folder = Destination::folder(root.path()).unwrap();
        folder.join(Path::new("a/b")).create_folder().unwrap();
        let part = PartFile::create(&folder.join(Path::new("a/c/file")), attributes(), 0).unwrap();
        assert!(publish_all(&[Arc::new(part)])[0].is_ok());
        assert!(root.path().join("a/b").is_dir() && root.path().join("a/c/file").is_file());
        let refused = folder.join(Path::new("a/c/file/d")).create_folder().unwrap_err();
        assert!(refused.to_string().contains("a/c/file`"), "{refused}");
    }

    #[test]
    fn a_guarded_file_is_not_replaced_even_if_it_appeared_meanwhile() {
        #[derive(Debug)]
        struct Closed(AtomicBool);
        impl Guard for Closed {
            fn check(&self, path: &Path) -> Result<(), StoreError> {
                let (path, name) = (path.to_owned(), "notes.txt".to_owned());
                match self.0.load(Ordering::SeqCst) {
                    true => Err(StoreError::SharedFromThere { path, name }),
                    false => Ok(()),
                }
            }
        }
        let root = tempfile::tempdir().unwrap();
        let target = root.path().join("notes.txt");
        std::fs::write(&target, b"mine").unwrap();
        let guard = Arc::new(Closed(AtomicBool::new(false)));
        let destination = Destination::file(&target).unwrap().guarded(guard.clone());
        let part = Arc::new(PartFile::create(&destination, attributes(), 3).unwrap());
        guard.0.store(true, Ordering::SeqCst);
        assert!(matches!(
            publish_all(&[part])[0],
            Err(StoreError::SharedFromThere { .. })
        ));
        assert!(PartFile::create(&destination, attributes(), 3).is_err());
        assert_eq!(std::fs::read(&target).unwrap(), b"mine");
        assert_eq!(names(root.path()), ["notes.txt"]);
    }
}
