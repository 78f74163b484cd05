//! A pair stays connected: each side knows the state of the other, notices when it is gone, and
//! reconnects by itself.

use std::time::Duration;

use tandem_core::peer::{DisconnectReason, Event, Initiator, SessionState};
use tandem_tests::universe::Universe;

use crate::temper::{nervous, nervous_but_patient, quick_to_return};

fn disconnected(event: &Event) -> Option<DisconnectReason> {
    match event {
        Event::Disconnected { reason } => Some(reason.clone()),
        _ => None,
    }
}

fn connected(event: &Event) -> Option<Initiator> {
    match event {
        Event::Connected { initiator, .. } => Some(*initiator),
        _ => None,
    }
}

#[tokio::test]
async fn after_connecting_both_sides_know_their_peer() {
    let universe = Universe::new().await;
    let (alice, bob) = (universe.alice.status(), universe.bob.status());
    assert_eq!(
        (alice.state, bob.state),
        (SessionState::Connected, SessionState::Connected)
    );
    assert_eq!(alice.peer, Some(universe.bob.fingerprint()));
    assert_eq!(bob.peer, Some(universe.alice.fingerprint()));
    universe.close().await;
}

#[tokio::test]
async fn both_sides_report_that_the_lower_fingerprint_initiated() {
    let universe = Universe::new().await;
    let alice_first = universe.alice.fingerprint() < universe.bob.fingerprint();
    let (first, second) = match alice_first {
        true => (&universe.alice, &universe.bob),
        false => (&universe.bob, &universe.alice),
    };
    assert_eq!(first.status().initiator, Some(Initiator::Us));
    assert_eq!(second.status().initiator, Some(Initiator::Them));
    universe.close().await;
}

#[tokio::test]
async fn heartbeats_measure_the_round_trip_on_both_sides() {
    let universe = Universe::new().await;
    for actor in [&universe.alice, &universe.bob] {
        let round_trip = actor.measured_round_trip().await;
        assert!(
            round_trip > Duration::ZERO && round_trip < Duration::from_secs(10),
            "{round_trip:?}"
        );
    }
    universe.close().await;
}

#[tokio::test]
async fn a_slow_link_shows_in_the_round_trip() {
    let universe = Universe::builder().linked().strangers().build().await;
    let _slow = universe.link().delay(Duration::from_millis(10));
    universe.connect().await;
    assert!(universe.alice.measured_round_trip().await >= Duration::from_millis(20));
    universe.close().await;
}

#[tokio::test]
async fn files_arrive_while_heartbeats_are_sent() {
    let universe = Universe::builder().configure(nervous_but_patient).build().await;
    let payload = universe.payload("busy.bin", 3 * 1024 * 1024);
    let mut history = universe.bob.history();
    universe.alice.add("busy.bin", &payload).await;
    assert!(universe.bob.pull("busy.bin").await == payload);
    history
        .until("a heartbeat", |event| {
            matches!(event, Event::Heartbeat { .. }).then_some(())
        })
        .await;
    assert_eq!(universe.bob.status().state, SessionState::Connected);
    universe.close().await;
}

#[tokio::test]
async fn a_silent_peer_is_noticed_by_its_missing_heartbeats() {
    let universe = Universe::builder().linked().configure(nervous).build().await;
    let mut history = universe.alice.history();
    let silence = universe.link().half_open();
    let unresponsive =
        |event: &Event| disconnected(event).filter(|why| *why == DisconnectReason::Unresponsive);
    history.until("the verdict", unresponsive).await;
    silence.heal();
    history.until("a new session", connected).await;
    universe.close().await;
}

#[tokio::test]
async fn after_a_reset_the_pair_reconnects_and_a_file_added_meanwhile_arrives() {
    let universe = Universe::builder()
        .linked()
        .configure(quick_to_return)
        .build()
        .await;
    let mut history = universe.bob.history();
    let cut = universe.link().cut();
    history.until("the end of the session", disconnected).await;
    universe
        .alice
        .add("meanwhile.txt", b"added while we were apart")
        .await;
    cut.heal();
    assert_eq!(
        universe.bob.pull("meanwhile.txt").await,
        b"added while we were apart"
    );
    history.until("a new session", connected).await;
    universe.close().await;
}

#[tokio::test]
async fn a_removal_made_while_apart_is_followed_after_reconnecting() {
    let universe = Universe::builder()
        .linked()
        .configure(quick_to_return)
        .build()
        .await;
    universe.alice.add("short-lived.txt", b"soon gone").await;
    universe.bob.lists("short-lived.txt").await;
    let cut = universe.link().cut();
    universe.alice.remove("short-lived.txt");
    cut.heal();
    universe.bob.misses("short-lived.txt").await;
    assert_eq!(universe.bob.list(), [""; 0]);
    universe.close().await;
}

#[tokio::test]
async fn a_corrupted_byte_reaches_no_file() {
    let universe = Universe::builder()
        .linked()
        .configure(quick_to_return)
        .build()
        .await;
    let payload = universe.payload("precious.bin", 2 * 1024 * 1024);
    universe.alice.add("precious.bin", &payload).await;
    universe.bob.lists("precious.bin").await;
    universe.link().corrupt_after(1024 * 1024);
    assert!(universe.bob.pull("precious.bin").await == payload);
    assert!(!universe.link().is_corruption_pending());
    universe.close().await;
}

#[tokio::test]
async fn a_pair_reconnects_without_the_relay() {
    let universe = Universe::builder()
        .linked()
        .configure(quick_to_return)
        .build()
        .await;
    universe.relay.shutdown().await;
    let mut history = universe.bob.history();
    universe.link().reset();
    history.until("the end of the session", disconnected).await;
    history.until("a new session", connected).await;
    universe.alice.add("again.txt", b"together").await;
    assert_eq!(universe.bob.pull("again.txt").await, b"together");
    universe.close().await;
}

#[tokio::test]
async fn a_goodbye_is_noticed_and_not_followed_by_reconnecting() {
    let universe = Universe::new().await;
    let mut history = universe.alice.history();
    universe.bob.leave().await;
    let reason = history.until("the end of the session", disconnected).await;
    assert_eq!(reason, DisconnectReason::RemoteClosed);
    assert_eq!(universe.alice.status().state, SessionState::Disconnected);
    universe.close().await;
}

#[tokio::test]
async fn a_pull_survives_a_reset_in_its_middle() {
    let universe = Universe::builder()
        .linked()
        .configure(quick_to_return)
        .build()
        .await;
    let payload = universe.payload("large.bin", 8 * 1024 * 1024);
    universe.alice.add("large.bin", &payload).await;
    universe.bob.lists("large.bin").await;
    let slow = universe.link().throttle(20_000_000);
    let (pulled, ()) = tokio::join!(universe.bob.pull("large.bin"), async {
        universe.link().carried(2 * 1024 * 1024).await;
        universe.link().reset();
        slow.heal();
    });
    assert!(pulled == payload);
    universe.close().await;
}
