//! Files that this peer holds, and serves from where they are.
//!
//! Owns the map from a content to the local files that have it, and the check that such a file
//! still is the one that was hashed. Serving never trusts a path alone: no link in it is followed,
//! and the file's stamp is compared on every open.

use std::collections::{BTreeSet, HashMap};
use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::file_stamp::FileStamp;
use super::hashing::Stop;
use super::no_follow::{self, Found};
use super::outline::group_count;
use super::{Outline, Published, hash_file};
use crate::catalog::ContentId;
use crate::limits::{FILE_LEN_MAX, HASH_ATTEMPTS_MAX};
use crate::printable;
use crate::unsaved::Unsaved;

/// What a source file belongs to. The order of the variants is their number on disk: append only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Owner {
    /// A file of the user, who may edit it: its new content is shared.
    User,
    /// The peer store's file, which is never edited. If it has changed, it is useless.
    PeerStore,
    /// A mount's file. The mount shares its new content when it is closed, and needs the file no
    /// longer once the content has no entry.
    Mount,
}

/// A local file whose content is known.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) owner: Owner,
    pub(crate) path: PathBuf,
    pub(crate) content: ContentId,
    pub(crate) outline: Outline,
    /// Permission bits, without those that are not shared.
    pub(crate) mode: u32,
    stamp: FileStamp,
    /// Whether the stamp is known to differ after each later write; see
    /// [`FileStamp::is_settled_at`].
    is_settled: bool,
}

/// What is remembered of a source over a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Remembered {
    pub(crate) owner: Owner,
    pub(crate) content: ContentId,
    pub(crate) outline: Vec<u8>,
    pub(crate) mode: u32,
    pub(crate) stamp: FileStamp,
    pub(crate) is_settled: bool,
}

/// Why a local file can't be shared or served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// There is nothing at the path.
    #[error("there is no file `{}`\nhint: check the path", printable::path(path))]
    Missing {
        /// The path as it was given.
        path: PathBuf,
    },
    /// The path names a folder.
    #[error(
        "`{}` is a folder, not a file\nhint: share the whole folder with `add_tree`",
        printable::path(path)
    )]
    IsFolder {
        /// The path as it was given.
        path: PathBuf,
    },
    /// The path names a device, a pipe or a socket.
    #[error(
        "`{}` is neither a file nor a folder\nhint: only regular files can be shared",
        printable::path(path)
    )]
    NotAFile {
        /// The path as it was given.
        path: PathBuf,
    },
    /// The file can't be read.
    #[error(
        "could not read `{}`: {source}\nhint: check its permissions",
        printable::path(path)
    )]
    Unreadable {
        /// The path as it was given.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The file is larger than the limit.
    #[error(
        "`{}` has `{len}` bytes, at most `{limit}` can be shared",
        printable::path(path)
    )]
    TooLarge {
        /// The path as it was given.
        path: PathBuf,
        /// Its length.
        len: u64,
        /// The most that can be shared.
        limit: u64,
    },
    /// The file changed each time while it was being read.
    #[error(
        "`{}` keeps changing while it is read\nhint: share it again when its writer is done",
        printable::path(path)
    )]
    KeepsChanging {
        /// The path as it was given.
        path: PathBuf,
    },
    /// The file is no longer the one that was hashed.
    #[error(
        "`{}` has changed since it was shared\nhint: add it again to share the new content",
        printable::path(path)
    )]
    Changed {
        /// The path as it was given.
        path: PathBuf,
    },
}

impl Source {
    /// Opens and hashes the file at `path`. Blocks until it is read, or until `stop` returns
    /// `true`.
    ///
    /// # Errors
    /// One variant per situation, each naming the path.
    pub(crate) fn read(path: &Path, stop: Stop<'_>) -> Result<Self, SourceError> {
        for _ in 0..HASH_ATTEMPTS_MAX {
            let (file, metadata) = open(path)?;
            let stamp = FileStamp::of(&metadata);
            let hashed = hash_file(&file, metadata.len(), stop);
            if stamp_of(path, &file)? != stamp {
                continue;
            }
            let (hash, outline) = hashed.map_err(|source| unreadable(path, source))?;
            let content = ContentId {
                hash,
                len: metadata.len(),
            };
            return Ok(Self {
                owner: Owner::User,
                path: path.to_owned(),
                content,
                outline,
                mode: mode_of(&metadata),
                stamp,
                is_settled: false,
            });
        }
        Err(SourceError::KeepsChanging {
            path: path.to_owned(),
        })
    }

    /// A file that was received: it has the bytes that were written, and the stamp of the moment
    /// when it got its name. Its path is not read again.
    pub(crate) fn received(file: Published, content: ContentId, outline: Outline) -> Self {
        let Published { path, metadata } = file;
        let stamp = FileStamp::of(&metadata);
        Self {
            owner: Owner::User,
            path,
            content,
            outline,
            mode: mode_of(&metadata),
            stamp,
            is_settled: false,
        }
    }

    /// A file whose content is known because it was verified a moment ago.
    ///
    /// # Errors
    /// If the file can't be opened any more.
    pub(crate) fn known(path: &Path, content: ContentId, outline: Outline) -> Result<Self, SourceError> {
        let (_, metadata) = open(path)?;
        let stamp = FileStamp::of(&metadata);
        Ok(Self {
            owner: Owner::User,
            path: path.to_owned(),
            content,
            outline,
            mode: mode_of(&metadata),
            stamp,
            is_settled: false,
        })
    }

    /// As [`Source::known`], for a file of the peer store.
    ///
    /// # Errors
    /// The same.
    pub(crate) fn owned(path: &Path, content: ContentId, outline: Outline) -> Result<Self, SourceError> {
        Ok(Self {
            owner: Owner::PeerStore,
            ..Self::known(path, content, outline)?
        })
    }

    /// As [`Source::known`], for a file that was written through a mount.
    ///
    /// # Errors
    /// The same.
    pub(crate) fn written(path: &Path, content: ContentId, outline: Outline) -> Result<Self, SourceError> {
        Ok(Self {
            owner: Owner::Mount,
            ..Self::known(path, content, outline)?
        })
    }

    /// A file whose content was known before this peer was restarted, with the stamp of that time.
    /// It is checked when it is opened. `None` if the outline is not that of the content.
    pub(crate) fn remembered(path: &Path, remembered: Remembered) -> Option<Self> {
        let Remembered {
            owner,
            content,
            outline,
            mode,
            stamp,
            is_settled,
        } = remembered;
        let outline = match outline.as_slice() {
            [] => Outline::default(),
            outline => Outline::verified(outline, content.len, &content.hash)?,
        };
        let is_outlined = group_count(content.len) == 1 || !outline.as_bytes().is_empty();
        is_outlined.then(|| Self {
            owner,
            path: path.to_owned(),
            content,
            outline,
            mode,
            stamp: stamp.after_restart(path),
            is_settled,
        })
    }

    /// What to remember of it, for [`Source::remembered`].
    pub(crate) fn to_remember(&self) -> Remembered {
        Remembered {
            owner: self.owner,
            content: self.content,
            outline: self.outline.as_bytes().to_vec(),
            mode: self.mode,
            stamp: self.stamp.clone(),
            is_settled: self.is_settled,
        }
    }

    /// The same file, which was read at `unix_ms`.
    pub(crate) fn read_at(self, unix_ms: u64) -> Self {
        let is_settled = self.stamp.is_settled_at(unix_ms);
        Self { is_settled, ..self }
    }

    /// Whether the file has the content for certain, so that it need not be read again.
    pub(crate) fn is_certain(&self) -> bool {
        self.is_settled && self.open().is_ok()
    }

    /// The same file, with that owner.
    pub(crate) fn of(self, owner: Owner) -> Self {
        Self { owner, ..self }
    }

    /// Removes a file of a mount that has no more use. Files of other owners stay.
    pub(crate) fn discard(&self) {
        if self.owner != Owner::Mount {
            return;
        }
        remove_own(&self.path);
    }

    /// The stamp of the file when it was hashed.
    pub(crate) fn stamp(&self) -> &FileStamp {
        &self.stamp
    }

    /// Opens the file for serving, if it still is the one that was hashed.
    pub(crate) fn open(&self) -> Result<File, SourceError> {
        let (file, metadata) = open(&self.path)?;
        if FileStamp::of(&metadata) == self.stamp {
            return Ok(file);
        }
        Err(SourceError::Changed {
            path: self.path.clone(),
        })
    }

    /// Whether `file` (opened by [`Source::open`]) still is the one that was hashed.
    pub(crate) fn is_unchanged(&self, file: &File) -> bool {
        let is_same = |stamp: FileStamp| match self.owner {
            Owner::User => stamp == self.stamp,
            // Nothing edits it and then sets its time back. But it may be unlinked while it is
            // open, which changes its stamp.
            Owner::PeerStore | Owner::Mount => stamp.is_same_content(&self.stamp),
        };
        stamp_of(&self.path, file).is_ok_and(is_same)
    }
}

/// Removes a file from the store. It is fine if the file is gone already.
pub(crate) fn remove_own(path: &Path) {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(%error, path = %path.display(), "could not remove a file of the store");
        }
        Ok(()) | Err(_) => {}
    }
}

/// Opens a file at a path that was resolved when it was shared. If there is a link in it now, the
/// file is gone.
fn open(path: &Path) -> Result<(File, Metadata), SourceError> {
    let found = no_follow::open_file(path).map_err(|source| unreadable(path, source))?;
    let path = path.to_owned();
    match found {
        Found::Folder => Err(SourceError::IsFolder { path }),
        Found::Link => Err(SourceError::Missing { path }),
        Found::Other => Err(SourceError::NotAFile { path }),
        Found::File(_, metadata) if metadata.len() > FILE_LEN_MAX => Err(SourceError::TooLarge {
            path,
            len: metadata.len(),
            limit: FILE_LEN_MAX,
        }),
        Found::File(file, metadata) => Ok((file, metadata)),
    }
}

/// The path of a local file as it is remembered: absolute, with the user's links resolved, once. A
/// later link is not followed.
///
/// # Errors
/// If nothing is there, or a folder of the path may not be searched.
pub(crate) fn resolve(path: &Path) -> Result<PathBuf, SourceError> {
    path.canonicalize().map_err(|source| unreadable(path, source))
}

fn stamp_of(path: &Path, file: &File) -> Result<FileStamp, SourceError> {
    let metadata = file.metadata().map_err(|source| unreadable(path, source))?;
    Ok(FileStamp::of(&metadata))
}

fn unreadable(path: &Path, source: io::Error) -> SourceError {
    let path = path.to_owned();
    match source.kind() {
        io::ErrorKind::NotFound => SourceError::Missing { path },
        _ => SourceError::Unreadable { path, source },
    }
}

#[cfg(unix)]
fn mode_of(metadata: &Metadata) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & crate::limits::SHARED_MODE_MAX
}

#[cfg(not(unix))]
fn mode_of(metadata: &Metadata) -> u32 {
    if metadata.permissions().readonly() {
        0o444
    } else {
        0o644
    }
}

/// Everything this peer can serve, by content.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    held: HashMap<ContentId, Vec<Arc<Source>>>,
    /// The contents that the file at a path had when it was read.
    contents: HashMap<PathBuf, BTreeSet<ContentId>>,
    /// Files that were inserted or taken.
    pub(crate) unsaved: Unsaved<PathBuf>,
}

impl Sources {
    /// Serves `source` from now on.
    pub(crate) fn insert(&mut self, source: Arc<Source>) {
        let held = self.held.entry(source.content).or_default();
        let is_known = held.iter().any(|other| Arc::ptr_eq(other, &source));
        held.retain(|other| other.path != source.path);
        if !is_known {
            let contents = self.contents.entry(source.path.clone()).or_default();
            contents.insert(source.content);
            self.unsaved.note(source.path.as_path());
        }
        held.push(source);
    }

    /// The files that had this content when they were hashed, the newest first.
    pub(crate) fn holding(&self, content: &ContentId) -> Vec<Arc<Source>> {
        self.held
            .get(content)
            .into_iter()
            .flatten()
            .rev()
            .cloned()
            .collect()
    }

    /// What the file at `path` is a source of.
    pub(crate) fn at(&self, path: &Path) -> impl Iterator<Item = &Arc<Source>> {
        let contents = self.contents.get(path).into_iter().flatten();
        let held = contents.filter_map(|content| self.held.get(content));
        held.flatten().filter(move |source| source.path == path)
    }

    /// The paths of all files.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        self.contents.keys()
    }

    /// Whether a file is still the source of its content.
    pub(crate) fn has(&self, source: &Source) -> bool {
        let held = self.held.get(&source.content);
        held.is_some_and(|held| held.iter().any(|other| other.path == source.path))
    }

    /// Forgets one file as a source of its content. `false` if it was none.
    pub(crate) fn forget(&mut self, source: &Source) -> bool {
        self.take(&source.content, &source.path).is_some()
    }

    /// Forgets the file at `path` as a source of `content`, and returns it.
    pub(crate) fn take(&mut self, content: &ContentId, path: &Path) -> Option<Arc<Source>> {
        let held = self.held.get_mut(content)?;
        let position = held.iter().position(|other| other.path == path)?;
        let taken = held.remove(position);
        if held.is_empty() {
            self.held.remove(content);
        }
        if let Some(contents) = self.contents.get_mut(path) {
            contents.remove(content);
            if contents.is_empty() {
                self.contents.remove(path);
            }
        }
        self.unsaved.note(path);
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("notes.txt");
        std::fs::write(&path, bytes).unwrap();
        (root, path)
    }

    #[test]
    fn a_file_that_was_edited_after_hashing_is_not_served() {
        let (_root, path) = written(b"first");
        let source = Source::read(&path, &|| false).unwrap();
        assert!(source.open().is_ok());
        std::fs::write(&path, b"second").unwrap();
        assert!(matches!(source.open(), Err(SourceError::Changed { .. })));
    }

    #[test]
    fn a_file_replaced_by_one_of_the_same_size_and_time_is_not_served() {
        let (root, path) = written(b"first");
        let source = Source::read(&path, &|| false).unwrap();
        let other = root.path().join("other");
        std::fs::write(&other, b"FIRST").unwrap();
        let time = path.metadata().unwrap().modified().unwrap();
        File::options()
            .write(true)
            .open(&other)
            .unwrap()
            .set_modified(time)
            .unwrap();
        std::fs::rename(&other, &path).unwrap();
        assert!(matches!(source.open(), Err(SourceError::Changed { .. })));
    }

    #[test]
    fn the_error_for_an_unsharable_file_names_its_path() {
        let root = tempfile::tempdir().unwrap();
        let missing = Source::read(&root.path().join("nothing"), &|| false).unwrap_err();
        assert!(matches!(missing, SourceError::Missing { .. }) && missing.to_string().contains("nothing"));
        assert!(matches!(
            Source::read(root.path(), &|| false),
            Err(SourceError::IsFolder { .. })
        ));
    }

    #[test]
    fn a_file_at_the_length_limit_is_not_too_large_and_one_byte_more_is_refused_before_it_is_read() {
        let (_root, path) = written(b"");
        let file = File::options().write(true).open(&path).unwrap();
        file.set_len(FILE_LEN_MAX).unwrap();
        let stopped = Source::read(&path, &|| true).unwrap_err();
        assert!(matches!(stopped, SourceError::Unreadable { .. }), "{stopped}");
        file.set_len(FILE_LEN_MAX + 1).unwrap();
        assert!(matches!(
            Source::read(&path, &|| true),
            Err(SourceError::TooLarge { .. })
        ));
    }
}
