//! Mounts under faults: a read returns the right bytes or an error, and a write never waits for the
//! other side.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use tandem_tests::link::{Fault, Link};
use tandem_tests::mounted::Mounted;
use tandem_tests::universe::Universe;
use tandem_tests::wait::now;

use crate::temper::quick_to_return;

const MIB: usize = 1024 * 1024;

/// A universe whose peers reach each other through a link, and reconnect at once after a lost
/// session.
async fn linked() -> Universe {
    let builder = Universe::builder().linked().configure(quick_to_return);
    builder.build().await
}

/// Opens a file in a mount and reads its first page.
async fn begun(mount: &Mounted, name: &'static str) -> File {
    let begun = mount.within(move |path| {
        let file = File::open(path.join(name))?;
        file.read_exact_at(&mut [0; 4096], 0)?;
        io::Result::Ok(file)
    });
    begun.await.unwrap()
}

/// Reads an open file from `offset` to its end, on a thread that may block.
async fn rest(mount: &Mounted, file: File, offset: usize) -> io::Result<Vec<u8>> {
    let reading = mount.within(move |_| {
        let (mut bytes, mut piece) = (Vec::new(), vec![0; 65_536]);
        loop {
            match file.read_at(&mut piece, (offset + bytes.len()) as u64)? {
                0 => return Ok(bytes),
                count => bytes.extend_from_slice(&piece[..count]),
            }
        }
    });
    reading.await
}

/// Whether this is the error of a read whose bytes can't be fetched.
fn is_io_error(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error())
}

#[tokio::test]
#[ignore = "needs fuse"]
async fn a_read_survives_a_cut_and_completes_when_it_heals() {
    let universe = linked().await;
    let payload = universe.payload("large.bin", 8 * MIB);
    universe.bob.add("large.bin", &payload).await;
    let mount = universe.alice.mount().await;
    mount.shows("large.bin").await;
    let slow = universe.link().throttle(20_000_000);
    let passed = universe.link().carried(2 * MIB as u64);
    let reading = tokio::spawn(mount.read("large.bin"));
    passed.await;
    let cut = universe.link().cut();
    slow.heal();
    cut.heal();
    assert!(reading.await.unwrap() == payload);
    universe.close().await;
}

#[tokio::test]
#[ignore = "needs fuse"]
async fn a_read_that_begins_while_apart_completes_when_the_peer_is_back() {
    let universe = linked().await;
    let payload = universe.payload("file.bin", MIB);
    universe.bob.add("file.bin", &payload).await;
    let mount = universe.alice.mount().await;
    mount.shows("file.bin").await;
    let cut = universe.link().cut();
    let reading = tokio::spawn(mount.read("file.bin"));
    assert!(mount.list("").await.contains(&"file.bin".to_owned()));
    cut.heal();
    assert!(reading.await.unwrap() == payload);
    universe.close().await;
}

/// The timeout of reads in tests in which they must give up.
const READ_PATIENCE: Duration = Duration::from_millis(100);

/// Checks that a read that gets no answer fails, neither early nor with zeros, and that a read
/// after healing succeeds.
async fn a_read_gives_up(fault: impl FnOnce(&Link) -> Fault) {
    let impatient = |config| quick_to_return(config).read_patience(READ_PATIENCE);
    let universe = Universe::builder().linked().configure(impatient).build().await;
    let payload = universe.payload("file.bin", MIB);
    universe.bob.add("file.bin", &payload).await;
    let mount = universe.alice.mount().await;
    mount.shows("file.bin").await;
    let fault = fault(universe.link());
    let begun_at = now();
    let error = mount.try_read("file.bin").await.unwrap_err();
    assert!(is_io_error(&error), "{error}");
    let elapsed = now() - begun_at;
    assert!(elapsed >= READ_PATIENCE, "{elapsed:?}");
    fault.heal();
    mount.reads("file.bin", &payload).await;
    universe.close().await;
}

#[tokio::test]
#[ignore = "needs fuse"]
async fn a_read_without_a_peer_fails_at_its_timeout() {
    a_read_gives_up(Link::cut).await;
}

#[tokio::test]
#[ignore = "needs fuse"]
async fn a_read_on_a_silent_link_fails_at_its_timeout() {
    a_read_gives_up(Link::half_open).await;
}

#[tokio::test]
#[ignore = "needs fuse"]
async fn a_file_that_was_read_before_can_be_read_while_apart() {
    let universe = linked().await;
    universe.bob.add("notes.txt", b"read before").await;
    let mount = universe.alice.mount().await;
    mount.reads("notes.txt", b"read before").await;
    let cut = universe.link().cut();
    let again = universe.alice.mount().await;
    assert_eq!(again.read("notes.txt").await, b"read before");
    cut.heal();
    universe.close().await;
}

#[tokio::test]
#[ignore = "needs fuse"]
async fn a_byte_corrupted_on_the_way_never_reaches_a_reader() {
    let universe = linked().await;
    let payload = universe.payload("large.bin", 4 * MIB);
    universe.bob.add("large.bin", &payload).await;
    let mount = universe.alice.mount().await;
    mount.shows("large.bin").await;
    universe.link().corrupt_after(MIB as u64);
    match mount.try_read("large.bin").await {
        Ok(content) => assert!(content == payload, "a wrong byte came through"),
        Err(error) => assert!(is_io_error(&error), "{error}"),
    }
    assert!(!universe.link().is_corruption_pending());
    mount.reads("large.bin", &payload).await;
    universe.close().await;
}

#[tokio::test]
#[ignore = "needs fuse"]
async fn a_source_that_vanishes_is_an_error_and_neither_zeros_nor_an_early_end() {
    let universe = Universe::new().await;
    let payload = universe.payload("large.bin", 8 * MIB);
    universe.bob.add("large.bin", &payload).await;
    let mount = universe.alice.mount().await;
    mount.shows("large.bin").await;
    let file = begun(&mount, "large.bin").await;
    std::fs::remove_file(universe.bob.original("large.bin")).unwrap();
    match rest(&mount, file, 4096).await {
        // Read-ahead may have fetched the whole file before.
        Ok(content) => assert!(content == payload[4096..], "{} bytes", content.len()),
        Err(error) => assert!(is_io_error(&error), "{error}"),
    }
    universe.close().await;
}

#[tokio::test]
#[ignore = "needs fuse"]
async fn a_source_damaged_in_place_is_an_error_and_no_damaged_byte_is_read() {
    let universe = Universe::new().await;
    let payload = universe.payload("large.bin", 8 * MIB);
    universe.bob.add("large.bin", &payload).await;
    let mount = universe.alice.mount().await;
    mount.shows("large.bin").await;
    let original = universe.bob.original("large.bin");
    let modified = original.metadata().unwrap().modified().unwrap();
    let damaged = File::options().write(true).open(&original).unwrap();
    damaged.write_all_at(b"damaged", 6 * MIB as u64).unwrap();
    damaged.set_modified(modified).unwrap();
    drop(damaged);
    match mount.try_read("large.bin").await {
        Ok(content) => assert!(content == payload, "damaged bytes came through"),
        Err(error) => assert!(is_io_error(&error), "{error}"),
    }
    universe.close().await;
}

#[tokio::test]
#[ignore = "needs fuse"]
async fn an_original_truncated_while_it_is_read_is_an_error_and_no_early_end() {
    let universe = Universe::new().await;
    let payload = universe.payload("large.bin", 2 * MIB);
    universe.alice.add("large.bin", &payload).await;
    let mount = universe.alice.mount().await;
    let file = begun(&mount, "large.bin").await;
    let original = File::options()
        .write(true)
        .open(universe.alice.original("large.bin"))
        .unwrap();
    original.set_len(MIB as u64 + 5).unwrap();
    drop(original);
    let error = rest(&mount, file, MIB).await.unwrap_err();
    assert!(is_io_error(&error), "{error}");
    universe.close().await;
}

#[tokio::test]
#[ignore = "needs fuse"]
async fn a_source_that_changes_during_a_read_never_mixes_two_versions() {
    let universe = Universe::new().await;
    let (old, new) = (universe.payload("old", 8 * MIB), universe.payload("new", 8 * MIB));
    universe.bob.add("large.bin", &old).await;
    let mount = universe.alice.mount().await;
    mount.shows("large.bin").await;
    let file = begun(&mount, "large.bin").await;
    universe.bob.add("large.bin", &new).await;
    match rest(&mount, file, 0).await {
        Ok(content) => assert!(content == old || content == new, "two versions are mixed"),
        Err(error) => assert!(is_io_error(&error), "{error}"),
    }
    mount.reads("large.bin", &new).await;
    universe.close().await;
}

#[tokio::test]
#[ignore = "needs fuse"]
async fn a_source_edited_in_place_shows_its_new_version() {
    let universe = Universe::new().await;
    universe.bob.add("living.txt", b"as it was shared").await;
    let mount = universe.alice.mount().await;
    mount.shows("living.txt").await;
    universe.bob.write("living.txt", b"as it is now, and longer");
    mount.reads("living.txt", b"as it is now, and longer").await;
    universe.close().await;
}

#[tokio::test]
#[ignore = "needs fuse"]
async fn a_file_written_while_the_peer_is_away_arrives_later() {
    let universe = linked().await;
    let mount = universe.alice.mount().await;
    let payload = universe.payload("large.bin", MIB);
    let cut = universe.link().cut();
    mount.mkdir("folder").await;
    mount.write("folder/large.bin", &payload).await;
    mount.write("notes.txt", b"first").await;
    mount.append("notes.txt", b", second").await;
    mount.rename("notes.txt", "renamed.txt").await;
    assert!(mount.read("folder/large.bin").await == payload);
    cut.heal();
    universe.bob.sees("folder/large.bin", &payload).await;
    universe.bob.sees("renamed.txt", b"first, second").await;
    assert!(universe.bob.pull("folder/large.bin").await == payload);
    assert_eq!(universe.bob.list(), ["folder/large.bin", "renamed.txt"]);
    universe.close().await;
}

#[tokio::test]
#[ignore = "needs fuse"]
async fn a_file_written_before_connecting_arrives_after_connecting() {
    let universe = Universe::builder().strangers().build().await;
    let mount = universe.alice.mount().await;
    mount.write("early.txt", b"early").await;
    assert_eq!(mount.read("early.txt").await, b"early");
    universe.connect().await;
    assert_eq!(universe.bob.pull("early.txt").await, b"early");
    universe.close().await;
}

#[tokio::test]
#[ignore = "needs fuse"]
async fn edits_of_both_sides_while_apart_are_both_kept() {
    let universe = linked().await;
    let (alices, bobs) = (universe.alice.mount().await, universe.bob.mount().await);
    alices.write("plan.txt", b"the common plan").await;
    bobs.reads("plan.txt", b"the common plan").await;
    let cut = universe.link().cut();
    alices.write("plan.txt", b"alice's plan").await;
    bobs.write("plan.txt", b"bob's plan").await;
    cut.heal();
    for (actor, mount) in [(&universe.alice, &alices), (&universe.bob, &bobs)] {
        actor.lists_count(2).await;
        let names = actor.list();
        mount.lists("", &[&names[0], &names[1]]).await;
        let mut contents = Vec::new();
        for name in &names {
            contents.push(mount.read(name).await);
        }
        contents.sort();
        assert_eq!(contents, [b"alice's plan".to_vec(), b"bob's plan".to_vec()]);
    }
    assert_eq!(universe.alice.list(), universe.bob.list());
    universe.close().await;
}

#[tokio::test]
#[ignore = "needs fuse"]
async fn an_edit_is_not_lost_to_a_removal_that_has_not_seen_it() {
    let universe = linked().await;
    let (alices, bobs) = (universe.alice.mount().await, universe.bob.mount().await);
    alices.write("draft.txt", b"the first version").await;
    bobs.reads("draft.txt", b"the first version").await;
    let cut = universe.link().cut();
    bobs.remove("draft.txt").await;
    alices.write("draft.txt", b"a version bob has not seen").await;
    cut.heal();
    bobs.reads("draft.txt", b"a version bob has not seen").await;
    assert_eq!(alices.read("draft.txt").await, b"a version bob has not seen");
    universe.close().await;
}

#[tokio::test]
#[ignore = "needs fuse"]
async fn a_file_open_in_a_mount_outlives_its_removal_by_the_peer() {
    let universe = Universe::new().await;
    let (alices, bobs) = (universe.alice.mount().await, universe.bob.mount().await);
    let payload = universe.payload("file.bin", 2 * MIB);
    alices.write("file.bin", &payload).await;
    bobs.reads("file.bin", &payload).await;
    let file = begun(&bobs, "file.bin").await;
    alices.remove("file.bin").await;
    bobs.misses("file.bin").await;
    assert!(rest(&bobs, file, 0).await.unwrap() == payload);
    universe.close().await;
}
