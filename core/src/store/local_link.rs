//! Received symbolic links: made beneath the destination, and only if they stay in it.
//!
//! A link from another peer is text that this peer writes down and never follows. A link out of the
//! destination would show something of this machine to every later reader of the folder, so it is
//! not made at all. Neither is a link that leads through a link that is not in the share: the owner
//! of that one decides where it leads, and may change it.

use std::collections::HashMap;
#[cfg(unix)]
use std::ffi::OsString;
#[cfg(unix)]
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

#[cfg(unix)]
use cap_std::fs::Dir;

use super::Destination;
use super::StoreError;
#[cfg(unix)]
use super::no_follow;
#[cfg(unix)]
use crate::limits::LINKS_FOLLOWED_MAX;

/// The links of a pull, by their paths beneath the root. An existing link with the same text is
/// known.
#[derive(Debug, Default)]
pub(crate) struct Links(HashMap<PathBuf, String>);

impl Links {
    /// Notes that there will be a link, whose text alone does not lead out; see
    /// [`crate::catalog::LinkTarget::leads_up`].
    pub(crate) fn note(&mut self, at: &Destination, target: &str) {
        self.0.insert(at.relative.clone(), target.to_owned());
    }
}

/// Links that were received, by their paths (which have no links in them), and their texts.
#[derive(Debug, Default)]
pub(crate) struct ReceivedLinks(HashMap<PathBuf, String>);

impl ReceivedLinks {
    /// Notes that a link was made.
    pub(crate) fn note(&mut self, at: PathBuf, target: &str) {
        self.0.insert(at, target.to_owned());
    }

    /// Refuses a path that leads through one of these links while it is as it was made. The user
    /// may receive through links of their own, but no other peer chooses where a file goes.
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

/// What was done with a received link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LinkFate {
    /// It is in place.
    Made,
    /// It leads out of the destination, or through a link that the share does not have, or this
    /// system has no such links. Nothing was made.
    LeftOut,
}

impl Destination {
    /// Makes a symbolic link whose text leads `up` folders up before it leads down; see
    /// [`crate::catalog::LinkTarget::leads_up`]. Replaces an existing file or link.
    #[cfg(unix)]
    pub(crate) fn create_link(&self, target: &str, up: usize, links: &Links) -> Result<LinkFate, StoreError> {
        let way = self.parent_path();
        if up > way.components().count() {
            return Ok(LinkFate::LeftOut);
        }
        self.check_for_link(target)?;
        let mut walk = Walk {
            folders: self.enter(way)?,
            reached: way.to_owned(),
            root: self.root()?,
        };
        let parent = walk.folder().try_clone();
        let parent = parent.map_err(|e| self.failed("open the folder of", e))?;
        // A link that leads where this user can't look is left out, and does not fail the pull.
        if !walk.stays(target, links).unwrap_or(false) {
            return Ok(LinkFate::LeftOut);
        }
        let temporary = super::part_name::random().map_err(|e| self.failed("name a file in", e))?;
        let name = self.relative.file_name().unwrap_or_default();
        let made = parent.symlink(target, &temporary);
        made.map_err(|e| self.failed("create the link", e))?;
        parent.rename(&temporary, &parent, name).map_err(|e| {
            // If this fails too, the same error reports the leftover.
            drop(parent.remove_file(&temporary));
            self.failed("rename into place", e)
        })?;
        Ok(LinkFate::Made)
    }

    /// Windows has different links for folders and for files, and lets few users make them.
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

/// Follows a text beneath the root as the kernel would, name by name.
#[cfg(unix)]
struct Walk {
    root: Dir,
    /// The folders that were passed, without the root.
    folders: Vec<Dir>,
    reached: PathBuf,
}

#[cfg(unix)]
impl Walk {
    fn folder(&self) -> &Dir {
        self.folders.last().unwrap_or(&self.root)
    }

    /// Whether `target` stays beneath the root and meets only known links. A name that does not
    /// exist leads nowhere, and neither does one that is too long for a file.
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
    fn a_link_that_leads_where_this_user_cannot_look_is_left_out() {
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
    fn a_link_may_lead_through_links_of_the_share_but_not_through_others() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("a/b")).unwrap();
        let folder = Destination::folder(root.path()).unwrap();
        let mut links = Links::default();
        links.note(&folder.join(Path::new("way")), "a/b");
        let make =
            |at: &str, target: &str| folder.join(Path::new(at)).create_link(target, 0, &links).unwrap();
        assert_eq!(make("way", "a/b"), LinkFate::Made);
        assert_eq!(make("through", "way/x"), LinkFate::Made);
        // The target of the share's own link is checked as well.
        std::os::unix::fs::symlink("/", root.path().join("a/b/x")).unwrap();
        assert_eq!(make("further", "way/x/etc"), LinkFate::LeftOut);
        std::fs::remove_file(root.path().join("way")).unwrap();
        std::os::unix::fs::symlink("a", root.path().join("way")).unwrap();
        assert_eq!(make("again", "way/y"), LinkFate::LeftOut);
    }

    #[test]
    fn links_are_followed_up_to_the_limit_and_a_longer_chain_is_left_out() {
        let root = tempfile::tempdir().unwrap();
        let folder = Destination::folder(root.path()).unwrap();
        let place = |number: usize| folder.join(Path::new(&number.to_string()));
        let mut links = Links::default();
        for number in 0..=LINKS_FOLLOWED_MAX {
            let target = (number + 1).to_string();
            std::os::unix::fs::symlink(&target, root.path().join(number.to_string())).unwrap();
            links.note(&place(number), &target);
        }
        let link = folder.join(Path::new("link"));
        assert_eq!(link.create_link("1", 0, &links).unwrap(), LinkFate::Made);
        assert_eq!(link.create_link("0", 0, &links).unwrap(), LinkFate::LeftOut);
    }

    #[test]
    fn following_links_in_a_circle_ends() {
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
    fn an_existing_folder_of_the_name_stays_and_nothing_is_left_behind() {
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
