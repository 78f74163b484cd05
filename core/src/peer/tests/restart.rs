//! What a peer knew is there again when the next one starts in the same place: after a close all of
//! it, after a kill what was saved. Nothing is lost, and nothing is there twice.
//!
//! A peer that is dropped is as good as killed: it does not say that it has ended.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::super::{JoinedFolder, Peer, PeerConfig, Restored, StartError};
use super::{content, serves};
use crate::catalog::{Catalog, ContentId, EntryId, EntryState, FileVersion, SharePath, Shown};
use crate::clock::Clock;
use crate::identity::Identity;
use crate::journal::{Flaw, JournalError};
use crate::store::OwnFolderError;
use crate::transfer::Progress;

fn path(text: &str) -> SharePath {
    SharePath::parse(text).unwrap()
}

/// The places of one person on one machine. A peer can be started there again and again.
struct Home(TempDir);

/// Later than anything that the tests write: each stamp is settled.
const LATER_MS: u64 = 100_000_000_000_000;

impl Home {
    fn new() -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir(home.at("project")).unwrap();
        home
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.at("project").join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.at("project").join(name)).unwrap()
    }

    fn config(&self) -> PeerConfig {
        let relay = "http://127.0.0.1:9".parse().unwrap();
        PeerConfig::new(relay)
            .listen("127.0.0.1:0".parse().unwrap())
            .identity(Identity::load_or_create(&self.at("identity")).unwrap())
            .clock(Clock::manual(LATER_MS))
            .state(self.at("state"))
            .store(self.at("store"))
    }

    /// Starts a peer. One that was dropped may still be ending.
    async fn start(&self) -> Peer {
        loop {
            match Peer::start(self.config()).await {
                Err(StartError::State(JournalError::Folder(OwnFolderError::InUse { .. })))
                | Err(StartError::Store(OwnFolderError::InUse { .. })) => tokio::task::yield_now().await,
                started => return started.unwrap(),
            }
        }
    }

    /// Ends a peer and starts the next one.
    async fn restart(&self, peer: Peer, end: End) -> Peer {
        end.apply(peer).await;
        let next = self.start().await;
        let expected = match end {
            End::Close => Restored::All,
            End::SaveAndDrop => Restored::UpToAKill,
        };
        assert_eq!(next.restored(), &expected);
        next
    }

    /// The journal as it is on disk now.
    fn journal(&self) -> Vec<u8> {
        std::fs::read(self.at("state/journal")).unwrap()
    }
}

#[derive(Debug, Clone, Copy)]
enum End {
    Close,
    SaveAndDrop,
}

impl End {
    const ALL: [Self; 2] = [Self::Close, Self::SaveAndDrop];

    async fn apply(self, peer: Peer) {
        match self {
            Self::Close => peer.close().await.unwrap(),
            Self::SaveAndDrop => {
                peer.save().await.unwrap();
                drop(peer);
            }
        }
    }
}

/// Everything that is shown, with contents.
fn tree(peer: &Peer) -> Vec<(String, Option<ContentId>)> {
    let line = |shown: Shown| (shown.path.to_string(), shown.file().map(|file| file.content));
    peer.list().into_iter().map(line).collect()
}

fn content_of(peer: &Peer, name: &str) -> ContentId {
    peer.share.files().file(&path(name)).unwrap().content
}

fn states(peer: &Peer) -> Vec<(EntryId, EntryState)> {
    peer.share.files().catalog.all_states()
}

/// `to` gets what `from` has.
fn hears(to: &Peer, from: &Peer) {
    to.share.merge(states(from)).unwrap();
}

fn sync(one: &Peer, other: &Peer) {
    hears(one, other);
    hears(other, one);
    assert_eq!(tree(one), tree(other));
}

fn shown(peer: &Peer) -> Vec<String> {
    tree(peer).into_iter().map(|(path, _)| path).collect()
}

#[tokio::test]
async fn what_was_shared_is_shared_and_served_after_a_restart() {
    for end in End::ALL {
        let home = Home::new();
        let alice = home.start().await;
        assert_eq!(alice.restored(), &Restored::Nothing);
        let project = home.at("project");
        std::fs::create_dir_all(project.join("empty")).unwrap();
        home.write("notes.txt", b"notes");
        home.write("gone.txt", b"gone");
        home.write("moved.txt", b"moved");
        alice.add_tree(&project, None).await.unwrap();
        alice.remove(&path("gone.txt")).unwrap();
        alice
            .rename(&path("moved.txt"), &path("elsewhere/moved.txt"))
            .unwrap();
        let before = (tree(&alice), states(&alice));
        let mut files = alice.shared_files();
        let alice = home.restart(alice, end).await;
        assert_eq!((tree(&alice), states(&alice)), before, "{end:?}");
        assert!(serves(&alice, b"notes") && serves(&alice, b"moved") && !serves(&alice, b"gone"));
        let mut files_now = alice.shared_files();
        files.sort();
        files_now.sort();
        assert_eq!(files_now, files);
        alice.close().await.unwrap();
    }
}

#[tokio::test]
async fn without_a_folder_for_state_nothing_outlives_a_peer() {
    let home = Home::new();
    let peer = super::lonely_peer().await;
    peer.add(home.write("notes.txt", b"notes")).await.unwrap();
    peer.save().await.unwrap();
    peer.close().await.unwrap();
    let peer = super::lonely_peer().await;
    assert_eq!((peer.list().len(), peer.restored()), (0, &Restored::Nothing));
    peer.close().await.unwrap();
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
async fn two_peers_that_restart_in_any_order_agree_and_nothing_is_there_twice() {
    for (alice_ends, bob_ends) in [
        (Some(End::Close), None),
        (Some(End::SaveAndDrop), None),
        (None, Some(End::SaveAndDrop)),
        (Some(End::SaveAndDrop), Some(End::Close)),
        (Some(End::SaveAndDrop), Some(End::SaveAndDrop)),
    ] {
        let (at_alice, at_bob) = (Home::new(), Home::new());
        let (mut alice, mut bob) = (at_alice.start().await, at_bob.start().await);
        alice.add(at_alice.write("alice.txt", b"alice")).await.unwrap();
        bob.add(at_bob.write("bob.txt", b"bob")).await.unwrap();
        sync(&alice, &bob);
        if let Some(end) = alice_ends {
            alice = at_alice.restart(alice, end).await;
        }
        // Both change while they are apart.
        alice.add(at_alice.write("alice.txt", b"edited")).await.unwrap();
        bob.rename(&path("bob.txt"), &path("moved.txt")).unwrap();
        if let Some(end) = bob_ends {
            bob = at_bob.restart(bob, end).await;
        }
        sync(&alice, &bob);
        assert_eq!(
            shown(&bob),
            ["alice.txt", "moved.txt"],
            "{alice_ends:?} {bob_ends:?}"
        );
        assert_eq!(content_of(&bob, "alice.txt"), content(b"edited"));
        assert!(serves(&alice, b"edited") && serves(&bob, b"bob") && !serves(&alice, b"alice"));
        alice.close().await.unwrap();
        bob.close().await.unwrap();
    }
}

#[tokio::test]
async fn edits_of_both_sides_while_one_was_down_become_conflict_copies() {
    for end in End::ALL {
        let (at_alice, at_bob) = (Home::new(), Home::new());
        let (alice, bob) = (at_alice.start().await, at_bob.start().await);
        let notes = alice.add(at_alice.write("notes.txt", b"first")).await.unwrap();
        sync(&alice, &bob);
        end.apply(alice).await;
        bob.replace(at_bob.write("notes.txt", b"bob's"), &notes)
            .await
            .unwrap();
        at_alice.write("notes.txt", b"alice's");
        let alice = at_alice.start().await;
        alice.add_tree(at_alice.at("project"), None).await.unwrap();
        sync(&alice, &bob);
        let contents: Vec<_> = tree(&bob)
            .into_iter()
            .filter_map(|(_, content)| content)
            .collect();
        assert_eq!(contents.len(), 2, "{end:?}");
        assert!(contents.contains(&content(b"bob's")) && contents.contains(&content(b"alice's")));
        alice.close().await.unwrap();
        bob.close().await.unwrap();
    }
}

#[tokio::test]
async fn what_was_removed_while_the_other_was_down_stays_removed() {
    for end in End::ALL {
        let (at_alice, at_bob) = (Home::new(), Home::new());
        let (alice, bob) = (at_alice.start().await, at_bob.start().await);
        let notes = alice.add(at_alice.write("notes.txt", b"notes")).await.unwrap();
        alice.add(at_alice.write("kept.txt", b"kept")).await.unwrap();
        sync(&alice, &bob);
        end.apply(bob).await;
        alice.remove(&notes).unwrap();
        let alice = at_alice.restart(alice, end).await;
        let bob = at_bob.start().await;
        sync(&bob, &alice);
        assert_eq!(shown(&bob), ["kept.txt"], "{end:?}");
        assert!(!serves(&alice, b"notes"));
        alice.close().await.unwrap();
        bob.close().await.unwrap();
    }
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

#[tokio::test]
async fn a_damaged_journal_is_set_aside_and_named_and_the_other_side_loses_nothing() {
    let (at_alice, at_bob) = (Home::new(), Home::new());
    let (alice, bob) = (at_alice.start().await, at_bob.start().await);
    alice.add(at_alice.write("notes.txt", b"notes")).await.unwrap();
    sync(&alice, &bob);
    alice.close().await.unwrap();
    let mut damaged = at_alice.journal();
    damaged[70] ^= 1;
    std::fs::write(at_alice.at("state/journal"), &damaged).unwrap();
    let alice = at_alice.start().await;
    let Restored::SetAside { path: aside, flaw } = alice.restored().clone() else {
        panic!("{:?}", alice.restored())
    };
    assert!(matches!(flaw, Flaw::Damaged { .. }));
    assert_eq!(std::fs::read(aside).unwrap(), damaged);
    assert!(alice.list().is_empty());
    sync(&alice, &bob);
    assert_eq!(shown(&bob), ["notes.txt"]);
    alice.add_tree(at_alice.at("project"), None).await.unwrap();
    sync(&alice, &bob);
    assert_eq!(tree(&bob), [("notes.txt".to_owned(), Some(content(b"notes")))]);
    assert!(serves(&alice, b"notes"));
    alice.close().await.unwrap();
    bob.close().await.unwrap();
}

#[tokio::test]
async fn two_peers_can_not_use_one_folder_for_state() {
    let home = Home::new();
    let alice = home.start().await;
    let refused = Peer::start(home.config()).await.unwrap_err().to_string();
    assert!(refused.contains("is in use by another peer"), "{refused}");
    alice.close().await.unwrap();
    home.start().await.close().await.unwrap();
}

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
            .stamp_at(&at_alice.at("project/notes.txt"))
            .is_none()
    );
    alice.close().await.unwrap();
    bob.close().await.unwrap();
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

#[tokio::test]
async fn what_changes_is_saved_soon_without_being_asked_for() {
    let home = Home::new();
    let alice = home.start().await;
    alice.add(home.write("notes.txt", b"notes")).await.unwrap();
    let saved = || crate::journal::read(&home.at("state")).unwrap().unwrap();
    while saved().catalog.entry_count() == 0 || saved().shared_files.is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(saved().catalog.list().len(), 1);
    assert_eq!(saved().owner, alice.fingerprint());
    drop(alice);
}

/// A catalog that is held by nobody: what an offline listing shows.
fn offline(home: &Home) -> Catalog {
    crate::journal::read(&home.at("state")).unwrap().unwrap().catalog
}

#[tokio::test]
async fn a_journal_that_is_written_anew_while_its_peer_runs_loses_nothing() {
    let home = Home::new();
    let alice = home.start().await;
    home.write("notes.txt", b"notes");
    alice.add_tree(home.at("project"), None).await.unwrap();
    let len = || home.at("state/journal").metadata().unwrap().len();
    let mut len_max = 0;
    let mut round = 0_u8;
    while len() >= len_max {
        len_max = len();
        round += 1;
        let mut files = alice.share.files();
        for number in 0..1000 {
            let file = FileVersion {
                content: content(&[round]),
                mtime_ns: 0,
                mode: 0o644,
            };
            drop(
                files
                    .catalog
                    .add_file(&path(&format!("many/{number}")), file)
                    .unwrap(),
            );
        }
        drop(files);
        alice.save().await.unwrap();
    }
    assert!(len() < len_max / 4, "{} of {len_max}", len());
    assert_eq!(offline(&home).list().len(), alice.list().len());
    let before = states(&alice);
    let alice = home.restart(alice, End::Close).await;
    assert_eq!(states(&alice), before);
    assert!(serves(&alice, b"notes"));
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
