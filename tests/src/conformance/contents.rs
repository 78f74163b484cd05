//! Reading and writing: offsets, ends, lengths, appending, truncating, and handles that agree.

#![expect(missing_docs, reason = "the name of a fact says it")]

use super::verbs::pattern;
use super::{Directory, File, FileVerbs, Open, Verbs};

const MIB: usize = 1024 * 1024;

pub fn what_is_written_is_read_back(dir: &impl Directory) {
    dir.write("a", b"seven of nine");
    assert_eq!(dir.read("a"), b"seven of nine");
    assert_eq!(dir.stat("a").unwrap().len, 13);
}

pub fn a_new_file_is_empty(dir: &impl Directory) {
    let file = dir.open("a", Open::create_new()).unwrap();
    assert_eq!((file.told_len(), file.all()), (0, vec![]));
    drop(file);
    assert_eq!((dir.stat("a").unwrap().len, dir.read("a")), (0, vec![]));
}

pub fn several_mebibytes_in_odd_pieces_are_read_back(dir: &impl Directory) {
    let content = pattern(3 * MIB + 7);
    let file = dir.open("a", Open::create()).unwrap();
    let mut offset = 0;
    for piece in content.chunks(65_521) {
        file.write(offset, piece);
        offset += piece.len() as u64;
    }
    assert!(file.all() == content, "the writing handle reads other bytes");
    drop(file);
    assert!(dir.read("a") == content, "a new handle reads other bytes");
}

pub fn a_write_across_a_page_and_a_mebibyte_changes_only_its_bytes(dir: &impl Directory) {
    let mut content = pattern(2 * MIB);
    dir.write("a", &content);
    for offset in [4094, MIB - 3] {
        content[offset..offset + 6].copy_from_slice(b"across");
        let file = dir.open("a", Open::write()).unwrap();
        file.write(offset as u64, b"across");
    }
    assert!(dir.read("a") == content);
}

pub fn a_read_at_the_end_gives_nothing(dir: &impl Directory) {
    dir.write("a", b"12345");
    let file = dir.open("a", Open::read()).unwrap();
    assert_eq!(file.piece(5, 10), b"");
}

pub fn a_read_past_the_end_gives_nothing(dir: &impl Directory) {
    dir.write("a", b"12345");
    let file = dir.open("a", Open::read()).unwrap();
    assert_eq!(file.piece(6, 10), b"");
    assert_eq!(file.piece(1 << 40, 10), b"");
}

pub fn a_read_across_the_end_gives_exactly_the_rest(dir: &impl Directory) {
    dir.write("a", &pattern(5000));
    let file = dir.open("a", Open::read()).unwrap();
    assert_eq!(file.piece(4090, 4096), pattern(5000)[4090..]);
    assert_eq!(file.piece(4999, 2), pattern(5000)[4999..]);
}

pub fn a_read_of_no_bytes_gives_nothing(dir: &impl Directory) {
    dir.write("a", b"12345");
    assert_eq!(dir.open("a", Open::read()).unwrap().piece(2, 0), b"");
}

pub fn a_write_of_no_bytes_changes_nothing(dir: &impl Directory) {
    dir.write("a", b"12345");
    let file = dir.open("a", Open::both()).unwrap();
    assert_eq!(file.write_at(100, b""), Ok(0));
    assert_eq!(file.all(), b"12345");
}

pub fn a_write_in_the_middle_keeps_the_rest(dir: &impl Directory) {
    dir.write("a", b"0123456789");
    dir.open("a", Open::write()).unwrap().write(3, b"---");
    assert_eq!(dir.read("a"), b"012---6789");
}

pub fn a_write_past_the_end_leaves_zeros_before_it(dir: &impl Directory) {
    dir.write("a", b"begin");
    dir.open("a", Open::write()).unwrap().write(9000, b"end");
    let mut expected = b"begin".to_vec();
    expected.resize(9000, 0);
    expected.extend(b"end");
    assert!(dir.read("a") == expected);
}

pub fn a_file_of_sixteen_mebibytes_can_be_a_hole_between_its_ends(dir: &impl Directory) {
    let file = dir.open("a", Open::create()).unwrap();
    file.write(16 * MIB as u64, b"end");
    file.write(0, b"begin");
    assert_eq!(file.told_len(), 16 * MIB as u64 + 3);
    assert_eq!(file.piece(0, 8), b"begin\0\0\0");
    assert_eq!(file.piece(5 * MIB as u64 + 17, 100), [0; 100]);
    drop(file);
    let file = dir.open("a", Open::read()).unwrap();
    assert_eq!(file.piece(16 * MIB as u64 - 2, 10), b"\0\0end");
}

pub fn appending_goes_to_the_end(dir: &impl Directory) {
    dir.write("log", b"one ");
    let log = dir.open("log", Open::write().append()).unwrap();
    assert_eq!(log.append(b"two "), Ok(4));
    assert_eq!(log.append(b"three"), Ok(5));
    assert_eq!(dir.read("log"), b"one two three");
}

pub fn two_appending_handles_lose_nothing(dir: &impl Directory) {
    let first = dir.open("log", Open::create().append()).unwrap();
    let second = dir.open("log", Open::write().append()).unwrap();
    for round in 0..10u8 {
        assert_eq!(first.append(&[b'a', round]), Ok(2));
        assert_eq!(second.append(&[b'b', round]), Ok(2));
    }
    let expected: Vec<u8> = (0..10).flat_map(|round| [b'a', round, b'b', round]).collect();
    assert_eq!(dir.read("log"), expected);
}

pub fn appending_goes_after_the_bytes_of_another_handle(dir: &impl Directory) {
    let log = dir.open("log", Open::create().append()).unwrap();
    let other = dir.open("log", Open::write()).unwrap();
    other.write(100, b"x");
    assert_eq!(log.append(b"y"), Ok(1));
    assert_eq!(log.told_len(), 102);
    assert_eq!(dir.read("log")[100..], *b"xy");
}

pub fn opening_with_truncation_empties_the_file_and_keeps_its_inode(dir: &impl Directory) {
    dir.write("a", b"much");
    let inode = dir.inode("a");
    let file = dir.open("a", Open::write().truncate()).unwrap();
    assert_eq!(
        (file.told_len(), dir.read("a"), dir.inode("a")),
        (0, vec![], inode)
    );
}

pub fn truncation_at_opening_shows_in_handles_that_were_open(dir: &impl Directory) {
    dir.write("a", b"much");
    let before = dir.open("a", Open::read()).unwrap();
    let _truncating = dir.open("a", Open::write().truncate()).unwrap();
    assert_eq!((before.told_len(), before.piece(0, 10)), (0, vec![]));
}

pub fn a_shorter_length_cuts_the_end_off(dir: &impl Directory) {
    dir.write("a", &pattern(10_000));
    dir.set_len("a", 4097).unwrap();
    assert!(dir.read("a") == pattern(10_000)[..4097]);
    assert_eq!(dir.stat("a").unwrap().len, 4097);
}

pub fn a_greater_length_appends_zeros(dir: &impl Directory) {
    dir.write("a", b"12345");
    dir.set_len("a", 10_000).unwrap();
    let mut expected = b"12345".to_vec();
    expected.resize(10_000, 0);
    assert!(dir.read("a") == expected);
}

pub fn truncated_bytes_do_not_come_back(dir: &impl Directory) {
    dir.write("a", &pattern(10_000));
    let file = dir.open("a", Open::both()).unwrap();
    file.set_len(100).unwrap();
    file.set_len(10_000).unwrap();
    let mut expected = pattern(10_000)[..100].to_vec();
    expected.resize(10_000, 0);
    assert!(file.all() == expected, "through the handle");
    drop(file);
    assert!(dir.read("a") == expected, "through a new handle");
}

pub fn a_length_set_through_one_handle_shows_in_another(dir: &impl Directory) {
    dir.write("a", &pattern(5000));
    let (one, other) = (
        dir.open("a", Open::both()).unwrap(),
        dir.open("a", Open::read()).unwrap(),
    );
    one.set_len(3).unwrap();
    assert_eq!((other.told_len(), other.all()), (3, pattern(3)));
    one.set_len(6).unwrap();
    assert_eq!((other.told_len(), other.piece(0, 10).len()), (6, 6));
}

pub fn a_length_set_by_name_shows_in_an_open_handle(dir: &impl Directory) {
    dir.write("a", b"12345");
    let file = dir.open("a", Open::read()).unwrap();
    dir.set_len("a", 2).unwrap();
    assert_eq!((file.told_len(), file.all()), (2, b"12".to_vec()));
}

pub fn two_handles_see_the_same_length_at_once(dir: &impl Directory) {
    let one = dir.open("a", Open::create()).unwrap();
    let other = dir.open("a", Open::both()).unwrap();
    for (handle, offset) in [(&one, 0), (&other, 5), (&one, 10), (&other, 5000)] {
        handle.write(offset, b"12345");
        let lens = (one.told_len(), other.told_len(), dir.stat("a").unwrap().len);
        assert_eq!(lens, (offset + 5, offset + 5, offset + 5));
    }
}

pub fn two_handles_see_the_same_content_at_once(dir: &impl Directory) {
    let one = dir.open("a", Open::create()).unwrap();
    let other = dir.open("a", Open::both()).unwrap();
    one.write(0, b"one wrote this");
    assert_eq!(other.all(), b"one wrote this");
    other.write(0, b"TWO");
    assert_eq!(one.all(), b"TWO wrote this");
    one.write(0, b"1");
    assert_eq!(other.piece(0, 3), b"1WO");
}

pub fn a_read_handle_sees_what_is_written_after_it_was_opened(dir: &impl Directory) {
    dir.write("a", b"before");
    let reader = dir.open("a", Open::read()).unwrap();
    assert_eq!(reader.all(), b"before");
    dir.open("a", Open::write()).unwrap().write(0, b"AFTER!");
    assert_eq!(reader.all(), b"AFTER!");
}

pub fn a_synced_file_reads_the_same(dir: &impl Directory) {
    let file = dir.open("a", Open::create()).unwrap();
    file.write(0, &pattern(100_000));
    file.sync().unwrap();
    file.write(50_000, b"and on");
    file.sync().unwrap();
    let mut expected = pattern(100_000);
    expected[50_000..50_006].copy_from_slice(b"and on");
    assert!(file.all() == expected);
    drop(file);
    assert!(dir.read("a") == expected);
}

pub fn a_closed_file_can_be_written_again(dir: &impl Directory) {
    for round in 0..5u8 {
        dir.write("a", &vec![round; 1000 * usize::from(round)]);
        assert_eq!(dir.read("a"), vec![round; 1000 * usize::from(round)]);
    }
}

pub fn writes_from_the_back_to_the_front_make_the_whole_file(dir: &impl Directory) {
    let content = pattern(50_000);
    let file = dir.open("a", Open::create()).unwrap();
    for (index, piece) in content.chunks(999).enumerate().rev() {
        file.write(999 * index as u64, piece);
    }
    assert!(file.all() == content);
}
