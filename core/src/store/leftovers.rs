//! What earlier pulls have left in the folders of a pull: which of it the pull can use, and which
//! of it nobody can use any more.
//!
//! A pull leaves part files when its process is killed, the session is lost or its caller stops
//! waiting. Those of the contents that are wanted now are kept for this pull. Others are removed if
//! they are for a target whose content has changed, if they are too old, or if there are too many.
//! Nothing is removed that a pull works on.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use cap_std::fs::Dir;

use super::part_name::{self, is_part_name};
use super::{Destination, part_lock};
use crate::catalog::ContentId;
use crate::limits::{LEFTOVER_AGE_MAX, LEFTOVER_COUNT_MAX, LEFTOVER_NAMES_MAX};

/// Finds and tidies up what earlier pulls have left for and beside `wanted`. Returns the indices of
/// those for which something was left.
pub(crate) fn find_leftovers(wanted: &[(&Destination, &ContentId)], now: SystemTime) -> Vec<usize> {
    let mut folders: HashMap<PathBuf, Vec<usize>> = HashMap::new();
    for (index, (destination, _)) in wanted.iter().enumerate() {
        let folder = destination.path().parent().map(Path::to_owned);
        folders.entry(folder.unwrap_or_default()).or_default().push(index);
    }
    let mut found = Vec::new();
    for indices in folders.values() {
        let first = indices.first().and_then(|index| wanted.get(*index));
        // A folder that is not there holds nothing.
        let Some(folder) = first.and_then(|(destination, _)| destination.parent_there().ok()) else {
            continue;
        };
        let mut names = HashSet::new();
        for index in indices {
            let Some((destination, content)) = wanted.get(*index) else {
                continue;
            };
            let name = part_name::for_target(destination.name(), content);
            if folder.symlink_metadata(&name).is_ok() {
                found.push(*index);
            }
            names.insert(name);
        }
        tidy(&folder, &names, now);
    }
    found
}

/// A part file that this pull does not want.
struct Unwanted {
    name: String,
    modified: SystemTime,
}

/// Removes what nobody needs any more from `folder`, in which this pull wants part files of these
/// `names`.
fn tidy(folder: &Dir, names: &HashSet<String>, now: SystemTime) {
    let targets: HashSet<_> = names
        .iter()
        .filter_map(|name| part_name::target_of(name))
        .collect();
    let Ok(entries) = folder.entries() else { return };
    let mut kept = Vec::new();
    for entry in entries
        .flatten()
        .take(LEFTOVER_NAMES_MAX.saturating_add(2 * names.len()))
    {
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        if !is_part_name(&name) || names.contains(&name) {
            continue;
        }
        let Ok(metadata) = folder.symlink_metadata(&name) else {
            continue;
        };
        let modified = metadata
            .modified()
            .map_or(now, cap_std::time::SystemTime::into_std);
        let is_old = now
            .duration_since(modified)
            .is_ok_and(|age| age > LEFTOVER_AGE_MAX);
        let is_useful = part_name::target_of(&name).is_some_and(|target| !targets.contains(target));
        match metadata.is_file() {
            // A link is made and renamed within a moment; one that stayed has no pull any more.
            false if is_old && metadata.is_symlink() => drop(folder.remove_file(&name)),
            true if is_old || !is_useful => drop(part_lock::remove_dead(folder, &name)),
            true => kept.push(Unwanted { name, modified }),
            false => {}
        }
    }
    kept.sort_by_key(|unwanted| std::cmp::Reverse(unwanted.modified));
    for unwanted in kept.iter().skip(LEFTOVER_COUNT_MAX) {
        part_lock::remove_dead(folder, &unwanted.name);
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::store::{Attributes, PartFile};

    const _: () = assert!(LEFTOVER_COUNT_MAX >= 2 * crate::limits::SYNC_BATCH_MAX);
    const NOW: Duration = Duration::from_secs(1 << 30);

    fn content(fill: u8) -> ContentId {
        ContentId {
            hash: [fill; 32],
            len: 9,
        }
    }

    /// A part file for `target`, last written `age` ago.
    fn part(root: &Path, (target, fill): (&str, u8), age: Duration) -> PartFile {
        let destination = Destination::file(&root.join(target)).unwrap();
        let attributes = Attributes {
            modified: UNIX_EPOCH,
            mode: 0o644,
        };
        let part = PartFile::create(&destination, attributes, &content(fill)).unwrap();
        part.file.set_modified(UNIX_EPOCH + NOW - age).unwrap();
        part.keep();
        part
    }

    fn count(root: &Path) -> usize {
        std::fs::read_dir(root).unwrap().count()
    }

    fn find(root: &Path, wanted: &[(&str, u8)]) -> Vec<usize> {
        let wanted: Vec<_> = wanted
            .iter()
            .map(|(target, fill)| (Destination::file(&root.join(target)).unwrap(), content(*fill)))
            .collect();
        let wanted: Vec<_> = wanted.iter().map(|(at, content)| (at, content)).collect();
        find_leftovers(&wanted, UNIX_EPOCH + NOW)
    }

    #[test]
    fn what_is_wanted_is_found_and_kept_and_another_version_of_it_is_removed() {
        let root = tempfile::tempdir().unwrap();
        for (target, fill) in [("a", 1), ("b", 1), ("b", 2), ("other", 1)] {
            drop(part(root.path(), (target, fill), Duration::ZERO));
        }
        assert_eq!(find(root.path(), &[("none", 1), ("a", 1), ("b", 3)]), [1]);
        assert_eq!(count(root.path()), 2);
        assert_eq!(find(root.path(), &[("other", 1)]), [0]);
    }

    #[test]
    fn what_a_pull_works_on_stays_whatever_it_is() {
        let root = tempfile::tempdir().unwrap();
        let age = LEFTOVER_AGE_MAX + Duration::from_secs(1);
        let live = [part(root.path(), ("a", 1), age), part(root.path(), ("a", 1), age)];
        find(root.path(), &[("a", 2), ("b", 1)]);
        assert_eq!(count(root.path()), 2);
        // The second one has a random name, under which no pull would find it.
        drop(live);
        assert_eq!(count(root.path()), 1);
        find(root.path(), &[("a", 2)]);
        assert_eq!(count(root.path()), 0);
    }

    #[test]
    fn part_files_of_other_pulls_are_kept_up_to_the_limit_of_age_and_removed_one_second_later() {
        let root = tempfile::tempdir().unwrap();
        drop(part(root.path(), ("a", 1), LEFTOVER_AGE_MAX));
        find(root.path(), &[("b", 1)]);
        assert_eq!(count(root.path()), 1);
        drop(part(
            root.path(),
            ("a", 1),
            LEFTOVER_AGE_MAX + Duration::from_secs(1),
        ));
        find(root.path(), &[("b", 1)]);
        assert_eq!(count(root.path()), 0);
    }

    #[test]
    fn part_files_of_other_pulls_are_kept_up_to_the_limit_and_the_oldest_goes_for_one_more() {
        let root = tempfile::tempdir().unwrap();
        for index in 0..LEFTOVER_COUNT_MAX {
            drop(part(root.path(), (&index.to_string(), 1), Duration::from_secs(1)));
        }
        find(root.path(), &[("b", 1)]);
        assert_eq!(count(root.path()), LEFTOVER_COUNT_MAX);
        drop(part(root.path(), ("oldest", 1), Duration::from_secs(2)));
        find(root.path(), &[("b", 1)]);
        assert_eq!(count(root.path()), LEFTOVER_COUNT_MAX);
        assert_eq!(find(root.path(), &[("oldest", 1)]), Vec::<usize>::new());
    }

    #[test]
    fn files_of_the_user_stay_and_so_does_a_folder_with_the_name_of_a_part_file() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join(".tandem-notes.part"), b"mine").unwrap();
        std::fs::write(root.path().join("notes.part"), b"mine").unwrap();
        std::fs::create_dir(root.path().join(part_name::random().unwrap())).unwrap();
        find(root.path(), &[("a", 1)]);
        assert_eq!(count(root.path()), 3);
    }
}
