//! A pull that was interrupted goes on: the next one fetches what is missing and leaves nothing
//! else behind. What crosses the link is counted.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tandem_core::catalog::SharePath;
use tandem_core::peer::PeerConfig;
use tandem_core::reconnect::ReconnectConfig;
use tandem_core::transfer::Progress;
use tandem_tests::universe::Universe;
use tandem_tests::wait::{Look, complete, poll};

use crate::temper::quick_to_return;

const MIB: u64 = 1024 * 1024;
const LEN: u64 = 20 * MIB + 5;
const NAME: &str = "large.bin";

/// What a fetch of `len` bytes may carry at most: TLS, requests and heartbeats come on top.
fn with_overhead(len: u64) -> u64 {
    len + len / 50 + 200_000
}

fn share_path() -> SharePath {
    SharePath::parse(NAME).unwrap()
}

/// The part files in a folder.
fn parts(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let is_part = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "part");
    entries.filter(is_part).collect()
}

/// Waits until no pull works on the part files in a folder any more.
async fn are_released(folder: &Path) {
    poll(std::panic::Location::caller(), "released part files", || {
        let is_free = |path: &PathBuf| std::fs::File::open(path).unwrap().try_lock().is_ok();
        match parts(folder).iter().all(is_free) {
            true => Look::Ready(()),
            false => Look::NotYet("one is locked".to_owned()),
        }
    })
    .await;
}

/// Starts to pull as bob, and runs `end` once about `len` bytes have crossed the link. The pull
/// ends with it. Returns how many bytes were verified.
async fn interrupted(universe: &Universe, len: u64, end: impl Future<Output = ()>) -> u64 {
    let progress = Progress::default();
    let (peer, target, name) = (universe.bob.peer(), universe.bob.target(NAME), share_path());
    let slow = universe.link().throttle(20_000_000);
    let passed = universe.link().carried(len);
    let interrupting = async {
        passed.await;
        end.await;
    };
    tokio::select! {
        pulled = peer.pull_tracked(&name, &target, &progress) => assert!(pulled.is_err()),
        () = interrupting => {}
    }
    slow.heal();
    drop(peer);
    are_released(target.parent().unwrap()).await;
    assert!(progress.verified_len() < LEN, "it was not interrupted");
    progress.verified_len()
}

async fn linked(configure: fn(PeerConfig) -> PeerConfig) -> (Universe, Vec<u8>) {
    let universe = Universe::builder().linked().configure(configure).build().await;
    let payload = universe.payload(NAME, usize::try_from(LEN).unwrap());
    universe.alice.add(NAME, &payload).await;
    universe.bob.lists(NAME).await;
    (universe, payload)
}

#[tokio::test]
async fn a_pull_that_is_dropped_at_any_point_fetches_only_what_is_missing_when_it_is_repeated() {
    let (universe, payload) = linked(quick_to_return).await;
    let mut verified = 0;
    for len in [MIB / 2, 3 * MIB, 9 * MIB] {
        let before = verified;
        verified = interrupted(&universe, len, std::future::ready(())).await;
        assert!(verified >= before, "{before} bytes were there, {verified} are");
        let parts = parts(universe.bob.target(NAME).parent().unwrap());
        assert_eq!(parts.len(), usize::from(verified > 0));
    }
    assert!(verified >= 4 * MIB, "{verified}");
    let before = universe.link().carried_len();
    assert!(universe.bob.pull(NAME).await == payload);
    let carried = universe.link().carried_len() - before;
    let missing = LEN - verified;
    assert!(carried <= with_overhead(missing), "{carried} bytes for {missing}");
    assert!(carried >= missing);
    universe.close().await;
}

/// Gives up soon, so that a pull fails that has lost its session.
fn quick_to_give_up(config: PeerConfig) -> PeerConfig {
    quick_to_return(config).reconnect(ReconnectConfig {
        attempt_count_max: 1,
        delay_first: std::time::Duration::from_millis(1),
        patience: std::time::Duration::from_millis(1),
        ..ReconnectConfig::default()
    })
}

#[tokio::test]
async fn a_pull_that_has_lost_its_session_for_good_is_resumed_in_the_next_session() {
    let (universe, payload) = linked(quick_to_give_up).await;
    let cut = Arc::new(std::sync::Mutex::new(None));
    let cutting = {
        let (universe, cut) = (&universe, cut.clone());
        async move {
            *cut.lock().unwrap() = Some(universe.link().cut());
            std::future::pending().await
        }
    };
    let verified = interrupted(&universe, 6 * MIB, cutting).await;
    assert!(verified >= MIB, "{verified}");
    cut.lock().unwrap().take().unwrap().heal();
    universe.connect().await;
    let before = universe.link().carried_len();
    assert!(universe.bob.pull(NAME).await == payload);
    let carried = universe.link().carried_len() - before;
    assert!(
        carried <= with_overhead(LEN - verified),
        "{carried} bytes, though {verified} of {LEN} were there"
    );
    universe.close().await;
}

#[tokio::test]
async fn a_source_that_changed_meanwhile_gives_its_new_version_and_the_old_file_stays_until_then() {
    let (universe, _) = linked(quick_to_return).await;
    let target = universe.bob.target(NAME);
    std::fs::write(&target, b"old").unwrap();
    interrupted(&universe, 4 * MIB, std::future::ready(())).await;
    assert_eq!(std::fs::read(&target).unwrap(), b"old");
    let newer = universe.payload("newer", 3_000_000);
    universe.alice.add(NAME, &newer).await;
    universe.bob.sees(NAME, &newer).await;
    // Closing the universe proves that nothing of the first version is left.
    assert!(universe.bob.pull(NAME).await == newer);
    universe.close().await;
}

#[tokio::test]
async fn a_tree_that_was_interrupted_is_pulled_on_from_there() {
    let (universe, _) = linked(quick_to_return).await;
    let small: Vec<_> = (0..40).map(|index| format!("in/{index}.bin")).collect();
    for name in &small {
        universe.alice.add(name, &universe.payload(name, 30_000)).await;
    }
    universe.bob.lists_count(41).await;
    universe.bob.target(NAME);
    let folder = universe.bob.target(NAME).parent().unwrap().to_owned();
    let whole = 40 * 30_000 + LEN;
    let progress = Progress::default();
    let slow = universe.link().throttle(20_000_000);
    let passed = universe.link().carried(8 * MIB);
    let peer = universe.bob.peer();
    tokio::select! {
        _ = peer.pull_tree(None, &folder, &progress) => panic!("it was not interrupted"),
        () = passed => {}
    }
    slow.heal();
    for folder in [&folder, &folder.join("in")] {
        are_released(folder).await;
    }
    let (verified, before) = (progress.verified_len(), universe.link().carried_len());
    assert!(verified >= 4 * MIB && verified < whole, "{verified}");
    drop(peer);
    let pulling = universe.bob.pull_all();
    assert_eq!(
        complete(std::panic::Location::caller(), "the tree", pulling)
            .await
            .len(),
        41
    );
    let carried = universe.link().carried_len() - before;
    assert!(
        carried <= with_overhead(whole - verified),
        "{carried} after {verified}"
    );
    for name in &small {
        let there = std::fs::read(folder.join(name)).unwrap();
        assert!(there == universe.payload(name, 30_000), "{name}");
    }
    universe.close().await;
}
