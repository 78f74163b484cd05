//! Concurrent use: two viewers, files of the same content, removals and edits by the other side.

use super::*;

pub(super) fn written_count(alone: &Alone) -> usize {
    std::fs::read_dir(alone._store.path().join("written"))
        .unwrap()
        .count()
}

fn backing_bytes(opened: Opened) -> Vec<u8> {
    use std::io::{Read, Seek};
    let mut file = std::fs::File::from(opened.backing.unwrap());
    file.rewind().unwrap();
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).unwrap();
    bytes
}

#[tokio::test]
async fn a_file_is_readable_while_another_of_the_same_content_is_written() {
    let alone = alone().await;
    let b = alone.write("b", b"same");
    let (_, ha) = alone.create("a");
    alone.fs.write(ha, 0, b"same").unwrap();
    alone.fs.fsync(ha).unwrap();
    let hb = alone.fs.open(b, OpenMode::READ, IoWish::Calls).unwrap().handle;
    alone.fs.write(ha, 0, b"other").unwrap();
    assert_eq!(alone.fs.read(hb, 0, 9).unwrap(), b"same");
}

#[tokio::test]
async fn backed_readers_see_their_own_file() {
    let alone = alone().await;
    let b = alone.write("b", b"same");
    let (_, ha) = alone.create("a");
    alone.fs.write(ha, 0, b"same").unwrap();
    alone.fs.fsync(ha).unwrap();
    let hb = alone.fs.open(b, OpenMode::READ, IoWish::Either).unwrap();
    alone.fs.write(ha, 0, b"other").unwrap();
    assert_eq!(backing_bytes(hb), b"same");
}

#[tokio::test]
async fn backed_writer_of_a_copy_does_not_write_into_the_other() {
    let alone = alone().await;
    let a = alone.write("a", b"same");
    let b = alone.write("b", b"same");
    let hb = alone.fs.open(b, OpenMode::READ, IoWish::Either).unwrap();
    let _ra = alone.fs.open(a, OpenMode::READ, IoWish::Either).unwrap();
    let wa = alone.fs.open(a, OpenMode::WRITE, IoWish::Either).unwrap();
    alone.fs.write(wa.handle, 0, b"other").unwrap();
    assert_eq!(backing_bytes(hb), b"same");
}

#[tokio::test]
async fn a_change_of_mode_does_not_hide_an_edit_that_the_writer_has_not_seen() {
    for chmod in [false, true] {
        let alone = alone().await;
        alone.share("a", b"first").await;
        let inode = alone.inode("a").unwrap();
        let handle = alone.open_to_write(inode);
        alone.fs.write(handle, 0, b"mine!").unwrap();
        alone.share("a", b"theirs, meanwhile").await;
        if chmod {
            let changes = Changes {
                mode: Some(0o600),
                ..Changes::default()
            };
            alone.fs.set_attributes(inode, Some(handle), &changes).unwrap();
        }
        alone.fs.release(handle).unwrap();
        assert_eq!(alone.peer.list().len(), 2, "chmod: {chmod}");
    }
}

#[tokio::test]
async fn a_rename_does_not_hide_an_edit_that_the_writer_has_not_seen() {
    let alone = alone().await;
    alone.share("a", b"first").await;
    let inode = alone.inode("a").unwrap();
    let handle = alone.open_to_write(inode);
    alone.share("a", b"theirs, meanwhile").await;
    alone.rename("a", "b").unwrap();
    let seen = alone.read("b");
    // The version that it was opened with is gone: there is nothing to change.
    assert!(matches!(
        alone.fs.write(handle, 0, b"mine!"),
        Err(FsError::Changed)
    ));
    alone.fs.release(handle).unwrap();
    assert_eq!(alone.peer.list().len(), 1);
    assert_eq!(seen, b"theirs, meanwhile");
}

#[tokio::test]
async fn the_mode_of_a_conflict_copy_can_be_changed() {
    let alone = alone().await;
    alone.share("a", b"first").await;
    let inode = alone.inode("a").unwrap();
    let handle = alone.open_to_write(inode);
    alone.fs.write(handle, 0, b"mine!").unwrap();
    alone.share("a", b"theirs, meanwhile").await;
    alone.fs.release(handle).unwrap();
    let copy = alone
        .peer
        .list()
        .into_iter()
        .find(|s| s.path.name().as_str() != "a")
        .unwrap();
    let copy_name = copy.path.name().as_str().to_owned();
    let inode = alone.inode(&copy_name).unwrap();
    let changes = Changes {
        mode: Some(0o600),
        ..Changes::default()
    };
    let changed = alone.fs.set_attributes(inode, None, &changes);
    let content = copy.file().unwrap().content;
    let served = !crate::transfer::Holder::sources(alone.peer.share(), &content).is_empty();
    assert!(changed.is_ok() && served);
}

#[tokio::test]
async fn opening_for_writing_and_closing_leaves_nothing_in_the_store() {
    let alone = alone().await;
    let inode = alone.write("a", b"first");
    let changes = Changes {
        modified_ns: Some(1_000_000_000_000_000_000),
        ..Changes::default()
    };
    alone.fs.set_attributes(inode, None, &changes).unwrap();
    for _ in 0..3 {
        let opened = alone.fs.open(inode, OpenMode::WRITE, IoWish::Either).unwrap();
        alone.fs.release(opened.handle).unwrap();
    }
    assert_eq!(written_count(&alone), 1);
}

#[tokio::test]
async fn what_is_removed_outside_of_the_mount_leaves_the_store() {
    let alone = alone().await;
    alone.write("a", b"first");
    alone.peer.remove(&SharePath::parse("a").unwrap()).unwrap();
    assert_eq!(written_count(&alone), 0);
}

#[tokio::test]
async fn an_open_file_that_was_removed_elsewhere_can_be_truncated() {
    let alone = alone().await;
    let inode = alone.write("a", b"first");
    let handle = alone.open_to_write(inode);
    alone.peer.remove(&SharePath::parse("a").unwrap()).unwrap();
    let changes = Changes {
        len: Some(2),
        ..Changes::default()
    };
    alone.fs.set_attributes(inode, Some(handle), &changes).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn appends_of_two_viewers_do_not_overwrite_each_other() {
    let alone = alone().await;
    let inode = alone.write("a", b"");
    let other = alone.peer.file_system().unwrap();
    other.lookup(Inode::ROOT, OsStr::new("a")).unwrap();
    let mode = OpenMode {
        write: true,
        append: true,
        truncate: false,
    };
    std::thread::scope(|scope| {
        for fs in [&alone.fs, &other] {
            scope.spawn(move || {
                let handle = fs.open(inode, mode, IoWish::Calls).unwrap().handle;
                for _ in 0..1000 {
                    fs.write(handle, 0, b"line\n").unwrap();
                }
                fs.release(handle).unwrap();
            });
        }
    });
    assert_eq!(alone.read("a").len(), 2 * 1000 * 5);
}

#[tokio::test]
async fn what_was_moved_to_another_folder_is_not_listed_with_attributes() {
    let alone = alone().await;
    let d = alone
        .fs
        .make_folder(Inode::ROOT, OsStr::new("d"), 0o755, OWNER)
        .unwrap()
        .inode;
    let e = alone
        .fs
        .make_folder(Inode::ROOT, OsStr::new("e"), 0o755, OWNER)
        .unwrap()
        .inode;
    for name in ["x", "y"] {
        alone
            .fs
            .make_empty_file(d, OsStr::new(name), 0o644, OWNER)
            .unwrap();
    }
    let handle = alone.fs.open_folder(d).unwrap();
    let mut seen = Vec::new();
    alone
        .fs
        .read_folder_with_attributes(handle, 0, |item, _| {
            if seen.len() == 3 {
                return Room::Full;
            }
            seen.push(item.name.clone());
            Room::More
        })
        .unwrap();
    alone
        .fs
        .rename((d, OsStr::new("y")), (e, OsStr::new("y")), Renaming::Replace)
        .unwrap();
    let mut rest = Vec::new();
    alone
        .fs
        .read_folder_with_attributes(handle, 3, |item, _| {
            rest.push(item.name.clone());
            Room::More
        })
        .unwrap();
    assert!(rest.is_empty(), "{seen:?} then {rest:?}");
}

fn large(alone: &Alone, name: &str) -> Inode {
    let (inode, handle) = alone.create(name);
    let changes = Changes {
        len: Some(65 << 20),
        ..Changes::default()
    };
    alone.fs.set_attributes(inode, Some(handle), &changes).unwrap();
    alone.fs.write(handle, 0, b"head").unwrap();
    alone.fs.release(handle).unwrap();
    inode
}

#[tokio::test]
async fn a_large_file_that_is_removed_while_open_can_be_written() {
    let alone = alone().await;
    let inode = large(&alone, "a");
    let handle = alone.open_to_write(inode);
    alone.fs.remove(Inode::ROOT, OsStr::new("a")).unwrap();
    alone.fs.write(handle, 0, b"tail").unwrap();
}

#[tokio::test]
async fn a_backed_file_that_is_removed_can_be_opened_for_writing() {
    let alone = alone().await;
    let inode = alone.write("a", b"first");
    let _r = alone.fs.open(inode, OpenMode::READ, IoWish::Either).unwrap();
    alone.fs.remove(Inode::ROOT, OsStr::new("a")).unwrap();
    alone.fs.open(inode, OpenMode::WRITE, IoWish::Either).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backed_reader_that_opens_the_file_meanwhile_does_not_lose_it() {
    let alone = alone().await;
    let inode = large(&alone, "a");
    let other = alone.peer.file_system().unwrap();
    other.lookup(Inode::ROOT, OsStr::new("a")).unwrap();
    for round in 0..60 {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let opened = alone.fs.open(inode, OpenMode::WRITE, IoWish::Either);
                let opened = opened.unwrap_or_else(|e| panic!("round {round}: {e}"));
                alone.fs.release(opened.handle).unwrap();
            });
            scope.spawn(|| {
                for _ in 0..3 {
                    let opened = other.open(inode, OpenMode::READ, IoWish::Either);
                    let opened = opened.unwrap_or_else(|e| panic!("reader, round {round}: {e}"));
                    std::thread::yield_now();
                    other.release(opened.handle).unwrap();
                }
            });
        });
        assert_eq!(written_count(&alone), 1, "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_removed_while_it_is_being_opened_does_not_come_back() {
    let alone = alone().await;
    let (mut back, mut errors) = (0, 0);
    let truncate = OpenMode {
        truncate: true,
        ..OpenMode::WRITE
    };
    for _ in 0..300 {
        let inode = alone.write("a", b"first");
        std::thread::scope(|scope| {
            scope.spawn(|| {
                if let Ok(opened) = alone.fs.open(inode, truncate, IoWish::Calls) {
                    if alone.fs.write(opened.handle, 0, b"again").is_err() {
                        errors += 1;
                    }
                    drop(alone.fs.release(opened.handle));
                }
            });
            scope.spawn(|| alone.fs.remove(Inode::ROOT, OsStr::new("a")).unwrap());
        });
        if alone.fs.lookup(Inode::ROOT, OsStr::new("a")).is_ok() {
            back += 1;
            alone.fs.remove(Inode::ROOT, OsStr::new("a")).unwrap();
        }
    }
    assert_eq!((back, errors), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_never_fails_while_the_file_is_replaced() {
    let alone = alone().await;
    alone.write("a", b"0");
    let (mut failed, mut read) = (Vec::new(), 0);
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..300 {
                alone.write("b", n.to_string().as_bytes());
                alone.rename("b", "a").unwrap();
            }
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let Ok(inode) = alone.inode("a") else {
                    failed.push("lookup".to_owned());
                    continue;
                };
                let opened = match alone.fs.open(inode, OpenMode::READ, IoWish::Calls) {
                    Ok(opened) => opened,
                    // Replaced between the look-up and the opening: the kernel asks again (ESTALE),
                    // we answer ENOENT.
                    Err(FsError::NotFound) => continue,
                    Err(error) => {
                        failed.push(format!("open: {error}"));
                        continue;
                    }
                };
                if let Err(error) = alone.fs.read(opened.handle, 0, 10) {
                    failed.push(format!("read: {error:?}"));
                }
                read += 1;
                drop(alone.fs.release(opened.handle));
            }
        });
    });
    failed.sort();
    let total = failed.len();
    failed.dedup();
    assert!(failed.is_empty(), "{total} of {read}: {failed:?}");
}

#[tokio::test]
async fn a_new_file_of_the_other_side_has_nothing_of_the_one_it_removed() {
    let alone = alone().await;
    let place = (Inode::ROOT, OsStr::new("a"));
    let (_, opened) = alone
        .fs
        .create(place, new_file(0o4755), OpenMode::WRITE, IoWish::Calls)
        .unwrap();
    alone.fs.release(opened.handle).unwrap();
    alone.peer.remove(&SharePath::parse("a").unwrap()).unwrap();
    alone.share("a", b"theirs").await;
    let seen = alone.fs.lookup(Inode::ROOT, OsStr::new("a")).unwrap();
    assert_eq!(seen.mode & 0o7000, 0);
    assert_ne!(seen.owner, OWNER);
}

const FETCHED: &[u8] = b"fetched content";

/// Two files of one content that is not here.
struct Twins {
    a: Inode,
    b: Inode,
    /// Where the content will be.
    cached: Arc<crate::store::Cached>,
}

fn twins(alone: &Alone) -> Twins {
    let content = crate::catalog::ContentId {
        hash: *blake3::hash(FETCHED).as_bytes(),
        len: FETCHED.len() as u64,
    };
    let share = alone.peer.share();
    let cached = share.peer_store.as_ref().unwrap().fetched(content).unwrap();
    for name in ["a", "b"] {
        let (name, version) = (
            SharePath::parse(name).unwrap(),
            crate::catalog::FileVersion {
                content,
                mtime_ns: 5,
                mode: 0o644,
            },
        );
        let mut files = share.files();
        let _change = files.catalog.add_file(&name, version).unwrap();
        let file = files.file(&name).unwrap();
        files.expect_content(&file, cached.path());
    }
    Twins {
        a: alone.inode("a").unwrap(),
        b: alone.inode("b").unwrap(),
        cached,
    }
}

/// Makes the content be here.
fn fetch(alone: &Alone, cached: &crate::store::Cached) {
    cached.write(0, 0, FETCHED).unwrap();
    alone.peer.share().files().hold_cached(cached).unwrap();
}

#[tokio::test]
async fn truncating_what_was_fetched_does_not_truncate_its_twin() {
    let alone = alone().await;
    let Twins { a, b, cached } = twins(&alone);
    fetch(&alone, &cached);
    drop(cached);
    let _ra = alone.fs.open(a, OpenMode::READ, IoWish::Either).unwrap();
    let truncate = OpenMode {
        truncate: true,
        ..OpenMode::WRITE
    };
    let wa = alone.fs.open(a, truncate, IoWish::Either).unwrap();
    let rb = alone.fs.open(b, OpenMode::READ, IoWish::Either).unwrap();
    if rb.backing.is_some() {
        assert_eq!(backing_bytes(rb), FETCHED);
    }
    alone.fs.release(wa.handle).unwrap();
}

#[tokio::test]
async fn writing_a_fetched_file_in_place_does_not_change_its_twin_that_is_being_read() {
    let alone = alone().await;
    let Twins { a, b, cached } = twins(&alone);
    let hb = alone.fs.open(b, OpenMode::READ, IoWish::Either).unwrap().handle;
    fetch(&alone, &cached);
    let _ra = alone.fs.open(a, OpenMode::READ, IoWish::Either).unwrap();
    let wa = alone.fs.open(a, OpenMode::WRITE, IoWish::Either).unwrap();
    alone.fs.write(wa.handle, 0, b"WRITTEN").unwrap();
    assert_eq!(alone.fs.read(hb, 0, 100).unwrap(), FETCHED);
}

#[tokio::test]
async fn a_new_empty_file_is_not_the_empty_one_that_was_removed_elsewhere() {
    let alone = alone().await;
    let old = alone.write("a", b"");
    let handle = alone.fs.open(old, OpenMode::WRITE, IoWish::Calls).unwrap().handle;
    alone.peer.remove(&SharePath::parse("a").unwrap()).unwrap();
    let (new, new_handle) = alone.create("a");
    alone.fs.release(new_handle).unwrap();
    alone.fs.write(handle, 0, b"into the removed one").unwrap();
    assert_ne!(old, new);
    assert_eq!(alone.read("a"), b"");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_never_claims_a_content_that_its_file_does_not_have() {
    let alone = alone().await;
    let (_, handle) = alone.create("a");
    let stop = std::sync::atomic::AtomicBool::new(false);
    let mut wrong = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut n = 0u64;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                n += 1;
                alone.fs.write(handle, 0, &n.to_le_bytes()).unwrap();
                std::thread::yield_now();
            }
        });
        for _ in 0..1000 {
            alone.fs.flush(handle).unwrap();
            let content = alone.peer.list()[0].file().unwrap().content;
            for source in alone.peer.share().files().sources_of(&content) {
                if let Ok(file) = source.open() {
                    let mut bytes = [0; 8];
                    if std::os::unix::fs::FileExt::read_exact_at(&file, &mut bytes, 0).is_ok()
                        && content.len == 8
                        && source.is_unchanged(&file)
                        && *blake3::hash(&bytes).as_bytes() != content.hash
                    {
                        wrong += 1;
                    }
                }
            }
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    assert_eq!(wrong, 0);
}
