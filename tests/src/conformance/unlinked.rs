//! Files without a name live on until the last handle is closed.

#![expect(missing_docs, reason = "the name of a fact says it")]

use super::verbs::pattern;
use super::{Directory, Errno, File, FileVerbs, Open, Verbs};

pub fn an_unlinked_file_is_gone_by_name(dir: &impl Directory) {
    dir.write("a", b"a");
    dir.unlink("a").unwrap();
    assert_eq!(dir.stat("a"), Err(Errno::NOENT));
    assert_eq!(dir.open("a", Open::read()).map(drop), Err(Errno::NOENT));
    assert_eq!(dir.unlink("a"), Err(Errno::NOENT));
    assert!(dir.names("").is_empty());
}

pub fn an_open_file_without_a_name_can_be_read(dir: &impl Directory) {
    dir.write("a", &pattern(100_000));
    let open = dir.open("a", Open::read()).unwrap();
    dir.unlink("a").unwrap();
    assert!(open.all() == pattern(100_000));
}

pub fn an_open_file_without_a_name_can_be_written(dir: &impl Directory) {
    let open = dir.open("a", Open::create()).unwrap();
    open.write(0, b"before");
    dir.unlink("a").unwrap();
    open.write(6, b" and after");
    assert_eq!((open.told_len(), open.all()), (16, b"before and after".to_vec()));
    assert!(dir.names("").is_empty());
}

pub fn an_open_file_without_a_name_has_no_links(dir: &impl Directory) {
    let open = dir.open("a", Open::create()).unwrap();
    let inode = open.stat().unwrap().inode;
    dir.unlink("a").unwrap();
    let stat = open.stat().unwrap();
    assert_eq!((stat.link_count, stat.inode), (0, inode));
}

pub fn an_open_file_without_a_name_can_be_cut_and_synced(dir: &impl Directory) {
    let open = dir.open("a", Open::create()).unwrap();
    open.write(0, b"12345");
    dir.unlink("a").unwrap();
    open.set_len(2).unwrap();
    open.sync().unwrap();
    assert_eq!(open.all(), b"12");
}

pub fn two_handles_of_a_file_without_a_name_agree(dir: &impl Directory) {
    let one = dir.open("a", Open::create()).unwrap();
    let other = dir.open("a", Open::both()).unwrap();
    dir.unlink("a").unwrap();
    one.write(0, b"from one");
    drop(one);
    assert_eq!(other.all(), b"from one");
}

pub fn the_name_of_an_unlinked_file_is_free_at_once(dir: &impl Directory) {
    dir.write("a", b"the old one");
    let open = dir.open("a", Open::both()).unwrap();
    dir.unlink("a").unwrap();
    dir.write("a", b"new");
    assert_ne!(open.stat().unwrap().inode, dir.inode("a"));
    open.write(0, b"THE");
    assert_eq!(
        (open.all(), dir.read("a")),
        (b"THE old one".to_vec(), b"new".to_vec())
    );
    drop(open);
    assert_eq!(dir.read("a"), b"new");
}

pub fn a_file_unlinked_and_closed_does_not_come_back(dir: &impl Directory) {
    let open = dir.open("a", Open::create()).unwrap();
    open.write(0, &pattern(10_000));
    dir.unlink("a").unwrap();
    open.write(10_000, b"more");
    drop(open);
    assert_eq!(dir.stat("a"), Err(Errno::NOENT));
    assert!(dir.names("").is_empty());
}

pub fn the_folder_of_an_unlinked_file_can_be_removed(dir: &impl Directory) {
    dir.folder("folder");
    let open = dir.open("folder/a", Open::create()).unwrap();
    open.write(0, b"alive");
    dir.unlink("folder/a").unwrap();
    dir.remove_folder("folder").unwrap();
    assert_eq!(open.all(), b"alive");
}
