//! Symbolic links are kept, whatever their target; hard links work or are refused cleanly.

#![expect(missing_docs, reason = "the name of a fact says it")]

use super::{Directory, Errno, FileVerbs, Kind, Open, Verbs};

/// Targets of all kinds. A file system must not interpret them.
const TARGETS: [&str; 7] = [
    "file",
    "../..",
    "/etc/passwd",
    "../../outside/the/tree",
    "nowhere at all",
    "a\\b\nc日",
    ".",
];

pub fn the_target_of_a_link_is_read_back_as_it_was_given(dir: &impl Directory) {
    for (index, target) in TARGETS.into_iter().enumerate() {
        let name = format!("link-{index}");
        dir.make_link(target, &name).unwrap();
        assert_eq!(dir.read_link(&name).as_deref(), Ok(target));
    }
}

pub fn a_target_of_a_thousand_bytes_is_kept(dir: &impl Directory) {
    let target = "t/".repeat(500);
    dir.make_link(&target, "link").unwrap();
    assert_eq!(dir.read_link("link"), Ok(target));
}

pub fn a_link_is_a_link_and_as_long_as_its_target(dir: &impl Directory) {
    dir.make_link("12345", "link").unwrap();
    let stat = dir.stat("link").unwrap();
    assert_eq!((stat.kind, stat.len), (Kind::Link, 5));
}

pub fn an_unlinked_link_spares_its_target(dir: &impl Directory) {
    dir.write("file", b"kept");
    dir.make_link("file", "link").unwrap();
    dir.unlink("link").unwrap();
    assert_eq!(dir.names(""), ["file"]);
    assert_eq!(dir.read("file"), b"kept");
}

pub fn a_renamed_link_is_the_link_and_not_its_target(dir: &impl Directory) {
    dir.write("file", b"kept");
    dir.make_link("file", "link").unwrap();
    dir.move_to("link", "moved");
    assert_eq!(dir.read_link("moved").as_deref(), Ok("file"));
    assert_eq!(dir.names(""), ["file", "moved"]);
}

pub fn a_file_replaces_a_link_and_not_its_target(dir: &impl Directory) {
    dir.write("target", b"kept");
    dir.make_link("target", "link").unwrap();
    dir.write("new", b"new");
    dir.move_to("new", "link");
    assert_eq!(dir.kind("link"), Ok(Kind::File));
    assert_eq!(
        (dir.read("link"), dir.read("target")),
        (b"new".to_vec(), b"kept".to_vec())
    );
}

pub fn a_hard_link_is_the_same_file_or_is_refused(dir: &impl Directory) {
    dir.write("file", b"12345");
    match dir.hard_link("file", "second") {
        Ok(()) => {
            assert_eq!(dir.inode("file"), dir.inode("second"));
            assert_eq!(dir.stat("file").unwrap().link_count, 2);
            dir.open("second", Open::write()).unwrap().write(0, b"x");
            assert_eq!(dir.read("file"), b"x2345");
        }
        Err(Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS) => {
            assert_eq!(dir.names(""), ["file"]);
            assert_eq!(dir.stat("file").unwrap().link_count, 1);
        }
        Err(other) => panic!("a hard link fails with {other:?}, which no program expects"),
    }
}
