//! Changes of a shared folder, as the other person sees them.

use crate::home::{Homes, becomes, read, write};
use crate::process::Tandem;

const ABSENT: &str = "(No such file or directory (os error 2))";

#[tokio::test]
async fn a_new_file_an_edit_and_a_removal_arrive() {
    let homes = Homes::new();
    let (_share, _join) = homes.following().await;
    let (alice, bob) = (homes.alice().join("photos"), homes.bob().join("photos"));
    write(&alice.join("new/c.txt"), "three");
    becomes(&bob.join("new/c.txt"), "three").await;
    write(&alice.join("a.txt"), "edited");
    becomes(&bob.join("a.txt"), "edited").await;
    std::fs::remove_dir_all(alice.join("in")).unwrap();
    becomes(&bob.join("in/b.txt"), ABSENT).await;
}

#[tokio::test]
async fn a_file_that_was_changed_here_stays_and_the_other_version_comes_beside_it() {
    let homes = Homes::new();
    let (_share, mut join) = homes.following().await;
    let (alice, bob) = (homes.alice().join("photos"), homes.bob().join("photos"));
    write(&bob.join("a.txt"), "of bob");
    write(&alice.join("a.txt"), "of alice");
    join.says("changed on both sides").await;
    assert_eq!(read(&bob.join("a.txt")), "of bob");
    assert_eq!(read(&bob.join("a (other side).txt")), "of alice");
    std::fs::remove_file(alice.join("a.txt")).unwrap();
    join.says("yours was changed and stays").await;
    assert_eq!(read(&bob.join("a.txt")), "of bob");
}

#[cfg(unix)]
#[tokio::test]
async fn a_shared_folder_that_is_moved_away_removes_nothing_at_the_other_side() {
    let homes = Homes::new();
    let (mut share, join) = homes.following().await;
    let (alice, bob) = (homes.alice().join("photos"), homes.bob().join("photos"));
    let moved = homes.alice().join("moved");
    std::fs::rename(&alice, &moved).unwrap();
    write(&moved.join("a.txt"), "edited elsewhere");
    write(&moved.join("in/b.txt"), "edited elsewhere");
    share.says("was moved, or its disk is gone").await;
    // Another folder in its place is not the shared one.
    std::fs::create_dir(&alice).unwrap();
    write(&moved.join("a.txt"), "edited again");
    std::fs::remove_dir(&alice).unwrap();
    std::fs::rename(&moved, &alice).unwrap();
    share.killed().await;
    let _up = Tandem::start(&homes.alice(), &["up"]);
    becomes(&bob.join("a.txt"), "edited again").await;
    becomes(&bob.join("in/b.txt"), "edited elsewhere").await;
    join.interrupt();
    let said = join.ends().await.stderr;
    assert!(!said.contains("removed"), "{said}");
}

#[tokio::test]
async fn what_this_person_has_removed_stays_away_until_there_is_a_new_version() {
    let homes = Homes::new();
    let (_share, join) = homes.following().await;
    let (alice, bob) = (homes.alice().join("photos"), homes.bob().join("photos"));
    std::fs::remove_file(bob.join("a.txt")).unwrap();
    join.killed().await;
    let mut up = Tandem::start(&homes.bob(), &["up"]);
    up.says("`photos` is connected").await;
    write(&alice.join("in/c.txt"), "three");
    becomes(&bob.join("in/c.txt"), "three").await;
    assert_eq!(read(&bob.join("a.txt")), ABSENT);
    write(&alice.join("a.txt"), "new");
    becomes(&bob.join("a.txt"), "new").await;
}

#[tokio::test]
async fn a_renamed_file_is_renamed_at_the_other_side() {
    let homes = Homes::new();
    let (_share, _join) = homes.following().await;
    let (alice, bob) = (homes.alice().join("photos"), homes.bob().join("photos"));
    std::fs::rename(alice.join("a.txt"), alice.join("z.txt")).unwrap();
    becomes(&bob.join("z.txt"), "one").await;
    becomes(&bob.join("a.txt"), ABSENT).await;
}

#[cfg(unix)]
#[tokio::test]
async fn nothing_behind_a_link_of_a_shared_folder_is_shared() {
    let homes = Homes::new();
    let (alice, bob) = (homes.alice().join("photos"), homes.bob().join("photos"));
    write(&homes.alice().join("private/sub/diary.txt"), "secret");
    write(&alice.join("a.txt"), "one");
    std::os::unix::fs::symlink("../private", alice.join("way")).unwrap();
    let (_share, _join) = homes.following().await;
    write(&homes.alice().join("private/diary.txt"), "secret");
    write(&homes.alice().join("private/new/diary.txt"), "secret");
    write(&homes.alice().join("private/sub/diary.txt"), "more");
    // A change that is reported after these.
    write(&alice.join("last.txt"), "last");
    becomes(&bob.join("last.txt"), "last").await;
    write(&alice.join("very last.txt"), "last");
    becomes(&bob.join("very last.txt"), "last").await;
    assert!(!bob.join("way").exists(), "{:?}", bob.join("way").read_dir());
}

#[cfg(unix)]
#[tokio::test]
async fn nothing_of_the_other_side_goes_through_a_link_of_this_one() {
    let homes = Homes::new();
    let (_share, mut join) = homes.following().await;
    let (alice, bob) = (homes.alice().join("photos"), homes.bob().join("photos"));
    std::fs::create_dir_all(homes.bob().join("private/empty")).unwrap();
    std::os::unix::fs::symlink("../private", bob.join("way")).unwrap();
    write(&alice.join("way/in/x.txt"), "harmful");
    join.says("way` is a link").await;
    std::fs::rename(alice.join("a.txt"), alice.join("way/a.txt")).unwrap();
    join.says("could not bring `way/a.txt`").await;
    std::fs::remove_dir_all(alice.join("way")).unwrap();
    write(&alice.join("last.txt"), "last");
    becomes(&bob.join("last.txt"), "last").await;
    let names = std::fs::read_dir(homes.bob().join("private")).unwrap();
    let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["empty"]);
}
