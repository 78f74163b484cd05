//! Following the other side: its later changes appear in the folder that was joined.
//!
//! Events only say where to look. What is shared there now is compared with what was brought, and
//! the difference is brought or removed: first everything new, then what is gone, so that the bytes
//! of a renamed file are copied and not fetched. If a file was changed here, the other side's new
//! version goes beside it. [`JoinedFolder`] keeps what is the user's, and follows no link.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use tandem_core::catalog::{CatalogEvent, SharePath, Shown};
use tandem_core::clock::Clock;
use tandem_core::peer::{Event, EventStream, JoinedFolder, Peer, PullError};
use tandem_core::transfer::Progress;
use tokio::sync::Notify;

use crate::brought::{Brought, What};
use crate::event::Event as Reported;
use crate::limits::{BRING_RETRY_INTERVAL, EVENTS_COLLECTED_FOR, NAMES_TRIED_MAX};
use crate::screen::{self, clean, say, tell};

/// Brings changes of the other side into a folder.
pub(crate) struct Follower<'a> {
    peer: &'a Peer,
    folder: &'a JoinedFolder,
    dir: &'a Path,
    brought: Brought,
    due: Due,
}

/// Where to look.
#[derive(Debug, Default)]
struct Due {
    everywhere: bool,
    paths: BTreeSet<SharePath>,
    /// Folders that may have got everything that is in them.
    trees: BTreeSet<SharePath>,
}

/// Whether the present version of something is here now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum IsHere {
    Yes,
    No,
}

impl<'a> Follower<'a> {
    /// For the folder at `dir`, where that was brought before.
    pub(crate) fn new(peer: &'a Peer, (folder, dir): (&'a JoinedFolder, &'a Path), brought: Brought) -> Self {
        Self {
            peer,
            folder,
            dir,
            brought,
            due: Due::default(),
        }
    }

    /// Follows until the peer is closed. `changed_here` is notified of what this side has changed.
    pub(crate) async fn follow(&mut self, events: &mut EventStream, changed_here: &Notify) {
        let clock = Clock::system();
        let mut retry_at = clock.now();
        loop {
            let is_due = !self.due.paths.is_empty();
            let is_time = tokio::select! {
                event = events.next() => match event {
                    Some(event) => self.due.note(event),
                    None => return,
                },
                () = changed_here.notified() => {
                    self.due.everywhere = true;
                    true
                }
                () = clock.sleep_until(retry_at), if is_due => true,
            };
            if !is_time {
                continue;
            }
            let until = clock.now() + EVENTS_COLLECTED_FOR;
            loop {
                tokio::select! {
                    event = events.next() => match event {
                        Some(event) => drop(self.due.note(event)),
                        None => return,
                    },
                    () = clock.sleep_until(until) => break,
                }
            }
            if let Err(error) = self.settle().await {
                say(format_args!("could not keep what was brought: {error}"));
            }
            retry_at = clock.now() + BRING_RETRY_INTERVAL;
        }
    }

    /// Brings and removes what is due. What could not be brought stays due.
    async fn settle(&mut self) -> io::Result<()> {
        let due = std::mem::take(&mut self.due);
        let mut missing = BTreeSet::new();
        for shown in self.shared(&due) {
            if self.bring(&shown).await? == IsHere::No {
                missing.extend(What::of(&shown));
                self.due.paths.insert(shown.path);
            }
        }
        let names = self.brought.names().filter(|name| due.has(name));
        let gone: Vec<_> = names
            .filter(|name| self.peer.lookup(name).is_none())
            .cloned()
            .collect();
        // A folder comes before what is in it.
        for name in gone.into_iter().rev() {
            // What could not be brought may be here alone, under its old name.
            let is_needed = self
                .brought
                .get(&name)
                .is_some_and(|what| missing.contains(&what));
            if is_needed {
                self.due.paths.insert(name);
            } else {
                self.remove(&name)?;
            }
        }
        self.brought.save()
    }

    /// What is shared now, where it is due.
    fn shared(&self, due: &Due) -> Vec<Shown> {
        if due.everywhere || !due.trees.is_empty() {
            let mut all = self.peer.list();
            all.retain(|shown| due.has(&shown.path));
            return all;
        }
        let paths = due.paths.iter();
        paths.filter_map(|path| self.peer.lookup(path)).collect()
    }

    /// Brings the version that is shared, unless it was.
    async fn bring(&mut self, shown: &Shown) -> io::Result<IsHere> {
        let (path, name) = (&shown.path, clean(shown.path.as_str()));
        let Some(what) = What::of(shown) else {
            let reason = "links are brought only by joining";
            tell_left_out(path, reason);
            return Ok(IsHere::Yes);
        };
        let before = self.brought.get(path);
        // What this person has removed since stays away until there is a new version.
        if before == Some(what) {
            return Ok(IsHere::Yes);
        }
        if self.is_shared_from_here(shown) {
            self.brought.note(path, what)?;
            return Ok(IsHere::Yes);
        }
        if before.is_some_and(|before| before.is_folder() != what.is_folder()) {
            self.remove_tree(path)?;
        }
        let brought = match what {
            What::Folder => self.folder.make_folder(path),
            What::File(_) => match self.pull(path, path).await {
                Err(error) if error.keeps_what_is_there() => self.bring_beside(path).await,
                pulled => {
                    pulled.map(|()| tell(&Reported::Brought { path }, format_args!("brought `{name}`")))
                }
            },
        };
        match brought {
            Ok(()) => {
                self.brought.note(path, what)?;
                Ok(IsHere::Yes)
            }
            Err(error) => {
                say(format_args!("could not bring `{name}`: {error}"));
                Ok(IsHere::No)
            }
        }
    }

    /// Whether that version is the file of this side that is there.
    fn is_shared_from_here(&self, shown: &Shown) -> bool {
        let at = self.at(&shown.path);
        shown.holders.contains(&self.peer.fingerprint()) && self.peer.shared_files().contains(&at)
    }

    async fn pull(&self, path: &SharePath, at: &SharePath) -> Result<(), PullError> {
        let progress = Progress::default();
        let pulling = self.folder.pull_tracked(path, at, &progress);
        screen::with_bar(&progress, pulling).await.map(drop)
    }

    /// Brings a version beside the file of this side.
    async fn bring_beside(&self, path: &SharePath) -> Result<(), PullError> {
        let name = clean(path.as_str());
        let Some(beside) = self.beside(path) else {
            tell_left_out(path, "no name is free beside it");
            return Ok(());
        };
        self.pull(path, &beside).await?;
        let line = format!(
            "`{name}` was changed on both sides: yours stays, the other side's is `{}`",
            clean(beside.as_str())
        );
        tell(&Reported::Beside { path, at: &beside }, line);
        Ok(())
    }

    /// Removes what was brought to `path` and beneath.
    fn remove_tree(&mut self, path: &SharePath) -> io::Result<()> {
        let names = self.brought.names().filter(|name| name.starts_with(path));
        let names: Vec<_> = names.cloned().collect();
        names.iter().rev().try_for_each(|name| self.remove(name))
    }

    /// Removes what the other side removed, if it is still what was put there.
    fn remove(&mut self, path: &SharePath) -> io::Result<()> {
        let name = clean(path.as_str());
        let what = self.brought.forget(path)?;
        let removed = match what {
            Some(What::Folder) => self.folder.remove_empty(path),
            Some(What::File(_)) => self.folder.remove(path),
            None => Ok(()),
        };
        match removed {
            Ok(()) if matches!(what, Some(What::File(_))) => say(format_args!("removed `{name}`")),
            Ok(()) => {}
            Err(error) if error.keeps_what_is_there() => say(format_args!(
                "`{name}` was removed there; yours was changed and stays"
            )),
            Err(error) => say(format_args!("could not remove `{name}`: {error}")),
        }
        Ok(())
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
}

fn tell_left_out(path: &SharePath, reason: &str) {
    let (path, line) = (path.as_str(), format!("left out `{path}`: {reason}"));
    tell(&Reported::LeftOut { path, reason }, line);
}

impl Due {
    /// Whether the event says where to look.
    fn note(&mut self, event: Event) -> bool {
        match event {
            Event::Catalog(change) => self.note_change(change),
            Event::Missed { .. } | Event::Connected { .. } => self.everywhere = true,
            _ => return false,
        }
        true
    }

    fn note_change(&mut self, change: CatalogEvent) {
        match change {
            CatalogEvent::Added { path } | CatalogEvent::Changed { path } => drop(self.paths.insert(path)),
            CatalogEvent::Conflict { path, copy } => self.paths.extend([path, copy]),
            CatalogEvent::Removed { path } => drop(self.trees.insert(path)),
            CatalogEvent::Renamed { from, to } => self.trees.extend([from, to]),
            // Of a later version of the library.
            _ => self.everywhere = true,
        }
    }

    /// Whether this path has to be looked at.
    fn has(&self, path: &SharePath) -> bool {
        self.everywhere || self.paths.contains(path) || self.trees.iter().any(|tree| path.starts_with(tree))
    }
}
