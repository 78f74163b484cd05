//! Watching what is shared: changes on this disk are shared soon after they were made.
//!
//! The system reports paths, not what happened to them; each reported path is compared with what is
//! there now. A path that is reported several times within a moment is looked at once. No link is
//! followed: what is behind one was not shared.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use notify::{Config, RecommendedWatcher, RecursiveMode, Watcher as _};
use tandem_core::catalog::SharePath;
use tandem_core::clock::Clock;
use tandem_core::peer::{Peer, ShareError, SkippedFile};
use tokio::sync::Notify;

use crate::event::Event;
use crate::exit::{Exit, Failure, OrExit};
use crate::limits::CHANGES_COLLECTED_FOR;
use crate::screen::{self, clean, say, say_always, tell};
use crate::shares::Root;

/// A running watch. Dropping it ends the watch.
pub(crate) struct Watch {
    roots: Vec<Root>,
    folders: Vec<Folder>,
    reported: Arc<Reported>,
    _watcher: RecommendedWatcher,
}

/// A folder that is watched. The system goes on to report what happens in it after it was moved, by
/// the paths that it had: then nothing that seems to be gone was removed.
struct Folder {
    path: PathBuf,
    id: Option<Id>,
    was_absent: AtomicBool,
}

/// Distinguishes folders, where the system can.
type Id = (u64, u64);

/// The paths that were reported and not looked at yet.
#[derive(Debug, Default)]
struct Reported {
    paths: Mutex<BTreeSet<PathBuf>>,
    /// Whether reports were lost: whatever is shared may have changed.
    lost: AtomicBool,
    arrived: Notify,
}

impl Watch {
    /// Watches these paths from now on. What changed before [`Watch::follow`] is not lost.
    pub(crate) fn start(roots: Vec<Root>) -> notify::Result<Self> {
        let reported = Arc::new(Reported::default());
        let all: Vec<_> = roots.iter().map(|root| root.path.clone()).collect();
        let note = reported.clone();
        let noting = move |event: notify::Result<notify::Event>| match event {
            Ok(event) if event.kind.is_access() => {}
            Ok(event) if !event.need_rescan() => note.add(event.paths),
            Ok(_) | Err(_) => note.lose(all.clone()),
        };
        let config = Config::default().with_follow_symlinks(false);
        let mut watcher = RecommendedWatcher::new(noting, config)?;
        for root in &roots {
            let watched = match root.path.parent().filter(|_| !root.path.is_dir()) {
                // An editor may put another file in the place of the one that is watched.
                Some(folder) => watcher.watch(folder, RecursiveMode::NonRecursive),
                None => watcher.watch(&root.path, RecursiveMode::Recursive),
            };
            if let Err(error) = watched {
                let (path, error) = (root.path.display().to_string(), error.to_string());
                say(format_args!(
                    "not all changes of `{}` will be noticed: {}",
                    clean(&path),
                    clean(&error)
                ));
            }
        }
        let folders = roots.iter().filter(|root| root.path.is_dir());
        Ok(Self {
            folders: folders.map(|root| Folder::at(&root.path)).collect(),
            roots,
            reported,
            _watcher: watcher,
        })
    }

    /// Shares changes as they are reported. Never returns.
    pub(crate) async fn follow(&self, peer: &Peer) {
        let clock = Clock::system();
        loop {
            self.reported.arrived.notified().await;
            clock.sleep_until(clock.now() + CHANGES_COLLECTED_FOR).await;
            let mut paths = self.reported.take();
            if self.reported.lost.swap(false, Ordering::AcqRel) {
                paths.extend(vanished(peer));
            }
            let absent: Vec<_> = self.folders.iter().filter(|folder| folder.is_absent()).collect();
            paths.retain(|path| !absent.iter().any(|folder| path.starts_with(&folder.path)));
            let (gone, there): (Vec<_>, Vec<_>) = paths.into_iter().partition(|path| is_gone(path));
            // What was renamed has its new name first, so that its content stays known.
            for path in there.iter().chain(&gone) {
                self.look(peer, path).await;
            }
        }
    }

    /// Shares what is at the path now.
    async fn look(&self, peer: &Peer, path: &Path) {
        let Some(name) = self.roots.iter().find_map(|root| root.name_of(path)) else {
            return;
        };
        let shared = match (path.symlink_metadata(), &name) {
            (Ok(there), _) if there.is_dir() || (there.is_file() && name.is_some()) => {
                peer.add_resolved(path, name.as_ref()).await.map(drop)
            }
            (Err(error), Some(name)) if error.kind() == ErrorKind::NotFound => {
                // Its parent may have been removed before, and it with it.
                drop(peer.remove(name));
                Ok(())
            }
            _ => Ok(()),
        };
        match shared {
            Ok(()) => {}
            // It is gone or being written; the next report leads here again.
            Err(ShareError::Source { .. }) => {}
            Err(ShareError::NameTaken { name, .. }) => say(format_args!(
                "`{0}` was changed on both sides: yours stays here, the other side's is in the share\n\
                 hint: to share yours in its place: tandem put --replace `{1}` SHARE:FOLDER",
                clean(name.as_str()),
                screen::path(path)
            )),
            Err(error) => say(format_args!("not shared: {}", clean(&error.to_string()))),
        }
    }
}

/// Shares the paths, and says how much that is and what was left out.
pub(crate) async fn add(peer: &Peer, roots: &[Root]) -> Result<(), Failure> {
    let (mut count, mut len) = (0, 0);
    for root in roots {
        // Another user may have put a link into the path since it was resolved.
        let added = peer.add_resolved(&root.path, root.name.as_ref()).await;
        let added = added.or_exit(Exit::LocalDisk)?;
        count += added.count;
        len += added.len;
        added.skipped.iter().for_each(tell_left_out);
    }
    let line = format!("sharing {}, {}", screen::count(count, "file"), screen::bytes(len));
    let (files, bytes) = (count, len);
    tell(&Event::Sharing { files, bytes }, line);
    Ok(())
}

fn tell_left_out(skipped: &SkippedFile) {
    let path = screen::path(&skipped.path);
    let reason = skipped.reason.as_ref().map(ToString::to_string);
    let reason = reason.unwrap_or_else(|| screen::NO_ORDINARY_FILE.to_owned());
    let line = format!("left out `{path}`: {reason}");
    let (path, reason) = (&skipped.path.to_string_lossy(), &reason);
    tell(&Event::LeftOut { path, reason }, line);
}

/// The files that were shared and are not there any more.
pub(crate) fn vanished(peer: &Peer) -> Vec<PathBuf> {
    let mut files = peer.shared_files();
    files.retain(|path| is_gone(path));
    files
}

/// Shares these files no longer.
pub(crate) fn forget(peer: &Peer, roots: &[Root], gone: &[PathBuf]) {
    let names = gone
        .iter()
        .filter_map(|path| roots.iter().find_map(|root| root.name_of(path)));
    for name in names.flatten() {
        // The other side may have removed it meanwhile.
        drop(peer.remove(&name));
    }
}

impl Root {
    /// The name of a path in the share; `Some(None)` for the share itself, `None` for a path that
    /// is not in this root.
    fn name_of(&self, path: &Path) -> Option<Option<SharePath>> {
        let inside = path.strip_prefix(&self.path).ok()?;
        let parts = inside
            .iter()
            .map(|part| part.to_str())
            .collect::<Option<Vec<_>>>()?;
        let prefix = self.name.as_ref().map(SharePath::as_str);
        let whole: Vec<_> = prefix.into_iter().chain(parts).collect();
        if whole.is_empty() {
            return Some(None);
        }
        SharePath::parse(&whole.join("/")).ok().map(Some)
    }
}

impl Folder {
    fn at(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            id: id_at(path),
            was_absent: AtomicBool::new(false),
        }
    }

    /// Whether the folder is not at its path any more. Says so when it has just vanished.
    fn is_absent(&self) -> bool {
        let is_absent = id_at(&self.path) != self.id;
        if is_absent && !self.was_absent.swap(is_absent, Ordering::AcqRel) {
            say_always(format_args!(
                "`{}` was moved, or its disk is gone: changes in it are not shared\n\
                 hint: put it back, and start this share again",
                screen::path(&self.path)
            ));
        }
        is_absent
    }
}

#[cfg(unix)]
fn id_at(path: &Path) -> Option<Id> {
    use std::os::unix::fs::MetadataExt as _;
    let there = path.symlink_metadata().ok()?;
    Some((there.dev(), there.ino()))
}

#[cfg(not(unix))]
fn id_at(path: &Path) -> Option<Id> {
    path.is_dir().then_some((0, 0))
}

fn is_gone(path: &Path) -> bool {
    path.symlink_metadata()
        .is_err_and(|error| error.kind() == ErrorKind::NotFound)
}

impl Reported {
    /// Notes that reports were lost, and that all of `roots` has to be looked at.
    fn lose(&self, roots: Vec<PathBuf>) {
        self.lost.store(true, Ordering::Release);
        self.add(roots);
    }

    fn add(&self, paths: Vec<PathBuf>) {
        self.lock().extend(paths);
        self.arrived.notify_one();
    }

    fn take(&self) -> BTreeSet<PathBuf> {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeSet<PathBuf>> {
        self.paths.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::panic::Location;

    use tandem_tests::wait::{Look, poll};

    use super::*;

    fn name(root: Option<&str>, path: &str) -> Option<Option<String>> {
        let root = Root {
            path: PathBuf::from("/home/alice/photos"),
            name: root.map(|name| SharePath::parse(name).unwrap()),
        };
        let name = root.name_of(Path::new(path))?;
        Some(name.map(|name| name.as_str().to_owned()))
    }

    #[test]
    fn a_path_has_the_name_that_it_was_shared_under() {
        assert_eq!(
            name(None, "/home/alice/photos/a/b.jpg"),
            Some(Some("a/b.jpg".into()))
        );
        assert_eq!(
            name(Some("p"), "/home/alice/photos/b.jpg"),
            Some(Some("p/b.jpg".into()))
        );
        assert_eq!(name(Some("p"), "/home/alice/photos"), Some(Some("p".into())));
        assert_eq!(name(None, "/home/alice/photos"), Some(None));
        assert_eq!(name(None, "/home/alice/elsewhere"), None);
    }

    #[tokio::test]
    async fn what_vanished_while_reports_were_lost_is_not_shared_any_more() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        std::fs::write(root.join("kept.txt"), b"kept").unwrap();
        std::fs::write(root.join("gone.txt"), b"gone").unwrap();
        let relay = "http://127.0.0.1:9".parse().unwrap();
        let config = tandem_core::peer::PeerConfig::new(relay).listen("127.0.0.1:0".parse().unwrap());
        let peer = Peer::start(config).await.unwrap();
        peer.add_tree(&root, None).await.unwrap();
        std::fs::remove_file(root.join("gone.txt")).unwrap();
        let roots = vec![Root {
            path: root.clone(),
            name: None,
        }];
        let watch = Watch::start(roots).unwrap();
        assert_eq!(vanished(&peer), [root.join("gone.txt")]);
        watch.reported.lose(vec![root]);
        let look = || match peer.list().len() {
            1 => Look::Ready(()),
            count => Look::NotYet(format!("{count} are shared")),
        };
        tokio::select! {
            () = watch.follow(&peer) => {}
            () = poll(Location::caller(), "the removal", look) => {}
        }
        assert_eq!(peer.list()[0].path.as_str(), "kept.txt");
        peer.close().await.unwrap();
    }
}
