//! Sharing without a mount: one side adds files, the other side lists and pulls them.

use tandem_core::catalog::SharePath;
use tandem_core::peer::PullError;
use tandem_tests::universe::Universe;

const MIB: usize = 1024 * 1024;

#[tokio::test]
async fn a_file_bob_shares_can_be_pulled_by_alice() {
    let universe = Universe::new().await;
    universe.bob.add("notes.txt", b"hello").await;
    assert_eq!(universe.alice.pull("notes.txt").await, b"hello");
    universe.close().await;
}

#[tokio::test]
async fn several_files_arrive_each_with_its_own_content() {
    let universe = Universe::new().await;
    let names = ["a.bin", "b.bin", "c.bin", "d.bin", "e.bin"];
    for name in names {
        universe.alice.add(name, &universe.payload(name, 10_000)).await;
    }
    for name in names {
        assert_eq!(
            universe.bob.pull(name).await,
            universe.payload(name, 10_000),
            "{name}"
        );
    }
    universe.close().await;
}

#[tokio::test]
async fn a_mebibyte_arrives_byte_for_byte() {
    let universe = Universe::new().await;
    let payload = universe.payload("one.bin", MIB);
    universe.alice.add("one.bin", &payload).await;
    assert!(universe.bob.pull("one.bin").await == payload);
    universe.close().await;
}

#[tokio::test]
async fn five_mebibytes_and_a_byte_arrive_byte_for_byte() {
    let universe = Universe::new().await;
    let payload = universe.payload("five.bin", 5 * MIB + 1);
    universe.alice.add("five.bin", &payload).await;
    assert!(universe.bob.pull("five.bin").await == payload);
    universe.close().await;
}

#[tokio::test]
async fn an_empty_file_arrives() {
    let universe = Universe::new().await;
    universe.alice.add("empty.txt", b"").await;
    assert_eq!(universe.bob.pull("empty.txt").await, b"");
    universe.close().await;
}

#[tokio::test]
async fn files_go_both_ways() {
    let universe = Universe::new().await;
    tokio::join!(
        universe.alice.add("from-alice", b"for bob"),
        universe.bob.add("from-bob", b"for alice")
    );
    let (alices, bobs) = tokio::join!(universe.alice.pull("from-bob"), universe.bob.pull("from-alice"));
    assert_eq!(
        (alices.as_slice(), bobs.as_slice()),
        (&b"for alice"[..], &b"for bob"[..])
    );
    universe.close().await;
}

#[tokio::test]
async fn adding_again_shares_the_new_content() {
    let universe = Universe::new().await;
    universe.alice.add("draft.txt", b"first").await;
    assert_eq!(universe.bob.pull("draft.txt").await, b"first");
    universe.alice.add("draft.txt", b"second, and longer").await;
    universe.bob.sees("draft.txt", b"second, and longer").await;
    assert_eq!(universe.bob.pull("draft.txt").await, b"second, and longer");
    assert_eq!(universe.bob.list(), ["draft.txt"]);
    universe.close().await;
}

#[tokio::test]
async fn an_edit_that_keeps_the_size_arrives() {
    let universe = Universe::new().await;
    universe.alice.add("flag.txt", b"off!").await;
    universe.bob.sees("flag.txt", b"off!").await;
    universe.alice.add("flag.txt", b"on!!").await;
    universe.bob.sees("flag.txt", b"on!!").await;
    assert_eq!(universe.bob.pull("flag.txt").await, b"on!!");
    universe.close().await;
}

#[tokio::test]
async fn pulling_an_unknown_name_is_refused() {
    let universe = Universe::new().await;
    universe.alice.add("known.txt", b"here").await;
    universe.bob.lists("known.txt").await;
    let refusal = universe.bob.try_pull("unknown.txt").await.unwrap_err();
    assert!(matches!(refusal, PullError::Unknown { .. }), "{refusal:?}");
    universe.close().await;
}

#[tokio::test]
async fn both_sides_list_exactly_what_is_shared() {
    let universe = Universe::new().await;
    universe.alice.add("a.txt", b"a").await;
    universe.bob.add("b/c.txt", b"c").await;
    universe.alice.write("not-shared.txt", b"private");
    universe.alice.lists("b/c.txt").await;
    universe.bob.lists("a.txt").await;
    assert_eq!(universe.alice.list(), ["a.txt", "b/c.txt"]);
    assert_eq!(universe.bob.list(), ["a.txt", "b/c.txt"]);
    universe.close().await;
}

#[tokio::test]
async fn names_keep_their_spaces_and_letters() {
    let universe = Universe::new().await;
    let name = "Fotos 2026/Grüße & 日本.txt";
    universe.alice.add(name, b"hello").await;
    assert_eq!(universe.bob.pull(name).await, b"hello");
    universe.close().await;
}

#[tokio::test]
async fn a_pull_replaces_an_existing_file() {
    let universe = Universe::new().await;
    universe.alice.add("notes.txt", b"the new one").await;
    let target = universe.bob.target("notes.txt");
    std::fs::write(&target, b"an old one that is longer").unwrap();
    assert_eq!(universe.bob.pull("notes.txt").await, b"the new one");
    universe.close().await;
}

#[tokio::test]
async fn a_file_shared_before_connecting_arrives_afterwards() {
    let universe = Universe::builder().strangers().build().await;
    universe.alice.add("early.txt", b"early").await;
    universe.connect().await;
    assert_eq!(universe.bob.pull("early.txt").await, b"early");
    universe.close().await;
}

#[cfg(unix)]
#[tokio::test]
async fn a_pulled_file_keeps_its_mode_and_its_time() {
    use std::os::unix::fs::PermissionsExt;
    let universe = Universe::new().await;
    let script = universe.alice.write("run.sh", b"#!/bin/sh\n");
    std::fs::set_permissions(&script, PermissionsExt::from_mode(0o750)).unwrap();
    universe.alice.add("run.sh", b"#!/bin/sh\n").await;
    universe.bob.pull("run.sh").await;
    let (sent, arrived) = (
        script.metadata().unwrap(),
        universe.bob.target("run.sh").metadata().unwrap(),
    );
    assert_eq!(arrived.permissions().mode() & 0o777, 0o750);
    assert_eq!(arrived.modified().unwrap(), sent.modified().unwrap());
    universe.close().await;
}

#[tokio::test]
async fn a_whole_folder_arrives_with_its_structure() {
    let universe = Universe::new().await;
    for name in ["album/1.jpg", "album/2.jpg", "album/raw/1.raw"] {
        universe.alice.write(name, &universe.payload(name, 1000));
    }
    let added = universe
        .alice
        .peer()
        .add_tree(universe.alice.original("album"), None)
        .await
        .unwrap();
    assert_eq!((added.count, added.len, added.skipped.len()), (3, 3000, 0));
    universe.bob.lists("raw/1.raw").await;
    assert_eq!(universe.bob.pull_all().await, ["1.jpg", "2.jpg", "raw/1.raw"]);
    let arrived = std::fs::read(universe.bob.target("raw/1.raw")).unwrap();
    assert_eq!(arrived, universe.payload("album/raw/1.raw", 1000));
    universe.close().await;
}

#[tokio::test]
async fn an_original_edited_in_place_arrives_in_its_new_version() {
    let universe = Universe::new().await;
    universe.alice.add("living.txt", b"as it was shared").await;
    universe.bob.lists("living.txt").await;
    universe.alice.write("living.txt", b"as it is now, and longer");
    assert_eq!(universe.bob.pull("living.txt").await, b"as it is now, and longer");
    universe.close().await;
}

#[tokio::test]
async fn more_concurrent_pulls_than_lanes_all_succeed() {
    let universe = Universe::new().await;
    let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];
    for name in names {
        universe.alice.add(name, &universe.payload(name, 3 * MIB)).await;
    }
    universe.bob.lists_count(names.len()).await;
    let mut pulls = tokio::task::JoinSet::new();
    for name in names {
        let (peer, target) = (universe.bob.peer(), universe.bob.target(name));
        let path = SharePath::parse(name).unwrap();
        pulls.spawn(async move { peer.pull(&path, &target).await });
    }
    for pulled in pulls.join_all().await {
        pulled.unwrap();
    }
    for name in names {
        let pulled = std::fs::read(universe.bob.target(name)).unwrap();
        assert!(pulled == universe.payload(name, 3 * MIB), "{name}");
    }
    universe.close().await;
}

#[tokio::test]
async fn a_file_with_only_a_new_time_can_still_be_pulled() {
    let universe = Universe::new().await;
    universe.alice.add("notes.txt", b"the same bytes").await;
    universe.bob.lists("notes.txt").await;
    universe.alice.write("notes.txt", b"the same bytes");
    assert_eq!(universe.bob.pull("notes.txt").await, b"the same bytes");
    universe.close().await;
}
