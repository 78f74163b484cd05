//! `tandem put`, `mv` and `rm`.

use crate::home::{Homes, answers, answers_without, becomes, read, write};
use crate::process::Tandem;

#[tokio::test]
async fn what_is_put_is_shared_from_where_it_is() {
    let homes = Homes::new();
    let (_share, _join) = homes.following().await;
    write(&homes.bob().join("docs/c.txt"), "three");
    write(&homes.bob().join("d.txt"), "four");
    Tandem::told(&homes.bob(), &["put", "docs", "d.txt", "photos:in"]).await;
    answers(&homes.alice(), &["ls", "photos:in/docs"], "in/docs/c.txt").await;
    Tandem::told(&homes.alice(), &["get", "photos:in", "got"]).await;
    assert_eq!(read(&homes.alice().join("got/docs/c.txt")), "three");
    assert_eq!(read(&homes.alice().join("got/d.txt")), "four");
    let status = Tandem::told(&homes.bob(), &["status"]).await;
    assert!(status.contains("d.txt` too"), "{status}");
}

#[tokio::test]
async fn what_was_put_is_shared_again_after_a_restart() {
    let homes = Homes::new();
    let (share, join) = homes.following().await;
    write(&homes.bob().join("d.txt"), "four");
    Tandem::told(&homes.bob(), &["put", "d.txt", "photos"]).await;
    share.killed().await;
    join.killed().await;
    let up = Tandem::start(&homes.bob(), &["up"]);
    answers(&homes.bob(), &["ls", "photos"], "d.txt").await;
    Tandem::told(&homes.bob(), &["rm", "photos:d.txt"]).await;
    up.killed().await;
    let _up = Tandem::start(&homes.bob(), &["up"]);
    let status = answers(&homes.bob(), &["status"], "looks for").await;
    assert!(!status.contains("d.txt"), "{status}");
}

#[tokio::test]
async fn an_edit_in_a_joined_folder_is_shared_back_by_put() {
    let homes = Homes::new();
    let (_share, _join) = homes.following().await;
    let (alice, bob) = (homes.alice(), homes.bob());
    write(&bob.join("photos/a.txt"), "edited by bob");
    let refused = Tandem::refused(&bob, 2, &["put", "photos/a.txt", "photos"]).await;
    assert!(refused.contains("`tandem put --replace`"), "{refused}");
    Tandem::told(&bob, &["put", "--replace", "photos/a.txt", "photos"]).await;
    answers(&alice, &["ls", "photos:a.txt"], "13 B").await;
    Tandem::told(&alice, &["get", "photos:a.txt", "got.txt"]).await;
    assert_eq!(read(&alice.join("got.txt")), "edited by bob");
    // A change of alice that arrives after it.
    write(&alice.join("photos/last.txt"), "last");
    becomes(&bob.join("photos/last.txt"), "last").await;
    assert_eq!(read(&bob.join("photos/a.txt")), "edited by bob");
    let names = std::fs::read_dir(bob.join("photos")).unwrap();
    let mut names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["a.txt", "in", "last.txt"]);
}

#[tokio::test]
async fn what_can_not_be_put_is_refused_with_the_reason() {
    let homes = Homes::new();
    let (_share, _join) = homes.following().await;
    write(&homes.alice().join("photos/in/new.txt"), "new");
    for (home, args, code, reason) in [
        (
            homes.alice(),
            &["put", "photos/in/b.txt", "photos"][..],
            2,
            "is shared already, and followed",
        ),
        (
            homes.alice(),
            &["put", "photos", "photos:in"],
            2,
            "is shared already, and followed",
        ),
        (homes.bob(), &["put", "state/identity", "photos"], 2, "secret key"),
        (
            homes.bob(),
            &["put", "missing", "photos"],
            6,
            "could not share `missing`",
        ),
        (
            homes.bob(),
            &["put", "photos", "nowhere"],
            2,
            "there is no share `nowhere`",
        ),
        (
            homes.bob(),
            &["put", "--replace", "photos/in", "photos"],
            2,
            "is a folder",
        ),
        (
            homes.bob(),
            &["put", "photos/in", "photos"],
            2,
            "`in` is shared already",
        ),
    ] {
        let refused = Tandem::refused(&home, code, args).await;
        assert!(refused.contains(reason), "{args:?}: {refused}");
    }
}

#[tokio::test]
async fn what_the_other_side_shares_is_renamed_and_removed_for_both() {
    let homes = Homes::new();
    let (_share, _join) = homes.following().await;
    let bob = homes.bob();
    Tandem::told(&bob, &["mv", "photos:in", "out/there"]).await;
    answers(&homes.alice(), &["ls", "photos:out/there"], "out/there/b.txt").await;
    becomes(&bob.join("photos/out/there/b.txt"), "two").await;
    Tandem::told(&bob, &["rm", "photos:out/there/b.txt"]).await;
    becomes(
        &bob.join("photos/out/there/b.txt"),
        "(No such file or directory (os error 2))",
    )
    .await;
    let refused = Tandem::refused(&bob, 2, &["rm", "photos:out/there/b.txt"]).await;
    assert!(refused.contains("nothing is shared as"), "{refused}");
    let refused = Tandem::refused(&bob, 2, &["mv", "photos:nothing", "b.txt"]).await;
    assert!(refused.contains("nothing is shared as"), "{refused}");
}

#[tokio::test]
async fn what_lies_in_a_watched_folder_is_changed_there() {
    let homes = Homes::new();
    let (_share, _join) = homes.following().await;
    let alice = homes.alice();
    for (args, words) in [
        (&["rm", "photos:in"][..], "photos/in`: remove it there"),
        (&["rm", "photos:in/b.txt"], "photos/in/b.txt`: remove it there"),
        (&["mv", "photos:a.txt", "c.txt"], "photos/a.txt`: rename it there"),
    ] {
        let refused = Tandem::refused(&alice, 2, args).await;
        assert!(refused.contains("is shared from `"), "{args:?}: {refused}");
        assert!(refused.contains(words), "{args:?}: {refused}");
    }
    // What the other side has put is not in that folder.
    write(&homes.bob().join("d.txt"), "four");
    Tandem::told(&homes.bob(), &["put", "d.txt", "photos"]).await;
    answers(&alice, &["ls", "photos"], "d.txt").await;
    Tandem::told(&alice, &["mv", "photos:d.txt", "e.txt"]).await;
    Tandem::told(&alice, &["rm", "photos:e.txt"]).await;
    assert_eq!(read(&homes.bob().join("d.txt")), "four");
}

#[tokio::test]
async fn what_was_put_is_renamed_and_keeps_its_new_name() {
    let homes = Homes::new();
    let (share, join) = homes.following().await;
    write(&homes.bob().join("docs/c.txt"), "three");
    Tandem::told(&homes.bob(), &["put", "docs", "photos"]).await;
    Tandem::told(&homes.bob(), &["mv", "photos:docs", "papers"]).await;
    share.killed().await;
    join.killed().await;
    let _up = Tandem::start(&homes.bob(), &["up"]);
    answers(&homes.bob(), &["ls", "photos:papers"], "papers/c.txt").await;
}

#[tokio::test]
async fn what_was_put_and_is_removed_by_the_other_side_is_not_shared_again() {
    let homes = Homes::new();
    let (_share, join) = homes.following().await;
    let (alice, bob) = (homes.alice(), homes.bob());
    write(&bob.join("d.txt"), "four");
    write(&bob.join("docs/c.txt"), "three");
    Tandem::told(&bob, &["put", "d.txt", "docs", "photos"]).await;
    answers(&alice, &["ls", "photos:docs"], "docs/c.txt").await;
    Tandem::told(&alice, &["rm", "photos:d.txt"]).await;
    Tandem::told(&alice, &["mv", "photos:docs", "papers"]).await;
    answers(&bob, &["ls", "photos"], "papers/").await;
    // It is kept a moment after it is seen.
    answers_without(&bob, &["status"], "d.txt").await;
    join.killed().await;
    let mut up = Tandem::start(&bob, &["up"]);
    up.says("is connected").await;
    let listed = answers(&bob, &["ls", "photos"], "a.txt").await;
    assert!(listed.contains("papers/") && !listed.contains("docs"), "{listed}");
    assert!(!listed.contains("d.txt"), "{listed}");
}

#[tokio::test]
async fn what_the_other_side_has_removed_from_a_folder_is_shared_again_by_putting_it_again() {
    let homes = Homes::new();
    let (_share, _join) = homes.following().await;
    let (alice, bob) = (homes.alice(), homes.bob());
    write(&bob.join("docs/c.txt"), "three");
    write(&bob.join("docs/d.txt"), "four");
    Tandem::told(&bob, &["put", "docs", "photos"]).await;
    answers(&alice, &["ls", "photos:docs"], "docs/d.txt").await;
    Tandem::told(&alice, &["rm", "photos:docs/c.txt"]).await;
    answers_without(&bob, &["ls", "photos:docs"], "docs/c.txt").await;
    Tandem::told(&bob, &["put", "docs", "photos"]).await;
    answers(&alice, &["ls", "photos:docs"], "docs/c.txt").await;
}

#[tokio::test]
async fn an_edit_of_what_was_put_is_shared_by_putting_it_again() {
    let homes = Homes::new();
    let (_share, _join) = homes.following().await;
    let (alice, bob) = (homes.alice(), homes.bob());
    write(&bob.join("d.txt"), "four");
    write(&bob.join("docs/c.txt"), "three");
    Tandem::told(&bob, &["put", "d.txt", "docs", "photos"]).await;
    write(&bob.join("d.txt"), "edited");
    write(&bob.join("docs/new.txt"), "new");
    Tandem::told(&bob, &["put", "d.txt", "docs", "photos"]).await;
    answers(&alice, &["ls", "photos:docs"], "docs/new.txt").await;
    answers(&alice, &["ls", "photos:d.txt"], "6 B").await;
}
