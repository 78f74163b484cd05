//! Changes in one mount show in the other: removing, renaming, emptying, overwriting, moving
//! folders.

use std::io;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::time::{Duration, SystemTime};

use tandem_tests::conformance::exerciser::Numbers;
use tandem_tests::mounted::Mounted;
use tandem_tests::seed::Seed;
use tandem_tests::universe::Universe;

const MIB: usize = 1024 * 1024;

/// A universe in which both sides are mounted.
async fn both_mounted() -> (Universe, Mounted, Mounted) {
    let universe = Universe::new().await;
    let (alices, bobs) = (universe.alice.mount().await, universe.bob.mount().await);
    (universe, alices, bobs)
}

#[tokio::test]
#[ignore = "needs fuse"]
async fn a_file_removed_in_a_mount_disappears_on_the_other_side() {
    let (universe, alices, bobs) = both_mounted().await;
    alices.write("stays.txt", b"stays").await;
    alices.write("goes.txt", b"goes").await;
    bobs.reads("goes.txt", b"goes").await;
    alices.remove("goes.txt").await;
    bobs.misses("goes.txt").await;
    universe.bob.misses("goes.txt").await;
    bobs.lists("", &["stays.txt"]).await;
    universe.close().await;
}

#[tokio::test]
#[ignore = "needs fuse"]
async fn a_file_removed_by_its_receiver_disappears_at_its_writer() {
    let (universe, alices, bobs) = both_mounted().await;
    alices.write("goes.txt", b"goes").await;
    bobs.shows("goes.txt").await;
    bobs.remove("goes.txt").await;
    alices.misses("goes.txt").await;
    assert!(alices.list("").await.is_empty());
    universe.close().await;
}

#[tokio::test]
#[ignore = "needs fuse"]
async fn a_file_renamed_in_a_mount_has_only_its_new_name_on_the_other_side() {
    let (universe, alices, bobs) = both_mounted().await;
    alices.write("old.txt", b"the content").await;
    bobs.reads("old.txt", b"the content").await;
    alices.rename("old.txt", "new.txt").await;
    bobs.lists("", &["new.txt"]).await;
    assert_eq!(bobs.read("new.txt").await, b"the content");
    bobs.rename("new.txt", "newest.txt").await;
    alices.lists("", &["newest.txt"]).await;
    assert_eq!(alices.read("newest.txt").await, b"the content");
    universe.close().await;
}

#[tokio::test]
#[ignore = "needs fuse"]
async fn a_folder_renamed_in_a_mount_keeps_its_content_on_the_other_side() {
    let (universe, alices, bobs) = both_mounted().await;
    alices.mkdir("old/deep").await;
    alices.write("old/a.txt", b"a").await;
    alices.write("old/deep/b.txt", b"b").await;
    bobs.reads("old/deep/b.txt", b"b").await;
    bobs.rename("old", "new").await;
    alices.lists("", &["new"]).await;
    alices.lists("new", &["a.txt", "deep"]).await;
    assert_eq!(alices.read("new/deep/b.txt").await, b"b");
    universe.close().await;
}

#[tokio::test]
#[ignore = "needs fuse"]
async fn a_name_that_is_replaced_by_a_rename_shows_the_new_file_on_the_other_side() {
    let (universe, alices, bobs) = both_mounted().await;
    alices.write("config", b"version 1").await;
    bobs.reads("config", b"version 1").await;
    alices.write("config.tmp", b"version 2").await;
    alices.rename("config.tmp", "config").await;
    bobs.reads("config", b"version 2").await;
    bobs.lists("", &["config"]).await;
    universe.close().await;
}

#[tokio::test]
#[ignore = "needs fuse"]
async fn an_empty_file_arrives_and_stays_empty() {
    let (universe, alices, bobs) = both_mounted().await;
    alices.write("empty.txt", b"").await;
    bobs.reads("empty.txt", b"").await;
    assert_eq!(bobs.stat("empty.txt").await.len(), 0);
    universe.close().await;
}

#[tokio::test]
#[ignore = "needs fuse"]
async fn a_file_can_be_emptied() {
    let (universe, alices, bobs) = both_mounted().await;
    alices.write("log.txt", b"something").await;
    bobs.reads("log.txt", b"something").await;
    alices.write("log.txt", b"").await;
    bobs.reads("log.txt", b"").await;
    universe.close().await;
}

#[tokio::test]
#[ignore = "needs fuse"]
async fn a_file_is_overwritten_by_a_shorter_an_equal_and_a_longer_one() {
    let (universe, alices, bobs) = both_mounted().await;
    for len in [10_000, 5000, 5000, 20_000, 1] {
        let content = universe.payload(&format!("{len}"), len);
        alices.write("file.bin", &content).await;
        bobs.reads("file.bin", &content).await;
        let content = universe.payload(&format!("back {len}"), len);
        bobs.write("file.bin", &content).await;
        alices.reads("file.bin", &content).await;
    }
    universe.close().await;
}

#[tokio::test]
#[ignore = "needs fuse"]
async fn appending_and_cutting_arrive() {
    let (universe, alices, bobs) = both_mounted().await;
    alices.write("log.txt", b"one ").await;
    alices.append("log.txt", b"two ").await;
    bobs.reads("log.txt", b"one two ").await;
    bobs.append("log.txt", b"three").await;
    alices.reads("log.txt", b"one two three").await;
    let cut = alices.within(|path| {
        let file = std::fs::OpenOptions::new()
            .write(true)
            .open(path.join("log.txt"))?;
        file.set_len(5)
    });
    cut.await.unwrap();
    bobs.reads("log.txt", b"one t").await;
    universe.close().await;
}

#[tokio::test]
#[ignore = "needs fuse"]
async fn a_changed_byte_in_the_middle_of_a_file_the_peer_wrote_arrives() {
    let (universe, alices, bobs) = both_mounted().await;
    let mut content = universe.payload("file.bin", 3 * MIB);
    alices.write("file.bin", &content).await;
    bobs.shows("file.bin").await;
    let edit = bobs.within(|path| {
        let file = std::fs::OpenOptions::new()
            .write(true)
            .open(path.join("file.bin"))?;
        file.write_all_at(b"edited", MIB as u64 - 3)
    });
    edit.await.unwrap();
    content[MIB - 3..MIB + 3].copy_from_slice(b"edited");
    alices.reads("file.bin", &content).await;
    assert!(bobs.read("file.bin").await == content);
    universe.close().await;
}

#[tokio::test]
#[ignore = "needs fuse"]
async fn a_large_binary_is_the_same_at_random_places() {
    let (universe, alices, bobs) = both_mounted().await;
    let payload = universe.payload("large.bin", 6 * MIB + 777);
    alices.write("large.bin", &payload).await;
    bobs.shows("large.bin").await;
    let seed = Seed::choose();
    let looked = bobs.within(move |path| look_around(&path.join("large.bin"), &payload, seed));
    looked.await.unwrap();
    universe.close().await;
}

/// Compares pieces at random places with `expected`, some of them across the end.
fn look_around(path: &std::path::Path, expected: &[u8], seed: Seed) -> io::Result<()> {
    let file = std::fs::File::open(path)?;
    let mut numbers = Numbers::new(seed.number());
    for _ in 0..200 {
        let offset = numbers.below(expected.len() as u64 + 100);
        let mut piece = vec![0; 1 + numbers.below(70_000) as usize];
        let start = expected.len().min(offset as usize);
        let end = expected.len().min(offset as usize + piece.len());
        let mut len = 0;
        while len < end - start {
            match file.read_at(&mut piece[len..], offset + len as u64)? {
                0 => break,
                count => len += count,
            }
        }
        assert!(
            piece[..len] == expected[start..end],
            "{len} bytes at {offset} with seed {seed}"
        );
    }
    Ok(())
}

#[tokio::test]
#[ignore = "needs fuse"]
async fn a_mode_set_in_one_mount_shows_in_the_other() {
    let (universe, alices, bobs) = both_mounted().await;
    alices.write("run.sh", b"#!/bin/sh\n").await;
    bobs.shows("run.sh").await;
    alices
        .within(|path| std::fs::set_permissions(path.join("run.sh"), PermissionsExt::from_mode(0o750)))
        .await
        .unwrap();
    bobs.tells("run.sh", |stat| stat.permissions().mode() & 0o777 == 0o750)
        .await;
    assert_eq!(bobs.read("run.sh").await, b"#!/bin/sh\n");
    universe.close().await;
}

#[tokio::test]
#[ignore = "needs fuse"]
async fn a_time_set_in_one_mount_shows_in_the_other() {
    let (universe, alices, bobs) = both_mounted().await;
    alices.write("old.txt", b"from long ago").await;
    bobs.shows("old.txt").await;
    let then = SystemTime::UNIX_EPOCH + Duration::new(1_234_567_890, 123_456_789);
    let dated = alices.within(move |path| {
        let file = std::fs::File::options().write(true).open(path.join("old.txt"))?;
        file.set_modified(then)
    });
    dated.await.unwrap();
    bobs.tells("old.txt", move |stat| {
        stat.modified().is_ok_and(|time| time == then)
    })
    .await;
    universe.close().await;
}

#[tokio::test]
#[ignore = "needs fuse"]
async fn links_arrive_as_links() {
    let (universe, alices, bobs) = both_mounted().await;
    for (target, name) in [("file.txt", "inside"), ("nowhere", "dangling")] {
        alices
            .within(move |path| std::os::unix::fs::symlink(target, path.join(name)))
            .await
            .unwrap();
        bobs.shows(name).await;
        let shown = bobs.within(move |path| std::fs::read_link(path.join(name)));
        assert_eq!(shown.await.unwrap(), std::path::Path::new(target));
    }
    universe.close().await;
}

#[tokio::test]
#[ignore = "needs fuse"]
async fn empty_folders_come_and_go() {
    let (universe, alices, bobs) = both_mounted().await;
    alices.mkdir("a/b/c").await;
    bobs.shows("a/b/c").await;
    bobs.within(|path| std::fs::remove_dir(path.join("a/b/c")))
        .await
        .unwrap();
    alices.misses("a/b/c").await;
    assert!(alices.list("a/b").await.is_empty());
    universe.close().await;
}

#[tokio::test]
#[ignore = "needs fuse"]
async fn a_name_that_comes_and_goes_repeatedly_is_always_up_to_date() {
    let (universe, alices, bobs) = both_mounted().await;
    for _ in 0..20 {
        alices.write("now you see it", b"").await;
        bobs.shows("now you see it").await;
        alices.remove("now you see it").await;
        bobs.misses("now you see it").await;
    }
    universe.close().await;
}

#[tokio::test]
#[ignore = "needs fuse"]
async fn a_listing_follows_what_the_peer_adds_and_removes() {
    let (universe, alices, bobs) = both_mounted().await;
    bobs.write("a", b"").await;
    alices.lists("", &["a"]).await;
    bobs.write("b", b"").await;
    alices.lists("", &["a", "b"]).await;
    bobs.remove("a").await;
    alices.lists("", &["b"]).await;
    universe.close().await;
}
