//! Following the other side: its later changes appear in the folder that was joined.
//!
//! Owns what becomes of each change: if a file was changed here, the other side's new version goes
//! beside it. [`JoinedFolder`] keeps what is the user's, and follows no link.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tandem_core::catalog::{CatalogEvent, ContentId, SharePath, Shown};
use tandem_core::peer::{Event, EventStream, JoinedFolder, Peer, PullError};

use crate::limits::NAMES_TRIED_MAX;
use crate::screen::{GAVE_UP, GONE, clean, say};

/// Brings changes of the other side into a folder.
pub(crate) struct Follower<'a> {
    peer: &'a Peer,
    folder: &'a JoinedFolder,
    dir: &'a Path,
    /// What was brought last under each name, to its place or beside it.
    brought: BTreeMap<SharePath, ContentId>,
}

/// Whether the present version of something is here now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Brought {
    Yes,
    No,
}

impl<'a> Follower<'a> {
    /// For the folder at `dir`, to which `pulled` was just pulled, and possibly more.
    pub(crate) fn new(peer: &'a Peer, (folder, dir): (&'a JoinedFolder, &'a Path), pulled: &[Shown]) -> Self {
        let content = |shown: &Shown| Some((shown.path.clone(), shown.file()?.content));
        Self {
            peer,
            folder,
            dir,
            brought: pulled.iter().filter_map(content).collect(),
        }
    }

    /// Follows until the peer is closed.
    pub(crate) async fn follow(&mut self, events: &mut EventStream) {
        while let Some(event) = events.next().await {
            match event {
                Event::Catalog(change) => self.apply(change).await,
                Event::Missed { .. } => self.catch_up().await,
                Event::Connected { .. } => {
                    say("connected again");
                    self.catch_up().await;
                }
                Event::Disconnected { .. } => say(GONE),
                Event::ReconnectFailed { .. } => say(GAVE_UP),
                _ => {}
            }
        }
    }

    async fn apply(&mut self, change: CatalogEvent) {
        match change {
            CatalogEvent::Added { path } | CatalogEvent::Changed { path } => drop(self.bring(&path).await),
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
    async fn bring(&mut self, path: &SharePath) -> Brought {
        let Some(shown) = self.peer.lookup(path) else {
            return Brought::No;
        };
        let name = clean(path.as_str());
        if shown.link().is_some() {
            say(format_args!(
                "left out `{name}`: links are brought only by joining"
            ));
            return Brought::No;
        }
        let Some(content) = shown.file().map(|file| file.content) else {
            return self.report(path, self.folder.make_folder(path));
        };
        if self.brought.get(path) == Some(&content) && self.at(path).symlink_metadata().is_ok() {
            return Brought::Yes;
        }
        let pulled = match self.folder.pull(path, path).await {
            Err(error) if error.keeps_what_is_there() => self.bring_beside(path).await,
            Ok(_) => {
                say(format_args!("brought `{name}`"));
                Ok(())
            }
            Err(error) => Err(error),
        };
        if pulled.is_ok() {
            self.brought.insert(path.clone(), content);
        }
        self.report(path, pulled)
    }

    /// Brings a version beside the file of this side.
    async fn bring_beside(&self, path: &SharePath) -> Result<(), PullError> {
        let name = clean(path.as_str());
        let Some(beside) = self.beside(path) else {
            say(format_args!("left out `{name}`: no name is free beside it"));
            return Ok(());
        };
        self.folder.pull(path, &beside).await?;
        say(format_args!(
            "`{name}` was changed on both sides: yours stays, the other side's is `{}`",
            clean(beside.as_str())
        ));
        Ok(())
    }

    /// Removes what the other side removed, if it is still what was put there.
    fn remove(&mut self, path: &SharePath) {
        let is_folder = self.at(path).symlink_metadata().is_ok_and(|there| there.is_dir());
        if is_folder {
            let names = self.brought.keys();
            let inside: Vec<_> = names.filter(|name| name.starts_with(path)).cloned().collect();
            for file in inside {
                self.remove_file(&file);
            }
            self.report(path, self.folder.remove_empty(path));
        } else {
            self.remove_file(path);
        }
    }

    fn remove_file(&mut self, path: &SharePath) {
        self.brought.remove(path);
        match self.folder.remove(path) {
            Err(error) if error.keeps_what_is_there() => say(format_args!(
                "`{}` was removed there; yours was changed and stays",
                clean(path.as_str())
            )),
            removed => drop(self.report(path, removed)),
        }
    }

    /// Brings what was renamed under its new name, and removes it under the old one. The bytes are
    /// copied from there.
    async fn rename(&mut self, from: &SharePath, to: &SharePath) {
        let is_folder = self.peer.lookup(to).is_some_and(|shown| shown.file().is_none());
        let mut all = vec![to.clone()];
        if is_folder {
            let paths = self.peer.list().into_iter().map(|shown| shown.path);
            all = paths.filter(|path| path.starts_with(to)).collect();
        }
        let mut is_whole = true;
        for path in all {
            is_whole &= self.bring(&path).await == Brought::Yes;
        }
        // What could not be brought may be here alone.
        if is_whole {
            self.remove(from);
        }
    }

    /// Brings everything that is not there and removes what is no longer shared, after events were
    /// missed or something could not be brought.
    async fn catch_up(&mut self) {
        for shown in self.peer.list() {
            self.bring(&shown.path).await;
        }
        let names = self.brought.keys();
        let gone: Vec<_> = names
            .filter(|name| self.peer.lookup(name).is_none())
            .cloned()
            .collect();
        for name in gone {
            self.remove_file(&name);
        }
    }

    fn at(&self, path: &SharePath) -> PathBuf {
        self.dir.join(path.as_str())
    }

    /// A free name beside `path`.
    fn beside(&self, path: &SharePath) -> Option<SharePath> {
        let whole = Path::new(path.as_str());
        let stem = whole.file_stem()?.to_str()?;
        let extension = whole.extension().and_then(|extension| extension.to_str());
        let extension = extension.map_or_else(String::new, |extension| format!(".{extension}"));
        let name = |number: u32| {
            let number = if number == 1 {
                String::new()
            } else {
                format!(" {number}")
            };
            let name = whole.with_file_name(format!("{stem} (other side{number}){extension}"));
            SharePath::parse(name.to_str()?).ok()
        };
        let is_free = |path: &SharePath| self.at(path).symlink_metadata().is_err();
        (1..=NAMES_TRIED_MAX).filter_map(name).find(is_free)
    }

    fn report(&self, path: &SharePath, result: Result<(), PullError>) -> Brought {
        let Err(error) = result else {
            return Brought::Yes;
        };
        say(format_args!(
            "could not bring `{}`: {error}",
            clean(path.as_str())
        ));
        Brought::No
    }
}
