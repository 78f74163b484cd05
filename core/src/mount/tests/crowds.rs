//! Folders in which a peer has made any number of files of one name.

use std::ffi::OsStr;

use super::{Alone, alone};
use crate::catalog::{Catalog, ContentId, FileVersion, ReplicaId, SharePath, paths_made_by, steps_of};
use crate::identity::Fingerprint;
use crate::mount::{Inode, Room};

/// Makes a file called `same` for each of `count` peers.
fn crowd(alone: &Alone, count: u8) {
    for number in 0..count {
        let mut catalog = Catalog::new(ReplicaId {
            fingerprint: Fingerprint::from_bytes([number; 20]),
            incarnation: 1,
        });
        let content = ContentId {
            hash: [number; 32],
            len: 1,
        };
        let file = FileVersion {
            content,
            mtime_ns: 0,
            mode: 0o644,
        };
        drop(
            catalog
                .add_file(&SharePath::parse("same").unwrap(), file)
                .unwrap(),
        );
        alone.peer.share().merge(catalog.all_states()).unwrap();
    }
}

/// Lists the share with all attributes: how many steps that takes, and how many names there are.
fn list(alone: &Alone) -> (u64, usize) {
    let folder = alone.fs.open_folder(Inode::ROOT).unwrap();
    let mut names = std::collections::BTreeSet::new();
    let (steps, listed) = steps_of(|| {
        alone.fs.read_folder_with_attributes(folder, 0, |item, _| {
            names.insert(item.name.clone());
            Room::More
        })
    });
    listed.unwrap();
    alone.fs.close_folder(folder);
    (steps, names.len() - 2)
}

#[tokio::test]
async fn listing_files_of_one_name_takes_steps_in_proportion_to_them() {
    let (few, many) = (alone().await, alone().await);
    crowd(&few, 50);
    crowd(&many, 200);
    let ((small, few_names), (large, many_names)) = (list(&few), list(&many));
    assert_eq!((few_names, many_names), (50, 200));
    assert!(
        large <= 5 * small,
        "{small} steps, and {large} for four times as many"
    );
}

#[tokio::test]
async fn a_file_that_is_removed_while_a_folder_is_listed_is_not_shown() {
    let alone = alone().await;
    crowd(&alone, 2);
    let folder = alone.fs.open_folder(Inode::ROOT).unwrap();
    let names = |offset| {
        let mut names = Vec::new();
        let take = |item: &crate::mount::FolderItem, _: &crate::mount::Attributes| {
            names.push(item.name.clone());
            Room::More
        };
        alone
            .fs
            .read_folder_with_attributes(folder, offset, take)
            .unwrap();
        names
    };
    assert_eq!(names(0).len(), 4);
    alone.peer.remove(&SharePath::parse("same").unwrap()).unwrap();
    // The copy has the name now, and its old name is gone.
    assert_eq!(names(2), [""; 0]);
    assert_eq!(names(0), [".", "..", "same"]);
    alone.fs.close_folder(folder);
}

/// A folder called `same` of each of `count` peers, with one file in it: how many steps it takes to
/// merge them.
fn merge_folders(alone: &Alone, count: u16) -> u64 {
    let mut states = Vec::new();
    for number in 0..count {
        let [high, low] = number.to_be_bytes();
        let mut catalog = Catalog::new(ReplicaId {
            fingerprint: Fingerprint::from_bytes(std::array::from_fn(|at| [high, low][at % 2])),
            incarnation: 1,
        });
        let content = ContentId {
            hash: [low; 32],
            len: 1,
        };
        let file = FileVersion {
            content,
            mtime_ns: 0,
            mode: 0o644,
        };
        let path = SharePath::parse(&format!("same/{number}")).unwrap();
        assert!(!catalog.add_file(&path, file).unwrap().is_empty());
        states.extend(catalog.all_states());
    }
    let (steps, merged) = steps_of(|| alone.peer.share().merge(states));
    merged.unwrap();
    steps
}

#[tokio::test]
async fn news_of_folders_of_one_name_take_steps_in_proportion_to_them() {
    let (few, many) = (alone().await, alone().await);
    let (small, large) = (merge_folders(&few, 100), merge_folders(&many, 400));
    assert!(
        large <= 8 * small,
        "{small} steps, and {large} for four times as many"
    );
}

fn file(hash: u8) -> FileVersion {
    let content = ContentId {
        hash: [hash; 32],
        len: 1,
    };
    FileVersion {
        content,
        mtime_ns: 0,
        mode: 0o644,
    }
}

/// Folders called `same` of many peers with `count` files in all, which a mount has looked up. How
/// many steps it takes to merge another content of each.
async fn change_known_files(count: usize) -> u64 {
    const PEERS: u8 = 20;
    let alone = alone().await;
    let mut catalogs: Vec<_> = (0..PEERS)
        .map(|number| {
            Catalog::new(ReplicaId {
                fingerprint: Fingerprint::from_bytes([number; 20]),
                incarnation: 1,
            })
        })
        .collect();
    let mut merge = |hash: u8| {
        for number in 0..count {
            let catalog = &mut catalogs[number % usize::from(PEERS)];
            let path = SharePath::parse(&format!("same/{number}")).unwrap();
            drop(catalog.add_file(&path, file(hash)).unwrap());
        }
        let states = catalogs.iter().flat_map(Catalog::all_states).collect();
        alone.peer.share().merge(states).unwrap();
    };
    merge(1);
    let folder = alone.inode("same").unwrap();
    for number in 0..count {
        let name = number.to_string();
        alone.fs.lookup(folder, OsStr::new(&name)).unwrap();
    }
    let (steps, ()) = steps_of(|| merge(2));
    steps
}

#[tokio::test]
async fn changing_files_that_a_mount_knows_takes_steps_in_proportion_to_them() {
    let (small, large) = (change_known_files(100).await, change_known_files(400).await);
    assert!(
        large <= 6 * small,
        "{small} steps, and {large} for four times as many"
    );
}

/// How many paths are put together to open and list a deep folder of `count` files.
async fn paths_of_listing(count: usize) -> u64 {
    let alone = alone().await;
    let mut catalog = Catalog::new(ReplicaId {
        fingerprint: Fingerprint::from_bytes([9; 20]),
        incarnation: 1,
    });
    for number in 0..count {
        let path = SharePath::parse(&format!("a/b/{number}")).unwrap();
        drop(catalog.add_file(&path, file(1)).unwrap());
    }
    alone.peer.share().merge(catalog.all_states()).unwrap();
    let outer = alone.inode("a").unwrap();
    let inner = alone.fs.lookup(outer, OsStr::new("b")).unwrap().inode;
    let (paths, listed) = paths_made_by(|| {
        let folder = alone.fs.open_folder(inner).unwrap();
        let mut listed = 0;
        let take = |_: &_, _: &_| {
            listed += 1;
            Room::More
        };
        alone.fs.read_folder_with_attributes(folder, 0, take).unwrap();
        listed
    });
    assert_eq!(listed, count + 2);
    paths
}

#[tokio::test]
async fn listing_a_folder_makes_no_path_for_each_file() {
    assert_eq!(paths_of_listing(3).await, paths_of_listing(300).await);
}

/// How many steps it takes to check for that number of names in a folder of as many entries whether
/// they are folders.
#[cfg(feature = "fuse")]
async fn check_names(count: u16) -> u64 {
    let alone = alone().await;
    merge_folders(&alone, count);
    let folder = alone.inode("same").unwrap();
    let name = |number: u16| crate::catalog::Name::new(&number.to_string()).unwrap();
    let mut names: Vec<_> = (0..count).map(|number| (folder, name(number))).collect();
    let top = (Inode::ROOT, crate::catalog::Name::new("same").unwrap());
    names.push(top.clone());
    let (steps, folders) = steps_of(|| alone.fs.view().folders_among(names));
    assert_eq!(folders.into_iter().collect::<Vec<_>>(), [top]);
    steps
}

#[cfg(feature = "fuse")]
#[tokio::test]
async fn checking_which_of_many_names_are_folders_takes_steps_in_proportion_to_them() {
    let (small, large) = (check_names(100).await, check_names(400).await);
    assert!(
        large <= 6 * small,
        "{small} steps, and {large} for four times as many"
    );
}
