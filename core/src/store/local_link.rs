//! Symbolic links that are received: made beneath the destination, and only where they stay in it.
//!
//! A link from another peer is text that we write down and never follow. One that leads out of the
//! destination would show whoever reads the folder later something of this machine, so it is not
//! made at all. Nor is one that leads through a link which the share does not have: where that one
//! leads, its owner decides, and may decide anew.

use std::collections::HashMap;
#[cfg(unix)]
use std::ffi::OsString;
#[cfg(unix)]
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

#[cfg(unix)]
use cap_std::fs::Dir;

#[cfg(unix)]
use super::no_follow;
use super::part_file::{Destination, StoreError};
#[cfg(unix)]
use crate::limits::LINKS_FOLLOWED_MAX;

/// The links of what is pulled, by their paths beneath the root. One that is there with the same
/// text is known.
#[derive(Debug, Default)]
pub(crate) struct Links(HashMap<PathBuf, String>);

impl Links {
    /// Notes that a link goes there, with a text that does not lead out by itself; see
    /// [`crate::catalog::LinkTarget::leads_up`].
    pub(crate) fn note(&mut self, at: &Destination, target: &str) {
        self.0.insert(at.relative.clone(), target.to_owned());
    }
}

/// Links that were received, by their paths without links, and their texts.
#[derive(Debug, Default)]
pub(crate) struct ReceivedLinks(HashMap<PathBuf, String>);

impl ReceivedLinks {
    /// Notes that a link was made.
    pub(crate) fn note(&mut self, at: PathBuf, target: &str) {
        self.0.insert(at, target.to_owned());
    }

    /// Refuses a path to receive at which leads through one of these links, as long as it is what
    /// was made: the user may go through links of their own, but nobody else chooses where a file
    /// goes.
    pub(crate) fn refuse_on(&self, path: &Path) -> Result<(), StoreError> {
        let links = path.ancestors().filter(|at| at.is_symlink());
        let received = |at: &&Path| {
            let folder = at.parent().filter(|folder| !folder.as_os_str().is_empty());
            let folder = folder.unwrap_or(Path::new(".")).canonicalize().ok();
            let place = folder.zip(at.file_name()).map(|(folder, name)| folder.join(name));
            let made = place.and_then(|place| self.0.get(&place));
            made.is_some_and(|made| at.read_link().is_ok_and(|text| text.as_os_str() == made.as_str()))
        };
        let mut received = links.filter(received);
        received.next().map_or(Ok(()), |link| {
            let path = link.to_owned();
            Err(StoreError::Link { path })
        })
    }
}

/// What became of a received link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LinkFate {
    /// It is in place.
    Made,
    /// It leads out of the destination, or through a link that the share does not have, or this
    /// system has no such links; nothing was made.
    LeftOut,
}

impl Destination {
    /// Makes a symbolic link that leads `up` folders up, as its text says, before it leads down;
    /// see [`crate::catalog::LinkTarget::leads_up`]. A file or link that is there is replaced.
    #[cfg(unix)]
    pub(crate) fn create_link(&self, target: &str, up: usize, links: &Links) -> Result<LinkFate, StoreError> {
        let way = self.parent_path();
        if up > way.components().count() {
            return Ok(LinkFate::LeftOut);
        }
        self.check()?;
        let mut walk = Walk {
            folders: self.enter(way)?,
            reached: way.to_owned(),
            root: self.root()?,
        };
        let parent = walk.folder().try_clone();
        let parent = parent.map_err(|e| self.failed("open the folder of", e))?;
        // One that leads where this user can't look is left out, and fails no pull.
        if !walk.stays(target, links).unwrap_or(false) {
            return Ok(LinkFate::LeftOut);
        }
        let temporary = super::part_file::temporary_name(self)?;
        let name = self.relative.file_name().unwrap_or_default();
        let made = parent.symlink(target, &temporary);
        made.map_err(|e| self.failed("create the link", e))?;
        parent.rename(&temporary, &parent, name).map_err(|e| {
            // What is left behind then is told by the same error.
            drop(parent.remove_file(&temporary));
            self.failed("rename into place", e)
        })?;
        Ok(LinkFate::Made)
    }

    /// Windows tells links to folders from links to files, and lets few make them.
    #[cfg(not(unix))]
    pub(crate) fn create_link(
        &self,
        _target: &str,
        _up: usize,
        _links: &Links,
    ) -> Result<LinkFate, StoreError> {
        Ok(LinkFate::LeftOut)
    }
}

/// Follows a text beneath the root, as the kernel would, one name after the other.
#[cfg(unix)]
struct Walk {
    root: Dir,
    /// The folders on the way, without the root.
    folders: Vec<Dir>,
    reached: PathBuf,
}

#[cfg(unix)]
impl Walk {
    fn folder(&self) -> &Dir {
        self.folders.last().unwrap_or(&self.root)
    }

    /// Whether `target` stays beneath the root and meets no links but known ones. What does not
    /// exist leads nowhere, and so does a name that is too long for a file.
    fn stays(&mut self, target: &str, links: &Links) -> std::io::Result<bool> {
        let mut pending = names_of(target);
        let mut followed_count = 0;
        while let Some(name) = pending.pop() {
            if name == ".." {
                if self.folders.pop().is_none() {
                    return Ok(false);
                }
                self.reached.pop();
                continue;
            }
            let at = self.reached.join(&name);
            let kind = match self.folder().symlink_metadata(&name) {
                Ok(metadata) => metadata.file_type(),
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidFilename) => {
                    return Ok(true);
                }
                Err(error) => return Err(error),
            };
            if kind.is_symlink() {
                let text = self.folder().read_link_contents(&name)?;
                let known = links
                    .0
                    .get(&at)
                    .filter(|known| text.as_os_str() == known.as_str());
                let Some(known) = known.filter(|_| followed_count < LINKS_FOLLOWED_MAX) else {
                    return Ok(false);
                };
                followed_count += 1;
                pending.extend(names_of(known));
            } else if kind.is_dir() {
                let folder = no_follow::open_folder_in(self.folder(), &name)?;
                self.folders.push(folder);
                self.reached = at;
            } else {
                return Ok(true);
            }
        }
        Ok(true)
    }
}

/// The names of a path, the last one first.
#[cfg(unix)]
fn names_of(target: &str) -> Vec<OsString> {
    let names = target.split('/').filter(|name| !matches!(*name, "" | "."));
    names.rev().map(OsString::from).collect()
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;

    fn link(root: &Path, at: &str, target: &str, up: usize) -> LinkFate {
        try_link(root, at, target, up).unwrap()
    }

    fn try_link(root: &Path, at: &str, target: &str, up: usize) -> Result<LinkFate, StoreError> {
        let root = Destination::folder(root).unwrap();
        root.join(Path::new(at))
            .create_link(target, up, &Links::default())
    }

    #[test]
    fn a_link_within_the_destination_is_made_and_replaces_what_has_its_name() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("a")).unwrap();
        std::fs::write(root.path().join("a/link"), b"old").unwrap();
        for target in ["../b", "../c"] {
            assert_eq!(link(root.path(), "a/link", target, 1), LinkFate::Made);
            assert_eq!(root.path().join("a/link").read_link().unwrap(), Path::new(target));
        }
        assert_eq!(std::fs::read_dir(root.path().join("a")).unwrap().count(), 1);
    }

    #[test]
    fn a_link_out_of_the_destination_is_left_out() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(link(root.path(), "link", "../b", 1), LinkFate::LeftOut);
        assert_eq!(link(root.path(), "a/link", "../../b", 2), LinkFate::LeftOut);
        assert!(!root.path().join("a/link").is_symlink());
    }

    #[test]
    fn a_link_to_a_name_that_no_file_can_have_leads_nowhere() {
        let root = tempfile::tempdir().unwrap();
        let target = format!("{}/x", "n".repeat(300));
        assert_eq!(link(root.path(), "link", &target, 0), LinkFate::Made);
        assert_eq!(root.path().join("link").read_link().unwrap(), Path::new(&target));
    }

    #[test]
    fn a_link_of_which_nobody_can_tell_where_it_leads_is_left_out() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(link(root.path(), "link", "no\0name/x", 0), LinkFate::LeftOut);
        assert!(!root.path().join("link").is_symlink());
    }

    #[test]
    fn an_older_link_on_the_way_is_an_error() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("top")).unwrap();
        std::fs::create_dir_all(root.path().join("deep")).unwrap();
        std::os::unix::fs::symlink("../top", root.path().join("deep/way")).unwrap();
        let refused = try_link(root.path(), "deep/way/link", "../x", 1);
        assert!(matches!(refused, Err(StoreError::Link { path }) if path.ends_with("deep/way")));
        assert_eq!(std::fs::read_dir(root.path().join("top")).unwrap().count(), 0);
    }

    #[test]
    fn a_link_leads_through_the_links_of_the_share_and_no_others() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("a/b")).unwrap();
        let folder = Destination::folder(root.path()).unwrap();
        let mut links = Links::default();
        links.note(&folder.join(Path::new("way")), "a/b");
        let make =
            |at: &str, target: &str| folder.join(Path::new(at)).create_link(target, 0, &links).unwrap();
        assert_eq!(make("way", "a/b"), LinkFate::Made);
        assert_eq!(make("through", "way/x"), LinkFate::Made);
        // What the share's own link leads to is looked at as well.
        std::os::unix::fs::symlink("/", root.path().join("a/b/x")).unwrap();
        assert_eq!(make("further", "way/x/etc"), LinkFate::LeftOut);
        std::fs::remove_file(root.path().join("way")).unwrap();
        std::os::unix::fs::symlink("a", root.path().join("way")).unwrap();
        assert_eq!(make("again", "way/y"), LinkFate::LeftOut);
    }

    #[test]
    fn links_in_a_circle_are_not_followed_for_ever() {
        let root = tempfile::tempdir().unwrap();
        let folder = Destination::folder(root.path()).unwrap();
        let mut links = Links::default();
        links.note(&folder.join(Path::new("circle")), "circle");
        let circle = folder.join(Path::new("circle"));
        assert_eq!(circle.create_link("circle", 0, &links).unwrap(), LinkFate::Made);
        assert_eq!(
            circle.create_link("circle", 0, &links).unwrap(),
            LinkFate::LeftOut
        );
    }

    #[test]
    fn a_folder_that_has_the_name_stays_and_nothing_is_left_behind() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("a")).unwrap();
        let root_folder = Destination::folder(root.path()).unwrap();
        let refused = root_folder
            .join(Path::new("a"))
            .create_link("b", 0, &Links::default());
        assert!(matches!(refused, Err(StoreError::Io { .. })));
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 1);
    }
}
