//! Symbolic links that are received: made beneath the destination, and only where they stay in it.
//!
//! A link from another peer is text that we write down and never follow. One that leads out of the destination would
//! show whoever reads the folder later something of this machine, so it is not made at all.

use super::part_file::{Destination, StoreError};

/// What became of a received link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LinkFate {
    /// It is in place.
    Made,
    /// It leads out of the destination, or this system has no such links; nothing was made.
    LeftOut,
}

impl Destination {
    /// Makes a symbolic link that leads `up` folders up, as its text says, before it leads down; see
    /// [`crate::catalog::LinkTarget::leads_up`]. A file or link that is there is replaced.
    #[cfg(unix)]
    pub(crate) fn create_link(&self, target: &str, up: usize) -> Result<LinkFate, StoreError> {
        let parent = self.parent()?;
        // Counted where the folder really is: a link that was there before may have led somewhere less deep.
        if up > self.parent_depth()? {
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
    pub(crate) fn create_link(&self, _target: &str, _up: usize) -> Result<LinkFate, StoreError> {
        Ok(LinkFate::LeftOut)
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn link(root: &Path, at: &str, target: &str, up: usize) -> LinkFate {
        let root = Destination::folder(root).unwrap();
        root.join(Path::new(at)).create_link(target, up).unwrap()
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
    fn an_older_link_on_the_way_does_not_help_a_link_out() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("top")).unwrap();
        std::fs::create_dir_all(root.path().join("deep")).unwrap();
        std::os::unix::fs::symlink("../top", root.path().join("deep/way")).unwrap();
        assert_eq!(
            link(root.path(), "deep/way/link", "../../x", 2),
            LinkFate::LeftOut
        );
        assert_eq!(link(root.path(), "deep/way/link", "../x", 1), LinkFate::Made);
    }

    #[test]
    fn a_folder_that_has_the_name_stays_and_nothing_is_left_behind() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("a")).unwrap();
        let root_folder = Destination::folder(root.path()).unwrap();
        let refused = root_folder.join(Path::new("a")).create_link("b", 0);
        assert!(matches!(refused, Err(StoreError::Io { .. })));
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 1);
    }
}
