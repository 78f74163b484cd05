//! Which calls are done at once, which are put off to another thread, and that none of them waits.

use super::super::answer::{Answer, Job};
use super::super::open_file::OpenFile;
use super::*;
use crate::limits::AT_ONCE_LEN_MAX;

/// The most that is hashed or copied at once.
const SMALL: usize = AT_ONCE_LEN_MAX as usize;
const LARGE: usize = SMALL + 1;

const EMPTIED: Changes = Changes {
    mode: None,
    uid: None,
    gid: None,
    len: Some(0),
    accessed_ns: None,
    modified_ns: None,
};

fn done<T>(answer: Answer<T>) -> T {
    match answer {
        Answer::Done(result) => result.unwrap(),
        Answer::Later(_) => panic!("it was put off"),
    }
}

fn later<T>(answer: Answer<T>) -> Job<T> {
    match answer {
        Answer::Done(_) => panic!("it was done at once"),
        Answer::Later(job) => job,
    }
}

fn shared_len(alone: &Alone) -> u64 {
    alone.peer.list()[0].file().unwrap().content.len
}

fn open_file(alone: &Alone, inode: Inode) -> Arc<OpenFile> {
    let view = alone.fs.view();
    view.open_file(&view.nodes(), inode).unwrap()
}

#[tokio::test]
async fn a_small_file_is_written_shared_and_closed_at_once() {
    let alone = alone().await;
    let (inode, handle) = alone.create("a");
    let bytes = vec![1; SMALL];
    assert_eq!(done(alone.fs.write_or_later(handle, 0, &bytes)), SMALL);
    done(alone.fs.flush_or_later(handle));
    assert_eq!(shared_len(&alone), SMALL as u64);
    done(alone.fs.release_or_later(handle));
    assert!(matches!(alone.fs.read(handle, 0, 5), Err(FsError::BadHandle)));
    let handle = alone.open_to_write(inode);
    assert_eq!(done(alone.fs.write_or_later(handle, 0, b"copied first")), 12);
    alone.fs.release(handle).unwrap();
}

#[tokio::test]
async fn a_large_file_is_shared_by_the_job_and_not_before() {
    let alone = alone().await;
    let (inode, handle) = alone.create("a");
    done(alone.fs.write_or_later(handle, 0, &vec![1; LARGE]));
    let flush = later(alone.fs.flush_or_later(handle));
    assert_eq!(shared_len(&alone), 0);
    flush.run(&alone.fs).unwrap();
    assert_eq!(shared_len(&alone), LARGE as u64);
    // Nothing is left to share.
    done(alone.fs.flush_or_later(handle));
    done(alone.fs.write_or_later(handle, 0, b"more"));
    let release = later(alone.fs.release_or_later(handle));
    assert_eq!(
        alone.fs.read(handle, 0, 4).unwrap(),
        b"more",
        "it is open until then"
    );
    release.run(&alone.fs).unwrap();
    assert!(matches!(alone.fs.read(handle, 0, 4), Err(FsError::BadHandle)));
    assert_eq!(&alone.read_inode(inode)[..5], b"more\x01");
}

#[tokio::test]
async fn a_large_file_is_copied_and_renamed_by_the_job_and_not_before() {
    let alone = alone().await;
    let inode = alone.write("a", &vec![1; LARGE]);
    let handle = alone.open_to_write(inode);
    let write = later(alone.fs.write_or_later(handle, 0, b"more"));
    assert_eq!(alone.fs.read(handle, 0, 4).unwrap(), [1; 4]);
    assert_eq!(write.run(&alone.fs).unwrap(), 4);
    let [from, to] = ["a", "b"].map(|name| (Inode::ROOT, OsStr::new(name)));
    let rename = later(alone.fs.rename_or_later(from, to, Renaming::Replace));
    assert_eq!(alone.inode("a").unwrap(), inode);
    rename.run(&alone.fs).unwrap();
    assert_eq!(alone.inode("b").unwrap(), inode);
    assert_eq!(&alone.read("b")[..5], b"more\x01");
    alone.fs.release(handle).unwrap();
}

#[tokio::test]
async fn a_call_that_would_wait_for_another_one_is_put_off() {
    let alone = alone().await;
    let (inode, handle) = alone.create("a");
    done(alone.fs.write_or_later(handle, 0, b"hello"));
    let open = open_file(&alone, inode);
    let turn = open.take_turn();
    drop(later(alone.fs.flush_or_later(handle)));
    drop(later(alone.fs.release_or_later(handle)));
    let [from, to] = ["a", "b"].map(|name| (Inode::ROOT, OsStr::new(name)));
    drop(later(alone.fs.rename_or_later(from, to, Renaming::Replace)));
    drop(turn);
    // Jobs that are dropped have done nothing.
    assert_eq!(shared_len(&alone), 0);
    done(alone.fs.release_or_later(handle));
    assert_eq!(alone.read("a"), b"hello");
    let reader = alone.fs.open(inode, OpenMode::READ, IoWish::Calls).unwrap();
    let open = open_file(&alone, inode);
    let turn = open.take_turn();
    drop(later(alone.fs.set_attributes_or_later(inode, None, &EMPTIED)));
    assert!(
        alone
            .fs
            .open_at_once(inode, OpenMode::WRITE, IoWish::Either)
            .is_none()
    );
    drop(turn);
    assert_eq!(
        done(alone.fs.set_attributes_or_later(inode, None, &EMPTIED)).len,
        0
    );
    assert_eq!(shared_len(&alone), 0);
    alone.fs.release(reader.handle).unwrap();
}

#[tokio::test]
async fn a_file_of_the_user_that_has_changed_is_read_again_by_another_thread() {
    let alone = alone().await;
    alone.share("a", b"before").await;
    let inode = alone.inode("a").unwrap();
    let reader = alone.fs.open(inode, OpenMode::READ, IoWish::Calls).unwrap();
    let original = alone._store.path().join("original");
    std::fs::write(&original, b"afterwards").unwrap();
    let (sender, answer) = std::sync::mpsc::channel();
    let caller = std::thread::current().id();
    let note = Box::new(move |_: Result<&[u8], FsError>| sender.send(std::thread::current().id()).unwrap());
    alone.fs.read_with(reader.handle, 0, 6, note);
    let answered_by = tokio::task::spawn_blocking(move || answer.recv().unwrap());
    assert_ne!(answered_by.await.unwrap(), caller);
    alone.fs.release(reader.handle).unwrap();
    std::fs::write(&original, b"once more").unwrap();
    let inode = alone.inode("a").unwrap();
    assert!(
        alone
            .fs
            .open_at_once(inode, OpenMode::READ, IoWish::Calls)
            .is_none()
    );
    assert_eq!(alone.read("a"), b"once more");
}
