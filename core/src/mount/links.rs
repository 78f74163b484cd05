//! Which links of a share may be read: those that stay inside it, and those that were made here.
//!
//! The text of a link is followed by whichever program reads it. A link that the other peer made
//! must not lead that program to another file of this machine, so its text is given out only under
//! the rule by which a pull makes links on a disk ([`LinkTarget::leads_up`]), and only if no link
//! on its way leads out. A link that was made through a mount of this peer keeps its text for as
//! long as it stays where this side put it. No I/O here.
//!
//! The mount option `nosymfollow` ([`Links::Nowhere`](super::Links::Nowhere)) is not the default:
//! with it the kernel follows no link of the mount at all, and trees of git or npm have links to
//! their own files. Refusing the text of a link that leads out also protects mounts that
//! `fusermount3` makes.

use std::collections::{BTreeMap, VecDeque};

use crate::catalog::{Catalog, Kind, LinkTarget, Name, SharePath};
use crate::limits::LINKS_FOLLOWED_MAX;

/// The links that were made through a mount of this peer: where each is, and its text.
#[derive(Debug, Default)]
pub(super) struct OwnLinks(BTreeMap<SharePath, LinkTarget>);

impl OwnLinks {
    /// Notes a link that was made here.
    pub(super) fn note(&mut self, path: SharePath, target: LinkTarget) {
        self.0.insert(path, target);
    }

    /// Whether this peer made a link with that text there, and the other peer has not touched it
    /// since.
    pub(super) fn contains(&self, path: &SharePath, target: &LinkTarget) -> bool {
        self.0.get(path) == Some(target)
    }

    /// Forgets the link at a path, or all links in the folder there: it is gone, or the other peer
    /// has moved or changed it.
    pub(super) fn forget(&mut self, path: &SharePath) {
        drop(self.take(path));
    }

    /// Follows a rename by this side; a link that had the new name is gone.
    pub(super) fn rename(&mut self, from: &SharePath, to: &SharePath) {
        let moved = self.take(from);
        self.forget(to);
        self.put(moved, from, to);
    }

    /// Follows an exchange of two paths by this side.
    pub(super) fn exchange(&mut self, one: &SharePath, other: &SharePath) {
        let (ones, others) = (self.take(one), self.take(other));
        self.put(ones, one, other);
        self.put(others, other, one);
    }

    fn take(&mut self, path: &SharePath) -> Vec<(SharePath, LinkTarget)> {
        let within = self.0.range(path.clone()..);
        let within = within.take_while(|(link, _)| link.starts_with(path));
        let paths: Vec<_> = within.map(|(link, _)| link.clone()).collect();
        let taken = paths.into_iter().filter_map(|link| self.0.remove_entry(&link));
        taken.collect()
    }

    fn put(&mut self, links: Vec<(SharePath, LinkTarget)>, from: &SharePath, to: &SharePath) {
        for (path, target) in links {
            if let Some(Ok(path)) = path.moved(from, to) {
                self.note(path, target);
            }
        }
    }
}

/// Whether a program that follows the link at `path` stays in the share. `depth` is the number of
/// folders that the link is known to be in; it may be less than the depth of the path.
///
/// Only the catalog of this moment is asked. Steps up are counted from the link's own folder, so
/// the count can't change meanwhile; the kernel asks for the text of a link on the way when it gets
/// there.
pub(super) fn stays_inside(catalog: &Catalog, path: &SharePath, target: &LinkTarget, depth: usize) -> bool {
    let mut way = Way {
        folder: path.parent(),
        names: VecDeque::new(),
    };
    if target.leads_up().is_none_or(|up| up > depth) || !way.turn(target) {
        return false;
    }
    let mut followed = 1;
    while let Some(name) = way.names.pop_front() {
        let named = Name::new(&name).and_then(|name| SharePath::within(way.folder.as_ref(), &name));
        // Nothing has that name, or can have it: the path ends in the share.
        let Some(shown) = named.ok().and_then(|path| catalog.lookup(&path)) else {
            return true;
        };
        match shown.kind {
            Kind::Folder => way.folder = Some(shown.path),
            Kind::File(_) => return true,
            // The kernel follows no more links than that.
            Kind::Link(_) if followed == LINKS_FOLLOWED_MAX => return true,
            Kind::Link(link) => {
                followed += 1;
                if !way.turn(&link.target) {
                    return false;
                }
            }
        }
    }
    true
}

/// How far the text of a link was followed.
struct Way {
    /// Where it has led so far; `None` for the top of the share.
    folder: Option<SharePath>,
    /// The names that come next.
    names: VecDeque<String>,
}

impl Way {
    /// Goes on with the text of a link in the present folder. False if that leads out of the share,
    /// or may do so.
    fn turn(&mut self, target: &LinkTarget) -> bool {
        let Some(up) = target.leads_up() else {
            return false;
        };
        for _ in 0..up {
            let Some(folder) = self.folder.take() else {
                return false;
            };
            self.folder = folder.parent();
        }
        for name in target.names().skip(up).collect::<Vec<_>>().into_iter().rev() {
            self.names.push_front(name.to_owned());
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> SharePath {
        SharePath::parse(text).unwrap()
    }

    fn target(text: &str) -> LinkTarget {
        LinkTarget::new(text).unwrap()
    }

    fn own(paths: &[&str]) -> OwnLinks {
        let mut own = OwnLinks::default();
        for link in paths {
            own.note(path(link), target("/away"));
        }
        own
    }

    fn has(own: &OwnLinks, link: &str) -> bool {
        own.contains(&path(link), &target("/away"))
    }

    #[test]
    fn an_own_link_is_known_by_its_place_and_its_text() {
        let own = own(&["a/link"]);
        assert!(has(&own, "a/link"));
        assert!(!has(&own, "link") && !own.contains(&path("a/link"), &target("/elsewhere")));
    }

    #[test]
    fn own_links_move_with_the_folder_they_are_in() {
        let mut own = own(&["a/b/link", "ab/link", "to/old"]);
        own.rename(&path("a"), &path("to"));
        assert!(has(&own, "to/b/link") && has(&own, "ab/link"));
        assert!(!has(&own, "a/b/link") && !has(&own, "to/old"));
    }

    #[test]
    fn exchanging_two_folders_moves_the_own_links_in_them() {
        let mut own = own(&["a/link", "b"]);
        own.exchange(&path("a"), &path("b"));
        assert!(has(&own, "b/link") && has(&own, "a") && !has(&own, "a/link"));
    }

    #[test]
    fn forgetting_a_folder_forgets_what_is_in_it_and_nothing_else() {
        let mut own = own(&["a/link", "a b", "ab"]);
        own.forget(&path("a"));
        assert!(!has(&own, "a/link") && has(&own, "a b") && has(&own, "ab"));
    }
}
