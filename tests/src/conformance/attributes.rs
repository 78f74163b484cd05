//! The attributes that stat returns: kinds, lengths, modes, times, inode numbers and links; and the
//! free space.

#![expect(missing_docs, reason = "the name of a fact says it")]

use super::verbs::pattern;
use super::{Directory, File, FileVerbs, Kind, Open, Time, Verbs};

/// Long ago, with nanoseconds.
const THEN: Time = Time {
    secs: 1_234_567_890,
    nanos: 123_456_789,
};

pub fn stat_reports_the_kind_of_each_entry(dir: &impl Directory) {
    dir.write("file", b"");
    dir.folder("folder");
    dir.make_link("file", "link").unwrap();
    assert_eq!(dir.kind("file"), Ok(Kind::File));
    assert_eq!(dir.kind("folder"), Ok(Kind::Folder));
    assert_eq!(dir.kind("link"), Ok(Kind::Link));
}

pub fn the_folder_itself_is_a_folder(dir: &impl Directory) {
    assert_eq!(dir.kind(""), Ok(Kind::Folder));
}

pub fn stat_by_name_and_by_handle_agree(dir: &impl Directory) {
    let file = dir.open("a", Open::create()).unwrap();
    file.write(0, b"12345");
    assert_eq!(file.stat(), dir.stat("a"));
}

pub fn an_unfinished_write_shows_in_the_length(dir: &impl Directory) {
    let file = dir.open("a", Open::create()).unwrap();
    file.write(0, b"12345");
    assert_eq!(dir.stat("a").unwrap().len, 5);
    file.write(5, b"67");
    assert_eq!(dir.stat("a").unwrap().len, 7);
}

pub fn a_file_is_made_with_its_mode(dir: &impl Directory) {
    for mode in [0o600, 0o640, 0o755, 0o400] {
        let name = format!("{mode:o}");
        drop(dir.open(&name, Open::create_new().mode(mode)).unwrap());
        assert_eq!(dir.stat(&name).unwrap().mode, mode);
    }
}

pub fn a_folder_is_made_with_its_mode(dir: &impl Directory) {
    for mode in [0o700, 0o750, 0o755] {
        let name = format!("{mode:o}");
        dir.make_folder(&name, mode).unwrap();
        assert_eq!(dir.stat(&name).unwrap().mode, mode);
    }
}

pub fn opening_an_existing_file_does_not_change_its_mode(dir: &impl Directory) {
    drop(dir.open("a", Open::create_new().mode(0o640)).unwrap());
    drop(dir.open("a", Open::create().truncate().mode(0o600)).unwrap());
    assert_eq!(dir.stat("a").unwrap().mode, 0o640);
}

pub fn a_mode_that_is_set_is_kept(dir: &impl Directory) {
    dir.write("a", b"");
    dir.folder("folder");
    for mode in [0o755, 0o600, 0o444, 0o644] {
        dir.set_mode("a", mode).unwrap();
        assert_eq!(dir.stat("a").unwrap().mode, mode);
        dir.set_mode("folder", mode | 0o111).unwrap();
        assert_eq!(dir.stat("folder").unwrap().mode, mode | 0o111);
    }
}

pub fn a_mode_outlives_a_write_and_a_rename(dir: &impl Directory) {
    dir.write("a", b"");
    dir.set_mode("a", 0o750).unwrap();
    dir.open("a", Open::write()).unwrap().write(0, b"more");
    dir.move_to("a", "b");
    assert_eq!(dir.stat("b").unwrap().mode, 0o750);
}

pub fn a_mode_set_while_a_file_is_open_shows_in_its_handle(dir: &impl Directory) {
    let file = dir.open("a", Open::create()).unwrap();
    dir.set_mode("a", 0o700).unwrap();
    assert_eq!(file.stat().unwrap().mode, 0o700);
    file.write(0, b"on");
    drop(file);
    assert_eq!(dir.stat("a").unwrap().mode, 0o700);
}

pub fn a_time_that_is_set_is_kept_to_the_nanosecond(dir: &impl Directory) {
    dir.write("a", b"12345");
    dir.set_times("a", THEN, THEN).unwrap();
    assert_eq!(dir.stat("a").unwrap().modified, THEN);
}

pub fn a_time_outlives_reading_a_rename_and_a_mode(dir: &impl Directory) {
    dir.write("a", b"12345");
    dir.set_times("a", THEN, THEN).unwrap();
    assert_eq!(dir.read("a"), b"12345");
    dir.move_to("a", "b");
    dir.set_mode("b", 0o600).unwrap();
    assert_eq!(dir.stat("b").unwrap().modified, THEN);
}

pub fn a_time_set_while_a_file_is_open_outlives_its_closing(dir: &impl Directory) {
    let file = dir.open("a", Open::create()).unwrap();
    file.write(0, b"12345");
    dir.set_times("a", THEN, THEN).unwrap();
    drop(file);
    assert_eq!(dir.stat("a").unwrap().modified, THEN);
}

pub fn files_dated_and_renamed_right_after_they_were_closed_keep_content_and_time(dir: &impl Directory) {
    // rsync and tar do this. The kernel may report a close to the file system later than the calls
    // that follow it.
    for index in 0..100 {
        let (temporary, name) = (format!(".{index}.tmp"), format!("{index}"));
        dir.write(&temporary, &pattern(1000 + index));
        dir.set_times(&temporary, THEN, THEN).unwrap();
        dir.set_mode(&temporary, 0o640).unwrap();
        dir.move_to(&temporary, &name);
    }
    for index in 0..100 {
        let name = format!("{index}");
        assert!(dir.read(&name) == pattern(1000 + index), "content of {name}");
        let stat = dir.stat(&name).unwrap();
        assert_eq!((stat.modified, stat.mode), (THEN, 0o640), "{name}");
    }
}

pub fn files_dated_right_after_they_were_closed_keep_content_and_time(dir: &impl Directory) {
    for index in 0..100 {
        let name = format!("{index}");
        dir.write(&name, &pattern(1000 + index));
        dir.set_times(&name, THEN, THEN).unwrap();
        assert!(dir.read(&name) == pattern(1000 + index), "content of {name}");
        assert_eq!(dir.stat(&name).unwrap().modified, THEN, "{name}");
    }
}

pub fn a_write_renews_the_time(dir: &impl Directory) {
    dir.write("a", b"12345");
    dir.set_times("a", THEN, THEN).unwrap();
    dir.open("a", Open::write()).unwrap().write(0, b"x");
    assert!(dir.stat("a").unwrap().modified > THEN);
}

pub fn a_new_length_renews_the_time(dir: &impl Directory) {
    dir.write("a", b"12345");
    dir.set_times("a", THEN, THEN).unwrap();
    dir.set_len("a", 3).unwrap();
    assert!(dir.stat("a").unwrap().modified > THEN);
}

pub fn a_new_entry_renews_the_time_of_its_folder(dir: &impl Directory) {
    dir.folder("folder");
    dir.set_times("folder", THEN, THEN).unwrap();
    assert_eq!(dir.stat("folder").unwrap().modified, THEN);
    dir.write("folder/a", b"");
    assert!(dir.stat("folder").unwrap().modified > THEN);
}

pub fn a_time_before_1970_is_kept(dir: &impl Directory) {
    // Whole seconds: fuser 0.18 passes fractions before 1970 on with the wrong sign.
    let before = Time {
        secs: -86_400,
        nanos: 0,
    };
    dir.write("a", b"");
    dir.set_times("a", before, before).unwrap();
    assert_eq!(dir.stat("a").unwrap().modified, before);
}

pub fn a_file_has_one_name(dir: &impl Directory) {
    dir.write("a", b"");
    assert_eq!(dir.stat("a").unwrap().link_count, 1);
}

pub fn an_inode_number_stays_and_belongs_to_one_file(dir: &impl Directory) {
    dir.write("a", b"");
    dir.write("b", b"");
    let inode = dir.inode("a");
    assert_ne!(inode, dir.inode("b"));
    dir.open("a", Open::write()).unwrap().write(0, b"12345");
    dir.set_mode("a", 0o600).unwrap();
    assert_eq!(dir.inode("a"), inode);
    assert_eq!(dir.open("a", Open::read()).unwrap().stat().unwrap().inode, inode);
}

pub fn statvfs_reports_free_space(dir: &impl Directory) {
    let room = dir.room().unwrap();
    assert_eq!(room.name_len_max, 255);
    assert!(room.total_len > 0 && room.available_len > 0, "{room:?}");
    assert!(room.available_len <= room.total_len, "{room:?}");
    assert!(room.file_count > 0, "{room:?}");
}
