//! Which local files are served: the latest answers.
//!
//! A reader may ask for one byte at a time, and many entries may claim the name of what it reads:
//! finding the entry among them takes time in proportion to their number. So the answer is kept
//! until something changes.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use crate::catalog::ContentId;

/// What the answers depend on. Each change gives another value.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct ServedAsOf {
    pub(super) catalog: u64,
    pub(super) grants: u64,
}

/// The paths of the files that are served as a content, by content.
#[derive(Debug, Default)]
pub(super) struct Served {
    as_of: ServedAsOf,
    paths: HashMap<ContentId, HashSet<PathBuf>>,
}

impl Served {
    /// The files that are served as `content`; `find` finds them unless they are known.
    pub(super) fn of(
        &mut self,
        content: &ContentId,
        as_of: ServedAsOf,
        find: impl FnOnce() -> HashSet<PathBuf>,
    ) -> &HashSet<PathBuf> {
        if self.as_of != as_of {
            self.paths.clear();
            self.as_of = as_of;
        }
        self.paths.entry(*content).or_insert_with(find)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const X: ContentId = ContentId {
        hash: [1; 32],
        len: 1,
    };

    #[test]
    fn files_are_found_again_after_each_change_and_not_before() {
        let mut served = Served::default();
        let at = |catalog, grants| ServedAsOf { catalog, grants };
        let one = || HashSet::from([PathBuf::from("/f")]);
        assert_eq!(served.of(&X, at(1, 1), one), &one());
        assert_eq!(served.of(&X, at(1, 1), HashSet::new), &one());
        assert!(served.of(&X, at(2, 1), HashSet::new).is_empty());
        assert!(served.of(&X, at(2, 1), one).is_empty());
        assert_eq!(served.of(&X, at(2, 2), one), &one());
    }
}
