//! What the kernel decides itself, without asking the file system: `.` and `..`, the access mode of
//! a descriptor, links that are followed, long paths, locks. On a mount these facts show that the
//! file system doesn't interfere.

#![expect(missing_docs, reason = "the name of a fact says it")]

use rustix::fs::{FlockOperation, fcntl_lock, flock};

use super::{Directory, Errno, File, FileVerbs, Open, Plain, Rename, Verbs};

pub fn a_dot_is_the_folder_itself_and_two_are_its_parent(dir: &Plain) {
    dir.folder("folder");
    dir.folder("folder/inner");
    assert_eq!(dir.inode("folder/."), dir.inode("folder"));
    assert_eq!(dir.inode("folder/inner/.."), dir.inode("folder"));
    assert_eq!(dir.inode("folder/inner/../.."), dir.inode(""));
}

pub fn dots_are_neither_made_nor_removed(dir: &Plain) {
    dir.folder("folder");
    assert_eq!(dir.make_folder("folder/.", 0o755), Err(Errno::EXIST));
    assert_eq!(dir.make_folder("folder/..", 0o755), Err(Errno::EXIST));
    assert_eq!(dir.remove_folder("folder/."), Err(Errno::INVAL));
    assert_eq!(dir.remove_folder("folder/.."), Err(Errno::NOTEMPTY));
    assert_eq!(dir.rename("folder/.", "moved", Rename::Plain), Err(Errno::BUSY));
}

pub fn a_path_of_more_than_4096_bytes_is_refused(dir: &Plain) {
    assert_eq!(dir.stat(&"a/".repeat(2100)), Err(Errno::NAMETOOLONG));
}

pub fn a_descriptor_does_only_what_it_was_opened_for(dir: &Plain) {
    dir.write("a", b"12345");
    let reader = dir.open("a", Open::read()).unwrap();
    assert_eq!(reader.write_at(0, b"x"), Err(Errno::BADF));
    assert_eq!(reader.set_len(0), Err(Errno::INVAL));
    let writer = dir.open("a", Open::write()).unwrap();
    assert_eq!(writer.read_at(0, &mut [0; 5]), Err(Errno::BADF));
}

pub fn a_link_is_followed_to_a_file_and_to_a_folder(dir: &Plain) {
    dir.folder("folder");
    dir.write("folder/a", b"a");
    dir.make_link("folder", "to-folder").unwrap();
    dir.make_link("to-folder/a", "to-file").unwrap();
    assert_eq!(dir.read("to-file"), b"a");
    assert_eq!(dir.inode("to-folder/a"), dir.inode("folder/a"));
    dir.write("to-file", b"through the link");
    assert_eq!(dir.read("folder/a"), b"through the link");
}

pub fn a_link_to_itself_is_a_loop(dir: &Plain) {
    dir.make_link("link", "link").unwrap();
    assert_eq!(dir.open("link", Open::read()).map(drop), Err(Errno::LOOP));
}

pub fn a_link_to_nowhere_is_enoent(dir: &Plain) {
    dir.make_link("nowhere", "link").unwrap();
    assert_eq!(dir.open("link", Open::read()).map(drop), Err(Errno::NOENT));
    assert_eq!(dir.names(""), ["link"]);
}

pub fn a_file_with_a_trailing_slash_is_enotdir(dir: &Plain) {
    dir.write("a", b"");
    assert_eq!(dir.stat("a/"), Err(Errno::NOTDIR));
    assert_eq!(dir.unlink("a/"), Err(Errno::NOTDIR));
}

pub fn an_exclusive_lock_keeps_another_handle_out(dir: &Plain) {
    dir.write("a", b"");
    let (one, other) = (
        dir.open("a", Open::both()).unwrap(),
        dir.open("a", Open::both()).unwrap(),
    );
    flock(one.descriptor(), FlockOperation::NonBlockingLockExclusive).unwrap();
    for attempt in [
        FlockOperation::NonBlockingLockExclusive,
        FlockOperation::NonBlockingLockShared,
    ] {
        assert_eq!(flock(other.descriptor(), attempt), Err(Errno::WOULDBLOCK));
    }
    flock(one.descriptor(), FlockOperation::Unlock).unwrap();
    flock(other.descriptor(), FlockOperation::NonBlockingLockExclusive).unwrap();
}

pub fn a_shared_lock_lets_readers_in_and_keeps_writers_out(dir: &Plain) {
    dir.write("a", b"");
    let handles = [(); 3].map(|()| dir.open("a", Open::both()).unwrap());
    flock(handles[0].descriptor(), FlockOperation::NonBlockingLockShared).unwrap();
    flock(handles[1].descriptor(), FlockOperation::NonBlockingLockShared).unwrap();
    let refused = flock(handles[2].descriptor(), FlockOperation::NonBlockingLockExclusive);
    assert_eq!(refused, Err(Errno::WOULDBLOCK));
}

pub fn a_lock_ends_with_its_handle(dir: &Plain) {
    dir.write("a", b"");
    let one = dir.open("a", Open::both()).unwrap();
    flock(one.descriptor(), FlockOperation::NonBlockingLockExclusive).unwrap();
    drop(one);
    let other = dir.open("a", Open::both()).unwrap();
    flock(other.descriptor(), FlockOperation::NonBlockingLockExclusive).unwrap();
}

pub fn a_process_can_lock_a_record(dir: &Plain) {
    dir.write("a", b"12345");
    let file = dir.open("a", Open::both()).unwrap();
    fcntl_lock(file.descriptor(), FlockOperation::NonBlockingLockExclusive).unwrap();
    fcntl_lock(file.descriptor(), FlockOperation::NonBlockingUnlock).unwrap();
}

pub fn a_lock_outlives_a_rename_and_an_unlink(dir: &Plain) {
    dir.write("a", b"");
    let one = dir.open("a", Open::both()).unwrap();
    flock(one.descriptor(), FlockOperation::NonBlockingLockExclusive).unwrap();
    dir.move_to("a", "b");
    let other = dir.open("b", Open::both()).unwrap();
    dir.unlink("b").unwrap();
    let refused = flock(other.descriptor(), FlockOperation::NonBlockingLockExclusive);
    assert_eq!(refused, Err(Errno::WOULDBLOCK));
    assert_eq!(one.told_len(), 0);
}
