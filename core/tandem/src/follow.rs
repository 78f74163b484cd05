//! Following the other side: its later changes appear in the folder that was joined.
//!
//! Owns the promise that no local change is lost: a file is replaced or removed only while it is
//! what the other side's last version left there. If it was changed here, the new version goes
//! beside it.

use std::collections::HashMap;
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tandem_core::catalog::{CatalogEvent, ContentId, SharePath};
use tandem_core::peer::{Event, EventStream, Peer};

use crate::limits::NAMES_TRIED_MAX;
use crate::screen::{clean, say};

/// Brings changes of the other side into a folder.
pub(crate) struct Follower<'a> {
    peer: &'a Peer,
    dir: &'a Path,
    /// What was put there by us.
    put: HashMap<SharePath, Put>,
}

/// A file that was put there.
#[derive(Debug, Clone, Copy)]
struct Put {
    content: ContentId,
    stamp: Stamp,
}

/// What tells that a file is still the one that was put there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    len: u64,
    modified: Option<SystemTime>,
    #[cfg(unix)]
    inode: u64,
}

/// What is at a path of the folder.
enum Local {
    /// Nothing.
    Nothing,
    /// The file that was put there.
    AsPut,
    /// Something of this side.
    Own,
}

impl<'a> Follower<'a> {
    /// For a folder to which everything that is shared was just pulled.
    pub(crate) fn new(peer: &'a Peer, dir: &'a Path) -> Self {
        let mut follower = Self {
            peer,
            dir,
            put: HashMap::new(),
        };
        for shown in peer.list() {
            if let Some(file) = shown.file() {
                follower.note(&shown.path, file.content);
            }
        }
        follower
    }

    /// Follows until the peer is closed.
    pub(crate) async fn follow(&mut self, events: &mut EventStream) {
        while let Some(event) = events.next().await {
            match event {
                Event::Catalog(change) => self.apply(change).await,
                Event::Missed { .. } => self.catch_up().await,
                Event::Connected { .. } => say("connected again"),
                Event::Disconnected { .. } => say("the other side is gone; it may come back"),
                _ => {}
            }
        }
    }

    async fn apply(&mut self, change: CatalogEvent) {
        match change {
            CatalogEvent::Added { path } | CatalogEvent::Changed { path } => self.bring(&path).await,
            CatalogEvent::Conflict { path, copy } => {
                self.bring(&path).await;
                self.bring(&copy).await;
            }
            CatalogEvent::Removed { path } => self.remove(&path),
            CatalogEvent::Renamed { from, to } => self.rename(&from, &to).await,
            other => say(format_args!("this version does not follow {other:?}")),
        }
    }

    /// Brings the present version of what is shared under `path`.
    async fn bring(&mut self, path: &SharePath) {
        let Some(shown) = self.peer.lookup(path) else {
            return;
        };
        if shown.link().is_some() {
            say(format_args!(
                "left out `{}`: links are brought only by joining",
                clean(path.as_str())
            ));
            return;
        }
        let target = self.at(path);
        let Some(content) = shown.file().map(|file| file.content) else {
            self.report(path, fs::create_dir_all(&target));
            return;
        };
        let target = match self.local(path) {
            Local::AsPut if self.put.get(path).is_some_and(|put| put.content == content) => return,
            Local::Nothing | Local::AsPut => target,
            Local::Own => match self.beside(&target) {
                Some(beside) => beside,
                None => {
                    return say(format_args!(
                        "left out `{}`: no name is free beside it",
                        clean(path.as_str())
                    ));
                }
            },
        };
        if let Some(parent) = target.parent() {
            self.report(path, fs::create_dir_all(parent));
        }
        match self.peer.pull(path, &target).await {
            Ok(_) if target == self.at(path) => {
                self.note(path, content);
                say(format_args!("`{}`", clean(path.as_str())));
            }
            Ok(_) => say(format_args!(
                "`{}` was changed on both sides: yours stays, the other side's is `{}`",
                clean(path.as_str()),
                clean(&target.display().to_string())
            )),
            Err(error) => say(format_args!(
                "could not bring `{}`: {error}",
                clean(path.as_str())
            )),
        }
    }

    /// Removes what the other side removed, if it is still what was put there.
    fn remove(&mut self, path: &SharePath) {
        let target = self.at(path);
        let removed = match (self.local(path), target.is_dir()) {
            (Local::Nothing, _) => Ok(()),
            (Local::AsPut, _) => fs::remove_file(&target),
            (Local::Own, true) => self.remove_folder(path, &target),
            (Local::Own, false) => {
                say(format_args!(
                    "`{}` was removed there; yours was changed and stays",
                    clean(path.as_str())
                ));
                Ok(())
            }
        };
        self.put.remove(path);
        self.report(path, removed);
    }

    /// Removes the files that were put into a folder, and the folders that are empty then.
    fn remove_folder(&mut self, path: &SharePath, folder: &Path) -> io::Result<()> {
        let inside: Vec<_> = self
            .put
            .keys()
            .filter(|put| put.starts_with(path))
            .cloned()
            .collect();
        for file in inside {
            self.remove(&file);
        }
        remove_empty(folder)
    }

    /// Renames a file that is still what was put there; anything else stays, and the new name is
    /// brought.
    async fn rename(&mut self, from: &SharePath, to: &SharePath) {
        let (old, new) = (self.at(from), self.at(to));
        let is_free = new.symlink_metadata().is_err();
        if matches!(self.local(from), Local::AsPut) && is_free {
            let parent = new.parent().map_or(Ok(()), fs::create_dir_all);
            let renamed = parent.and_then(|()| fs::rename(&old, &new));
            let put = self.put.remove(from).filter(|_| renamed.is_ok());
            if let Some(put) = put {
                self.note(to, put.content);
            }
            self.report(to, renamed);
            return;
        }
        let inside: Vec<_> = self.peer.list().into_iter().map(|shown| shown.path).collect();
        for path in inside.iter().filter(|path| path.starts_with(to)) {
            self.bring(path).await;
        }
        self.remove(from);
    }

    /// Brings everything that is not there, after events were missed.
    async fn catch_up(&mut self) {
        for shown in self.peer.list() {
            self.bring(&shown.path).await;
        }
    }

    fn at(&self, path: &SharePath) -> PathBuf {
        self.dir.join(path.as_str())
    }

    fn note(&mut self, path: &SharePath, content: ContentId) {
        if let Ok(metadata) = self.at(path).symlink_metadata() {
            let stamp = Stamp::of(&metadata);
            self.put.insert(path.clone(), Put { content, stamp });
        }
    }

    fn local(&self, path: &SharePath) -> Local {
        match self.at(path).symlink_metadata() {
            Err(_) => Local::Nothing,
            Ok(metadata) => match self.put.get(path) {
                Some(put) if put.stamp == Stamp::of(&metadata) => Local::AsPut,
                _ => Local::Own,
            },
        }
    }

    /// A free name beside `target`.
    fn beside(&self, target: &Path) -> Option<PathBuf> {
        let stem = target.file_stem()?.to_string_lossy();
        let extension = target.extension().map(|extension| extension.to_string_lossy());
        let name = |number: u32| {
            let number = if number == 1 {
                String::new()
            } else {
                format!(" {number}")
            };
            let extension = extension
                .as_ref()
                .map_or_else(String::new, |extension| format!(".{extension}"));
            target.with_file_name(format!("{stem} (other side{number}){extension}"))
        };
        (1..=NAMES_TRIED_MAX)
            .map(name)
            .find(|path| path.symlink_metadata().is_err())
    }

    fn report(&self, path: &SharePath, result: io::Result<()>) {
        if let Err(error) = result {
            say(format_args!(
                "could not change `{}`: {error}",
                clean(path.as_str())
            ));
        }
    }
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            len: metadata.len(),
            modified: metadata.modified().ok(),
            #[cfg(unix)]
            inode: std::os::unix::fs::MetadataExt::ino(metadata),
        }
    }
}

/// Removes a folder and the folders in it that hold nothing else.
fn remove_empty(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_empty(&entry.path())?;
        }
    }
    match fs::remove_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
        removed => removed,
    }
}
