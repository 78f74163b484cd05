//! Files of this machine over a restart: what is known of them, and what was done to them
//! meanwhile.

use std::path::Path;

use super::super::super::{JoinedFolder, Peer};
use super::super::{content, serves};
use super::{End, Home, content_of, hears, shown, sync};
use crate::catalog::SharePath;
use crate::clock::Clock;
use crate::transfer::Progress;

/// Alice has joined bob's share. The bytes are at hand, so that no pull needs bob.
async fn joined(home: &Home, alice: &Peer, bob: &Peer, at_bob: &Home) -> (JoinedFolder, SharePath) {
    for (number, bytes) in [b"one", b"two"].into_iter().enumerate() {
        let at_hand = home.at(&format!("at hand {number}"));
        std::fs::write(&at_hand, bytes).unwrap();
        alice.add(&at_hand).await.unwrap();
    }
    let notes = bob.add(at_bob.write("notes.txt", b"one")).await.unwrap();
    sync(alice, bob);
    let folder = alice.join_folder(home.at("project")).unwrap();
    folder.pull(&notes, &notes).await.unwrap();
    assert_eq!(home.read("notes.txt"), "one");
    (folder, notes)
}

#[tokio::test]
async fn an_unchanged_file_is_not_read_again_after_a_restart_and_a_changed_one_is() {
    for end in End::ALL {
        let home = Home::new();
        let alice = home.start().await;
        let project = home.at("project");
        home.write("same.txt", b"same");
        home.write("edited.txt", b"first");
        home.write("big", &vec![7; (3 << 20) + 1]);
        let added = alice.add_tree(&project, None).await.unwrap();
        assert_eq!(alice.hashed_len(), added.len);
        let alice = home.restart(alice, end).await;
        let journal = home.journal();
        assert_eq!(alice.add_tree(&project, None).await.unwrap().count, 3);
        alice.save().await.unwrap();
        assert_eq!(alice.hashed_len(), 0, "{end:?}");
        // Nothing has changed, so nothing is written.
        assert!(home.journal() == journal, "{end:?}");
        home.write("edited.txt", b"second");
        home.write("new.txt", b"new");
        let added = alice.add_tree(&project, None).await.unwrap();
        assert_eq!(added.count, 4);
        // `second` and `new`.
        assert_eq!(alice.hashed_len(), 9, "{end:?}");
        assert!(serves(&alice, b"second") && serves(&alice, b"same") && !serves(&alice, b"first"));
        let big = content_of(&alice, "big");
        let source = alice.share.files().sources_of(&big).remove(0);
        assert_eq!(source.outline.as_bytes().len(), 4 * 32);
        assert_eq!(source.outline.root(big.len), Some(big.hash));
        alice.close().await.unwrap();
    }
}

/// A file system gives the same time to all that happens within one tick of its clock.
#[tokio::test]
async fn a_file_that_was_read_right_after_it_was_written_is_read_again() {
    let home = Home::new();
    let start = async || Peer::start(home.config().clock(Clock::manual(0))).await.unwrap();
    let alice = start().await;
    let notes = home.write("notes.txt", b"notes");
    alice.add(&notes).await.unwrap();
    alice.close().await.unwrap();
    let alice = start().await;
    alice.add(&notes).await.unwrap();
    assert_eq!(alice.hashed_len(), 5);
    alice.close().await.unwrap();
}

#[tokio::test]
async fn a_shared_file_that_vanished_while_no_peer_ran_can_be_found_and_is_not_removed_by_itself() {
    for end in End::ALL {
        let home = Home::new();
        let alice = home.start().await;
        let gone = home.write("gone.txt", b"gone");
        alice.add(&gone).await.unwrap();
        end.apply(alice).await;
        std::fs::remove_file(&gone).unwrap();
        let alice = home.start().await;
        assert_eq!(shown(&alice), ["gone.txt"]);
        let vanished: Vec<_> = alice
            .shared_files()
            .into_iter()
            .filter(|path| !path.exists())
            .collect();
        assert_eq!(
            vanished,
            [gone.parent().unwrap().canonicalize().unwrap().join("gone.txt")]
        );
        alice.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_received_file_is_replaced_by_its_new_version_after_a_restart_unless_it_was_edited() {
    for (end, is_edited) in [
        (End::Close, false),
        (End::Close, true),
        (End::SaveAndDrop, false),
        (End::SaveAndDrop, true),
    ] {
        let (at_alice, at_bob) = (Home::new(), Home::new());
        let (alice, bob) = (at_alice.start().await, at_bob.start().await);
        let (folder, notes) = joined(&at_alice, &alice, &bob, &at_bob).await;
        drop(folder);
        end.apply(alice).await;
        if is_edited {
            at_alice.write("notes.txt", b"mine");
        }
        bob.add(at_bob.write("notes.txt", b"two")).await.unwrap();
        let alice = at_alice.start().await;
        hears(&alice, &bob);
        let folder = alice.join_folder(at_alice.at("project")).unwrap();
        let pulled = folder.pull(&notes, &notes).await;
        let whole = folder.pull_all(&Progress::default()).await;
        drop((whole, folder));
        if is_edited {
            assert!(pulled.unwrap_err().keeps_what_is_there());
            assert_eq!(at_alice.read("notes.txt"), "mine");
        } else {
            pulled.unwrap();
            assert_eq!(at_alice.read("notes.txt"), "two");
        }
        alice.close().await.unwrap();
        bob.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_removed_file_of_a_joined_folder_is_the_users_when_it_is_there_again_after_a_restart() {
    let (at_alice, at_bob) = (Home::new(), Home::new());
    let (alice, bob) = (at_alice.start().await, at_bob.start().await);
    let (folder, notes) = joined(&at_alice, &alice, &bob, &at_bob).await;
    folder.remove(&notes).unwrap();
    drop(folder);
    let alice = at_alice.restart(alice, End::Close).await;
    assert!(
        alice
            .share
            .placed
            .at(&at_alice.at("project/notes.txt"))
            .stamp
            .is_none()
    );
    alice.close().await.unwrap();
    bob.close().await.unwrap();
}

/// The journal is as it was before the pull noted that its file has its name.
#[tokio::test]
async fn a_file_that_a_pull_had_just_put_there_when_the_peer_was_killed_is_known_and_an_own_one_is_not() {
    for there in ["one", "two", "own"] {
        let (at_alice, at_bob) = (Home::new(), Home::new());
        let (alice, bob) = (at_alice.start().await, at_bob.start().await);
        let (folder, notes) = joined(&at_alice, &alice, &bob, &at_bob).await;
        let target = at_alice.at("project").canonicalize().unwrap().join("notes.txt");
        bob.add(at_bob.write("notes.txt", b"two")).await.unwrap();
        hears(&alice, &bob);
        alice.share.placed.expect(&target, content(b"two"));
        alice.save().await.unwrap();
        let journal = at_alice.journal();
        if there == "two" {
            folder.pull(&notes, &notes).await.unwrap();
        }
        drop(folder);
        drop(alice);
        at_alice.start().await.close().await.unwrap();
        std::fs::write(at_alice.at("state/journal"), journal).unwrap();
        if there == "own" {
            at_alice.write("notes.txt", b"own");
        }
        let alice = at_alice.start().await;
        assert_eq!(at_alice.read("notes.txt"), there);
        bob.add(at_bob.write("notes.txt", b"one")).await.unwrap();
        hears(&alice, &bob);
        let folder = alice.join_folder(at_alice.at("project")).unwrap();
        let pulled = folder.pull(&notes, &notes).await;
        drop(folder);
        assert_eq!(pulled.is_ok(), there != "own", "{pulled:?}");
        let now = if there == "own" { "own" } else { "one" };
        assert_eq!(at_alice.read("notes.txt"), now);
        alice.close().await.unwrap();
        bob.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_pull_replaces_no_edit_that_the_user_made_while_no_peer_ran() {
    for end in End::ALL {
        let (at_alice, at_bob) = (Home::new(), Home::new());
        let (alice, bob) = (at_alice.start().await, at_bob.start().await);
        let notes = alice.add(at_alice.write("notes.txt", b"first")).await.unwrap();
        let at_hand = at_alice.at("at hand");
        std::fs::write(&at_hand, b"second").unwrap();
        alice.add(&at_hand).await.unwrap();
        sync(&alice, &bob);
        end.apply(alice).await;
        at_alice.write("notes.txt", b"edited");
        bob.replace(at_bob.write("notes.txt", b"second"), &notes)
            .await
            .unwrap();
        let alice = at_alice.start().await;
        hears(&alice, &bob);
        let refused = alice
            .pull(&notes, at_alice.at("project/notes.txt"))
            .await
            .unwrap_err()
            .to_string();
        assert!(refused.contains("hint: share the edit first"), "{refused}");
        assert_eq!(at_alice.read("notes.txt"), "edited");
        alice.close().await.unwrap();
        bob.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_file_that_was_edited_while_no_peer_ran_is_shared_anew_when_the_other_side_asks() {
    let home = Home::new();
    let alice = home.start().await;
    alice.add(home.write("notes.txt", b"first")).await.unwrap();
    let alice = home.restart(alice, End::Close).await;
    home.write("notes.txt", b"second");
    for source in crate::transfer::Holder::sources(&*alice.share, &content(b"first")) {
        drop(crate::transfer::Holder::refresh(&*alice.share, &source));
    }
    assert!(serves(&alice, b"second") && !serves(&alice, b"first"));
    alice.close().await.unwrap();
}

#[test]
fn a_path_of_any_bytes_is_remembered() {
    use std::os::unix::ffi::OsStrExt;
    let odd = Path::new(std::ffi::OsStr::from_bytes(b"/odd\xff"));
    let record = crate::journal::Record::Gone(odd.into());
    let bytes = postcard::to_allocvec(&record).unwrap();
    assert_eq!(
        postcard::from_bytes::<crate::journal::Record>(&bytes).unwrap(),
        record
    );
}
