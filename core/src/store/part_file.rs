//! A file that is being received: invisible until it is whole.
//!
//! Owns the part file beside the target: its bytes, its rights, and what becomes of it. It is
//! published by [`publish_all`](super::publish_all), kept for the next pull of the same content to
//! the same place, or removed with its last handle. There is no record of which bytes it has: a
//! pull that takes it over verifies what is there, so that no record can ever be ahead of the disk,
//! and nothing that was planted or torn is believed.

use std::fs::{File, Metadata};
use std::io;
use std::path::PathBuf;
#[cfg(target_os = "linux")]
use std::sync::atomic::AtomicU64;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use cap_std::fs::Dir;

use super::part_lock::{self, Held, Origin};
use super::{Destination, StoreError, part_name, read_exact_at, write_all_at};
use crate::catalog::ContentId;
#[cfg(unix)]
use crate::limits::{RECEIVED_MODE_MAX, SHARED_MODE_MAX};

/// The rights of a part file: nobody else reads what was not verified as a whole.
#[cfg(unix)]
pub(super) const PRIVATE_MODE: u32 = 0o600;

/// Counts the part files that this process has opened.
#[cfg(target_os = "linux")]
static OPENED: AtomicU64 = AtomicU64::new(0);

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
    pub(super) folder: Dir,
    temporary: String,
    destination: Destination,
    pub(super) file: File,
    origin: Origin,
    attributes: Attributes,
    /// Lower than that of any part file that was opened later.
    #[cfg(target_os = "linux")]
    pub(super) opened: u64,
    published: AtomicBool,
    kept: AtomicBool,
}

impl PartFile {
    /// Opens what an earlier pull has left, or creates the file, as long as `content` is. By the
    /// time it has contents no other user can open it.
    pub(crate) fn create(
        destination: &Destination,
        attributes: Attributes,
        content: &ContentId,
    ) -> Result<Self, StoreError> {
        destination.check()?;
        let folder = destination.parent()?;
        #[cfg(unix)]
        let mode = attributes.mode & RECEIVED_MODE_MAX;
        #[cfg(not(unix))]
        let mode = attributes.mode;
        let held = part_lock::hold(&folder, (destination.name(), content), mode);
        let Held { name, file, origin } = held.map_err(|e| destination.failed("create a file for", e))?;
        let mut part = Self {
            folder,
            temporary: name,
            destination: destination.clone(),
            file,
            origin,
            attributes: Attributes { mode, ..attributes },
            #[cfg(target_os = "linux")]
            opened: OPENED.fetch_add(1, Ordering::Relaxed),
            published: AtomicBool::new(false),
            kept: AtomicBool::new(false),
        };
        part.keep_private()
            .map_err(|e| part.failed("set the attributes of", e))?;
        part.file
            .set_len(content.len)
            .map_err(|e| part.failed("make room for", e))?;
        Ok(part)
    }

    /// Takes away the rights with which the file was created, until it is whole. Then it gets those
    /// that the umask left: the other side says what a file is like, but not what other users of
    /// this machine may do. No other user can have opened it for writing meanwhile.
    fn keep_private(&mut self) -> io::Result<()> {
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            if self.origin == Origin::LeftBehind {
                self.attributes.mode = part_lock::permitted_mode(&self.folder, self.attributes.mode)?;
                return Ok(());
            }
            self.attributes.mode = self.file.metadata()?.permissions().mode();
            let private = std::fs::Permissions::from_mode(PRIVATE_MODE);
            self.file.set_permissions(private)?;
        }
        Ok(())
    }

    /// Writes verified bytes, from any thread.
    pub(crate) fn write(&self, bytes: &[u8], offset: u64) -> Result<(), StoreError> {
        write_all_at(&self.file, bytes, offset).map_err(|e| self.failed("write", e))
    }

    /// Fills `buffer` with what an earlier pull has left from `offset`, to be verified. `false` if
    /// it has left nothing there.
    pub(crate) fn read_left_behind(&self, buffer: &mut [u8], offset: u64) -> bool {
        let is_written = self.is_left_behind() && has_data(&self.file, offset, offset + buffer.len() as u64);
        is_written && read_exact_at(&self.file, buffer, offset).is_ok()
    }

    /// Whether an earlier pull has left it.
    pub(super) fn is_left_behind(&self) -> bool {
        self.origin == Origin::LeftBehind
    }

    /// Leaves the file for the next pull of the same content to the same place. Otherwise it is
    /// removed with its last handle.
    pub(crate) fn keep(&self) {
        let is_found_again = part_name::target_of(&self.temporary).is_some();
        self.kept.store(is_found_again, Ordering::Release);
    }

    /// Gives the file its name, once it is durable under the temporary one.
    pub(super) fn publish(&self) -> Result<Published, StoreError> {
        self.destination.check()?;
        let renamed = self
            .folder
            .rename(&self.temporary, &self.folder, self.destination.name());
        renamed.map_err(|e| self.failed("rename into place", e))?;
        self.published.store(true, Ordering::Release);
        // Some systems let nobody else read what is locked. It fails where there are no locks.
        drop(self.file.unlock());
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

    pub(super) fn sync(&self) -> Result<(), StoreError> {
        self.file.sync_all().map_err(|e| self.failed("sync", e))
    }

    pub(super) fn apply_attributes(&self) -> Result<(), StoreError> {
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

    pub(super) fn failed(&self, action: &'static str, source: io::Error) -> StoreError {
        self.destination.failed(action, source)
    }
}

impl Drop for PartFile {
    fn drop(&mut self) {
        if !self.published.load(Ordering::Acquire)
            && !self.kept.load(Ordering::Acquire)
            && let Err(error) = self.folder.remove_file(&self.temporary)
        {
            tracing::warn!(%error, name = self.temporary, "could not remove a part file");
        }
    }
}

/// Whether anything was written from `start` to `end`. A hole was not: what is written of a content
/// is written, even if it is zeros.
#[cfg(target_os = "linux")]
fn has_data(file: &File, start: u64, end: u64) -> bool {
    match rustix::fs::seek(file, rustix::fs::SeekFrom::Data(start)).map_err(io::Error::from) {
        Ok(data) => data < end,
        // The file system does not know. Any other error: nothing but a hole follows.
        Err(error) => matches!(
            error.kind(),
            io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported
        ),
    }
}

/// Whether anything was written from `start` to `end`, as far as this system can say.
#[cfg(not(target_os = "linux"))]
fn has_data(_file: &File, _start: u64, _end: u64) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::store::{Guard, publish_all};

    fn attributes() -> Attributes {
        Attributes {
            modified: UNIX_EPOCH + Duration::from_secs(86_400),
            mode: 0o640,
        }
    }

    fn content(len: u64) -> ContentId {
        ContentId { hash: [1; 32], len }
    }

    fn part(target: &Path, len: u64) -> Arc<PartFile> {
        let destination = Destination::file(target).unwrap();
        Arc::new(PartFile::create(&destination, attributes(), &content(len)).unwrap())
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
            let refused = PartFile::create(&destination, attributes(), &content(1)).unwrap_err();
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
        let part = PartFile::create(&folder.join(Path::new("a/c/file")), attributes(), &content(0)).unwrap();
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
        let part = Arc::new(PartFile::create(&destination, attributes(), &content(3)).unwrap());
        guard.0.store(true, Ordering::SeqCst);
        assert!(matches!(
            publish_all(&[part])[0],
            Err(StoreError::SharedFromThere { .. })
        ));
        assert!(PartFile::create(&destination, attributes(), &content(3)).is_err());
        assert_eq!(std::fs::read(&target).unwrap(), b"mine");
        assert_eq!(names(root.path()), ["notes.txt"]);
    }
}
