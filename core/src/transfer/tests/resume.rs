//! A pull goes on where an earlier one ended: it fetches what is missing, and believes nothing that
//! it has not verified.
//!
//! Where a group must not be fetched again, the holder has other bytes: fetching it would fail.

use super::super::{adopt_present, find_parts};
use super::*;
use crate::store::{PartFile, group_len};

fn attributes() -> Attributes {
    Attributes {
        modified: UNIX_EPOCH,
        mode: 0o644,
    }
}

/// A part file of `content` for the target, as a killed pull has left it with these groups.
fn leave(root: &TempDir, content: &ContentId, (groups, bytes): (&[u64], &[u8])) -> std::path::PathBuf {
    let destination = Destination::file(&root.path().join("target.bin")).unwrap();
    let before = names(root);
    let part = PartFile::create(&destination, attributes(), content).unwrap();
    for group in groups {
        let offset = group * GROUP_LEN;
        let end = offset + group_len(content.len, *group);
        part.write(&bytes[offset as usize..end as usize], offset).unwrap();
    }
    part.keep();
    drop(part);
    let name = names(root).into_iter().find(|name| !before.contains(name));
    root.path().join(name.unwrap())
}

/// A holder's file with other bytes than announced in these groups.
fn lying(root: &TempDir, groups: &[u64], mut bytes: Vec<u8>) -> Arc<Source> {
    let honest = source(root.path(), &bytes);
    for group in groups {
        let end = group * GROUP_LEN + group_len(honest.content.len, *group);
        bytes[group.checked_mul(GROUP_LEN).unwrap() as usize..end as usize].fill(0xEE);
    }
    std::fs::write(&honest.path, &bytes).unwrap();
    Arc::new(Source::known(&honest.path, honest.content, honest.outline).unwrap())
}

/// Pulls `source` to the target over one lane, from what is there.
fn resume(root: &TempDir, source: &Arc<Source>) -> Outcome {
    let queue = queue(root.path(), source.content);
    adopt_present(&queue, &Clock::system());
    find_parts(&queue, &Clock::system());
    pull_once(&queue, source);
    outcome(&queue)
}

/// The target, if nothing but it and the holder's file is left.
fn target(root: &TempDir) -> Vec<u8> {
    assert_eq!(names(root), ["source.bin", "target.bin"]);
    std::fs::read(root.path().join("target.bin")).unwrap()
}

#[test]
fn any_groups_that_were_left_are_not_fetched_again() {
    for mask in 0..16_u32 {
        let root = tempfile::tempdir().unwrap();
        let bytes = bytes(3 * GROUP + 5);
        let groups: Vec<u64> = (0..4).filter(|group| mask & (1 << group) != 0).collect();
        let source = lying(&root, &groups, bytes.clone());
        leave(&root, &source.content, (&groups, &bytes));
        assert!(resume(&root, &source).is_ok(), "{groups:?}");
        assert!(target(&root) == bytes, "{groups:?}");
    }
}

#[test]
fn a_small_file_that_was_left_whole_is_not_fetched_again() {
    let root = tempfile::tempdir().unwrap();
    let source = lying(&root, &[0], b"something".to_vec());
    leave(&root, &source.content, (&[0], b"something"));
    assert!(resume(&root, &source).is_ok());
    assert_eq!(target(&root), b"something");
}

#[test]
fn what_was_torn_or_planted_in_a_part_file_is_not_believed() {
    let bytes = bytes(3 * GROUP + 5);
    for torn in [0, GROUP, GROUP + 1, 3 * GROUP + 4] {
        let root = tempfile::tempdir().unwrap();
        let source = Arc::new(source(root.path(), &bytes));
        let part = leave(&root, &source.content, (&[0, 1, 2, 3], &bytes));
        let mut left = bytes.clone();
        left[torn] ^= 1;
        std::fs::write(part, left).unwrap();
        assert!(resume(&root, &source).is_ok());
        assert!(target(&root) == bytes, "{torn}");
    }
}

#[test]
fn a_part_file_of_another_length_is_replaced() {
    let bytes = bytes(2 * GROUP);
    for len in [0, GROUP, 2 * GROUP + 1] {
        let root = tempfile::tempdir().unwrap();
        let source = Arc::new(source(root.path(), &bytes));
        let part = leave(&root, &source.content, (&[0], &bytes));
        std::fs::write(part, vec![1; len]).unwrap();
        assert!(resume(&root, &source).is_ok());
        assert!(target(&root) == bytes, "{len}");
    }
}

#[cfg(unix)]
#[test]
fn a_file_that_no_pull_has_made_is_not_written_to() {
    use std::os::unix::fs::PermissionsExt;
    type Plant = fn(&Path, &Path);
    let plants: [Plant; 3] = [
        |mine, part| std::fs::hard_link(mine, part).unwrap(),
        |mine, part| std::os::unix::fs::symlink(mine, part).unwrap(),
        |mine, part| {
            std::fs::copy(mine, part).unwrap();
            std::fs::set_permissions(part, std::fs::Permissions::from_mode(0o666)).unwrap();
        },
    ];
    let bytes = bytes(2 * GROUP);
    for (index, plant) in plants.into_iter().enumerate() {
        let (root, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let source = Arc::new(source(root.path(), &bytes));
        let part = leave(&root, &source.content, (&[0], &bytes));
        let mine = elsewhere.path().join("mine");
        std::fs::rename(&part, &mine).unwrap();
        let before = std::fs::read(&mine).unwrap();
        plant(&mine, &part);
        assert!(resume(&root, &source).is_ok());
        assert!(
            std::fs::read(root.path().join("target.bin")).unwrap() == bytes,
            "{index}"
        );
        assert!(std::fs::read(&mine).unwrap() == before, "{index}");
        let mode = root
            .path()
            .join("target.bin")
            .metadata()
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o022, 0, "{index}");
    }
}

#[cfg(unix)]
#[test]
fn a_resumed_file_has_the_rights_of_any_other() {
    use std::os::unix::fs::PermissionsExt;
    let mode = |left: &[u64]| {
        let root = tempfile::tempdir().unwrap();
        let bytes = bytes(2 * GROUP);
        let source = Arc::new(source(root.path(), &bytes));
        leave(&root, &source.content, (left, &bytes));
        assert!(resume(&root, &source).is_ok());
        root.path()
            .join("target.bin")
            .metadata()
            .unwrap()
            .permissions()
            .mode()
    };
    let root = tempfile::tempdir().unwrap();
    let source = Arc::new(source(root.path(), &bytes(2 * GROUP)));
    assert!(resume(&root, &source).is_ok());
    let fresh = root
        .path()
        .join("target.bin")
        .metadata()
        .unwrap()
        .permissions()
        .mode();
    assert_eq!((mode(&[]), mode(&[1])), (fresh, fresh));
}

#[test]
fn two_pulls_of_one_file_to_one_place_do_not_share_a_part_file() {
    let root = tempfile::tempdir().unwrap();
    let bytes = bytes(2 * GROUP);
    let source = Arc::new(source(root.path(), &bytes));
    let destination = Destination::file(&root.path().join("target.bin")).unwrap();
    let first = PartFile::create(&destination, attributes(), &source.content).unwrap();
    first.write(&vec![0xEE; GROUP], 0).unwrap();
    assert!(resume(&root, &source).is_ok());
    assert!(std::fs::read(root.path().join("target.bin")).unwrap() == bytes);
    assert_eq!(names(&root).len(), 3);
    drop(first);
    assert!(target(&root) == bytes);
}

#[test]
fn a_file_that_is_at_its_place_is_not_fetched_again() {
    let root = tempfile::tempdir().unwrap();
    let bytes = bytes(2 * GROUP);
    let source = lying(&root, &[0, 1], bytes.clone());
    let honest = tempfile::tempdir().unwrap();
    let good = Arc::new(super::source(honest.path(), &bytes));
    let elsewhere = queue(root.path(), good.content);
    pull_once(&elsewhere, &good);
    assert!(outcome(&elsewhere).is_ok());
    let (published, outline) = resume(&root, &source).unwrap();
    assert!(published.metadata.len() == bytes.len() as u64 && outline == good.outline);
    assert!(target(&root) == bytes);
}

#[test]
fn a_file_at_its_place_with_other_bytes_is_replaced_though_its_length_and_time_are_right() {
    let root = tempfile::tempdir().unwrap();
    let bytes = bytes(GROUP + 1);
    let source = Arc::new(source(root.path(), &bytes));
    assert!(resume(&root, &source).is_ok());
    let there = root.path().join("target.bin");
    std::fs::write(&there, vec![1; bytes.len()]).unwrap();
    std::fs::File::options()
        .write(true)
        .open(&there)
        .unwrap()
        .set_modified(UNIX_EPOCH)
        .unwrap();
    assert!(resume(&root, &source).is_ok());
    assert!(target(&root) == bytes);
}

/// Pulls until `end` ends the pull after two groups, then drops it.
fn interrupted(root: &TempDir, source: &Arc<Source>, end: impl FnOnce(&Queue) + Send) -> u64 {
    let queue = queue(root.path(), source.content);
    let (mut pulling, mut serving) = lane_pair();
    let _lent = queue.lend_closer(pulling.closer().unwrap());
    let progress = queue.progress().clone();
    let (ended, wait) = std::sync::mpsc::channel::<()>();
    let holder = Hesitant {
        source: source.clone(),
        progress: progress.clone(),
        cancelled: std::sync::Mutex::new(wait),
    };
    thread::scope(|scope| {
        let holding = scope.spawn(move || serve(&mut serving, &holder));
        let ending = scope.spawn(|| {
            while queue.progress().verified_len() < 2 * GROUP_LEN {
                thread::yield_now();
            }
            end(&queue);
            drop(ended);
        });
        drop(fetch(&mut pulling, &queue, &Clock::system()));
        ending.join().unwrap();
        drop((pulling, holding.join().unwrap()));
    });
    progress.verified_len()
}

#[test]
fn a_pull_that_is_cancelled_keeps_what_has_arrived_for_the_next_one() {
    let root = tempfile::tempdir().unwrap();
    let bytes = bytes(40 * GROUP);
    let honest = Arc::new(source(root.path(), &bytes));
    let arrived = interrupted(&root, &honest, Queue::cancel) / GROUP_LEN;
    assert_eq!(names(&root).len(), 2);
    let groups: Vec<_> = (0..arrived).collect();
    assert!(groups.len() >= 2);
    let source = lying(&root, &groups, bytes.clone());
    assert!(resume(&root, &source).is_ok());
    assert!(target(&root) == bytes);
}

#[test]
fn a_file_that_failed_leaves_nothing() {
    let root = tempfile::tempdir().unwrap();
    let source = Arc::new(source(root.path(), &bytes(40 * GROUP)));
    let changed = |queue: &Queue| {
        queue.settle(0, Err(FileFailure::Refused(Refusal::Changed)));
        queue.cancel();
    };
    interrupted(&root, &source, changed);
    assert_eq!(names(&root), ["source.bin"]);
}
