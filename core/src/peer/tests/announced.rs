//! Announcements of a peer cost us little, even hostile ones: locks, memory, disk.

use std::time::Duration;

use tokio::time::timeout;

use super::unshared::Two;
use super::{content, lonely_peer};
use crate::catalog::{Catalog, CatalogError, CatalogEvent, Dot, FileVersion, ReplicaId, SharePath, steps_of};
use crate::identity::Fingerprint;
use crate::limits::CONTENT_ENTRIES_MAX;
use crate::peer::{Event, EventStream, Peer, PeerConfig, SessionState};

const PATIENCE: Duration = Duration::from_secs(20);

fn path(text: &str) -> SharePath {
    SharePath::parse(text).unwrap()
}

fn version(bytes: &[u8]) -> FileVersion {
    FileVersion {
        content: content(bytes),
        mtime_ns: 0,
        mode: 0o644,
    }
}

/// A catalog of another peer.
fn other_catalog() -> Catalog {
    Catalog::new(ReplicaId {
        fingerprint: Fingerprint::from_bytes([9; 20]),
        incarnation: 1,
    })
}

async fn peer_with(adapt: impl FnOnce(PeerConfig) -> PeerConfig) -> Peer {
    let config = PeerConfig::new("http://127.0.0.1:9".parse().unwrap());
    Peer::start(adapt(config.listen("127.0.0.1:0".parse().unwrap())))
        .await
        .unwrap()
}

async fn wait_for(events: &mut EventStream, is_it: impl Fn(&Event) -> bool) -> Event {
    let seen = async {
        loop {
            let event = events.next().await.unwrap();
            if is_it(&event) {
                return event;
            }
        }
    };
    timeout(PATIENCE, seen).await.unwrap()
}

#[tokio::test]
async fn a_waiting_thread_gets_the_catalog_between_two_pieces_of_a_merge() {
    const COUNT: usize = 10_000;
    let (peer, mut other) = (lonely_peer().await, other_catalog());
    for number in 0..COUNT {
        drop(
            other
                .add_file(&path(&format!("{number}")), version(b"x"))
                .unwrap(),
        );
    }
    let (states, share) = (other.all_states(), peer.share.clone());
    let merging = std::thread::spawn(move || share.merge(states).unwrap());
    let mut counts = Vec::new();
    while counts.last() != Some(&COUNT) {
        counts.push(peer.share.files().catalog.entry_count());
    }
    merging.join().unwrap();
    assert!(
        counts.iter().any(|count| (1..COUNT).contains(count)),
        "all or nothing was seen"
    );
    peer.close().await.unwrap();
}

#[tokio::test]
async fn a_batch_that_breaks_a_rule_is_refused_whole_though_it_has_many_pieces() {
    let (peer, mut other) = (lonely_peer().await, other_catalog());
    for number in 0..1000 {
        drop(
            other
                .add_file(&path(&format!("{number}")), version(b"x"))
                .unwrap(),
        );
    }
    let mut states = other.all_states();
    let (_, last) = states.last_mut().unwrap();
    let unseen = Dot {
        counter: 7,
        replica: ReplicaId {
            fingerprint: Fingerprint::from_bytes([8; 20]),
            incarnation: 1,
        },
    };
    last.place.stamp = unseen;
    assert!(matches!(
        peer.share.merge(states),
        Err(CatalogError::BadState { .. })
    ));
    assert_eq!(peer.share.files().catalog.entry_count(), 0);
    peer.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_that_do_not_fit_are_left_out_and_reported_once_and_the_session_goes_on() {
    let alice = peer_with(|config| config.catalog_len_max(20_000)).await;
    let bob = peer_with(|config| config).await;
    for number in 0..100 {
        let mut files = bob.share.files();
        drop(
            files
                .catalog
                .add_file(&path(&format!("{number}")), version(b"x"))
                .unwrap(),
        );
    }
    let mut events = alice.events();
    bob.expect(&alice.fingerprint()).unwrap();
    let (who, at) = (bob.fingerprint(), [bob.local_addr()]);
    alice.connect_directly(&who, &at).await.unwrap();
    let full = wait_for(&mut events, |event| matches!(event, Event::CatalogFull { .. })).await;
    let text = format!("{full:?}");
    assert!(
        matches!(
            full,
            Event::CatalogFull {
                error: CatalogError::TooLarge { limit: 20_000, .. }
            }
        ),
        "{text}"
    );
    // A change that fits arrives over the same session, with no event in between.
    let changed = bob.share.files().catalog.remove(&path("7")).unwrap();
    bob.share.announce(changed.touched);
    let added = bob
        .share
        .files()
        .catalog
        .add_file(&path("small"), version(b"y"))
        .unwrap();
    bob.share.announce(added.touched);
    let next = wait_for(&mut events, |event| !matches!(event, Event::Heartbeat { .. })).await;
    let added = CatalogEvent::Added { path: path("small") };
    assert_eq!(next, Event::Catalog(added));
    assert_eq!(alice.status().state, SessionState::Connected);
    alice.close().await.unwrap();
    bob.close().await.unwrap();
}

/// A reader may ask for a file in ranges of one byte.
#[tokio::test]
async fn a_file_whose_name_many_others_claim_is_searched_once_in_an_unchanged_catalog() {
    const COUNT: usize = 500;
    let (root, peer, mut other) = (tempfile::tempdir().unwrap(), lonely_peer().await, other_catalog());
    let name = peer.add(super::write(root.path(), b"text")).await.unwrap();
    for number in 0..COUNT {
        let file = version(&number.to_le_bytes());
        drop(other.add_file(&path(&format!("{number}")), file).unwrap());
    }
    let mut states = other.all_states();
    for (_, state) in &mut states {
        state.place.name = name.name();
    }
    peer.share.merge(states.clone()).unwrap();
    let (first, is_served) = steps_of(|| super::serves(&peer, b"text"));
    assert!(is_served && first >= COUNT as u64, "{first} steps");
    let (second, is_served) = steps_of(|| super::serves(&peer, b"text"));
    assert!(is_served && second < 10, "{second} steps");
    // The same states again change nothing.
    peer.share.merge(states).unwrap();
    let (third, is_served) = steps_of(|| super::serves(&peer, b"text"));
    assert!(is_served && third < 10, "{third} steps");
    peer.close().await.unwrap();
}

#[tokio::test]
async fn sharing_a_file_in_a_full_catalog_is_an_error_that_says_so() {
    let root = tempfile::tempdir().unwrap();
    let peer = peer_with(|config| config.catalog_len_max(1000)).await;
    let error = peer.add(super::write(root.path(), b"text")).await.unwrap_err();
    assert!(error.to_string().contains("the catalog is full"), "{error}");
    assert!(!super::serves(&peer, b"text"));
    peer.close().await.unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn a_full_catalog_has_no_room_for_a_file_made_through_a_mount() {
    use std::ffi::OsStr;

    use crate::mount::{FsError, Inode, IoWish, NewFile, OpenMode, Owner};

    let store = tempfile::tempdir().unwrap();
    let peer = peer_with(|config| config.store(store.path()).catalog_len_max(1000)).await;
    let file_system = peer.file_system().unwrap();
    let owner = Owner { uid: 7, gid: 8 };
    let place = (Inode::ROOT, OsStr::new("file"));
    let made = file_system.create(
        place,
        NewFile { mode: 0o644, owner },
        OpenMode::WRITE,
        IoWish::Calls,
    );
    assert!(matches!(made, Err(FsError::Full)));
    let written = std::fs::read_dir(store.path().join("written")).unwrap();
    assert_eq!(written.count(), 0);
    drop(file_system);
    peer.close().await.unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn files_that_are_opened_and_not_read_leave_nothing_behind() {
    use std::ffi::OsStr;

    use crate::mount::{Inode, IoWish, OpenMode};

    let store = tempfile::tempdir().unwrap();
    let peer = peer_with(|config| config.store(store.path())).await;
    let file_system = peer.file_system().unwrap();
    let mut contents = Vec::new();
    for number in 0..20_u8 {
        let name = format!("{number}");
        let mut file = version(&[number]);
        file.content.len = crate::limits::FILE_LEN_MAX;
        contents.push(file.content);
        drop(peer.share.files().catalog.add_file(&path(&name), file).unwrap());
        let attributes = file_system.lookup(Inode::ROOT, OsStr::new(&name)).unwrap();
        let opened = file_system.open(attributes.inode, OpenMode::READ, IoWish::Calls);
        file_system.release(opened.unwrap().handle).unwrap();
        file_system.forget(attributes.inode, 1);
    }
    let peer_store = peer.share.peer_store.as_ref().unwrap();
    assert!(contents.iter().all(|content| peer_store.find(content).is_none()));
    assert_eq!(
        std::fs::read_dir(store.path().join("fetched")).unwrap().count(),
        0
    );
    drop(file_system);
    peer.close().await.unwrap();
}

// The umask belongs to the process, so this test runs itself again under a shell that sets it.
#[cfg(unix)]
#[tokio::test]
async fn times_and_modes_at_their_extremes_are_written_as_far_as_the_system_and_the_umask_let() {
    const VARIABLE: &str = "TANDEM_PULL_TEST_UMASK";
    const THIS_TEST: &str = "peer::tests::announced::\
         times_and_modes_at_their_extremes_are_written_as_far_as_the_system_and_the_umask_let";
    if let Some(umask) = std::env::var_os(VARIABLE) {
        let umask = u32::from_str_radix(umask.to_str().unwrap(), 8).unwrap();
        return pull_extremes(umask).await;
    }
    for umask in ["000", "022", "077"] {
        let script = format!("umask {umask} && exec \"$0\" --quiet --exact \"$1\" >/dev/null");
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", &script]).arg(std::env::current_exe().unwrap());
        let status = shell.arg(THIS_TEST).env(VARIABLE, umask).status().unwrap();
        assert!(status.success(), "umask {umask}: {status}");
    }
}

#[cfg(unix)]
async fn pull_extremes(umask: u32) {
    use std::os::unix::fs::MetadataExt;

    let (root, peer) = (tempfile::tempdir().unwrap(), lonely_peer().await);
    peer.add(super::write(root.path(), b"text")).await.unwrap();
    for (mtime_ns, mode) in [
        (i64::MIN, 0o777),
        (i64::MAX, 0o000),
        (-1, 0o222),
        (0, 0o7777),
        (0, 0o666),
    ] {
        let file = FileVersion {
            mtime_ns,
            mode,
            ..version(b"text")
        };
        drop(
            peer.share
                .files()
                .catalog
                .add_file(&path("extreme"), file)
                .unwrap(),
        );
        let target = root.path().join("pulled");
        peer.pull(&path("extreme"), &target).await.unwrap();
        let metadata = std::fs::metadata(&target).unwrap();
        assert_eq!(metadata.mode() & 0o7777, mode & 0o755 & !umask, "{mtime_ns}");
        assert_eq!(metadata.len(), 4);
        drop(std::fs::remove_file(&target));
    }
    peer.close().await.unwrap();
}

#[tokio::test]
async fn entries_with_one_content_are_remembered_up_to_the_limit() {
    let two = Two::new().await;
    two.share("notes.txt", b"text").await;
    let remembered = || two.alice.share.files().entry_count(&content(b"text"));
    for number in 1..CONTENT_ENTRIES_MAX {
        two.name_content(&number.to_string(), b"text");
    }
    assert_eq!(remembered(), CONTENT_ENTRIES_MAX);
    two.name_content("one more", b"text");
    assert_eq!(remembered(), CONTENT_ENTRIES_MAX);
    assert_eq!(two.alice.list().len(), CONTENT_ENTRIES_MAX + 1);
    two.close().await;
}
