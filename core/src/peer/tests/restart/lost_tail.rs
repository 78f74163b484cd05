//! The journal loses its end, as by a loss of power, and the other side has got what was there.

use super::super::super::{Peer, Restored};
use super::super::{content, serves};
use super::{Home, content_of, path, shown, sync, tree};

/// The journal loses its end, as by a loss of power. The other side has got what was there.
async fn with_lost_tail(change: impl AsyncFn(&Home, &Peer)) -> (Home, Peer, Home, Peer) {
    let (at_alice, at_bob) = (Home::new(), Home::new());
    let (alice, bob) = (at_alice.start().await, at_bob.start().await);
    alice.add(at_alice.write("notes.txt", b"first")).await.unwrap();
    sync(&alice, &bob);
    alice.save().await.unwrap();
    let journal = at_alice.journal();
    change(&at_alice, &alice).await;
    sync(&alice, &bob);
    drop(alice);
    drop(at_alice.start().await);
    std::fs::write(at_alice.at("state/journal"), journal).unwrap();
    let alice = at_alice.start().await;
    assert_eq!(alice.restored(), &Restored::UpToAKill);
    (at_alice, alice, at_bob, bob)
}

#[tokio::test]
async fn an_edit_that_only_the_other_side_still_has_comes_back_and_is_no_conflict() {
    for is_heard_first in [true, false] {
        let edit = async |home: &Home, alice: &Peer| {
            alice.add(home.write("notes.txt", b"second")).await.unwrap();
        };
        let (home, alice, _at_bob, bob) = with_lost_tail(edit).await;
        assert_eq!(content_of(&alice, "notes.txt"), content(b"first"));
        if is_heard_first {
            sync(&alice, &bob);
        }
        alice.add_tree(home.at("project"), None).await.unwrap();
        sync(&alice, &bob);
        assert_eq!(tree(&alice), [("notes.txt".to_owned(), Some(content(b"second")))]);
        assert!(serves(&alice, b"second"));
        // The file is still the user's, and its next edit is an edit.
        alice.add(home.write("notes.txt", b"third")).await.unwrap();
        sync(&alice, &bob);
        assert_eq!(tree(&bob), [("notes.txt".to_owned(), Some(content(b"third")))]);
        alice.close().await.unwrap();
        bob.close().await.unwrap();
    }
}

#[tokio::test]
async fn other_changes_after_a_lost_tail_are_not_taken_for_those_that_were_lost() {
    let edit = async |home: &Home, alice: &Peer| {
        alice.add(home.write("lost.txt", b"lost")).await.unwrap();
    };
    let (home, alice, _at_bob, bob) = with_lost_tail(edit).await;
    // As many changes as were lost, of another kind, before the other side is heard.
    alice.add(home.write("other.txt", b"other")).await.unwrap();
    sync(&alice, &bob);
    assert_eq!(shown(&bob), ["lost.txt", "notes.txt", "other.txt"]);
    assert_eq!(content_of(&bob, "lost.txt"), content(b"lost"));
    assert_eq!(content_of(&bob, "other.txt"), content(b"other"));
    alice.close().await.unwrap();
    bob.close().await.unwrap();
}

#[tokio::test]
async fn a_removal_that_only_the_other_side_still_has_comes_back() {
    let remove = async |_: &Home, alice: &Peer| alice.remove(&path("notes.txt")).unwrap();
    let (_home, alice, _at_bob, bob) = with_lost_tail(remove).await;
    assert_eq!(shown(&alice), ["notes.txt"]);
    sync(&alice, &bob);
    assert!(shown(&alice).is_empty() && !serves(&alice, b"first"));
    alice.close().await.unwrap();
    bob.close().await.unwrap();
}
