//! `tandem status`, `ls` and `get`, while the share runs and while it does not.

use crate::home::{Homes, answers, read, write};
use crate::process::Tandem;

#[tokio::test]
async fn a_share_says_how_it_is_before_anyone_has_joined_while_it_is_connected_and_afterwards() {
    let homes = Homes::new();
    let (share, code) = homes.alice_shares(&[("a.txt", "one"), ("in/b.txt", "two")]).await;
    let status = Tandem::told(&homes.alice(), &["status"]).await;
    assert!(
        status.starts_with("photos: waits for the other person"),
        "{status}"
    );
    assert!(status.contains("2 files, 6 B"), "{status}");
    let mut join = homes.bob_joins(&code, &[]).await;
    join.says("following").await;
    let status = Tandem::told(&homes.bob(), &["status", "photos"]).await;
    assert!(status.starts_with("photos: connected to "), "{status}");
    assert!(status.contains(&format!("process {}", join.id())), "{status}");
    share.interrupt();
    assert_eq!(share.ends().await.code, Some(130));
    answers(&homes.bob(), &["status"], "photos: runs, and looks for ").await;
    join.interrupt();
    assert_eq!(join.ends().await.code, Some(130));
    let status = Tandem::told(&homes.bob(), &["status"]).await;
    assert!(
        status.contains("does not run, `tandem up photos` starts it"),
        "{status}"
    );
}

#[tokio::test]
async fn what_is_in_a_share_is_listed() {
    let homes = Homes::new();
    let (_share, _join) = homes.following().await;
    for home in [homes.alice(), homes.bob()] {
        assert_eq!(Tandem::told(&home, &["ls"]).await, "photos\n");
        let all = "        3 B  a.txt\n          -  in/\n";
        assert_eq!(Tandem::told(&home, &["ls", "photos"]).await, all);
        assert_eq!(Tandem::told(&home, &["ls", ":"]).await, all);
        for inside in ["photos:in", ":in/", ":in/b.txt"] {
            assert_eq!(
                Tandem::told(&home, &["ls", inside]).await,
                "        3 B  in/b.txt\n"
            );
        }
    }
    let refused = Tandem::refused(&homes.bob(), 2, &["ls", "photos:nothing"]).await;
    assert!(refused.contains("nothing is shared as `nothing`"), "{refused}");
}

#[tokio::test]
async fn a_file_a_folder_and_all_of_a_share_are_brought() {
    let homes = Homes::new();
    let (_share, _join) = homes.following().await;
    let bob = homes.bob();
    Tandem::told(&bob, &["get", "photos:in/b.txt"]).await;
    Tandem::told(&bob, &["get", ":a.txt", "renamed.txt"]).await;
    Tandem::told(&bob, &["get", "photos:in", "folder"]).await;
    Tandem::told(&bob, &["get", "photos", "all"]).await;
    std::fs::create_dir(bob.join("into")).unwrap();
    Tandem::told(&bob, &["get", "photos:in", "into"]).await;
    for (path, text) in [
        ("b.txt", "two"),
        ("renamed.txt", "one"),
        ("folder/b.txt", "two"),
        ("all/a.txt", "one"),
        ("all/in/b.txt", "two"),
        ("into/in/b.txt", "two"),
    ] {
        assert_eq!(read(&bob.join(path)), text, "{path}");
    }
}

#[tokio::test]
async fn nothing_is_replaced_by_what_is_brought() {
    let homes = Homes::new();
    let (_share, _join) = homes.following().await;
    let bob = homes.bob();
    write(&bob.join("a.txt"), "mine");
    write(&bob.join("full/b.txt"), "mine");
    std::os::unix::fs::symlink("a.txt", bob.join("link")).unwrap();
    for args in [
        ["get", "photos:a.txt", "."],
        ["get", "photos:a.txt", "link"],
        ["get", "photos:in", "a.txt"],
        ["get", "photos", "."],
    ] {
        let refused = Tandem::refused(&bob, 6, &args).await;
        assert!(refused.contains("nothing is replaced"), "{args:?}: {refused}");
    }
    let refused = Tandem::refused(&bob, 6, &["get", "photos:a.txt", "missing/folder/a.txt"]).await;
    assert!(refused.contains("missing/folder"), "{refused}");
    assert_eq!(read(&bob.join("a.txt")), "mine");
}

#[tokio::test]
async fn what_a_share_does_not_have_and_is_not_here_can_not_be_brought() {
    let homes = Homes::new();
    let (share, join) = homes.following().await;
    let bob = homes.bob();
    let refused = Tandem::refused(&bob, 2, &["get", "photos:nothing"]).await;
    assert!(refused.contains("nothing is shared as `nothing`"), "{refused}");
    write(&bob.join("d.txt"), "four");
    Tandem::told(&bob, &["put", "d.txt", "photos"]).await;
    answers(&homes.alice(), &["ls", "photos"], "d.txt").await;
    join.killed().await;
    answers(&homes.alice(), &["status"], "runs, and looks for").await;
    let alice = homes.alice();
    for name in ["photos:d.txt", "photos"] {
        let refused = Tandem::refused(&alice, 3, &["get", name, "got"]).await;
        assert!(refused.contains("`d.txt` is not here"), "{refused}");
    }
    Tandem::told(&alice, &["get", "photos:a.txt", "own copy.txt"]).await;
    assert_eq!(read(&alice.join("own copy.txt")), "one");
    drop(share);
}

#[tokio::test]
async fn a_share_that_does_not_run_is_named_with_the_command_that_starts_it() {
    let homes = Homes::new();
    let (share, _join) = homes.following().await;
    share.interrupt();
    share.ends().await;
    let alice = homes.alice();
    assert_eq!(Tandem::told(&alice, &["ls"]).await, "photos\n");
    let kept = "        3 B  a.txt\n          -  in/\n";
    assert_eq!(Tandem::told(&alice, &["ls", "photos"]).await, kept);
    let refused = Tandem::refused(&alice, 2, &["ls", "photos:nothing"]).await;
    assert!(refused.contains("nothing is shared as `nothing`"), "{refused}");
    for args in [
        &["get", "photos:a.txt"][..],
        &["put", "photos/a.txt", "photos"],
        &["mv", "photos:a.txt", "b.txt"],
        &["rm", "photos:a.txt"],
        &["stop", "photos"],
    ] {
        let refused = Tandem::refused(&alice, 3, args).await;
        assert!(refused.contains("`photos` does not run"), "{args:?}: {refused}");
        assert!(refused.contains("`tandem up photos`"), "{args:?}: {refused}");
    }
    assert_eq!(Tandem::told(&alice, &["stop"]).await, "");
}

#[tokio::test]
async fn what_is_no_share_and_no_path_is_refused() {
    let homes = Homes::new();
    let bob = homes.bob();
    let none = Tandem::refused(&bob, 2, &["ls", "photos"]).await;
    assert!(none.contains("there is none yet"), "{none}");
    assert_eq!(Tandem::told(&bob, &["status"]).await, "");
    let (_share, _join) = homes.following().await;
    for (args, reason) in [
        (
            &["ls", "fotos"][..],
            "there is no share `fotos`\nhint: there are: photos",
        ),
        (&["get", "a:b:c"], "there is no share `a`"),
        (&["ls", "photos:b:c"], "nothing is shared as `b:c`"),
        (&["get", "photos:/etc/passwd"], "it is absolute"),
        (&["rm", "photos:../secret"], "it has `.` or `..` in it"),
        (&["mv", "photos:a.txt", "../a.txt"], "it has `.` or `..` in it"),
        (&["mv", "photos:a.txt", "/a.txt"], "it is absolute"),
        (&["put", "photos/a.txt", "photos:.."], "it has `.` or `..` in it"),
        (&["rm", "photos"], "hint: photos:PATH"),
        (
            &["status", "fo\u{1b}[2Jtos"],
            "there is no share `fo\\u{1b}[2Jtos`",
        ),
        (&["ls", "../state"], "there is no share `../state`"),
    ] {
        let refused = Tandem::refused(&bob, 2, args).await;
        assert!(refused.contains(reason), "{args:?}: {refused}");
    }
}

#[tokio::test]
async fn of_two_shares_one_has_to_be_named() {
    let homes = Homes::new();
    let (_share, _join) = homes.following().await;
    write(&homes.alice().join("notes/c.txt"), "three");
    let mut notes = Tandem::start(&homes.alice(), &["share", "notes"]);
    notes.answers().await;
    let refused = Tandem::refused(&homes.alice(), 2, &["ls", ":"]).await;
    assert!(
        refused.contains("name the share\nhint: there are: notes, photos"),
        "{refused}"
    );
    assert_eq!(
        Tandem::told(&homes.alice(), &["ls", "notes"]).await,
        "        5 B  c.txt\n"
    );
}
