//! Renames: moved and replaced files, open files, and the two variants that don't replace or that
//! swap.

#![expect(missing_docs, reason = "the name of a fact says it")]

use super::verbs::pattern;
use super::{Directory, Errno, File, FileVerbs, Open, Rename, Verbs};

pub fn a_renamed_file_keeps_its_content_and_its_inode(dir: &impl Directory) {
    dir.write("old", b"content");
    let inode = dir.inode("old");
    dir.move_to("old", "new");
    assert_eq!(dir.stat("old"), Err(Errno::NOENT));
    assert_eq!((dir.read("new"), dir.inode("new")), (b"content".to_vec(), inode));
    assert_eq!(dir.names(""), ["new"]);
}

pub fn a_file_moves_to_another_folder(dir: &impl Directory) {
    dir.folder("from");
    dir.folder("to");
    dir.write("from/a", b"content");
    dir.move_to("from/a", "to/b");
    assert_eq!(dir.read("to/b"), b"content");
    assert!(dir.names("from").is_empty());
}

pub fn a_rename_replaces_the_file_that_was_there(dir: &impl Directory) {
    dir.write("new", b"the new one");
    dir.write("old", b"an old one that is longer");
    let inode = dir.inode("new");
    dir.move_to("new", "old");
    assert_eq!(
        (dir.read("old"), dir.inode("old")),
        (b"the new one".to_vec(), inode)
    );
    assert_eq!(dir.names(""), ["old"]);
}

pub fn a_replaced_file_lives_on_in_its_open_handles(dir: &impl Directory) {
    dir.write("old", &pattern(10_000));
    dir.write("new", b"new");
    let open = dir.open("old", Open::both()).unwrap();
    dir.move_to("new", "old");
    assert!(open.all() == pattern(10_000));
    assert_eq!(open.stat().unwrap().link_count, 0);
    open.write(0, b"still");
    assert_eq!(open.piece(0, 5), b"still");
    assert_eq!(dir.read("old"), b"new");
}

pub fn an_open_file_stays_open_under_its_new_name(dir: &impl Directory) {
    dir.write("old", b"12345");
    let open = dir.open("old", Open::both()).unwrap();
    dir.move_to("old", "new");
    open.write(5, b"67");
    assert_eq!(open.all(), b"1234567");
    assert_eq!(dir.read("new"), b"1234567");
    drop(open);
    assert_eq!(dir.read("new"), b"1234567");
    assert!(!dir.exists("old"));
}

pub fn a_file_written_and_renamed_before_it_is_closed_has_all_its_bytes(dir: &impl Directory) {
    let open = dir.open("a.tmp", Open::create()).unwrap();
    open.write(0, &pattern(200_000));
    dir.move_to("a.tmp", "a");
    drop(open);
    assert!(dir.read("a") == pattern(200_000));
    assert_eq!(dir.names(""), ["a"]);
}

pub fn the_old_name_is_free_at_once(dir: &impl Directory) {
    dir.write("a", b"first");
    dir.move_to("a", "b");
    dir.write("a", b"second");
    assert_eq!(
        (dir.read("a"), dir.read("b")),
        (b"second".to_vec(), b"first".to_vec())
    );
    assert_ne!(dir.inode("a"), dir.inode("b"));
}

pub fn a_rename_to_the_same_name_changes_nothing(dir: &impl Directory) {
    dir.write("a", b"content");
    dir.folder("folder");
    dir.move_to("a", "a");
    dir.move_to("folder", "folder");
    assert_eq!(dir.read("a"), b"content");
    assert_eq!(dir.names(""), ["a", "folder"]);
}

pub fn a_folder_replaces_an_empty_one(dir: &impl Directory) {
    dir.folder("full");
    dir.write("full/a", b"a");
    dir.folder("empty");
    dir.move_to("full", "empty");
    assert_eq!(dir.names(""), ["empty"]);
    assert_eq!(dir.read("empty/a"), b"a");
}

pub fn a_renamed_folder_keeps_its_whole_subtree(dir: &impl Directory) {
    for folder in ["old", "old/inner", "old/inner/deep", "old/none"] {
        dir.folder(folder);
    }
    dir.write("old/a", b"a");
    dir.write("old/inner/deep/b", b"b");
    dir.make_link("../a", "old/inner/link").unwrap();
    dir.move_to("old", "new");
    assert_eq!(dir.names(""), ["new"]);
    assert_eq!(dir.names("new"), ["a", "inner", "none"]);
    assert_eq!(dir.names("new/inner"), ["deep", "link"]);
    assert_eq!(
        (dir.read("new/a"), dir.read("new/inner/deep/b")),
        (b"a".to_vec(), b"b".to_vec())
    );
    assert_eq!(dir.stat("old/inner/deep/b"), Err(Errno::NOENT));
}

pub fn entries_of_a_renamed_folder_keep_their_inodes(dir: &impl Directory) {
    dir.folder("old");
    dir.folder("old/inner");
    dir.write("old/inner/a", b"");
    let before = [dir.inode("old"), dir.inode("old/inner"), dir.inode("old/inner/a")];
    dir.move_to("old", "new");
    let after = [dir.inode("new"), dir.inode("new/inner"), dir.inode("new/inner/a")];
    assert_eq!(before, after);
}

pub fn an_open_file_in_a_renamed_folder_stays_open(dir: &impl Directory) {
    dir.folder("old");
    let open = dir.open("old/a", Open::create()).unwrap();
    open.write(0, b"before ");
    dir.move_to("old", "new");
    open.write(7, b"after");
    assert_eq!(dir.read("new/a"), b"before after");
    drop(open);
    assert_eq!(dir.read("new/a"), b"before after");
}

pub fn a_renamed_folder_takes_new_entries(dir: &impl Directory) {
    dir.folder("old");
    dir.move_to("old", "new");
    dir.write("new/a", b"a");
    dir.folder("old");
    assert!(dir.names("old").is_empty());
    assert_eq!(dir.names("new"), ["a"]);
}

pub fn a_folder_moves_into_another_and_out_again(dir: &impl Directory) {
    dir.folder("outer");
    dir.folder("inner");
    dir.write("inner/a", b"a");
    dir.move_to("inner", "outer/inner");
    assert_eq!(dir.read("outer/inner/a"), b"a");
    dir.move_to("outer/inner", "inner");
    assert_eq!(dir.read("inner/a"), b"a");
    assert!(dir.names("outer").is_empty());
}

pub fn a_rename_that_must_not_replace_takes_a_free_name(dir: &impl Directory) {
    dir.write("a", b"a");
    dir.rename("a", "free", Rename::NoReplace).unwrap();
    assert_eq!(dir.read("free"), b"a");
}

pub fn a_rename_that_must_not_replace_fails_if_the_target_exists(dir: &impl Directory) {
    dir.write("a", b"a");
    dir.write("taken", b"taken");
    assert_eq!(dir.rename("a", "taken", Rename::NoReplace), Err(Errno::EXIST));
    assert_eq!(
        (dir.read("a"), dir.read("taken")),
        (b"a".to_vec(), b"taken".to_vec())
    );
}

pub fn an_exchange_swaps_two_files(dir: &impl Directory) {
    dir.write("a", b"was a");
    dir.write("b", b"was b");
    let (a, b) = (dir.inode("a"), dir.inode("b"));
    dir.rename("a", "b", Rename::Exchange).unwrap();
    assert_eq!(
        (dir.read("a"), dir.read("b")),
        (b"was b".to_vec(), b"was a".to_vec())
    );
    assert_eq!((dir.inode("a"), dir.inode("b")), (b, a));
}

pub fn an_exchange_swaps_a_file_and_a_full_folder(dir: &impl Directory) {
    dir.write("a", b"file");
    dir.folder("other");
    dir.folder("other/b");
    dir.write("other/b/c", b"inside");
    dir.rename("a", "other/b", Rename::Exchange).unwrap();
    assert_eq!(dir.read("other/b"), b"file");
    assert_eq!(dir.read("a/c"), b"inside");
}

pub fn files_that_were_swapped_stay_open(dir: &impl Directory) {
    dir.write("a", b"was a");
    dir.write("b", b"was b");
    let open = dir.open("a", Open::both()).unwrap();
    dir.rename("a", "b", Rename::Exchange).unwrap();
    open.write(0, b"IS");
    drop(open);
    assert_eq!(
        (dir.read("a"), dir.read("b")),
        (b"was b".to_vec(), b"ISs a".to_vec())
    );
}

pub fn many_replacements_in_a_row_leave_the_last(dir: &impl Directory) {
    for round in 0..50u8 {
        dir.write("a.tmp", &[round; 100]);
        dir.move_to("a.tmp", "a");
        assert_eq!(dir.read("a"), [round; 100]);
    }
    assert_eq!(dir.names(""), ["a"]);
}
