//! The visible changes of a merge, and how they are kept until they are reported.
//!
//! One state may change everything that is shown in a folder, and each path in it may be long. So
//! changes are kept by folder and name, and the paths of the events are made only when the events
//! are read.

use std::cmp::Ordering;

use super::share_path::{Name, SharePath};
use crate::limits::EVENTS_MADE_MAX;

/// Something visible that a merge changed.
///
/// The events of one merge come in this order: removals, under the old paths; renames, all at once
/// (of the renames that apply to a path the innermost counts); then additions, changes and conflict
/// copies, under the new paths.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CatalogEvent {
    /// A file, link or folder appeared.
    Added {
        /// Where.
        path: SharePath,
    },
    /// A file has another content, mode or time, a link another target; or something of another
    /// kind took its place.
    Changed {
        /// Where.
        path: SharePath,
    },
    /// A file, link or folder is gone. Each thing in a removed folder has its own event before.
    Removed {
        /// Where it was.
        path: SharePath,
    },
    /// A file, link or folder, with its contents, has another path.
    Renamed {
        /// Where it was.
        from: SharePath,
        /// Where it is.
        to: SharePath,
    },
    /// A version whose maker did not know the one at `path` is shown beside it.
    Conflict {
        /// The name that both claim.
        path: SharePath,
        /// The name under which the other version is shown.
        copy: SharePath,
    },
}

/// Where something is: its folder, and its name there. Everything in a folder shares one copy of
/// the folder's path, which may be long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Location {
    pub(super) folder: Option<SharePath>,
    pub(super) name: Name,
}

/// One change that an event reports.
#[derive(Debug, Clone)]
pub(super) enum Fact {
    Added(Location),
    Changed(Location),
    Removed(Location),
    Renamed {
        from: Location,
        to: Location,
    },
    /// A conflict copy, and the name that it comes from.
    Conflict {
        copy: Location,
        base: Name,
    },
}

/// All changes of one merge, in the order of its events.
#[derive(Debug)]
pub(crate) struct News(Vec<Fact>);

impl News {
    pub(super) fn of(facts: Vec<Fact>) -> Self {
        Self(facts)
    }

    /// The events; each is made when it is read.
    pub(crate) fn events(&self) -> impl Iterator<Item = CatalogEvent> {
        self.0.iter().filter_map(Fact::event)
    }

    /// The events, [`EVENTS_MADE_MAX`] at a time.
    pub(crate) fn parts(&self) -> impl Iterator<Item = Vec<CatalogEvent>> {
        let parts = self.0.chunks(EVENTS_MADE_MAX);
        parts.map(|facts| facts.iter().filter_map(Fact::event).collect())
    }
}

impl Fact {
    /// The event that reports this change. There always is one: each location is of something that
    /// is shown, so it has a path.
    fn event(&self) -> Option<CatalogEvent> {
        Some(match self {
            Self::Added(at) => CatalogEvent::Added { path: at.path()? },
            Self::Changed(at) => CatalogEvent::Changed { path: at.path()? },
            Self::Removed(at) => CatalogEvent::Removed { path: at.path()? },
            Self::Renamed { from, to } => CatalogEvent::Renamed {
                from: from.path()?,
                to: to.path()?,
            },
            Self::Conflict { copy, base } => CatalogEvent::Conflict {
                path: SharePath::within(copy.folder.as_ref(), base).ok()?,
                copy: copy.path()?,
            },
        })
    }
}

impl Location {
    pub(super) fn path(&self) -> Option<SharePath> {
        SharePath::within(self.folder.as_ref(), &self.name).ok()
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        let folders = self.folder.iter().flat_map(SharePath::names);
        folders.chain([self.name.as_str()])
    }
}

/// The order of paths.
impl Ord for Location {
    fn cmp(&self, other: &Self) -> Ordering {
        if self.folder == other.folder {
            self.name.cmp(&other.name)
        } else {
            self.names().cmp(other.names())
        }
    }
}

impl PartialOrd for Location {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_events_of_many_changes_are_made_in_parts() {
        let name = Name::new("file").unwrap();
        let location = Location { folder: None, name };
        let news = News::of(vec![Fact::Added(location); 2 * EVENTS_MADE_MAX + 1]);
        let counts: Vec<_> = news.parts().map(|events| events.len()).collect();
        assert_eq!(counts, [EVENTS_MADE_MAX, EVENTS_MADE_MAX, 1]);
    }
}
