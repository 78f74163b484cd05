//! `tandem up`: a share goes on after a restart of either side, without a code.

use std::panic::Location;
use std::path::Path;

use tandem_tests::wait::{Look, poll};

use crate::home::{Homes, read, write};
use crate::process::{Ended, Tandem};

const ABSENT: &str = "(No such file or directory (os error 2))";

async fn becomes(path: &Path, text: &str) {
    poll(Location::caller(), "the file at the other side", || {
        match read(path) {
            found if found == text => Look::Ready(()),
            found => Look::NotYet(found),
        }
    })
    .await;
}

async fn stopped(tandem: Tandem) -> Ended {
    tandem.interrupt();
    let ended = tandem.ends().await;
    assert_eq!(ended.code, Some(130), "{}", ended.stderr);
    ended
}

/// Alice shares `a.txt` and `in/b.txt`, bob has followed, and both have stopped.
async fn shared_before(homes: &Homes) {
    let (share, code) = homes.alice_shares(&[("a.txt", "one"), ("in/b.txt", "two")]).await;
    let mut join = homes.bob_joins(&code, &[]).await;
    join.says("following").await;
    let ended = stopped(join).await;
    assert!(ended.stderr.contains("tandem up photos"), "{}", ended.stderr);
    let ended = stopped(share).await;
    assert!(ended.stderr.contains("tandem up photos"), "{}", ended.stderr);
}

async fn both_up(homes: &Homes) -> (Tandem, Tandem) {
    let (alice, bob) = (homes.alice(), homes.bob());
    tokio::join!(up(&alice), up(&bob))
}

async fn up(home: &Path) -> Tandem {
    let mut up = Tandem::start(home, &["up"]);
    up.says("`photos` is connected").await;
    up
}

#[tokio::test]
async fn after_a_restart_of_both_sides_changes_of_meanwhile_and_later_ones_arrive() {
    let homes = Homes::new();
    shared_before(&homes).await;
    let (alice, bob) = (homes.alice().join("photos"), homes.bob().join("photos"));
    write(&alice.join("a.txt"), "edited while nobody ran");
    std::fs::remove_file(alice.join("in/b.txt")).unwrap();
    let (_alice_up, _bob_up) = both_up(&homes).await;
    becomes(&bob.join("a.txt"), "edited while nobody ran").await;
    becomes(&bob.join("in/b.txt"), ABSENT).await;
    write(&alice.join("new.txt"), "later");
    becomes(&bob.join("new.txt"), "later").await;
    let mut names: Vec<_> = std::fs::read_dir(&bob)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["a.txt", "in", "new.txt"]);
}

#[tokio::test]
async fn after_both_sides_were_killed_nothing_is_lost_and_nothing_is_there_twice() {
    let homes = Homes::new();
    let (share, code) = homes.alice_shares(&[("a.txt", "one"), ("in/b.txt", "two")]).await;
    let mut join = homes.bob_joins(&code, &[]).await;
    join.says("following").await;
    let (alice, bob) = (homes.alice().join("photos"), homes.bob().join("photos"));
    write(&alice.join("in/c.txt"), "three");
    becomes(&bob.join("in/c.txt"), "three").await;
    tokio::join!(share.killed(), join.killed());
    write(&alice.join("a.txt"), "edited while nobody ran");
    std::fs::rename(alice.join("in/b.txt"), alice.join("z.txt")).unwrap();
    let (alice_up, bob_up) = both_up(&homes).await;
    becomes(&bob.join("a.txt"), "edited while nobody ran").await;
    becomes(&bob.join("z.txt"), "two").await;
    becomes(&bob.join("in/b.txt"), ABSENT).await;
    tokio::join!(alice_up.killed(), bob_up.killed());
    let (_alice_up, _bob_up) = both_up(&homes).await;
    write(&alice.join("last.txt"), "last");
    becomes(&bob.join("last.txt"), "last").await;
    for folder in [&alice, &bob] {
        let mut names: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        assert_eq!(names, ["a.txt", "in", "last.txt", "z.txt"]);
    }
}

#[tokio::test]
async fn one_side_goes_on_while_the_other_one_restarts() {
    let homes = Homes::new();
    let (share, code) = homes.alice_shares(&[("a.txt", "one")]).await;
    let mut join = homes.bob_joins(&code, &[]).await;
    join.says("following").await;
    stopped(share).await;
    join.says("the other side is gone").await;
    let (alice, bob) = (homes.alice().join("photos"), homes.bob().join("photos"));
    write(&alice.join("a.txt"), "two");
    let _up = up(&homes.alice()).await;
    join.says("`photos` is connected").await;
    becomes(&bob.join("a.txt"), "two").await;
}

#[tokio::test]
async fn what_was_changed_here_while_nobody_ran_stays() {
    let homes = Homes::new();
    shared_before(&homes).await;
    let (alice, bob) = (homes.alice().join("photos"), homes.bob().join("photos"));
    write(&bob.join("a.txt"), "of bob");
    write(&alice.join("a.txt"), "of alice");
    let (_alice_up, _bob_up) = both_up(&homes).await;
    becomes(&bob.join("a (other side).txt"), "of alice").await;
    assert_eq!(read(&bob.join("a.txt")), "of bob");
}

#[tokio::test]
async fn what_the_other_side_has_removed_or_renamed_is_not_shared_again_until_it_is_changed() {
    let homes = Homes::new();
    let files = [("a.txt", "one"), ("b.txt", "two"), ("c.txt", "three")];
    let (mut share, code) = homes.alice_shares(&files).await;
    let mut join = homes.bob_joins(&code, &[]).await;
    join.says("following").await;
    Tandem::told(&homes.bob(), &["rm", "photos:a.txt"]).await;
    Tandem::told(&homes.bob(), &["mv", "photos:b.txt", "z.txt"]).await;
    share
        .says("the other side has removed `a.txt` from the share; your file stays")
        .await;
    share.says("the other side has renamed `b.txt` to `z.txt`").await;
    stopped(share).await;
    stopped(join).await;
    let (_alice_up, _bob_up) = both_up(&homes).await;
    let (alice, bob) = (homes.alice().join("photos"), homes.bob().join("photos"));
    write(&alice.join("new.txt"), "new");
    becomes(&bob.join("new.txt"), "new").await;
    let listed = Tandem::told(&homes.bob(), &["ls", "photos"]).await;
    let names: Vec<_> = listed
        .split_whitespace()
        .filter(|word| word.ends_with(".txt"))
        .collect();
    assert_eq!(names, ["c.txt", "new.txt", "z.txt"]);
    assert_eq!(
        (read(&alice.join("a.txt")), read(&alice.join("b.txt"))),
        ("one".into(), "two".into())
    );
    write(&alice.join("a.txt"), "edited");
    becomes(&bob.join("a.txt"), "edited").await;
}

#[tokio::test]
async fn a_share_whose_files_are_all_gone_does_not_run_and_nothing_is_removed_elsewhere() {
    let homes = Homes::new();
    shared_before(&homes).await;
    let (alice, bob) = (homes.alice().join("photos"), homes.bob().join("photos"));
    let elsewhere = homes.alice().join("disk");
    std::fs::rename(&alice, &elsewhere).unwrap();
    let gone = Tandem::start(&homes.alice(), &["up"]).ends().await;
    assert_eq!(gone.code, Some(6), "{}", gone.stderr);
    assert!(gone.stderr.contains("is its disk there?"), "{}", gone.stderr);
    std::fs::create_dir(&alice).unwrap();
    let empty = Tandem::start(&homes.alice(), &["up"]).ends().await;
    assert_eq!(empty.code, Some(6), "{}", empty.stderr);
    assert!(
        empty
            .stderr
            .contains("all 2 files of the share `photos` are gone"),
        "{}",
        empty.stderr
    );
    std::fs::remove_dir(&alice).unwrap();
    std::fs::rename(&elsewhere, &alice).unwrap();
    write(&alice.join("new.txt"), "later");
    let (_alice_up, _bob_up) = both_up(&homes).await;
    becomes(&bob.join("new.txt"), "later").await;
    assert_eq!(read(&bob.join("a.txt")), "one");
}

#[tokio::test]
async fn a_share_that_does_not_exist_or_runs_already_is_refused() {
    let homes = Homes::new();
    let none = Tandem::start(&homes.alice(), &["up"]).ends().await;
    assert_eq!(none.code, Some(2), "{}", none.stderr);
    assert!(none.stderr.contains("there is no share yet"), "{}", none.stderr);
    let (mut share, code) = homes.alice_shares(&[("a.txt", "one")]).await;
    assert_eq!(homes.bob_joins_once(&code).await.code, Some(0));
    share.says("the other side is gone").await;
    let unknown = Tandem::start(&homes.alice(), &["up", "films"]).ends().await;
    assert_eq!(unknown.code, Some(2));
    assert!(unknown.stderr.contains("there are: photos"), "{}", unknown.stderr);
    let second = Tandem::start(&homes.alice(), &["up", "photos"]).ends().await;
    assert_eq!(second.code, Some(2));
    assert!(
        second.stderr.contains("runs already, in process"),
        "{}",
        second.stderr
    );
    // Bob has got what he asked for once, so nothing is left to go on with.
    let done = Tandem::start(&homes.bob(), &["up"]).ends().await;
    assert!(done.stderr.contains("there is no share yet"), "{}", done.stderr);
}

#[tokio::test]
async fn a_share_that_nobody_answered_is_not_kept() {
    let homes = Homes::new();
    let (share, _code) = homes.alice_shares(&[("a.txt", "one")]).await;
    stopped(share).await;
    let up = Tandem::start(&homes.alice(), &["up"]).ends().await;
    assert!(up.stderr.contains("there is no share yet"), "{}", up.stderr);
}

#[cfg(target_os = "linux")]
#[tokio::test]
#[ignore = "needs fuse"]
async fn a_share_is_mounted_and_what_is_written_there_arrives() {
    let homes = Homes::new();
    let (share, code) = homes.alice_shares(&[("a.txt", "one")]).await;
    let mount = homes.bob().join("alice");
    let mut join = homes.bob_joins(&code, &["--mount", "alice"]).await;
    join.says("is mounted on").await;
    becomes(&mount.join("a.txt"), "one").await;
    write(&homes.alice().join("photos/new.txt"), "later");
    becomes(&mount.join("new.txt"), "later").await;
    stopped(join).await;
    assert_eq!(read(&mount.join("a.txt")), ABSENT);
    stopped(share).await;
    let (_alice_up, bob_up) = both_up(&homes).await;
    becomes(&mount.join("new.txt"), "later").await;
    // A killed process leaves its mount; the next one clears it.
    bob_up.killed().await;
    let bob_up = up(&homes.bob()).await;
    becomes(&mount.join("new.txt"), "later").await;
    stopped(bob_up).await;
    assert_eq!(read(&mount.join("new.txt")), ABSENT);
}
