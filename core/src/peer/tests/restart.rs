//! What a peer knew is there again when the next one starts in the same place: after a close all of
//! it, after a kill what was saved. Nothing is lost, and nothing is there twice.
//!
//! A peer that is dropped is as good as killed: it does not say that it has ended.

mod local_files;
mod lost_tail;

use std::path::PathBuf;

use tempfile::TempDir;

use super::super::{Event, Peer, PeerConfig, Restored, StartError};
use super::{content, serves};
use crate::catalog::{Catalog, ContentId, EntryId, EntryState, FileVersion, SharePath, Shown};
use crate::clock::Clock;
use crate::identity::Identity;
use crate::journal::{Flaw, JournalError};
use crate::limits::JOURNAL_GROWTH_LEN_MIN;
use crate::store::OwnFolderError;

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

/// A catalog that is held by nobody: what an offline listing shows.
fn offline(home: &Home) -> Catalog {
    crate::journal::read(&home.at("state")).unwrap().unwrap().catalog
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

/// Over real sessions. Both sides may restart, in any order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_was_shared_before_a_restart_is_pulled_after_it() {
    for (alice_ends, bob_ends) in [(true, false), (false, true), (true, true)] {
        let (at_alice, at_bob) = (Home::new(), Home::new());
        let (mut alice, mut bob) = (at_alice.start().await, at_bob.start().await);
        let notes = alice.add(at_alice.write("notes.txt", b"notes")).await.unwrap();
        connect(&alice, &bob).await;
        while bob.lookup(&notes).is_none() {
            tokio::task::yield_now().await;
        }
        if alice_ends {
            alice = at_alice.restart(alice, End::SaveAndDrop).await;
        }
        if bob_ends {
            bob = at_bob.restart(bob, End::Close).await;
        }
        connect(&alice, &bob).await;
        bob.pull(&notes, at_bob.at("project/notes.txt")).await.unwrap();
        assert_eq!(at_bob.read("notes.txt"), "notes");
        assert_eq!(alice.hashed_len() == 0, alice_ends);
        alice.close().await.unwrap();
        bob.close().await.unwrap();
    }
}

async fn connect(alice: &Peer, bob: &Peer) {
    bob.expect(&alice.fingerprint()).unwrap();
    let (remote, address) = (bob.fingerprint(), bob.local_addr());
    alice.connect_directly(&remote, &[address]).await.unwrap();
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

/// Changes a thousand entries, and saves that. Returns how long the journal is then.
async fn change_much(home: &Home, peer: &Peer, round: u8) -> u64 {
    let mut files = peer.share.files();
    for number in 0..1000 {
        let file = FileVersion {
            content: content(&[round]),
            mtime_ns: 0,
            mode: 0o644,
        };
        drop(
            files
                .catalog
                .add_file(&path(&format!("many/{number:0>250}")), file)
                .unwrap(),
        );
    }
    drop(files);
    peer.save().await.unwrap();
    home.at("state/journal").metadata().unwrap().len()
}

#[tokio::test]
async fn a_journal_that_is_written_anew_while_its_peer_runs_loses_nothing() {
    let home = Home::new();
    let alice = home.start().await;
    home.write("notes.txt", b"notes");
    alice.add_tree(home.at("project"), None).await.unwrap();
    let mut lens = vec![change_much(&home, &alice, 0).await];
    while lens.is_sorted() {
        lens.push(change_much(&home, &alice, lens.len().try_into().unwrap()).await);
    }
    assert!(lens.last() < Some(&1_000_000), "{lens:?}");
    assert!(offline(&home).list() == alice.list());
    let before = states(&alice);
    let alice = home.restart(alice, End::Close).await;
    assert!(states(&alice) == before);
    assert!(serves(&alice, b"notes"));
    alice.close().await.unwrap();
}

#[tokio::test]
async fn a_journal_that_can_not_be_written_anew_is_appended_to() {
    let home = Home::new();
    let alice = home.start().await;
    std::fs::create_dir(home.at("state/journal.new")).unwrap();
    let mut len = 0;
    for round in 0.. {
        len = change_much(&home, &alice, round).await;
        if len > 2 * JOURNAL_GROWTH_LEN_MIN {
            break;
        }
    }
    assert!(len > 2 * JOURNAL_GROWTH_LEN_MIN);
    assert!(offline(&home).list() == alice.list());
    std::fs::remove_dir(home.at("state/journal.new")).unwrap();
    alice.close().await.unwrap();
}

// The limit belongs to the process, so this test runs itself again under a shell that sets it. A
// file that reaches it is as one on a full disk.
#[tokio::test]
async fn what_can_not_be_saved_is_reported_once_and_saved_later_and_sharing_goes_on() {
    const VARIABLE: &str = "TANDEM_TEST_FULL_DISK";
    const THIS_TEST: &str = "peer::tests::restart::\
         what_can_not_be_saved_is_reported_once_and_saved_later_and_sharing_goes_on";
    if std::env::var_os(VARIABLE).is_some() {
        return change_with_a_full_disk().await;
    }
    let script = "trap '' XFSZ && ulimit -S -f 16 && exec \"$0\" --quiet --exact \"$1\" >/dev/null";
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", script]).arg(std::env::current_exe().unwrap());
    let status = shell.arg(THIS_TEST).env(VARIABLE, "1").status().unwrap();
    assert!(status.success(), "{status}");
}

async fn change_with_a_full_disk() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let home = Home::new();
    let alice = home.start().await;
    let mut events = alice.events();
    for number in 0..100 {
        let name = path(&format!("{number}"));
        alice
            .add_as(home.write("notes.txt", b"notes"), &name)
            .await
            .unwrap();
    }
    assert!(
        alice
            .save()
            .await
            .unwrap_err()
            .to_string()
            .contains("could not write to")
    );
    let Some(Event::NotSaved { error }) = events.next().await else {
        panic!("another event")
    };
    assert!(error.contains("state/journal`"), "{error}");
    assert_eq!((alice.list().len(), serves(&alice, b"notes")), (100, true));
    // What was saved is whole.
    assert!(offline(&home).entry_count() < 100);

    let Rlimit { maximum, .. } = getrlimit(Resource::Fsize);
    let unlimited = Rlimit {
        current: maximum,
        maximum,
    };
    setrlimit(Resource::Fsize, unlimited).unwrap();
    alice.save().await.unwrap();
    assert_eq!(offline(&home).list(), alice.list());
    let alice = home.restart(alice, End::Close).await;
    assert_eq!((alice.list().len(), serves(&alice, b"notes")), (100, true));
    alice.close().await.unwrap();
    while let Some(event) = events.next().await {
        assert!(!matches!(event, Event::NotSaved { .. }));
    }
}
