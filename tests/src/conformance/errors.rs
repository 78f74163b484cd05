//! Which situation gives which errno: ENOENT, ENOTDIR, EISDIR, EEXIST, ENOTEMPTY and EINVAL, for
//! every operation that can fail with them.

#![expect(missing_docs, reason = "the name of a fact says it")]

use super::{Creation, Directory, Errno, Open, Outcome, Rename, Time, Verbs};

const TIME: Time = Time { secs: 1, nanos: 0 };

/// The outcome of every operation that requires `path` to exist.
fn on_existing(dir: &impl Directory, path: &str) -> Vec<(&'static str, Outcome<()>)> {
    vec![
        ("open", dir.open(path, Open::read()).map(drop)),
        ("stat", dir.stat(path).map(drop)),
        ("set_mode", dir.set_mode(path, 0o600)),
        ("set_times", dir.set_times(path, TIME, TIME)),
        ("set_len", dir.set_len(path, 0)),
        ("remove_folder", dir.remove_folder(path)),
        ("unlink", dir.unlink(path)),
        ("rename", dir.rename(path, "elsewhere", Rename::Plain)),
        ("read_link", dir.read_link(path).map(drop)),
        ("list", dir.list(path).map(drop)),
    ]
}

/// The outcome of every operation that would create `path`.
fn on_new(dir: &impl Directory, path: &str) -> Vec<(&'static str, Outcome<()>)> {
    vec![
        ("create", dir.open(path, Open::create_new()).map(drop)),
        ("make_folder", dir.make_folder(path, 0o755)),
        ("make_link", dir.make_link("target", path)),
        ("rename", dir.rename("source", path, Rename::NoReplace)),
    ]
}

#[track_caller]
fn all_fail_with(errno: Errno, outcomes: Vec<(&'static str, Outcome<()>)>) {
    for (operation, outcome) in outcomes {
        assert_eq!(outcome, Err(errno), "{operation}");
    }
}

pub fn a_missing_entry_is_enoent_to_every_operation(dir: &impl Directory) {
    all_fail_with(Errno::NOENT, on_existing(dir, "missing"));
}

pub fn a_path_below_a_missing_folder_is_enoent(dir: &impl Directory) {
    dir.write("source", b"");
    all_fail_with(Errno::NOENT, on_existing(dir, "missing/inner"));
    all_fail_with(Errno::NOENT, on_new(dir, "missing/inner"));
}

pub fn a_path_below_a_file_is_enotdir_to_every_operation(dir: &impl Directory) {
    dir.write("source", b"");
    dir.write("file", b"");
    all_fail_with(Errno::NOTDIR, on_existing(dir, "file/inner"));
    all_fail_with(Errno::NOTDIR, on_new(dir, "file/inner"));
}

pub fn an_existing_file_is_eexist_to_every_operation_that_creates_it(dir: &impl Directory) {
    dir.write("source", b"");
    dir.write("taken", b"kept");
    all_fail_with(Errno::EXIST, on_new(dir, "taken"));
    assert_eq!(dir.read("taken"), b"kept");
}

pub fn an_existing_folder_is_eexist_to_every_operation_that_creates_it(dir: &impl Directory) {
    dir.write("source", b"");
    dir.folder("taken");
    all_fail_with(Errno::EXIST, on_new(dir, "taken"));
}

pub fn an_existing_link_is_eexist_to_every_operation_that_creates_it(dir: &impl Directory) {
    dir.write("source", b"");
    dir.make_link("nowhere", "taken").unwrap();
    all_fail_with(Errno::EXIST, on_new(dir, "taken"));
    assert!(!dir.exists("nowhere"));
}

pub fn exclusive_creation_makes_a_file_once(dir: &impl Directory) {
    assert!(dir.open("once", Open::create_new()).is_ok());
    assert_eq!(dir.open("once", Open::create_new()).map(drop), Err(Errno::EXIST));
}

pub fn a_folder_is_not_opened_for_writing(dir: &impl Directory) {
    dir.folder("folder");
    assert_eq!(dir.open("folder", Open::write()).map(drop), Err(Errno::ISDIR));
    assert_eq!(dir.open("folder", Open::both()).map(drop), Err(Errno::ISDIR));
    let creating = Open {
        creation: Creation::IfMissing,
        ..Open::write()
    };
    assert_eq!(dir.open("folder", creating).map(drop), Err(Errno::ISDIR));
}

pub fn the_length_of_a_folder_can_not_be_set(dir: &impl Directory) {
    dir.folder("folder");
    assert_eq!(dir.set_len("folder", 0), Err(Errno::ISDIR));
}

pub fn a_folder_is_not_unlinked(dir: &impl Directory) {
    dir.folder("folder");
    assert_eq!(dir.unlink("folder"), Err(Errno::ISDIR));
    assert!(dir.exists("folder"));
}

pub fn a_file_is_not_removed_as_a_folder(dir: &impl Directory) {
    dir.write("file", b"");
    assert_eq!(dir.remove_folder("file"), Err(Errno::NOTDIR));
    assert!(dir.exists("file"));
}

pub fn a_link_to_a_folder_is_not_removed_as_a_folder(dir: &impl Directory) {
    dir.folder("folder");
    dir.make_link("folder", "link").unwrap();
    assert_eq!(dir.remove_folder("link"), Err(Errno::NOTDIR));
}

pub fn a_folder_that_is_not_empty_is_not_removed(dir: &impl Directory) {
    dir.folder("folder");
    dir.write("folder/file", b"");
    assert_eq!(dir.remove_folder("folder"), Err(Errno::NOTEMPTY));
    dir.unlink("folder/file").unwrap();
    dir.folder("folder/inner");
    assert_eq!(dir.remove_folder("folder"), Err(Errno::NOTEMPTY));
    dir.remove_folder("folder/inner").unwrap();
    dir.remove_folder("folder").unwrap();
    assert!(!dir.exists("folder"));
}

pub fn a_file_can_not_be_listed(dir: &impl Directory) {
    dir.write("file", b"");
    assert_eq!(dir.list("file").map(drop), Err(Errno::NOTDIR));
}

pub fn only_a_link_has_a_target_to_read(dir: &impl Directory) {
    dir.write("file", b"");
    dir.folder("folder");
    assert_eq!(dir.read_link("file"), Err(Errno::INVAL));
    assert_eq!(dir.read_link("folder"), Err(Errno::INVAL));
}

pub fn a_folder_does_not_replace_a_file(dir: &impl Directory) {
    dir.folder("folder");
    dir.write("file", b"kept");
    assert_eq!(dir.rename("folder", "file", Rename::Plain), Err(Errno::NOTDIR));
    assert_eq!(dir.read("file"), b"kept");
}

pub fn a_file_does_not_replace_a_folder(dir: &impl Directory) {
    dir.folder("folder");
    dir.write("file", b"kept");
    assert_eq!(dir.rename("file", "folder", Rename::Plain), Err(Errno::ISDIR));
    assert_eq!(dir.read("file"), b"kept");
}

pub fn a_folder_does_not_replace_one_that_is_not_empty(dir: &impl Directory) {
    dir.folder("folder");
    dir.folder("full");
    dir.write("full/file", b"kept");
    let outcome = dir.rename("folder", "full", Rename::Plain);
    assert!(
        matches!(outcome, Err(Errno::NOTEMPTY | Errno::EXIST)),
        "{outcome:?}"
    );
    assert_eq!(dir.read("full/file"), b"kept");
}

pub fn a_folder_does_not_move_into_itself(dir: &impl Directory) {
    dir.folder("folder");
    dir.folder("folder/inner");
    for target in ["folder/self", "folder/inner/self"] {
        assert_eq!(
            dir.rename("folder", target, Rename::Plain),
            Err(Errno::INVAL),
            "{target}"
        );
    }
    assert_eq!(dir.names("folder"), ["inner"]);
}

pub fn an_exchange_needs_both(dir: &impl Directory) {
    dir.write("here", b"kept");
    for (from, to) in [("here", "missing"), ("missing", "here")] {
        assert_eq!(dir.rename(from, to, Rename::Exchange), Err(Errno::NOENT));
    }
    assert_eq!(dir.read("here"), b"kept");
}
