//! Ranges within files: reserving, punching, copying, and finding data and holes.

#![expect(missing_docs, reason = "the name of a fact says it")]

use super::verbs::pattern;
use super::{Allocate, Directory, Errno, File, FileVerbs, Open, Outcome, Verbs};

const MIB: u64 = 1024 * 1024;

/// Whether the folder offers the operation. One that doesn't must return an error and change
/// nothing.
fn is_offered<T: std::fmt::Debug>(outcome: &Outcome<T>) -> bool {
    !matches!(outcome, Err(Errno::OPNOTSUPP | Errno::NOSYS))
}

pub fn reserving_past_the_end_extends_the_file(dir: &impl Directory) {
    dir.write("a", b"12345");
    let file = dir.open("a", Open::both()).unwrap();
    file.allocate(Allocate::Grow, 3, 5000).unwrap();
    assert_eq!((file.told_len(), dir.stat("a").unwrap().len), (5003, 5003));
    let mut expected = b"12345".to_vec();
    expected.resize(5003, 0);
    assert!(file.all() == expected);
}

pub fn reserving_within_the_file_changes_nothing(dir: &impl Directory) {
    dir.write("a", &pattern(5000));
    let file = dir.open("a", Open::both()).unwrap();
    file.allocate(Allocate::Grow, 100, 200).unwrap();
    assert!(file.all() == pattern(5000));
}

pub fn reserving_may_keep_the_length(dir: &impl Directory) {
    dir.write("a", b"12345");
    let file = dir.open("a", Open::both()).unwrap();
    file.allocate(Allocate::KeepLen, 0, MIB).unwrap();
    assert_eq!((file.told_len(), file.all()), (5, b"12345".to_vec()));
}

pub fn reserving_nothing_is_refused(dir: &impl Directory) {
    dir.write("a", b"12345");
    let file = dir.open("a", Open::both()).unwrap();
    assert_eq!(file.allocate(Allocate::Grow, 0, 0), Err(Errno::INVAL));
}

pub fn a_punched_hole_reads_as_zeros_and_keeps_the_length(dir: &impl Directory) {
    let mut expected = pattern(100_000);
    dir.write("a", &expected);
    let file = dir.open("a", Open::both()).unwrap();
    file.allocate(Allocate::Punch, 10_000, 50_001).unwrap();
    expected[10_000..60_001].fill(0);
    assert!(file.all() == expected);
    drop(file);
    assert!(dir.read("a") == expected);
}

pub fn a_hole_punched_across_the_end_keeps_the_length(dir: &impl Directory) {
    dir.write("a", b"0123456789");
    let file = dir.open("a", Open::both()).unwrap();
    file.allocate(Allocate::Punch, 5, MIB).unwrap();
    assert_eq!(file.all(), b"01234\0\0\0\0\0");
}

pub fn data_is_found_where_it_was_written(dir: &impl Directory) {
    let file = dir.open("a", Open::create()).unwrap();
    file.write(4 * MIB, &pattern(100));
    let found = file.next_data(0).unwrap();
    assert!(found <= 4 * MIB, "the first data was found at {found}");
    assert_eq!(file.next_data(4 * MIB + 50), Ok(4 * MIB + 50));
}

pub fn no_written_byte_is_in_a_hole(dir: &impl Directory) {
    let file = dir.open("a", Open::create()).unwrap();
    for index in 0..5 {
        file.write(index * MIB, b"x");
    }
    let (mut offset, mut data_len) = (0, 0);
    while let Ok(start) = file.next_data(offset) {
        let end = file.next_hole(start).unwrap();
        assert!(
            end > start,
            "the hole at {end} does not come after the data at {start}"
        );
        data_len += (0..5)
            .filter(|index| (start..end).contains(&(index * MIB)))
            .count();
        offset = end;
    }
    assert_eq!(data_len, 5);
}

pub fn the_end_of_a_full_file_is_its_first_hole(dir: &impl Directory) {
    dir.write("a", &pattern(5000));
    let file = dir.open("a", Open::read()).unwrap();
    assert_eq!(file.next_hole(0), Ok(5000));
    assert_eq!(file.next_data(4999), Ok(4999));
}

pub fn past_the_end_there_is_neither_data_nor_a_hole(dir: &impl Directory) {
    dir.write("a", b"12345");
    let file = dir.open("a", Open::read()).unwrap();
    assert_eq!(file.next_data(5), Err(Errno::NXIO));
    assert_eq!(file.next_hole(6), Err(Errno::NXIO));
}

pub fn a_range_is_copied_from_file_to_file(dir: &impl Directory) {
    dir.write("from", &pattern(100_000));
    dir.write("to", b"head");
    let (from, to) = (
        dir.open("from", Open::read()).unwrap(),
        dir.open("to", Open::both()).unwrap(),
    );
    let outcome = dir.copy_range((&from, 1000), (&to, 4), 50_000);
    if !is_offered(&outcome) {
        return assert_eq!(to.all(), b"head");
    }
    let count = outcome.unwrap();
    assert!(0 < count && count <= 50_000);
    assert_eq!(to.told_len(), 4 + count as u64);
    assert!(to.all()[4..] == pattern(100_000)[1000..1000 + count]);
    assert_eq!(to.piece(0, 4), b"head");
}

pub fn a_copy_ends_where_its_source_ends(dir: &impl Directory) {
    dir.write("from", &pattern(5000));
    dir.write("to", b"");
    let (from, to) = (
        dir.open("from", Open::read()).unwrap(),
        dir.open("to", Open::both()).unwrap(),
    );
    let outcome = dir.copy_range((&from, 4000), (&to, 0), 9999);
    if !is_offered(&outcome) {
        return assert_eq!(to.told_len(), 0);
    }
    assert_eq!(outcome, Ok(1000));
    assert_eq!(dir.copy_range((&from, 5000), (&to, 1000), 10), Ok(0));
    assert!(to.all() == pattern(5000)[4000..]);
}

pub fn a_copy_shows_in_a_file_that_is_open(dir: &impl Directory) {
    dir.write("from", b"NEW");
    dir.write("to", b"old content");
    let reader = dir.open("to", Open::read()).unwrap();
    assert_eq!(reader.all(), b"old content");
    let (from, to) = (
        dir.open("from", Open::read()).unwrap(),
        dir.open("to", Open::write()).unwrap(),
    );
    match dir.copy_range((&from, 0), (&to, 0), 3) {
        outcome if !is_offered(&outcome) => assert_eq!(reader.all(), b"old content"),
        outcome => {
            assert_eq!(outcome, Ok(3));
            assert_eq!(reader.all(), b"NEW content");
        }
    }
}
