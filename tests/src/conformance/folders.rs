//! Folders and their listings: each entry once, offsets that stay valid, trees of any depth.

#![expect(missing_docs, reason = "the name of a fact says it")]

use std::collections::BTreeMap;

use super::verbs::rest;
use super::{Directory, Errno, Kind, Listed, Listing, Verbs};

/// Entries of a folder that needs many calls to list.
const MANY: usize = 1000;
/// Depth of nested folders.
const DEPTH: usize = 30;

/// Makes `count` files in the folder itself and returns their names, sorted.
fn fill(dir: &impl Directory, count: usize) -> Vec<String> {
    let names: Vec<String> = (0..count).map(|index| format!("file-{index:04}")).collect();
    for name in &names {
        dir.write(name, b"");
    }
    names
}

fn sorted_names(entries: &[Listed]) -> Vec<String> {
    let mut names: Vec<String> = entries.iter().map(|entry| entry.name.clone()).collect();
    names.sort();
    names
}

pub fn a_new_folder_is_empty(dir: &impl Directory) {
    dir.folder("folder");
    assert!(dir.names("folder").is_empty());
    assert_eq!(dir.names(""), ["folder"]);
}

pub fn a_listing_names_the_folder_and_its_parent_once(dir: &impl Directory) {
    dir.folder("folder");
    dir.write("folder/a", b"");
    let mut listing = dir.list("folder").unwrap();
    let mut counts = BTreeMap::new();
    loop {
        let some = listing.next().unwrap();
        if some.is_empty() {
            break;
        }
        for entry in some {
            *counts.entry(entry.name).or_insert(0) += 1;
        }
    }
    let expected = [(".", 1), ("..", 1), ("a", 1)].map(|(name, count)| (name.to_owned(), count));
    assert_eq!(counts, BTreeMap::from(expected));
}

pub fn a_listing_reports_the_same_kinds_and_inodes_as_stat(dir: &impl Directory) {
    dir.write("file", b"");
    dir.folder("folder");
    dir.make_link("file", "link").unwrap();
    for entry in dir.entries("") {
        let stat = dir.stat(&entry.name).unwrap();
        assert_eq!(
            (entry.kind, entry.inode),
            (stat.kind, stat.inode),
            "{}",
            entry.name
        );
    }
}

pub fn a_thousand_files_are_listed_once_each(dir: &impl Directory) {
    let names = fill(dir, MANY);
    assert_eq!(dir.names(""), names);
}

pub fn a_removed_file_is_no_longer_listed(dir: &impl Directory) {
    fill(dir, 5);
    dir.unlink("file-0002").unwrap();
    assert_eq!(
        dir.names(""),
        ["file-0000", "file-0001", "file-0003", "file-0004"]
    );
}

pub fn a_listing_continues_after_any_of_its_offsets(dir: &impl Directory) {
    fill(dir, 60);
    let mut listing = dir.list("").unwrap();
    let all = rest(&mut listing);
    for (index, entry) in all.iter().enumerate() {
        listing.seek(entry.offset).unwrap();
        assert_eq!(rest(&mut listing), all[index + 1..], "behind {}", entry.name);
    }
}

pub fn a_restarted_listing_shows_new_files(dir: &impl Directory) {
    fill(dir, 3);
    let mut listing = dir.list("").unwrap();
    assert_eq!(rest(&mut listing).len(), 3);
    dir.write("new", b"");
    dir.unlink("file-0000").unwrap();
    listing.seek(0).unwrap();
    assert_eq!(
        sorted_names(&rest(&mut listing)),
        ["file-0001", "file-0002", "new"]
    );
}

pub fn a_file_that_stays_is_listed_once_while_others_come_and_go(dir: &impl Directory) {
    let names = fill(dir, 300);
    let (going, staying): (Vec<_>, Vec<_>) = names
        .into_iter()
        .enumerate()
        .partition(|(index, _)| index % 3 == 0);
    let mut going = going.into_iter();
    let mut listing = dir.list("").unwrap();
    let (mut seen, mut round) = (Vec::new(), 0);
    loop {
        let some = listing.next().unwrap();
        if some.is_empty() {
            break;
        }
        seen.extend(some.into_iter().map(|entry| entry.name));
        for (_, name) in going.by_ref().take(5) {
            dir.unlink(&name).unwrap();
        }
        dir.write(&format!("new-{round}"), b"");
        round += 1;
    }
    for (_, name) in staying {
        assert_eq!(seen.iter().filter(|&one| *one == name).count(), 1, "{name}");
    }
}

pub fn a_folder_is_emptied_while_it_is_listed(dir: &impl Directory) {
    dir.folder("folder");
    for index in 0..300 {
        dir.write(&format!("folder/{index}"), b"");
    }
    let mut listing = dir.list("folder").unwrap();
    loop {
        let some = listing.next().unwrap();
        if some.is_empty() {
            break;
        }
        for entry in some.iter().filter(|entry| entry.kind == Kind::File) {
            dir.unlink(&format!("folder/{}", entry.name)).unwrap();
        }
    }
    drop(listing);
    dir.remove_folder("folder").unwrap();
}

pub fn two_listings_of_one_folder_are_independent(dir: &impl Directory) {
    let names = fill(dir, 100);
    let (mut one, mut other) = (dir.list("").unwrap(), dir.list("").unwrap());
    let first = one.next().unwrap();
    assert_eq!(sorted_names(&rest(&mut other)), names);
    let without_dots = first.into_iter().filter(|entry| !entry.name.starts_with('.'));
    let all: Vec<Listed> = without_dots.chain(rest(&mut one)).collect();
    assert_eq!(sorted_names(&all), names);
}

pub fn folders_nest_thirty_deep(dir: &impl Directory) {
    let mut path = "0".to_owned();
    for level in 1..DEPTH {
        dir.folder(&path);
        path = format!("{path}/{level}");
    }
    dir.write(&path, b"at the bottom");
    assert_eq!(dir.read(&path), b"at the bottom");
    dir.unlink(&path).unwrap();
    while let Some((parent, _)) = path.rsplit_once('/') {
        assert!(dir.names(parent).is_empty());
        dir.remove_folder(parent).unwrap();
        path = parent.to_owned();
    }
    assert!(dir.names("").is_empty());
}

pub fn a_removed_folder_can_be_made_again_and_is_empty(dir: &impl Directory) {
    dir.folder("folder");
    dir.write("folder/a", b"");
    dir.unlink("folder/a").unwrap();
    dir.remove_folder("folder").unwrap();
    assert_eq!(dir.stat("folder/a"), Err(Errno::NOENT));
    dir.folder("folder");
    assert!(dir.names("folder").is_empty());
}

pub fn a_name_may_be_a_file_then_a_folder_then_a_link(dir: &impl Directory) {
    dir.write("a", b"");
    dir.unlink("a").unwrap();
    dir.folder("a");
    assert_eq!(dir.kind("a"), Ok(Kind::Folder));
    dir.remove_folder("a").unwrap();
    dir.make_link("target", "a").unwrap();
    assert_eq!(dir.kind("a"), Ok(Kind::Link));
}

pub fn a_missing_name_is_found_once_it_exists(dir: &impl Directory) {
    assert_eq!(dir.stat("late"), Err(Errno::NOENT));
    dir.write("late", b"here");
    assert_eq!(dir.read("late"), b"here");
}
